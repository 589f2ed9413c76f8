//! Q1: the published totals of BrightKite and Citi Bike.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, Table, Value,
};

use crate::predict::PredictorSpec;

use super::families::{Family, Origin};
use super::predictor::title;
use super::runs::{self, Misses};

const POLICIES: [&str; 14] = [
    "Belady",
    "LRU",
    "Marker",
    "FtP",
    "LMarker",
    "PredictiveMarker",
    "LNonMarker_D",
    "BlindOracle_D",
    "RobustFtP_D",
    "RobustFtP_R",
    "Trust&Doubt",
    "Guard",
    "RPB-OM",
    "F&R",
];

const AUTHORS: &str = "the authors' stored result files";
const CODE: &str = "an independent run of the authors' method";

/// What is published of a family: by policy and predictor, the ratio to the optimum and the
/// half-width of the band around it.
struct Published {
    family: &'static str,
    id: &'static str,
    optimum: f64,
    lru: f64,
    marker: (f64, f64),
    follow: [f64; 2],
    l_marker: [f64; 2],
}

const PUBLISHED: [Published; 2] = [
    Published {
        family: "BrightKite",
        id: "bk",
        optimum: 33_990.0,
        lru: 1.2911,
        marker: (1.331, 0.004),
        follow: [2.0815, 1.7072],
        l_marker: [1.337, 1.264],
    },
    Published {
        family: "Citi Bike",
        id: "citi",
        optimum: 105_192.0,
        lru: 1.8483,
        marker: (1.861, 0.003),
        follow: [2.2771, 1.7389],
        l_marker: [1.876, 1.780],
    },
];

const PREDICTORS: [PredictorSpec; 2] = [PredictorSpec::Pleco, PredictorSpec::Popularity];

pub(super) fn run(cx: &mut Context, families: &[&Family]) -> Result<(), ExperimentError> {
    if !cx.wants("Q1") {
        return Ok(());
    }
    let pairs: Vec<(&Family, PredictorSpec)> = families
        .iter()
        .filter(|family| family.origin == Origin::Literature)
        .flat_map(|&family| PREDICTORS.map(|predictor| (family, predictor)))
        .collect();
    if pairs.is_empty() {
        skip(cx);
        return Ok(());
    }
    let misses = runs::run(cx, "published totals", &pairs, &POLICIES)?;
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
    cx.table(table(&pairs, &misses));
    Ok(())
}

fn skip(cx: &mut Context) {
    cx.skip(
        "Q1",
        "Optimum, LRU, Marker, FtP and LMarker on BrightKite and Citi Bike equal the published \
         totals",
        "the traces are not here",
        "put cache/brightkite_citibike.zip into a folder and name it with --data or SEPTET_DATA; \
         `cargo xtask data list` says where it comes from",
    );
}

fn claims(cx: &mut Context, published: &Published, [pleco, popu]: [&Misses; 2]) {
    let seed = cx.seed().child("exactness").child(published.id);
    let name = published.family;
    let optimum = pleco.mean("Belady");
    let id = |what: &str| format!("Q1.{}.{what}", published.id);
    cx.claim(&id("opt"), &format!("Misses of the optimum on {name}"))
        .scale(Scale::Original)
        .expect(Expected::Equals(published.optimum))
        .source(AUTHORS)
        .measured(Estimate::exact(optimum, "misses"));
    cx.claim(&id("lru"), &format!("LRU over the optimum on {name}"))
        .scale(Scale::Original)
        .expect(Expected::near(published.lru, 0.000_05))
        .source(CODE)
        .tolerance_because("given to four decimals; the authors' files have three")
        .measured(pleco.ratio("LRU", optimum, &seed));
    let (marker, width) = published.marker;
    cx.claim(&id("marker"), &format!("Marker over the optimum on {name}"))
        .scale(Scale::Original)
        .expect(Expected::near(marker, width))
        .source(CODE)
        .tolerance_because("the algorithm is random")
        .measured(pleco.ratio("Marker", optimum, &seed));
    for (index, (predictor, misses)) in [("pleco", pleco), ("popu", popu)].into_iter().enumerate() {
        cx.claim(
            &id(&format!("ftp-{predictor}")),
            &format!(
                "FtP with {} over the optimum on {name}",
                predictor.to_uppercase()
            ),
        )
        .scale(Scale::Original)
        .expect(Expected::near(published.follow[index], 0.000_5))
        .source(CODE)
        .tolerance_because("ties and rounding of the predictions")
        .measured(misses.ratio("FtP", optimum, &seed));
        cx.claim(
            &id(&format!("lmarker-{predictor}")),
            &format!(
                "LMarker with {} over the optimum on {name}",
                predictor.to_uppercase()
            ),
        )
        .scale(Scale::Original)
        .expect(Expected::near(published.l_marker[index], 0.004))
        .source(CODE)
        .tolerance_because("the algorithm is random")
        .measured(misses.ratio("LMarker", optimum, &seed));
    }
}

fn table(pairs: &[(&Family, PredictorSpec)], misses: &[Misses]) -> Table {
    let columns = std::iter::once(Column::text("Algorithm")).chain(pairs.iter().map(
        |(family, predictor)| Column::number(format!("{}, {}", family.name, title(*predictor)), 4),
    ));
    let mut table = Table::new("Misses over those of the optimum", columns).note(
        "Ratio of totals, compulsory misses included; means over five seeds where an algorithm is \
         random.",
    );
    for policy in POLICIES {
        let ratios = misses
            .iter()
            .map(|misses| Value::from(misses.mean(policy) / misses.mean("Belady")));
        table.push(std::iter::once(Value::from(policy)).chain(ratios));
    }
    table
}
