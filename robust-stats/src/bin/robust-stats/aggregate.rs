//! `robust-stats aggregate` and `merge`: counting reports, and adding counts.

use std::path::PathBuf;

use anyhow::{Context, bail};
use septet_robust_stats::aggregate::{Aggregate, Countable, DesignAggregator, RejectStatistics};
use septet_robust_stats::design::{Assignment, DesignParameters};
use septet_robust_stats::wire::{
    Envelopes, Protocol, WireReport, read_counts, read_design_counts, read_design_report,
    read_report, write_counts, write_design_counts,
};
use serde_json::{Map, Value, json};

use crate::Ending;
use crate::files::{self, Output};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The protocol
    #[arg(long)]
    protocol: PathBuf,
    /// Hash design: the file with the server's key, which assigns the groups
    #[arg(long)]
    key: Option<PathBuf>,
    /// The file of counts to write
    #[arg(long)]
    out: PathBuf,
    /// Files of reports
    #[arg(required = true)]
    reports: Vec<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct MergeArguments {
    /// The protocol
    #[arg(long)]
    protocol: PathBuf,
    /// The file of counts to write
    #[arg(long)]
    out: PathBuf,
    /// Files of counts
    #[arg(required = true)]
    counts: Vec<PathBuf>,
}

/// Calls a function with the mechanism of a protocol, whichever it is.
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
            _ => bail!("this protocol has no command yet: use the library"),
        }
    };
}
pub(crate) use with_mechanism;

pub(crate) fn run(arguments: &Arguments, out: &mut Output) -> anyhow::Result<Ending> {
    let protocol = files::protocol(&arguments.protocol)?;
    let (reports, rejected, bytes) = with_mechanism!(
        protocol,
        mechanism => count(mechanism, &arguments.reports)?,
        design => count_cells(design, arguments)?
    );
    files::write(&arguments.out, &bytes)?;
    print(out, reports, &rejected)
}

fn print(out: &mut Output, reports: u64, rejected: &RejectStatistics) -> anyhow::Result<Ending> {
    let reasons = septet_robust_stats::aggregate::Reject::ALL;
    let counted = reasons
        .into_iter()
        .filter(|&reason| rejected.get(reason) > 0);
    let by_reason: Map<String, Value> = counted
        .map(|reason| (reason.name().to_owned(), rejected.get(reason).into()))
        .collect();
    out.print(&json!({
        "reports": reports,
        "rejected": rejected.total(),
        "reasons": by_reason,
    }))?;
    Ok(Ending::Done)
}

fn count<M>(mechanism: M, files: &[PathBuf]) -> anyhow::Result<(u64, RejectStatistics, Vec<u8>)>
where
    M: Countable<Report: WireReport> + Into<Protocol>,
{
    let tag = mechanism.clone().into().tag();
    let mut aggregate = Aggregate::new(mechanism);
    for path in files {
        let bytes = files::read(path)?;
        for envelope in Envelopes::new(&bytes) {
            let (_, report) = envelope.with_context(|| path.display().to_string())?;
            match read_report(tag, report) {
                // Rejections are counted, and no reason to stop.
                Ok(report) => _ = aggregate.push(&report),
                Err(reason) => aggregate.reject(reason),
            }
        }
    }
    let rejected = aggregate.rejected().clone();
    Ok((aggregate.reports(), rejected, write_counts(&aggregate)))
}

fn count_cells(
    design: DesignParameters,
    arguments: &Arguments,
) -> anyhow::Result<(u64, RejectStatistics, Vec<u8>)> {
    let key = arguments.key.as_ref();
    let key = key.context("--key: a hash design needs the key that assigned the groups")?;
    let assignment = Assignment::new(files::key(key)?, &design);
    let mut aggregator = DesignAggregator::new(design, assignment)?.remembering_clients();
    for path in &arguments.reports {
        let bytes = files::read(path)?;
        for envelope in Envelopes::new(&bytes) {
            let (client, report) = envelope.with_context(|| path.display().to_string())?;
            match read_design_report(report) {
                Ok(report) => _ = aggregator.push(client, &report),
                Err(reason) => aggregator.reject(reason),
            }
        }
    }
    let counts = aggregator.into_counts();
    let bytes = write_design_counts(&counts);
    Ok((counts.matrix.reports(), counts.rejected, bytes))
}

pub(crate) fn merge(arguments: &MergeArguments, out: &mut Output) -> anyhow::Result<Ending> {
    let protocol = files::protocol(&arguments.protocol)?;
    let (reports, rejected, bytes) = with_mechanism!(
        protocol,
        mechanism => {
            let mut sum = Aggregate::new(mechanism);
            for path in &arguments.counts {
                let counts = read_counts(mechanism, &files::read(path)?);
                let counts = counts.with_context(|| path.display().to_string())?;
                sum.merge(&counts)?;
            }
            (sum.reports(), sum.rejected().clone(), write_counts(&sum))
        },
        design => {
            let mut sum = septet_robust_stats::aggregate::DesignCounts::new(design)?;
            for path in &arguments.counts {
                let counts = read_design_counts(&files::read(path)?);
                let counts = counts.with_context(|| path.display().to_string())?;
                sum.merge(&counts)?;
            }
            let bytes = write_design_counts(&sum);
            (sum.matrix.reports(), sum.rejected, bytes)
        }
    );
    files::write(&arguments.out, &bytes)?;
    print(out, reports, &rejected)
}
