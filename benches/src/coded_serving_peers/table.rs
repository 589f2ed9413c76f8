//! The figures as text, with the targets.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::throughput::Served;
use super::{Coding, Gateway, Record, Throughput};

/// All tables.
#[must_use]
pub fn render(record: &Record) -> String {
    let mut out = String::new();
    if !record.coding.is_empty() {
        coding(&mut out, &record.coding);
    }
    if let Some(measured) = &record.gateway {
        gateway(&mut out, measured);
    }
    if let Some(measured) = &record.servers {
        servers(&mut out, measured);
    }
    out
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

fn coding(out: &mut String, codes: &[Coding]) {
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        out,
        "A group of 10 queries of 784 numbers: microseconds on one thread, medians"
    );
    let mut table = empty_table(&[
        "code",
        "encode",
        "decode 1",
        "engine",
        "bookkeeping",
        "group",
        "a query (aim: 50)",
    ]);
    for code in codes {
        let numbers = [
            code.encode,
            code.decode,
            code.engine,
            code.bookkeeping,
            code.group(),
            code.query(),
        ];
        let cells = numbers.map(|number| format!("{number:.2}"));
        table.add_row(std::iter::once(code.code.clone()).chain(cells));
    }
    let _ = writeln!(out, "{table}\n");
}

fn gateway(out: &mut String, measured: &Gateway) {
    let _ = writeln!(
        out,
        "{} queries to each at {} a second: milliseconds from when a query was sent",
        measured.requests, measured.rate
    );
    let mut table = empty_table(&["queried", "median", "p99", "median since due"]);
    let sides = [
        ("workers directly", measured.direct, measured.since_due[0]),
        ("gateway", measured.gateway, measured.since_due[1]),
    ];
    for (name, quantiles, due) in sides {
        let numbers = [quantiles.median, quantiles.p99, due];
        let cells = numbers.map(|number| format!("{number:.3}"));
        table.add_row(std::iter::once(name.to_owned()).chain(cells));
    }
    let each: Vec<String> = measured
        .added_each
        .iter()
        .map(|added| format!("{added:.3}"))
        .collect();
    let _ = writeln!(
        out,
        "{table}\nthe gateway adds {:.3} ms to the median (aim: 0.3), by repetition {}; {:.2} redundant \
         tasks a query\n",
        measured.added,
        each.join(" "),
        measured.redundant
    );
}

fn servers(out: &mut String, measured: &Throughput) {
    let _ = writeln!(
        out,
        "A perceptron 784-200-100-10, {} connections, one row a query; MLServer {}",
        measured.connections, measured.version
    );
    let mut table = empty_table(&["server", "queries/s", "median ms", "p99 ms"]);
    for served in &measured.servers {
        let rate = served.rate();
        table.add_row([
            served.server.clone(),
            format!("{rate:.0}"),
            format!("{:.2}", served.latency.median),
            format!("{:.2}", served.latency.p99),
        ]);
    }
    let _ = writeln!(out, "{table}");
    // Ratios refer to the fastest configuration of MLServer.
    let best = |a: &&Served, b: &&Served| a.rate().total_cmp(&b.rate());
    let theirs = measured.servers.iter().filter(|one| !one.is_ours);
    let Some(theirs) = theirs.max_by(best) else {
        return;
    };
    for ours in measured.servers.iter().filter(|one| one.is_ours) {
        let _ = writeln!(
            out,
            "{} beside {}: {:.1} times the throughput (aim: 5), {:.2} of the p99 (aim: 0.33)",
            ours.server,
            theirs.server,
            ours.rate() / theirs.rate(),
            ours.latency.p99 / theirs.latency.p99
        );
    }
}
