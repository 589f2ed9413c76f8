//! `robust-stats audit-design`: what a design keeps of distances, and the bounds that follow.

use std::path::PathBuf;

use septet_core::cli::{Exit, Report};
use septet_robust_stats::Gamma;
use septet_robust_stats::decode::Observation;
use septet_robust_stats::design::{Certificate, DesignMatrix, HashDesign};
use septet_robust_stats::wire::{Protocol, ProtocolFile};
use serde_json::{Value, json};

use crate::{files, usage};

/// Exit code 1 if the design does not identify every distribution, or keeps less than its file states.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Protocol file of a hash design
    #[arg(long)]
    protocol: PathBuf,
    /// Fraction of reports that may be manipulated, for the bound
    #[arg(long, allow_negative_numbers = true)]
    gamma: Option<f64>,
    /// Number of honest reports, for the typical noise part of the bound
    #[arg(long, requires = "gamma", value_parser = clap::value_parser!(u64).range(1..))]
    reports: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Exit> {
    let gamma = arguments.gamma.map(Gamma::new).transpose()?;
    let ProtocolFile {
        protocol,
        certificate: stored,
        labels,
    } = files::protocol_file(&arguments.protocol)?;
    let Protocol::Design(design) = protocol else {
        usage!("--protocol: expected a hash design, found another protocol");
    };
    let matrix = DesignMatrix::from_design(&HashDesign::new(design)?)?;
    let audit = matrix.audit();
    let kept = |certificate: Option<Certificate>| certificate.map(|certificate| certificate.kept);
    let (proven, stored) = (kept(audit.certificate), kept(stored));
    let identifies = audit.rank.is_none_or(|rank| rank == matrix.symbols());
    // Without a proof the search is still an upper bound of what any certificate may state.
    let found = audit.weakest.as_ref().map(|weakest| weakest.ratio);
    let overstated = proven
        .or(found)
        .zip(stored)
        .is_some_and(|(most, stored)| stored > most * (1.0 + files::CERTIFICATE_ROUNDING));
    // 1. The verdict first.
    let mut report = Report::default();
    if !identifies {
        report =
            report.sentence("this design does not identify every distribution: draw another one");
    }
    if overstated {
        report = report.sentence("the file states more than is proved: write it anew");
    }
    report = report
        .field("symbols", matrix.symbols())
        .field("cells", matrix.cells())
        .field("groups", matrix.groups())
        .field("rank", audit.rank)
        .field("kept_at_least", proven)
        .field("kept_in_file", stored)
        .field("kept_along_weakest_direction", found);
    // 2. What `decode` will state for groups of equal size and honest noise, and what the search shows to be
    // possible at least.
    if let (Some(gamma), Some(kept)) = (gamma, proven) {
        let part = |value: f64, kept: f64| (value / (kept * matrix.attenuation())).min(1.0);
        let share = gamma.get() / (1.0 - gamma.get());
        report = report.field("manipulation_part_of_equal_groups", part(2.0 * share, kept));
        if let Some(weakest) = &audit.weakest {
            // Half of the changed reports suffice to make the other side of a direction fit better.
            report = report.field("undetectable_shift_found", part(gamma.get(), weakest.ratio));
        }
        if let Some(reports) = arguments.reports {
            let cells = matrix.groups() * matrix.cells();
            let level = vec![1.0 / matrix.cells() as f64; cells];
            let observation = Observation::from_frequencies(&matrix, level, reports as f64)?;
            report = report.field(
                "typical_noise_part",
                part(2.0 * observation.noise_bound(&matrix), kept),
            );
        }
    }
    // 3. The direction: the symbols that the design confuses.
    let rows: Vec<Vec<Value>> = audit.weakest.map_or_else(Vec::new, |weakest| {
        let mut order: Vec<usize> = (0..matrix.symbols()).collect();
        order.sort_by(|&a, &b| weakest.direction[b].total_cmp(&weakest.direction[a]));
        let name = |symbol: usize| match &labels {
            Some(labels) => json!(labels.names()[symbol]),
            None => json!(symbol),
        };
        order
            .into_iter()
            .map(|symbol| vec![name(symbol), json!(weakest.direction[symbol])])
            .collect()
    });
    report
        .table("weakest_direction", &["symbol", "change_of_mass"], rows)
        .print(json)?;
    Ok(if identifies && !overstated {
        Exit::Success
    } else {
        Exit::Negative
    })
}
