//! How the combiners' parameters matter.

use septet_cache::predict::PredictorSpec;
use septet_core::experiment::{Column, Context, ExperimentError, Figure, Series, Table, Value};

use crate::families::{Family, Origin};
use crate::runs::{self, Seeds};

const VALUES: [f64; 7] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9];

pub(crate) fn run(cx: &mut Context, families: &[&Family]) -> Result<(), ExperimentError> {
    if !cx.selects("Q7") {
        return Ok(());
    }
    // Real traces only, with one predictor, so that the parameter alone varies.
    let pairs: Vec<(&Family, PredictorSpec)> = families
        .iter()
        .filter(|family| family.origin != Origin::Generated)
        .map(|&family| (family, PredictorSpec::Popularity))
        .collect();
    let of_rule = |rule: &str, parameter: &str| -> Vec<String> {
        VALUES
            .iter()
            .map(|value| format!("{rule}(FtP, Marker, {parameter}={value})"))
            .collect()
    };
    let rules = [
        ("D", "gamma", of_rule("D", "gamma")),
        ("R", "epsilon", of_rule("R", "epsilon")),
    ];
    // Both rules share one grid: their experts run once.
    let mut policies = vec!["FtP", "Marker"];
    for (.., names) in &rules {
        policies.extend(names.iter().map(String::as_str));
    }
    let misses = runs::run(cx, "parameters", &pairs, &policies, Seeds::Few)?;
    // A table and a figure for each rule.
    for (rule, parameter, names) in &rules {
        let columns = std::iter::once(Column::text("Trace")).chain(
            VALUES
                .iter()
                .map(|value| Column::number(format!("{parameter} {value}"), 4)),
        );
        let mut table = Table::new(
            format!("{rule}(FtP, Marker): misses over the better of the two, by {parameter}"),
            columns,
        )
        .note("Predictor POPU; means over five seeds.");
        let mut figure = Figure::new(
            format!("parameter-{}", rule.to_lowercase()),
            format!("Overhead of {rule} over the better expert, by {parameter}"),
            *parameter,
            "misses / misses of the better expert",
        )
        .log_x();
        for ((family, _), misses) in pairs.iter().zip(&misses) {
            // Against the better expert in the mean: at 1, the combiner costs nothing.
            let better = misses.mean("FtP").min(misses.mean("Marker"));
            let ratios: Vec<f64> = names
                .iter()
                .map(|name| misses.mean(name) / better)
                .collect();
            figure = figure.series(
                Series::new(&*family.name).points(VALUES.into_iter().zip(ratios.iter().copied())),
            );
            table.push(
                std::iter::once(Value::from(family.name.as_str()))
                    .chain(ratios.into_iter().map(Value::from)),
            );
        }
        cx.table(table);
        cx.figure(figure);
    }
    Ok(())
}
