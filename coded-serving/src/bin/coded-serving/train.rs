//! `train`: trains networks on images.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use septet_coded_serving::backend::LocalNetwork;
use septet_coded_serving::images::Images;
use septet_coded_serving::network::{Batch, Coupling, InvertibleClassifier, Tensors};
use septet_coded_serving::train::{
    CouplingNetwork, CouplingSize, EncoderLoss, EncoderNetwork, EncoderSize, Fit, MlpNetwork,
    outputs,
};
use septet_core::cli::{Failure, named_path};
use septet_core::io::WholeFile;
use septet_core::nn::{CheckpointFile, keep_freed_memory, one_math_thread};
use septet_core::seed::SeedTree;

use crate::images::{Data, Source};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    network: Network,
    #[command(flatten)]
    source: Source,
    /// The file to write
    #[arg(
        long,
        short,
        global = true,
        default_value = "network.safetensors",
        value_parser = named_path()
    )]
    out: PathBuf,
    /// The seed; the same seed gives the same file
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// The number of steps
    #[arg(long, global = true)]
    steps: Option<u64>,
    /// Examples, or groups, per step
    #[arg(long, global = true)]
    batch_size: Option<usize>,
    /// The maximum learning rate of the schedule
    #[arg(long, global = true, default_value_t = 2e-3)]
    learning_rate: f64,
    /// Keep the state of the training in this file, and continue from it when it is there
    #[arg(long, global = true, value_name = "FILE", value_parser = named_path())]
    checkpoint: Option<PathBuf>,
    /// Steps between two writes of the checkpoint
    #[arg(
        long,
        global = true,
        value_name = "STEPS",
        default_value_t = 200,
        requires = "checkpoint"
    )]
    checkpoint_every: u64,
}

#[derive(Subcommand)]
enum Network {
    /// The invertible base model
    Inn {
        /// Hidden units per coupling block
        #[arg(long, default_value_t = 256)]
        hidden: usize,
        /// Coupling blocks
        #[arg(long, default_value_t = 4)]
        blocks: usize,
        /// Do not bound the singular values: the model is more accurate, but no encoder can be learned for it
        #[arg(long)]
        unbounded: bool,
    },
    /// An encoder for the parity queries of a base model
    Encoder {
        /// The base model
        #[arg(long)]
        base: PathBuf,
        /// Queries per group
        #[arg(long, default_value_t = 10)]
        group: usize,
        /// Features per query; 64 for a small encoder
        #[arg(long, default_value_t = 256)]
        features: usize,
        /// Hidden units after the mean; 256 for a small encoder
        #[arg(long, default_value_t = 512)]
        hidden: usize,
    },
    /// A model that answers sums of queries, for `parm`
    Parity {
        /// The base model
        #[arg(long)]
        base: PathBuf,
        /// Queries per group
        #[arg(long, default_value_t = 10)]
        group: usize,
        /// Hidden units of each of the two layers
        #[arg(long, default_value_t = 512)]
        hidden: usize,
    },
    /// A small model that imitates the base model
    Student {
        /// The base model
        #[arg(long)]
        base: PathBuf,
        /// Hidden units
        #[arg(long, default_value_t = 32)]
        hidden: usize,
    },
}

/// Reads an invertible base model.
pub(crate) fn base_model(path: &PathBuf) -> anyhow::Result<InvertibleClassifier<Coupling>> {
    let network = LocalNetwork::read(path)?;
    match network.invertible() {
        Some(base) => Ok(base.clone()),
        None => bail!("{} is not an invertible network", path.display()),
    }
}

