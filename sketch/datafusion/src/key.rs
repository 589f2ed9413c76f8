//! Columns of keys and weights: the key types and their hashes.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayAccessor, ArrayRef, AsArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowDictionaryKeyType, DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::error::DataFusionError;
use septet_sketch::Key;

/// The types that [`check_type`] accepts, for error messages and function documentation.
pub(crate) const KEY_TYPES: &str = "an integer, a string or binary";

/// The type to which a column of keys is coerced: usually its own.
///
/// Columns need no conversion, because the hash of a key depends neither on the width of an integer nor
/// on the layout of a string.
pub(crate) fn check_type(function: &str, argument: &str, data_type: &DataType) -> Result<DataType> {
    match data_type {
        DataType::Null => Ok(DataType::Int64),
        DataType::Dictionary(_, values) => {
            check_type(function, argument, values)?;
            Ok(data_type.clone())
        }
        _ if data_type.is_integer() || is_bytes(data_type) => Ok(data_type.clone()),
        _ => plan_err!(
            "{function}: {argument}: expected {KEY_TYPES}, found {data_type}; cast it to one of these"
        ),
    }
}

/// Whether the type is a string or binary.
pub(crate) fn is_bytes(data_type: &DataType) -> bool {
    data_type.is_string() || data_type.is_binary()
}

/// Replaces the content of `hashes` by the hashes of the keys of a column.
///
/// The hash of a null is meaningless.
pub(crate) fn hash_column(column: &ArrayRef, seed: u64, hashes: &mut Vec<u64>) -> Result<()> {
    // The type is matched once a column: the loops over rows are compiled for each type.
    macro_rules! integers {
        ($type:ty) => {
            hashes.extend(
                column
                    .as_primitive::<$type>()
                    .values()
                    .iter()
                    .map(|key| key.hash64(seed)),
            )
        };
    }
    // In Arrow each type of index makes a dictionary type of its own.
    macro_rules! dictionary {
        ($($variant:ident => $type:ty),*) => {
            match column.data_type() {
                $(DataType::Dictionary(index, _) if **index == DataType::$variant => {
                    hash_dictionary::<$type>(column, seed, hashes)?;
                })*
                other => return Err(unexpected(other)),
            }
        };
    }
    hashes.clear();
    match column.data_type() {
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Utf8 => hash_items(&column.as_string::<i32>(), seed, hashes),
        DataType::LargeUtf8 => hash_items(&column.as_string::<i64>(), seed, hashes),
        DataType::Utf8View => hash_items(&column.as_string_view(), seed, hashes),
        DataType::Binary => hash_items(&column.as_binary::<i32>(), seed, hashes),
        DataType::LargeBinary => hash_items(&column.as_binary::<i64>(), seed, hashes),
        DataType::BinaryView => hash_items(&column.as_binary_view(), seed, hashes),
        DataType::FixedSizeBinary(_) => hash_items(&column.as_fixed_size_binary(), seed, hashes),
        _ => dictionary!(
            Int8 => Int8Type, Int16 => Int16Type, Int32 => Int32Type, Int64 => Int64Type,
            UInt8 => UInt8Type, UInt16 => UInt16Type, UInt32 => UInt32Type, UInt64 => UInt64Type
        ),
    }
    Ok(())
}

fn hash_items<'a, K: Key + ?Sized + 'a>(
    column: &impl ArrayAccessor<Item = &'a K>,
    seed: u64,
    hashes: &mut Vec<u64>,
) {
    hashes.extend((0..column.len()).map(|row| column.value(row).hash64(seed)));
}

/// Hashes each distinct key once.
fn hash_dictionary<I: ArrowDictionaryKeyType>(
    column: &ArrayRef,
    seed: u64,
    hashes: &mut Vec<u64>,
) -> Result<()> {
    let dictionary = column.as_dictionary::<I>();
    let values = dictionary.values();
    if values.len() > column.len() {
        // Few rows of a large dictionary: hash only the keys that occur.
        let plain = cast(column, values.data_type())?;
        return hash_column(&plain, seed, hashes);
    }
    // Usually a dictionary has fewer values than the column has rows: each value is hashed once.
    let mut of_values = Vec::new();
    hash_column(&Arc::clone(values), seed, &mut of_values)?;
    hashes.extend(dictionary.keys_iter().map(|index| {
        index
            .and_then(|index| of_values.get(index).copied())
            // A null row has no value, and any hash will do.
            .unwrap_or_default()
    }));
    Ok(())
}

