//! The operators of `septet_core::nn` beside PyTorch's: CPU time of one thread, forward and
//! backward, and a whole training step of a small language model.

mod gpt;
mod row;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets};
use rustix::time::{ClockId, clock_gettime};
use septet_core::cli::Failure;
use serde::Serialize;

use crate::cache_peers::sample::Spread;
use row::{Passes, ROWS, Row};

/// PyTorch's side, run by Python.
const SCRIPT: &str = include_str!("sample.py");

/// The threshold above which the C library would give memory back.
const MAX_THRESHOLD: &str = "2147483647";

/// How many times PyTorch's CPU time an operator may take.
pub const BOUND: f64 = 1.25;

/// What is compared, and how long.
#[derive(Debug)]
pub struct Plan {
    /// Parts of the names of rows; empty for all.
    pub rows: Vec<String>,
    /// Samples of each contender.
    pub repetitions: usize,
    /// How long a sample lasts at least.
    pub milliseconds: u32,
    /// A Python that has PyTorch.
    pub python: PathBuf,
    /// The folder for the script and the samples.
    pub output: PathBuf,
}

/// The samples of one pass of one row, in CPU milliseconds a call.
#[derive(Debug, Serialize)]
struct Comparison {
    row: &'static str,
    what: &'static str,
    pass: &'static str,
    ours: Vec<f64>,
    /// The part of ours that is candle's sums of gradients; empty where it is not measured.
    sums: Vec<f64>,
    /// By variant, of which the fastest counts.
    theirs: BTreeMap<String, Vec<f64>>,
}

impl Comparison {
    /// The variant with the lowest median.
    fn fastest(&self) -> Option<(&str, Spread)> {
        let spreads = self.theirs.iter().filter_map(|(variant, samples)| {
            Some((variant.as_str(), Spread::of(samples.iter().copied())?))
        });
        spreads.min_by(|a, b| a.1.median.total_cmp(&b.1.median))
    }

    /// Our time over theirs, between samples that were taken one after the other.
    fn ratio(&self) -> Option<Spread> {
        let theirs = &self.theirs[self.fastest()?.0];
        Spread::of(
            self.ours
                .iter()
                .zip(theirs)
                .map(|(ours, theirs)| ours / theirs),
        )
    }
}

/// Runs the plan, printing progress lines with `log`, and returns the table; the samples are
/// written as JSON.
///
/// # Errors
///
/// When a contender fails. A Python without PyTorch is no error: the text says that it was skipped.
pub fn run(plan: &Plan, log: &mut dyn FnMut(&str)) -> anyhow::Result<String> {
    // A name of `--rows` selects every row that contains it.
    let is_chosen = |row: &&Row| {
        let is_part = |part: &String| row.name.contains(part.as_str());
        plan.rows.is_empty() || plan.rows.iter().any(is_part)
    };
    let rows: Vec<&Row> = ROWS.iter().filter(is_chosen).collect();
    if rows.is_empty() {
        let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        let message = format!("--rows: no such row; there are: {}", names.join(", "));
        return Err(Failure::usage(message).into());
    }
    if let Err(reason) = importable(&plan.python) {
        return Ok(format!(
            "skipped: `{} -c 'import torch'` failed: {reason}\n\
             Give a Python that has PyTorch with `-- --python PATH`\n",
            plan.python.display()
        ));
    }
    let script = plan.output.join("core-sample.py");
    std::fs::write(&script, SCRIPT)
        .with_context(|| format!("cannot write {}", script.display()))?;
    // One process for all rows: importing PyTorch takes seconds.
    let mut peer = Peer::start(&plan.python, &script)?;
    let mut comparisons = Vec::new();
    for row in rows {
        log(row.name);
        comparisons.extend(compare(row, plan, &mut peer)?);
    }
    crate::record::write(&comparisons, &plan.output.join("core-peers.json"))?;
    Ok(render(&comparisons))
}

fn importable(python: &Path) -> Result<(), String> {
    let output = Command::new(python)
        .args(["-c", "import torch"])
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    // The last line of a traceback is the error.
    let text = String::from_utf8_lossy(&output.stderr);
    Err(text.lines().last().unwrap_or("no message").to_owned())
}

/// The Python process, which keeps the operands of the current row.
struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Milliseconds by variant and pass.
type Answer = BTreeMap<String, BTreeMap<String, f64>>;

