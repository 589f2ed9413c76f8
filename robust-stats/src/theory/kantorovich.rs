//! Central testing of uniformity as optimal transport between count laws.
//!
//! `n` clients send their symbols as they are. Under the null hypothesis each of the `k` counts is
//! Poisson with mean `lambda = n / k` (asymptotically); under the alternative, in which half of the
//! symbols have mass `(1 + 2 alpha) / k` and the others `(1 - 2 alpha) / k`, it follows the even
//! mixture of two Poisson distributions. The minimum fraction of messages that must be rewritten to turn
//! one into the other is the Kantorovich distance of the two distributions, in units of two moves of a
//! sample, and the statistic `sum |N_x / n - 1 / k|` is its optimal potential: the optimal attack and
//! the optimal test match.

use super::first_reaching;

/// Poisson probabilities over `0..=last`, by recursion from the mode, so that nothing underflows.
pub(crate) fn poisson_pmf(mean: f64, last: usize) -> Vec<f64> {
    let mut pmf = vec![0.0; last + 1];
    if mean <= 0.0 {
        pmf[0] = 1.0;
        return pmf;
    }
    // The mode by log-gamma, then ratios of neighbors in both directions.
    let mode = (mean.floor() as usize).min(last);
    let log =
        -mean + mode as f64 * mean.ln() - statrs::function::gamma::ln_gamma(mode as f64 + 1.0);
    pmf[mode] = log.exp();
    for t in mode + 1..=last {
        pmf[t] = pmf[t - 1] * mean / t as f64;
    }
    for t in (0..mode).rev() {
        pmf[t] = pmf[t + 1] * (t + 1) as f64 / mean;
    }
    pmf
}

/// A count above which a Poisson distribution of this mean has a mass below 1e-30.
fn last_count(mean: f64) -> usize {
    (mean + 12.0 * mean.sqrt() + 40.0) as usize
}

/// The minimum fraction of `samples` messages that must be rewritten to turn the alternative at total
/// variation `alpha` into the uniform distribution over `symbols` symbols:
/// `(k / 2n) sum_t |F_M(t) - F_0(t)|`. Asymptotic in the number of symbols. O(n / k) time.
///
/// `alpha` is clamped to `[0, 0.5]`, the range in which masses stay positive. No samples or fewer
/// than two symbols give 0.
#[must_use]
pub fn rewriting_cost(alpha: f64, samples: f64, symbols: f64) -> f64 {
    if samples <= 0.0 || symbols < 2.0 {
        return 0.0;
    }
    let alpha = alpha.clamp(0.0, 0.5);
    let lambda = samples / symbols;
    // The Kantorovich distance on the line is the L1 distance of the distribution functions.
    let last = last_count(lambda * (1.0 + 2.0 * alpha));
    let null = poisson_pmf(lambda, last);
    let high = poisson_pmf(lambda * (1.0 + 2.0 * alpha), last);
    let low = poisson_pmf(lambda * (1.0 - 2.0 * alpha), last);
    let mut difference = 0.0;
    let mut distance = 0.0;
    for t in 0..=last {
        difference += 0.5 * (high[t] + low[t]) - null[t];
        distance += difference.abs();
    }
    distance / (2.0 * lambda)
}

/// The maximum total variation at which an adversary with a fraction `gamma` of the messages turns the
/// alternative into the null hypothesis. At most 0.5.
#[must_use]
pub fn undetectable_distance(gamma: f64, samples: f64, symbols: f64) -> f64 {
    first_reaching(0.0, 0.5, gamma, |alpha| {
        rewriting_cost(alpha, samples, symbols)
    })
}

/// The critical distance of the robust test: below it, an adversary under both hypotheses makes them
/// meet halfway; above it, the total variation statistic separates them. At most 0.5.
#[must_use]
pub fn critical_distance(gamma: f64, samples: f64, symbols: f64) -> f64 {
    undetectable_distance(2.0 * gamma, samples, symbols)
}

/// The maximum decrease of the statistic `1/2 sum |N_x / n - 1 / k|` by one moved sample:
/// `1 / max(n, k)`.
#[must_use]
pub fn sensitivity(samples: f64, symbols: f64) -> f64 {
    1.0 / samples.max(symbols).max(1.0)
}

