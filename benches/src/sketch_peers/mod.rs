//! The sketches beside other crates for frequencies.
//!
//! All contenders count the same stream, one after another on one thread, each from an empty
//! summary of the same number of bytes; a contender that has no summary of exactly that size gets the
//! largest that fits. A sample is the CPU time of counting the whole stream. The contenders take turns, in
//! an order that reverses from repetition to repetition, and ratios are taken between the samples of
//! one repetition.
//!
//! The error is the average absolute error of a random arrival, `sum f |f - estimate| / sum f`, over
//! all distinct keys; a key that a summary does not hold is estimated as that summary says, mostly 0.

pub mod contender;
pub mod measure;
pub mod memory;
pub mod stream;
pub mod table;
pub mod top_k;

use std::path::PathBuf;

use serde::Serialize;

use contender::Contender;
use measure::Samples;
use memory::Limit;
use stream::Stream;
use top_k::Ranker;

use crate::record::{self, load_average};

/// What to compare.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes of a summary, for each of which everything is run.
    pub bytes: Vec<usize>,
    /// Arrivals of the stream.
    pub arrivals: usize,
    /// Samples of each contender.
    pub repetitions: usize,
    /// Where the samples go.
    pub output: PathBuf,
}

/// What a run leaves behind: every sample, and where it was taken.
#[derive(Debug, Serialize)]
pub struct Record {
    /// Version of this layout.
    pub schema: u32,
    /// Number of logical processors.
    pub processors: usize,
    /// The vector instructions that were used.
    pub simd: String,
    /// Load averages over one minute before and after.
    pub load: [Option<f64>; 2],
    /// Arrivals and distinct keys of the stream.
    pub stream: [usize; 2],
    /// One entry for each number of bytes.
    pub sizes: Vec<Size>,
}

/// What was measured at one number of bytes.
#[derive(Debug, Serialize)]
pub struct Size {
    /// The bytes that each contender was allowed.
    pub bytes: usize,
    /// Those that estimate every key.
    pub counting: Vec<Samples>,
    /// Those that list the most frequent keys.
    pub top_k: Vec<Samples>,
    /// What memory allows.
    pub limit: Limit,
}

/// Runs the plan, printing progress lines with `log`; writes the samples as JSON and returns them.
///
/// # Errors
/// When a contender has no summary that fits, or the samples cannot be written.
pub fn run(plan: &Plan, log: &mut dyn FnMut(&str)) -> anyhow::Result<Record> {
    log("drawing the stream");
    let stream = Stream::zipf(plan.arrivals);
    let before = load_average();
    let mut sizes = Vec::new();
    for &bytes in &plan.bytes {
        let mut counting: Vec<_> = Contender::ALL.iter().map(Samples::of).collect();
        let mut top_k: Vec<_> = Ranker::ALL.iter().map(Samples::of).collect();
        let mut limit = Limit::new(bytes);
        for repetition in 0..plan.repetitions {
            log(&format!(
                "{} KiB, repetition {} of {}",
                bytes / 1024,
                repetition + 1,
                plan.repetitions
            ));
            // The order reverses: a drift of the machine's speed favors none.
            let backwards = repetition % 2 == 1;
            measure::take_turns(
                &Contender::ALL,
                &mut counting,
                backwards,
                |contender, quality| contender.measure(bytes, &stream, quality),
            )?;
            measure::take_turns(&Ranker::ALL, &mut top_k, backwards, |ranker, quality| {
                ranker.measure(bytes, &stream, quality)
            })?;
            // In the same repetition, and so under the same load.
            limit.measure(&stream.keys);
        }
        sizes.push(Size {
            bytes,
            counting,
            top_k,
            limit,
        });
    }
    let record = Record {
        schema: 1,
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        simd: septet_sketch::simd::Simd::detect().to_string(),
        load: [before, load_average()],
        stream: [stream.keys.len(), stream.counts.len()],
        sizes,
    };
    record::write(&record, &plan.output.join("sketch-peers.json"))?;
    Ok(record)
}
