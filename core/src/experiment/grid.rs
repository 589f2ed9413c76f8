//! Groups of cells: what is computed for which parameters and seeds, and looked up by them.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cell::Cell;
use super::store::Key;
use super::{Context, Estimate, ExperimentError};
use crate::report;
use crate::telemetry::Progress;

/// A group of cells that is being described; [`run`](Self::run) computes it.
#[derive(Debug)]
#[must_use = "a grid is computed by `run`"]
pub struct GridBuilder<'a, P> {
    context: &'a mut Context,
    group: String,
    params: Vec<P>,
    seeds: Option<u64>,
    version: u32,
    reads: Vec<String>,
}

/// The results of a group of cells, looked up by their parameters.
#[derive(Debug)]
pub struct Grid<P, T> {
    group: String,
    /// The place of parameters in the order in which they were given, by their JSON form.
    places: HashMap<String, usize>,
    /// For each parameters the results by seed.
    results: Vec<Vec<T>>,
    /// Parameters of this type only are looked up.
    params: PhantomData<fn(&P)>,
}

impl<'a, P> GridBuilder<'a, P> {
    pub(super) fn new(context: &'a mut Context, group: &str, params: Vec<P>) -> Self {
        Self {
            context,
            group: group.to_owned(),
            params,
            seeds: None,
            version: 1,
            reads: Vec::new(),
        }
    }

    /// Computes every cell with this many seeds, of indices 0, 1, .. Without it there is one.
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = Some(seeds);
        self
    }

    /// The version of the work, 1 unless set. Raise it when the same parameters give other results
    /// than before: cells of other versions are not used. Cells survive every other change of the
    /// program, and the report says how many another build computed.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// The data sets that the work reads, by name, each opened with
    /// [`Context::data`](super::Context::data) before: cells are recomputed when their files
    /// change.
    pub fn reads<S: Into<String>>(mut self, sets: impl IntoIterator<Item = S>) -> Self {
        self.reads.extend(sets.into_iter().map(Into::into));
        self
    }
}

impl<P: Serialize + Sync> GridBuilder<'_, P> {
    /// Computes the cells that are not finished yet, in parallel.
    ///
    /// A cell is a finished unit of work: its result depends on its parameters, its seed, the data
    /// sets that the group [reads](Self::reads) and the [version](Self::version), and on nothing that
    /// another cell does. A finished cell is kept on disk, and a run that was stopped takes it from
    /// there; `--fresh` computes all.
    ///
    /// Results go through JSON, also when they have just been computed: a fresh and a resumed run
    /// cannot differ.
    ///
    /// # Errors
    ///
    /// The error of a cell; two cells of the same parameters; parameters or results that JSON
    /// cannot express (NaN, infinities, maps whose keys are not texts); a file that cannot be
    /// written.
    pub fn run<T, F>(self, work: F) -> Result<Grid<P, T>, ExperimentError>
    where
        T: Serialize + DeserializeOwned + Send,
        F: Fn(&P, &Cell) -> Result<T, ExperimentError> + Sync,
    {
        let Self {
            context,
            group,
            params,
            seeds,
            version,
            reads,
        } = self;
        let data = context.hashes_of(&group, &reads);
        // Parameters are looked up by their JSON form, which is also part of the key on disk.
        let mut places = HashMap::new();
        let mut as_json = Vec::with_capacity(params.len());
        for params in &params {
            let json = to_json(&group, params)?;
            if places.insert(json.to_string(), as_json.len()).is_some() {
                let problem = format!("two cells of {group} have the parameters {json}");
                return Err(ExperimentError::new(problem));
            }
            as_json.push(json);
        }
        // Seeds are the inner loop: the results of one set of parameters are adjacent.
        let seeds_of_each = seeds.unwrap_or(1);
        let jobs: Vec<(usize, u64)> = (0..params.len())
            .flat_map(|place| (0..seeds_of_each).map(move |seed| (place, seed)))
            .collect();

        let (paper, master_seed) = (context.paper_id(), context.master_seed());
        let tree = context.seed().child(&group);
        let store = context.store();
        let progress = Progress::new(&group, jobs.len());
        // One cell: taken from disk if it is there, else computed and kept.
        let compute = |&(place, seed_index): &(usize, u64)| {
            let (params, json) = (&params[place], &as_json[place]);
            let key = Key {
                paper,
                group: &group,
                version,
                params: json,
                master_seed,
                seed_index: seeds.map(|_| seed_index),
                data: &data,
            };
            let doing = |error: ExperimentError| {
                let seed = seeds.map_or_else(String::new, |_| format!(", seed {seed_index}"));
                error.while_doing(format!("cell {group} {json}{seed}"))
            };
            let at = store.place(&key)?;
            // A kept result of another type was made by another version of the work.
            let kept = store.load(&at).and_then(|stored| {
                let result = T::deserialize(&stored.result).ok()?;
                Some((result, stored))
            });
            let is_new = kept.is_none();
            let (result, stored) = match kept {
                Some(kept) => kept,
                None => {
                    let _span = tracing::info_span!("cell", group, params = %json).entered();
                    let mut seed = tree.child(&json.to_string());
                    if seeds.is_some() {
                        seed = seed.index(seed_index);
                    }
                    let cell = Cell::new(seed, seed_index, store.scratch(&at));
                    let start = Instant::now();
                    let result = work(params, &cell).map_err(doing)?;
                    let seconds = start.elapsed().as_secs_f64();
                    // What is handed out has been through JSON, as a kept result has.
                    let value = serde_json::to_value(result).map_err(|e| doing(e.into()))?;
                    let result = T::deserialize(&value).map_err(|e| doing(e.into()))?;
                    (result, store.save(&at, &key, seconds, value)?)
                }
            };
            progress.advance(1);
            let record = report::Cell {
                group: group.clone(),
                params: json.clone(),
                seed_index: key.seed_index,
                file: at.file(),
                seconds: stored.seconds,
                is_new,
                other_build: store.is_of_other_build(&stored),
                load: stored.load,
            };
            Ok((result, record))
        };
        let finished: Result<Vec<(T, report::Cell)>, ExperimentError> =
            jobs.par_iter().map(compute).collect();
        let (flat, records): (Vec<T>, Vec<report::Cell>) = finished?.into_iter().unzip();
        progress.finish();
        context.results.cells.extend(records);

        // Back from one row of results to one row for each set of parameters.
        let mut flat = flat.into_iter();
        let mut of_one = || flat.by_ref().take(seeds_of_each as usize).collect();
        let results = (0..params.len()).map(|_| of_one()).collect();
        Ok(Grid {
            group,
            places,
            results,
            params: PhantomData,
        })
    }
}

