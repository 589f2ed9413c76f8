//! `sketch gen`

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use septet_core::cli::Failure;
use septet_core::io::is_stdio;
use septet_core::seed::SeedTree;
use septet_sketch::AnyKey;
use septet_sketch::stream::{HeteroFlows, NGramDays, StreamFormat, Writer, Zipf};

use crate::input;

#[derive(clap::Subcommand)]
pub(crate) enum Arguments {
    /// Packets of synthetic network flows of several classes.
    #[command(name = "heteroflows")]
    HeteroFlows(Flows),
    /// Integers by Zipf's law.
    Zipf(ZipfArguments),
    /// Word n-grams of a text, one day at a time.
    Ngrams(NGrams),
}

#[derive(clap::Args)]
pub(crate) struct Target {
    /// The file to write; - is standard output. Names that end in .gz, .xz or .zst are compressed.
    #[arg(long, short)]
    output: PathBuf,
    /// The seed of the random numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(clap::Args)]
pub(crate) struct Flows {
    #[command(flatten)]
    target: Target,
    /// The number of flows.
    #[arg(long, default_value_t = 131_072)]
    flows: usize,
    /// The index of the window: the same networks, new flows.
    #[arg(long, default_value_t = 0)]
    window: u64,
    /// A factor on the number of packets.
    #[arg(long, default_value_t = 1)]
    scale: u64,
    /// Generate addresses whose prefixes of every length are informative.
    #[arg(long)]
    cascade: bool,
    /// The format: tuples13 or lines.
    #[arg(long, short, default_value = "tuples13", value_parser = input::parse_format)]
    format: StreamFormat,
}

#[derive(clap::Args)]
pub(crate) struct ZipfArguments {
    #[command(flatten)]
    target: Target,
    /// The number of distinct keys: the integers from 0, the most frequent first.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// The exponent of Zipf's law.
    #[arg(long, default_value_t = 1.0)]
    exponent: f64,
    /// The length of the stream.
    #[arg(long, default_value_t = 1_000_000)]
    count: usize,
}

#[derive(clap::Args)]
pub(crate) struct NGrams {
    /// The text; - is standard input. Compressed files are decompressed.
    text: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Words in a key.
    #[arg(long, default_value_t = 2)]
    order: usize,
    /// Keys in a day.
    #[arg(long, default_value_t = 1_500_000)]
    tokens_per_day: u64,
    /// The index of the day to write, from 0.
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
        // The order of the packets has its own seed, so that windows differ in it.
        let seed = SeedTree::new(self.target.seed);
        let traffic = match self.cascade {
            true => HeteroFlows::with_cascade(&seed),
            false => HeteroFlows::new(&seed),
        };
        let traffic = traffic.scale_packets(self.scale);
        let window = traffic.window(self.window, self.flows);
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
        let text: Box<dyn BufRead> = match is_stdio(&self.text) {
            true => Box::new(BufReader::new(input::stdin()?)),
            false => septet_sketch::stream::open_text(&self.text)?,
        };
        // Earlier days are read and discarded: days have no index in a text.
        let days = NGramDays::new(text, self.order, self.tokens_per_day)?;
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
        Err(Failure::usage(format!(
            "the text has {found} days of {} keys; there is no day {} (the first is 0)",
            self.tokens_per_day, self.day
        ))
        .into())
    }
}

/// Writes a stream to a file or to standard output.
fn write(path: &Path, format: &StreamFormat, keys: impl Iterator<Item = AnyKey>) -> Result<()> {
    if is_stdio(path) {
        let mut out = BufWriter::new(io::stdout().lock());
        let mut writer = Writer::new(&mut out, format.clone())?;
        for key in keys {
            writer.write(&key)?;
        }
        return Ok(out.flush()?);
    }
    // A failure before `finish` leaves no file behind.
    let mut writer = Writer::create(path, format.clone())?;
    for key in keys {
        writer
            .write(&key)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(writer.finish()?)
}
