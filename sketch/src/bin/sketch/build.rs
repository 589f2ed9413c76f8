//! `sketch build`

use std::path::PathBuf;

use anyhow::Result;
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
use crate::output::{Output, Row};
use crate::{Usage, size};

/// Keys that are counted together.
const BATCH: usize = 4096;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
    /// What to build.
    #[arg(long, short, value_enum, default_value_t = Algorithm::Cu)]
    algo: Algorithm,
    /// The memory that it takes, with everything: 4096, 512KiB, 2MiB, ..
    #[arg(long, short, default_value = "1MiB", value_parser = size::parse)]
    bytes: usize,
    /// Rows [default: 2; count-sketch 3, DataSketches 4]
    #[arg(long)]
    depth: Option<u8>,
    /// The counters of cm and cu.
    #[arg(long, value_enum, default_value_t = CounterName::U32)]
    counter: CounterName,
    /// All counters of a key in one cache line: faster in large tables, less exact (cm, cu, lcm).
    #[arg(long)]
    blocked: bool,
    /// Keep the most frequent keys beside the sketch, so that `topk` can list them (cm and cu).
    #[arg(long, value_name = "K")]
    top: Option<usize>,
    /// The seed of the hash [default: 0, DataSketches 9001]
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    learned: LearnedArguments,
    /// Print what was built as JSON.
    #[arg(long)]
    json: bool,
}

/// What a learned sketch needs.
#[derive(clap::Args)]
struct LearnedArguments {
    /// The oracle of lcm, from `sketch train`.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The share of the table of exact counts in what the model leaves over (lcm).
    #[arg(long, default_value_t = 0.3)]
    share: f64,
    /// Bytes of a slot of the table of exact counts. Slots of 8 hold twice as many keys, but two full
    /// tables of them cannot be merged (lcm).
    #[arg(long, value_enum, default_value_t = SlotSize::Sixteen)]
    slot: SlotSize,
    /// An earlier stream of the same kind, whose scores set the threshold (lcm).
    #[arg(long, value_name = "STREAM")]
    validation: Option<PathBuf>,
    /// The format of the earlier stream [default: that of the stream]
    #[arg(long, value_name = "FORMAT", value_parser = input::parse_format)]
    validation_format: Option<StreamFormat>,
    /// How many different keys to expect; without an earlier stream the threshold is found on the way
    /// (lcm).
    #[arg(long, value_name = "KEYS")]
    expected_keys: Option<u64>,
    /// Leave the bytes of the model out of --bytes, as the papers do (lcm).
    #[arg(long)]
    free_model: bool,
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
    /// Count-min: mergeable without loss.
    Cm,
    /// Count-min with conservative update: the smallest errors.
    Cu,
    /// Count-sketch: errors to both sides.
    Cs,
    /// SpaceSaving: the most frequent keys.
    Ss,
    /// Misra-Gries: the most frequent keys.
    Mg,
    /// A learned count-min sketch: exact counts for the keys that a model expects to be frequent.
    Lcm,
    /// DataSketches count-min as C++ has it (u64), inside a file of this program: see `convert`.
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
    let mut sketch = arguments.empty()?;
    let mut batch: Vec<AnyKey> = Vec::with_capacity(BATCH);
    let mut keys: Option<KeyType> = None;
    let mut mixed = false;
    let tally = arguments.input.for_each("counting", |record| {
        let key_type = record.key.key_type();
        mixed |= *keys.get_or_insert(key_type) != key_type;
        if record.count != 1 {
            // In the order of the stream, which conservative update depends on.
            sketch.count_all(&batch)?;
            batch.clear();
            return sketch.count(&record.key, record.count);
        }
        batch.push(record.key);
        if batch.len() == BATCH {
            sketch.count_all(&batch)?;
            batch.clear();
        }
        Ok(())
    })?;
    sketch.count_all(&batch)?;
    let keys = if mixed { None } else { keys };
    let bytes = sketch.stored(&arguments.output.options().key_type(keys))?;
    arguments.output.write(&bytes)?;

