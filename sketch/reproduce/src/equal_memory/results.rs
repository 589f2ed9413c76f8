//! The results of all methods on a workload: tables, a figure and claims.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Grid, Scale, Series, Table, Value,
};
use septet_core::stats;

use super::CLAIMED;
use super::entry::{Counter, Entry, OracleKind, Setting};
use super::workload::{Match, RunResult, Workload};
use crate::geometric_mean;

fn name(counter: Counter, oracle_kind: Option<OracleKind>) -> String {
    match oracle_kind {
        None => counter.to_string(),
        Some(oracle_kind) => format!("{counter} behind {oracle_kind}"),
    }
}

/// The results of all methods.
pub(super) struct Results<'a> {
    workload: &'a Workload,
    result: Grid<Match, RunResult>,
}

impl Results<'_> {
    /// `None` if the budget was too small for the method.
    fn of(
        &self,
        counter: Counter,
        oracle_kind: Option<OracleKind>,
        bytes: usize,
    ) -> Option<&RunResult> {
        let entry = Entry {
            counter,
            oracle_kind,
            bytes,
        };
        let result = self.result.get(&self.workload.match_of(entry)).ok()?;
        Some(result).filter(|result| result.setting.is_some())
    }
}

pub(super) fn run_all<'a>(
    cx: &mut Context,
    workload: &'a Workload,
) -> Result<Results<'a>, ExperimentError> {
    let methods = workload.methods();
    let matches: Vec<Match> = workload
        .budgets
        .iter()
        .flat_map(|&bytes| {
            methods.iter().map(move |&(counter, oracle_kind)| {
                workload.match_of(Entry {
                    counter,
                    oracle_kind,
                    bytes,
                })
            })
        })
        .collect();
    let result = cx
        .grid(&format!("league of {}", workload.id), matches)
        .reads(workload.reads)
        .version(2)
        .run(|job, _| workload.run(&job.entry))?;
    let results = Results { workload, result };
    show_all(cx, workload, &results);
    show_rivals(cx, workload, &results);
    Ok(results)
}

fn kibibytes(bytes: usize) -> String {
    format!("{} KiB", bytes / 1024)
}

fn show_all(cx: &mut Context, workload: &Workload, results: &Results<'_>) {
    let mut columns = vec![Column::text("Sketch"), Column::integer("Model bytes")];
    columns.extend(
        workload
            .budgets
            .iter()
            .map(|&bytes| Column::number(kibibytes(bytes), 3)),
    );
    let mut table = Table::new(
        format!("Average absolute frequency error at equal bytes, {}", workload.title),
        columns,
    )
    .note(format!(
        "Means over {} test windows. Counters, slots, keys and models are all charged. Depth, table and \
         threshold are chosen on a window before. No figure: the budget does not pay for the model.",
        workload.trials.len()
    ));
    // The same errors as lines, since the order of rivals changes with the budget.
    let mut figure = Figure::new(
        format!("league-{}", workload.id),
        format!("Error at equal bytes, {}", workload.title),
        "KiB",
        "average absolute frequency error",
    )
    .log_x()
    .log_y();
    for (counter, oracle_kind) in workload.methods() {
        let name = name(counter, oracle_kind);
        // A model has the same size in all trials.
        let model = workload.trials[0]
            .window_scores
            .iter()
            .find(|window_scores| Some(window_scores.oracle_kind) == oracle_kind)
            .map_or(0, |window_scores| window_scores.model_bytes);
        let mut row: Vec<Value> = vec![name.as_str().into(), model.into()];
        let mut points = Vec::new();
        for &bytes in &workload.budgets {
            let error = results
                .of(counter, oracle_kind, bytes)
                .map(|result| stats::mean(&result.errors));
            row.push(error.into());
            // An error of zero cannot be drawn on a logarithmic axis.
            if let Some(error) = error.filter(|&error| error > 0.0) {
                points.push((bytes as f64 / 1024.0, error));
            }
        }
        table.push(row);
        figure = figure.series(Series::new(name).points(points));
    }
    cx.table(table);
    cx.figure(figure);
}

