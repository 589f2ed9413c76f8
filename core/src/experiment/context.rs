//! What an experiment works through.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cells::{self, Order, Store};
use super::{ClaimBuilder, ExperimentError, Paper, Profile};
use crate::data::{DataError, DataSet, Lookup, Set, set};
use crate::report::{Cell, Claim, DataFileRecord, DataRecord, DataState, Figure, Table};
use crate::seed::SeedTree;

/// What an experiment works through: its only way to randomness, data, progress and results.
#[derive(Debug)]
pub struct Context {
    paper: &'static Paper,
    profile: Profile,
    master_seed: u64,
    seed: SeedTree,
    claim_filter: ClaimFilter,
    lookup: Lookup,
    store: Store,
    found: BTreeMap<String, Option<DataSet>>,
    pub(super) results: Results,
    faults: Vec<String>,
}

/// What an experiment has found so far.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) claims: Vec<Claim>,
    pub(super) cells: Vec<Cell>,
    pub(super) tables: Vec<Table>,
    pub(super) figures: Vec<Figure>,
    pub(super) warnings: Vec<String>,
    pub(super) data: Vec<DataRecord>,
}

impl Context {
    pub(super) fn new(
        paper: &'static Paper,
        profile: Profile,
        master_seed: u64,
        claims: Vec<String>,
        lookup: Lookup,
        folder: PathBuf,
    ) -> Result<Self, ExperimentError> {
        Ok(Self {
            paper,
            profile,
            master_seed,
            seed: SeedTree::new(master_seed),
            claim_filter: ClaimFilter::new(claims),
            lookup,
            store: Store::open(folder)?,
            found: BTreeMap::new(),
            results: Results::default(),
            faults: Vec::new(),
        })
    }

    /// How much is to be run.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The root of the tree of seeds. It is `Copy`: a cell's work can take it along to share
    /// randomness among cells.
    #[must_use]
    pub fn seed(&self) -> &SeedTree {
        &self.seed
    }

    /// Whether this claim, or any claim whose id begins with this one, was asked for: `Q1` stands
    /// for `Q1.opt-bk`. True when no claim was named on the command line.
    #[must_use]
    pub fn wants(&self, claim: &str) -> bool {
        self.claim_filter.wants(claim)
    }

    /// A data set, verified by hash. `None` when it is not there, or damaged; the report says
    /// which, and a damaged one makes the run fail at its end.
    ///
    /// Cells that are worked out afterwards count as made from the set: they are worked out anew
    /// when its files change.
    pub fn data(&mut self, set: &str) -> Option<DataSet> {
        if let Some(known) = self.found.get(set) {
            return known.clone();
        }
        let found = match self.lookup.find(set) {
            Ok(data) => {
                self.results
                    .data
                    .push(record(data.set(), DataState::Verified, Some(&data)));
                Some(data)
            }
            Err(error) => {
                self.report_data_error(set, &error);
                None
            }
        };
        self.found.insert(set.to_owned(), found.clone());
        found
    }

    fn report_data_error(&mut self, name: &str, error: &DataError) {
        let Some(registered) = set(name) else {
            return self.fault(error.to_string());
        };
        let state = match error {
            DataError::Absent { .. } => DataState::Absent,
            _ => {
                self.warn(error.to_string());
                DataState::Damaged
            }
        };
        let mut absent = record(registered, state, None);
        absent.how_to_get = Some(match error {
            DataError::WrongHash { mend, .. } => mend.clone(),
            _ => registered.how_to_get(),
        });
        self.results.data.push(absent);
    }

    /// Works out a group of cells in parallel, and gives their results in the order of their
    /// parameters.
    ///
    /// A cell is a finished unit of work: it depends on its parameters and its seed, and on
    /// nothing that another cell does. A finished cell is kept on disk; a run that was stopped
    /// takes it from there. It is worked out anew when its parameters, the master seed, the
    /// profile, the program, or the data sets asked for so far are others, or with `--fresh`.
    ///
    /// The seed is the cell's own: it depends on the master seed, the group and the parameters.
    /// For randomness that several cells share (paired comparisons) take along a copy of
    /// [`seed`](Self::seed).
    ///
    /// Results go through JSON, also when they have just been worked out: a fresh and a resumed
    /// run cannot differ.
    ///
    /// # Errors
    ///
    /// The error of a cell; two cells of the same parameters; parameters or results that JSON
    /// cannot express (NaN, infinities, maps whose keys are not texts); a file that cannot be
    /// written.
    pub fn cells<P, T, F>(
        &mut self,
        group: &str,
        params: &[P],
        work: F,
    ) -> Result<Vec<T>, ExperimentError>
    where
        P: Serialize + Sync,
        T: Serialize + DeserializeOwned + Send,
        F: Fn(&P, &SeedTree) -> Result<T, ExperimentError> + Sync,
    {
        self.run_cells(group, params, work, Order::Parallel)
    }

    /// As [`cells`](Self::cells), one after another, with nothing else running: for measurements
    /// of time.
    ///
    /// # Errors
    ///
    /// As [`cells`](Self::cells).
    pub fn exclusive_cells<P, T, F>(
        &mut self,
        group: &str,
        params: &[P],
        work: F,
    ) -> Result<Vec<T>, ExperimentError>
    where
        P: Serialize + Sync,
        T: Serialize + DeserializeOwned + Send,
        F: Fn(&P, &SeedTree) -> Result<T, ExperimentError> + Sync,
    {
        self.run_cells(group, params, work, Order::OneAfterAnother)
    }

