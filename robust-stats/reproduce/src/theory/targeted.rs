//! What attacks that promote chosen symbols gain (Cao, Jia, Gong: "Data Poisoning Attacks to Local
//! Differential Privacy Protocols", USENIX Security 2021; derived anew).
//!
//! A pure protocol supports a client's own symbol with probability `p` and any other with `q`. When
//! a fraction of all reports is fake and each fake supports `s` of the targets in expectation, the
//! estimated masses of the targets rise together by `fraction ((s - r q) / (p - q) - f)`: `r` is
//! the number of targets and `f` their true mass.

use septet_robust_stats::mechanism::Support;

/// An attack that promotes target symbols.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Poisoning {
    /// Fakes over all reports.
    pub(crate) fraction: f64,
    /// The number of targets.
    pub(crate) targets: usize,
    /// The true mass of the targets together.
    pub(crate) true_mass: f64,
}

impl Poisoning {
    /// The total gain of the targets when each fake report supports `supported` of them in
    /// expectation.
    pub(crate) fn gain(&self, support: Support, supported: f64) -> f64 {
        let targets = self.targets as f64;
        let each = (supported - targets * support.other) / (support.own - support.other);
        self.fraction * (each - self.true_mass)
    }

    /// Fakes encode a target honestly.
    pub(crate) fn random_item_gain(&self, support: Support) -> f64 {
        let targets = self.targets as f64;
        self.gain(support, support.own + (targets - 1.0) * support.other)
    }
}

/// The mean of the number of `items` in the fullest of `cells` cells, of the best of so many random
/// throws.
pub(crate) fn most_in_one_cell(items: usize, cells: usize, tries: i32) -> f64 {
    let factorial = |n: usize| (1..=n).map(|i| i as f64).product::<f64>();
    // Throws with at most `most` in each cell: a coefficient of a power of the exponential series.
    let at_most = |most: usize| {
        let mut ways = vec![0.0; items + 1];
        ways[0] = 1.0;
        for _ in 0..cells {
            let mut more = vec![0.0; items + 1];
            for (held, &ways) in ways.iter().enumerate() {
                for added in 0..=most.min(items - held) {
                    more[held + added] += ways / factorial(added);
                }
            }
            ways = more;
        }
        ways[items] * factorial(items) / (cells as f64).powi(items as i32)
    };
    (0..items).map(|most| 1.0 - at_most(most).powi(tries)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_cell_by_hand() {
        // Two items fall into one of two cells half of the time; one item into one always.
        assert!((most_in_one_cell(2, 2, 1) - 1.5).abs() < 1e-12);
        assert!((most_in_one_cell(1, 4, 1) - 1.0).abs() < 1e-12);
        // The best of two throws is 1 in a quarter of all cases.
        assert!((most_in_one_cell(2, 2, 2) - 1.75).abs() < 1e-12);
    }

    const POISONING: Poisoning = Poisoning {
        fraction: 0.05,
        targets: 10,
        true_mass: 0.048,
    };

    /// Generalized randomized response over `symbols` symbols with epsilon 1.
    fn randomized_response(symbols: f64) -> Support {
        let e = 1.0_f64.exp();
        Support {
            own: e / (e + symbols - 1.0),
            other: 1.0 / (e + symbols - 1.0),
        }
    }

    /// Optimized unary encoding with epsilon 1.
    fn unary_encoding() -> Support {
        Support {
            own: 0.5,
            other: 1.0 / (1.0_f64.exp() + 1.0),
        }
    }

    /// Local hashing into `cells` cells with epsilon 1.
    fn local_hashing(cells: f64) -> Support {
        let e = 1.0_f64.exp();
        Support {
            own: e / (e + cells - 1.0),
            other: 1.0 / cells,
        }
    }

    #[test]
    fn the_general_form_gives_the_published_ones() {
        let e = 1.0_f64.exp();
        let Poisoning {
            fraction: b,
            true_mass: f,
            ..
        } = POISONING;
        let (k, r) = (102.0, 10.0);
        let close = |measured: f64, expected: f64| {
            assert!((measured - expected).abs() < 1e-12, "{measured} {expected}");
        };
        let response = randomized_response(k);
        close(
            POISONING.gain(response, 1.0),
            b * (1.0 - f) + b * (k - r) / (e - 1.0),
        );
        close(POISONING.gain(response, r / k), b * (r / k - f));
        close(POISONING.random_item_gain(response), b * (1.0 - f));
        let unary = unary_encoding();
        close(
            POISONING.gain(unary, r),
            b * (2.0 * r - f) + 2.0 * b * r / (e - 1.0),
        );
        close(POISONING.gain(unary, r / 2.0), b * (r - f));
        let hashing = local_hashing(4.0);
        close(POISONING.gain(hashing, r / 4.0), -b * f);
        close(POISONING.random_item_gain(hashing), b * (1.0 - f));
    }

    #[test]
    fn the_prototype_cell() {
        // 1.580 for unary encoding and 2.73 for randomized response when the forms were derived.
        let unary = POISONING.gain(unary_encoding(), 10.0);
        assert!((unary - 1.580).abs() < 1e-3, "{unary}");
        let response = POISONING.gain(randomized_response(102.0), 1.0);
        assert!((response - 2.73).abs() < 6e-3, "{response}");
    }
}
