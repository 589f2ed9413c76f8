//! Count-mean sketches: a symbol is hashed into a row of a sketch, which is sent privately.

use rand_chacha::rand_core::CryptoRng;
use siphasher::sip::SipHasher24;

use super::bit_vector::BitVector;
use super::exact::{PrivacyBound, probability, uniform_below};
use super::{Channel, ExactProbability, Mechanism, bits_of, check_domain, check_symbol};
use crate::error::RobustStatsError;
use crate::parameter::Epsilon;

/// The shape of a count-mean sketch and its hash functions, shared by all clients and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SketchShape {
    domain: u32,
    rows: u32,
    width: u32,
    seed: u64,
}

impl SketchShape {
    /// `rows` hash functions into `width` buckets each, from a public seed.
    ///
    /// # Errors
    ///
    /// When the domain is empty or has more than `2^32 - 1` symbols, there is no row, the width is
    /// below 2, or there are more than `2^28` buckets in total.
    pub fn new(
        domain: usize,
        rows: usize,
        width: usize,
        seed: u64,
    ) -> Result<Self, RobustStatsError> {
        let domain = check_domain(domain)?;
        let places = rows.checked_mul(width).filter(|&places| places <= 1 << 28);
        match (u32::try_from(rows), u32::try_from(width), places) {
            (Ok(rows), Ok(width), Some(_)) if rows > 0 && width > 1 => Ok(Self {
                domain,
                rows,
                width,
                seed,
            }),
            _ => Err(RobustStatsError::parameter(
                "rows and width",
                "at least 1 row of at least 2 buckets, at most 2^28 buckets in total",
                alloc::format!("{rows} rows of {width}"),
            )),
        }
    }

    /// Number of symbols.
    #[must_use]
    pub fn domain(&self) -> usize {
        self.domain as usize
    }

    /// Number of rows, hence of hash functions.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// Number of buckets per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width as usize
    }

    /// The seed of the hash functions.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The bucket of a symbol in a row (SipHash-2-4 keyed with seed and row).
    #[must_use]
    pub fn bucket(&self, row: usize, symbol: usize) -> usize {
        let hasher = SipHasher24::new_with_keys(self.seed, row as u64);
        let hash = u128::from(hasher.hash(&(symbol as u64).to_le_bytes()));
        usize::try_from((hash * u128::from(self.width)) >> 64).expect("below the width")
    }
}

/// A message of [`CountMeanSketch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SketchRow {
    /// The row that the client drew.
    pub row: u32,
    /// Its bits: the one of the symbol's bucket is set, then each is flipped at random.
    pub bits: BitVector,
}

/// The count-mean sketch of Apple's differential privacy team (2017): one random row, every bit kept
/// with probability `e^(epsilon/2) / (e^(epsilon/2) + 1)`.
///
/// Encoding takes the same instructions and random numbers for every symbol and message, except for a
/// probability of `6e-12` per 64 buckets; the memory address of the own bit depends on the symbol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CountMeanSketch {
    shape: SketchShape,
    epsilon: Epsilon,
    /// The probability that a bit is kept, times `2^64`.
    keep: u64,
}

impl CountMeanSketch {
    /// # Errors
    ///
    /// When epsilon is above [`MAX_EPSILON`](super::MAX_EPSILON).
    pub fn new(shape: SketchShape, epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        Ok(Self {
            shape,
            epsilon,
            keep: PrivacyBound::new(epsilon)?.threshold_of_half(),
        })
    }

    /// The sketch.
    #[must_use]
    pub fn shape(&self) -> &SketchShape {
        &self.shape
    }

    /// The probability that a bit is kept.
    #[must_use]
    pub fn keep_probability(&self) -> f64 {
        probability(self.keep)
    }
}

impl Mechanism for CountMeanSketch {
    type Report = SketchRow;

    fn domain(&self) -> usize {
        self.shape.domain()
    }

    fn epsilon(&self) -> Option<Epsilon> {
        Some(self.epsilon)
    }

    fn message_bits(&self) -> f64 {
        bits_of(u64::from(self.shape.rows)) + f64::from(self.shape.width)
    }

