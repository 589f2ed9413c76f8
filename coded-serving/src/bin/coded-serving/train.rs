//! `train`: networks from images.

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
use septet_core::nn::one_math_thread;
use septet_core::seed::SeedTree;

use crate::images::{Data, Source};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    source: Source,
    /// The file to write
    #[arg(long, short, global = true, default_value = "network.safetensors")]
    out: PathBuf,
    /// The same seed gives the same bits
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// How many steps
    #[arg(long, global = true)]
    steps: Option<u64>,
    /// Examples, or groups, of a step
    #[arg(long, global = true)]
    batch: Option<usize>,
    /// The highest learning rate
    #[arg(long, global = true, default_value_t = 2e-3)]
    rate: f64,
}

#[derive(Subcommand)]
enum What {
    /// The invertible base model
    Inn {
        /// Hidden units of each coupling
        #[arg(long, default_value_t = 256)]
        hidden: usize,
        /// Couplings
        #[arg(long, default_value_t = 4)]
        blocks: usize,
        /// Let layers stretch as they like: better answers, and no encoder can be learned
        #[arg(long)]
        unbounded: bool,
    },
    /// An encoder that makes parity queries for a base model
    Encoder {
        /// The base model
        #[arg(long)]
        base: PathBuf,
        /// Queries of a group
        #[arg(long, default_value_t = 10)]
        group: usize,
        /// Features of a query; 64 for a frugal encoder
        #[arg(long, default_value_t = 256)]
        features: usize,
        /// Hidden units behind the sum; 256 for a frugal encoder
        #[arg(long, default_value_t = 512)]
        hidden: usize,
    },
    /// A model that answers sums of queries, for `parm`
    Parity {
        /// The base model
        #[arg(long)]
        base: PathBuf,
        /// Queries of a group
        #[arg(long, default_value_t = 10)]
        group: usize,
        /// Hidden units of each of two layers
        #[arg(long, default_value_t = 512)]
        hidden: usize,
    },
    /// A small model that answers as the base model does
    Student {
        /// The base model
        #[arg(long)]
        base: PathBuf,
        /// Hidden units
        #[arg(long, default_value_t = 32)]
        hidden: usize,
    },
}

/// The invertible base model in a file.
pub(crate) fn base_model(path: &PathBuf) -> anyhow::Result<InvertibleClassifier<Coupling>> {
    let network = LocalNetwork::read(path)?;
    match network.invertible() {
        Some(base) => Ok(base.clone()),
        None => bail!("{} is no invertible network", path.display()),
    }
}

/// What the base model answers to all images.
fn answers(base: &InvertibleClassifier<Coupling>, images: &Images) -> anyhow::Result<Batch> {
    Ok(outputs(images, |batch| base.forward(batch))?)
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let _ = one_math_thread();
    let begin = Instant::now();
    let data = arguments.source.load()?;
    let seed = SeedTree::new(arguments.seed);
    let fit = |steps: u64, batch: usize| {
        let steps = arguments.steps.unwrap_or(steps);
        eprintln!("{} images, {steps} steps", data.train.len());
        Fit::new(steps, arguments.batch.unwrap_or(batch), arguments.rate)
    };
    let tensors = match &arguments.what {
        What::Inn {
            hidden,
            blocks,
            unbounded,
        } => {
            let bound = (!unbounded).then_some(1.0);
            let base = train_base(&data, *blocks, *hidden, bound, &fit(3000, 200), &seed)?;
            base.to_tensors()
        }
        What::Encoder {
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
            encoder.fit(&base, &data.train, *group, EncoderLoss::Task, &fit, &seed)?;
            encoder.encoder()?.to_tensors()
        }
        What::Parity {
            base,
            group,
            hidden,
        } => {
            let base = base_model(base)?;
            let answers = answers(&base, &data.train)?;
            let widths = [data.train.width(), *hidden, *hidden, base.head().outputs()];
            let network = MlpNetwork::new(&widths, &seed)?;
            network.fit_parity(&data.train, &answers, *group, &fit(8000, 128), &seed)?;
            layers(&network.parity_model(*group)?)
        }
        What::Student { base, hidden } => {
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
        .context("the network cannot be saved")?;
    println!(
        "{}: trained in {:.1} s",
        arguments.out.display(),
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

pub(crate) fn layers(network: &septet_coded_serving::network::Mlp) -> Tensors {
    let mut tensors = Tensors::default();
    network.insert_into(&mut tensors, "");
    tensors
}

pub(crate) fn train_base(
    data: &Data,
    blocks: usize,
    hidden: usize,
    spectral_bound: Option<f64>,
    fit: &Fit,
    seed: &SeedTree,
) -> anyhow::Result<InvertibleClassifier<Coupling>> {
    let classes = data.train.labels().iter().max().map_or(0, |most| most + 1);
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
