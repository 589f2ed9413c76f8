//! The traces, as files that both libraries read.

use std::path::{Path, PathBuf};

use anyhow::bail;
use septet_cache::trace::generate::Pattern;
use septet_cache::trace::{self, ReadOptions, Trace, TraceFormat};
use septet_cache::{CacheError, SeedTree};
use septet_core::cli::Failure;

/// A trace in a file, and the capacity to replay it with.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Name of the trace.
    pub name: String,
    /// Pages of the cache.
    pub capacity: u64,
    /// The `oracleGeneral` file.
    pub path: PathBuf,
}

/// Where a trace comes from.
struct Source {
    name: &'static str,
    capacity: u64,
    /// The file within the data folder and its format; `None` for the generated trace.
    file: Option<(&'static str, TraceFormat)>,
}

const SOURCES: [Source; 4] = [
    Source {
        name: "OLTP",
        capacity: 5_000,
        file: Some(("cache/OLTP.lis.zst", TraceFormat::Arc)),
    },
    Source {
        name: "P3",
        capacity: 80_000,
        file: Some(("cache/P3.lis.zst", TraceFormat::Arc)),
    },
    Source {
        name: "cloudPhysicsIO",
        capacity: 5_000,
        file: Some((
            "cache/libcachesim/cloudPhysicsIO.oracleGeneral.bin",
            TraceFormat::OracleGeneral,
        )),
    },
    Source {
        name: "zipf-1.0",
        capacity: 10_000,
        file: None,
    },
];

/// Converts the traces that the data folder holds, or generates one when there is none, and leaves
/// them in `output` for later runs. Traces that `names` lists must be there.
///
/// # Errors
/// When a trace is unknown, missing or cannot be converted.
pub fn prepare(
    data: Option<&Path>,
    names: &[String],
    output: &Path,
    log: &mut dyn FnMut(&str),
) -> anyhow::Result<Vec<Workload>> {
    // A misspelled name must not silently skip a trace.
    if let Some(unknown) = names
        .iter()
        .find(|name| SOURCES.iter().all(|source| source.name != *name))
    {
        let known = SOURCES.map(|source| source.name).join(", ");
        let message = format!("unknown trace {unknown:?}; known: {known}");
        return Err(Failure::usage(message).into());
    }
    let mut workloads = Vec::new();
    for source in &SOURCES {
        let is_named = names.iter().any(|name| name == source.name);
        if !names.is_empty() && !is_named {
            continue;
        }
        let file = match source.file {
            // Generated: the stand-in of those who have no data.
            None if workloads.is_empty() || is_named => None,
            None => continue,
            Some((file, format)) => match data.map(|data| data.join(file)) {
                Some(file) if file.exists() => Some((file, format)),
                _ => {
                    let missing = format!("{} is not in the data folder", source.name);
                    if is_named {
                        bail!("{missing} that SEPTET_DATA or --data names");
                    }
                    log(&format!("skipped: {missing}"));
                    continue;
                }
            },
        };
        let path = output.join(format!("{}.oracleGeneral.bin", source.name));
        // Converted or generated once; the file serves later runs too.
        if !path.exists() {
            log(&format!("preparing {}", source.name));
            let mut trace = match file {
                Some((file, format)) => {
                    Trace::from_records(trace::open(&file, format, &ReadOptions::default())?)?
                }
                None => zipf()?,
            };
            // Capacities are numbers of pages.
            trace.ignore_sizes();
            trace::write(&path, TraceFormat::OracleGeneral, &trace)?;
        }
        workloads.push(Workload {
            name: source.name.to_owned(),
            capacity: source.capacity,
            path,
        });
    }
    Ok(workloads)
}

/// A million requests for 100 000 pages, whose popularity falls as 1/rank.
fn zipf() -> Result<Trace, CacheError> {
    let pattern = Pattern::Zipf {
        objects: 100_000,
        alpha: 1.0,
    };
    let requests = pattern.requests(&SeedTree::new(0).child("zipf-1.0"))?;
    Trace::from_records(requests.take(1_000_000).map(Ok))
}
