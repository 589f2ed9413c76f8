//! Finished units of work, kept on disk.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ExperimentError;
use crate::data::{hexadecimal, sha256_of_file};
use crate::report::{Cell, write_whole};
use crate::seed::SeedTree;
use crate::telemetry::Progress;

/// In which order the cells of a group are worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As many at a time as there are threads.
    Parallel,
    /// One at a time, with nothing else running.
    OneAfterAnother,
}

/// The folder of finished cells.
#[derive(Debug)]
pub(super) struct Store {
    /// The folder of the report.
    folder: PathBuf,
    /// The hash of the running program: another program may work differently.
    program: String,
}

/// What all cells of a group are made from, besides the group, the parameters and the program.
#[derive(Debug, Serialize)]
pub(super) struct Ingredients<'a> {
    pub(super) paper: &'a str,
    pub(super) profile: &'a str,
    pub(super) master_seed: u64,
    pub(super) data: Vec<&'static str>,
}

/// A finished cell as it lies on disk.
#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    group: String,
    params: Value,
    seconds: f64,
    result: Value,
}

impl Store {
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        let program = sha256_of_file(&std::env::current_exe()?)?;
        Ok(Self { folder, program })
    }

    fn key(&self, made_from: &Ingredients<'_>, group: &str, params: &Value) -> String {
        let ingredients = serde_json::json!([self.program, made_from, group, params]);
        hexadecimal(&Sha256::digest(ingredients.to_string()))
    }

    /// The file of a cell, relative to the folder of the report.
    fn file(group: &str, key: &str) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let group = group.replace(|c| !is_plain(c), "_");
        format!("cells/{group}-{}.json", &key[..20])
    }

    /// A finished cell; `None` when there is none, or its file is damaged.
    fn load(&self, file: &str, key: &str) -> Option<Stored> {
        let text = fs::read_to_string(self.folder.join(file)).ok()?;
        let stored: Stored = serde_json::from_str(&text).ok()?;
        (stored.key == key).then_some(stored)
    }

    fn save(&self, file: &str, cell: &Stored) -> Result<(), ExperimentError> {
        let text = serde_json::to_string(cell)?;
        Ok(write_whole(&self.folder.join(file), &text)?)
    }
}

/// Works out the cells that are not finished yet. Gives the results, and the entries of the
/// report, in the order of the parameters.
pub(super) fn work_out<P, T, F>(
    store: &Store,
    made_from: &Ingredients<'_>,
    group: &str,
    seed: &SeedTree,
    params: &[P],
    work: F,
    order: Order,
) -> Result<(Vec<T>, Vec<Cell>), ExperimentError>
where
    P: Serialize + Sync,
    T: Serialize + DeserializeOwned + Send,
    F: Fn(&P, &SeedTree) -> Result<T, ExperimentError> + Sync,
{
    let params_as_json = distinct(group, params)?;
    let progress = Progress::new(group, params.len());
    let finish_one = |index: usize| -> Result<(T, Cell), ExperimentError> {
        let (params, json) = (&params[index], &params_as_json[index]);
        let doing = || format!("cell {group} {json}");
        let key = store.key(made_from, group, json);
        let file = Store::file(group, &key);
        // A kept result of another type was made by another version of the work.
        let kept = store.load(&file, &key).and_then(|stored| {
            let result = serde_json::from_value(stored.result).ok()?;
            Some((result, stored.seconds))
        });
        let (result, seconds) = match kept {
            Some(kept) => kept,
            None => {
                let _span = tracing::info_span!("cell", group, params = %json).entered();
                let seed = seed.child(&json.to_string());
                let start = Instant::now();
                let result = work(params, &seed).map_err(|error| error.while_doing(doing()))?;
                let seconds = start.elapsed().as_secs_f64();
                let survives = |error| ExperimentError::from(error).while_doing(doing());
                let stored = Stored {
                    key,
                    group: group.to_owned(),
                    params: json.clone(),
                    seconds,
                    result: serde_json::to_value(result).map_err(survives)?,
                };
                let result = T::deserialize(&stored.result).map_err(survives)?;
                store.save(&file, &stored)?;
                (result, seconds)
            }
        };
        progress.advance(1);
        let cell = Cell {
            group: group.to_owned(),
            params: json.clone(),
            file,
            seconds,
        };
        Ok((result, cell))
    };
    let indices = 0..params.len();
    let finished: Result<Vec<(T, Cell)>, ExperimentError> = match order {
        Order::Parallel => indices.into_par_iter().map(finish_one).collect(),
        Order::OneAfterAnother => indices.map(finish_one).collect(),
    };
    let finished = finished?;
    progress.finish();
    Ok(finished.into_iter().unzip())
}

/// The parameters as JSON, when no two are equal.
fn distinct<P: Serialize>(group: &str, params: &[P]) -> Result<Vec<Value>, ExperimentError> {
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(params.len());
    for params in params {
        let json = serde_json::to_value(params)
            .map_err(|error| ExperimentError::from(error).while_doing(format!("cells {group}")))?;
        if !seen.insert(json.to_string()) {
            let problem = format!("two cells of {group} have the parameters {json}");
            return Err(ExperimentError::new(problem));
        }
        all.push(json);
    }
    Ok(all)
}
