//! Hadamard response: a column of a block-diagonal Hadamard matrix.

use rand_chacha::rand_core::CryptoRng;

use super::exact::{PrivacyBound, UniformBelow, probability};
use super::{Channel, ExactProbability, Mechanism, bits_of, check_domain, check_symbol};
use crate::error::RobustStatsError;
use crate::parameter::Epsilon;

/// Hadamard response (Acharya, Sun, Zhang 2019): `B` blocks of `b` columns; a symbol owns one row of one
/// block, and its client sends a column where that row has `+1` with the higher probability.
///
/// `B = 2^(ceil(log2(min(e^epsilon, 2k))) - 1)` and `b = 2^ceil(log2(k/B + 1))`: one block for epsilon
/// up to `ln 2`. The message is about `log2 k` bits, and the server decodes with one fast transform.
///
/// The client chooses the column, so that a fraction `gamma` of corrupted clients moves the estimate by up to
/// `gamma k c_epsilon / 2` in total variation, and no decoder can undo it.
///
/// Encoding takes the same instructions and random numbers for every symbol and every column: only a
/// rejected random number, which is independent of both, is drawn again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HadamardResponse {
    domain: u32,
    epsilon: Epsilon,
    /// The logarithm of the number of columns in a block, at least 1.
    block_bits: u32,
    /// The number of blocks, a power of 2.
    blocks: u32,
    /// The probability of a column with `+1` in the own row, times `2^64`.
    plus: u64,
    /// Draws one of the other columns.
    other: UniformBelow,
    /// `2^62` over the number of symbols of a block, rounded up: the time of a division would depend on
    /// the symbol.
    reciprocal: u64,
}

impl HadamardResponse {
    /// With the optimal number of blocks for epsilon.
    ///
    /// # Errors
    ///
    /// When the domain is empty or has more than `2^30` symbols, or epsilon is above
    /// [`MAX_EPSILON`](super::MAX_EPSILON).
    pub fn new(domain: usize, epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        let symbols = check_domain(domain)?;
        // Rounding e^epsilon up to a power of 2 after its lower bound was rounded up to an integer is
        // the same as rounding e^epsilon itself.
        let ratio = PrivacyBound::new(epsilon)?
            .rounded_up()
            .min(2 * u64::from(symbols));
        let blocks = (ratio.next_power_of_two() / 2).max(1);
        Self::with_blocks(domain, epsilon, u32::try_from(blocks).unwrap_or(u32::MAX))
    }

    /// With one block: the variant for epsilon up to 1.
    ///
    /// # Errors
    ///
    /// As [`HadamardResponse::new`].
    pub fn one_block(domain: usize, epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        Self::with_blocks(domain, epsilon, 1)
    }

    fn with_blocks(domain: usize, epsilon: Epsilon, blocks: u32) -> Result<Self, RobustStatsError> {
        let domain = check_domain(domain)?;
        if domain > 1 << 30 {
            return Err(RobustStatsError::parameter(
                "domain",
                "at most 2^30 symbols",
                domain,
            ));
        }
        let block_bits = (domain.div_ceil(blocks) + 1)
            .next_power_of_two()
            .trailing_zeros();
        let columns = 1_u32 << block_bits;
        let half = 1_u64 << (block_bits - 1);
        let rest = (u64::from(blocks) << block_bits) - half;
        Ok(Self {
            domain,
            epsilon,
            block_bits,
            blocks,
            // The probability is spread over half a block, its complement over the other columns.
            plus: PrivacyBound::new(epsilon)?.threshold(rest, half),
            other: UniformBelow::new(blocks * columns - columns / 2),
            reciprocal: (1_u64 << 62).div_ceil(u64::from(columns - 1)),
        })
    }

