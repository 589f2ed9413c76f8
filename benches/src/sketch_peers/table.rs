//! The comparison as text.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::measure::Samples;
use super::top_k::{K, Ranker};
use super::{Record, Size, contender::Contender};
use crate::cache_peers::sample::Spread;

/// Above this spread the reader is warned.
const NOISY: f64 = 0.3;

/// All tables, with warnings about noise.
#[must_use]
pub fn render(record: &Record) -> String {
    let mut out = String::new();
    let [arrivals, distinct] = record.stream;
    let _ = writeln!(
        out,
        "{arrivals} arrivals of {distinct} distinct keys, Zipf(1.0) over a million; one thread, {}; \
         median (range) of {} repetitions, CPU time",
        record.simd,
        record
            .sizes
            .first()
            .map_or(0, |size| size.limit.seconds.len())
    );
    for size in &record.sizes {
        let _ = writeln!(out, "\n{} KiB", size.bytes / 1024);
        let _ = writeln!(out, "{}", counting(size, arrivals));
        let _ = writeln!(out, "{}", top_k(size, arrivals));
        limit(&mut out, size, arrivals);
    }
    warnings(&mut out, record);
    out
}

fn text(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(String::new, |spread| {
        format!(
            "{:.digits$} ({:.digits$} - {:.digits$})",
            spread.median, spread.min, spread.max
        )
    })
}

fn empty_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header.to_vec());
    for (i, column) in table.column_iter_mut().enumerate() {
        if i > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn counting(size: &Size, arrivals: usize) -> Table {
    let mut table = empty_table(&[
        "counting",
        "bytes",
        "million updates/s",
        "x datasketches",
        "AAFE",
        "x smaller",
    ]);
    let baseline = &size.counting[baseline_of_counting()];
    for samples in &size.counting {
        table.add_row([
            Cell::new(&samples.name),
            Cell::new(samples.bytes),
            Cell::new(text(samples.rate(arrivals), 1)),
            Cell::new(text(samples.times_as_fast_as(baseline), 1)),
            Cell::new(format!("{:.3}", samples.quality)),
            Cell::new(format!("{:.2}", baseline.quality / samples.quality)),
        ]);
    }
    table
}

/// The contender that ratios refer to.
fn baseline_of_counting() -> usize {
    let place = Contender::ALL
        .iter()
        .position(|contender| *contender == Contender::DataSketches);
    place.expect("it is one of all")
}

fn top_k(size: &Size, arrivals: usize) -> Table {
    let found = format!("of {K} found");
    let mut table = empty_table(&[
        "update and top-k",
        "bytes",
        "million updates/s",
        "x best heavykeeper",
        &found,
    ]);
    let median = |samples: &Samples| samples.rate(arrivals).map_or(0.0, |spread| spread.median);
    // Ratios refer to the peer that is fastest at this size.
    let peers = Ranker::ALL.iter().zip(&size.top_k);
    let peers = peers.filter(|(ranker, _)| ranker.is_peer());
    let best = peers.max_by(|(_, a), (_, b)| median(a).total_cmp(&median(b)));
    for samples in &size.top_k {
        let ratio = best.and_then(|(_, best)| samples.times_as_fast_as(best));
        table.add_row([
            Cell::new(&samples.name),
            Cell::new(samples.bytes),
            Cell::new(text(samples.rate(arrivals), 1)),
            Cell::new(text(ratio, 2)),
            Cell::new(format!("{:.0}", samples.quality * K as f64)),
        ]);
    }
    table
}

/// What memory allows, and how near the fastest sketch comes.
fn limit(out: &mut String, size: &Size, arrivals: usize) {
    let rate = |seconds: &[f64]| {
        Spread::of(
            seconds
                .iter()
                .map(|seconds| arrivals as f64 / seconds / 1e6),
        )
    };
    let _ = writeln!(
        out,
        "memory: {} million random lines of the stream a second, {} uniformly random ones",
        text(rate(&size.limit.seconds), 1),
        text(rate(&size.limit.uniform_seconds), 1)
    );
    // Only blocked sketches touch one line a key, as the limit assumes.
    let blocked = size
        .counting
        .iter()
        .filter(|samples| samples.name.contains("blocked"));
    for samples in blocked {
        let share = |limit: &[f64]| {
            let pairs = limit.iter().zip(&samples.seconds);
            Spread::of(pairs.map(|(limit, ours)| 100.0 * limit / ours))
        };
        let _ = writeln!(
            out,
            "  {}: {} % of that, {} % of the uniform",
            samples.name,
            text(share(&size.limit.seconds), 0),
            text(share(&size.limit.uniform_seconds), 0)
        );
    }
}

fn warnings(out: &mut String, record: &Record) {
    let load = record.load.iter().flatten().copied().fold(0.0, f64::max);
    let _ = writeln!(out, "\nload {load:.1} on {} processors", record.processors);
    let spreads: Vec<f64> = record
        .sizes
        .iter()
        .flat_map(|size| size.counting.iter().chain(&size.top_k))
        .filter_map(|samples| Spread::of(samples.seconds.iter().copied()))
        .map(|spread| spread.relative())
        .collect();
    let noisy = spreads.iter().filter(|&&spread| spread > NOISY).count();
    if noisy > 0 {
        let worst = spreads.iter().copied().fold(0.0, f64::max);
        let _ = writeln!(
            out,
            "warning: in {noisy} of {} sets of samples the times spread over more than {:.0} % of \
             their median (at worst {:.0} %)",
            spreads.len(),
            NOISY * 100.0,
            worst * 100.0
        );
    }
}
