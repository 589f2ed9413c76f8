//! By how much one corrupted client moves the estimate, in total variation before any projection and
//! divided by the fraction of corrupted clients: the formulas of every protocol and its worst known attack.
//!
//! A protocol whose clients choose their own public coin, and one with an algebraic coin that an
//! adversary knows, lose a factor of about `k`; random partitions that the server assigns lose
//! `sqrt(k)`.

use septet_robust_stats::Epsilon;
use septet_robust_stats::theory::coupling::response_contraction;
use statrs::distribution::{Binomial, Discrete, Hypergeometric};
use statrs::statistics::{Max, Min};

type Error = septet_core::experiment::ExperimentError;

/// Generalized randomized response, all corrupted users send one symbol: the estimate of that symbol rises by
/// `gamma (1 - q) / (p - q)` and all others fall, about `k / (e^epsilon - 1)`.
pub(crate) fn generalized_response(symbols: usize, epsilon: Epsilon) -> f64 {
    // Against a uniform distribution: the corrupted users' clean messages hit the symbol with 1 / k.
    (1.0 - 1.0 / symbols as f64) * response_contraction(epsilon, symbols)
}

/// Optimized unary encoding, the corrupted users set the bits of half the symbols: `k / 2` masses rise by
/// `gamma (1 - q) / (p - q)` each and the others fall by `q / (p - q)`.
pub(crate) fn unary_encoding_half(symbols: usize, epsilon: Epsilon) -> f64 {
    let keep = 0.5;
    let other = 1.0 / (epsilon.get().exp() + 1.0);
    let half = (symbols / 2) as f64;
    let rest = symbols as f64 - half;
    // A clean message supports every symbol with this probability when symbols are uniform.
    let clean = other + (keep - other) / symbols as f64;
    0.5 * (half * (1.0 - clean) + rest * clean) / (keep - other)
}

/// Hadamard response, all corrupted users send the same column: half of the masses rise and half fall by
/// `gamma c_epsilon`, so `k c_epsilon / 2`.
pub(crate) fn hadamard_same_message(symbols: usize, epsilon: Epsilon) -> f64 {
    0.5 * symbols as f64 * response_contraction(epsilon, 2)
}

/// Local hashing whose clients choose their hash function, `g = cells` of it: corrupted users choose one that
/// puts many symbols into one cell. About `2 k e^epsilon / ((e^epsilon + 1)(e^epsilon - 1))` when a
/// function that sends half of the domain to one cell is known.
pub(crate) fn client_chosen_hash(
    symbols: usize,
    supported: usize,
    cells: usize,
    epsilon: Epsilon,
) -> f64 {
    let e = epsilon.get().exp();
    let keep = e / (e + cells as f64 - 1.0);
    let other = 1.0 / cells as f64;
    let clean = other + (keep - other) / symbols as f64;
    let (supported, rest) = (supported as f64, (symbols - supported) as f64);
    0.5 * (supported * (1.0 - clean) + rest * clean) / (keep - other)
}

/// Server-assigned random half sets with the linear decoder, an adversary who does not see the
/// messages and pushes half of the symbols up: near `c_epsilon sqrt(k / (2 pi))`.
pub(crate) fn half_set_oblivious(symbols: usize, contraction: f64) -> Result<f64, Error> {
    let alignment = strongest_alignment(symbols, symbols / 2, 1.0)?;
    Ok(push(symbols, contraction) * alignment)
}

/// The same with an adversary who chooses which clients it controls from the beginning: near
/// `c_epsilon sqrt(k) phi(z_{1 - gamma / 2}) / gamma`.
pub(crate) fn half_set_best_users(
    symbols: usize,
    contraction: f64,
    gamma: f64,
) -> Result<f64, Error> {
    let alignment = strongest_alignment(symbols, symbols / 2, gamma)?;
    Ok(push(symbols, contraction) * alignment / gamma)
}

