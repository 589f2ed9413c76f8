//! Streams of keys: generators, and readers of files.
//!
//! * [`Zipf`]: the counts of Zipf's law, exactly, and streams drawn from it.
//! * [`HeteroFlows`]: network flows whose sizes vary more in some classes than in others, so that it
//!   matters what an oracle is trained for.
//! * [`NGramDays`]: the word pairs of a text, day by day, in the place of a log of search queries.
//! * [`Records`]: the keys of a file or of any other bytes, in one of the formats that
//!   [`StreamFormat`] lists; [`Writer`] writes some of them.

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
pub use writer::{WholeFile, Writer};
pub use zipf::{Zipf, ZipfStream};

use rand::Rng;
use rand::seq::SliceRandom;

/// A stream in which the key of each index occurs as often as its count says, shuffled: every order
/// is equally likely. Takes 4 bytes an occurrence.
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
