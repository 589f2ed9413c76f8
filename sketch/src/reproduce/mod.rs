//! The experiments of the paper: set-up, calls and claims. No algorithm lives here.
//!
//! The full text of the paper could not be read when this was written, and the traces of its main
//! figures may not be passed on. What is compared with published numbers comes from the authors'
//! notebook (the synthetic table). What the paper says about losses is shown on generated flows, and
//! on public data where its effect is smaller; each claim names the origin of its bound.

mod block_trace;
mod hashing;
mod league;
mod losses;
mod method;
mod recurrent;
mod streaming;
mod sufficiency;
mod word_pairs;
mod zipf_table;

use std::time::Duration;

use septet_core::experiment::{Context, Experiment, ExperimentError, Paper, Profile};

static PAPER: Paper = Paper {
    id: "sketch",
    title: "Putting the \"Learning\" into Learning-Augmented Algorithms for Frequency Estimation",
    authors: "E. Du, F. Wang, M. Mitzenmacher",
    venue: "ICML",
    year: 2021,
    url: "https://proceedings.mlr.press/v139/du21d.html",
};

/// The reproduction of the study of what oracles for frequency estimation should be trained for.
#[derive(Clone, Copy, Debug)]
pub struct TrainedForCoverage;

impl Experiment for TrainedForCoverage {
    fn paper(&self) -> &'static Paper {
        &PAPER
    }

    fn data_sets(&self, profile: Profile) -> &'static [&'static str] {
        match profile {
            Profile::Quick => &["cache-arc"],
            Profile::Full | Profile::Gpu => &["cache-arc", "sketch-books"],
        }
    }

    fn expected_time(&self, profile: Profile) -> Option<Duration> {
        Some(Duration::from_secs(match profile {
            Profile::Quick => 60,
            Profile::Full | Profile::Gpu => 1800,
        }))
    }

    fn run(&self, cx: &mut Context) -> Result<(), ExperimentError> {
        zipf_table::run(cx)?;
        sufficiency::run(cx)?;
        losses::run(cx)?;
        hashing::run(cx)?;
        block_trace::run(cx)?;
        streaming::run(cx)?;
        league::run(cx)?;
        if cx.profile() != Profile::Quick {
            word_pairs::run(cx)?;
            recurrent::run(cx)?;
            if cx.wants("F4") {
                cx.skip(
                    "F4.search-log",
                    "Hsu's oracle on the counts of day 50 of the search log: the published table",
                    "the counts and the oracle's outputs carry no licence, and are no registered data set",
                    "the files are in the repository ssilwa/Learning-augmented-support-estimation; `sketch` reads npz",
                );
            }
        }
        Ok(())
    }
}
