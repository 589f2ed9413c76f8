//! The experiments of the paper, the program behind `cargo xtask reproduce sketch`: set-up, calls
//! and claims, and the few models and measures that nothing but these experiments needs.
//!
//! The full text of the paper could not be read when this was written, and the traces of its main
//! figures may not be passed on. What is compared with published numbers comes from the authors'
//! notebook (the synthetic table). What the paper says about losses is put to the test on generated
//! flows and on public data; each claim names the origin of its bound.

mod block_trace;
mod char_lstm;
mod equal_memory;
mod hashing;
mod losses;
mod method;
mod new_words;
mod recurrent;
mod spearman;
mod streaming;
mod sufficiency;
mod thresholded_count_sketch;
mod word_pairs;
mod zipf_table;

use std::process::ExitCode;

use septet_core::experiment::{Context, Estimate, ExperimentError, Figure, Profile, Series};
use septet_core::stats;

fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    let mut figures = Vec::new();
    sufficiency::run(cx, &mut figures)?;
    let streams = [
        losses::run(cx, &mut figures)?,
        block_trace::run(cx)?,
        new_words::run(cx)?,
    ];
    headline_figure(cx, streams);
    for figure in figures {
        cx.figure(figure);
    }
    zipf_table::run(cx)?;
    hashing::run(cx)?;
    equal_memory::run(cx)?;
    if cx.profile() == Profile::Full {
        word_pairs::run(cx)?;
        recurrent::run(cx)?;
        streaming::run(cx)?;
    }
    Ok(())
}

/// What training for coverage gains on each stream that was trained on.
fn headline_figure(cx: &mut Context, streams: [Option<Series>; 3]) {
    let mut figure = Figure::new(
        "gain",
        "Mass that log-MSE leaves to the sketch over mass that BatchRank 8 leaves, by the share of explicit keys",
        "explicit keys, % of all",
        "ratio of masses left",
    )
    .alt("Above 1 training for coverage gains.")
    .log_x()
    .reference("equal", 1.0);
    for series in streams.into_iter().flatten() {
        figure = figure.series(series);
    }
    if !figure.series.is_empty() {
        cx.figure(figure);
    }
}

/// The mean of replicates with its interval. `of` names in the plural what is replicated.
fn mean(cx: &Context, values: &[f64], of: &str) -> Estimate {
    Estimate::mean(values, of, "", &mut cx.seed().child("interval").rng())
}

/// The geometric mean of ratios, given by their logarithms, with its interval.
fn geometric_mean(logarithms: &[f64], of: &str) -> Estimate {
    let interval = stats::student_t(logarithms, 0.95);
    Estimate::confidence(
        stats::mean(logarithms).exp(),
        interval.map_or((f64::NAN, f64::NAN), |ends| {
            (ends.low.exp(), ends.high.exp())
        }),
        "Student's t of the logarithms",
        logarithms.len(),
        of,
        "",
    )
}

/// The median of replicates with its interval by order statistics, for quantities of which a few are
/// far off.
fn median(values: &[f64], of: &str) -> Estimate {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    // The probability that fewer than so many of `n` are below the median.
    let mut ways = 0.5_f64.powi(n as i32);
    let (mut below, mut rank) = (0.0, 0);
    while rank < n && below + ways <= 0.025 {
        below += ways;
        ways *= (n - rank) as f64 / (rank + 1) as f64;
        rank += 1;
    }
    // Too few values have no such interval.
    let ends = match rank {
        0 => (f64::NAN, f64::NAN),
        _ => (sorted[rank - 1], sorted[n - rank]),
    };
    let value = stats::median(values).unwrap_or(f64::NAN);
    Estimate::confidence(value, ends, "order statistics", n, of, "")
}

/// `1 row`, `2 rows`.
fn rows(depth: usize) -> String {
    format!("{depth} row{}", if depth == 1 { "" } else { "s" })
}

fn main() -> ExitCode {
    // Small models train fastest on one thread each, beside each other. Where this has no effect,
    // they only take longer.
    let _ = septet_core::nn::one_math_thread();
    let _ = septet_core::nn::keep_freed_memory();
    septet_core::experiment::main(&septet_core::package!(), run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_median_is_that_of_the_sign_test() {
        // R: qbinom(0.025, 24, 0.5) is 7.
        let values: Vec<f64> = (1..=24).map(f64::from).collect();
        let estimate = median(&values, "worlds");
        assert_eq!((estimate.value, estimate.ends()), (12.5, Some((7.0, 18.0))));
        assert_eq!(median(&values[..5], "worlds").ends(), None);
        assert_eq!(median(&values[..6], "worlds").ends(), Some((1.0, 6.0)));
    }
}
