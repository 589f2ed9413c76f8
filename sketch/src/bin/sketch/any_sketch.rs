//! A sketch of any kind behind one face.

use std::any::Any;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use septet_sketch::codec::datasketches::{self, Cell, CellType, DEFAULT_SEED, Item};
use septet_sketch::codec::native::{Header, Kind, Native, Options};
use septet_sketch::count_min::{CountMin, Counter};
use septet_sketch::count_sketch::{CountSketch, SignedCounter};
use septet_sketch::heavy_hitters::{MisraGries, SpaceSaving, TopK};
use septet_sketch::learned::{Slot8, Slot16};
use septet_sketch::{AnyKey, FrequencySketch, Key, KeyType, Merge, SketchError};

use crate::input::bytes_of;
use crate::learned::LearnedSketch;
use crate::model::Model;
use crate::output::Row;
use crate::{Usage, size};

/// Bytes of memory that a sketch of the user's own files may take.
const MEMORY: usize = 16 << 30;

/// The level of the intervals that are printed.
const LEVEL: f64 = 0.95;

/// What is known of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) estimate: f64,
    /// Between these the count lies, with certainty or with 95 % probability.
    pub(crate) bounds: Option<(f64, f64)>,
    /// The key was counted on its own, from the first occurrence on.
    pub(crate) exact: bool,
}

impl Answer {
    fn of(estimate: f64) -> Self {
        Self {
            estimate,
            bounds: None,
            exact: false,
        }
    }

    fn within(mut self, low: f64, high: f64) -> Self {
        self.bounds = Some((low, high));
        self
    }
}

/// What every command needs of a sketch.
pub(crate) trait AnySketch: Any {
    /// The kind, as people call it.
    fn kind(&self) -> String;
    /// The parameters.
    fn describe(&self) -> Vec<Row>;
    /// Counts one more occurrence of each key.
    fn count_all(&mut self, keys: &[AnyKey]) -> Result<()>;
    /// Counts more occurrences of a key.
    fn count(&mut self, key: &AnyKey, by: u64) -> Result<()>;
    /// What is known of a key.
    fn answer(&self, key: &AnyKey) -> Result<Answer>;
    /// Only the estimates of keys.
    fn estimates(&self, keys: &[AnyKey]) -> Result<Vec<f64>> {
        keys.iter()
            .map(|key| Ok(self.answer(key)?.estimate))
            .collect()
    }
    /// The most frequent keys and their estimates; `None` when the sketch knows no keys.
    fn top(&self, _k: usize) -> Option<Vec<(AnyKey, f64)>> {
        None
    }
    /// Takes another sketch in.
    fn take_in(&mut self, other: &dyn AnySketch) -> Result<()>;
    /// The bytes in the format of this crate.
    fn stored(&self, options: &Options) -> Result<Vec<u8>, SketchError>;
}

/// Merges sketches of one type; `None` for the error when the other is of another.
fn merge_alike<S: Merge + AnySketch>(mine: &mut S, other: &dyn AnySketch) -> Result<()> {
    match (other as &dyn Any).downcast_ref::<S>() {
        Some(other) => Ok(mine.merge(other)?),
        None => Err(differ(&mine.kind(), &other.kind())),
    }
}

pub(crate) fn differ(mine: &str, other: &str) -> anyhow::Error {
    anyhow!("the sketches differ in kind: {mine} and {other}")
}

fn bytes(size: usize) -> Row {
    Row::new("bytes", size).shown(format!("{size} ({})", size::shown(size)))
}

impl<C: Counter> AnySketch for CountMin<C> {
    fn kind(&self) -> String {
        format!("count-min of {}", C::NAME)
    }

    fn describe(&self) -> Vec<Row> {
        let bound = self.error_bound();
        vec![
            Row::new("depth", self.depth()),
            Row::new("width", self.width()),
            Row::new("layout", self.layout().to_string()),
            Row::new("update rule", self.update_rule().to_string()),
            Row::new("seed", self.seed()),
            bytes(self.size_bytes()),
            Row::new("total", self.total()),
            Row::new("saturated", self.saturated()),
            Row::new("error bound", bound.error).shown(format!(
                "too large by more than {:.2} with probability {:.3} at most",
                bound.error, bound.probability
            )),
        ]
    }