/// The same with an adversary who sees the messages and replaces those that oppose it, along signs
/// that are drawn one by one: near `c_epsilon sqrt(k) phi(z_{1 - gamma}) / gamma`.
pub(crate) fn half_set_replacing(
    symbols: usize,
    contraction: f64,
    gamma: f64,
) -> Result<f64, Error> {
    // Half of the clients oppose it, and each that does counts twice.
    let signs = Binomial::new(0.5, symbols as u64)?;
    let mut alignment = 0.0;
    for rising in 0..=symbols {
        alignment += signs.pmf(rising as u64) * strongest_alignment(symbols, rising, 2.0 * gamma)?;
    }
    Ok(push(symbols, contraction) * alignment / gamma)
}

/// By how much the linear estimate moves for each unit of alignment: it takes out what symbols share
/// a half set by accident.
fn push(symbols: usize, contraction: f64) -> f64 {
    0.5 * contraction * (symbols as f64 - 1.0) / symbols as f64
}

/// Half sets are aligned with signs of which `rising` are positive by the absolute value of the sum of
/// the signs inside less those outside. Its mean over the most aligned `share` of random balanced half
/// sets, times the share. Up to 1000 symbols: beyond, binomial coefficients are infinite.
fn strongest_alignment(symbols: usize, rising: usize, share: f64) -> Result<f64, Error> {
    let (k, rising) = (symbols as u64, rising as u64);
    let inside = Hypergeometric::new(k, rising, k / 2)?;
    let alignment = |number: u64| (4.0 * number as f64 - 2.0 * rising as f64).abs();
    let mut classes: Vec<(f64, f64)> = (inside.min()..=inside.max())
        .map(|number| (alignment(number), inside.pmf(number)))
        .collect();
    classes.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut left, mut sum) = (share, 0.0);
    for (alignment, probability) in classes {
        let taken = probability.min(left);
        left -= taken;
        sum += taken * alignment;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assigned_half_sets_approach_their_limits() {
        let root = |k: usize| (k as f64).sqrt();
        let close = |value: f64, limit: f64| {
            assert!((value / limit - 1.0).abs() < 5e-3, "{value} {limit}");
        };
        let k = 1000;
        close(half_set_oblivious(k, 1.0).unwrap() / root(k), 0.3989);
        // The density of the normal distribution at its quantiles.
        for (gamma, adding, replacing) in [(0.01, 1.446, 2.665), (0.05, 1.169, 2.063)] {
            close(
                half_set_best_users(k, 1.0, gamma).unwrap() / root(k),
                adding,
            );
            close(
                half_set_replacing(k, 1.0, gamma).unwrap() / root(k),
                replacing,
            );
        }
    }

    #[test]
    fn four_symbols_by_hand() {
        // Of six half sets of four symbols two are the rising ones or the falling ones (alignment 4),
        // four hold one of each (0).
        let alignment = strongest_alignment(4, 2, 1.0).unwrap();
        assert!((alignment - 4.0 / 3.0).abs() < 1e-9, "{alignment}");
        let alignment = strongest_alignment(4, 2, 0.25).unwrap();
        assert!((alignment - 1.0).abs() < 1e-9, "{alignment}");
    }

    #[test]
    fn private_coins_grow_with_the_domain() {
        let epsilon = Epsilon::new(1.0).unwrap();
        let e = 1.0_f64.exp();
        let slope = |f: &dyn Fn(usize) -> f64| (f(4096) / f(1024)).log(4.0);
        assert!((slope(&|k| generalized_response(k, epsilon)) - 1.0).abs() < 2e-3);
        assert!((slope(&|k| unary_encoding_half(k, epsilon)) - 1.0).abs() < 1e-9);
        assert!((slope(&|k| hadamard_same_message(k, epsilon)) - 1.0).abs() < 1e-9);
        let k = 100_000;
        let close = |measured: f64, expected: f64| {
            assert!(
                (measured / expected - 1.0).abs() < 1e-3,
                "{measured} {expected}"
            );
        };
        close(generalized_response(k, epsilon), k as f64 / (e - 1.0));
        close(
            unary_encoding_half(k, epsilon),
            0.5 * k as f64 * (e + 1.0) / (e - 1.0),
        );
    }
}
