//! `robust-stats protocol`: specifies a mechanism and its parameters.

use std::path::PathBuf;

use clap::ValueEnum;
use rand_chacha::rand_core::RngCore;
use septet_core::cli::{Exit, Failure, Report};
use septet_core::io::hex;
use septet_robust_stats::Epsilon;
use septet_robust_stats::design::DesignParameters;
use septet_robust_stats::mechanism::*;
use septet_robust_stats::wire::{Protocol, ProtocolFile};

use crate::{files, usage};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Mechanism
    #[arg(long, value_enum, default_value_t = Kind::HashDesign)]
    mechanism: Kind,
    /// Number of symbols [default: the number of labels]
    #[arg(long, required_unless_present = "labels")]
    domain: Option<usize>,
    /// File with the names of the symbols, one per line
    #[arg(long)]
    labels: Option<PathBuf>,
    /// Privacy parameter; optional for a hash design
    #[arg(long)]
    epsilon: Option<f64>,
    /// Hash design: cells per partition
    #[arg(long, default_value_t = 4)]
    cells: usize,
    /// Hash design: number of partitions [default: four times domain / cells]
    #[arg(long)]
    groups: Option<usize>,
    /// Hash design: draw until this fraction of distances is provably kept, such as the `kept` of a plan
    /// [default: the best of up to eight draws]
    #[arg(long)]
    kept: Option<f64>,
    /// Hash design: epoch
    #[arg(long, default_value_t = 0)]
    epoch: u32,
    /// Hash design: public seed, 64 hexadecimal digits, from which several designs are drawn; the
    /// file stores the seed of the best [default: random]
    #[arg(long)]
    seed: Option<String>,
    /// Local hashing: number of hash functions [default: 2^64]
    #[arg(long)]
    family: Option<u32>,
    /// Sketches: number of rows
    #[arg(long, default_value_t = 16)]
    rows: usize,
    /// Sketches: buckets per row
    #[arg(long, default_value_t = 256)]
    width: usize,
    /// Sketches: public seed of the hash functions, which decide which symbols collide [default: random]
    #[arg(long)]
    hash_seed: Option<u64>,
    /// Output file; - is standard output
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    HashDesign,
    RandomizedResponse,
    SymmetricUnaryEncoding,
    OptimizedUnaryEncoding,
    SubsetSelection,
    LocalHashing,
    HadamardResponse,
    CountMeanSketch,
    HadamardCountMeanSketch,
}

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Exit> {
    let labels = arguments.labels.as_deref().map(files::labels).transpose()?;
    let named = labels.as_ref().map_or(0, |labels| labels.names().len());
    let domain = arguments.domain.unwrap_or(named);
    let epsilon = arguments.epsilon.map(Epsilon::new).transpose()?;
    let needed = || epsilon.ok_or_else(|| Failure::usage("--epsilon: required by this mechanism"));
    let shape = || {
        let random = || Ok(client_generator()?.next_u64());
        let seed = arguments.hash_seed.map_or_else(random, Ok)?;
        SketchShape::new(domain, arguments.rows, arguments.width, seed)
    };
    refuse_parameters_of_others(arguments)?;
    let mut certificate = None;
    let protocol: Protocol = match arguments.mechanism {
        Kind::HashDesign => {
            let design = design(arguments, domain, epsilon)?;
            let drawn = match arguments.kept {
                Some(kept) => design.drawn_with(kept)?,
                None => design.drawn()?,
            };
            certificate = drawn.certificate;
            drawn.parameters.into()
        }
        Kind::RandomizedResponse => RandomizedResponse::new(domain, needed()?)?.into(),
        Kind::SymmetricUnaryEncoding => UnaryEncoding::symmetric(domain, needed()?)?.into(),
        Kind::OptimizedUnaryEncoding => UnaryEncoding::optimized(domain, needed()?)?.into(),
        Kind::SubsetSelection => SubsetSelection::new(domain, needed()?)?.into(),
        Kind::LocalHashing => {
            let hashing = LocalHashing::new(domain, needed()?)?;
            match arguments.family {
                Some(family) => hashing.with_family(family)?.into(),
                None => hashing.into(),
            }
        }
        Kind::HadamardResponse => HadamardResponse::new(domain, needed()?)?.into(),
        Kind::CountMeanSketch => CountMeanSketch::new(shape()?, needed()?)?.into(),
        Kind::HadamardCountMeanSketch => HadamardCountMeanSketch::new(shape()?, needed()?)?.into(),
    };
    // Refuse protocols that no server could aggregate before writing the file.
    files::check_size(protocol).map_err(Failure::usage)?;
    let file = ProtocolFile {
        protocol,
        certificate,
        labels,
    };
    files::write(&arguments.out, &file.to_bytes()?)?;
    files::warn_of_large_epsilon(epsilon);
    let tag = hex::encode(&protocol.tag().0);
    let name = arguments.mechanism.to_possible_value();
    let mut report = Report::default()
        .field("protocol", name.map(|value| value.get_name().to_owned()))
        .field("tag", tag);
    if let Protocol::Design(design) = protocol {
        report = report
            .field("cells", design.cells())
            .field("groups", design.groups())
            .field("kept", certificate.map(|certificate| certificate.kept));
    }
    files::print(&report, json, &arguments.out)?;
    Ok(Exit::Success)
}

fn design(
    arguments: &Arguments,
    domain: usize,
    epsilon: Option<Epsilon>,
) -> anyhow::Result<DesignParameters> {
    let seed = match &arguments.seed {
        Some(text) => hex::decode(text)
            .ok_or_else(|| Failure::usage("--seed: expected 64 hexadecimal digits"))?,
        None => {
            let mut seed = [0; 32];
            client_generator()?.fill_bytes(&mut seed);
            seed
        }
    };
    let mut design = DesignParameters::new(domain, arguments.cells, seed)?;
    if let Some(groups) = arguments.groups {
        design = design.with_groups(groups)?;
    }
    if let Some(epsilon) = epsilon {
        design = design.with_epsilon(epsilon)?;
    }
    Ok(design.with_epoch(arguments.epoch))
}

/// Refuses options that have no effect on the mechanism. Those with a default cannot be told from it.
fn refuse_parameters_of_others(arguments: &Arguments) -> anyhow::Result<()> {
    let kind = arguments.mechanism;
    let is_sketch = matches!(kind, Kind::CountMeanSketch | Kind::HadamardCountMeanSketch);
    for (name, is_given, applies) in [
        (
            "--groups",
            arguments.groups.is_some(),
            kind == Kind::HashDesign,
        ),
        ("--seed", arguments.seed.is_some(), kind == Kind::HashDesign),
        ("--kept", arguments.kept.is_some(), kind == Kind::HashDesign),
        (
            "--family",
            arguments.family.is_some(),
            kind == Kind::LocalHashing,
        ),
        ("--hash-seed", arguments.hash_seed.is_some(), is_sketch),
    ] {
        if is_given && !applies {
            usage!("{name}: does not apply to this mechanism");
        }
    }
    Ok(())
}