    fn count_all(&mut self, keys: &[AnyKey]) -> Result<()> {
        FrequencySketch::update_batch(self, keys);
        Ok(())
    }

    fn count(&mut self, key: &AnyKey, by: u64) -> Result<()> {
        FrequencySketch::update_by(self, key, by);
        Ok(())
    }

    fn answer(&self, key: &AnyKey) -> Result<Answer> {
        let interval = self.interval(key.hash64(self.seed()), LEVEL)?;
        let answer = Answer::of(interval.estimate as f64);
        Ok(answer.within(interval.lower as f64, interval.upper as f64))
    }

    fn estimates(&self, keys: &[AnyKey]) -> Result<Vec<f64>> {
        Ok(keys.iter().map(|key| self.estimate(key) as f64).collect())
    }

    fn take_in(&mut self, other: &dyn AnySketch) -> Result<()> {
        merge_alike(self, other)
    }

    fn stored(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        Native::to_bytes(self, options)
    }
}

impl<C: SignedCounter> AnySketch for CountSketch<C> {
    fn kind(&self) -> String {
        format!("count-sketch of {}", C::NAME)
    }

    fn describe(&self) -> Vec<Row> {
        vec![
            Row::new("depth", self.depth()),
            Row::new("width", self.width()),
            Row::new("seed", self.seed()),
            bytes(self.size_bytes()),
            Row::new("total", self.net_total()),
            Row::new("saturated", self.saturated()),
        ]
    }

    fn count_all(&mut self, keys: &[AnyKey]) -> Result<()> {
        FrequencySketch::update_batch(self, keys);
        Ok(())
    }

    fn count(&mut self, key: &AnyKey, by: u64) -> Result<()> {
        FrequencySketch::update_by(self, key, by);
        Ok(())
    }

    fn answer(&self, key: &AnyKey) -> Result<Answer> {
        let interval = self.interval(key.hash64(self.seed()), LEVEL)?;
        Ok(Answer::of(interval.estimate).within(interval.lower, interval.upper))
    }

    fn estimates(&self, keys: &[AnyKey]) -> Result<Vec<f64>> {
        Ok(keys.iter().map(|key| self.estimate(key)).collect())
    }

    fn take_in(&mut self, other: &dyn AnySketch) -> Result<()> {
        merge_alike(self, other)
    }

    fn stored(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        Native::to_bytes(self, options)
    }
}

macro_rules! summaries {
    ($($summary:ident $name:literal;)*) => {$(
        impl AnySketch for $summary<AnyKey> {
            fn kind(&self) -> String {
                $name.to_owned()
            }

            fn describe(&self) -> Vec<Row> {
                vec![
                    Row::new("counters", self.counters()),
                    bytes(self.size_bytes()),
                    Row::new("total", self.total()),
                    Row::new("error bound", self.max_error()),
                ]
            }

            fn count_all(&mut self, keys: &[AnyKey]) -> Result<()> {
                $summary::update_batch(self, keys);
                Ok(())
            }

            fn count(&mut self, key: &AnyKey, by: u64) -> Result<()> {
                $summary::update_by(self, key, by);
                Ok(())
            }

            fn answer(&self, key: &AnyKey) -> Result<Answer> {
                let interval = self.interval(key);
                let answer = Answer::of(self.estimate(key) as f64);
                Ok(answer.within(*interval.start() as f64, *interval.end() as f64))
            }

            fn estimates(&self, keys: &[AnyKey]) -> Result<Vec<f64>> {
                Ok(keys.iter().map(|key| self.estimate(key) as f64).collect())
            }

            fn top(&self, k: usize) -> Option<Vec<(AnyKey, f64)>> {
                let top = self.top(k).into_iter();
                Some(top.map(|entry| (entry.key, entry.estimate as f64)).collect())
            }

            fn take_in(&mut self, other: &dyn AnySketch) -> Result<()> {
                merge_alike(self, other)
            }

            fn stored(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
                Native::to_bytes(self, options)
            }
        }
    )*};
}
summaries! {
    MisraGries "Misra-Gries";
    SpaceSaving "SpaceSaving";
}

/// The sketch beside which `build --top` keeps candidates.
pub(crate) type Tracked = TopK<AnyKey, CountMin<u32>>;