/// The outputs of the base model for all images.
fn answers(base: &InvertibleClassifier<Coupling>, images: &Images) -> anyhow::Result<Batch> {
    Ok(outputs(images, |batch| base.forward(batch))?)
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // Without effect, training only takes longer.
    let _ = one_math_thread();
    let _ = keep_freed_memory();
    // A file that cannot be written is an error before the training, not after it.
    drop(WholeFile::create(&arguments.out).with_context(|| arguments.out.display().to_string())?);
    let begin = Instant::now();
    let data = arguments.source.load()?;
    let seed = SeedTree::new(arguments.seed);
    // Defaults per kind of network, overridden by the arguments.
    let checkpoint = match &arguments.checkpoint {
        Some(path) => {
            let file = CheckpointFile::new(path, arguments.checkpoint_every);
            Some(file.map_err(Failure::usage)?)
        }
        None => None,
    };
    let fit = |steps: u64, batch: usize| {
        let steps = arguments.steps.unwrap_or(steps);
        eprintln!("{} images, {steps} steps", data.train.len());
        let batch_size = arguments.batch_size.unwrap_or(batch);
        Fit {
            checkpoint: checkpoint.clone(),
            ..Fit::new(steps, batch_size, arguments.learning_rate)
        }
    };
    let tensors = match &arguments.network {
        Network::Inn {
            hidden,
            blocks,
            unbounded,
        } => {
            // Bounded singular values keep the encoder's task learnable, at some cost in accuracy.
            let bound = (!unbounded).then_some(1.0);
            let base = train_base(&data, *blocks, *hidden, bound, &fit(3000, 200), &seed)?;
            base.to_tensors()
        }
        Network::Encoder {
            base,
            group,
            features,
            hidden,
        } => {
            let base = base_model(base)?;
            let size = EncoderSize {
                width: data.train.width(),
                features: *features,
                hidden: *hidden,
            };
            let encoder = EncoderNetwork::new(size, &seed)?;
            let fit = fit(2000, 128);
            // Trained for decoded answers: the head discards most errors of a parity query.
            encoder.fit(&base, &data.train, *group, EncoderLoss::Task, &fit, &seed)?;
            encoder.encoder()?.to_tensors()
        }
        Network::Parity {
            base,
            group,
            hidden,
        } => {
            let base = base_model(base)?;
            let answers = answers(&base, &data.train)?;
            let widths = [data.train.width(), *hidden, *hidden, base.head().outputs()];
            let network = MlpNetwork::new(&widths, &seed)?;
            // The targets are the base model's outputs, not the labels: decoding adds and subtracts outputs.
            network.fit_parity(&data.train, &answers, *group, &fit(8000, 128), &seed)?;
            layers(&network.parity_model(*group)?)
        }
        Network::Student { base, hidden } => {
            let base = base_model(base)?;
            let answers = answers(&base, &data.train)?;
            let widths = [data.train.width(), *hidden, base.head().outputs()];
            let network = MlpNetwork::new(&widths, &seed)?;
            network.fit_student(&data.train, &answers, &fit(3000, 200), &seed)?;
            layers(&network.mlp()?)
        }
    };
    tensors
        .write(&arguments.out)
        .context("cannot write the network")?;
    println!(
        "{}: trained in {:.1} s",
        arguments.out.display(),
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The tensors of fully connected layers.
pub(crate) fn layers(network: &septet_coded_serving::network::Mlp) -> Tensors {
    let mut tensors = Tensors::default();
    network.insert_into(&mut tensors, "");
    tensors
}

/// Trains an invertible base model.
pub(crate) fn train_base(
    data: &Data,
    blocks: usize,
    hidden: usize,
    spectral_bound: Option<f64>,
    fit: &Fit,
    seed: &SeedTree,
) -> anyhow::Result<InvertibleClassifier<Coupling>> {
    let classes = data.train.labels().iter().max().map_or(0, |max| max + 1);
    let network = CouplingNetwork::new(
        CouplingSize {
            order: data.order.clone(),
            blocks,
            hidden,
            classes,
            spectral_bound,
        },
        seed,
    )?;
    network.fit(&data.train, fit, seed)?;
    Ok(network.classifier()?)
}
