//! `sketch train`

use std::path::PathBuf;

use septet_core::cli::named_path;
use septet_sketch::stream::StreamFormat;

use crate::input::{self, Input};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The training stream.
    #[command(flatten)]
    input: Input,
    /// The file of the model (safetensors).
    #[arg(long, short, value_parser = named_path())]
    output: PathBuf,
    /// The network: linear is the fastest, mlp ranks better.
    #[arg(long, value_enum, default_value_t = Network::Mlp)]
    network: Network,
    /// The loss: batchrank:K, poisson, tweedie:P, log-mse, l1.
    #[arg(long, default_value = "batchrank:8")]
    loss: String,
    /// The sampling of examples: uniform, or count:ALPHA, in proportion to count^ALPHA.
    #[arg(long, default_value = "uniform")]
    sampler: String,
    /// The number of training steps.
    #[arg(long, default_value_t = 2000)]
    steps: u64,
    /// Examples in a batch.
    #[arg(long, default_value_t = 1024)]
    batch_size: usize,
    /// The learning rate of Adam.
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// Keep the state of the training in this file, and continue from it when it is there.
    #[arg(long, value_name = "FILE", value_parser = named_path())]
    checkpoint: Option<PathBuf>,
    /// Steps between two writes of the checkpoint.
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 200,
        requires = "checkpoint"
    )]
    checkpoint_every: u64,
    /// Rows of each feature's table.
    #[arg(long, default_value_t = 1024)]
    rows: usize,
    /// The seed of the random numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A validation stream, on which the coverage is measured.
    #[arg(long, value_name = "STREAM")]
    validation: Option<PathBuf>,
    /// The format of the validation stream [default: that of the stream]
    #[arg(long, value_name = "FORMAT", value_parser = input::parse_format)]
    validation_format: Option<StreamFormat>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Network {
    Linear,
    Mlp,
}

#[cfg(not(feature = "train"))]
pub(crate) fn run(_arguments: &Arguments) -> anyhow::Result<()> {
    Err(septet_sketch::SketchError::NeedsFeature {
        what: "training".to_owned(),
        feature: "train",
    }
    .into())
}

#[cfg(feature = "train")]
pub(crate) use training::run;

#[cfg(feature = "train")]
mod training {
    use anyhow::{Context as _, Result, bail};
    use septet_core::cli::{Failure, Report};
    use septet_core::io::WholeFile;
    use septet_core::nn::CheckpointFile;
    use septet_core::seed::SeedTree;
    use septet_core::telemetry::Progress;
    use septet_sketch::metrics::coverage_at;
    use septet_sketch::oracle::{BlockFeatures, Features, FlowFeatures, Oracle, TextFeatures};
    use septet_sketch::train::{
        EmbedMlpNetwork, EmbedMlpSize, LinearNetwork, Loss, Sampler, Trainer,
    };
    use septet_sketch::{AnyKey, KeyType};

    use super::{Arguments, Network};
    use crate::input::Input;
    use crate::model::Model;

    /// The fractions of the keys for which the coverage is printed.
    const SHARES: [f64; 5] = [0.01, 0.05, 0.10, 0.12, 0.20];

    pub(crate) fn run(arguments: &Arguments) -> Result<()> {
        let loss = parse_loss(&arguments.loss)?;
        let sampler = parse_sampler(&arguments.sampler)?;
        // A file that cannot be written is an error before the training, not after it.
        let writable = WholeFile::create(&arguments.output);
        drop(writable.with_context(|| arguments.output.display().to_string())?);
        // The examples are the distinct keys with their exact counts, all of one type.
        let counted = arguments.input.counts("counting")?;
        let Some(key_type) = counted.first().map(|(key, _)| key.key_type()) else {
            bail!("the training stream is empty");
        };
        if let Some((other, _)) = counted.iter().find(|(key, _)| key.key_type() != key_type) {
            bail!(
                "a model scores keys of one type, and the stream holds {key_type} and {}",
                other.key_type()
            );
        }
        let distinct = counted.len();
        let mut trainer = Trainer::new(loss, &SeedTree::new(arguments.seed).child("training"))
            .sampler(sampler)
            .learning_rate(arguments.learning_rate)
            .steps(arguments.steps);
        if let Some(path) = &arguments.checkpoint {
            let file = CheckpointFile::new(path, arguments.checkpoint_every);
            trainer = trainer.checkpoint(file.map_err(Failure::usage)?);
        }
        // Each key type has its own features.
        let (last, example_count) = match key_type {
            KeyType::Flow => {
                let examples = examples(counted, |key| match key {
                    AnyKey::Flow(flow) => Some(flow),
                    _ => None,
                });
                fit(arguments, trainer, FlowFeatures::default(), &examples)
            }
            KeyType::Integer => {
                let examples = examples(counted, |key| match key {
                    AnyKey::Integer(integer) => Some(integer),
                    _ => None,
                });
                fit(arguments, trainer, BlockFeatures::default(), &examples)
            }
            _ => {
                // Keys that are not UTF-8 are not scored either.
                let examples = examples(counted, |key| match key {
                    AnyKey::Bytes(bytes) => String::from_utf8(bytes).ok(),
                    _ => None,
                });
                fit(arguments, trainer, TextFeatures::default(), &examples)
            }
        }?;
        // Read the file back: the report is about what was saved.
        let model = Model::load(&arguments.output)?;
        let mut report = Report::default()
            .field("keys", distinct)
            .field("examples", example_count)
            .field("steps", arguments.steps)
            .field_as("last_loss", last, format!("{last:.4}"))
            .field("model_bytes", model.model_bytes())
            .field("file", arguments.output.display().to_string());
        if let Some(path) = &arguments.validation {
            let format = arguments.validation_format.as_ref();
            let validation = Input {
                streams: vec![path.clone()],
                format: format.or(arguments.input.format.as_ref()).cloned(),
            };
            let counted = validation.counts("validating")?;
            let keys: Vec<&AnyKey> = counted.iter().map(|(key, _)| key).collect();
            let counts: Vec<u64> = counted.iter().map(|(_, count)| *count).collect();
            let mut scores = vec![0.0; keys.len()];
            model.score(&keys, &mut scores);
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let ideal: Vec<f64> = counts.iter().map(|&count| count as f64).collect();
            let names = [
                "coverage_at_1_%",
                "coverage_at_5_%",
                "coverage_at_10_%",
                "coverage_at_12_%",
                "coverage_at_20_%",
            ];
            // The coverage beside that of a perfect oracle.
            let reached = coverage_at(&counts, &scores, &SHARES);
            let possible = coverage_at(&counts, &ideal, &SHARES);
            for ((name, reached), possible) in names.into_iter().zip(reached).zip(possible) {
                let shown = format!("{reached:.3} of at most {possible:.3}");
                report = report.field_as(name, reached, shown);
            }
        }
        Ok(report.print(arguments.json)?)
    }

