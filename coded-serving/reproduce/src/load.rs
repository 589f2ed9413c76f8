//! F6: open-loop load on workers with background transfers, in virtual time, and the load from which coding is
//! worse than more workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use septet_coded_serving::Tensor;
use septet_coded_serving::code::policy::EqualResources;
use septet_coded_serving::code::{Code, InvNet, MixedQueries, Replication};
use septet_coded_serving::engine::{Engine, Query, ReconstructionPolicy};
use septet_coded_serving::load::{
    Arrivals, Delay, LoadError, Outcome, Shuffle, Synthetic, open_loop,
};
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Grid, Profile, Scale, SeedTree, Table,
    Value,
};
use septet_core::stats;
use serde::{Deserialize, Serialize};

/// The number of workers without redundancy, their service time, and their capacity in queries per second.
const WORKERS: usize = 12;
const SERVICE: Duration = Duration::from_millis(20);
const CAPACITY: f64 = 600.0;
/// As in the evaluation of Parity Models: background flows, each of which doubles the service time of two workers.
const FLOWS: usize = 4;
const WEIGHT: f64 = 1.0;
const QUERIES: u64 = 100_000;
const SEEDS: u64 = 3;
const OF: &str = "runs of the simulation";
/// Loads as fractions of the capacity of the workers without redundancy. With eight of eighteen workers at half
/// their speed, the last one saturates all of them.
const LOADS: [f64; 11] = [
    0.33, 0.42, 0.50, 0.58, 0.67, 0.75, 0.83, 0.92, 1.00, 1.08, 1.17,
];
const GROUPS: [usize; 2] = [2, 4];

#[derive(Clone, Copy, Debug, Serialize, PartialEq)]
enum Scheme {
    /// As many additional workers as the code has, and no code.
    EqualResources,
    Coded,
    /// Coded, without shedding parities under load.
    Stubborn,
    /// Coded, with reconstructed answers released after three service times.
    Patient,
}

const SCHEMES: [Scheme; 4] = [
    Scheme::EqualResources,
    Scheme::Coded,
    Scheme::Stubborn,
    Scheme::Patient,
];

#[derive(Clone, Copy, Debug, Serialize)]
struct Setting {
    scheme: Scheme,
    group: usize,
    load: f64,
    queries: u64,
}

