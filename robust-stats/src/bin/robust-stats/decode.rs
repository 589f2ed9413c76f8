//! `robust-stats decode`: from counts to an estimate.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::ValueEnum;
use septet_robust_stats::Gamma;
use septet_robust_stats::aggregate::FrequencyOracle;
use septet_robust_stats::decode::{Decoder, DesignMatrix, Observation, Projection};
use septet_robust_stats::design::HashDesign;
use septet_robust_stats::wire::{Protocol, read_counts, read_design_counts};
use serde_json::{Value, json};

use crate::Ending;
use crate::aggregate::with_mechanism;
use crate::files::{self, Output};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The protocol
    #[arg(long)]
    protocol: PathBuf,
    /// Hash design: how to decode
    #[arg(long, value_enum, default_value_t = Kind::MinL1)]
    decoder: Kind,
    /// The fraction of reports that may be manipulated: it sets the stated bound
    #[arg(long, default_value_t = 0.0)]
    gamma: f64,
    /// The counts
    counts: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    MinL1,
    LeastSquares,
    Linear,
    MaximumLikelihood,
    LdpRecover,
}

pub(crate) fn run(arguments: &Arguments, out: &mut Output) -> anyhow::Result<Ending> {
    let protocol = files::protocol(&arguments.protocol)?;
    let bytes = files::read(&arguments.counts)?;
    let at = || arguments.counts.display().to_string();
    with_mechanism!(
        protocol,
        mechanism => {
            let aggregate = read_counts(mechanism, &bytes).with_context(at)?;
            let estimates = aggregate.estimates();
            let masses: Vec<f64> = estimates.iter().map(|x| x.clamp(0.0, 1.0)).collect();
            let reports = aggregate.reports();
            let estimate = |(symbol, mass): (usize, f64)| {
                let variance = aggregate.mechanism().variance(&masses, symbol, reports);
                row(symbol, mass, variance.sqrt())
            };
            let rows: Vec<Value> = estimates.into_iter().enumerate().map(estimate).collect();
            out.print(&json!({ "reports": reports, "estimates": rows }))?;
            Ok(Ending::Done)
        },
        design => {
            let counts = read_design_counts(&bytes).with_context(at)?;
            if counts.parameters != design {
                bail!("{}: counts of another design", at());
            }
            let design = HashDesign::new(design)?;
            let matrix = DesignMatrix::from_design(&design)?;
            let observation = Observation::from_counts(&matrix, &counts.matrix)?;
            let decoder = match arguments.decoder {
                Kind::MinL1 => Decoder::default(),
                Kind::LeastSquares => Decoder::LeastSquares(Projection::Simplex),
                Kind::Linear => Decoder::Linear(Projection::Simplex),
                Kind::MaximumLikelihood => Decoder::MaximumLikelihood {
                    iterations: 2_000,
                    tolerance: 1e-6,
                },
                Kind::LdpRecover => Decoder::LdpRecover { ratio: 0.2 },
            };
            let estimate =
                decoder.decode(&matrix, &observation, Gamma::new(arguments.gamma)?)?;
            let errors = estimate.masses.iter().zip(&estimate.standard_errors);
            let rows: Vec<Value> = errors
                .enumerate()
                .map(|(symbol, (mass, error))| row(symbol, *mass, *error))
                .collect();
            out.print(&json!({
                "reports": counts.matrix.reports(),
                "rejected": counts.rejected.total(),
                "manipulation_bound": estimate.manipulation_bound,
                "residual": estimate.residual,
                "gamma_lower": estimate.gamma_lower,
                "converged": estimate.convergence.converged,
                "estimates": rows,
            }))?;
            Ok(if estimate.gamma_lower > 0.0 {
                Ending::Manipulated
            } else {
                Ending::Done
            })
        }
    )
}

fn row(symbol: usize, mass: f64, error: f64) -> Value {
    json!({ "symbol": symbol, "mass": mass, "standard_error": error })
}