    let mut rows = vec![
        Row::new("kind", sketch.kind()),
        Row::new("records", tally.records),
    ];
    if tally.skipped > 0 {
        rows.push(Row::new("skipped", tally.skipped).shown(format!(
            "{} packets that are not TCP or UDP over IPv4",
            tally.skipped
        )));
    }
    rows.extend(keys.map(|keys| Row::new("keys", keys.to_string())));
    rows.extend(sketch.describe());
    rows.push(Row::new(
        "file",
        arguments.output.output.display().to_string(),
    ));
    rows.push(Row::new("file bytes", bytes.len()).shown(size::shown(bytes.len())));
    arguments.output.say(arguments.json, &rows)
}

impl Arguments {
    fn empty(&self) -> Result<Box<dyn AnySketch>> {
        let is_count_min = matches!(self.algo, Algorithm::Cm | Algorithm::Cu);
        if self.top.is_some() && !(is_count_min && self.counter == CounterName::U32) {
            let message = "--top works with --algo cm or cu and --counter u32; ss and mg list the \
                           most frequent keys by themselves";
            return Err(Usage(message.to_owned()).into());
        }
        let seed = self.seed.unwrap_or(0);
        Ok(match self.algo {
            Algorithm::Cm | Algorithm::Cu => match (self.top, self.counter) {
                (Some(k), _) => Box::new(self.tracked(k)?),
                (None, CounterName::U8) => Box::new(self.count_min::<u8>(self.bytes).build()?),
                (None, CounterName::U16) => Box::new(self.count_min::<u16>(self.bytes).build()?),
                (None, CounterName::U32) => Box::new(self.count_min::<u32>(self.bytes).build()?),
                (None, CounterName::U64) => Box::new(self.count_min::<u64>(self.bytes).build()?),
            },
            Algorithm::Cs => Box::new(
                CountSketch::<i32>::builder()
                    .depth(self.depth.unwrap_or(3).into())
                    .bytes(self.bytes)
                    .seed(seed)
                    .build()?,
            ),
            Algorithm::Ss => Box::new(SpaceSaving::<AnyKey>::with_bytes(self.bytes, seed)?),
            Algorithm::Mg => Box::new(MisraGries::<AnyKey>::with_bytes(self.bytes, seed)?),
            Algorithm::Lcm => match self.learned.slot {
                SlotSize::Eight => Box::new(self.learned::<Slot8>()?),
                SlotSize::Sixteen => Box::new(self.learned::<Slot16>()?),
            },
            Algorithm::Datasketches => {
                let depth = self.depth.unwrap_or(4);
                let buckets = self.bytes / 8 / usize::from(depth).max(1);
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
            .update_rule(match self.algo {
                Algorithm::Cm => UpdateRule::Plain,
                _ => UpdateRule::Conservative,
            })
            .seed(self.seed.unwrap_or(0))
    }

    fn tracked(&self, k: usize) -> Result<Tracked> {
        let table = Tracked::table_bytes(k);
        let Some(bytes) = self.bytes.checked_sub(table) else {
            return Err(Usage(format!(
                "a table for --top {k} takes {}, more than --bytes {}",
                size::shown(table),
                size::shown(self.bytes)
            ))
            .into());
        };
        Ok(TopK::new(k, self.count_min(bytes).build()?)?)
    }

    fn learned<T: Slot>(&self) -> Result<LearnedSketch<T>> {
        let learned = &self.learned;
        let Some(path) = &learned.model else {
            let message = "--algo lcm needs an oracle: --model FILE, from `sketch train`";
            return Err(Usage(message.to_owned()).into());
        };
        let model = Model::load(path)?;
        let scores = match &learned.validation {
            None if learned.expected_keys.is_none() => {
                let message = "--algo lcm needs to know what to expect: an earlier stream with \
                               --validation, or a number of keys with --expected-keys";
                return Err(Usage(message.to_owned()).into());
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
            .bytes(self.bytes)
            .explicit_fraction(learned.share)
            .threshold(match scores.is_empty() {
                true => Threshold::Adaptive {
                    keys_per_slot: 1.10,
                },
                false => Threshold::Quantile {
                    keys_per_slot: 1.10,
                },
            })
            .validation_scores(scores)
            .charge_model(!learned.free_model);
        if let Some(keys) = learned.expected_keys {
            builder = builder.expected_keys(keys);
        }
        Ok(builder.build(|bytes| self.count_min(bytes).build())?)
    }
}
