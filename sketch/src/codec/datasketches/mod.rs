//! Count-min sketches in the format of Apache DataSketches for C++ and Python.
//!
//! Such a sketch can be read, queried, updated, merged and written. Rows hash keys with MurmurHash3
//! under seeds that are derived as in libstdc++, so the counters of a [`CountMin`](crate::CountMin) of
//! this crate have other positions and cannot be converted.
//!
//! The layout, all little endian: the bytes 2, 1, 18 (length of the preamble in words, version,
//! family), flags (bit 0: empty), 4 zeros; the buckets of a row (u32), the rows (u8), the hash of
//! the seed (u16), a zero. Unless the sketch is empty, the total weight and the cells follow, row by
//! row, 8 bytes each.

mod cell;
mod row_seeds;

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

pub use cell::{Cell, CellType};

use super::input::Input;
use super::murmur3;
use crate::error::SketchError;

/// The default seed of DataSketches.
pub const DEFAULT_SEED: u64 = 9001;

const FORMAT: &str = "DataSketches count-min";
const PREAMBLE_WORDS: u8 = 2;
const VERSION: u8 = 1;
const FAMILY: u8 = 18;
const EMPTY: u8 = 1;

/// Bytes before the total weight.
const PREAMBLE_BYTES: usize = 16;

/// DataSketches requires fewer cells than this.
const CELLS_LIMIT: u64 = 1 << 30;

/// A key as DataSketches hashes it: an integer as 8 bytes, text as UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An integer; negative ones in two's complement.
    Integer(u64),
    /// Bytes. Empty ones are ignored, as DataSketches ignores empty strings.
    Bytes(&'a [u8]),
}

impl From<u64> for Item<'_> {
    fn from(integer: u64) -> Self {
        Self::Integer(integer)
    }
}

impl From<i64> for Item<'_> {
    fn from(integer: i64) -> Self {
        Self::Integer(integer.cast_unsigned())
    }
}

impl<'a> From<&'a str> for Item<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for Item<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

/// A count-min sketch of Apache DataSketches with cells of type `C`: `f64` as in Python, `u64` or
/// `i64` as in C++.
///
/// ```
/// use septet_sketch::codec::datasketches::CountMin;
///
/// let mut sketch = CountMin::<f64>::new(3, 1024, 9001)?;
/// sketch.update("apple", 2.5);
/// sketch.update(12_345_u64, 1.0);
/// let again = CountMin::<f64>::from_bytes(&sketch.to_bytes(), 9001)?;
/// assert_eq!(again.estimate("apple"), 2.5);
/// # Ok::<(), septet_sketch::SketchError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CountMin<C: Cell> {
    seed: u64,
    row_seeds: Vec<u64>,
    buckets: u32,
    total: C,
    /// Row by row; not allocated while the sketch is empty, so that 16 hostile bytes cannot cause a
    /// large allocation.
    cells: Vec<C>,
}

impl<C: Cell> CountMin<C> {
    /// An empty sketch of `depth` rows (1 to 255) of `buckets` cells (at least 3).
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a size or a seed that DataSketches does not accept: there must be
    /// fewer than 2^30 cells, and the 16-bit hash of the seed must not be 0.
    pub fn new(depth: u8, buckets: u32, seed: u64) -> Result<Self, SketchError> {
        if depth == 0 {
            return Err(SketchError::parameter("depth", "1 to 255 rows", depth));
        }
        if buckets < 3 {
            return Err(SketchError::parameter("buckets", "at least 3", buckets));
        }
        let cells = u64::from(depth) * u64::from(buckets);
        if cells >= CELLS_LIMIT {
            return Err(SketchError::parameter(
                "depth x buckets",
                "fewer than 2^30 cells",
                cells,
            ));
        }
        if seed_hash(seed) == 0 {
            return Err(SketchError::parameter(
                "seed",
                "one whose 16-bit hash is not 0",
                seed,
            ));
        }
        Ok(Self::with_cells(
            depth,
            buckets,
            seed,
            C::default(),
            Vec::new(),
        ))
    }

    fn with_cells(depth: u8, buckets: u32, seed: u64, total: C, cells: Vec<C>) -> Self {
        Self {
            seed,
            row_seeds: row_seeds::row_seeds(seed, depth.into()),
            buckets,
            total,
            cells,
        }
    }

