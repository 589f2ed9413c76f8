//! `cachesim analyze`

use std::io::{self, Write};

use anyhow::Result;
use septet_cache::trace_summary::TraceSummary;

use crate::input::Input;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    input: Input,
    /// Treat ids as addresses and count the used sets of a cache with this number of sets.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    sets: Option<u64>,
    /// Bytes per cache line.
    #[arg(long, default_value_t = 64, requires = "sets", value_parser = clap::value_parser!(u64).range(1..))]
    line_bytes: u64,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let trace = arguments.input.load()?;
    let mut summary = TraceSummary::new(&trace);
    if let Some(sets) = arguments.sets {
        summary = summary.count_sets(&trace, arguments.line_bytes, sets);
    }
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &summary).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        print(&summary, &mut out)?;
    }
    Ok(())
}

fn print(summary: &TraceSummary, out: &mut impl Write) -> io::Result<()> {
    let mut line = |name: &str, value: String| writeln!(out, "{name:<28}{value:>20}");
    let percent =
        |part: u64, whole: u64| format!("{:.2} %", 100.0 * part as f64 / whole.max(1) as f64);
    // Counts and sizes are always known; the other lines depend on what the trace holds.
    line("requests", summary.requests.to_string())?;
    line("pages", summary.pages.to_string())?;
    line("requested bytes", summary.requested_bytes.to_string())?;
    line("distinct bytes", summary.distinct_bytes.to_string())?;
    line("one-hit wonders", summary.one_hit_wonders.to_string())?;
    line(
        "  share of pages",
        percent(summary.one_hit_wonders, summary.pages),
    )?;
    line(
        "max requests of a page",
        summary.max_page_requests.to_string(),
    )?;
    if let Some((first, last)) = summary.times {
        line("time", format!("{first} to {last}"))?;
    }
    if let Some(count) = summary.program_counters {
        line("program counters", count.to_string())?;
    }
    line("next accesses known", summary.has_next_access.to_string())?;
    // Fits and quantiles are absent for traces without reuse.
    if let Some(alpha) = summary.zipf_alpha {
        line("Zipf exponent", format!("{alpha:.3}"))?;
    }
    if let Some(distance) = summary.stack_distances {
        for (name, value) in [
            ("stack distance, 10 %", distance.p10),
            ("  50 %", distance.p50),
            ("  90 %", distance.p90),
            ("  99 %", distance.p99),
            ("  maximum", distance.max),
        ] {
            line(name, value.to_string())?;
        }
    }
    if let Some(sets) = summary.sets {
        line("used sets", sets.used.to_string())?;
        let (min, max) = (sets.min_requests, sets.max_requests);
        line("  requests per set", format!("{min} to {max}"))?;
    }
    Ok(())
}
