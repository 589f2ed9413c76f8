//! The interface of an experiment to its run.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::package::Contradiction;
use super::store::Store;
use super::{ClaimBuilder, GridBuilder, Paper, Profile};
use crate::data::{DataError, DataSet, Lookup, Set, set};
use crate::report::{Cell, Claim, DataFileRecord, DataRecord, DataState, Figure, Table};
use crate::seed::SeedTree;

/// The interface of an experiment to its run: its only way to randomness, data, progress and results.
#[derive(Debug)]
pub struct Context {
    paper: Paper,
    known: Vec<Contradiction>,
    profile: Profile,
    master_seed: u64,
    seed: SeedTree,
    claim_filter: ClaimFilter,
    pub(super) lookup: Lookup,
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
        paper: Paper,
        known: Vec<Contradiction>,
        profile: Profile,
        master_seed: u64,
        claims: Vec<String>,
        lookup: Lookup,
        store: Store,
    ) -> Self {
        Self {
            paper,
            known,
            profile,
            master_seed,
            seed: SeedTree::new(master_seed),
            claim_filter: ClaimFilter::new(claims),
            lookup,
            store,
            found: BTreeMap::new(),
            results: Results::default(),
            faults: Vec::new(),
        }
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

    /// Whether the command line selects the claim `claim`, or any claim whose id begins with it: `Q1`
    /// covers `Q1.opt-bk`. Every claim is selected when the command line names none.
    #[must_use]
    pub fn selects(&self, claim: &str) -> bool {
        self.claim_filter.selects(claim)
    }

    /// A data set, verified by hash. `None` when it is not there, or damaged; the report says
    /// which, and a damaged one makes the run fail at its end.
    ///
    /// A group of cells that reads the set names it with [`GridBuilder::reads`].
    pub fn data(&mut self, set: &str) -> Option<DataSet> {
        // A set has one record in the report, however many parts of the experiment read it.
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
        // A set may be absent in the profile quick; a damaged one is a warning in every profile.
        let state = match error {
            DataError::Absent { .. } => DataState::Absent,
            _ => {
                self.warn(error.to_string());
                DataState::Damaged
            }
        };
        let mut absent = record(registered, state, None);
        absent.how_to_get = Some(match error {
            DataError::WrongHash { how_to_fix, .. } => how_to_fix.clone(),
            _ => registered.how_to_get(),
        });
        self.results.data.push(absent);
    }

    /// Describes a group of cells, one for each of these parameters;
    /// [`run`](GridBuilder::run) computes it.
    pub fn grid<P: Serialize + Sync>(
        &mut self,
        group: &str,
        params: impl Into<Vec<P>>,
    ) -> GridBuilder<'_, P> {
        GridBuilder::new(self, group, params.into())
    }

    /// The data sets that a group reads, with the hashes of their files.
    pub(super) fn hashes_of(
        &mut self,
        group: &str,
        sets: &[String],
    ) -> Vec<(String, Vec<&'static str>)> {
        let mut hashes = Vec::with_capacity(sets.len());
        for name in sets {
            // Without a look-up there are no hashes for the key.
            let Some(found) = self.found.get(name) else {
                self.fault(format!(
                    "the cells {group} read the data set {name}, which was not opened before"
                ));
                continue;
            };
            let files = found.iter().flat_map(|data| data.set().files);
            hashes.push((name.clone(), files.map(|file| file.sha256).collect()));
        }
        // The order in which sets are named does not change the key.
        hashes.sort();
        hashes
    }

    pub(super) fn paper_id(&self) -> &str {
        &self.paper.id
    }

    pub(super) fn master_seed(&self) -> u64 {
        self.master_seed
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// States a claim; [`ClaimBuilder::measured`] judges it. A claim that was not selected is not
    /// recorded.
    pub fn claim(&mut self, id: &str, statement: &str) -> ClaimBuilder<'_> {
        ClaimBuilder::new(self, id, statement)
    }

    /// Records a claim that cannot be measured here, with the reason and how to get what it lacks.
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

    /// Records a judged claim, with its known contradiction.
    pub(super) fn record(&mut self, mut claim: Claim) {
        if self.results.claims.iter().any(|other| other.id == claim.id) {
            return self.fault(format!("two claims are named {}", claim.id));
        }
        // The manifest lists what the experiment answers, and the claims keep to it.
        match self.paper.question_of(&claim.id) {
            None => {
                return self.fault(format!(
                    "the claim {} answers none of the questions of the manifest",
                    claim.id
                ));
            }
            Some(question) if question.full_only && self.profile == Profile::Quick => {
                let id = question.id.clone();
                return self.fault(format!(
                    "the manifest says that only the profile full has claims on {id}"
                ));
            }
            Some(_) => {}
        }
        if !self.claim_filter.records(&claim.id) {
            return;
        }
        // A listed claim that is not contradicted is news, as a contradiction off the list is.
        let listed = self.known.iter().find(|known| known.claim == claim.id);
        claim.known = listed.map(|known| known.reason.clone());
        if claim.is_news() && claim.known.is_some() {
            let listed = "contradictions.toml lists this claim as contradicted, and it is not";
            claim.reason = Some(match claim.reason {
                Some(reason) => format!("{listed}: {reason}"),
                None => listed.to_owned(),
            });
        }
        self.results.claims.push(claim);
    }

    /// Checks, at the end of a run of all claims, that the manifest and the list of known
    /// contradictions name nothing that does not exist.
    pub(super) fn check_names(&mut self) {
        // A run of some claims does not see the others.
        if !self.claim_filter.is_everything() {
            return;
        }
        // Without its data an experiment may skip several claims as one.
        let is_verified = |record: &DataRecord| record.state == DataState::Verified;
        if !self.results.data.iter().all(is_verified) {
            return;
        }
        // Each known contradiction is a claim, and each question of this profile has an answer.
        let claims = &self.results.claims;
        let mut faults = Vec::new();
        for known in &self.known {
            if !claims.iter().any(|claim| claim.id == known.claim) {
                let claim = &known.claim;
                faults.push(format!(
                    "contradictions.toml names {claim}, which is no claim"
                ));
            }
        }
        for question in &self.paper.questions {
            let expected = !question.full_only || self.profile == Profile::Full;
            let answers = |claim: &&Claim| {
                let of = self.paper.question_of(&claim.id);
                of.is_some_and(|of| of.id == question.id)
            };
            if expected && !claims.iter().any(|claim| answers(&claim)) {
                let id = &question.id;
                faults.push(format!(
                    "the manifest has the question {id}, and no claim answers it"
                ));
            }
        }
        self.faults.extend(faults);
    }

    /// Notes a fault of the experiment itself; the run ends with it.
    pub(super) fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// The faults of the experiment itself.
    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// The claims named on the command line that do not exist, each with what is wrong.
    pub(super) fn unknown_claims(&self) -> Vec<String> {
        let explain = |name: String| {
            let question = self.paper.question_of(&name);
            match question {
                Some(question) if question.full_only && self.profile == Profile::Quick => {
                    format!("claims on {} need `--profile full`", question.id)
                }
                _ => {
                    let ids = self.paper.questions.iter().map(|question| &*question.id);
                    let ids: Vec<&str> = ids.collect();
                    format!(
                        "no claim is named {name}; claims begin with {}",
                        ids.join(", ")
                    )
                }
            }
        };
        self.claim_filter
            .unknown()
            .into_iter()
            .map(explain)
            .collect()
    }

    /// Drops the questions that are not among these.
    #[cfg(test)]
    pub(super) fn keep_questions(&mut self, ids: &[String]) {
        self.paper
            .questions
            .retain(|question| ids.contains(&question.id));
    }

    /// What was found, and the paper.
    pub(super) fn finish(self) -> (Paper, Results) {
        (self.paper, self.results)
    }
}