impl Setting {
    fn new(scheme: Scheme, group: usize, load: f64) -> Self {
        Self {
            scheme,
            group,
            load,
            queries: QUERIES,
        }
    }
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Measured {
    median: f64,
    p99: f64,
    p99_9: f64,
    approximate: f64,
    /// Answers that differ from the model's.
    wrong: u64,
}

/// A quantity of a measurement.
type Read = fn(&Measured) -> f64;

impl Measured {
    fn gap(&self) -> f64 {
        self.p99_9 - self.median
    }
}

pub(crate) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("F6") || cx.profile() == Profile::Quick {
        return Ok(());
    }
    // Every scheme, at every group size and every load.
    let mut settings = Vec::new();
    for scheme in SCHEMES {
        for group in GROUPS {
            settings.extend(LOADS.map(|load| Setting::new(scheme, group, load)));
        }
    }
    // All schemes get the same queries.
    let root = cx.seed().child("load");
    let grid = cx
        .grid("open loop", settings)
        .seeds(SEEDS)
        .run(|setting, cell| simulate(setting, &root.index(cell.seed_index())))?;
    for group in GROUPS {
        table(cx, group, &grid)?;
    }
    let of = |scheme, load| grid.by_seed(&Setting::new(scheme, 2, load));
    // Equal resources over coded: below one, coding has lost.
    let ratios = |load: f64, value: Read| -> Result<Vec<f64>, ExperimentError> {
        let pairs = of(Scheme::EqualResources, load)?.iter();
        let pairs = pairs.zip(of(Scheme::Coded, load)?);
        Ok(pairs
            .map(|(equal, coded)| value(equal) / value(coded))
            .collect())
    };
    // Two claims at low loads, where there is capacity to spare; groups of two in all claims.
    for (id, load, what) in [("F6.third", 0.33, "a third"), ("F6.half", 0.50, "half")] {
        let statement = format!(
            "At {what} of the capacity: the gap between 99.9th percentile and median of more workers \
             over that of coding two queries"
        );
        cx.claim(id, &statement)
            .scale(Scale::Beyond)
            .expect(Expected::AtLeast(1.5))
            .source("Parity Models report up to 3.5, on real machines")
            .measured(Estimate::range(&ratios(load, Measured::gap)?, OF, ""));
    }
    // The crossing is found in each run by itself: a crossing of means would have no spread.
    let mut by_load = Vec::new();
    for load in LOADS {
        by_load.push((load, ratios(load, Measured::gap)?));
    }
    let of_seed = |seed: usize| {
        let ratios: Vec<(f64, f64)> = by_load.iter().map(|(l, r)| (*l, r[seed])).collect();
        100.0 * crossing(&ratios)
    };
    let lost_from: Vec<f64> = (0..SEEDS as usize).map(of_seed).collect();
    cx.claim(
        "F6.crossover",
        "The load, of the capacity of twelve workers, from which on coding two queries has the larger gap",
    )
    .scale(Scale::Beyond)
    .expect(Expected::Between(50.0, 75.0))
    .source("this project's bound, from a first simulation with 68 %; none up to 117 % counts as 117 %")
    .measured(Estimate::range(&lost_from, OF, "%"));
    // Wrong answers are counted over all cells, so that an answer is the unit here.
    let wrong: u64 = grid.iter().flatten().map(|measured| measured.wrong).sum();
    let answers = QUERIES * grid.iter().flatten().count() as u64;
    cx.claim(
        "F6.wrong",
        "Answers under load that are not what the model gives, reconstructed ones included",
    )
    .scale(Scale::Beyond)
    .expect(Expected::AtMost(1e-6))
    .source("the mean of the queries is exact for a linear model")
    .measured(Estimate::proportion(wrong, answers, "answers"));
    Ok(())
}

/// The load at which the ratio first falls below one, by linear interpolation: the first load if it starts
/// below one, the last if it never falls below.
fn crossing(by_load: &[(f64, f64)]) -> f64 {
    if by_load.first().is_some_and(|&(_, ratio)| ratio < 1.0) {
        return LOADS[0];
    }
    let mut pairs = by_load.windows(2);
    let found = pairs.find_map(|pair| {
        let [(low, before), (high, after)] = [pair[0], pair[1]];
        let crosses = before >= 1.0 && after < 1.0;
        crosses.then(|| low + (high - low) * (before - 1.0) / (before - after))
    });
    found.unwrap_or(LOADS[LOADS.len() - 1])
}

fn table(
    cx: &mut Context,
    group: usize,
    grid: &Grid<Setting, Measured>,
) -> Result<(), ExperimentError> {
    // A table for each group size, since the number of additional workers depends on it.
    let mut table = Table::new(
        format!(
            "Latency in milliseconds under load, groups of {group}: {WORKERS} workers and {} more",
            WORKERS.div_ceil(group)
        ),
        [
            Column::number("load, %", 0),
            Column::text("Scheme"),
            Column::number("median", 1),
            Column::number("99 %", 1),
            Column::number("99.9 %", 1),
            Column::number("99.9 % - median", 1),
            Column::number("approximate answers, %", 1),
        ],
    )
    .note("Virtual time. Means of three seeds with 100 000 queries each.");
    // Loads outside, schemes inside: schemes at the same load stand next to each other.
    for load in LOADS {
        for scheme in SCHEMES {
            let measured = grid.by_seed(&Setting::new(scheme, group, load))?;
            // Percentiles of each run, then their mean: runs are not pooled.
            let mean = |value: Read| {
                Value::from(stats::mean(&measured.iter().map(value).collect::<Vec<_>>()))
            };
            table.push([
                Value::from(100.0 * load),
                Value::from(match scheme {
                    Scheme::EqualResources => "equal resources",
                    Scheme::Coded => "coded, first wins",
                    Scheme::Stubborn => "coded, nothing shed",
                    Scheme::Patient => "coded, after 60 ms",
                }),
                mean(|m| m.median),
                mean(|m| m.p99),
                mean(|m| m.p99_9),
                mean(Measured::gap),
                mean(|m| 100.0 * m.approximate),
            ]);
        }
    }
    cx.table(table);
    Ok(())
}

