//! The three cell types of DataSketches sketches.

use core::fmt;

use super::{EMPTY, Input, SketchError};

mod sealed {
    /// A weight of any type, for conversions.
    #[derive(Clone, Copy, Debug)]
    pub enum Number {
        Integer(i128),
        Real(f64),
    }

    pub trait Sealed: Sized {
        /// The value of this number, `None` if the type cannot represent it.
        fn from_number(number: Number) -> Option<Self>;
    }
}
use sealed::{Number, Sealed};

/// A type of weights. Sealed.
pub trait Cell:
    Sealed + Copy + PartialOrd + Default + fmt::Debug + fmt::Display + Send + Sync + 'static
{
    /// The type.
    const TYPE: CellType;
    /// Decodes a weight from 8 bytes, little endian.
    fn from_bytes(bytes: [u8; 8]) -> Self;
    /// Encodes the weight as 8 bytes, little endian.
    fn to_bytes(self) -> [u8; 8];
    /// Whether it is finite.
    fn is_finite(self) -> bool;
    /// The saturating sum.
    #[must_use]
    fn add(self, other: Self) -> Self;
    /// The absolute value.
    #[must_use]
    fn magnitude(self) -> Self;
    /// The same number in another type, `None` if that type cannot represent it.
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

    fn is_finite(self) -> bool {
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

            fn is_finite(self) -> bool {
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
                    // Fractions, and numbers beyond 128 bits where the cast saturates, differ after a
                    // round trip.
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

/// The type of the cells of a sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CellType {
    /// 64-bit floating point, as in the Python package.
    F64,
    /// Unsigned 64-bit integers, as in many C++ programs.
    U64,
    /// Signed 64-bit integers.
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
    /// Infers the type of the cells from their values, since the bytes do not name it.
    ///
    /// The bits of an integer total below 2^52 are, as a floating-point number, subnormal (below
    /// 2.3e-308) and not a plausible weight; those of a floating-point total are an integer above 2^52.
    /// So the answer is correct unless integer weights add up to 2^52 or more. Signed integers are
    /// distinguished from unsigned ones by a negative cell. `None` for an empty sketch, which fits
    /// every type.
    ///
    /// # Errors
    ///
    /// [`SketchError::Decode`] when the bytes are not a valid count-min sketch.
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