/// The claims named on the command line.
#[derive(Debug)]
struct ClaimFilter {
    selected: Vec<String>,
    met: RefCell<HashSet<String>>,
}

impl ClaimFilter {
    fn new(selected: Vec<String>) -> Self {
        Self {
            selected,
            met: RefCell::default(),
        }
    }

    fn is_everything(&self) -> bool {
        self.selected.is_empty()
    }

    fn selects(&self, claim: &str) -> bool {
        self.any(|selected| is_part(claim, selected) || is_part(selected, claim))
    }

    fn records(&self, claim: &str) -> bool {
        // Which selections have matched: the others are misspelled, and reported at the end.
        let mut met = self.met.borrow_mut();
        met.extend(
            self.selected
                .iter()
                .filter(|selected| is_part(claim, selected))
                .cloned(),
        );
        self.any(|selected| is_part(claim, selected))
    }

    fn any(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.selected.is_empty() || self.selected.iter().any(|selected| matches(selected))
    }

    /// Those that no claim of the experiment matched.
    fn unknown(&self) -> Vec<String> {
        let met = self.met.borrow();
        let unknown = self
            .selected
            .iter()
            .filter(|selected| !met.contains(*selected));
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
        license: set.license.to_owned(),
        citation: set.citation.to_owned(),
        files: files.collect(),
        how_to_get: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_selected_by_id_or_prefix() {
        let filter = ClaimFilter::new(vec!["Q1".into(), "Q2.noise".into(), "Q9".into()]);
        assert!(filter.selects("Q1.opt-bk"));
        assert!(filter.selects("Q2"), "a group with a selected claim in it");
        assert!(!filter.selects("Q10"));
        assert!(!filter.selects("Q2.drift"));
        assert!(filter.records("Q1.opt-bk"));
        assert!(filter.records("Q2.noise"));
        assert!(!filter.records("Q2"));
        assert_eq!(filter.unknown(), ["Q9"]);
        assert!(ClaimFilter::new(vec![]).selects("anything"));
    }
}
