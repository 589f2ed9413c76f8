//! The tables that a run prints.

use std::fmt::Write;

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::Record;
use super::sample::{Comparison, Sample, Spread, ratio};

/// A spread of samples wider than this, relative to the median, is pointed out.
const NOISY: f64 = 0.10;

const MEBIBYTE: f64 = 1_048_576.0;

/// Renders a run: speed of the replay alone, speed with reading, memory and misses, what the
/// combinations cost, and warnings when the numbers cannot be trusted.
#[must_use]
pub fn render(record: &Record) -> String {
    let mut out = format!(
        "Millions of requests a CPU second (medians), and how many times as fast as {} \
         (median, range).\nTuned: its hash table fits the cache. Default: its hash table has \
         2^24 buckets.\n\nReplay of a loaded trace:\n",
        record.peer
    );
    let replay = |sample: &Sample| sample.replay_seconds;
    let with_reading = |sample: &Sample| sample.with_reading_seconds;
    let _ = writeln!(out, "{}\n", speeds(&record.comparisons, replay));
    let _ = writeln!(
        out,
        "Reading the file and replaying it:\n{}\n",
        speeds(&record.comparisons, with_reading)
    );
    let _ = writeln!(
        out,
        "Peak memory in MiB (in brackets: without what the process held before the trace), and \
         misses:\n{}\n",
        outcomes(&record.comparisons)
    );
    combinations(&mut out, &record.comparisons);
    warnings(&mut out, record);
    out
}

fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_header(columns);
    table
}

/// The cells that name a comparison.
fn names(comparison: &Comparison) -> Vec<Cell> {
    vec![
        Cell::new(&comparison.policy),
        Cell::new(&comparison.trace),
        number(comparison.capacity.to_string()),
    ]
}

fn number(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// A number, or a dash where there is none.
fn optional<T>(value: Option<T>, show: impl Fn(T) -> String) -> Cell {
    number(value.map_or_else(|| "-".to_owned(), show))
}

fn speeds(comparisons: &[Comparison], seconds: fn(&Sample) -> f64) -> Table {
    let mut table = table(&[
        "policy",
        "trace",
        "capacity",
        "ours",
        "tuned",
        "default",
        "ours / tuned",
        "ours / default",
    ]);
    for comparison in comparisons {
        let rate = |samples: &[Sample]| {
            let rates = samples
                .iter()
                .map(|sample| sample.requests as f64 / seconds(sample) / 1e6);
            optional(Spread::of(rates), |rate| format!("{:.1}", rate.median))
        };
        let times = |theirs: &[Sample]| {
            optional(ratio(&comparison.ours, theirs, seconds), |times| {
                format!("{:.2} ({:.2} - {:.2})", times.median, times.min, times.max)
            })
        };
        let mut row = names(comparison);
        row.extend([
            rate(&comparison.ours),
            rate(&comparison.tuned),
            rate(&comparison.as_installed),
            times(&comparison.tuned),
            times(&comparison.as_installed),
        ]);
        table.add_row(row);
    }
    table
}

fn outcomes(comparisons: &[Comparison]) -> Table {
    let mut table = table(&[
        "policy",
        "trace",
        "capacity",
        "ours",
        "tuned",
        "default",
        "our misses",
        "their misses",
        "difference",
    ]);
    for comparison in comparisons {
        let memory = |samples: &[Sample]| {
            let peak = Spread::of(samples.iter().map(|sample| sample.peak_bytes as f64));
            let before = Spread::of(samples.iter().map(|sample| sample.baseline_bytes as f64));
            optional(peak.zip(before), |(peak, before)| {
                // The interpreter and its libraries are not the simulator's.
                let own = peak.median - before.median;
                format!("{:.0} ({:.0})", peak.median / MEBIBYTE, own / MEBIBYTE)
            })
        };
        let ours = comparison.ours.first();
        let theirs = comparison.tuned.first();
        let misses = |sample: Option<&Sample>| optional(sample, |sample| sample.misses.to_string());
        let mut row = names(comparison);
        row.extend([
            memory(&comparison.ours),
            memory(&comparison.tuned),
            memory(&comparison.as_installed),
            misses(ours),
            misses(theirs),
            optional(ours.zip(theirs), |(ours, theirs)| difference(ours, theirs)),
        ]);
        table.add_row(row);
    }
    table
}

/// How our misses differ from theirs, in points of the miss ratio.
fn difference(ours: &Sample, theirs: &Sample) -> String {
    if ours.misses == theirs.misses {
        return "equal".to_owned();
    }
    let points = (ours.misses as f64 - theirs.misses as f64) / ours.requests as f64 * 100.0;
    format!("{points:+.3} points")
}

/// What the combinations, which libCacheSim lacks, cost beside LRU on the same trace.
fn combinations(out: &mut String, comparisons: &[Comparison]) {
    for combination in comparisons
        .iter()
        // No samples of libCacheSim: it lacks the policy.
        .filter(|comparison| comparison.tuned.is_empty())
    {
        let lru = comparisons
            .iter()
            .find(|other| other.policy == "LRU" && other.trace == combination.trace);
        let replay = |sample: &Sample| sample.replay_seconds;
        if let Some(times) = lru.and_then(|lru| ratio(&lru.ours, &combination.ours, replay)) {
            let _ = writeln!(
                out,
                "{} on {} takes {:.2} ({:.2} - {:.2}) times as long as LRU.",
                combination.policy, combination.trace, times.median, times.min, times.max
            );
        }
    }
}

fn warnings(out: &mut String, record: &Record) {
    // The comparison itself adds 1, as one process runs at a time.
    let load = record.load.iter().flatten().copied().fold(0.0, f64::max);
    if load > 0.5 * record.processors as f64 {
        let _ = writeln!(
            out,
            "warning: the load was {load:.1} on {} processors; other work shares their caches",
            record.processors
        );
    }
    let spreads: Vec<f64> = record
        .comparisons
        .iter()
        .flat_map(|comparison| {
            [
                &comparison.ours,
                &comparison.tuned,
                &comparison.as_installed,
            ]
        })
        .filter_map(|samples| Spread::of(samples.iter().map(|sample| sample.replay_seconds)))
        .map(|spread| spread.relative())
        .collect();
    let noisy = spreads.iter().filter(|&&spread| spread > NOISY).count();
    if noisy > 0 {
        let widest = spreads.iter().copied().fold(0.0, f64::max);
        let _ = writeln!(
            out,
            "warning: in {noisy} of {} sets of samples the times spread over more than {:.0} % of \
             their median (at worst {:.0} %)",
            spreads.len(),
            NOISY * 100.0,
            widest * 100.0
        );
    }
}
