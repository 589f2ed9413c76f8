//! `robust-stats aggregate` and `merge`.

use std::path::{Path, PathBuf};

use septet_core::cli::{Exit, Failure, Report, warn};
use septet_robust_stats::aggregate::{
    Aggregate, Countable, DesignAggregator, DesignCounts, RejectCounts, RejectReason,
};
use septet_robust_stats::design::{Assignment, DesignParameters};
use septet_robust_stats::mechanism::client_generator;
use septet_robust_stats::rand_core::RngCore;
use septet_robust_stats::wire::{
    Envelopes, Protocol, WireReport, read_counts, read_design_counts, read_design_report,
    read_report, write_counts, write_design_counts,
};
use serde_json::{Map, Value};

use crate::files;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Protocol file
    #[arg(long)]
    protocol: PathBuf,
    /// Hash design: file of the server's assignment key
    #[arg(long)]
    key: Option<PathBuf>,
    /// Output file of counts; - is standard output
    #[arg(long)]
    out: PathBuf,
    /// Report files, with all reports of a client in one run: a client's second report is rejected as a
    /// duplicate, but no run knows the clients of another one. Malformed and truncated reports are rejected and counted, which is not an error
    #[arg(required = true)]
    reports: Vec<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct MergeArguments {
    /// Protocol file
    #[arg(long)]
    protocol: PathBuf,
    /// Output file of counts; - is standard output
    #[arg(long)]
    out: PathBuf,
    /// Count files, of different clients: counts have no names by which duplicates could be rejected
    #[arg(required = true)]
    counts: Vec<PathBuf>,
}

/// Evaluates an expression with the mechanism of a protocol.
macro_rules! with_mechanism {
    ($protocol:expr, $mechanism:ident => $body:expr, $design:ident => $other:expr) => {
        match $protocol {
            Protocol::Design($design) => $other,
            Protocol::RandomizedResponse($mechanism) => $body,
            Protocol::UnaryEncoding($mechanism) => $body,
            Protocol::SubsetSelection($mechanism) => $body,
            Protocol::LocalHashing($mechanism) => $body,
            Protocol::HadamardResponse($mechanism) => $body,
            Protocol::CountMeanSketch($mechanism) => $body,
            Protocol::HadamardCountMeanSketch($mechanism) => $body,
            _ => $crate::usage!(
                "--protocol: this protocol is not supported by the command line; use the library"
            ),
        }
    };
}
pub(crate) use with_mechanism;

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Exit> {
    let protocol = files::protocol(&arguments.protocol)?;
    let (reports, rejected, bytes) = with_mechanism!(
        protocol,
        mechanism => count(mechanism, &arguments.reports)?,
        design => count_cells(design, arguments)?
    );
    files::write(&arguments.out, &bytes)?;
    print(reports, &rejected, json, &arguments.out)
}

fn print(reports: u64, rejected: &RejectCounts, json: bool, output: &Path) -> anyhow::Result<Exit> {
    let reasons = RejectReason::ALL.into_iter();
    let counted = reasons.filter(|&reason| rejected.get(reason) > 0);
    let by_reason: Map<String, Value> = counted
        .map(|reason| (reason.name().to_owned(), rejected.get(reason).into()))
        .collect();
    let report = Report::default()
        .field("reports", reports)
        .field("rejected", rejected.total())
        .field("reasons", by_reason);
    files::print(&report, json, output)?;
    if rejected.total() > reports {
        let main = RejectReason::ALL
            .into_iter()
            .max_by_key(|&reason| rejected.get(reason));
        warn(&format!(
            "more reports rejected than counted, mainly for the reason {}; {}",
            main.map_or("", RejectReason::name),
            "check that protocol, key and epoch are those of the clients"
        ));
    }
    Ok(Exit::Success)
}

/// Calls `each` with every client and its report. A truncated stream counts as one truncated report,
/// because the start of the next one is unknown.
fn for_each_report(
    path: &Path,
    mut each: impl FnMut(Result<(&[u8], &[u8]), RejectReason>),
) -> anyhow::Result<()> {
    let bytes = files::read(path)?;
    for envelope in Envelopes::new(&bytes) {
        match envelope {
            Ok(envelope) => each(Ok(envelope)),
            Err(error) => {
                each(Err(RejectReason::Truncated));
                warn(&format!(
                    "{}: {error}; the rest of the file is not counted",
                    path.display()
                ));
            }
        }
    }
    Ok(())
}

fn count<M>(mechanism: M, files: &[PathBuf]) -> anyhow::Result<(u64, RejectCounts, Vec<u8>)>
where
    M: Countable<Report: WireReport> + Into<Protocol>,
{
    // The tag rejects reports of other protocols.
    let tag = mechanism.clone().into().tag();
    // No count of clients outlives this run, so that its key need not either.
    let mut key = [0; 16];
    client_generator()?.fill_bytes(&mut key);
    let mut aggregate = Aggregate::try_new(mechanism)?.with_duplicate_detection(key);
    for path in files {
        for_each_report(path, |envelope| {
            let read = |(client, report)| Ok((client, read_report(tag, report)?));
            match envelope.and_then(read) {
                // Rejections are counted by the aggregate.
                Ok((client, report)) => _ = aggregate.push_from(client, &report),
                Err(reason) => aggregate.reject(reason),
            }
        })?;
    }
    let rejected = aggregate.rejected().clone();
    Ok((aggregate.reports(), rejected, write_counts(&aggregate)))
}

fn count_cells(
    design: DesignParameters,
    arguments: &Arguments,
) -> anyhow::Result<(u64, RejectCounts, Vec<u8>)> {
    let key = arguments.key.as_ref();
    let key = key.ok_or_else(|| Failure::usage("--key: required for a hash design"))?;
    let assignment = Assignment::new(files::key(key)?, &design);
    let mut aggregator = DesignAggregator::new(design, assignment)?.with_duplicate_detection();
    for path in &arguments.reports {
        for_each_report(path, |envelope| {
            let read = |(client, report)| Ok((client, read_design_report(report)?));
            match envelope.and_then(read) {
                Ok((client, report)) => _ = aggregator.push(client, &report),
                Err(reason) => aggregator.reject(reason),
            }
        })?;
    }
    let counts = aggregator.into_counts();
    let bytes = write_design_counts(&counts);
    Ok((counts.matrix.reports(), counts.rejected, bytes))
}

pub(crate) fn merge(arguments: &MergeArguments, json: bool) -> anyhow::Result<Exit> {
    let protocol = files::protocol(&arguments.protocol)?;
    let (reports, rejected, bytes) = with_mechanism!(
        protocol,
        mechanism => {
            let mut sum = Aggregate::try_new(mechanism)?;
            for path in &arguments.counts {
                let counts = read_counts(mechanism, &files::read(path)?);
                let counts = counts.map_err(files::damaged(path))?;
                sum.merge(&counts)?;
            }
            (sum.reports(), sum.rejected().clone(), write_counts(&sum))
        },
        design => {
            let mut sum = DesignCounts::new(design)?;
            for path in &arguments.counts {
                let counts = read_design_counts(&files::read(path)?);
                let counts = counts.map_err(files::damaged(path))?;
                sum.merge(&counts)?;
            }
            let bytes = write_design_counts(&sum);
            (sum.matrix.reports(), sum.rejected, bytes)
        }
    );
    files::write(&arguments.out, &bytes)?;
    print(reports, &rejected, json, &arguments.out)
}
