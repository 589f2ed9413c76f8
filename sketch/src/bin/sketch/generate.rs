//! `sketch gen`

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use septet_core::seed::SeedTree;
use septet_sketch::AnyKey;
use septet_sketch::stream::{HeteroFlows, NGramDays, StreamFormat, Writer, Zipf};

use crate::Usage;
use crate::input::{self, is_standard};

#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// Packets of network flows whose sizes vary more in some classes than in others.
    #[command(name = "heteroflows")]
    HeteroFlows(Flows),
    /// Integers by Zipf's law.
    Zipf(ZipfArguments),
    /// Groups of neighboring words of a text, a day at a time.
    Ngrams(NGrams),
}

#[derive(clap::Args)]
pub(crate) struct Target {
    /// The file to write; - is standard output. Names that end in .gz or .zst are compressed.
    #[arg(long, short)]
    output: PathBuf,
    /// The seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(clap::Args)]
pub(crate) struct Flows {
    #[command(flatten)]
    target: Target,
    /// Flows.
    #[arg(long, default_value_t = 131_072)]
    flows: usize,
    /// The number of the window: same networks, fresh flows.
    #[arg(long, default_value_t = 0)]
    window: u64,
    /// Multiplies the number of packets.
    #[arg(long, default_value_t = 1)]
    times: u64,
    /// Networks of which prefixes of every length tell something.
    #[arg(long)]
    cascade: bool,
    /// tuples13 or lines.
    #[arg(long, short, default_value = "tuples13", value_parser = input::parse_format)]
    format: StreamFormat,
}

#[derive(clap::Args)]
pub(crate) struct ZipfArguments {
    #[command(flatten)]
    target: Target,
    /// Different keys: the integers from 0 on, the most frequent first.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// How skewed.
    #[arg(long, default_value_t = 1.0)]
    exponent: f64,
    /// Length of the stream.
    #[arg(long, default_value_t = 1_000_000)]
    count: usize,
}

#[derive(clap::Args)]
pub(crate) struct NGrams {
    /// The text; - is standard input. Names that end in .gz or .zst are compressed.
    text: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Words of a key.
    #[arg(long, default_value_t = 2)]
    order: usize,
    /// Keys of a day.
    #[arg(long, default_value_t = 1_500_000)]
    tokens: u64,
    /// Which day to write, from 0.
    #[arg(long, default_value_t = 0)]
    day: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match arguments {
        Arguments::HeteroFlows(flows) => flows.run(),
        Arguments::Zipf(zipf) => zipf.run(),
        Arguments::Ngrams(ngrams) => ngrams.run(),
    }
}

impl Flows {
    fn run(&self) -> Result<()> {
        let seed = SeedTree::new(self.target.seed);
        let world = match self.cascade {
            true => HeteroFlows::with_cascade(&seed),
            false => HeteroFlows::new(&seed),
        };
        let world = world.scale_packets(self.times);
        let window = world.window(self.window, self.flows);
        let packets = window.packets(&seed.child("order").index(self.window));
        let keys = packets
            .into_iter()
            .map(|packet| AnyKey::Flow(window.keys()[packet as usize]));
        write(&self.target.output, &self.format, keys)
    }
}

impl ZipfArguments {
    fn run(&self) -> Result<()> {
        let rng = SeedTree::new(self.target.seed).child("zipf").rng();
        let stream = Zipf::new(self.keys, self.exponent)?.stream(rng);
        let keys = stream.take(self.count).map(AnyKey::Integer);
        write(&self.target.output, &StreamFormat::Integers, keys)
    }
}

impl NGrams {
    fn run(&self) -> Result<()> {
        let text: Box<dyn BufRead> = match is_standard(&self.text) {
            true => Box::new(BufReader::new(io::stdin())),
            false => septet_sketch::stream::open_text(&self.text)?,
        };
        let days = NGramDays::new(text, self.order, self.tokens)?;
        let mut found = 0;
        for day in days {
            let day = day.with_context(|| format!("{} cannot be read", self.text.display()))?;
            if found == self.day {
                let keys = day
                    .stream
                    .iter()
                    .map(|&key| AnyKey::Bytes(day.keys[key as usize].clone().into_bytes()));
                return write(&self.target.output, &StreamFormat::Lines, keys);
            }
            found += 1;
        }
        Err(Usage(format!(
            "the text has {found} days of {} keys; there is no day {}, counted from 0",
            self.tokens, self.day
        ))
        .into())
    }
}

fn write(path: &Path, format: &StreamFormat, keys: impl Iterator<Item = AnyKey>) -> Result<()> {
    if is_standard(path) {
        let mut out = BufWriter::new(io::stdout().lock());
        let mut writer = Writer::new(&mut out, format.clone())?;
        for key in keys {
            writer.write(&key)?;
        }
        return Ok(out.flush()?);
    }
    let mut writer = Writer::create(path, format.clone())?;
    for key in keys {
        writer
            .write(&key)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(writer.finish()?)
}
