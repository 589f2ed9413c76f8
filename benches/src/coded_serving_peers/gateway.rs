//! What a gateway adds to the latency of a query.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use septet_coded_serving::Tensor;
use septet_coded_serving::backend::{HttpWorker, LocalWorker, ModelNames, Pool};
use septet_coded_serving::code::{InvNet, MixedQueries, Model, Replication};
use septet_coded_serving::engine::{Engine, ReconstructionPolicy};
use septet_coded_serving::load::{Arrivals, Outcome, open_loop};
use septet_coded_serving::protocol::{DATATYPE, ModelMetadata, TensorMetadata};
use septet_core::seed::SeedTree;
use serde::Serialize;

use super::client::Client;
use super::latencies::{Latencies, Quantiles};
use super::server::{NAME, ServerThread, all_cores, one_thread};
use super::{GROUP, Plan, WIDTH, images};
use crate::cache_peers::sample::Spread;

/// Queries of the warm-up, which opens connections and fetches the metadata of models.
const WARM_UP: usize = 500;

/// Latencies of the same load, from when a query was sent, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Gateway {
    /// Queries a second.
    pub rate: f64,
    /// Queries to each.
    pub requests: u64,
    /// Of the workers, queried in turn.
    pub direct: Quantiles,
    /// Of a gateway before the same workers.
    pub gateway: Quantiles,
    /// By how much the medians differ.
    pub added: f64,
    /// The differences of the medians of each repetition.
    pub added_each: Vec<f64>,
    /// Medians of latencies from when a query was due, which the timer of the load generator rounds up
    /// to milliseconds: direct, and through the gateway.
    pub since_due: [f64; 2],
    /// Redundant tasks for each query.
    pub redundant: f64,
}

/// One side of the comparison.
struct Side {
    clients: Vec<Client>,
    all: Latencies,
    medians: Vec<f64>,
    since_due: Vec<f64>,
}

pub(super) fn measure(
    plan: &Plan,
    seed: &SeedTree,
    log: &mut dyn FnMut(&str),
) -> anyhow::Result<Gateway> {
    let queries = images(64, seed)?;
    // Ten workers for the queries of a group and one for its parity.
    let workers: Vec<ServerThread> = (0..=GROUP)
        .map(|_| echo_server())
        .collect::<anyhow::Result<_>>()?;
    let pool: Result<Vec<_>, _> = workers
        .iter()
        .map(|worker| HttpWorker::new(&worker.url, ModelNames::base(NAME)).map(Into::into))
        .collect();
    // As in `coded-serving demo`: groups fill, and answers of live workers get 20 ms to arrive.
    let code = Arc::new(InvNet::new(GROUP, 1, MixedQueries)?);
    let engine = Engine::builder(code, Pool::new(pool?))
        .policy(ReconstructionPolicy::AfterDelay(Duration::from_millis(20)))
        .max_batch_delay(plan.fill)
        .build()?;
    let counts = engine.clone();
    let gateway = ServerThread::start(all_cores()?, engine, echo_metadata())?;

    let client = |url: &str| Client::new(url, NAME, &queries, true);
    let mut direct = Side::new(
        workers
            .iter()
            .map(|worker| client(&worker.url))
            .collect::<anyhow::Result<_>>()?,
    )?;
    let mut through = Side::new(vec![client(&gateway.url)?])?;
    let expected: Vec<Tensor> = queries.iter().map(first_ten).collect();
    let runtime = one_thread()?;
    // Both sides must answer correctly, and be warm before anything counts.
    let before = runtime.block_on(async {
        for side in [&direct, &through] {
            for client in &side.clients {
                client.check(&expected).await?;
            }
            for number in 0..WARM_UP {
                side.clients[number % side.clients.len()]
                    .infer(number)
                    .await?;
            }
        }
        anyhow::Ok(counts.statistics())
    })?;
    for repetition in 0..plan.repetitions {
        log(&format!(
            "gateway: repetition {} of {}",
            repetition + 1,
            plan.repetitions
        ));
        // Both sides get the same arrivals; which is first alternates, so that a drift of the
        // machine's speed favors neither.
        let seed = seed.index(u64::from(repetition));
        let mut sides = [&mut direct, &mut through];
        if repetition % 2 == 1 {
            sides.reverse();
        }
        for side in sides {
            runtime.block_on(side.load(plan, &seed))?;
        }
    }
    // Redundant tasks for each accepted query, without the warm-up.
    let after = counts.statistics();
    let accepted = (after.accepted - before.accepted).max(1) as f64;
    let redundant = (after.redundant - before.redundant) as f64 / accepted;
    // Differences within a repetition, whose two loads ran one after the other.
    let added_each: Vec<f64> = direct
        .medians
        .iter()
        .zip(&through.medians)
        .map(|(direct, through)| through - direct)
        .collect();
    let (one, other) = (direct.all.quantiles(), through.all.quantiles());
    Ok(Gateway {
        rate: plan.rate,
        requests: through.all.count(),
        direct: one,
        gateway: other,
        added: other.median - one.median,
        added_each,
        since_due: [direct.median_since_due()?, through.median_since_due()?],
        redundant,
    })
}

