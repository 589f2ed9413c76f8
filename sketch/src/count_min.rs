//! The count-min sketch: `depth` counters a key, the least of which is its estimate.
//!
//! G. Cormode, S. Muthukrishnan, "An improved data stream summary: the count-min sketch and its
//! applications" (2005).

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::error::SketchError;
use crate::frequency::{FrequencySketch, Merge};

/// The largest depth.
pub const MAX_DEPTH: usize = 16;

/// A counter that stops at its largest value.
pub trait Counter: Copy + Ord + Default + core::fmt::Debug + Send + Sync + 'static {
    /// The largest count.
    const MAX: u64;
    /// The name of the type, as in error messages: `u32`.
    const NAME: &'static str;
    /// The count, or the largest one.
    fn saturating_from(count: u64) -> Self;
    /// The count.
    fn get(self) -> u64;
}

macro_rules! counters {
    ($($integer:ident),*) => {$(
        impl Counter for $integer {
            const MAX: u64 = $integer::MAX as u64;
            const NAME: &'static str = stringify!($integer);

            #[inline]
            fn saturating_from(count: u64) -> Self {
                $integer::try_from(count).unwrap_or($integer::MAX)
            }

            #[inline]
            fn get(self) -> u64 {
                self.into()
            }
        }
    )*};
}
counters!(u8, u16, u32, u64);

/// How an update changes the counters of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Update {
    /// Adds to every counter of the key. The sketch is linear: sketches of two streams add up,
    /// exactly, to the sketch of both.
    Plain,
    /// Raises only those counters of the key that are below its new estimate (C. Estan,
    /// G. Varghese, 2002). Estimates are five to twelve times closer on skewed streams. Merging two
    /// such sketches still never underestimates, but is less close than one sketch of both streams.
    #[default]
    Conservative,
}

/// Odd constants, one a row, that spread a hash over the row (digits of the SplitMix64 sequence).
const ROW_MULTIPLIERS: [u64; MAX_DEPTH] = {
    let mut multipliers = [0; MAX_DEPTH];
    let mut row = 0;
    while row < MAX_DEPTH {
        multipliers[row] = crate::key::hash_integer(row as u64, 0x726f_7773) | 1;
        row += 1;
    }
    multipliers
};

/// A count-min sketch with counters of type `C`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountMin<C: Counter = u32> {
    depth: usize,
    width: usize,
    rule: Update,
    seed: u64,
    total: u64,
    counters: Vec<C>,
}

/// What a count-min sketch is to be like.
#[derive(Clone, Debug)]
pub struct CountMinBuilder<C> {
    depth: usize,
    size: Size,
    rule: Update,
    seed: u64,
    counter: PhantomData<C>,
}

#[derive(Clone, Debug)]
enum Size {
    Width(usize),
    Bytes(usize),
}

impl<C: Counter> CountMin<C> {
    /// A builder: depth 2, 1 MiB, conservative update, seed 0.
    #[must_use]
    pub fn builder() -> CountMinBuilder<C> {
        CountMinBuilder {
            depth: 2,
            size: Size::Bytes(1 << 20),
            rule: Update::Conservative,
            seed: 0,
            counter: PhantomData,
        }
    }

    /// Rows.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Counters in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// How an update changes the counters of a key.
    #[must_use]
    pub fn update_rule(&self) -> Update {
        self.rule
    }

    #[inline]
    fn position(&self, row: usize, hash: u64) -> usize {
        let spread = hash.wrapping_mul(ROW_MULTIPLIERS[row]) >> 32;
        row * self.width + ((spread * self.width as u64) >> 32) as usize
    }
}

impl<C: Counter> CountMinBuilder<C> {
    /// Rows, from 1 to [`MAX_DEPTH`].
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Counters in a row, at least 1 and below 2^32.
    #[must_use]
    pub fn width(mut self, width: usize) -> Self {
        self.size = Size::Width(width);
        self
    }

    /// As many counters as fit into this many bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.size = Size::Bytes(bytes);
        self
    }

    /// How an update changes the counters of a key.
    #[must_use]
    pub fn update_rule(mut self, rule: Update) -> Self {
        self.rule = rule;
        self
    }

    /// The seed under which keys are hashed. Sketches that are to be merged share it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The empty sketch.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`], naming the parameter that is out of its range.
    pub fn build(self) -> Result<CountMin<C>, SketchError> {
        if !(1..=MAX_DEPTH).contains(&self.depth) {
            return Err(SketchError::parameter(
                "depth",
                format!("1 to {MAX_DEPTH}"),
                self.depth,
            ));
        }
        let width = match self.size {
            Size::Width(width) => width,
            Size::Bytes(bytes) => bytes / (self.depth * size_of::<C>()),
        };
        if width == 0 || u32::try_from(width).is_err() {
            return Err(SketchError::parameter(
                "width",
                "1 to 4294967295 counters a row",
                width,
            ));
        }
        Ok(CountMin {
            depth: self.depth,
            width,
            rule: self.rule,
            seed: self.seed,
            total: 0,
            counters: vec![C::default(); self.depth * width],
        })
    }
}

impl<C: Counter> FrequencySketch for CountMin<C> {
    type Estimate = u64;

    fn seed(&self) -> u64 {
        self.seed
    }

    fn update_hash(&mut self, hash: u64, by: u64) {
        self.total = self.total.saturating_add(by);
        match self.rule {
            Update::Plain => {
                for row in 0..self.depth {
                    let position = self.position(row, hash);
                    let count = self.counters[position].get().saturating_add(by);
                    self.counters[position] = C::saturating_from(count);
                }
            }
            Update::Conservative => {
                let least = C::saturating_from(self.estimate_hash(hash).saturating_add(by));
                for row in 0..self.depth {
                    let position = self.position(row, hash);
                    self.counters[position] = self.counters[position].max(least);
                }
            }
        }
    }

    fn estimate_hash(&self, hash: u64) -> u64 {
        (0..self.depth)
            .map(|row| self.counters[self.position(row, hash)].get())
            .min()
            .unwrap_or_default()
    }

    fn total(&self) -> u64 {
        self.total
    }

    fn size_bytes(&self) -> usize {
        self.counters.len() * size_of::<C>()
    }

    fn clear(&mut self) {
        self.total = 0;
        self.counters.fill(C::default());
    }
}

impl<C: Counter> Merge for CountMin<C> {
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        let same = |field, left: &dyn core::fmt::Display, right: &dyn core::fmt::Display| {
            let (left, right) = (left.to_string(), right.to_string());
            if left == right {
                Ok(())
            } else {
                Err(SketchError::Incompatible { field, left, right })
            }
        };
        same("depth", &self.depth, &other.depth)?;
        same("width", &self.width, &other.width)?;
        same("seed", &self.seed, &other.seed)?;
        same(
            "update rule",
            &format!("{:?}", self.rule),
            &format!("{:?}", other.rule),
        )?;
        self.total = self.total.saturating_add(other.total);
        for (mine, theirs) in self.counters.iter_mut().zip(&other.counters) {
            *mine = C::saturating_from(mine.get().saturating_add(theirs.get()));
        }
        Ok(())
    }
}
