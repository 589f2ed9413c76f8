//! `sketch plan`

use std::path::PathBuf;

use anyhow::Result;
use septet_sketch::AnyKey;
use septet_sketch::oracle::Oracle;
use septet_sketch::theory::{Budget, CoverageCurve, plan};

use crate::input::Input;
use crate::model::Model;
use crate::output::{Row, print};
use crate::size;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A stream like the one to come, such as that of yesterday.
    #[command(flatten)]
    input: Input,
    /// The memory to divide.
    #[arg(long, short, default_value = "1MiB", value_parser = size::parse)]
    bytes: usize,
    /// The oracle; without one, a perfect oracle shows what is possible.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Leave the bytes of the model out of --bytes, as the papers do.
    #[arg(long, requires = "model")]
    free_model: bool,
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
    let mut budget = Budget::new(arguments.bytes);
    budget.max_depth = arguments.max_depth;
    let blind = plan(&budget, &CoverageCurve::in_order(Vec::new()));
    // A budget that pays for nothing is refused before anything else is said.
    blind?;
    let (curve, oracle) = match &arguments.model {
        None => (CoverageCurve::ideal(&counts), "perfect".to_owned()),
        Some(path) => {
            let model = Model::load(path)?;
            let references: Vec<&AnyKey> = keys.iter().collect();
            let mut scores = vec![0.0; keys.len()];
            model.score(&references, &mut scores);
            if !arguments.free_model {
                budget.reserved = model.model_bytes();
            }
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let ranked = CoverageCurve::ranked(&counts, &scores);
            (ranked, path.display().to_string())
        }
    };
    let best = plan(&budget, &curve)?;
    let coverage = curve.coverage(best.explicit_slots);
    let table = best.explicit_slots * budget.slot_bytes;
    let rest = arguments.bytes.saturating_sub(budget.reserved);
    let rows = [
        Row::new("keys", keys.len()),
        Row::new("occurrences", curve.total()),
        Row::new("oracle", oracle),
        Row::new("model bytes", budget.reserved).shown(size::shown(budget.reserved)),
        Row::new("explicit slots", best.explicit_slots).shown(format!(
            "{} ({})",
            best.explicit_slots,
            size::shown(table)
        )),
        Row::new("explicit share", table as f64 / rest.max(1) as f64)
            .shown(format!("{:.3}", table as f64 / rest.max(1) as f64)),
        Row::new("depth", best.depth),
        Row::new("width", best.width),
        Row::new("coverage", coverage).shown(format!("{:.2} % of the stream", 100.0 * coverage)),
        Row::new("predicted error", best.predicted_aafe).shown(format!(
            "{:.4}, average absolute frequency error with plain update",
            best.predicted_aafe
        )),
    ];
    print(arguments.json, &rows)
}
