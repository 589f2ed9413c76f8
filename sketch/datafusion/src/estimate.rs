//! `cms_estimate(sketch, key)`: the estimated count of a key in a stored count-min sketch.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, UInt64Array};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::argument::{self, Types};
use crate::key::{check_type, hash_column};
use crate::stored::{self, Stored};

const NAME: &str = "cms_estimate";

/// `cms_estimate(sketch, key)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Estimate {
    signature: Signature,
}

impl Estimate {
    pub(crate) fn new() -> Result<Self> {
        let signature = Signature::user_defined(Volatility::Immutable)
            .with_parameter_names(vec!["sketch", "key"])?;
        Ok(Self { signature })
    }
}

impl ScalarUDFImpl for Estimate {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let types = Types::new(NAME, found, &["sketch", "key"], 2)?
            .next("sketch", argument::sketch)?
            .next("key", check_type)?;
        Ok(types.finish())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [sketches, keys] = &arguments.args[..] else {
            return argument::wrong_number(NAME, arguments.args.len());
        };
        // A constant stays one row instead of being repeated: it is hashed once.
        let scalar_key = matches!(keys, ColumnarValue::Scalar(_));
        let keys = keys.to_array(if scalar_key { 1 } else { arguments.number_rows })?;
        match sketches {
            ColumnarValue::Scalar(sketch) => {
                // A constant sketch is decoded once, and all keys are looked up in batches.
                let estimates = match stored::scalar(sketch)? {
                    Some(bytes) => estimate_all(&read(bytes)?, &keys)?,
                    None => UInt64Array::new_null(keys.len()),
                };
                if scalar_key {
                    let estimate = ScalarValue::try_from_array(&estimates, 0)?;
                    Ok(ColumnarValue::Scalar(estimate))
                } else {
                    Ok(ColumnarValue::Array(Arc::new(estimates)))
                }
            }
            // A sketch in every row, for instance of the group or the hour that the row belongs to.
            ColumnarValue::Array(sketches) => {
                let estimates = estimate_each(sketches, &keys)?;
                Ok(ColumnarValue::Array(Arc::new(estimates)))
            }
        }
    }
}

fn read(bytes: &[u8]) -> Result<Stored> {
    Stored::read(bytes).map_err(|error| stored::error(NAME, "sketch", error))
}

/// One sketch, many keys.
fn estimate_all(sketch: &Stored, keys: &ArrayRef) -> Result<UInt64Array> {
    let sketch = sketch.sketch();
    let mut hashes = Vec::with_capacity(keys.len());
    hash_column(keys, sketch.seed(), &mut hashes)?;
    let mut estimates = vec![0; hashes.len()];
    sketch.estimate_hashes(&hashes, &mut estimates);
    Ok(UInt64Array::new(estimates.into(), keys.logical_nulls()))
}

/// One sketch per row, and one key per row or one for all rows.
fn estimate_each(sketches: &ArrayRef, keys: &ArrayRef) -> Result<UInt64Array> {
    let one_key = keys.len() == 1;
    let mut hashes = Vec::new();
    let mut hashed_under = None;
    // Equal sketches are often in consecutive rows, as in the result of a join; they are decoded once.
    let mut last: Option<(&[u8], Stored)> = None;
    let mut estimates = Vec::with_capacity(sketches.len());
    for (row, bytes) in stored::rows(sketches)?.enumerate() {
        let Some(bytes) = bytes else {
            // A placeholder: the null of the sketch makes the row null below.
            estimates.push(0);
            continue;
        };
        let sketch = match last.take() {
            Some((read_from, sketch)) if read_from == bytes => sketch,
            _ => read(bytes)?,
        };
        // Keys are hashed again only when the seed changes.
        let seed = sketch.sketch().seed();
        if hashed_under != Some(seed) {
            hash_column(keys, seed, &mut hashes)?;
            hashed_under = Some(seed);
        }
        let hash = hashes[if one_key { 0 } else { row }];
        estimates.push(sketch.sketch().estimate_hash(hash));
        last = Some((bytes, sketch));
    }
    // The nulls of the keys, repeated for a single key, and those of the sketches.
    let nulls = match keys.logical_nulls() {
        Some(nulls) if one_key && nulls.is_null(0) => Some(NullBuffer::new_null(sketches.len())),
        Some(_) if one_key => None,
        nulls => nulls,
    };
    let nulls = NullBuffer::union(nulls.as_ref(), sketches.logical_nulls().as_ref());
    Ok(UInt64Array::new(estimates.into(), nulls))
}