impl AnySketch for Tracked {
    fn kind(&self) -> String {
        format!("top-{} beside a {}", self.k(), self.sketch().kind())
    }

    fn describe(&self) -> Vec<Row> {
        let table = self.size_bytes() - self.sketch().size_bytes();
        let mut rows = vec![Row::new("k", self.k())];
        rows.push(Row::new("table bytes", table).shown(size::shown(table)));
        rows.extend(self.sketch().describe());
        rows
    }

    fn count_all(&mut self, keys: &[AnyKey]) -> Result<()> {
        TopK::update_batch(self, keys);
        Ok(())
    }

    fn count(&mut self, key: &AnyKey, by: u64) -> Result<()> {
        TopK::update_by(self, key, by);
        Ok(())
    }

    fn answer(&self, key: &AnyKey) -> Result<Answer> {
        self.sketch().answer(key)
    }

    fn estimates(&self, keys: &[AnyKey]) -> Result<Vec<f64>> {
        self.sketch().estimates(keys)
    }

    fn top(&self, k: usize) -> Option<Vec<(AnyKey, f64)>> {
        let list = self.list().into_iter().take(k);
        Some(
            list.map(|entry| (entry.key, entry.estimate as f64))
                .collect(),
        )
    }

    fn take_in(&mut self, other: &dyn AnySketch) -> Result<()> {
        merge_alike(self, other)
    }

    fn stored(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        Native::to_bytes(self, options)
    }
}

/// A key as DataSketches knows keys.
fn item(key: &AnyKey) -> Result<Item<'_>> {
    match key {
        AnyKey::Integer(integer) => Ok((*integer).into()),
        AnyKey::Bytes(bytes) => Ok(bytes.as_slice().into()),
        other => Err(Usage(format!(
            "a sketch of DataSketches counts integers and text, not {}",
            other.key_type()
        ))
        .into()),
    }
}

impl<C: Cell> AnySketch for datasketches::CountMin<C> {
    fn kind(&self) -> String {
        format!("DataSketches count-min of {}", C::TYPE)
    }

    fn describe(&self) -> Vec<Row> {
        let total = self.total_weight();
        let number = total.convert::<f64>().unwrap_or(f64::NAN);
        let size = usize::from(self.depth()) * self.buckets() as usize * 8;
        vec![
            Row::new("depth", self.depth()),
            Row::new("buckets", self.buckets()),
            Row::new("seed", self.seed()),
            bytes(size),
            Row::new("total weight", number).shown(total.to_string()),
            Row::new("relative error", self.relative_error()),
        ]
    }

    fn count_all(&mut self, keys: &[AnyKey]) -> Result<()> {
        keys.iter().try_for_each(|key| self.count(key, 1))
    }

    fn count(&mut self, key: &AnyKey, by: u64) -> Result<()> {
        let Some(weight) = by.convert::<C>() else {
            return Err(anyhow!("the count {by} does not fit into {}", C::TYPE));
        };
        self.update(item(key)?, weight);
        Ok(())
    }

    fn answer(&self, key: &AnyKey) -> Result<Answer> {
        let real = |cell: C| cell.convert::<f64>().unwrap_or(f64::NAN);
        let estimate = real(self.estimate(item(key)?));
        let error = self.relative_error() * real(self.total_weight());
        Ok(Answer::of(estimate).within((estimate - error).max(0.0), estimate))
    }

    fn take_in(&mut self, other: &dyn AnySketch) -> Result<()> {
        match (other as &dyn Any).downcast_ref::<Self>() {
            Some(other) => Ok(datasketches::CountMin::merge(self, other)?),
            None => Err(differ(&self.kind(), &other.kind())),
        }
    }

    fn stored(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        Native::to_bytes(self, options)
    }
}