impl Side {
    fn new(clients: Vec<Client>) -> anyhow::Result<Self> {
        Ok(Self {
            clients,
            all: Latencies::new()?,
            medians: Vec::new(),
            since_due: Vec::new(),
        })
    }

    /// One repetition.
    async fn load(&mut self, plan: &Plan, seed: &SeedTree) -> anyhow::Result<()> {
        let arrivals = Arrivals::poisson(plan.rate)?;
        let seen = Arc::new(Mutex::new(Latencies::new()?));
        // Open loop: queries arrive without regard to answers, as those of independent clients.
        let summary = open_loop(plan.requests, arrivals, seed, |number| {
            let number = number as usize;
            let client = self.clients[number % self.clients.len()].clone();
            let seen = Arc::clone(&seen);
            async move {
                // From when the query is sent. `summary` has latencies from when it was due.
                let begin = Instant::now();
                let answer = client.infer(number).await;
                let time = begin.elapsed();
                if answer.is_err() {
                    return Outcome::Failed;
                }
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add(time);
                Outcome::Direct
            }
        })
        .await;
        // Latencies of some answers only would flatter a side that fails.
        ensure!(
            summary.answered() == plan.requests,
            "{} of {} queries were not answered",
            plan.requests - summary.answered(),
            plan.requests
        );
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.medians.push(seen.quantiles().median);
        self.since_due
            .push(summary.quantile(0.5).as_secs_f64() * 1e3);
        self.all.merge(&seen)
    }

    fn median_since_due(&self) -> anyhow::Result<f64> {
        let spread = Spread::of(self.since_due.iter().copied());
        Ok(spread.context("there were no repetitions")?.median)
    }
}

/// A worker that answers with the first ten numbers of a query.
fn echo_server() -> anyhow::Result<ServerThread> {
    let echo = |query: &Tensor| Ok(first_ten(query));
    let worker = LocalWorker::new([(Model::Base, echo)])?;
    let code = Arc::new(Replication::new(1, 0)?);
    let engine = Engine::builder(code, Pool::new(vec![worker.into()])).build()?;
    ServerThread::start(one_thread()?, engine, echo_metadata())
}

fn first_ten(query: &Tensor) -> Tensor {
    Tensor::vector(query.values().iter().take(10).copied().collect())
}

fn echo_metadata() -> ModelMetadata {
    let form = |name: &str, width: usize| TensorMetadata {
        name: name.to_owned(),
        datatype: DATATYPE.to_owned(),
        shape: vec![-1, width as i64],
    };
    ModelMetadata {
        name: NAME.to_owned(),
        versions: vec!["1".to_owned()],
        platform: "septet".to_owned(),
        inputs: vec![form("input", WIDTH)],
        outputs: vec![form("output", 10)],
    }
}
