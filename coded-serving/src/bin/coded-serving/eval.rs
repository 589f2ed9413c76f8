//! `eval`: the accuracy of reconstructed answers.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

use septet_coded_serving::Tensor;
use septet_coded_serving::backend::{LocalModel, LocalNetwork};
use septet_coded_serving::code::{Inference, Model, Slots};
use septet_core::cli::Failure;
use septet_core::seed::SeedTree;

use crate::config::{CodeConfig, CodeKind};
use crate::images::Source;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The base model
    #[arg(long)]
    base: PathBuf,
    /// The code
    #[arg(long, value_enum, default_value = "coded-invnet")]
    code: CodeKind,
    /// Queries per group; several values separated by commas
    #[arg(long, value_delimiter = ',', default_value = "10")]
    group: Vec<usize>,
    /// Redundant tasks per group
    #[arg(long, default_value_t = 1)]
    redundant: usize,
    /// The encoder: a file, `mixed` or `exact`
    #[arg(long)]
    encoder: Option<PathBuf>,
    /// The parity model or student
    #[arg(long)]
    model: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
    /// The number of test images
    #[arg(long, default_value_t = 2000)]
    count: usize,
    /// The seed of the grouping
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object per group size
    #[arg(long)]
    json: bool,
}

/// The counts for one group size.
#[derive(Default)]
struct Counts {
    /// Reconstructed answers.
    lost: u64,
    /// Those with the class of the label.
    correct: u64,
    /// Those with the class of the model's own answer.
    agreeing: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let base = LocalNetwork::read(&arguments.base)?;
    let other = match &arguments.model {
        Some(path) => Some(LocalNetwork::read(path)?),
        None => None,
    };
    let needs_model = matches!(arguments.code, CodeKind::Parm | CodeKind::Student);
    if needs_model && other.is_none() {
        let kind = arguments.code.to_possible_value();
        let name = kind.as_ref().map_or("this", |kind| kind.get_name());
        return Err(Failure::usage(format!("the code {name} needs --model")).into());
    }
    let test = arguments.source.load()?.test.first(arguments.count);
    let infer = |model: &Model, input: &Tensor| -> anyhow::Result<Tensor> {
        let network = match (model, &other) {
            (Model::Redundant(_), Some(other)) => other,
            _ => &base,
        };
        network.answer(input).map_err(anyhow::Error::msg)
    };
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "queries",
        "lost",
        "accuracy, %",
        "agreement, %",
        "multiply-adds",
        "bytes",
    ]);
    for &group in &arguments.group {
        let config = CodeConfig {
            kind: arguments.code,
            group,
            redundant: arguments.redundant,
            encoder: arguments.encoder.clone(),
        };
        // The cost of a code with a model of its own is that model's.
        let code = config.build(other.as_ref().filter(|_| needs_model).or(Some(&base)))?;
        let shape = code.shape();
        let mut counts = Counts::default();
        for chosen in test.groups(shape.queries, &SeedTree::new(arguments.seed)) {
            let query = |&index: &usize| Tensor::vector(test.image(index).to_vec());
            let queries: Vec<Tensor> = chosen.iter().map(query).collect();
            let answers: Vec<Tensor> = queries
                .iter()
                .map(|query| infer(&Model::Base, query))
                .collect::<Result<_, _>>()?;
            // The outputs of all tasks of the group, as if none were lost.
            // A systematic code sends the queries themselves; their outputs are the answers.
            let mut outputs: Vec<(usize, Tensor)> = Vec::new();
            if shape.systematic {
                outputs.extend(answers.iter().cloned().enumerate());
            }
            for task in code.encode(&queries)? {
                outputs.push((task.slot, infer(&task.model, &task.input)?));
            }
            // Lose each task once; of a systematic code only queries, as a lost parity costs no answer.
            let tasks = if shape.systematic {
                queries.len()
            } else {
                shape.tasks
            };
            for lost in 0..tasks {
                let arrived = outputs.iter().filter(|(slot, _)| *slot != lost);
                let arrived: Vec<(usize, &Tensor)> =
                    arrived.map(|(slot, output)| (*slot, output)).collect();
                let wanted = if shape.systematic {
                    Slots::EMPTY.with(lost)
                } else {
                    Slots::below(queries.len())
                };
                for decoded in code.decode(queries.len(), &arrived, wanted)? {
                    let class = decoded.output.argmax();
                    let label = chosen
                        .get(decoded.query)
                        .and_then(|&i| test.labels().get(i));
                    let own = answers.get(decoded.query).and_then(Tensor::argmax);
                    counts.lost += 1;
                    counts.correct += u64::from(class == label.copied());
                    counts.agreeing += u64::from(class == own);
                }
            }
        }
        let percentage = |count: u64| 100.0 * count as f64 / counts.lost.max(1) as f64;
        // The cost of an ONNX model is unknown.
        let cost = base.operations().map(|operations| {
            code.cost(Inference {
                operations,
                values: test.width(),
            })
        });
        if arguments.json {
            println!(
                "{}",
                serde_json::json!({
                    "code": code.name(),
                    "queries": shape.queries,
                    "lost": counts.lost,
                    "label": percentage(counts.correct) / 100.0,
                    "agreement": percentage(counts.agreeing) / 100.0,
                    "multiply_adds": cost.map(|cost| cost.operations),
                    "bytes": cost.map(|cost| cost.ingress),
                })
            );
        } else {
            let cost = |value: fn(septet_coded_serving::code::Cost) -> f64| {
                cost.map_or_else(|| "?".to_owned(), |cost| format!("{:.2}", value(cost)))
            };
            table.add_row([
                shape.queries.to_string(),
                counts.lost.to_string(),
                format!("{:.2}", percentage(counts.correct)),
                format!("{:.2}", percentage(counts.agreeing)),
                cost(|cost| cost.operations),
                cost(|cost| cost.ingress),
            ]);
        }
    }
    if !arguments.json {
        println!("{table}");
        println!(
            "cost of the redundancy of a group: multiply-adds in inferences, bytes in queries"
        );
    }
    Ok(())
}