impl Peer {
    fn start(python: &Path, script: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(python)
            .arg(script)
            // What `septet_core::nn::keep_freed_memory` does for this process.
            .envs(
                ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"]
                    .map(|key| (key, MAX_THRESHOLD)),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", python.display()))?;
        let requests = child.stdin.take().context("the script has no input")?;
        let answers = child.stdout.take().context("the script has no output")?;
        Ok(Self {
            child,
            requests,
            answers: BufReader::new(answers),
        })
    }

    fn sample(&mut self, row: &str, milliseconds: u32) -> anyhow::Result<Answer> {
        writeln!(self.requests, "{row} {milliseconds}").context("the script has ended")?;
        // One line of JSON answers one request; `null` stands for an unknown row.
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Option<Answer> = serde_json::from_str(&line)
            .with_context(|| format!("unexpected answer of the script: {line:?}"))?;
        answer.with_context(|| format!("the script has no row `{row}`"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself with its input, but not in the middle of a sample.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All samples of a row, in turns whose order reverses from repetition to repetition.
fn compare(row: &Row, plan: &Plan, peer: &mut Peer) -> anyhow::Result<Vec<Comparison>> {
    let mut passes = (row.build)().with_context(|| format!("row `{}`", row.name))?;
    let counts = calibrate(&mut passes, plan.milliseconds)?;
    let mut comparisons: Vec<Comparison> = passes
        .iter()
        .map(|pass| Comparison {
            row: row.name,
            what: row.what,
            pass: pass.name,
            ours: Vec::new(),
            sums: Vec::new(),
            theirs: BTreeMap::new(),
        })
        .collect();
    for repetition in 0..plan.repetitions {
        // Ours first in even repetitions, theirs first in odd ones: a drift of the machine's speed
        // favors neither.
        for ours in [repetition % 2 == 0, repetition % 2 == 1] {
            if ours {
                let samples = (passes.iter_mut().zip(&counts)).zip(&mut comparisons);
                for ((pass, &count), comparison) in samples {
                    comparison.ours.push(milliseconds(&mut pass.run, count)?);
                    if let Some(sums) = &mut pass.sums {
                        comparison.sums.push(milliseconds(sums, count)?);
                    }
                }
                continue;
            }
            // One answer holds all variants and passes of the row.
            for (variant, times) in peer.sample(row.name, plan.milliseconds)? {
                for comparison in &mut comparisons {
                    let time = times.get(comparison.pass).with_context(|| {
                        format!("the script has no `{}` of `{}`", comparison.pass, row.name)
                    })?;
                    let samples = comparison.theirs.entry(variant.clone()).or_default();
                    samples.push(*time);
                }
            }
        }
    }
    Ok(comparisons)
}

/// How many calls of each pass make a sample.
fn calibrate(passes: &mut Passes, sample_milliseconds: u32) -> anyhow::Result<Vec<u32>> {
    passes
        .iter_mut()
        .map(|pass| {
            // The first call fills caches and allocates memory.
            (pass.run)()?;
            if let Some(sums) = &mut pass.sums {
                sums()?;
            }
            let once = milliseconds(&mut pass.run, 1)?.max(1e-3);
            Ok((f64::from(sample_milliseconds) / once).ceil() as u32)
        })
        .collect()
}

/// CPU milliseconds a call.
fn milliseconds(
    run: &mut dyn FnMut() -> candle_core::Result<()>,
    count: u32,
) -> anyhow::Result<f64> {
    let start = cpu_seconds();
    for _ in 0..count {
        run()?;
    }
    Ok((cpu_seconds() - start) * 1e3 / f64::from(count))
}

/// CPU seconds of this process.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// The table, and how many rows keep the bound.
fn render(comparisons: &[Comparison]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "row",
        "pass",
        "PyTorch ms",
        "ours ms",
        "of it candle's sums",
        "ratio",
        "bound",
    ]);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let spread = |spread: Spread| {
        format!(
            "{:.3} ({:.3} - {:.3})",
            spread.median, spread.min, spread.max
        )
    };
    let mut missed = Vec::new();
    for comparison in comparisons {
        // A row needs samples of both sides.
        let (Some((variant, theirs)), Some(ours), Some(ratio)) = (
            comparison.fastest(),
            Spread::of(comparison.ours.iter().copied()),
            comparison.ratio(),
        ) else {
            continue;
        };
        // The bound holds for the median: single ratios depend on other work of the machine.
        let kept = ratio.median <= BOUND;
        if !kept {
            missed.push(format!(
                "{} {} {:.2}",
                comparison.row, comparison.pass, ratio.median
            ));
        }
        // What no operation can save: candle adds each gradient to a tensor of zeros.
        let sums = Spread::of(comparison.sums.iter().copied());
        let sums = sums.map_or_else(String::new, |sums| format!("{:.3}", sums.median));
        // The variant matters only where PyTorch has several.
        let variant = match comparison.theirs.len() {
            1 => String::new(),
            _ => format!(" {variant}"),
        };
        table.add_row([
            comparison.row.to_owned(),
            comparison.pass.to_owned(),
            format!("{}{variant}", spread(theirs)),
            spread(ours),
            sums,
            format!("{:.2} ({:.2} - {:.2})", ratio.median, ratio.min, ratio.max),
            if kept { "kept" } else { "missed" }.to_owned(),
        ]);
    }
    let mut text = format!("CPU time of one thread; median (range)\n\n{table}\n\n");
    // Writing to a string cannot fail.
    // What a row computes is said once for all its passes.
    for pair in comparisons.chunk_by(|a, b| a.row == b.row) {
        let _ = writeln!(text, "{}: {}", pair[0].row, pair[0].what);
    }
    let _ = writeln!(
        text,
        "\nbound {BOUND} on the median ratio: kept by {} of {}{}{}",
        comparisons.len() - missed.len(),
        comparisons.len(),
        if missed.is_empty() { "" } else { "; missed: " },
        missed.join(", ")
    );
    text
}
