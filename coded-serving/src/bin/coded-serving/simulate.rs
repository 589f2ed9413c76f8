//! `simulate`: codes by latency, in virtual time.

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
    Answered, Arrivals, Delay, Shuffle, Summary, Synthetic, open_loop,
};
use septet_core::seed::SeedTree;

use crate::quantity::{Time, milliseconds};

/// What slows workers, and how much there is to do.
#[derive(Args, Clone, Debug)]
pub(crate) struct Scenario {
    /// Workers without any redundancy
    #[arg(long, default_value_t = 12)]
    pub(crate) workers: usize,
    /// The median time of a task
    #[arg(long, default_value = "20ms")]
    pub(crate) service: Time,
    /// The standard deviation of the logarithm of that time
    #[arg(long, default_value_t = 0.1)]
    pub(crate) spread: f64,
    /// A task takes so much longer ...
    #[arg(long, default_value = "100ms")]
    pub(crate) delay: Time,
    /// ... with this probability
    #[arg(long, default_value_t = 0.0)]
    pub(crate) delay_probability: f64,
    /// Transfers in the background, each of which slows a pair of workers
    #[arg(long, default_value_t = 0)]
    pub(crate) flows: usize,
    /// By how much a transfer slows: 1 for twice the time
    #[arg(long, default_value_t = 1.0)]
    pub(crate) flow_weight: f64,
    /// Queries a second
    #[arg(long, default_value_t = 300.0)]
    pub(crate) rate: f64,
    /// How many queries
    #[arg(long, default_value_t = 20_000)]
    pub(crate) queries: u64,
    /// When reconstructed answers are given out: first, never, a delay or a quantile
    #[arg(long, default_value = "first")]
    pub(crate) reconstruct: crate::config::Policy,
    /// The seed
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// Queries of a group
    #[arg(long, default_value_t = 2)]
    group: usize,
    #[command(flatten)]
    scenario: Scenario,
}

/// How a pool guards against stragglers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Guard {
    None,
    EqualResources,
    Hedging,
    Replication,
    Coded,
}

/// A guard with its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheme {
    pub(crate) guard: Guard,
    pub(crate) group: usize,
}

impl Scheme {
    /// Its name in tables.
    pub(crate) fn name(self) -> String {
        match self.guard {
            Guard::None => "no redundancy".to_owned(),
            Guard::EqualResources => format!("equal resources (of {})", self.group),
            Guard::Hedging => "hedging (quantile .95, 10 %)".to_owned(),
            Guard::Replication => "replication (2)".to_owned(),
            Guard::Coded => format!("coded ({},1)", self.group),
        }
    }

    /// Workers besides those of the scenario.
    pub(crate) fn extra_workers(self, workers: usize) -> usize {
        match self.guard {
            Guard::None | Guard::Hedging => 0,
            Guard::EqualResources | Guard::Coded => workers.div_ceil(self.group.max(1)),
            Guard::Replication => workers,
        }
    }
}

impl Scenario {
    /// Runs a scheme in virtual time.
    pub(crate) fn run(&self, scheme: Scheme) -> anyhow::Result<Summary> {
        if self.workers == 0 {
            anyhow::bail!("--workers: expected at least 1, found 0");
        }
        let seed = SeedTree::new(self.seed);
        let service = Delay::log_normal(self.service.0, self.spread)?
            .or_more(self.delay_probability, self.delay.0)?;
        let workers = self.workers + scheme.extra_workers(self.workers);
        let mut pool = Synthetic::new(workers, service, &seed);
        if self.flows > 0 {
            pool = pool.shuffled(Shuffle::new(workers, self.flows, self.flow_weight, &seed));
        }
        let code: Arc<dyn Code> = match scheme.guard {
            Guard::None | Guard::Hedging => Arc::new(Replication::new(1, 0)?),
            Guard::EqualResources => {
                // Checks the size, and is only more workers.
                EqualResources::new(scheme.group, 1)?;
                Arc::new(Replication::new(1, 0)?)
            }
            Guard::Replication => Arc::new(Replication::new(1, 1)?),
            Guard::Coded => Arc::new(InvNet::new(scheme.group, 1, MixedQueries)?),
        };
        let policy = match scheme.guard {
            // The copy is the same model's answer.
            Guard::Replication => ReconstructionPolicy::FirstWins,
            _ => self.reconstruct.0,
        };
        let hedging = match scheme.guard {
            Guard::Hedging => Some(Hedging::new(0.95, 0.1)?),
            _ => None,
        };
        let arrivals = Arrivals::poisson(self.rate)?;
        let queries = self.queries;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        Ok(runtime.block_on(async move {
            let mut builder = Engine::builder(code, pool)
                .policy(policy)
                .fill_deadline(Duration::from_secs(1))
                // The queue is not bounded: what overload does has to be seen.
                .most_waiting(usize::MAX);
            if let Some(hedging) = hedging {
                builder = builder.hedging(hedging);
            }
            let engine = builder.build();
            open_loop(queries, arrivals, &seed, move |number| {
                let engine = engine.clone();
                let query = Query::new(Tensor::vector(vec![number as f32, 1.0]));
                async move { Answered::from(&engine.predict(query).await) }
            })
            .await
        }))
    }

    /// The load in shares of what the workers without redundancy can do.
    pub(crate) fn load(&self) -> f64 {
        self.rate * self.service.0.as_secs_f64() / self.workers.max(1) as f64
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let scenario = &arguments.scenario;
    println!(
        "{} queries in virtual time, {:.0} a second: {:.0} % of what {} workers can do\n",
        scenario.queries,
        scenario.rate,
        100.0 * scenario.load(),
        scenario.workers
    );
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
    for guard in Guard::value_variants() {
        let scheme = Scheme {
            guard: *guard,
            group: arguments.group,
        };
        let summary = scenario.run(scheme)?;
        let (median, tail) = (summary.quantile(0.5), summary.quantile(0.999));
        let approximate = match guard {
            Guard::Replication => 0.0,
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
    println!("{table}");
    Ok(())
}
