//! `cachesim sim`

use std::io::{self, Write};

use anyhow::Result;
use rayon::prelude::*;
use septet_cache::policy::Tally;
use septet_cache::predict::PredictorSpec;
use septet_cache::set_associative::{Geometry, SetAssociative};
use septet_cache::trace::Trace;
use septet_cache::{PolicySpec, SeedTree};
use septet_core::telemetry::Progress;
use serde::Serialize;

use crate::input::Input;
use crate::sizes;

/// Requests per update of the progress bar.
const STEP: usize = 1 << 18;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    policies: Policies,
    /// Comma-separated cache sizes: 5000, 1MiB, or fractions of the working set such as 0.01;
    /// `auto` for six fractions.
    sizes: String,
    /// Treat ids as addresses of a cache with this number of sets; sizes are numbers of ways.
    #[arg(long)]
    sets: Option<u64>,
    /// Bytes per cache line.
    #[arg(long, default_value_t = 64, requires = "sets")]
    line_bytes: u64,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

/// The policies and their requirements.
#[derive(clap::Args)]
pub(crate) struct Policies {
    /// Comma-separated policies: LRU,S3FIFO,Belady, or D(FtP,LRU,gamma=0.01).
    #[arg(value_parser = parse_policies)]
    policies: PolicyList,
    /// Predictor for learned policies: popu, pleco, recency, reuse-table, oracle, negated,
    /// log-normal:SIGMA, gaussian:SIGMA, drifting:AT, flipped:PROBABILITY,
    /// belady-bits:PROBABILITY.
    #[arg(long)]
    predictor: Option<PredictorSpec>,
    /// Compute next accesses, for offline policies.
    #[arg(long)]
    annotate: bool,
    /// Random seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone)]
struct PolicyList(Vec<PolicySpec>);

fn parse_policies(text: &str) -> Result<PolicyList, septet_cache::CacheError> {
    PolicySpec::parse_list(text).map(PolicyList)
}

impl Policies {
    pub(crate) fn specs(&self) -> &[PolicySpec] {
        &self.policies.0
    }

    pub(crate) fn seed(&self) -> SeedTree {
        SeedTree::new(self.seed)
    }

    /// Computes next accesses and predictions as requested by the options.
    pub(crate) fn prepare(&self, trace: &mut Trace, capacity: u64) -> Result<()> {
        if self.annotate {
            trace.annotate();
        }
        if let Some(predictor) = &self.predictor {
            let seed = self.seed().child("predictor");
            let column = predictor.predict(trace, capacity as usize, &seed)?;
            trace.set_predictions(column)?;
        }
        Ok(())
    }

    /// Whether the predictions depend on the cache size.
    pub(crate) fn depend_on_capacity(&self) -> bool {
        matches!(self.predictor, Some(PredictorSpec::BeladyBits(_)))
    }
}

/// A row of the result.
#[derive(Serialize)]
struct Row {
    policy: String,
    size: u64,
    requests: u64,
    misses: u64,
    miss_ratio: f64,
    byte_miss_ratio: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut trace = arguments.input.load()?;
    let sizes = sizes::parse(&arguments.sizes, &trace)?;
    let mut rows = Vec::new();
    // Predictions that depend on the capacity are computed per size, others once.
    let groups: Vec<&[u64]> = if arguments.policies.depend_on_capacity() {
        sizes.chunks(1).collect()
    } else {
        vec![&sizes]
    };
    for sizes in groups {
        let Some(&first) = sizes.first() else {
            continue;
        };
        rows.extend(match arguments.sets {
            None => {
                arguments.policies.prepare(&mut trace, first)?;
                whole(arguments, &trace, sizes)?
            }
            Some(sets) => by_sets(arguments, &trace, sets, sizes)?,
        });
    }
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &rows).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        print(&rows, &mut out)?;
    }
    Ok(())
}

/// Every policy at every size, in parallel.
fn whole(arguments: &Arguments, trace: &Trace, sizes: &[u64]) -> Result<Vec<Row>> {
    let jobs = jobs(arguments, sizes);
    for spec in arguments.policies.specs() {
        // Report unmet requirements before the first long run.
        let policy = spec.build(sizes[0], &arguments.policies.seed())?;
        policy.needs().check(&spec.to_string(), trace)?;
    }
    let bar = Progress::new("simulating", jobs.len() * trace.len());
    jobs.par_iter()
        .map(|&(spec, size)| {
            let mut policy = spec.build(size, &arguments.policies.seed())?;
            let mut tally = Tally::default();
            // Replay in steps only to update the progress bar.
            for start in (0..trace.len()).step_by(STEP) {
                let end = trace.len().min(start + STEP);
                tally += policy.replay_range(trace, start..end);
                bar.advance(end - start);
            }
            Ok(row(spec, size, tally))
        })
        .collect()
}

/// Every policy at every number of ways, with independent sets.
fn by_sets(arguments: &Arguments, trace: &Trace, sets: u64, sizes: &[u64]) -> Result<Vec<Row>> {
    let geometry = Geometry {
        line_bytes: arguments.line_bytes,
        sets,
    };
    let mut split = SetAssociative::split(trace, geometry)?;
    let policies = &arguments.policies;
    if policies.annotate {
        split.annotate();
    }
    if let Some(predictor) = &policies.predictor {
        match predictor.online() {
            // An online predictor sees the whole trace, as hardware does; the others are computed per set.
            Some(mut online) => split.predict(&mut *online, trace)?,
            None => {
                let sets = split.sets().to_vec();
                split.predict_each(|set| {
                    let seed = policies.seed().child("predictor").index(set as u64);
                    predictor.predict(&sets[set], sizes[0] as usize, &seed)
                })?;
            }
        }
    }
    let jobs = jobs(arguments, sizes);
    let bar = Progress::new("simulating", jobs.len() * trace.len());
    jobs.par_iter()
        .map(|&(spec, size)| {
            let tally = split.replay(|set| spec.build(size, &policies.seed().index(set as u64)))?;
            bar.advance(trace.len());
            Ok(row(spec, size, tally))
        })
        .collect()
}

fn jobs<'a>(arguments: &'a Arguments, sizes: &[u64]) -> Vec<(&'a PolicySpec, u64)> {
    let specs = arguments.policies.specs();
    sizes
        .iter()
        .flat_map(|&size| specs.iter().map(move |spec| (spec, size)))
        .collect()
}

fn row(spec: &PolicySpec, size: u64, tally: Tally) -> Row {
    Row {
        policy: spec.to_string(),
        size,
        requests: tally.requests,
        misses: tally.misses,
        miss_ratio: tally.miss_ratio(),
        byte_miss_ratio: tally.byte_miss_ratio(),
    }
}

fn print(rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    let width = rows
        .iter()
        .map(|row| row.policy.chars().count())
        .max()
        .unwrap_or(0)
        .max("policy".len());
    writeln!(
        out,
        "{:<width$}  {:>14}  {:>12}  {:>12}  {:>10}  {:>15}",
        "policy", "size", "requests", "misses", "miss ratio", "byte miss ratio"
    )?;
    for row in rows {
        writeln!(
            out,
            "{:<width$}  {:>14}  {:>12}  {:>12}  {:>10.4}  {:>15.4}",
            row.policy, row.size, row.requests, row.misses, row.miss_ratio, row.byte_miss_ratio
        )?;
    }
    Ok(())
}