/// The error of the oracle of the claims over that of a rival without one: geometric mean over trials,
/// with the interval of the mean logarithm.
fn ratio(results: &Results<'_>, rival: Option<OracleKind>, bytes: usize) -> Option<Estimate> {
    let ours = results.of(Counter::Conservative, Some(CLAIMED), bytes)?;
    let theirs = results.of(Counter::Conservative, rival, bytes)?;
    let pairs = ours.errors.iter().zip(&theirs.errors);
    let logarithms: Vec<f64> = pairs.map(|(a, b)| (a / b).ln()).collect();
    Some(geometric_mean(&logarithms, results.workload.of))
}

/// States that the learned sketch errs less than conservative update alone with this budget.
pub(super) fn claim(cx: &mut Context, results: &Results<'_>, id: &str, bytes: usize, stream: &str) {
    let measured = ratio(results, None, bytes)
        .unwrap_or_else(|| Estimate::once(f64::INFINITY, results.workload.of, ""));
    cx.claim(id, &statement(bytes, stream))
        .scale(Scale::Beyond)
        .expect(Expected::AtMost(1.0))
        .source("an oracle that pays for its bytes")
        .measured(measured);
}

pub(super) fn statement(bytes: usize, stream: &str) -> String {
    format!(
        "At {} a learned sketch, model included, errs less than conservative update alone on {stream}: \
         ratio",
        kibibytes(bytes)
    )
}

fn show_rivals(cx: &mut Context, workload: &Workload, results: &Results<'_>) {
    // Both rivals use the oracle's bytes for counters or slots instead.
    let mut table = Table::new(
        format!("Does the oracle pay for its bytes? {}", workload.title),
        [
            Column::text("Budget"),
            Column::text("Rows, table, keys a slot"),
            Column::number("Coverage", 3),
            Column::number("Over conservative update", 3),
            Column::text("95 %"),
            Column::text("Better"),
            Column::number("Over first come", 3),
            Column::text("95 %"),
            Column::text("Better"),
        ],
    )
    .note(format!(
        "Error of conservative update behind a table advised by the oracle ({CLAIMED}) over that of two \
         rivals without an oracle: geometric means over test windows, with paired intervals."
    ));
    for &bytes in &workload.budgets {
        // The smallest budgets are too small for the model.
        let Some(result) = results.of(Counter::Conservative, Some(CLAIMED), bytes) else {
            let mut row: Vec<Value> = vec![kibibytes(bytes).into(), "does not fit".into()];
            row.resize_with(9, || Value::Nothing);
            table.push(row);
            continue;
        };
        let setting = result.setting.map_or_else(String::new, |setting| {
            let Setting { depth, share, over } = setting;
            format!("{depth}, {:.0} %, {over}", 100.0 * share)
        });
        let mut row: Vec<Value> = vec![
            kibibytes(bytes).into(),
            setting.into(),
            stats::mean(&result.coverage).into(),
        ];
        // Paired by trial, so that differences between windows cancel.
        for (rival, rival_name) in [
            (None, "conservative update"),
            (Some(OracleKind::FirstCome), "first come"),
        ] {
            match ratio(results, rival, bytes).and_then(|found| Some((found.value, found.ends()?)))
            {
                Some((value, (low, high))) => {
                    // The interval decides, not the mean.
                    let better = if high < 1.0 {
                        "oracle"
                    } else if low > 1.0 {
                        rival_name
                    } else {
                        "neither"
                    };
                    row.push(value.into());
                    row.push(format!("{low:.3} to {high:.3}").into());
                    row.push(better.into());
                }
                None => row.extend([Value::Nothing, Value::Nothing, Value::Nothing]),
            }
        }
        table.push(row);
    }
    cx.table(table);
}
