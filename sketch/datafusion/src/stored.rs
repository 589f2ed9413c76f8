//! Sketches as binary values in the format of [`septet_sketch::codec::native`].

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::error::DataFusionError;
use septet_sketch::codec::native::{Header, Native, Options};
use septet_sketch::count_min::Counter;
use septet_sketch::{CountMin, FrequencySketch, Merge, SketchError};

/// The maximum size of a sketch in bytes of counters. A binary column is limited to 2 GiB in all.
pub(crate) const MAX_BYTES: usize = 1 << 30;

/// Converts the error of a sketch, with the function and argument as context.
///
/// The [`SketchError`] can be recovered with `find_root` and a downcast of the external error.
pub(crate) fn error(function: &str, argument: &str, error: SketchError) -> DataFusionError {
    DataFusionError::External(Box::new(error)).context(format!("{function}: {argument}"))
}

/// The rows of a binary column of any layout, `None` where it is null.
pub(crate) fn rows<'a>(
    column: &'a ArrayRef,
) -> Result<Box<dyn Iterator<Item = Option<&'a [u8]>> + 'a>> {
    Ok(match column.data_type() {
        DataType::Binary => Box::new(column.as_binary::<i32>().iter()),
        DataType::LargeBinary => Box::new(column.as_binary::<i64>().iter()),
        DataType::BinaryView => Box::new(column.as_binary_view().iter()),
        other => return internal_err!("a column of sketches of type {other}"),
    })
}

/// A binary constant of any layout, `None` if it is null.
pub(crate) fn scalar(value: &ScalarValue) -> Result<Option<&[u8]>> {
    match value {
        ScalarValue::Binary(bytes)
        | ScalarValue::LargeBinary(bytes)
        | ScalarValue::BinaryView(bytes) => Ok(bytes.as_deref()),
        other => internal_err!("a sketch of type {}", other.data_type()),
    }
}

/// A stored count-min sketch with counters of any width. The functions of this crate create 64-bit
/// counters; other widths come from files of the program `sketch`.
#[derive(Debug)]
pub(crate) enum Stored {
    U8(CountMin<u8>),
    U16(CountMin<u16>),
    U32(CountMin<u32>),
    U64(CountMin<u64>),
}

/// Evaluates an expression for counters of any width.
macro_rules! each {
    ($stored:expr, $sketch:ident => $value:expr) => {
        match $stored {
            Stored::U8($sketch) => $value,
            Stored::U16($sketch) => $value,
            Stored::U32($sketch) => $value,
            Stored::U64($sketch) => $value,
        }
    };
}

impl Stored {
    /// Reads a count-min sketch.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, SketchError> {
        Ok(match Header::read(bytes)?.element {
            1 => Self::U8(Native::from_bytes(bytes)?),
            2 => Self::U16(Native::from_bytes(bytes)?),
            4 => Self::U32(Native::from_bytes(bytes)?),
            // Any other width or kind is refused here, with its offset.
            _ => Self::U64(Native::from_bytes(bytes)?),
        })
    }

    /// The sketch as a trait object.
    pub(crate) fn sketch(&self) -> &dyn FrequencySketch<Estimate = u64> {
        each!(self, sketch => sketch)
    }

    /// Rows.
    pub(crate) fn depth(&self) -> usize {
        each!(self, sketch => sketch.depth())
    }

    /// Counters in a row.
    pub(crate) fn width(&self) -> usize {
        each!(self, sketch => sketch.width())
    }

    /// Adds another sketch, which must have counters of the same width.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        match (self, other) {
            (Self::U8(mine), Self::U8(theirs)) => mine.merge(theirs),
            (Self::U16(mine), Self::U16(theirs)) => mine.merge(theirs),
            (Self::U32(mine), Self::U32(theirs)) => mine.merge(theirs),
            (Self::U64(mine), Self::U64(theirs)) => mine.merge(theirs),
            (mine, theirs) => Err(SketchError::Incompatible {
                field: "counters",
                left: mine.counter_name().to_owned(),
                right: theirs.counter_name().to_owned(),
            }),
        }
    }

    fn counter_name(&self) -> &'static str {
        fn name<C: Counter>(_: &CountMin<C>) -> &'static str {
            C::NAME
        }
        each!(self, sketch => name(sketch))
    }

    /// The bytes of this sketch.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, SketchError> {
        each!(self, sketch => sketch.to_bytes(&Options::default()))
    }
}
