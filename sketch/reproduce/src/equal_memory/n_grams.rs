//! Word pairs of books.

use std::io;

use septet_core::experiment::{Context, ExperimentError};
use septet_sketch::oracle::TextFeatures;
use septet_sketch::stream::{NGramDays, open_text};

use super::results::{claim, run_all, statement};
use super::windows::{Keyed, along};
use super::workload::Workload;
use super::{alone, oracle_kinds, others};

/// KiB of the claims on word pairs.
const CLAIMED_ON_N_GRAMS: [usize; 2] = [1024, 2048];
const N_GRAMS: &str = "word pairs of books";

/// Word pairs of books in their order.
pub(super) fn n_grams(cx: &mut Context) -> Result<(), ExperimentError> {
    const TOKENS: u64 = 1_000_000;
    let Some(data) = cx.data("sketch-books") else {
        for kib in CLAIMED_ON_N_GRAMS {
            cx.skip(
                &format!("F5.n-grams-{kib}-kib"),
                &statement(kib << 10, N_GRAMS),
                "the text is not here",
                "see `cargo xtask data list` for sketch-books",
            );
        }
        return Ok(());
    };
    // Days of equal length, each with the pairs in the order of the text.
    let text = open_text(&data.path("books.txt.zst")?)?;
    let days: Result<Vec<Keyed<String>>, io::Error> = NGramDays::new(text, 2, TOKENS)?
        .map(|day| {
            day.map(|day| Keyed {
                keys: day.keys,
                counts: day.counts,
                stream: day.stream,
            })
        })
        .collect();
    let oracle_kinds = oracle_kinds(cx.profile());
    // Day 6 is the first test; each trial learns from three days, which keeps fits short.
    let (validation, trials) = along(days?, 6, 3, &TextFeatures::default(), &oracle_kinds)?;
    let workload = Workload {
        title: format!("word pairs of books, days of {TOKENS} in their order"),
        id: "n-grams",
        reads: Some("sketch-books"),
        of: "days",
        validation,
        trials,
        budgets: [256, 512, 1024, 2048].map(|kib| kib << 10).to_vec(),
        oracle_kinds,
        alone: alone(cx.profile()),
        others: others(cx.profile()),
        rounds: 1,
    };
    // Days are the replicates: there is one text in one order.
    let results = run_all(cx, &workload)?;
    for kib in CLAIMED_ON_N_GRAMS {
        claim(
            cx,
            &results,
            &format!("F5.n-grams-{kib}-kib"),
            kib << 10,
            N_GRAMS,
        );
    }
    Ok(())
}
