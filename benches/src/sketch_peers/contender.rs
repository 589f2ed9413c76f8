//! Summaries that estimate every key, of this crate and of others.

use std::fmt;
use std::hint::black_box;

use datasketches::countmin::CountMinSketch as DataSketchesCountMin;
use datasketches::frequencies::FrequentItemsSketch;
use septet_sketch::count_min::{Layout, UpdateRule};
use septet_sketch::key::hash_integer;
use septet_sketch::{CountMin, CountSketch, FrequencySketch};

use super::measure::{Sample, cpu_seconds};
use super::stream::Stream;

/// A summary that estimates counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Count-min of this crate, with this number of rows.
    CountMin(usize, Layout, UpdateRule),
    /// Count-sketch of this crate, of three rows.
    CountSketch,
    /// `datasketches::countmin`, four rows of `u32`: what ratios refer to.
    DataSketches,
    /// `datasketches::frequencies`.
    FrequentItems,
    /// `pdatastructs`, four rows of `u32`.
    Pdatastructs,
    /// `cmsketch`, four rows of `u32`, given hashes.
    Cmsketch,
    /// `streaming_algorithms`, conservative update, four rows of `u32`.
    StreamingAlgorithms,
}

impl Contender {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::CountMin(4, Layout::RowMajor, UpdateRule::Plain),
        Self::CountMin(2, Layout::RowMajor, UpdateRule::Plain),
        Self::CountMin(4, Layout::RowMajor, UpdateRule::Conservative),
        Self::CountMin(2, Layout::RowMajor, UpdateRule::Conservative),
        Self::CountMin(4, Layout::Blocked, UpdateRule::Plain),
        Self::CountMin(4, Layout::Blocked, UpdateRule::Conservative),
        Self::CountMin(2, Layout::Blocked, UpdateRule::Conservative),
        Self::CountSketch,
        Self::DataSketches,
        Self::FrequentItems,
        Self::Pdatastructs,
        Self::Cmsketch,
        Self::StreamingAlgorithms,
    ];

    /// Counts the stream with a summary of at most this many bytes.
    ///
    /// # Errors
    /// When no summary fits into `bytes`.
    pub fn measure(self, bytes: usize, stream: &Stream, quality: bool) -> anyhow::Result<Sample> {
        let keys = &stream.keys;
        let cells = bytes / size_of::<u32>();
        // Hides the keys from the optimizer, which could otherwise compute with them beforehand.
        let keys = black_box(keys.as_slice());
        // Only updates are timed; the quality is computed afterwards, if it is requested.
        let mut sample = Sample::default();
        match self {
            Self::CountMin(depth, layout, rule) => {
                let builder = CountMin::<u32>::builder().depth(depth).bytes(bytes);
                let mut sketch = builder.layout(layout).update_rule(rule).build()?;
                sample.seconds = cpu_seconds(|| sketch.update_batch(keys));
                sample.bytes = sketch.size_bytes();
                sample.quality = quality.then(|| stream.error(|key| sketch.estimate(&key) as f64));
            }
            Self::CountSketch => {
                let mut sketch = CountSketch::<i32>::builder()
                    .depth(3)
                    .bytes(bytes)
                    .build()?;
                sample.seconds = cpu_seconds(|| sketch.update_batch(keys));
                sample.bytes = sketch.size_bytes();
                sample.quality = quality.then(|| stream.error(|key| sketch.estimate(&key)));
            }
            Self::DataSketches => {
                let mut sketch = DataSketchesCountMin::<u32>::new(4, u32::try_from(cells / 4)?)?;
                sample.seconds = cpu_seconds(|| keys.iter().for_each(|&key| sketch.update(key)));
                sample.bytes = sketch.estimated_size();
                sample.quality = quality.then(|| stream.error(|key| sketch.estimate(key).into()));
            }
            Self::FrequentItems => {
                // Slots are a power of two; a slot takes a key, a count and a state of 2 bytes.
                let slots = (bytes / 18 + 1).next_power_of_two() / 2;
                let mut sketch = FrequentItemsSketch::<u64>::new(slots)?;
                sample.seconds = cpu_seconds(|| keys.iter().for_each(|&key| sketch.update(key)));
                sample.bytes = sketch.estimated_size();
                sample.quality = quality.then(|| stream.error(|key| sketch.estimate(&key) as f64));
            }
            Self::Pdatastructs => {
                use pdatastructs::countminsketch::CountMinSketch;
                let mut sketch = CountMinSketch::<u64, u32>::with_params(cells / 4, 4);
                sample.seconds = cpu_seconds(|| {
                    for key in keys {
                        sketch.add(key);
                    }
                });
                sample.bytes = sketch.w() * sketch.d() * size_of::<u32>();
                sample.quality =
                    quality.then(|| stream.error(|key| sketch.query_point(&key).into()));
            }
            Self::Cmsketch => {
                // It rounds 2 / epsilon up to the width, and -log2(1 - confidence) to the depth.
                let epsilon = 2.0 / (cells as f64 / 4.0 - 0.5);
                let mut sketch = cmsketch::CMSketchU32::new(epsilon, 1.0 - 0.5_f64.powf(3.5));
                let hash = |key| hash_integer(key, 0);
                sample.seconds = cpu_seconds(|| keys.iter().for_each(|&key| sketch.inc(hash(key))));
                sample.bytes = sketch.memory();
                sample.quality =
                    quality.then(|| stream.error(|key| sketch.estimate(hash(key)).into()));
            }
            Self::StreamingAlgorithms => {
                use streaming_algorithms::CountMinSketch;
                // The width is a power of two not below 2 / tolerance.
                let width = (cells / 4 + 1).next_power_of_two() / 2;
                let (probability, tolerance) = (1.0 - 0.5_f64.powf(4.5), 2.0 / width as f64);
                let mut sketch = CountMinSketch::<u64, u32>::new(probability, tolerance, ());
                sample.seconds = cpu_seconds(|| {
                    for key in keys {
                        sketch.push(key, &1);
                    }
                });
                sample.bytes = width * 4 * size_of::<u32>();
                sample.quality = quality.then(|| stream.error(|key| sketch.get(&key).into()));
            }
        }
        Ok(sample)
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CountMin(depth, layout, rule) => {
                write!(f, "septet count-min, {layout}, {rule}, {depth} rows")
            }
            Self::CountSketch => f.write_str("septet count-sketch, 3 rows"),
            Self::DataSketches => f.write_str("datasketches CountMin<u32>, 4 rows"),
            Self::FrequentItems => f.write_str("datasketches FrequentItems"),
            Self::Pdatastructs => f.write_str("pdatastructs CountMin<u32>, 4 rows"),
            Self::Cmsketch => f.write_str("cmsketch u32, 4 rows, given hashes"),
            Self::StreamingAlgorithms => {
                f.write_str("streaming_algorithms u32, conservative, 4 rows")
            }
        }
    }
}
