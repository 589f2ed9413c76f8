//! Samples, and the turns in which they are taken.

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::cache_peers::sample::Spread;

/// One run of a contender over the stream.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sample {
    /// CPU seconds of all updates.
    pub seconds: f64,
    /// Bytes of the summary, as it reports them.
    pub bytes: usize,
    /// The figure of merit, if it was requested.
    pub quality: Option<f64>,
}

/// The samples of one contender.
#[derive(Clone, Debug, Serialize)]
pub struct Samples {
    /// Its name.
    pub name: String,
    /// CPU seconds of all updates, in the order of the repetitions.
    pub seconds: Vec<f64>,
    /// Bytes of the summary, as it reports them.
    pub bytes: usize,
    /// The figure of merit: the average error, or the share of the most frequent keys that were
    /// found.
    pub quality: f64,
}

impl Samples {
    /// None yet.
    pub fn of(contender: &impl std::fmt::Display) -> Self {
        Self {
            name: contender.to_string(),
            seconds: Vec::new(),
            bytes: 0,
            quality: f64::NAN,
        }
    }

    /// Million updates a second.
    #[must_use]
    pub fn rate(&self, arrivals: usize) -> Option<Spread> {
        Spread::of(
            self.seconds
                .iter()
                .map(|seconds| arrivals as f64 / seconds / 1e6),
        )
    }

    /// How many times as long `other` took.
    #[must_use]
    pub fn times_as_fast_as(&self, other: &Self) -> Option<Spread> {
        let pairs = self.seconds.iter().zip(&other.seconds);
        Spread::of(pairs.map(|(ours, theirs)| theirs / ours))
    }
}

/// Takes one sample of each contender, forwards or backwards. The second argument of `measure`
/// requests the quality, once for each contender: it does not change from run to run.
///
/// # Errors
/// Those of `measure`.
pub fn take_turns<T>(
    contenders: &[T],
    samples: &mut [Samples],
    backwards: bool,
    mut measure: impl FnMut(&T, bool) -> anyhow::Result<Sample>,
) -> anyhow::Result<()> {
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    if backwards {
        order.reverse();
    }
    for turn in order {
        let first = samples[turn].seconds.is_empty();
        let sample = measure(&contenders[turn], first)?;
        samples[turn].seconds.push(sample.seconds);
        samples[turn].bytes = sample.bytes;
        // Without a new quality the first one stays.
        samples[turn].quality = sample.quality.unwrap_or(samples[turn].quality);
    }
    Ok(())
}

/// The CPU seconds that this thread takes for `work`.
pub fn cpu_seconds(work: impl FnOnce()) -> f64 {
    let now = || {
        // Time of this thread, so that other work on the machine counts only through shared caches.
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    };
    let begin = now();
    work();
    now() - begin
}