/// A sketch that was read, and what its file says besides.
pub(crate) struct Opened {
    pub(crate) sketch: Box<dyn AnySketch>,
    pub(crate) keys: Option<KeyType>,
    /// The format of the file.
    pub(crate) format: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// What else is needed to read some sketches.
#[derive(clap::Args, Clone)]
pub(crate) struct Reading {
    /// The oracle of a learned sketch, as `build` was given it.
    #[arg(long)]
    pub(crate) model: Option<std::path::PathBuf>,
    /// The seed of a DataSketches file, which holds only a hash of it.
    #[arg(long, default_value_t = DEFAULT_SEED)]
    pub(crate) datasketches_seed: u64,
    /// The type of the cells of a DataSketches file, which does not tell it; guessed by default.
    #[arg(long, value_enum)]
    pub(crate) cells: Option<CellName>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum CellName {
    F64,
    U64,
    I64,
}

impl Reading {
    /// Reads a sketch of any kind, in the format of this crate or of DataSketches.
    pub(crate) fn open(&self, path: &Path) -> Result<Opened> {
        let bytes = bytes_of(path)?;
        let opened = if Header::has_magic(&bytes) {
            self.native(&bytes)
        } else if bytes.starts_with(&[2, 1, 18]) {
            self.datasketches(&bytes).map(|sketch| (sketch, None))
        } else {
            Err(anyhow!(
                "expected a file of this program (\"LSK1\") or of DataSketches, found neither"
            ))
        };
        let (sketch, keys) = opened.with_context(|| path.display().to_string())?;
        let format = match Header::has_magic(&bytes) {
            true => "LSK1",
            false => "DataSketches",
        };
        Ok(Opened {
            sketch,
            keys,
            format,
            bytes,
        })
    }

    fn native(&self, bytes: &[u8]) -> Result<(Box<dyn AnySketch>, Option<KeyType>)> {
        fn read<S: Native + AnySketch>(bytes: &[u8]) -> Result<Box<dyn AnySketch>> {
            Ok(Box::new(S::from_bytes_with_limit(bytes, MEMORY)?))
        }
        let header = Header::read(bytes)?;
        let sketch = match (header.kind, header.element) {
            (Kind::CountMin, 1) => read::<CountMin<u8>>(bytes),
            (Kind::CountMin, 2) => read::<CountMin<u16>>(bytes),
            (Kind::CountMin, 8) => read::<CountMin<u64>>(bytes),
            (Kind::CountMin, _) => read::<CountMin<u32>>(bytes),
            (Kind::CountSketch, 2) => read::<CountSketch<i16>>(bytes),
            (Kind::CountSketch, 8) => read::<CountSketch<i64>>(bytes),
            (Kind::CountSketch, _) => read::<CountSketch<i32>>(bytes),
            (Kind::MisraGries, _) => read::<MisraGries<AnyKey>>(bytes),
            (Kind::SpaceSaving, _) => read::<SpaceSaving<AnyKey>>(bytes),
            (Kind::TopK, _) => read::<Tracked>(bytes),
            (Kind::DataSketches, 1) => read::<datasketches::CountMin<u64>>(bytes),
            (Kind::DataSketches, 2) => read::<datasketches::CountMin<i64>>(bytes),
            (Kind::DataSketches, _) => read::<datasketches::CountMin<f64>>(bytes),
            (Kind::Learned, _) => {
                let Some(path) = &self.model else {
                    return Err(Usage(
                        "a learned sketch is read together with its oracle; name the model with \
                         --model"
                            .to_owned(),
                    )
                    .into());
                };
                let model = Model::load(path)?;
                let sketch: Box<dyn AnySketch> = match header.element {
                    8 => Box::new(LearnedSketch::<Slot8>::from_bytes_with_limit(
                        bytes, model, MEMORY,
                    )?),
                    _ => Box::new(LearnedSketch::<Slot16>::from_bytes_with_limit(
                        bytes, model, MEMORY,
                    )?),
                };
                Ok(sketch)
            }
            (kind, _) => Err(anyhow!("a {kind} is not known to this program")),
        };
        Ok((sketch?, header.key_type))
    }

    fn datasketches(&self, bytes: &[u8]) -> Result<Box<dyn AnySketch>> {
        let seed = self.datasketches_seed;
        let cells = match self.cells {
            Some(CellName::F64) => CellType::F64,
            Some(CellName::U64) => CellType::U64,
            Some(CellName::I64) => CellType::I64,
            None => CellType::detect(bytes)?.unwrap_or(CellType::F64),
        };
        Ok(match cells {
            CellType::U64 => Box::new(datasketches::CountMin::<u64>::from_bytes(bytes, seed)?),
            CellType::I64 => Box::new(datasketches::CountMin::<i64>::from_bytes(bytes, seed)?),
            _ => Box::new(datasketches::CountMin::<f64>::from_bytes(bytes, seed)?),
        })
    }
}
