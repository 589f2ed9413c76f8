//! Streams of keys: generators, and readers of files.
//!
//! * [`Zipf`]: the exact counts of Zipf's law, and streams drawn from it.
//! * [`HeteroFlows`]: network flows with heteroscedastic sizes, for which the training loss of an oracle
//!   matters.
//! * [`NGramDays`]: the word n-grams of a text, day by day, as a substitute for a log of search queries.
//! * [`Records`]: the keys of a file or any other reader, in one of the formats of [`StreamFormat`];
//!   [`Writer`] writes some of them.

mod compression;
mod format;
mod hetero_flows;
mod n_gram_days;
mod reader;
mod writer;
mod zipf;

pub use format::{Column, StreamFormat};
pub use hetero_flows::{FlowScore, FlowWindow, HeteroFlows};
pub use n_gram_days::{Day, NGramDays};
pub use reader::{Record, Records, open_text};
pub use writer::Writer;
pub use zipf::{Zipf, ZipfStream};

use rand::Rng;
use rand::seq::SliceRandom;

/// A uniformly shuffled stream in which index `i` occurs `counts[i]` times. Takes 4 bytes per
/// occurrence.
///
/// # Panics
///
/// When there are 2^32 keys or more.
#[must_use]
pub fn shuffled(counts: &[u64], rng: &mut impl Rng) -> Vec<u32> {
    let mut stream = Vec::new();
    for (index, &count) in counts.iter().enumerate() {
        let index = u32::try_from(index).expect("fewer than 2^32 keys");
        stream.extend((0..count).map(|_| index));
    }
    stream.shuffle(rng);
    stream
}