    /// Number of blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks as usize
    }

    /// Number of columns per block.
    #[must_use]
    pub fn block_columns(&self) -> usize {
        1 << self.block_bits
    }

    /// Number of columns, hence of messages.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.blocks() * self.block_columns()
    }

    /// The block of a symbol and its row in the block. Row 0 of a Hadamard matrix is constant and not
    /// used.
    #[must_use]
    pub fn row(&self, symbol: usize) -> (usize, usize) {
        let rows = self.block_columns() - 1;
        (symbol / rows, symbol % rows + 1)
    }

    /// The total probabilities of the columns of the own block with `+1` and with `-1` in the own row.
    #[must_use]
    pub fn probabilities(&self) -> (f64, f64) {
        let plus = probability(self.plus);
        let half = self.block_columns() as f64 / 2.0;
        (plus, (1.0 - plus) * half / (self.columns() as f64 - half))
    }
}

impl Mechanism for HadamardResponse {
    type Report = u32;

    fn domain(&self) -> usize {
        self.domain as usize
    }

    fn epsilon(&self) -> Option<Epsilon> {
        Some(self.epsilon)
    }

    fn message_bits(&self) -> f64 {
        bits_of(self.columns() as u64)
    }

    fn encode<R: CryptoRng + ?Sized>(
        &self,
        symbol: usize,
        rng: &mut R,
    ) -> Result<u32, RobustStatsError> {
        let symbol = check_symbol(symbol, self.domain)?;
        let columns = 1_u32 << self.block_bits;
        // Exact, because the product of symbol and divisor is below 2^61.
        let block = ((u128::from(symbol) * u128::from(self.reciprocal)) >> 62) as u32;
        let row = symbol - block * (columns - 1) + 1;
        let plus = rng.next_u64() < self.plus;
        // Otherwise uniformly one of the other columns, starting with the other half of the own block.
        let other = self.other.draw(rng);
        // All branches are computed and combined by masks, so that time is independent of the symbol.
        let elsewhere = !plus & (other >= columns / 2);
        let within = rng.next_u32() & (columns - 1);
        // The sign of the entry is the parity of row & column. Flipping the row's top bit in the
        // column maps one half of the block to the other.
        let parity = (row & within).count_ones() & 1;
        let flip = parity ^ u32::from(!plus);
        let top = 1 << (31 - row.leading_zeros());
        let own_block = block * columns + (within ^ (top & flip.wrapping_neg()));
        // Columns outside the own block are numbered by skipping it.
        let outside = other.wrapping_sub(columns / 2);
        let outside =
            outside.wrapping_add(columns & u32::from(outside >= block * columns).wrapping_neg());
        let mask = u32::from(elsewhere).wrapping_neg();
        Ok((outside & mask) | (own_block & !mask))
    }
}

impl Channel for HadamardResponse {
    fn messages(&self) -> u64 {
        self.columns() as u64
    }

    fn probability(&self, symbol: usize, message: u64) -> ExactProbability {
        let (block, row) = self.row(symbol);
        let columns = self.block_columns() as u64;
        let own = message / columns == block as u64;
        let plus = (row as u64 & message & (columns - 1))
            .count_ones()
            .is_multiple_of(2);
        let half = u128::from(columns / 2);
        if own && plus {
            ExactProbability::below(self.plus).divided(half)
        } else {
            ExactProbability::at_least(self.plus).divided(u128::from(self.messages()) - half)
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    // With epsilon 40 a client sends a column of its own block with +1 in its own row.
    #[test]
    fn every_symbol_is_sent_in_its_own_row() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let epsilon = Epsilon::new(40.0).unwrap();
        for domain in [1, 2, 3, 7, 100, 1_000, (1 << 20) + 3, 1 << 30] {
            let several = HadamardResponse::new(domain, epsilon).unwrap();
            let single = HadamardResponse::one_block(domain, epsilon).unwrap();
            for mechanism in [several, single] {
                let step = (domain / 500).max(1);
                for symbol in (0..domain).step_by(step).chain([domain - 1]) {
                    let (block, row) = mechanism.row(symbol);
                    let sent = mechanism.encode(symbol, &mut rng).unwrap() as usize;
                    let column = sent % mechanism.block_columns();
                    assert_eq!(sent / mechanism.block_columns(), block, "{domain} {symbol}");
                    assert_eq!((column & row).count_ones() % 2, 0, "{domain} {symbol}");
                }
            }
        }
    }
}
