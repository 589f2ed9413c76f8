//! Beyond the study: policies that take one bit of prediction, as the bits go wrong.

use septet_cache::predict::PredictorSpec;
use septet_core::experiment::{Column, Context, ExperimentError, Table, Value};

use crate::families::{Family, Origin};
use crate::runs::{self, Seeds};

const FLIPS: [f64; 6] = [0.0, 0.01, 0.05, 0.1, 0.2, 0.5];

const POLICIES: [&str; 4] = ["Belady", "Marker", "Mark0", "Mark&Predict"];

pub(crate) fn run(cx: &mut Context, families: &[&Family]) -> Result<(), ExperimentError> {
    if !cx.selects("Q5") {
        return Ok(());
    }
    // One column for each share of wrong bits, one row for each trace and policy.
    let mut columns = vec![Column::text("Trace"), Column::text("Algorithm")];
    columns.extend(FLIPS.map(|flip| Column::number(format!("flip {flip}"), 3)));
    let mut table = Table::new(
        "Misses over those of the optimum with one bit of prediction, by the share of wrong bits",
        columns,
    )
    .note("The bit says whether Belady's policy evicts the page before its next request.");
    for family in families {
        if family.origin == Origin::Generated {
            continue;
        }
        // A share of wrong bits is a predictor of its own, and all shares run in one grid.
        let pairs: Vec<(&Family, PredictorSpec)> = FLIPS
            .iter()
            .map(|&flip| (*family, PredictorSpec::BeladyBits(flip)))
            .collect();
        let misses = runs::run(
            cx,
            &format!("one bit, {}", family.name),
            &pairs,
            &POLICIES,
            Seeds::Few,
        )?;
        // Belady's policy comes first in the list and serves only as the reference.
        for policy in &POLICIES[1..] {
            let ratios = misses
                .iter()
                .map(|misses| Value::from(misses.mean(policy) / misses.mean("Belady")));
            let names = [Value::from(family.name.as_str()), Value::from(*policy)];
            table.push(names.into_iter().chain(ratios));
        }
    }
    cx.table(table);
    Ok(())
}