    /// Decodes a sketch with this seed; the bytes contain only a hash of the seed.
    ///
    /// The bytes do not name the type of the cells; [`CellType::detect`] infers it.
    ///
    /// # Errors
    ///
    /// [`SketchError::Decode`] for other bytes, and for a sketch of another seed.
    pub fn from_bytes(bytes: &[u8], seed: u64) -> Result<Self, SketchError> {
        let mut input = Input::new(FORMAT, bytes);
        let header = Header::read(&mut input)?;
        if header.seed_hash != seed_hash(seed) {
            return Err(input.fault_at(
                13,
                format!("{:#06x}, the hash of seed {seed}", seed_hash(seed)),
                format!("{:#06x}", header.seed_hash),
            ));
        }
        let (total, cells) = if header.empty {
            (C::default(), Vec::new())
        } else {
            let at = input.offset();
            let total = C::from_bytes(input.array("the total weight")?);
            if !total.is_finite() || total == C::default() || total != total.magnitude() {
                return Err(input.fault_at(at, "a weight above 0", format!("{total:?}")));
            }
            // `take` checks that the bytes exist before memory for the cells is allocated.
            let at = input.offset();
            let count = usize::from(header.depth) * header.buckets as usize;
            let bytes = input.take(count * 8, "cells")?;
            let cells: Vec<C> = bytes
                .as_chunks()
                .0
                .iter()
                .map(|&bytes| C::from_bytes(bytes))
                .collect();
            if let Some(index) = cells.iter().position(|cell| !cell.is_finite()) {
                let found = format!("{:?}", cells[index]);
                return Err(input.fault_at(at + 8 * index, "a weight", found));
            }
            (total, cells)
        };
        input.end()?;
        Ok(Self::with_cells(
            header.depth,
            header.buckets,
            seed,
            total,
            cells,
        ))
    }

    /// Encodes the sketch as DataSketches does.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let empty = self.is_empty();
        let weights = if empty { 0 } else { 8 + 8 * self.cells.len() };
        let mut bytes = Vec::with_capacity(PREAMBLE_BYTES + weights);
        bytes.extend([PREAMBLE_WORDS, VERSION, FAMILY, u8::from(empty) * EMPTY]);
        bytes.extend([0; 4]);
        bytes.extend(self.buckets.to_le_bytes());
        bytes.push(self.depth());
        bytes.extend(seed_hash(self.seed).to_le_bytes());
        bytes.push(0);
        if !empty {
            bytes.extend(self.total.to_bytes());
            for cell in &self.cells {
                bytes.extend(cell.to_bytes());
            }
        }
        bytes
    }

    /// Rows.
    #[must_use]
    pub fn depth(&self) -> u8 {
        // 1 to 255, as the constructors have checked.
        self.row_seeds.len() as u8
    }

    /// Cells in a row.
    #[must_use]
    pub fn buckets(&self) -> u32 {
        self.buckets
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The sum of the absolute weights.
    #[must_use]
    pub fn total_weight(&self) -> C {
        self.total
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == C::default()
    }

    /// Adds a weight to a key. Integer cells saturate; a weight that is not finite is ignored.
    pub fn update<'a>(&mut self, item: impl Into<Item<'a>>, weight: C) {
        let item = item.into();
        if item == Item::Bytes(&[]) || !weight.is_finite() || weight == C::default() {
            return;
        }
        // The cells are allocated with the first weight.
        if self.cells.is_empty() {
            let count = self.row_seeds.len() * self.buckets as usize;
            self.cells = vec![C::default(); count];
        }
        self.total = self.total.add(weight.magnitude());
        for row in 0..self.row_seeds.len() {
            let position = self.position(row, item);
            self.cells[position] = self.cells[position].add(weight);
        }
    }

    /// The estimated weight of a key: the minimum of its cells. It is never below the true weight if
    /// no weight was negative.
    #[must_use]
    pub fn estimate<'a>(&self, item: impl Into<Item<'a>>) -> C {
        let item = item.into();
        if item == Item::Bytes(&[]) || self.cells.is_empty() {
            return C::default();
        }
        (0..self.row_seeds.len())
            .map(|row| self.cells[self.position(row, item)])
            .reduce(|min, cell| if cell < min { cell } else { min })
            .unwrap_or_default()
    }

    /// The relative error `e / buckets`: an estimate is too large by more than this fraction of the
    /// total weight with probability at most `exp(-depth)`.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        core::f64::consts::E / f64::from(self.buckets)
    }

    /// Adds the weights of another sketch.
    ///
    /// # Errors
    ///
    /// [`SketchError::Incompatible`] when depth, buckets or seed differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        let same = |field, left: u64, right: u64| match left == right {
            true => Ok(()),
            false => Err(SketchError::Incompatible {
                field,
                left: format!("{left}"),
                right: format!("{right}"),
            }),
        };
        same("depth", self.depth().into(), other.depth().into())?;
        same("buckets", self.buckets.into(), other.buckets.into())?;
        same("seed", self.seed, other.seed)?;
        // An empty side has no cells.
        self.total = self.total.add(other.total);
        if self.cells.is_empty() {
            self.cells.clone_from(&other.cells);
        } else {
            for (mine, &theirs) in self.cells.iter_mut().zip(&other.cells) {
                *mine = mine.add(theirs);
            }
        }
        Ok(())
    }

    /// The same sketch with another type of cells.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a weight that the other type cannot hold: a negative one in
    /// `u64`, a fraction in either integer, an integer above 2^53 in `f64`.
    pub fn convert<D: Cell>(&self) -> Result<CountMin<D>, SketchError> {
        let convert = |cell: C| {
            cell.convert().ok_or_else(|| {
                SketchError::parameter("weight", format!("one that {} holds", D::TYPE), cell)
            })
        };
        Ok(CountMin {
            seed: self.seed,
            row_seeds: self.row_seeds.clone(),
            buckets: self.buckets,
            total: convert(self.total)?,
            cells: self
                .cells
                .iter()
                .map(|&cell| convert(cell))
                .collect::<Result<_, _>>()?,
        })
    }

    fn position(&self, row: usize, item: Item<'_>) -> usize {
        let seed = self.row_seeds[row];
        let hash = match item {
            Item::Integer(integer) => murmur3::hash(&integer.to_le_bytes(), seed),
            Item::Bytes(bytes) => murmur3::hash(bytes, seed),
        };
        row * self.buckets as usize + (hash % u64::from(self.buckets)) as usize
    }
}

