//! Mechanisms: what a client does to its value before it leaves the device.
//!
//! Every mechanism is a [`Mechanism`]: it encodes one symbol into one report. Those that keep a value
//! private are exact: their chances are integer thresholds, the ratio of the probabilities of a
//! message under two values is at most `e^epsilon` as a fraction of integers, and a [`Channel`] gives
//! these probabilities, so that the bound can be audited.
//!
//! The generator is the caller's. Use [`client_generator`], or any other cryptographic one: the type
//! bound rules out a fast generator whose outputs reveal its state.
//!
//! ```
//! use septet_robust_stats::Epsilon;
//! use septet_robust_stats::mechanism::{Mechanism, RandomizedResponse, client_generator};
//!
//! let mechanism = RandomizedResponse::new(10, Epsilon::new(1.0)?)?;
//! let report = mechanism.encode(3, &mut client_generator()?)?;
//! assert!(report < 10);
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```

mod bit_vector;
mod channel;
mod count_mean_sketch;
mod exact;
mod hadamard_response;
mod local_hashing;
mod randomized_response;
mod rappor;
mod subset_selection;
mod unary_encoding;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{CryptoRng, SeedableRng};

pub use bit_vector::BitVector;
pub use channel::{Channel, ExactProbability};
pub use count_mean_sketch::{
    CountMeanSketch, HadamardCountMeanSketch, SketchRow, SketchShape, SketchSign,
};
pub(crate) use exact::uniform_below;
pub use exact::{LARGEST_EPSILON, SMALLEST_EPSILON};
pub use hadamard_response::HadamardResponse;
pub use local_hashing::{HashedCell, LocalHashing};
pub use randomized_response::RandomizedResponse;
pub use rappor::{Rappor, RapporReport};
pub use subset_selection::SubsetSelection;
pub use unary_encoding::UnaryEncoding;

use crate::error::RobustStatsError;
use crate::parameter::Epsilon;

/// What a client runs: one symbol in, one report out.
pub trait Mechanism {
    /// The message of one client.
    type Report;

    /// How many symbols there are.
    fn domain(&self) -> usize;

    /// The privacy of one report, or nothing when the mechanism compresses only.
    fn epsilon(&self) -> Option<Epsilon>;

    /// The size of a message in bits: the logarithm of the number of messages.
    fn message_bits(&self) -> f64;

    /// The message for a symbol.
    ///
    /// # Errors
    ///
    /// When the symbol is outside the domain.
    fn encode<R: CryptoRng + ?Sized>(
        &self,
        symbol: usize,
        rng: &mut R,
    ) -> Result<Self::Report, RobustStatsError>;
}

/// A pure mechanism in the sense of Wang, Blocki, Li and Jha (2017): a message supports a set of
/// symbols, the own one with one probability and each other one with another, so that frequencies are
/// estimated from counts of support.
pub trait PureMechanism: Mechanism {
    /// With which probability a message supports its own symbol, and any other one.
    fn support(&self) -> Support;
}

/// The two probabilities from which a frequency is estimated: a message supports its own symbol with
/// probability `own`, and any given other symbol with probability `other`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Support {
    /// The probability that a message supports the symbol it was made of: `p*`.
    pub own: f64,
    /// The probability that it supports a given other symbol: `q*`.
    pub other: f64,
}

impl Support {
    /// The unbiased estimate of a frequency from `supported` supporting messages out of `messages`:
    /// `(supported / messages - other) / (own - other)`; 0 without messages.
    #[must_use]
    pub fn estimate(&self, supported: u64, messages: u64) -> f64 {
        if messages == 0 {
            return 0.0;
        }
        (supported as f64 / messages as f64 - self.other) / (self.own - self.other)
    }

    /// The variance of that estimate when the true frequency is `frequency`: the sum of independent
    /// Bernoulli variances, `[f p(1-p) + (1-f) q(1-q)] / (n (p-q)^2)`, where the frequency is that of
    /// the values at hand and not of a population.
    #[must_use]
    pub fn variance(&self, frequency: f64, messages: u64) -> f64 {
        let Self { own, other } = *self;
        (frequency * own * (1.0 - own) + (1.0 - frequency) * other * (1.0 - other))
            / (messages as f64 * (own - other) * (own - other))
    }
}

/// A cryptographic generator for clients: ChaCha with 12 rounds, seeded by the operating system.
///
/// # Errors
///
/// When the operating system gives no randomness.
#[cfg(feature = "std")]
pub fn client_generator() -> Result<ChaCha12Rng, RobustStatsError> {
    ChaCha12Rng::try_from_os_rng().map_err(|error| {
        RobustStatsError::parameter("operating system", "a source of randomness", error)
    })
}

/// The same generator from a seed, for targets without an operating system: the seed must be 32
/// secret random bytes, such as a browser's `crypto.getRandomValues` gives, never used before.
#[must_use]
pub fn client_generator_from_seed(seed: [u8; 32]) -> ChaCha12Rng {
    ChaCha12Rng::from_seed(seed)
}

/// Checks that a domain is not empty and that its symbols fit into 32 bits.
pub(crate) fn check_domain(domain: usize) -> Result<u32, RobustStatsError> {
    match u32::try_from(domain) {
        Ok(domain) if domain > 0 => Ok(domain),
        _ => Err(RobustStatsError::parameter(
            "domain",
            "from 1 to 4294967295 symbols",
            domain,
        )),
    }
}

/// Checks that a symbol lies in the domain.
pub(crate) fn check_symbol(symbol: usize, domain: u32) -> Result<u32, RobustStatsError> {
    match u32::try_from(symbol) {
        Ok(checked) if checked < domain => Ok(checked),
        _ => Err(RobustStatsError::parameter(
            "symbol",
            alloc::format!("a number below the domain {domain}"),
            symbol,
        )),
    }
}

/// The bits that name one of `messages` messages. Without the standard library there is no
/// logarithm: it is then rounded up to a whole number.
pub(crate) fn bits_of(messages: u64) -> f64 {
    #[cfg(feature = "std")]
    {
        (messages as f64).log2()
    }
    #[cfg(not(feature = "std"))]
    {
        f64::from(u64::BITS - messages.saturating_sub(1).leading_zeros())
    }
}