/// The rows of a column of strings or binary as bytes, null or not.
pub(crate) fn byte_rows<'a>(
    column: &'a ArrayRef,
) -> Result<Box<dyn Iterator<Item = &'a [u8]> + 'a>> {
    fn texts<'a>(
        column: impl ArrayAccessor<Item = &'a str> + 'a,
    ) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        Box::new((0..column.len()).map(move |row| column.value(row).as_bytes()))
    }
    fn bytes<'a>(
        column: impl ArrayAccessor<Item = &'a [u8]> + 'a,
    ) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        Box::new((0..column.len()).map(move |row| column.value(row)))
    }
    Ok(match column.data_type() {
        DataType::Utf8 => texts(column.as_string::<i32>()),
        DataType::LargeUtf8 => texts(column.as_string::<i64>()),
        DataType::Utf8View => texts(column.as_string_view()),
        DataType::Binary => bytes(column.as_binary::<i32>()),
        DataType::LargeBinary => bytes(column.as_binary::<i64>()),
        DataType::BinaryView => bytes(column.as_binary_view()),
        DataType::FixedSizeBinary(_) => bytes(column.as_fixed_size_binary()),
        other => return Err(unexpected(other)),
    })
}

/// Replaces the content of `weights` by the weights of a column, and returns the rows that are null in it
/// or in the keys, whose weights are meaningless.
pub(crate) fn read_weights(
    function: &str,
    column: &ArrayRef,
    key_nulls: Option<&NullBuffer>,
    weights: &mut Vec<u64>,
) -> Result<Option<NullBuffer>> {
    // A null weight or a null key removes the row: only weights of other rows have to be valid.
    let nulls = NullBuffer::union(key_nulls, column.nulls());
    weights.clear();
    if *column.data_type() == DataType::UInt64 {
        weights.extend(column.as_primitive::<UInt64Type>().values());
        return Ok(nulls);
    }
    for (row, &weight) in column
        .as_primitive::<Int64Type>()
        .values()
        .iter()
        .enumerate()
    {
        if weight < 0 && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
            return exec_err!(
                "{function}: weight: expected 0 or more, found {weight}; sketches do not support deletions"
            );
        }
        // Without the sign bit both types have the same bits; null rows may hold anything.
        weights.push(weight.cast_unsigned());
    }
    Ok(nulls)
}

/// Removes the items of null rows.
pub(crate) fn keep_valid(items: &mut Vec<u64>, nulls: &NullBuffer) {
    let mut row = 0;
    items.retain(|_| {
        row += 1;
        nulls.is_valid(row - 1)
    });
}

fn unexpected(data_type: &DataType) -> DataFusionError {
    DataFusionError::Internal(format!("a column of keys of type {data_type}"))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BinaryArray, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int64Array,
        LargeStringArray, StringArray, StringViewArray, UInt16Array,
    };

    use super::*;

    fn hashes(column: impl Array + 'static) -> Vec<u64> {
        let mut hashes = vec![1, 2, 3];
        let column: ArrayRef = Arc::new(column);
        hash_column(&column, 7, &mut hashes).expect("it is a column of keys");
        hashes
    }

    #[test]
    fn the_layout_of_a_column_does_not_matter() {
        let expected = vec!["day".hash64(7), "".hash64(7), "night".hash64(7)];
        let keys = vec!["day", "", "night"];
        assert_eq!(hashes(StringArray::from(keys.clone())), expected);
        assert_eq!(hashes(LargeStringArray::from(keys.clone())), expected);
        assert_eq!(hashes(StringViewArray::from(keys.clone())), expected);
        let bytes: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        assert_eq!(hashes(BinaryArray::from(bytes)), expected);

        let expected = vec![3i64.hash64(7), 0u8.hash64(7), 5u32.hash64(7)];
        assert_eq!(hashes(Int8Array::from(vec![3, 0, 5])), expected);
        assert_eq!(hashes(UInt16Array::from(vec![3, 0, 5])), expected);
        assert_eq!(hashes(Int64Array::from(vec![3, 0, 5])), expected);

        let fixed = FixedSizeBinaryArray::try_from_iter([b"day", b"sun"].into_iter());
        assert_eq!(
            hashes(fixed.expect("two keys")),
            vec!["day".hash64(7), "sun".hash64(7)]
        );
    }

    #[test]
    fn dictionaries_hash_as_their_keys() {
        let column: DictionaryArray<Int32Type> = vec!["a", "b", "a", "a"].into_iter().collect();
        let [a, b] = ["a".hash64(7), "b".hash64(7)];
        assert_eq!(hashes(column.clone()), vec![a, b, a, a]);
        // Fewer rows than keys.
        assert_eq!(hashes(column.slice(1, 1)), vec![b]);
    }

    #[test]
    fn numbers_with_a_point_are_no_keys() {
        let error = check_type("cms_agg", "key", &DataType::Float64).expect_err("no key");
        assert!(
            error
                .to_string()
                .contains("cms_agg: key: expected an integer")
        );
    }
}
