//! `robust-stats attack`: red teams for one's own pipeline.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use septet_core::seed::SeedTree;
use septet_robust_stats::Gamma;
use septet_robust_stats::attack::{
    Adversary, MaxCoupling, PlantedShift, RowTakeover, SameMessage, SignAlign, attack,
};
use septet_robust_stats::decode::DesignMatrix;
use septet_robust_stats::design::HashDesign;
use septet_robust_stats::wire::{read_design_counts, write_design_counts};
use serde_json::json;

use crate::Ending;
use crate::files::{self, Output};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The adversary
    #[arg(long, value_enum, default_value_t = Kind::SignAlign)]
    kind: Kind,
    /// The fraction of reports that it changes
    #[arg(long)]
    gamma: f64,
    /// Promote this symbol (same-message)
    #[arg(long, default_value_t = 0)]
    symbol: usize,
    /// The true distribution, for max-coupling: `uniform` or a file of `label,weight` lines
    #[arg(long, default_value = "uniform")]
    truth: String,
    /// The seed of its choices
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// The file of counts to write
    #[arg(long)]
    out: PathBuf,
    /// The counts of a hash design
    counts: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    SignAlign,
    SameMessage,
    RowTakeover,
    MaxCoupling,
}

pub(crate) fn run(arguments: &Arguments, out: &mut Output) -> anyhow::Result<Ending> {
    let at = || arguments.counts.display().to_string();
    let mut counts = read_design_counts(&files::read(&arguments.counts)?).with_context(at)?;
    let design = HashDesign::new(counts.parameters)?;
    let matrix = DesignMatrix::from_design(&design)?;
    let gamma = Gamma::new(arguments.gamma)?;
    let mut rng = SeedTree::new(arguments.seed)
        .child("robust-stats attack")
        .rng();
    let mut adversary = match arguments.kind {
        Kind::SignAlign => Adversary::Adaptive(Box::new(SignAlign::default())),
        Kind::SameMessage => {
            anyhow::ensure!(
                arguments.symbol < design.domain(),
                "--symbol: expected a number below {}, found {}",
                design.domain(),
                arguments.symbol
            );
            Adversary::Oblivious(Box::new(SameMessage {
                symbol: arguments.symbol,
            }))
        }
        Kind::RowTakeover => Adversary::Adaptive(Box::new(RowTakeover { group: 0, cell: 0 })),
        Kind::MaxCoupling => {
            let truth = files::reference(&arguments.truth, design.domain())?;
            // A little below the budget: the coupling's cost is an expectation.
            let fraction = 0.97 * gamma.get();
            let planted = PlantedShift::search(&matrix, &truth, fraction, 20, &mut rng)?;
            Adversary::Adaptive(Box::new(MaxCoupling {
                truth,
                target: planted.target,
            }))
        }
    };
    let attacked = attack(&matrix, &counts.matrix, &mut adversary, gamma, &mut rng)?;
    counts.matrix = attacked.counts;
    files::write(&arguments.out, &write_design_counts(&counts))?;
    out.print(&json!({
        "budget": attacked.budget,
        "changed": attacked.changed,
        "rejected": attacked.rejected,
    }))?;
    Ok(Ending::Done)
}
