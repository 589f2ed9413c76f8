//! `cms_total(sketch)` and `cms_info(sketch)`: the properties of a stored count-min sketch.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StructArray, UInt64Array};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::argument::{self, Types};
use crate::stored::{self, Stored};

/// A property of a sketch: its name and its getter.
type Property = (&'static str, fn(&Stored) -> u64);

/// The fields of `cms_info`, in their order.
const PROPERTIES: [Property; 5] = [
    ("depth", |sketch| sketch.depth() as u64),
    ("width", |sketch| sketch.width() as u64),
    ("seed", |sketch| sketch.sketch().seed()),
    ("total", |sketch| sketch.sketch().total()),
    ("bytes", |sketch| sketch.sketch().size_bytes() as u64),
];

/// `cms_total(sketch)`, an integer, or `cms_info(sketch)`, a structure.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inspect {
    all: bool,
    signature: Signature,
}

impl Inspect {
    /// `cms_total`.
    pub(crate) fn total() -> Result<Self> {
        Self::new(false)
    }

    /// `cms_info`.
    pub(crate) fn info() -> Result<Self> {
        Self::new(true)
    }

    fn new(all: bool) -> Result<Self> {
        let signature =
            Signature::user_defined(Volatility::Immutable).with_parameter_names(vec!["sketch"])?;
        Ok(Self { all, signature })
    }

    fn function(&self) -> &'static str {
        if self.all { "cms_info" } else { "cms_total" }
    }
}

fn fields() -> Fields {
    PROPERTIES
        .iter()
        .map(|(name, _)| Field::new(*name, DataType::UInt64, true))
        .collect()
}

impl ScalarUDFImpl for Inspect {
    fn name(&self) -> &str {
        self.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let types =
            Types::new(self.function(), found, &["sketch"], 1)?.next("sketch", argument::sketch)?;
        Ok(types.finish())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.all {
            DataType::Struct(fields())
        } else {
            DataType::UInt64
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let sketches = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [sketches] = &sketches[..] else {
            return argument::wrong_number(self.function(), sketches.len());
        };
        // All properties are collected; `cms_total` then selects one.
        let mut columns = vec![Vec::with_capacity(sketches.len()); PROPERTIES.len()];
        let mut valid = Vec::with_capacity(sketches.len());
        // A null sketch has null properties.
        for bytes in stored::rows(sketches)? {
            let sketch = bytes
                .map(Stored::read)
                .transpose()
                .map_err(|error| stored::error(self.function(), "sketch", error))?;
            for (column, (_, property)) in columns.iter_mut().zip(PROPERTIES) {
                column.push(sketch.as_ref().map(property));
            }
            valid.push(sketch.is_some());
        }
        let mut columns: Vec<ArrayRef> = columns
            .into_iter()
            .map(|column| Arc::new(UInt64Array::from(column)) as ArrayRef)
            .collect();
        if self.all {
            let nulls = NullBuffer::from(valid);
            let structure = StructArray::try_new(fields(), columns, Some(nulls))?;
            Ok(ColumnarValue::Array(Arc::new(structure)))
        } else {
            let total = PROPERTIES.iter().position(|(name, _)| *name == "total");
            Ok(ColumnarValue::Array(
                columns.swap_remove(total.unwrap_or(0)),
            ))
        }
    }
}
