//! Q1: the published miss ratios of BrightKite and Citi Bike.

use septet_cache::predict::PredictorSpec;
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Profile, Scale, Table, Value,
};

use crate::families::{Family, Origin};
use crate::insurance::Insured;
use crate::predictor::title;
use crate::runs::{self, Misses, Seeds};

/// The rows of the table.
const POLICIES: [&str; 14] = [
    "Belady",
    "LRU",
    "Marker",
    "FtP",
    "BlindOracle_D",
    "RobustFtP_D",
    "RobustFtP_R",
    "LMarker",
    "LNonMarker_D",
    "Trust&Doubt",
    "Guard",
    "PredictiveMarker",
    "RPB-OM",
    "F&R",
];

/// Of these, those that are run for the table alone, the last three in the full profile only.
const FOR_TABLE: usize = 8;
const FULL_ONLY: usize = 11;

const AUTHORS: &str = "stored result files of Antoniadis et al. 2020";
const CODE: &str =
    "a run of a second implementation of the study's method, written for this project";

const RANDOM: &str = "the algorithm is random";
const TIES: &str = "ties and rounding of the predictions";

/// What is published of a family.
struct Published {
    family: &'static str,
    id: &'static str,
    optimum: f64,
    lru: f64,
    /// The half-width of the band around the ratio of a randomized algorithm.
    width: f64,
    marker: f64,
    rows: &'static [Row],
}

/// Ratios to the optimum with PLECO and with POPU.
struct Row {
    id: &'static str,
    policy: &'static str,
    ratios: [f64; 2],
    is_random: bool,
}

const fn row(id: &'static str, policy: &'static str, ratios: [f64; 2], is_random: bool) -> Row {
    Row {
        id,
        policy,
        ratios,
        is_random,
    }
}

const PUBLISHED: [Published; 2] = [
    Published {
        family: "BrightKite",
        id: "bk",
        optimum: 33_990.0,
        lru: 1.2911,
        width: 0.004,
        marker: 1.331,
        rows: &[
            row("ftp", "FtP", [2.0815, 1.7072], false),
            row("lmarker", "LMarker", [1.337, 1.264], true),
            row("blind-d", "BlindOracle_D", [1.2928, 1.2813], false),
            row("robust-d", "RobustFtP_D", [1.332, 1.313], true),
        ],
    },
    Published {
        family: "Citi Bike",
        id: "citi",
        optimum: 105_192.0,
        lru: 1.8483,
        width: 0.003,
        marker: 1.861,
        rows: &[
            row("ftp", "FtP", [2.2771, 1.7389], false),
            row("lmarker", "LMarker", [1.876, 1.780], true),
            row("blind-d", "BlindOracle_D", [1.8487, 1.7304], false),
            row("robust-d", "RobustFtP_D", [1.861, 1.734], true),
            row("robust-r", "RobustFtP_R", [1.867, 1.735], true),
        ],
    },
];

const PREDICTORS: [PredictorSpec; 2] = [PredictorSpec::Pleco, PredictorSpec::Popularity];

