//! `sketch build`

use std::path::PathBuf;

use anyhow::Result;
use septet_core::cli::{Failure, Report};
use septet_core::io::ByteSize;
use septet_sketch::codec::datasketches;
use septet_sketch::count_min::{CountMin, CountMinBuilder, Counter, Layout, UpdateRule};
use septet_sketch::count_sketch::CountSketch;
use septet_sketch::heavy_hitters::{MisraGries, SpaceSaving, TopK};
use septet_sketch::learned::{Learned, Slot, Slot8, Slot16, Threshold};
use septet_sketch::oracle::Oracle;
use septet_sketch::stream::StreamFormat;
use septet_sketch::{AnyKey, KeyType};

use crate::any_sketch::{AnySketch, Tracked};
use crate::input::{self, Input};
use crate::learned::LearnedSketch;
use crate::model::Model;
use crate::output::Output;

/// Keys in a batch.
const BATCH: usize = 4096;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
    /// The algorithm.
    #[arg(long, short, value_enum, default_value_t = Algorithm::Cu)]
    algorithm: Algorithm,
    /// The memory budget: 4096, 512KiB, 2MiB, ..
    #[arg(long, short, default_value = "1MiB")]
    bytes: ByteSize,
    /// Rows [default: 2; count-sketch 3, DataSketches 4]
    #[arg(long)]
    depth: Option<u8>,
    /// The counter type of cm and cu.
    #[arg(long, value_enum, default_value_t = CounterName::U32)]
    counter: CounterName,
    /// Put all counters of a key into one cache line: faster in large tables, less accurate (cm, cu,
    /// lcm).
    #[arg(long)]
    blocked: bool,
    /// Track the K most frequent keys, so that `topk` can list them (cm and cu).
    #[arg(long, value_name = "K")]
    top: Option<usize>,
    /// The seed of the hash [default: 0, DataSketches 9001]
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    learned: LearnedArguments,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Options of learned sketches.
#[derive(clap::Args)]
struct LearnedArguments {
    /// The model of the oracle, from `sketch train` (lcm).
    #[arg(long)]
    model: Option<PathBuf>,
    /// The fraction of the budget, without the model, for the table of exact counts (lcm).
    #[arg(long, default_value_t = 0.3)]
    explicit_fraction: f64,
    /// Bytes of a slot of the table of exact counts. Twice as many slots of 8 bytes fit, but two full
    /// tables of them cannot be merged (lcm).
    #[arg(long, value_enum, default_value_t = SlotSize::Sixteen)]
    slot: SlotSize,
    /// An earlier stream of the same kind, whose scores determine the threshold (lcm).
    #[arg(long, value_name = "STREAM")]
    validation: Option<PathBuf>,
    /// The format of the earlier stream [default: that of the stream]
    #[arg(long, value_name = "FORMAT", value_parser = input::parse_format)]
    validation_format: Option<StreamFormat>,
    /// The expected number of distinct keys. Without an earlier stream the threshold adapts to the
    /// stream (lcm).
    #[arg(long, value_name = "KEYS")]
    expected_keys: Option<u64>,
    /// Exclude the model from --bytes, as the papers do (lcm).
    #[arg(long)]
    exclude_model: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SlotSize {
    #[value(name = "8")]
    Eight,
    #[value(name = "16")]
    Sixteen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Algorithm {
    /// Count-min: merges exactly.
    Cm,
    /// Count-min with conservative update: the smallest errors.
    Cu,
    /// Count-sketch: unbiased.
    Cs,
    /// SpaceSaving: the most frequent keys.
    Ss,
    /// Misra-Gries: the most frequent keys.
    Mg,
    /// A learned count-min sketch: exact counts for the keys that a model expects to be frequent.
    Lcm,
    /// DataSketches count-min with cells of u64, as in C++; see `convert`.
    Datasketches,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum CounterName {
    U8,
    U16,
    U32,
    U64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    // Build first: an invalid option is reported before the stream is read.
    let mut sketch = arguments.empty()?;
    let mut batch: Vec<AnyKey> = Vec::with_capacity(BATCH);
    let mut keys: Option<KeyType> = None;
    let mut mixed = false;
    let tally = arguments.input.for_each("counting", |record| {
        // Remember the type of the keys if all have the same.
        let key_type = record.key.key_type();
        mixed |= *keys.get_or_insert(key_type) != key_type;
        if record.count != 1 {
            // Flush first: conservative update depends on the order of the stream.
            sketch.update_batch(&batch)?;
            batch.clear();
            return sketch.update_by(&record.key, record.count);
        }
        batch.push(record.key);
        if batch.len() == BATCH {
            sketch.update_batch(&batch)?;
            batch.clear();
        }
        Ok(())
    })?;
    sketch.update_batch(&batch)?;
    // The file records the key type, so that `query` can parse keys.
    let keys = if mixed { None } else { keys };
    let bytes = sketch.to_native_bytes(&arguments.output.options().key_type(keys))?;
    arguments.output.write(&bytes)?;

    // Report what was counted and the parameters.
    let mut report = Report::default()
        .field("kind", sketch.kind())
        .field("records", tally.records);
    if tally.skipped > 0 {
        let skipped = format!(
            "{} packets that are not TCP or UDP over IPv4",
            tally.skipped
        );
        report = report.field_as("skipped", tally.skipped, skipped);
    }
    if let Some(keys) = keys {
        report = report.field("keys", keys.to_string());
    }
    let report = sketch
        .describe(report)
        .field("file", arguments.output.output.display().to_string())
        .field_as(
            "file_bytes",
            bytes.len(),
            ByteSize(bytes.len() as u64).to_string(),
        );
    arguments.output.report(arguments.json, &report)
}

impl Arguments {
    /// The budget in bytes.
    fn budget(&self) -> usize {
        usize::try_from(self.bytes.0).unwrap_or(usize::MAX)
    }

    /// The empty sketch.
    fn empty(&self) -> Result<Box<dyn AnySketch>> {
        let is_count_min = matches!(self.algorithm, Algorithm::Cm | Algorithm::Cu);
        if self.top.is_some() && !(is_count_min && self.counter == CounterName::U32) {
            let message = "--top requires --algorithm cm or cu and --counter u32; ss and mg always \
                           track the most frequent keys";
            return Err(Failure::usage(message).into());
        }
        let (seed, bytes) = (self.seed.unwrap_or(0), self.budget());
        Ok(match self.algorithm {
            Algorithm::Cm | Algorithm::Cu => match (self.top, self.counter) {
                (Some(k), _) => Box::new(self.tracked(k)?),
                (None, CounterName::U8) => Box::new(self.count_min::<u8>(bytes).build()?),
                (None, CounterName::U16) => Box::new(self.count_min::<u16>(bytes).build()?),
                (None, CounterName::U32) => Box::new(self.count_min::<u32>(bytes).build()?),
                (None, CounterName::U64) => Box::new(self.count_min::<u64>(bytes).build()?),
            },
            Algorithm::Cs => Box::new(
                CountSketch::<i32>::builder()
                    .depth(self.depth.unwrap_or(3).into())
                    .bytes(bytes)
                    .seed(seed)
                    .build()?,
            ),
            Algorithm::Ss => Box::new(SpaceSaving::<AnyKey>::with_bytes(bytes, seed)?),
            Algorithm::Mg => Box::new(MisraGries::<AnyKey>::with_bytes(bytes, seed)?),
            Algorithm::Lcm => match self.learned.slot {
                SlotSize::Eight => Box::new(self.learned::<Slot8>()?),
                SlotSize::Sixteen => Box::new(self.learned::<Slot16>()?),
            },
            Algorithm::Datasketches => {
                let depth = self.depth.unwrap_or(4);
                // Cells of 8 bytes; the constructor refuses a depth of 0.
                let buckets = bytes / 8 / usize::from(depth).max(1);
                Box::new(datasketches::CountMin::<u64>::new(
                    depth,
                    u32::try_from(buckets).unwrap_or(u32::MAX),
                    self.seed.unwrap_or(datasketches::DEFAULT_SEED),
                )?)
            }
        })
    }

    fn count_min<C: Counter>(&self, bytes: usize) -> CountMinBuilder<C> {
        CountMin::builder()
            .depth(self.depth.unwrap_or(2).into())
            .bytes(bytes)
            .layout(match self.blocked {
                true => Layout::Blocked,
                false => Layout::RowMajor,
            })
            .update_rule(match self.algorithm {
                Algorithm::Cm => UpdateRule::Plain,
                _ => UpdateRule::Conservative,
            })
            .seed(self.seed.unwrap_or(0))
    }

    /// The sketch of --top, whose table is charged to the budget.
    fn tracked(&self, k: usize) -> Result<Tracked> {
        let table = Tracked::table_bytes(k);
        let Some(bytes) = self.budget().checked_sub(table) else {
            return Err(Failure::usage(format!(
                "a table for --top {k} takes {}, more than --bytes {}",
                ByteSize(table as u64),
                self.bytes
            ))
            .into());
        };
        Ok(TopK::new(k, self.count_min(bytes).build()?)?)
    }

    /// The learned sketch, with the threshold of the validation stream or an adaptive one.
    fn learned<T: Slot>(&self) -> Result<LearnedSketch<T>> {
        let learned = &self.learned;
        let Some(path) = &learned.model else {
            let message = "--algorithm lcm requires an oracle: --model FILE, from `sketch train`";
            return Err(Failure::usage(message).into());
        };
        let model = Model::load(path)?;
        // The scores of the validation keys give the quantile; without them the threshold adapts.
        let scores = match &learned.validation {
            None if learned.expected_keys.is_none() => {
                let message = "--algorithm lcm requires an earlier stream with --validation, or a \
                               number of keys with --expected-keys";
                return Err(Failure::usage(message).into());
            }
            None => Vec::new(),
            Some(path) => {
                let format = learned.validation_format.as_ref();
                let validation = Input {
                    streams: vec![path.clone()],
                    format: format.or(self.input.format.as_ref()).cloned(),
                };
                let counts = validation.counts("reading the earlier stream")?;
                let keys: Vec<&AnyKey> = counts.iter().map(|(key, _)| key).collect();
                let mut scores = vec![0.0; keys.len()];
                model.score(&keys, &mut scores);
                scores
            }
        };
        let mut builder = Learned::<AnyKey, CountMin<u32>, Model>::builder(model)
            .slot::<T>()
            .bytes(self.budget())
            .explicit_fraction(learned.explicit_fraction)
            .threshold(match scores.is_empty() {
                true => Threshold::Adaptive {
                    keys_per_slot: 1.10,
                },
                false => Threshold::Quantile {
                    keys_per_slot: 1.10,
                },
            })
            .validation_scores(scores)
            .charge_model(!learned.exclude_model);
        if let Some(keys) = learned.expected_keys {
            builder = builder.expected_keys(keys);
        }
        Ok(builder.build(|bytes| self.count_min(bytes).build())?)
    }
}
