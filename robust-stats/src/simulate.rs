//! Simulation of the server's counts without individual messages.
//!
//! Clients of one group are exchangeable, so counts are a sufficient statistic. Sampling them takes the
//! same time for a thousand clients as for a million.

use rand::Rng;

use crate::aggregate::CountMatrix;
use crate::design::DesignMatrix;
use crate::distribution::{MultinomialSampler, Pmf};
use crate::error::RobustStatsError;

/// The counts of a design when `users` clients draw their values from `pmf` without manipulation. Groups
/// differ in size by at most one. O(groups times (cells + symbols)).
///
/// # Errors
///
/// When the domains differ.
pub fn sample_counts<R: Rng + ?Sized>(
    matrix: &DesignMatrix,
    pmf: &Pmf,
    users: u64,
    rng: &mut R,
) -> Result<CountMatrix, RobustStatsError> {
    if pmf.domain() != matrix.symbols() {
        return Err(RobustStatsError::mismatch(
            "domain",
            pmf.domain(),
            matrix.symbols(),
        ));
    }
    let law = matrix.message_distribution(pmf.masses());
    let groups = matrix.groups();
    let mut counts = CountMatrix::new(groups, matrix.cells());
    for (group, law) in law.chunks_exact(matrix.cells()).enumerate() {
        let size = group_size(users, groups, group);
        let sampler = MultinomialSampler::new(&Pmf::from_weights(law)?);
        sampler.sample_into(size, rng, counts.group_mut(group));
    }
    Ok(counts)
}

/// The size of a group if `users` clients are distributed as evenly as possible.
#[must_use]
pub fn group_size(users: u64, groups: usize, group: usize) -> u64 {
    let groups = groups as u64;
    users / groups + u64::from((group as u64) < users % groups)
}

/// Samples the counts of `draws` draws without replacement (multivariate hypergeometric). O(symbols +
/// standard deviations of the counts).
pub(crate) fn draw_without_replacement<R: Rng + ?Sized>(
    population: &[u64],
    draws: u64,
    rng: &mut R,
    counts: &mut [u64],
) {
    let mut left: u64 = population.iter().sum();
    let mut wanted = draws.min(left);
    for (count, &size) in counts.iter_mut().zip(population) {
        *count = hypergeometric(left, size, wanted, rng);
        left -= size;
        wanted -= *count;
    }
}

/// A hypergeometric number: marked items among `draws` draws without replacement from `population`
/// items, `marked` of them marked. By inversion from the mode outwards: exact up to rounding of the
/// probabilities, which is below 1e-3 for populations up to 10^12 and grows with them.
fn hypergeometric<R: Rng + ?Sized>(population: u64, marked: u64, draws: u64, rng: &mut R) -> u64 {
    let unmarked = population - marked;
    let (first, last) = (draws.saturating_sub(unmarked), draws.min(marked));
    if first == last {
        return first;
    }
    let (n, k, d) = (population as f64, marked as f64, draws as f64);
    let mode = (((d + 1.0) * (k + 1.0) / (n + 2.0)) as u64).clamp(first, last);
    let ln_choose = |n: f64, k: f64| {
        use statrs::function::gamma::ln_gamma;
        ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
    };
    // The probability of the mode by log-gamma; the others follow by their ratios.
    let h = mode as f64;
    let at_mode = (ln_choose(k, h) + ln_choose(n - k, d - h) - ln_choose(n, d)).exp();
    // P(h + 1) / P(h).
    let ratio = |h: u64| {
        let h = h as f64;
        (k - h) * (d - h) / ((h + 1.0) * (n - k - d + h + 1.0))
    };
    loop {
        // Inversion, visiting values alternately above and below the mode.
        let mut left = rng.random::<f64>() - at_mode;
        if left < 0.0 {
            return mode;
        }
        let (mut up, mut up_mass) = (mode, at_mode);
        let (mut down, mut down_mass) = (mode, at_mode);
        while up < last || down > first {
            if up < last {
                up_mass *= ratio(up);
                up += 1;
                left -= up_mass;
                if left < 0.0 {
                    return up;
                }
            }
            if down > first {
                down_mass /= ratio(down - 1);
                down -= 1;
                left -= down_mass;
                if left < 0.0 {
                    return down;
                }
            }
            if up_mass.max(down_mass) < 1e-300 {
                break;
            }
        }
        // Rounding left some probability uncovered, about 1e-12: draw again.
    }
}

/// The matrix of the central protocol: one group in which every symbol is its own cell.
///
/// # Errors
///
/// When there is no symbol.
pub fn central(symbols: usize) -> Result<DesignMatrix, RobustStatsError> {
    DesignMatrix::new(symbols, symbols, 1, |_, symbol| symbol)
}

#[cfg(test)]
mod tests {
    use septet_core::seed::SeedTree;

    use super::*;

    #[test]
    fn draws_without_replacement_have_their_mean_and_variance() {
        let mut rng = SeedTree::new(1).rng();
        for (population, marked, draws) in [
            (10_u64, 4_u64, 5_u64),
            (1_000_000, 300, 50_000),
            (50_000_000, 20_000_000, 3_000_000),
        ] {
            let (n, k, d) = (population as f64, marked as f64, draws as f64);
            let mean = d * k / n;
            let variance = mean * (1.0 - k / n) * (n - d) / (n - 1.0);
            let runs = 4_000;
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..runs {
                let h = hypergeometric(population, marked, draws, &mut rng);
                assert!(h <= marked.min(draws));
                sum += h as f64 - mean;
                squares += (h as f64 - mean).powi(2);
            }
            let runs = f64::from(runs);
            // Six standard errors of each.
            assert!((sum / runs).abs() < 6.0 * (variance / runs).sqrt());
            assert!((squares / runs / variance - 1.0).abs() < 6.0 * (2.0 / runs).sqrt());
        }
    }

    #[test]
    fn everybody_is_drawn_once() {
        let mut rng = SeedTree::new(2).rng();
        let population = [3, 0, 5, 2];
        let mut counts = [9; 4];
        draw_without_replacement(&population, 10, &mut rng, &mut counts);
        assert_eq!(counts, population);
        draw_without_replacement(&population, 0, &mut rng, &mut counts);
        assert_eq!(counts, [0; 4]);
        for draws in 1..10 {
            draw_without_replacement(&population, draws, &mut rng, &mut counts);
            assert_eq!(counts.iter().sum::<u64>(), draws);
            assert!(counts.iter().zip(&population).all(|(c, p)| c <= p));
        }
    }

    #[test]
    fn groups_are_even() {
        let sizes: Vec<u64> = (0..7).map(|group| group_size(23, 7, group)).collect();
        assert_eq!(sizes.iter().sum::<u64>(), 23);
        assert!(sizes.iter().all(|size| (3..=4).contains(size)));
    }
}
