//! `robust-stats decode`.

use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::ValueEnum;
use septet_core::cli::{Exit, Report, warn};
use septet_robust_stats::Gamma;
use septet_robust_stats::aggregate::{DesignCounts, FrequencyOracle};
use septet_robust_stats::decode::{Decoder, Observation, Projection};
use septet_robust_stats::design::Certificate;
use septet_robust_stats::labels::Labels;
use septet_robust_stats::wire::{Protocol, ProtocolFile, read_counts, read_design_counts};
use serde_json::{Value, json};

use crate::aggregate::with_mechanism;
use crate::{files, usage};

/// Exit code 1 if manipulation is certified at confidence 95 % (hash designs with min-l1 only).
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Protocol file
    #[arg(long)]
    protocol: PathBuf,
    /// Hash design: decoder [default: min-l1]
    #[arg(long, value_enum)]
    decoder: Option<Kind>,
    /// Projection of raw estimates. Hash design: for least-squares, linear and block-median [default:
    /// simplex]; other protocols: [default: none]
    #[arg(long, value_enum)]
    projection: Option<ProjectionArgument>,
    /// Number of blocks of block-median [default: 3]
    #[arg(long)]
    blocks: Option<usize>,
    /// Hash design: fraction of reports that may be manipulated, for the stated bound
    #[arg(long)]
    gamma: Option<f64>,
    /// Also write the estimates as CSV to this file
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Count file
    counts: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    MinL1,
    LeastSquares,
    Linear,
    MaximumLikelihood,
    LdpRecover,
    BlockMedian,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProjectionArgument {
    None,
    Simplex,
    ClipAndNormalize,
    NormSub,
    BaseCut,
    SubtractMinimum,
}

impl ProjectionArgument {
    fn projection(self) -> Projection {
        match self {
            Self::None => Projection::None,
            Self::Simplex => Projection::Simplex,
            Self::ClipAndNormalize => Projection::ClipAndNormalize,
            Self::NormSub => Projection::NormSub,
            Self::BaseCut => Projection::BaseCut,
            Self::SubtractMinimum => Projection::SubtractMinimum,
        }
    }
}

const COLUMNS: [&str; 3] = ["symbol", "mass", "standard_error"];

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Exit> {
    let gamma = Gamma::new(arguments.gamma.unwrap_or(0.0))?;
    // The protocol determines how to parse the counts and which decoders apply.
    let ProtocolFile {
        protocol,
        certificate,
        labels,
    } = files::protocol_file(&arguments.protocol)?;
    let bytes = files::read(&arguments.counts)?;
    let at = || arguments.counts.display().to_string();
    with_mechanism!(
        protocol,
        mechanism => {
            // A frequency oracle: unbiased estimates with the standard errors of its variance formula.
            only_for_designs(arguments)?;
            let aggregate = read_counts(mechanism, &bytes).map_err(files::damaged(&arguments.counts))?;
            let reports = aggregate.reports();
            ensure!(reports > 0, "{}: no reports to decode", at());
            let mut estimates = aggregate.estimates();
            if arguments.projection == Some(ProjectionArgument::BaseCut) {
                usage!("--projection: base-cut applies to hash designs only");
            }
            let masses: Vec<f64> = estimates.iter().map(|x| x.clamp(0.0, 1.0)).collect();
            let deviation = |symbol| {
                aggregate.mechanism().variance(&masses, symbol, reports).sqrt()
            };
            let errors: Vec<f64> = (0..masses.len()).map(deviation).collect();
            if let Some(projection) = arguments.projection {
                projection.projection().apply(&mut estimates, 0.0);
            }
            let rows = rows(labels.as_ref(), &estimates, &errors);
            write_csv(arguments, &rows)?;
            let report = Report::default()
                .field("reports", reports)
                .field("rejected", aggregate.rejected().total());
            report.table("estimates", &COLUMNS, rows).print(json)?;
            Ok(Exit::Success)
        },
        design => {
            let counts = read_design_counts(&bytes).map_err(files::damaged(&arguments.counts))?;
            if counts.parameters != design {
                bail!("{}: counts of another design", at());
            }
            ensure!(
                counts.matrix.reports() > 0,
                "{}: no reports to decode",
                at()
            );
            decode(arguments, &counts, certificate, labels.as_ref(), gamma, json)
        }
    )
}

/// Rejects arguments without effect on the protocol.
fn only_for_designs(arguments: &Arguments) -> anyhow::Result<()> {
    let given = [
        ("--decoder", arguments.decoder.is_some()),
        ("--blocks", arguments.blocks.is_some()),
        ("--gamma", arguments.gamma.is_some()),
    ];
    for (name, given) in given {
        if given {
            usage!("{name}: applies to hash designs only");
        }
    }
    Ok(())
}

