//! `robust-stats encode`: the client side.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::PathBuf;

use anyhow::Context;
use rand_chacha::rand_core::CryptoRng;
use septet_core::cli::{Exit, Failure, Report};
use septet_core::io::PositionedReader;
use septet_robust_stats::design::{Assignment, DesignParameters, DesignReport, GroupClient};
use septet_robust_stats::distribution::MAX_LINE_LEN;
use septet_robust_stats::labels::Labels;
use septet_robust_stats::mechanism::{Mechanism, client_generator};
use septet_robust_stats::wire::{
    Protocol, ProtocolFile, WireReport, write_design_report, write_envelope, write_report,
};

use crate::{files, usage};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Protocol file
    #[arg(long)]
    protocol: PathBuf,
    /// Hash design: file of the server's assignment key. For simulation: the key is secret to the server,
    /// and a client receives its group only
    #[arg(long, conflicts_with = "group")]
    key: Option<PathBuf>,
    /// Hash design: group assigned to these clients
    #[arg(long)]
    group: Option<usize>,
    /// Output file of reports; - is standard output
    #[arg(long)]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Exit> {
    let ProtocolFile {
        protocol, labels, ..
    } = files::protocol_file(&arguments.protocol)?;
    let labels = labels.as_ref();
    let mut rng = client_generator()?;
    let rng = &mut rng;
    let (count, bytes) = match protocol {
        Protocol::Design(design) => encode_cells(arguments, &design, labels, rng)?,
        Protocol::RandomizedResponse(m) => encode_all(&m, protocol, labels, rng)?,
        Protocol::UnaryEncoding(m) => encode_all(&m, protocol, labels, rng)?,
        Protocol::SubsetSelection(m) => encode_all(&m, protocol, labels, rng)?,
        Protocol::LocalHashing(m) => encode_all(&m, protocol, labels, rng)?,
        Protocol::HadamardResponse(m) => encode_all(&m, protocol, labels, rng)?,
        Protocol::CountMeanSketch(m) => encode_all(&m, protocol, labels, rng)?,
        Protocol::HadamardCountMeanSketch(m) => encode_all(&m, protocol, labels, rng)?,
        _ => usage!("--protocol: this protocol requires a secret per client; use the library"),
    };
    files::write(&arguments.out, &bytes)?;
    let report = Report::default().field("reports", count);
    let report = report.field("bytes", bytes.len());
    files::print(&report, json, &arguments.out)?;
    Ok(Exit::Success)
}

fn encode_all<M>(
    mechanism: &M,
    protocol: Protocol,
    labels: Option<&Labels>,
    rng: &mut impl CryptoRng,
) -> anyhow::Result<(u64, Vec<u8>)>
where
    M: Mechanism<Report: WireReport>,
{
    let tag = protocol.tag();
    for_each_line(labels, |client, symbol, out| {
        let report = mechanism.encode(symbol, rng)?;
        write_envelope(out, client.as_bytes(), &write_report(tag, &report));
        Ok(())
    })
}

fn encode_cells(
    arguments: &Arguments,
    design: &DesignParameters,
    labels: Option<&Labels>,
    rng: &mut impl CryptoRng,
) -> anyhow::Result<(u64, Vec<u8>)> {
    let assignment = match &arguments.key {
        Some(path) => Some(Assignment::new(files::key(path)?, design)),
        None if arguments.group.is_none() => usage!("--key or --group: required for a hash design"),
        None => None,
    };
    let mut groups: HashMap<usize, GroupClient> = HashMap::new();
    for_each_line(labels, |client, symbol, out| {
        let assigned = assignment.map(|assignment| assignment.group(client.as_bytes()));
        let group = assigned.or(arguments.group).unwrap_or_default();
        let client_of_group = match groups.entry(group) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(GroupClient::new(design, group)?),
        };
        let report = DesignReport::encode(client_of_group, symbol, rng)?;
        write_envelope(out, client.as_bytes(), &write_design_report(&report));
        Ok(())
    })
}

/// Reads `client,symbol` lines from standard input, with labels as symbols where the protocol has them.
fn for_each_line(
    labels: Option<&Labels>,
    mut each: impl FnMut(&str, usize, &mut Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<(u64, Vec<u8>)> {
    let (mut count, mut bytes) = (0, Vec::new());
    let mut lines = PositionedReader::new(io::stdin()).max_line_len(MAX_LINE_LEN);
    loop {
        let number = lines.line_number() + 1;
        let line = match lines.read_line() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) => return Err(anyhow::Error::new(error).context("standard input")),
        };
        let at = || format!("standard input, line {number}");
        let line =
            std::str::from_utf8(line).with_context(|| format!("{}: expected UTF-8", at()))?;
        if line.trim().is_empty() {
            continue;
        }
        let (client, symbol) = match labels {
            Some(labels) => split_label(line, labels),
            None => split_number(line),
        }
        .with_context(|| {
            let symbol = labels.map_or("symbol", |_| "label");
            format!("{}: expected client,{symbol}, found {line:?}", at())
        })?;
        each(client, symbol, &mut bytes).map_err(|error| Failure::data(error.context(at())))?;
        count += 1;
    }
    Ok((count, bytes))
}

/// Splits `client,symbol` at the last comma.
fn split_number(line: &str) -> Option<(&str, usize)> {
    let (client, symbol) = line.rsplit_once(',')?;
    Some((client, symbol.trim().parse().ok()?))
}

/// Splits `client,label`. Both may contain commas: the label is the longest end of the line that is one.
fn split_label<'a>(line: &'a str, labels: &Labels) -> Option<(&'a str, usize)> {
    line.match_indices(',').find_map(|(comma, _)| {
        let symbol = labels.symbol(line[comma + 1..].trim())?;
        Some((&line[..comma], symbol))
    })
}
