//! What a group of ten queries takes: encoding, decoding, and the engine around them.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use septet_coded_serving::Tensor;
use septet_coded_serving::code::{
    Code, Interpolation, InvNet, MixedQueries, Model, Slots, Smoother, SumParity,
};
use septet_coded_serving::engine::{Backend, BackendError, Call, Engine, Query};
use septet_core::seed::SeedTree;
use serde::Serialize;
use tokio::task::JoinSet;

use super::{GROUP, images};
use crate::cache_peers::sample::Spread;

/// Batches, of which the median is reported: those that the scheduler interrupted do not count.
const BATCHES: usize = 200;
const GROUPS_OF_A_BATCH: usize = 50;

/// Microseconds of wall time on one thread.
#[derive(Clone, Debug, Serialize)]
pub struct Coding {
    /// The code.
    pub code: String,
    /// To encode a group.
    pub encode: f64,
    /// To reconstruct one answer of a group.
    pub decode: f64,
    /// All that the engine does for a group whose workers answer at once, with its own coding.
    pub engine: f64,
    /// The same without the coding.
    pub bookkeeping: f64,
}

impl Coding {
    /// Encoding, one reconstructed answer and bookkeeping of a group.
    #[must_use]
    pub fn group(&self) -> f64 {
        self.encode + self.decode + self.bookkeeping
    }

    /// The share of a query in encoding and bookkeeping, and its own reconstruction.
    #[must_use]
    pub fn query(&self) -> f64 {
        (self.encode + self.bookkeeping) / GROUP as f64 + self.decode
    }
}

pub(super) fn measure(seed: &SeedTree) -> anyhow::Result<Vec<Coding>> {
    let codes: [Arc<dyn Code>; 3] = [
        Arc::new(SumParity::new(GROUP, 1)?),
        Arc::new(InvNet::new(GROUP, 1, MixedQueries)?),
        Arc::new(Interpolation::new(GROUP, GROUP + 1, 1, Smoother::Berrut)?),
    ];
    let group = images(GROUP, seed)?;
    codes
        .iter()
        .map(|code| measure_code(code, &group))
        .collect()
}

fn measure_code(code: &Arc<dyn Code>, group: &[Tensor]) -> anyhow::Result<Coding> {
    let tasks = code.encode(group)?;
    // Outputs as of a classifier of ten classes. Their values do not matter for the time of decoding.
    let output = |input: &Tensor| Tensor::vector(input.values().iter().take(10).copied().collect());
    let own = group.iter().enumerate().map(|(slot, x)| (slot, output(x)));
    let parities = tasks.iter().map(|task| (task.slot, output(&task.input)));
    // The answer of one slot is lost. Systematic codes have the other queries' own outputs and the
    // parities, other codes only what they encoded.
    let lost = 3;
    let outputs: Vec<(usize, Tensor)> = own
        .filter(|_| code.shape().systematic)
        .chain(parities)
        .filter(|&(slot, _)| slot != lost)
        .collect();
    let arrived: Vec<_> = outputs.iter().map(|(slot, x)| (*slot, x)).collect();
    let encode = typical(|| {
        black_box(code.encode(black_box(group))?);
        Ok(())
    })?;
    let decode = typical(|| {
        black_box(code.decode(GROUP, black_box(&arrived), Slots::EMPTY.with(lost))?);
        Ok(())
    })?;
    // A runtime on this thread, so that wall time contains all work of the engine.
    let (engine, bookkeeping) = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?
        .block_on(measure_engine(Arc::clone(code), group))?;
    Ok(Coding {
        code: code.name(),
        encode,
        decode,
        engine,
        bookkeeping,
    })
}

/// Microseconds a call.
fn typical(mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let begin = Instant::now();
        // Many calls between two readings of the clock, whose resolution then does not matter.
        for _ in 0..GROUPS_OF_A_BATCH {
            call()?;
        }
        batches.push(of_a_group(begin.elapsed()));
    }
    median(batches)
}

/// Microseconds a group: all, and without the coding. The clients' tasks, which a server has anyway,
/// and the copies of their queries are counted.
async fn measure_engine(code: Arc<dyn Code>, group: &[Tensor]) -> anyhow::Result<(f64, f64)> {
    let systematic = code.shape().systematic;
    let answers = AtOnce {
        workers: GROUP + 1,
        output: Tensor::vector(vec![0.5; 10]),
    };
    let engine = Engine::builder(code, answers).build()?;
    let (mut all, mut without) = (Vec::new(), Vec::new());
    for _ in 0..BATCHES {
        let coding = engine.coding_time();
        let begin = Instant::now();
        for _ in 0..GROUPS_OF_A_BATCH {
            // The clients of a group are concurrent: the engine forms a group of queries that it
            // has.
            let mut clients = JoinSet::new();
            for query in group {
                let (engine, query) = (engine.clone(), Query::new(query.clone()));
                clients.spawn(async move { engine.predict(query).await });
            }
            while let Some(answer) = clients.join_next().await {
                black_box(answer??);
            }
        }
        let time = begin.elapsed();
        let now = engine.coding_time();
        // The engine accounts for its own coding, which is subtracted from the time of the batch.
        let coded = now.encoding + now.decoding - coding.encoding - coding.decoding;
        all.push(of_a_group(time));
        without.push(of_a_group(time.saturating_sub(coded)));
    }
    // Times are per group of ten with a parity query: other groups would falsify them. At most one
    // group may lack its parity query.
    let counted = engine.statistics();
    let groups = (BATCHES * GROUPS_OF_A_BATCH) as u64;
    ensure!(
        counted.accepted == groups * GROUP as u64 && engine.coding_time().encoded == groups,
        "not every group was one of ten queries: {counted:?}"
    );
    ensure!(
        !systematic || counted.redundant + 1 >= groups,
        "not every group had its parity query: {counted:?}"
    );
    Ok((median(all)?, median(without)?))
}

fn of_a_group(batch: Duration) -> f64 {
    batch.as_secs_f64() * 1e6 / GROUPS_OF_A_BATCH as f64
}

fn median(batches: Vec<f64>) -> anyhow::Result<f64> {
    let spread = Spread::of(batches).context("nothing was measured")?;
    Ok(spread.median)
}

/// Workers that answer after one yield to the scheduler, and so after the group was encoded: a group
/// that is answered before would get no parity query.
#[derive(Clone, Debug)]
struct AtOnce {
    workers: usize,
    output: Tensor,
}

impl Backend for AtOnce {
    fn workers(&self) -> usize {
        self.workers
    }

    fn serves(&self, _: usize, _: &Model) -> bool {
        true
    }

    async fn infer(&self, _: usize, _: Call) -> Result<Tensor, BackendError> {
        tokio::task::yield_now().await;
        Ok(self.output.clone())
    }
}