    /// The keys of the trained type with their counts.
    fn examples<K>(
        counted: Vec<(AnyKey, u64)>,
        of_type: impl Fn(AnyKey) -> Option<K>,
    ) -> (Vec<K>, Vec<u64>) {
        let typed = |(key, count)| Some((of_type(key)?, count));
        counted.into_iter().filter_map(typed).unzip()
    }

    /// Trains and saves a model; returns the last loss and the number of examples.
    fn fit<K, F>(
        arguments: &Arguments,
        trainer: Trainer,
        features: F,
        (keys, counts): &(Vec<K>, Vec<u64>),
    ) -> Result<(f64, usize)>
    where
        F: Features<K> + Clone,
    {
        if keys.is_empty() {
            bail!("the training stream has no key that is UTF-8 text");
        }
        // A small stream is one batch.
        let trainer = trainer.batch_size(arguments.batch_size.min(keys.len()));
        let bar = Progress::new("training", usize::try_from(arguments.steps)?);
        let mut last = f64::NAN;
        let progress = |progress: septet_sketch::train::Progress| {
            last = progress.loss;
            bar.set_position(progress.step);
            bar.set_message(format!("loss {last:.4}"));
        };
        let seed = SeedTree::new(arguments.seed).child("network");
        match arguments.network {
            Network::Linear => {
                let network = LinearNetwork::new::<K>(features, arguments.rows, &seed)?;
                trainer.fit(&network, keys, counts, progress)?;
                network.oracle::<K>()?.save::<K>(&arguments.output)?;
            }
            Network::Mlp => {
                let size = EmbedMlpSize {
                    rows: arguments.rows,
                    ..EmbedMlpSize::default()
                };
                let network = EmbedMlpNetwork::new::<K>(features, size, &seed)?;
                trainer.fit(&network, keys, counts, progress)?;
                network.oracle::<K>()?.save::<K>(&arguments.output)?;
            }
        }
        drop(bar);
        Ok((last, keys.len()))
    }

    fn parse_loss(text: &str) -> Result<Loss> {
        let (name, number) = match text.split_once(':') {
            None => (text, None),
            Some((name, number)) => (name, Some(number)),
        };
        let parsed = match (name, number) {
            ("log-mse", None) => Some(Loss::LogMse),
            ("l1", None) => Some(Loss::L1),
            ("poisson", None) => Some(Loss::Poisson),
            ("batchrank", Some(group)) => group
                .parse()
                .ok()
                .filter(|group| *group > 0)
                .map(|group| Loss::BatchRank { group }),
            ("tweedie", Some(power)) => power
                .parse()
                .ok()
                .filter(|power| 1.0 < *power && *power < 2.0)
                .map(|power| Loss::Tweedie { power }),
            _ => None,
        };
        parsed.ok_or_else(|| {
            let known = "batchrank:K (from 1), poisson, tweedie:P (1 < P < 2), log-mse, l1";
            Failure::usage(format!("unknown loss {text:?}; known: {known}")).into()
        })
    }

    fn parse_sampler(text: &str) -> Result<Sampler> {
        if text == "uniform" {
            return Ok(Sampler::Uniform);
        }
        let alpha = text
            .strip_prefix("count:")
            .and_then(|alpha| alpha.parse().ok());
        match alpha {
            Some(alpha) if f64::is_finite(alpha) => Ok(Sampler::ByCount { alpha }),
            _ => Err(Failure::usage(format!(
                "unknown sampler {text:?}; known: uniform, count:ALPHA"
            ))
            .into()),
        }
    }
}
