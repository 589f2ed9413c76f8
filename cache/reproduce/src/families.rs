//! The real traces: families of instances that share a cache size.

use std::path::Path;

use septet_cache::set_associative::{Geometry, SetAssociative};
use septet_cache::trace::{self, Archive, ReadOptions, Trace, TraceFormat};
use septet_core::experiment::{Context, DataSet, ExperimentError, Profile};

const CHECK_INS_AND_RIDES: &str = "cache-brightkite-citibike";
const INSTRUMENTED: &str = "cache-instrumented";

/// Slots of a set in the last-level cache of the study.
pub(crate) const WAYS: usize = 16;

/// Requests of the longest instrumented trace that the quick profile uses.
const QUICK_REQUESTS: usize = 300_000;

/// Instances of paging with one cache size; their misses are summed.
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) capacity: usize,
    /// A real trace is what it is; a generator draws one for each seed.
    pub(crate) draws: Vec<Draw>,
    pub(crate) origin: Origin,
}

/// The instances of a real trace, or of one that was generated with one seed.
pub(crate) struct Draw {
    /// Annotated with the future.
    pub(crate) instances: Vec<Trace>,
    /// The whole trace of a set-associative cache, and its sets, which are the instances.
    pub(crate) sets: Option<(Trace, SetAssociative)>,
}

/// Where the requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Check-ins and rides of the earlier literature.
    Literature,
    /// Memory accesses of instrumented programs, in the place of the SPEC traces of the paper.
    Instrumented,
    Generated,
}

impl Draw {
    pub(crate) fn new(mut instances: Vec<Trace>) -> Self {
        for instance in &mut instances {
            instance.annotate();
        }
        Self {
            instances,
            sets: None,
        }
    }

    /// The sets of a last-level cache.
    pub(crate) fn set_associative(whole: Trace) -> Result<Self, ExperimentError> {
        let mut sets = SetAssociative::split(&whole, Geometry::STUDY)?;
        sets.annotate();
        Ok(Self {
            instances: sets.sets().to_vec(),
            sets: Some((whole, sets)),
        })
    }
}

impl Family {
    /// The requests of the first draw.
    pub(crate) fn requests(&self) -> usize {
        self.draws
            .first()
            .map_or(0, |draw| draw.instances.iter().map(Trace::len).sum())
    }

    /// Whether its instances are the sets of a cache.
    pub(crate) fn is_set_associative(&self) -> bool {
        self.draws.first().is_some_and(|draw| draw.sets.is_some())
    }

    /// What the replicates of a measurement on it are.
    pub(crate) fn replicates(&self) -> &'static str {
        match self.origin {
            Origin::Literature | Origin::Instrumented => "seeds of the policy",
            Origin::Generated => "generated traces",
        }
    }

    /// The name in the ids of claims and figures.
    pub(crate) fn slug(&self) -> String {
        self.name.to_lowercase().replace(' ', "-")
    }
}

impl Origin {
    /// The name in the ids of claims.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Literature => "literature",
            Self::Instrumented => "programs",
            Self::Generated => "generated",
        }
    }

    /// What reports call such traces.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Literature => "check-ins and rides",
            Self::Instrumented => "instrumented programs",
            Self::Generated => "generated traces",
        }
    }

    /// The data set that the traces are in.
    pub(crate) fn data_set(self) -> Option<&'static str> {
        match self {
            Self::Literature => Some(CHECK_INS_AND_RIDES),
            Self::Instrumented => Some(INSTRUMENTED),
            Self::Generated => None,
        }
    }
}

/// The families of the data sets that are there.
pub(crate) fn real(cx: &mut Context) -> Result<Vec<Family>, ExperimentError> {
    let mut families = Vec::new();
    if let Some(set) = cx.data(CHECK_INS_AND_RIDES) {
        let path = set.path("brightkite_citibike.zip")?;
        families.push(archived(&path, "BrightKite", "bk", 10)?);
        families.push(archived(&path, "Citi Bike", "citi", 100)?);
    }
    if let Some(set) = cx.data(INSTRUMENTED) {
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
    Ok(Family {
        name: name.to_owned(),
        capacity,
        draws: vec![Draw::new(instances)],
        origin: Origin::Literature,
    })
}

fn instrumented(set: &DataSet, name: &str, profile: Profile) -> Result<Family, ExperimentError> {
    let path = set.path(&format!("{name}.csv.zst"))?;
    let reader = trace::open(&path, TraceFormat::PcAddress, &ReadOptions::default())?;
    let mut whole = Trace::from_records(reader)?;
    if profile == Profile::Quick && whole.len() > QUICK_REQUESTS {
        whole = whole.slice(0, QUICK_REQUESTS);
    }
    Ok(Family {
        name: name.to_owned(),
        capacity: WAYS,
        draws: vec![Draw::set_associative(whole)?],
        origin: Origin::Instrumented,
    })
}
