//! Q4: marking throws away much of what a good predictor gains; the combiner keeps it.

use septet_core::experiment::{Column, Context, Expected, Scale, Table, Value};

use crate::families::Origin;
use crate::insurance::Insured;
use crate::predictor::title;
use crate::tightest::{Candidate, tightest};

/// The part of Marker's misses that a predictor spares, from which on it counts as good here: with
/// less there is no gain to give away.
const GAIN: f64 = 0.05;

pub(crate) fn run(cx: &mut Context, insured: &[Insured<'_>]) {
    if !cx.selects("Q4") {
        return;
    }
    let mut table = Table::new(
        "Share of the predictor's gain over Marker that is given away, in percent",
        [
            Column::text("Trace"),
            Column::text("Predictor"),
            Column::number("gain over Marker %", 1),
            Column::number("LMarker", 1),
            Column::number("RobustFtP_D", 1),
        ],
    )
    .note(
        "Memory traces on which the predictor alone has at least 5 % fewer misses than Marker. On \
         sphinx3, LMarker gives away 98 % (Cache-Coliseum: Marker 2.284, LMarker 2.267, Parrot \
         1.515 times the optimum).",
    );
    // One claim for each kind of memory trace; the table has rows of both.
    for origin in [Origin::Instrumented, Origin::Generated] {
        let mut candidates = Vec::new();
        for (family, predictor, misses) in insured {
            // The published comparison is of caches with sets, and a gain near zero makes the share
            // mere noise.
            let gain = 1.0 - misses.mean("FtP") / misses.mean("Marker");
            if family.origin != origin || !family.is_set_associative() || gain < GAIN {
                continue;
            }
            let lost = |policy: &str| {
                let lost = misses.mean(policy) - misses.mean("FtP");
                Value::from(100.0 * lost / (misses.mean("Marker") - misses.mean("FtP")))
            };
            table.push([
                Value::from(family.name.as_str()),
                Value::from(title(*predictor)),
                Value::from(100.0 * gain),
                lost("LMarker"),
                lost("RobustFtP_D"),
            ]);
            // Seed by seed, since equal seeds share their traces. D may add nothing: the divisor is
            // at least one miss.
            let ratios = misses
                .by_seed(["LMarker", "RobustFtP_D", "FtP"], |[marking, d, follow]| {
                    (marking - follow) / (d - follow).max(1.0)
                });
            candidates.push(Candidate {
                place: format!("{} with {}", family.name, title(*predictor)),
                // Far below the published 99 times: the claim is about the order, not the size.
                expected: Expected::AtLeast(5.0),
                measured: misses.estimate(&ratios),
            });
        }
        // The least ratio speaks for all traces of this kind.
        let id = format!("Q4.{}", origin.name());
        let statement = format!(
            "Misses that LMarker adds to a good predictor's, over those that RobustFtP_D adds, on {}",
            origin.title()
        );
        let Some((tightest, count)) = tightest(candidates) else {
            cx.skip(
                &id,
                &statement,
                "the traces are not here",
                "name a folder with the instrumented traces with --data or SEPTET_DATA",
            );
            continue;
        };
        cx.claim(
            &id,
            &format!("{statement}; least of {count}: {}", tightest.place),
        )
        .paper_ref("comparison with the algorithms of the literature")
        .scale(Scale::Scaled)
        .expect(tightest.expected)
        .source("Cache-Coliseum, sphinx3: 7 807 and 79 misses, 99 times as many")
        .measured(tightest.measured);
    }
    cx.table(table);
}
