//! F5: the errors of all methods at equal memory, including that of models.
//!
//! The paper compares oracles with each other and with plain count-min, and excludes the models from the
//! memory. Here everything is charged, and the baselines are those that a user would choose instead:
//! conservative update, which needs no oracle, and a table that admits the first keys of the stream.

mod blocks;
mod entry;
mod flows;
mod n_grams;
mod oracle_scores;
mod results;
mod windows;
mod workload;

use septet_core::experiment::{Context, ExperimentError, Profile};

use self::entry::{Counter, OracleKind};

pub(crate) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if cx.selects("F5.flows") {
        flows::flows(cx)?;
    }
    if cx.selects("F5.blocks") {
        blocks::blocks(cx)?;
    }
    if cx.selects("F5.n-grams") && cx.profile() != Profile::Quick {
        n_grams::n_grams(cx)?;
    }
    Ok(())
}

/// The oracle of the claims.
const CLAIMED: OracleKind = OracleKind::Linear {
    rows: 256,
    bytes_a_weight: 1,
};

fn linear(rows: usize, bytes_a_weight: usize) -> OracleKind {
    OracleKind::Linear {
        rows,
        bytes_a_weight,
    }
}

fn oracle_kinds(profile: Profile) -> Vec<OracleKind> {
    let mut oracle_kinds = vec![OracleKind::FirstCome, CLAIMED];
    if profile == Profile::Full {
        oracle_kinds.extend([
            OracleKind::Lookup,
            linear(256, 4),
            linear(64, 1),
            linear(1024, 1),
        ]);
    }
    oracle_kinds
}

fn alone(profile: Profile) -> &'static [Counter] {
    match profile {
        Profile::Quick => &Counter::QUICK,
        Profile::Full => &Counter::ALL,
    }
}

/// What is put behind a table besides conservative update.
fn others(profile: Profile) -> Vec<(Counter, OracleKind)> {
    let counters: &[Counter] = match profile {
        Profile::Quick => &[],
        Profile::Full => &[Counter::CountMin, Counter::CountSketch, Counter::MisraGries],
    };
    let pairs = counters.iter();
    pairs
        .flat_map(|&counter| {
            [OracleKind::FirstCome, CLAIMED].map(|oracle_kind| (counter, oracle_kind))
        })
        .collect()
}