/// The mean and the standard deviation of the statistic `1/2 sum |N_x / n - 1 / k|` at the alternative
/// `alpha`, and under the null hypothesis for 0, asymptotic in the number of symbols.
///
/// The deviation is conditional on the total, which removes the part of `|N - lambda|` linear in `N`.
#[must_use]
pub fn statistic_moments(alpha: f64, samples: f64, symbols: f64) -> (f64, f64) {
    let lambda = samples / symbols;
    let alpha = alpha.clamp(0.0, 0.5);
    let rates = [lambda * (1.0 + 2.0 * alpha), lambda * (1.0 - 2.0 * alpha)];
    let last = last_count(rates[0]);
    // Average over the two kinds of symbols, which are equally many.
    let (mut mean, mut variance, mut joint) = (0.0, 0.0, 0.0);
    for rate in rates {
        let (mut first, mut second, mut with_count) = (0.0, 0.0, 0.0);
        for (t, p) in poisson_pmf(rate, last).iter().enumerate() {
            let t = t as f64;
            let distance = (t - lambda).abs();
            first += p * distance;
            second += p * distance * distance;
            with_count += p * distance * (t - rate);
        }
        mean += 0.5 * first;
        variance += 0.5 * (second - first * first);
        joint += 0.5 * with_count;
    }
    let variance = (variance - joint * joint / lambda).max(0.0);
    (
        0.5 * symbols * mean / samples,
        0.5 * (symbols * variance).sqrt() / samples,
    )
}

/// [`undetectable_distance`] for far more symbols than samples: `sqrt(k gamma / 2n) e^(lambda / 2)`.
#[must_use]
pub fn undetectable_distance_sparse(gamma: f64, samples: f64, symbols: f64) -> f64 {
    (symbols * gamma / (2.0 * samples)).sqrt() * (samples / symbols / 2.0).exp()
}

/// [`undetectable_distance`] for far more samples than symbols and small `alpha sqrt(lambda)`:
/// `(pi / 2)^(1/4) (k gamma^2 / n)^(1/4)`.
#[must_use]
pub fn undetectable_distance_dense(gamma: f64, samples: f64, symbols: f64) -> f64 {
    (std::f64::consts::FRAC_PI_2 * symbols * gamma * gamma / samples).powf(0.25)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(measured: f64, expected: f64, relative: f64) {
        assert!(
            (measured / expected - 1.0).abs() <= relative,
            "{measured} is not {expected}"
        );
    }

    #[test]
    fn the_table_of_both_regimes() {
        // Computed with another program (numpy) when the statements were derived.
        for (samples, symbols, gamma, attack, tester) in [
            (4e3, 4e4, 0.001, 0.0743, 0.1051),
            (4e3, 4e4, 0.008, 0.2102, 0.2973),
            (4e6, 4e4, 2e-5, 0.001_58, 0.002_24),
            (4e6, 4e4, 1.6e-4, 0.004_48, 0.006_34),
            (2e6, 200.0, 0.01, 0.0140, 0.0240),
            (2e6, 200.0, 0.08, 0.0840, 0.1640),
        ] {
            close(undetectable_distance(gamma, samples, symbols), attack, 4e-3);
            close(critical_distance(gamma, samples, symbols), tester, 4e-3);
        }
    }

    #[test]
    fn closed_forms_hold_in_their_regimes() {
        for gamma in [1e-4, 1e-3] {
            close(
                undetectable_distance(gamma, 400.0, 4e4),
                undetectable_distance_sparse(gamma, 400.0, 4e4),
                0.01,
            );
        }
        for gamma in [1e-5, 4e-5] {
            close(
                undetectable_distance(gamma, 4e6, 4e4),
                undetectable_distance_dense(gamma, 4e6, 4e4),
                0.01,
            );
        }
        // Far beyond the noise nothing is amplified: the distance is the budget.
        close(undetectable_distance(0.2, 1e7, 10.0), 0.2, 0.01);
    }

    #[test]
    fn the_statistic_is_the_optimal_potential() {
        // The gap of the statistic over its sensitivity is the number of moves.
        for (samples, symbols, alpha) in [(4e3, 4e4, 0.2), (4e6, 4e4, 0.003), (2e6, 200.0, 0.03)] {
            let gap = statistic_moments(alpha, samples, symbols).0
                - statistic_moments(0.0, samples, symbols).0;
            let moves = rewriting_cost(alpha, samples, symbols) * samples;
            close(gap / sensitivity(samples, symbols), moves, 1e-6);
        }
    }

    #[test]
    fn no_budget_hides_nothing() {
        assert!(undetectable_distance(0.0, 1e4, 1e3) < 1e-12);
        assert_eq!(rewriting_cost(0.3, 0.0, 10.0), 0.0);
        assert_eq!(rewriting_cost(0.3, 10.0, 1.0), 0.0);
    }
}
