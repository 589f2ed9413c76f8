//! Summaries that list the most frequent keys while they count.

use std::collections::HashSet;
use std::fmt;
use std::hint::black_box;

use heavykeeper::{BucketedTopK, CuckooTopK, TopK as HeavyKeeper};
use septet_sketch::CountMin;
use septet_sketch::count_min::Layout;
use septet_sketch::heavy_hitters::{SpaceSaving, TopK};

use super::measure::{Sample, cpu_seconds};
use super::stream::Stream;

/// How many keys are listed.
pub const K: usize = 100;

/// Cells of heavykeeper hold a fingerprint and a count of 8 bytes each.
const HEAVYKEEPER_CELL: usize = 16;
/// The decay of the crate's examples and benchmarks.
const DECAY: f64 = 0.9;

/// A summary that lists the most frequent keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranker {
    /// Candidates beside a conservative count-min sketch with this number of rows.
    TopK(usize, Layout),
    /// Space-saving.
    SpaceSaving,
    /// `heavykeeper::TopK`, four rows.
    HeavyKeeper,
    /// `heavykeeper::BucketedTopK`, buckets of four cells.
    Bucketed,
    /// `heavykeeper::CuckooTopK`, buckets of four cells and a lobby.
    Cuckoo,
}

impl Ranker {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::TopK(2, Layout::RowMajor),
        Self::TopK(4, Layout::Blocked),
        Self::SpaceSaving,
        Self::HeavyKeeper,
        Self::Bucketed,
        Self::Cuckoo,
    ];

    /// Counts the stream with a summary of about this many bytes. The quality is the share of the
    /// [`K`] most frequent keys that are listed.
    ///
    /// # Errors
    /// When no summary fits into `bytes`.
    pub fn measure(self, bytes: usize, stream: &Stream, quality: bool) -> anyhow::Result<Sample> {
        let keys = black_box(stream.keys.as_slice());
        let mut sample = Sample::default();
        let listed: Vec<u64>;
        // heavykeeper masks instead of dividing when the width is a power of two.
        let width = |cells: usize| (bytes / cells / HEAVYKEEPER_CELL + 1).next_power_of_two() / 2;
        match self {
            Self::TopK(depth, layout) => {
                // The table of candidates takes part of the budget.
                let table = TopK::<u64, CountMin>::table_bytes(K);
                let sketch = CountMin::<u32>::builder().depth(depth).layout(layout);
                let mut top = TopK::new(K, sketch.bytes(bytes.saturating_sub(table)).build()?)?;
                sample.seconds = cpu_seconds(|| top.update_batch(keys));
                sample.bytes = top.size_bytes();
                listed = top.list().into_iter().map(|entry| entry.key).collect();
            }
            Self::SpaceSaving => {
                let mut summary = SpaceSaving::<u64>::with_bytes(bytes, 0)?;
                sample.seconds = cpu_seconds(|| summary.update_batch(keys));
                sample.bytes = summary.size_bytes();
                listed = summary.top(K).into_iter().map(|entry| entry.key).collect();
            }
            Self::HeavyKeeper => {
                let mut top = HeavyKeeper::<u64>::with_seed(K, width(4), 4, DECAY, 1);
                sample.seconds = cpu_seconds(|| keys.iter().for_each(|key| top.add(key, 1)));
                sample.bytes = top.mem_bytes(|_| 0);
                listed = top.list().into_iter().map(|node| node.item).collect();
            }
            Self::Bucketed => {
                let mut top = BucketedTopK::<u64>::with_seed(K, width(4), 4, DECAY, 1);
                sample.seconds = cpu_seconds(|| keys.iter().for_each(|key| top.add(key, 1)));
                sample.bytes = top.mem_bytes(|_| 0);
                listed = top.list().into_iter().map(|node| node.item).collect();
            }
            Self::Cuckoo => {
                // A bucket of four cells and its lobby.
                let mut top = CuckooTopK::<u64>::with_seed(K, width(5), 4, DECAY, 1);
                sample.seconds = cpu_seconds(|| keys.iter().for_each(|key| top.add(key, 1)));
                sample.bytes = top.mem_bytes(|_| 0);
                listed = top.list().into_iter().map(|node| node.item).collect();
            }
        }
        sample.quality = quality.then(|| {
            let listed: HashSet<u64> = listed.into_iter().collect();
            let found = stream
                .counts
                .iter()
                .take(K)
                .filter(|(key, _)| listed.contains(key));
            found.count() as f64 / K as f64
        });
        Ok(sample)
    }

    /// Whether it is one of the peer's.
    #[must_use]
    pub fn is_peer(self) -> bool {
        matches!(self, Self::HeavyKeeper | Self::Bucketed | Self::Cuckoo)
    }
}

impl fmt::Display for Ranker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TopK(depth, layout) => {
                write!(
                    f,
                    "septet TopK, count-min {layout}, conservative, {depth} rows"
                )
            }
            Self::SpaceSaving => f.write_str("septet SpaceSaving"),
            Self::HeavyKeeper => f.write_str("heavykeeper TopK, 4 rows"),
            Self::Bucketed => f.write_str("heavykeeper BucketedTopK, 4 cells"),
            Self::Cuckoo => f.write_str("heavykeeper CuckooTopK, 4 cells and a lobby"),
        }
    }
}
