//! The three types of cells that DataSketches' programs use.

use core::fmt;

use super::{EMPTY, Input, SketchError};

mod sealed {
    /// A weight of any type.
    #[derive(Clone, Copy, Debug)]
    pub enum Number {
        Integer(i128),
        Real(f64),
    }

    pub trait Sealed: Sized {
        /// This number, `None` when the type lacks it.
        fn from_number(number: Number) -> Option<Self>;
    }
}
use sealed::{Number, Sealed};

/// A type of weights. It cannot be implemented outside this crate.
pub trait Cell:
    Sealed + Copy + PartialOrd + Default + fmt::Debug + fmt::Display + Send + Sync + 'static
{
    /// Which type it is.
    const TYPE: CellType;
    /// The weight of 8 bytes, little endian.
    fn from_bytes(bytes: [u8; 8]) -> Self;
    /// The 8 bytes of the weight, little endian.
    fn to_bytes(self) -> [u8; 8];
    /// Whether it is a finite number.
    fn is_legal(self) -> bool;
    /// The sum, which stops at the ends of the range.
    #[must_use]
    fn add(self, other: Self) -> Self;
    /// The absolute value.
    #[must_use]
    fn magnitude(self) -> Self;
    /// The same number in another type, `None` when that type lacks it.
    fn convert<D: Cell>(self) -> Option<D>;
}

impl Cell for f64 {
    const TYPE: CellType = CellType::F64;

    fn from_bytes(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }

    fn to_bytes(self) -> [u8; 8] {
        self.to_le_bytes()
    }

    fn is_legal(self) -> bool {
        self.is_finite()
    }

    fn add(self, other: Self) -> Self {
        (self + other).clamp(Self::MIN, Self::MAX)
    }

    fn magnitude(self) -> Self {
        self.abs()
    }

    fn convert<D: Cell>(self) -> Option<D> {
        D::from_number(Number::Real(self))
    }
}

impl Sealed for f64 {
    fn from_number(number: Number) -> Option<Self> {
        match number {
            Number::Real(real) => Some(real),
            Number::Integer(integer) => {
                let real = integer as Self;
                (real as i128 == integer).then_some(real)
            }
        }
    }
}

macro_rules! integer_cells {
    ($($integer:ident $name:ident $magnitude:expr;)*) => {$(
        impl Cell for $integer {
            const TYPE: CellType = CellType::$name;

            fn from_bytes(bytes: [u8; 8]) -> Self {
                Self::from_le_bytes(bytes)
            }

            fn to_bytes(self) -> [u8; 8] {
                self.to_le_bytes()
            }

            fn is_legal(self) -> bool {
                true
            }

            fn add(self, other: Self) -> Self {
                self.saturating_add(other)
            }

            fn magnitude(self) -> Self {
                $magnitude(self)
            }

            fn convert<D: Cell>(self) -> Option<D> {
                D::from_number(Number::Integer(self.into()))
            }
        }

        impl Sealed for $integer {
            fn from_number(number: Number) -> Option<Self> {
                let integer = match number {
                    Number::Integer(integer) => integer,
                    // Beyond the range of 128 bits the cast stops at its ends, which differ.
                    Number::Real(real) if (real as i128) as f64 == real => real as i128,
                    Number::Real(_) => return None,
                };
                Self::try_from(integer).ok()
            }
        }
    )*};
}
integer_cells! {
    u64 U64 core::convert::identity;
    i64 I64 i64::saturating_abs;
}

/// Which type the cells of a sketch have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CellType {
    /// 64-bit floating point, as the Python package has them.
    F64,
    /// Unsigned integers, the default of many C++ programs.
    U64,
    /// Signed integers.
    I64,
}

impl fmt::Display for CellType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F64 => "f64",
            Self::U64 => "u64",
            Self::I64 => "i64",
        })
    }
}

impl CellType {
    /// The type of the cells in the bytes of a sketch, told by their values, for the bytes name none.
    ///
    /// A total weight below 2^52 would be, as a floating-point number, too small to be a weight
    /// (subnormal, below 2.3e-308); a floating-point weight would be, as an integer, beyond 2^52.
    /// So the answer is right unless integer weights add up to 2^52. Signed integers are told from
    /// unsigned ones when a cell is negative. `None` for an empty sketch, which fits every type.
    ///
    /// # Errors
    ///
    /// [`SketchError::Decode`] when the bytes are not those of a count-min sketch.
    pub fn detect(bytes: &[u8]) -> Result<Option<Self>, SketchError> {
        let mut input = Input::new(super::FORMAT, bytes);
        let header = super::Header::read(&mut input)?;
        debug_assert_eq!(header.empty, bytes[3] == EMPTY);
        if header.empty {
            return Ok(None);
        }
        let total = input.u64("the total weight")?;
        if f64::from_bits(total).is_normal() {
            return Ok(Some(Self::F64));
        }
        let (cells, _) = input.take(input.remaining(), "cells")?.as_chunks();
        let negative = cells.iter().any(|&cell| i64::from_le_bytes(cell) < 0);
        Ok(Some(if negative { Self::I64 } else { Self::U64 }))
    }
}