    fn encode<R: CryptoRng + ?Sized>(
        &self,
        symbol: usize,
        rng: &mut R,
    ) -> Result<SketchRow, RobustStatsError> {
        check_symbol(symbol, self.shape.domain)?;
        let row = uniform_below(rng, self.shape.rows);
        let place = self.shape.bucket(row as usize, symbol);
        let mut bits = BitVector::zeros(self.shape.width());
        // Flips of an all-clear row; the symbol's bit, set before flipping, is the complement.
        bits.fill_random(self.keep.wrapping_neg(), rng);
        let flipped = bits.get(place);
        bits.set(place, !flipped);
        Ok(SketchRow { row, bits })
    }
}

/// Conditional on row 0, for widths of at most 63: the bits of the message number are those sent.
impl Channel for CountMeanSketch {
    fn messages(&self) -> u64 {
        1 << self.shape.width
    }

    fn probability(&self, symbol: usize, message: u64) -> ExactProbability {
        let place = self.shape.bucket(0, symbol);
        (0..self.shape.width()).fold(ExactProbability::one(), |product, bit| {
            let kept = (message >> bit & 1 == 1) == (bit == place);
            product.and(if kept {
                ExactProbability::below(self.keep)
            } else {
                ExactProbability::at_least(self.keep)
            })
        })
    }
}

/// A message of [`HadamardCountMeanSketch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SketchSign {
    /// The row that the client drew.
    pub row: u32,
    /// The column of the Hadamard matrix that it drew.
    pub column: u32,
    /// Whether the sent entry, randomly flipped, is `-1`.
    pub negative: bool,
}

/// The Hadamard count-mean sketch of the same team: one random entry of the transformed row, one bit,
/// kept with probability `e^epsilon / (e^epsilon + 1)`.
///
/// Encoding takes the same instructions and random numbers for every symbol and message of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HadamardCountMeanSketch {
    shape: SketchShape,
    epsilon: Epsilon,
    /// The probability that the sign is kept, times `2^64`.
    keep: u64,
}

impl HadamardCountMeanSketch {
    /// # Errors
    ///
    /// When the width is not a power of 2, or epsilon is above
    /// [`MAX_EPSILON`](super::MAX_EPSILON).
    pub fn new(shape: SketchShape, epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        if !shape.width.is_power_of_two() {
            return Err(RobustStatsError::parameter(
                "width",
                "a power of 2",
                shape.width,
            ));
        }
        Ok(Self {
            shape,
            epsilon,
            keep: PrivacyBound::new(epsilon)?.threshold(1, 1),
        })
    }

    /// The sketch.
    #[must_use]
    pub fn shape(&self) -> &SketchShape {
        &self.shape
    }

    /// The probability that the sign is kept.
    #[must_use]
    pub fn keep_probability(&self) -> f64 {
        probability(self.keep)
    }
}

impl Mechanism for HadamardCountMeanSketch {
    type Report = SketchSign;

    fn domain(&self) -> usize {
        self.shape.domain()
    }

    fn epsilon(&self) -> Option<Epsilon> {
        Some(self.epsilon)
    }

    fn message_bits(&self) -> f64 {
        bits_of(u64::from(self.shape.rows)) + bits_of(u64::from(self.shape.width)) + 1.0
    }

    fn encode<R: CryptoRng + ?Sized>(
        &self,
        symbol: usize,
        rng: &mut R,
    ) -> Result<SketchSign, RobustStatsError> {
        check_symbol(symbol, self.shape.domain)?;
        let row = uniform_below(rng, self.shape.rows);
        let column = uniform_below(rng, self.shape.width);
        let place = self.shape.bucket(row as usize, symbol);
        let negative = (place & column as usize).count_ones() % 2 == 1;
        let flip = rng.next_u64() >= self.keep;
        Ok(SketchSign {
            row,
            column,
            negative: negative ^ flip,
        })
    }
}

/// Conditional on row 0: the message number is the column, with the sign in the bit above.
impl Channel for HadamardCountMeanSketch {
    fn messages(&self) -> u64 {
        2 * u64::from(self.shape.width)
    }

    fn probability(&self, symbol: usize, message: u64) -> ExactProbability {
        let width = u64::from(self.shape.width);
        let (negative, column) = (message / width == 1, message % width);
        let odd = (self.shape.bucket(0, symbol) as u64 & column).count_ones() % 2 == 1;
        let sign = if negative == odd {
            ExactProbability::below(self.keep)
        } else {
            ExactProbability::at_least(self.keep)
        };
        sign.divided(u128::from(width))
    }
}
