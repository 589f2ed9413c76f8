//! `simulate`: compares codes by latency, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

use septet_coded_serving::Tensor;
use septet_coded_serving::code::policy::{EqualResources, Hedging};
use septet_coded_serving::code::{Code, InvNet, MixedQueries, Replication};
use septet_coded_serving::engine::{Engine, Query, ReconstructionPolicy};
use septet_coded_serving::load::{
    Arrivals, Delay, Outcome, Shuffle, Summary, Synthetic, open_loop,
};
use septet_core::cli::Failure;
use septet_core::seed::SeedTree;

use crate::quantity::{Time, milliseconds};

/// The workers, their stragglers, and the load.
#[derive(Args, Clone, Debug)]
pub(crate) struct Scenario {
    /// The number of workers, not counting those for redundancy
    #[arg(long, default_value_t = 12)]
    pub(crate) workers: usize,
    /// The median service time of a task
    #[arg(long, default_value = "20ms")]
    pub(crate) service_time: Time,
    /// The standard deviation of the logarithm of the service time
    #[arg(long, default_value_t = 0.1)]
    pub(crate) sigma: f64,
    /// The additional time of a straggling task
    #[arg(long, default_value = "100ms")]
    pub(crate) delay: Time,
    /// The probability that a task straggles
    #[arg(long, default_value_t = 0.0)]
    pub(crate) delay_probability: f64,
    /// The number of background transfers, each of which slows a pair of workers
    #[arg(long, default_value_t = 0)]
    pub(crate) flows: usize,
    /// The slowdown by a transfer: 1 doubles the service time
    #[arg(long, default_value_t = 1.0)]
    pub(crate) flow_weight: f64,
    /// Queries per second
    #[arg(long, default_value_t = 300.0)]
    pub(crate) rate: f64,
    /// The number of queries
    #[arg(long, default_value_t = 20_000)]
    pub(crate) queries: u64,
    /// When reconstructed answers are released: first, never, a delay or a latency quantile
    #[arg(long, default_value = "first")]
    pub(crate) reconstruct: crate::config::Policy,
    /// The seed
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// Queries per group
    #[arg(long, default_value_t = 2)]
    group: usize,
    #[command(flatten)]
    scenario: Scenario,
}

/// A strategy against stragglers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    None,
    EqualResources,
    Hedging,
    Replication,
    Coded,
}

/// A strategy with its group size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheme {
    pub(crate) strategy: Strategy,
    pub(crate) group: usize,
}

impl Scheme {
    /// Its name in tables.
    pub(crate) fn name(self) -> String {
        match self.strategy {
            Strategy::None => "no redundancy".to_owned(),
            Strategy::EqualResources => format!("equal resources (of {})", self.group),
            Strategy::Hedging => "hedging (quantile .95, 10 %)".to_owned(),
            Strategy::Replication => "replication (2)".to_owned(),
            Strategy::Coded => format!("coded ({},1)", self.group),
        }
    }

    /// The number of workers that the strategy adds.
    pub(crate) fn extra_workers(self, workers: usize) -> usize {
        match self.strategy {
            Strategy::None | Strategy::Hedging => 0,
            Strategy::EqualResources | Strategy::Coded => workers.div_ceil(self.group.max(1)),
            Strategy::Replication => workers,
        }
    }
}

impl Scenario {
    /// Runs a scheme in virtual time.
    pub(crate) fn run(&self, scheme: Scheme) -> anyhow::Result<Summary> {
        if self.workers == 0 {
            return Err(Failure::usage("--workers: expected at least 1, found 0").into());
        }
        let seed = SeedTree::new(self.seed);
        let service = Delay::log_normal(self.service_time.0, self.sigma)?
            .with_stragglers(self.delay_probability, self.delay.0)?;
        let workers = self.workers + scheme.extra_workers(self.workers);
        let mut pool = Synthetic::new(workers, service, &seed);
        if self.flows > 0 {
            let shuffle = Shuffle::new(workers, self.flows, self.flow_weight, &seed)?;
            pool = pool.with_shuffle(shuffle);
        }
        let code: Arc<dyn Code> = match scheme.strategy {
            Strategy::None | Strategy::Hedging => Arc::new(Replication::new(1, 0)?),
            Strategy::EqualResources => {
                // Only adds workers; this checks the group size.
                EqualResources::new(scheme.group, 1)?;
                Arc::new(Replication::new(1, 0)?)
            }
            Strategy::Replication => Arc::new(Replication::new(1, 1)?),
            Strategy::Coded => Arc::new(InvNet::new(scheme.group, 1, MixedQueries)?),
        };
        let policy = match scheme.strategy {
            // A copy is as good as the query's own answer.
            Strategy::Replication => ReconstructionPolicy::FirstWins,
            _ => self.reconstruct.0,
        };
        let hedging = match scheme.strategy {
            Strategy::Hedging => Some(Hedging::new(0.95, 0.1)?),
            _ => None,
        };
        let arrivals = Arrivals::poisson(self.rate)?;
        let queries = self.queries;
        // A paused clock on one thread: time advances when all tasks wait, and runs are reproducible.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        runtime.block_on(async move {
            let mut builder = Engine::builder(code, pool)
                .policy(policy)
                .max_batch_delay(Duration::from_secs(1))
                // Unbounded, so that overload shows up as latency instead of rejected queries.
                .max_queue_len(usize::MAX);
            if let Some(hedging) = hedging {
                builder = builder.hedging(hedging);
            }
            let engine = builder.build()?;
            let summary = open_loop(queries, arrivals, &seed, move |number| {
                let engine = engine.clone();
                let query = Query::new(Tensor::vector(vec![number as f32, 1.0]));
                async move { Outcome::from(&engine.predict(query).await) }
            })
            .await;
            Ok(summary)
        })
    }

    /// The load, as a fraction of the capacity of the workers without redundancy.
    pub(crate) fn load(&self) -> f64 {
        self.rate * self.service_time.0.as_secs_f64() / self.workers.max(1) as f64
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let scenario = &arguments.scenario;
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "scheme",
        "workers",
        "p50 ms",
        "mean",
        "p99",
        "p99.9",
        "p99.9 - p50",
        "approximate, %",
    ]);
    for strategy in Strategy::value_variants() {
        let scheme = Scheme {
            strategy: *strategy,
            group: arguments.group,
        };
        let summary = scenario.run(scheme)?;
        let (median, tail) = (summary.quantile(0.5), summary.quantile(0.999));
        let approximate = match strategy {
            Strategy::Replication => 0.0,
            _ => 100.0 * summary.approximate(),
        };
        table.add_row([
            scheme.name(),
            (scenario.workers + scheme.extra_workers(scenario.workers)).to_string(),
            milliseconds(median),
            milliseconds(summary.mean()),
            milliseconds(summary.quantile(0.99)),
            milliseconds(tail),
            milliseconds(tail.saturating_sub(median)),
            format!("{approximate:.1}"),
        ]);
    }
    // After the runs, which check the arguments: an error leaves standard output empty.
    println!(
        "{} queries in virtual time, {:.0} per second: {:.0} % of the capacity of {} workers\n",
        scenario.queries,
        scenario.rate,
        100.0 * scenario.load(),
        scenario.workers
    );
    println!("{table}");
    Ok(())
}