impl<P: Serialize, T> Grid<P, T> {
    /// The result for these parameters; with several seeds that of the first.
    ///
    /// # Errors
    ///
    /// The group has no cell of these parameters, or no seeds.
    pub fn get(&self, params: &P) -> Result<&T, ExperimentError> {
        let by_seed = self.by_seed(params)?;
        by_seed
            .first()
            .ok_or_else(|| ExperimentError::new(format!("the group {} has no seeds", self.group)))
    }

    /// The results for these parameters, one for each seed, in the order of their indices.
    ///
    /// # Errors
    ///
    /// The group has no cell of these parameters.
    pub fn by_seed(&self, params: &P) -> Result<&[T], ExperimentError> {
        let json = to_json(&self.group, params)?;
        let place = self.places.get(&json.to_string());
        place.map(|&place| &*self.results[place]).ok_or_else(|| {
            let group = &self.group;
            ExperimentError::new(format!("no cell of {group} has the parameters {json}"))
        })
    }

    /// The mean of a quantity over the seeds, with its interval at 95 %
    /// ([`Estimate::mean`]). `of` names in the plural what a seed stands for, such as `trainings`.
    ///
    /// # Errors
    ///
    /// The group has no cell of these parameters.
    pub fn over_seeds(
        &self,
        params: &P,
        of: &str,
        unit: &str,
        quantity: impl Fn(&T) -> f64,
    ) -> Result<Estimate, ExperimentError> {
        let values: Vec<f64> = self.by_seed(params)?.iter().map(quantity).collect();
        // The bootstrap of many seeds draws; which draws matters less than that they repeat.
        let mut rng = crate::seed::SeedTree::new(0).child(&self.group).rng();
        Ok(Estimate::mean(&values, of, unit, &mut rng))
    }

    /// The results in the order of the parameters, each with its seeds in theirs.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[T]> {
        self.results.iter().map(Vec::as_slice)
    }

    /// The result of the first seed for each parameters, in their order.
    pub fn into_firsts(self) -> Vec<T> {
        let firsts = self
            .results
            .into_iter()
            .map(|by_seed| by_seed.into_iter().next());
        firsts.flatten().collect()
    }
}

fn to_json<P: Serialize>(group: &str, params: &P) -> Result<Value, ExperimentError> {
    serde_json::to_value(params)
        .map_err(|error| ExperimentError::from(error).while_doing(format!("cells {group}")))
}