fn decoder(arguments: &Arguments) -> anyhow::Result<Decoder> {
    let kind = arguments.decoder.unwrap_or(Kind::MinL1);
    let projects = matches!(kind, Kind::LeastSquares | Kind::Linear | Kind::BlockMedian);
    if !(projects || arguments.projection.is_none()) {
        usage!("--projection: applies to the decoders least-squares, linear and block-median only");
    }
    if !(kind == Kind::BlockMedian || arguments.blocks.is_none()) {
        usage!("--blocks: applies to the decoder block-median only");
    }
    let projection = arguments.projection.unwrap_or(ProjectionArgument::Simplex);
    let projection = projection.projection();
    Ok(match kind {
        Kind::MinL1 => Decoder::default(),
        Kind::LeastSquares => Decoder::LeastSquares(projection),
        Kind::Linear => Decoder::Linear(projection),
        Kind::MaximumLikelihood => Decoder::MaximumLikelihood {
            max_iterations: 2_000,
            tolerance: 1e-6,
        },
        Kind::LdpRecover => Decoder::LdpRecover { ratio: 0.2 },
        Kind::BlockMedian => Decoder::BlockMedian {
            blocks: arguments.blocks.unwrap_or(3),
            projection,
        },
    })
}

fn decode(
    arguments: &Arguments,
    counts: &DesignCounts,
    certificate: Option<Certificate>,
    labels: Option<&Labels>,
    gamma: Gamma,
    json: bool,
) -> anyhow::Result<Exit> {
    // 1. Decode.
    let decoder = decoder(arguments)?;
    let matrix = files::matrix(counts.parameters, certificate)?;
    let observation = Observation::from_counts(&matrix, &counts.matrix)?;
    let estimate = decoder.decode(&matrix, &observation, gamma)?;
    let manipulated = estimate.gamma_lower_bound > 0.0;
    // 2. State the certificate first: it qualifies the estimate.
    let mut report = Report::default();
    if manipulated {
        report = report.sentence(format!(
            "manipulated: at least {:.2} % of the reports (95 % confidence)",
            100.0 * estimate.gamma_lower_bound
        ));
    }
    if arguments
        .gamma
        .is_some_and(|gamma| gamma < estimate.gamma_lower_bound)
    {
        warn(
            "the certified fraction of manipulated reports exceeds --gamma: the stated bound does not hold",
        );
    }
    if !estimate.convergence.converged {
        warn("the decoder did not converge: see the gap");
    }
    // A bound requires an assumed fraction.
    let bound = arguments.gamma.and(estimate.manipulation_bound);
    if estimate
        .standard_errors
        .iter()
        .any(|error| error.is_infinite())
    {
        warn(
            "the groups with reports do not identify the distribution: the estimate is one of many",
        );
    }
    let report = report
        .field("reports", counts.matrix.reports())
        .field("rejected", counts.rejected.total())
        .field("manipulated", manipulated)
        .field("gamma_lower_bound", estimate.gamma_lower_bound)
        .field("manipulation_bound", bound.map(|bound| bound.total()))
        .field("manipulation_part", bound.map(|bound| bound.manipulation))
        .field("noise_part", bound.map(|bound| bound.noise))
        .field("error_bound", arguments.gamma.and(estimate.error_bound))
        .field("residual", estimate.residual)
        .field("converged", estimate.convergence.converged)
        .field("iterations", estimate.convergence.iterations)
        .field("gap", estimate.convergence.gap);
    let rows = rows(labels, &estimate.masses, &estimate.standard_errors);
    write_csv(arguments, &rows)?;
    report.table("estimates", &COLUMNS, rows).print(json)?;
    Ok(if manipulated {
        Exit::Negative
    } else {
        Exit::Success
    })
}

/// One row for each symbol, with its label if it has one.
fn rows(labels: Option<&Labels>, masses: &[f64], errors: &[f64]) -> Vec<Vec<Value>> {
    let name = |symbol: usize| labels.map_or_else(|| json!(symbol), |l| json!(l.names()[symbol]));
    let pairs = masses.iter().zip(errors).enumerate();
    pairs
        .map(|(symbol, (mass, error))| vec![name(symbol), json!(mass), json!(error)])
        .collect()
}

/// Writes the table of estimates as comma-separated values, if asked for. An infinite error is `inf`.
fn write_csv(arguments: &Arguments, rows: &[Vec<Value>]) -> anyhow::Result<()> {
    let Some(path) = &arguments.csv else {
        return Ok(());
    };
    let mut text = COLUMNS.join(",") + "\n";
    for row in rows {
        let cells: Vec<String> = row.iter().map(csv_cell).collect();
        text += &cells.join(",");
        text += "\n";
    }
    files::write(path, text.as_bytes())
}

/// A number, or a text in quotes where it contains a comma or a quote (RFC 4180).
fn csv_cell(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains([',', '"']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Value::String(text) => text.clone(),
        // JSON has no infinity.
        Value::Null => "inf".to_owned(),
        other => other.to_string(),
    }
}
