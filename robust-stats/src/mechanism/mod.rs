//! Mechanisms: the client-side encoding of a value.
//!
//! A [`Mechanism`] encodes a symbol into a report. Private mechanisms are exact: their probabilities are
//! integer thresholds, and the ratio of the probabilities of a message under two values is at most
//! `e^epsilon` in rational arithmetic. A [`Channel`] returns these probabilities, so that the bound can
//! be audited.
//!
//! The caller supplies the generator. Use [`client_generator`], which a fork does not copy, or another
//! cryptographic one of the traits in [`rand_core`](crate::rand_core); the trait bound excludes fast
//! generators whose outputs reveal their state.
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
mod generator;
mod hadamard_response;
mod local_hashing;
mod randomized_response;
mod rappor;
mod subset_selection;
mod unary_encoding;

use rand_chacha::rand_core::CryptoRng;

pub use bit_vector::BitVector;
pub use channel::{Channel, ExactProbability};
pub use count_mean_sketch::{
    CountMeanSketch, HadamardCountMeanSketch, SketchRow, SketchShape, SketchSign,
};
pub(crate) use exact::uniform_below;
pub use exact::{MAX_EPSILON, MIN_EPSILON};
pub use generator::client_generator_from_seed;
#[cfg(feature = "std")]
pub use generator::{ClientGenerator, client_generator};
pub use hadamard_response::HadamardResponse;
pub use local_hashing::{HashedCell, LocalHashing};
pub use randomized_response::RandomizedResponse;
pub use rappor::{Rappor, RapporReport};
pub use subset_selection::SubsetSelection;
pub use unary_encoding::UnaryEncoding;

use crate::error::RobustStatsError;
use crate::parameter::Epsilon;

/// A client-side mechanism: encodes one symbol into one report.
pub trait Mechanism {
    /// The message of one client.
    type Report;

    /// Number of symbols.
    fn domain(&self) -> usize;

    /// The privacy parameter of a report; `None` if the mechanism only compresses.
    fn epsilon(&self) -> Option<Epsilon>;

    /// The size of a message in bits: the base-2 logarithm of the number of messages.
    fn message_bits(&self) -> f64;

    /// Encodes a symbol.
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
/// symbols, with one probability for the own symbol and another for every other symbol, so that
/// frequencies are estimated from support counts.
pub trait PureMechanism: Mechanism {
    /// The support probabilities of the own symbol and of any other one.
    fn support(&self) -> Support;
}

/// The support probabilities: a message supports its own symbol with probability `own`, and any given
/// other symbol with probability `other`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Support {
    /// The probability that a message supports its own symbol, `p*`.
    pub own: f64,
    /// The probability that a message supports a given other symbol, `q*`.
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

    /// The variance of the estimate for a true frequency `frequency` of the given values (not of a
    /// population): the sum of independent Bernoulli variances,
    /// `[f p(1-p) + (1-f) q(1-q)] / (n (p-q)^2)`.
    #[must_use]
    pub fn variance(&self, frequency: f64, messages: u64) -> f64 {
        let Self { own, other } = *self;
        (frequency * own * (1.0 - own) + (1.0 - frequency) * other * (1.0 - other))
            / (messages as f64 * (own - other) * (own - other))
    }
}

/// Checks that a domain is nonempty and has 32-bit symbols.
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

/// Checks that a symbol is in the domain.
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

/// The base-2 logarithm of a number of messages. Without the standard library, which has the
/// logarithm, it is rounded up to an integer.
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