fn simulate(setting: &Setting, seed: &SeedTree) -> Result<Measured, ExperimentError> {
    // All schemes have the same number of workers; the load is relative to those without the extra.
    let extra = EqualResources::new(setting.group, 1)?.extra_workers(WORKERS);
    let workers = WORKERS + extra;
    // A replication of no copies is the engine without any code.
    let (code, policy): (Arc<dyn Code>, _) = match setting.scheme {
        Scheme::EqualResources => (
            Arc::new(Replication::new(1, 0)?),
            ReconstructionPolicy::FirstWins,
        ),
        Scheme::Coded | Scheme::Stubborn => (
            Arc::new(InvNet::new(setting.group, 1, MixedQueries)?),
            ReconstructionPolicy::FirstWins,
        ),
        Scheme::Patient => (
            Arc::new(InvNet::new(setting.group, 1, MixedQueries)?),
            ReconstructionPolicy::AfterDelay(3 * SERVICE),
        ),
    };
    let impossible = |error: LoadError| ExperimentError::new(error.to_string());
    // Arrivals, times of service and background flows all come from the seed that schemes share.
    let service = Delay::log_normal(SERVICE, 0.1).map_err(impossible)?;
    let arrivals = Arrivals::poisson(setting.load * CAPACITY).map_err(impossible)?;
    let shuffle = Shuffle::new(workers, FLOWS, WEIGHT, seed).map_err(impossible)?;
    let pool = Synthetic::new(workers, service, seed).with_shuffle(shuffle);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let wrong = Arc::new(AtomicU64::new(0));
    let summary = runtime.block_on(async {
        let mut engine = Engine::builder(code, pool)
            .policy(policy)
            .max_batch_delay(Duration::from_secs(1))
            // Unbounded, so that overload shows up as latency instead of rejected queries.
            .max_queue_len(usize::MAX);
        if setting.scheme == Scheme::Stubborn {
            engine = engine.shed_above(usize::MAX);
        }
        let engine = engine.build()?;
        let wrong = &wrong;
        let summary = open_loop(setting.queries, arrivals, seed, move |number| {
            let (engine, wrong) = (engine.clone(), Arc::clone(wrong));
            // The model answers what it is asked.
            let query = Query::new(Tensor::vector(vec![number as f32]));
            async move {
                let answer = engine.predict(query).await;
                // Queries are whole numbers: within a half, the answer is that of no other query.
                let is_right = answer.as_ref().is_ok_and(|answer| {
                    matches!(answer.output.values(), [value] if (value - number as f32).abs() < 0.5)
                });
                wrong.fetch_add(u64::from(!is_right), Ordering::Relaxed);
                Outcome::from(&answer)
            }
        })
        .await;
        Ok::<_, ExperimentError>(summary)
    })?;
    // A query without an answer has no latency, and would flatter the percentiles.
    if summary.answered() < setting.queries {
        return Err(ExperimentError::new("a simulated query was not answered"));
    }
    let milliseconds = |quantile| summary.quantile(quantile).as_secs_f64() * 1e3;
    Ok(Measured {
        median: milliseconds(0.5),
        p99: milliseconds(0.99),
        p99_9: milliseconds(0.999),
        approximate: summary.approximate(),
        wrong: wrong.load(Ordering::Relaxed),
    })
}
