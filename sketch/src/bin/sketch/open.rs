//! Reading sketches of any kind from files.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use septet_core::cli::Failure;
use septet_sketch::AnyKey;
use septet_sketch::KeyType;
use septet_sketch::codec::datasketches::{self, CellType, DEFAULT_SEED};
use septet_sketch::codec::native::{Header, Kind, Native};
use septet_sketch::count_min::CountMin;
use septet_sketch::count_sketch::CountSketch;
use septet_sketch::heavy_hitters::{MisraGries, SpaceSaving};
use septet_sketch::learned::{Slot8, Slot16};

use crate::any_sketch::{AnySketch, Tracked};
use crate::input::read_bytes;
use crate::learned::LearnedSketch;
use crate::model::Model;

/// The memory limit of a sketch in a file that the user names.
const MAX_MEMORY: usize = 16 << 30;

/// A sketch that was read from a file, with the metadata of the file.
pub(crate) struct Opened {
    pub(crate) sketch: Box<dyn AnySketch>,
    pub(crate) key_type: Option<KeyType>,
    /// The format of the file.
    pub(crate) format: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// Options for reading a sketch.
#[derive(clap::Args, Clone)]
pub(crate) struct OpenOptions {
    /// The model with which a learned sketch was built.
    #[arg(long)]
    pub(crate) model: Option<std::path::PathBuf>,
    /// The seed of a DataSketches file, which contains only its hash.
    #[arg(long, default_value_t = DEFAULT_SEED)]
    pub(crate) datasketches_seed: u64,
    /// The cell type of a DataSketches file, which does not name it [default: inferred from the cells]
    #[arg(long, value_enum)]
    pub(crate) cell_type: Option<CellTypeName>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum CellTypeName {
    F64,
    U64,
    I64,
}

impl OpenOptions {
    /// Reads a sketch of any kind, in the format of this crate or of DataSketches.
    pub(crate) fn open(&self, path: &Path) -> Result<Opened> {
        let bytes = read_bytes(path)?;
        let opened = if Header::has_magic(&bytes) {
            self.native(&bytes)
        } else if bytes.starts_with(&[2, 1, 18]) {
            self.datasketches(&bytes).map(|sketch| (sketch, None))
        } else {
            Err(anyhow!(
                "expected a sketch file (\"LSK1\") or a DataSketches file, found neither"
            ))
        };
        let (sketch, key_type) = opened.with_context(|| path.display().to_string())?;
        let format = match Header::has_magic(&bytes) {
            true => "LSK1",
            false => "DataSketches",
        };
        Ok(Opened {
            sketch,
            key_type,
            format,
            bytes,
        })
    }

    fn native(&self, bytes: &[u8]) -> Result<(Box<dyn AnySketch>, Option<KeyType>)> {
        fn read<S: Native + AnySketch>(bytes: &[u8]) -> Result<Box<dyn AnySketch>> {
            Ok(Box::new(S::from_bytes_with_limit(bytes, MAX_MEMORY)?))
        }
        // The header selects the type; each type checks the rest of the file itself, so that an
        // unknown size of counters is reported at its byte.
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
                    let message = "a learned sketch needs the model of its oracle: --model FILE";
                    return Err(Failure::usage(message).into());
                };
                let model = Model::load(path)?;
                let sketch: Box<dyn AnySketch> = match header.element {
                    8 => Box::new(LearnedSketch::<Slot8>::from_bytes_with_limit(
                        bytes, model, MAX_MEMORY,
                    )?),
                    _ => Box::new(LearnedSketch::<Slot16>::from_bytes_with_limit(
                        bytes, model, MAX_MEMORY,
                    )?),
                };
                Ok(sketch)
            }
            (kind, _) => Err(anyhow!("this program does not support the kind {kind}")),
        };
        Ok((sketch?, header.key_type))
    }

    fn datasketches(&self, bytes: &[u8]) -> Result<Box<dyn AnySketch>> {
        let seed = self.datasketches_seed;
        let cells = match self.cell_type {
            Some(CellTypeName::F64) => CellType::F64,
            Some(CellTypeName::U64) => CellType::U64,
            Some(CellTypeName::I64) => CellType::I64,
            None => CellType::detect(bytes)?.unwrap_or(CellType::F64),
        };
        Ok(match cells {
            CellType::U64 => Box::new(datasketches::CountMin::<u64>::from_bytes(bytes, seed)?),
            CellType::I64 => Box::new(datasketches::CountMin::<i64>::from_bytes(bytes, seed)?),
            _ => Box::new(datasketches::CountMin::<f64>::from_bytes(bytes, seed)?),
        })
    }
}
