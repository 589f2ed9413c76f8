//! `sketch plan`

use std::path::PathBuf;

use anyhow::Result;
use septet_core::cli::Report;
use septet_core::io::ByteSize;
use septet_sketch::AnyKey;
use septet_sketch::oracle::Oracle;
use septet_sketch::theory::{Budget, CoverageCurve, plan};

use crate::input::Input;
use crate::model::Model;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A stream similar to the expected one, such as that of yesterday.
    #[command(flatten)]
    input: Input,
    /// The memory budget.
    #[arg(long, short, default_value = "1MiB")]
    bytes: ByteSize,
    /// The model of the oracle [default: a perfect oracle, as an upper bound]
    #[arg(long)]
    model: Option<PathBuf>,
    /// Exclude the model from --bytes, as the papers do.
    #[arg(long, requires = "model")]
    exclude_model: bool,
    /// The largest depth to consider.
    #[arg(long, default_value_t = 4)]
    max_depth: usize,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (keys, counts): (Vec<AnyKey>, Vec<u64>) =
        arguments.input.counts("counting")?.into_iter().unzip();
    let bytes = usize::try_from(arguments.bytes.0).unwrap_or(usize::MAX);
    let mut budget = Budget::new(bytes);
    budget.max_depth = arguments.max_depth;
    // Refuse a budget that is too small before the model is read.
    plan(&budget, &CoverageCurve::in_order(Vec::new()))?;
    // The curve of the model's ranking, or that of the true counts.
    let (curve, oracle) = match &arguments.model {
        None => (CoverageCurve::ideal(&counts), "perfect".to_owned()),
        Some(path) => {
            let model = Model::load(path)?;
            let references: Vec<&AnyKey> = keys.iter().collect();
            let mut scores = vec![0.0; keys.len()];
            model.score(&references, &mut scores);
            if !arguments.exclude_model {
                budget.reserved = model.model_bytes();
            }
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let ranked = CoverageCurve::ranked(&counts, &scores);
            (ranked, path.display().to_string())
        }
    };
    // The fraction refers to the budget without the model, as `build --explicit-fraction` does.
    let best = plan(&budget, &curve)?;
    let coverage = curve.coverage(best.explicit_slots);
    let table = best.explicit_slots * budget.slot_bytes;
    let rest = bytes.saturating_sub(budget.reserved);
    let report = Report::default()
        .field("keys", keys.len())
        .field("occurrences", curve.total())
        .field("oracle", oracle)
        .field_as(
            "model_bytes",
            budget.reserved,
            ByteSize(budget.reserved as u64).to_string(),
        )
        .field_as(
            "explicit_slots",
            best.explicit_slots,
            format!("{} ({})", best.explicit_slots, ByteSize(table as u64)),
        )
        .field_as(
            "explicit_fraction",
            table as f64 / rest.max(1) as f64,
            format!("{:.3}", table as f64 / rest.max(1) as f64),
        )
        .field("depth", best.depth)
        .field("width", best.width)
        .field_as(
            "coverage",
            coverage,
            format!("{:.2} % of the stream", 100.0 * coverage),
        )
        .field_as(
            "predicted_error",
            best.predicted_aafe,
            format!(
                "{:.4}, average absolute frequency error with plain update",
                best.predicted_aafe
            ),
        );
    Ok(report.print(arguments.json)?)
}
