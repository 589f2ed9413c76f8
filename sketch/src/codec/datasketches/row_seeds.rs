//! The seeds of rows, derived as in C++ with the GNU standard library.
//!
//! The C++ sketch draws one number per row from `std::uniform_int_distribution<uint64_t>` over a
//! `std::default_random_engine`. Both are implementation-defined. The wheels and packages of
//! DataSketches for Linux are built with libstdc++, where the engine is `minstd_rand0` and the
//! distribution the algorithm below. Other libraries give other seeds, and incompatible sketches.

use alloc::vec::Vec;

/// The modulus of `minstd_rand0`, 2^31 - 1.
const MODULUS: u64 = 0x7fff_ffff;
const MULTIPLIER: u64 = 16_807;

/// The number of values of the engine: 1 to 2^31 - 2.
const VALUES: u64 = MODULUS - 1;

struct Engine(u64);

impl Engine {
    fn new(seed: u64) -> Self {
        Self((seed % MODULUS).max(1))
    }

    /// The next value minus the smallest one: 0 to 2^31 - 3.
    fn next(&mut self) -> u64 {
        self.0 = self.0 * MULTIPLIER % MODULUS;
        self.0 - 1
    }

    /// A number from 0 to `largest`, both included.
    fn uniform(&mut self, largest: u64) -> u64 {
        if largest < VALUES - 1 {
            // Scale down, rejecting the incomplete last interval.
            let scaling = (VALUES - 1) / (largest + 1);
            let past = (largest + 1) * scaling;
            loop {
                let value = self.next();
                if value < past {
                    return value / scaling;
                }
            }
        } else if largest == VALUES - 1 {
            self.next()
        } else {
            // Compose from a high part in units of `VALUES` and a low part; reject overflow.
            loop {
                let high = VALUES.wrapping_mul(self.uniform(largest / VALUES));
                let value = high.wrapping_add(self.next());
                if value >= high && value <= largest {
                    return value;
                }
            }
        }
    }
}

/// The seeds of the first `depth` rows.
pub(super) fn row_seeds(seed: u64, depth: usize) -> Vec<u64> {
    let mut engine = Engine::new(seed);
    (0..depth)
        .map(|_| engine.uniform(u64::MAX).wrapping_add(seed))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_those_of_the_package() {
        // Recovered from sketches that the Python package 5.2.0 wrote on Linux.
        let expected = [
            0x3e2f_341a_a14f_c70c,
            0x5c06_9e43_fce8_13ce,
            0x9d86_35c1_3650_1eb7,
            0x39bd_a2e8_3b2e_f264,
        ];
        assert_eq!(row_seeds(9001, 4), expected);
    }
}