/// The fields before the weights.
struct Header {
    buckets: u32,
    depth: u8,
    seed_hash: u16,
    empty: bool,
}

impl Header {
    fn read(input: &mut Input<'_>) -> Result<Self, SketchError> {
        // The fixed bytes, checked one by one so that an error names the byte.
        let [words, version, family, flags] = input.array("preamble")?;
        let fixed = [
            (0, words, PREAMBLE_WORDS, "words of preamble"),
            (1, version, VERSION, "as version"),
            (2, family, FAMILY, "as family (count-min)"),
        ];
        for (offset, found, expected, what) in fixed {
            if found != expected {
                let expected = format!("{expected} {what}");
                return Err(input.fault_at(offset, expected, format!("{found}")));
            }
        }
        if flags > EMPTY {
            return Err(input.fault_at(3, "flags 0 or 1", format!("{flags}")));
        }
        let unused = input.u32("zeros")?;
        if unused != 0 {
            return Err(input.fault_at(4, "4 zeros", format!("{unused:#x}")));
        }
        // The dimensions, checked as `CountMin::new` checks them.
        let buckets = input.u32("the buckets of a row")?;
        let depth = input.u8("the number of rows")?;
        let seed_hash = input.u16("the hash of the seed")?;
        let unused = input.u8("a zero")?;
        if unused != 0 {
            return Err(input.fault_at(15, "a zero", format!("{unused}")));
        }
        if buckets < 3 {
            return Err(input.fault_at(8, "at least 3 buckets", format!("{buckets}")));
        }
        if depth == 0 {
            return Err(input.fault_at(12, "at least 1 row", "0"));
        }
        let cells = u64::from(depth) * u64::from(buckets);
        if cells >= CELLS_LIMIT {
            return Err(input.fault_at(8, "fewer than 2^30 cells", format!("{cells}")));
        }
        Ok(Self {
            buckets,
            depth,
            seed_hash,
            empty: flags == EMPTY,
        })
    }
}

/// The 16-bit hash of a seed in the bytes.
fn seed_hash(seed: u64) -> u16 {
    murmur3::hash(&seed.to_le_bytes(), 0) as u16
}
