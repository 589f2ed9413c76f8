//! The real traces: families of instances that share a cache size.

use std::path::Path;

use septet_core::experiment::{Context, DataSet, ExperimentError, Profile, Scale};

use crate::set_associative::{Geometry, SetAssociative};
use crate::trace::{self, Archive, ReadOptions, Trace, TraceFormat};

/// The data sets that the experiments use; the quick profile uses the first two.
pub(super) const DATA_SETS: [&str; 5] = [
    "cache-brightkite-citibike",
    "cache-instrumented",
    "cache-arc",
    "cache-lirs",
    "cache-cloudphysics",
];

/// Slots of a set in the last-level cache of the study.
const WAYS: usize = 16;

/// Requests of the longest instrumented trace that the quick profile uses.
const QUICK_REQUESTS: usize = 300_000;

/// Instances of paging with one cache size; their misses are summed.
pub(super) struct Family {
    pub(super) name: String,
    pub(super) capacity: usize,
    /// Annotated with the future.
    pub(super) instances: Vec<Trace>,
    /// The whole trace of a set-associative cache, and its sets, which are the instances.
    pub(super) sets: Option<(Trace, SetAssociative)>,
    pub(super) origin: Origin,
}

/// Where the requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Check-ins and rides of the earlier literature: the data that the study's code is tested on.
    Literature,
    /// Memory accesses of instrumented programs, in the place of the SPEC traces of the paper.
    Instrumented,
    Generated,
}

impl Family {
    pub(super) fn new(
        name: impl Into<String>,
        capacity: usize,
        mut instances: Vec<Trace>,
        origin: Origin,
    ) -> Self {
        for instance in &mut instances {
            instance.annotate();
        }
        Self {
            name: name.into(),
            capacity,
            instances,
            sets: None,
            origin,
        }
    }

    /// The sets of a last-level cache.
    pub(super) fn set_associative(
        name: impl Into<String>,
        whole: Trace,
        origin: Origin,
    ) -> Result<Self, ExperimentError> {
        let mut sets = SetAssociative::split(&whole, Geometry::STUDY)?;
        sets.annotate();
        Ok(Self {
            name: name.into(),
            capacity: WAYS,
            instances: sets.sets().to_vec(),
            sets: Some((whole, sets)),
            origin,
        })
    }

    pub(super) fn requests(&self) -> usize {
        self.instances.iter().map(Trace::len).sum()
    }
}

impl Origin {
    /// The name in the ids of claims.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Literature => "literature",
            Self::Instrumented => "programs",
            Self::Generated => "generated",
        }
    }

    /// The scale at which a claim on such traces is verified.
    pub(super) fn scale(self) -> Scale {
        match self {
            Self::Literature => Scale::Original,
            Self::Instrumented | Self::Generated => Scale::Scaled,
        }
    }
}

/// The families of the data sets that are there.
pub(super) fn real(cx: &mut Context) -> Result<Vec<Family>, ExperimentError> {
    let mut families = Vec::new();
    if let Some(set) = cx.data("cache-brightkite-citibike") {
        let path = set.path("brightkite_citibike.zip")?;
        families.push(archived(&path, "BrightKite", "bk", 10)?);
        families.push(archived(&path, "Citi Bike", "citi", 100)?);
    }
    if let Some(set) = cx.data("cache-instrumented") {
        for name in ["mcf-like", "libq-like", "lbm-like", "astar-like", "bzip2"] {
            families.push(instrumented(&set, name, cx.profile())?);
        }
    }
    Ok(families)
}

/// The instances of an archive whose file names begin with a prefix, in the order of their names.
fn archived(
    path: &Path,
    name: &str,
    prefix: &str,
    capacity: usize,
) -> Result<Family, ExperimentError> {
    let mut archive = Archive::open(path)?;
    let mut files: Vec<String> = archive
        .names()?
        .into_iter()
        .filter(|file| {
            let base = file.rsplit('/').next().unwrap_or(file);
            base.starts_with(prefix) && base.ends_with(".txt")
        })
        .collect();
    files.sort();
    let mut instances = Vec::with_capacity(files.len());
    for file in &files {
        let reader = archive.reader(file, TraceFormat::Txt, &ReadOptions::default())?;
        instances.push(Trace::from_records(reader)?);
    }
    Ok(Family::new(name, capacity, instances, Origin::Literature))
}

fn instrumented(set: &DataSet, name: &str, profile: Profile) -> Result<Family, ExperimentError> {
    let path = set.path(&format!("{name}.csv.zst"))?;
    let reader = trace::open(&path, TraceFormat::PcAddress, &ReadOptions::default())?;
    let mut whole = Trace::from_records(reader)?;
    if profile == Profile::Quick && whole.len() > QUICK_REQUESTS {
        whole = whole.slice(0, QUICK_REQUESTS);
    }
    Family::set_associative(name, whole, Origin::Instrumented)
}
