//! What memory allows: one increment in the cache line of each arrival, and nothing else.
//!
//! The lines are those of a hash of each key of the stream, found beforehand, so that popular lines
//! are as popular as in a sketch; they are prefetched, in huge pages where the system gives them. No
//! sketch of one line a key can be faster.

#![expect(
    unsafe_code,
    reason = "prefetches, and advice on fresh memory: the limit is to be the best that there is"
)]

use std::hint::black_box;

use septet_sketch::key::hash_integer;
use serde::Serialize;

use super::measure::cpu_seconds;

/// How many arrivals ahead lines are prefetched; the fastest counts.
const DISTANCES: [usize; 4] = [16, 32, 64, 128];

/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 * 1024 * 1024;

/// Samples of the limit.
#[derive(Debug, Serialize)]
pub struct Limit {
    bytes: usize,
    /// For each repetition the minimum of CPU seconds over all distances, for the lines of the stream.
    pub seconds: Vec<f64>,
    /// The same for lines that are all equally popular.
    pub uniform_seconds: Vec<f64>,
}

#[derive(Clone)]
#[repr(align(64))]
struct Line([u64; 8]);

impl Limit {
    /// No samples yet, for a table of this many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            bytes,
            seconds: Vec::new(),
            uniform_seconds: Vec::new(),
        }
    }

    /// Takes one sample of each kind.
    pub fn measure(&mut self, keys: &[u64]) {
        let count = self.bytes / size_of::<Line>();
        // A huge page more than the table, which can then start at the boundary of one. The advice
        // comes before the first write, which maps the pages.
        let mut memory = Vec::with_capacity(count + HUGE_PAGE / size_of::<Line>());
        advise_huge_pages(&memory);
        memory.resize(memory.capacity(), Line([0; 8]));
        let begin = memory.as_ptr().align_offset(HUGE_PAGE);
        let table = &mut memory[begin..begin + count];
        // The upper half of the hash, scaled to the number of lines by a multiplication.
        let line = |hash: u64| (((hash >> 32) * count as u64) >> 32) as u32;
        let of_stream: Vec<u32> = keys.iter().map(|&key| line(hash_integer(key, 3))).collect();
        self.seconds.push(min_seconds(table, &of_stream));
        let uniform: Vec<u32> = (0..keys.len() as u64)
            .map(|i| line(hash_integer(i, 3)))
            .collect();
        self.uniform_seconds.push(min_seconds(table, &uniform));
    }
}

fn min_seconds(table: &mut [Line], lines: &[u32]) -> f64 {
    let seconds = DISTANCES.map(|distance| {
        let table = &mut *table;
        let seconds = cpu_seconds(|| increment(table, lines, distance));
        black_box(table);
        seconds
    });
    seconds.into_iter().fold(f64::INFINITY, f64::min)
}

#[inline(never)]
fn increment(table: &mut [Line], lines: &[u32], distance: usize) {
    for (i, &line) in lines.iter().enumerate() {
        // The line of a later arrival travels while those before it are incremented.
        if let Some(&later) = lines.get(i + distance) {
            prefetch(&table[later as usize]);
        }
        table[line as usize].0[0] += 1;
    }
}

#[inline(always)]
fn prefetch(line: &Line) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch has no effect on memory; the address is that of a live value.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

fn advise_huge_pages(memory: &Vec<Line>) {
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        // Whole huge pages only.
        let skipped = memory.as_ptr().align_offset(HUGE_PAGE);
        let lines = memory.capacity().saturating_sub(skipped);
        let whole = lines * size_of::<Line>() / HUGE_PAGE * HUGE_PAGE;
        let first = memory.as_ptr().wrapping_add(skipped).cast_mut();
        // SAFETY: the range is within the capacity of the vector and begins at a page; the advice
        // does not change what is in it.
        let _ = unsafe { madvise(first.cast(), whole, Advice::LinuxHugepage) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}