pub(crate) fn run(cx: &mut Context, insured: &[Insured<'_>]) -> Result<(), ExperimentError> {
    if !cx.selects("Q1") {
        return Ok(());
    }
    // Only the predictors with known ratios; others of these families are left out.
    let insured: Vec<&Insured<'_>> = insured
        .iter()
        .filter(|(family, predictor, _)| {
            family.origin == Origin::Literature && PREDICTORS.contains(predictor)
        })
        .collect();
    if insured.is_empty() {
        skip(cx);
        return Ok(());
    }
    let pairs: Vec<(&Family, PredictorSpec)> = insured
        .iter()
        .map(|(family, predictor, _)| (*family, *predictor))
        .collect();
    let policies = match cx.profile() {
        Profile::Quick => &POLICIES[..FULL_ONLY],
        Profile::Full => &POLICIES,
    };
    // The first policies of the list have run on these pairs before; the rest are run here.
    let more = runs::run(
        cx,
        "check-ins and rides",
        &pairs,
        &policies[FOR_TABLE..],
        Seeds::Few,
    )?;
    let misses: Vec<Misses> = insured
        .iter()
        .zip(more)
        .map(|((.., misses), more)| misses.with(more))
        .collect();
    // Claims are by family. The pairs of a family keep the order of PREDICTORS.
    for published in &PUBLISHED {
        let of_family: Vec<&Misses> = pairs
            .iter()
            .zip(&misses)
            .filter(|((family, _), _)| family.name == published.family)
            .map(|(_, misses)| misses)
            .collect();
        if let [pleco, popu] = of_family.as_slice() {
            claims(cx, published, [pleco, popu]);
        }
    }
    cx.table(table(policies, &pairs, &misses));
    Ok(())
}

fn skip(cx: &mut Context) {
    cx.skip(
        "Q1",
        "Optimum, LRU, Marker, FtP, LMarker and the combiners on BrightKite and Citi Bike have the \
         published miss ratios",
        "the traces are not here",
        "put cache/brightkite_citibike.zip into a folder and name it with --data or SEPTET_DATA; \
         `cargo xtask data list` says where it comes from",
    );
}

fn claims(cx: &mut Context, published: &Published, by_predictor: [&Misses; 2]) {
    // The optimum, LRU and Marker ignore predictions, so either run serves for them.
    let [any, _] = by_predictor;
    let name = published.family;
    let id = |what: &str| format!("Q1.{}.{what}", published.id);
    // The optimum is a count without randomness and has to be met exactly.
    cx.claim(&id("opt"), &format!("Misses of the optimum on {name}"))
        .scale(Scale::Scaled)
        .expect(Expected::Equals(published.optimum))
        .source(AUTHORS)
        .published(published.optimum)
        .measured(Estimate::exact(any.mean("Belady"), "misses"));
    // All other claims have the same form: a ratio to the optimum in a band.
    let mut ratio =
        |id: &str, policy: &str, with: &str, value: f64, width: f64, why, misses: &Misses| {
            cx.claim(id, &format!("{policy}{with} over the optimum on {name}"))
                .scale(Scale::Scaled)
                .expect(Expected::near(value, width))
                .source(CODE)
                .tolerance_because(why)
                .published(value)
                .measured(misses.ratio(policy, "Belady"));
        };
    let digits = "given to four decimals";
    ratio(&id("lru"), "LRU", "", published.lru, 0.000_05, digits, any);
    let width = published.width;
    ratio(
        &id("marker"),
        "Marker",
        "",
        published.marker,
        width,
        RANDOM,
        any,
    );
    // One claim for each published algorithm and predictor.
    for row in published.rows {
        for (index, misses) in by_predictor.into_iter().enumerate() {
            let predictor = title(PREDICTORS[index]);
            // A random algorithm has the band of its family; the others differ only by ties and
            // rounding of the predictions.
            let (width, why) = if row.is_random {
                (width, RANDOM)
            } else {
                (0.000_5, TIES)
            };
            ratio(
                &id(&format!("{}-{}", row.id, predictor.to_lowercase())),
                row.policy,
                &format!(" with {predictor}"),
                row.ratios[index],
                width,
                why,
                misses,
            );
        }
    }
}

fn table(policies: &[&str], pairs: &[(&Family, PredictorSpec)], misses: &[Misses]) -> Table {
    let columns = std::iter::once(Column::text("Algorithm")).chain(pairs.iter().map(
        |(family, predictor)| Column::number(format!("{}, {}", family.name, title(*predictor)), 4),
    ));
    let mut table = Table::new("Misses over those of the optimum", columns).note(
        "Ratio of totals, compulsory misses included; means over seeds of the policy where it is \
         random.",
    );
    for &policy in policies {
        let ratios = misses
            .iter()
            .map(|misses| Value::from(misses.mean(policy) / misses.mean("Belady")));
        table.push(std::iter::once(Value::from(policy)).chain(ratios));
    }
    table
}