    fn run_cells<P, T, F>(
        &mut self,
        group: &str,
        params: &[P],
        work: F,
        order: Order,
    ) -> Result<Vec<T>, ExperimentError>
    where
        P: Serialize + Sync,
        T: Serialize + DeserializeOwned + Send,
        F: Fn(&P, &SeedTree) -> Result<T, ExperimentError> + Sync,
    {
        let made_from = cells::Ingredients {
            paper: self.paper.id,
            profile: self.profile.name(),
            master_seed: self.master_seed,
            data: self.data_hashes(),
        };
        let seed = self.seed.child(group);
        let (results, finished) =
            cells::work_out(&self.store, &made_from, group, &seed, params, work, order)?;
        self.results.cells.extend(finished);
        Ok(results)
    }

    /// The hashes of the data sets in use, in the order of their names.
    fn data_hashes(&self) -> Vec<&'static str> {
        let sets = self.found.values().flatten();
        let files = sets.flat_map(|data| data.set().files);
        files.map(|file| file.sha256).collect()
    }

    /// States a claim; [`ClaimBuilder::measured`] judges it. A claim that was not asked for is not
    /// recorded.
    pub fn claim(&mut self, id: &str, statement: &str) -> ClaimBuilder<'_> {
        ClaimBuilder::new(self, id, statement)
    }

    /// Records a claim that cannot be measured here, with the reason and how to get what lacks.
    pub fn skip(&mut self, id: &str, statement: &str, why: &str, how_to_get_it: &str) {
        self.claim(id, statement).skipped(why, how_to_get_it);
    }

    /// Adds a table to the report.
    pub fn table(&mut self, table: Table) {
        self.results.tables.push(table);
    }

    /// Adds a figure to the report. Its id names files, so it consists of letters, digits, `-`
    /// and `_`, and is its own.
    pub fn figure(&mut self, figure: Figure) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if figure.id.is_empty() || !figure.id.chars().all(is_name) {
            self.fault(format!(
                "`{}` does not serve as the name of a file",
                figure.id
            ));
        } else if self
            .results
            .figures
            .iter()
            .any(|other| other.id == figure.id)
        {
            self.fault(format!("two figures are named {}", figure.id));
        } else {
            self.results.figures.push(figure);
        }
    }

    /// Adds a warning to the report: what the reader should keep in mind.
    pub fn warn(&mut self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!("{text}");
        self.results.warnings.push(text);
    }

    pub(super) fn record(&mut self, claim: Claim) {
        if self.results.claims.iter().any(|other| other.id == claim.id) {
            return self.fault(format!("two claims are named {}", claim.id));
        }
        if self.claim_filter.records(&claim.id) {
            self.results.claims.push(claim);
        }
    }

    /// Notes a fault of the experiment itself; the run ends with it.
    pub(super) fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// The faults of the experiment itself.
    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// The claims named on the command line that do not exist.
    pub(super) fn unknown_claims(&self) -> Vec<String> {
        self.claim_filter.unknown()
    }
}

/// The claims named on the command line.
#[derive(Debug)]
struct ClaimFilter {
    wanted: Vec<String>,
    met: RefCell<HashSet<String>>,
}

impl ClaimFilter {
    fn new(wanted: Vec<String>) -> Self {
        Self {
            wanted,
            met: RefCell::default(),
        }
    }

    fn wants(&self, claim: &str) -> bool {
        self.any(|wanted| is_part(claim, wanted) || is_part(wanted, claim))
    }

    fn records(&self, claim: &str) -> bool {
        let mut met = self.met.borrow_mut();
        met.extend(
            self.wanted
                .iter()
                .filter(|wanted| is_part(claim, wanted))
                .cloned(),
        );
        self.any(|wanted| is_part(claim, wanted))
    }

    fn any(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| matches(wanted))
    }

    /// Those that no claim of the experiment matched.
    fn unknown(&self) -> Vec<String> {
        let met = self.met.borrow();
        let unknown = self.wanted.iter().filter(|wanted| !met.contains(*wanted));
        unknown.cloned().collect()
    }
}

/// Whether `claim` is `whole` or one of its parts: `Q1.opt-bk` is a part of `Q1`, `Q10` is not.
fn is_part(claim: &str, whole: &str) -> bool {
    claim
        .strip_prefix(whole)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

fn record(set: &'static Set, state: DataState, found: Option<&DataSet>) -> DataRecord {
    let files = set
        .files
        .iter()
        .enumerate()
        .map(|(index, file)| DataFileRecord {
            name: file.name.to_owned(),
            bytes: file.bytes,
            sha256: file.sha256.to_owned(),
            found_in: found.map(|data| data.files()[index].location.name().to_owned()),
        });
    DataRecord {
        set: set.name.to_owned(),
        state,
        licence: set.licence.to_owned(),
        citation: set.citation.to_owned(),
        files: files.collect(),
        how_to_get: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_asked_for_by_its_name_or_by_a_part_of_it() {
        let filter = ClaimFilter::new(vec!["Q1".into(), "Q2.noise".into(), "Q9".into()]);
        assert!(filter.wants("Q1.opt-bk"));
        assert!(filter.wants("Q2"), "a group with a wanted claim in it");
        assert!(!filter.wants("Q10"));
        assert!(!filter.wants("Q2.drift"));
        assert!(filter.records("Q1.opt-bk"));
        assert!(filter.records("Q2.noise"));
        assert!(!filter.records("Q2"));
        assert_eq!(filter.unknown(), ["Q9"]);
        assert!(ClaimFilter::new(vec![]).wants("anything"));
    }
}
