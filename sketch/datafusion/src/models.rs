//! The models of learned sketches, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, UInt64Type};
use datafusion::common::{Result, exec_err};
use septet_sketch::codec::native::Options;
use septet_sketch::count_min::{CountMin, UpdateRule};
use septet_sketch::learned::{Learned, LearnedBuilder, Slot16};
use septet_sketch::oracle::Oracle;
use septet_sketch::{FlowKey, Key, Merge, SketchError};

use crate::key::{byte_rows, is_bytes};

/// An oracle that sketches in several threads share.
pub struct SharedOracle<K: ?Sized>(Arc<dyn Oracle<K>>);

impl<K: ?Sized> Clone for SharedOracle<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: ?Sized> fmt::Debug for SharedOracle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedOracle").finish_non_exhaustive()
    }
}

impl<K: ?Sized> Oracle<K> for SharedOracle<K> {
    fn score(&self, keys: &[&K], scores: &mut [f32]) {
        self.0.score(keys, scores);
    }

    fn model_bytes(&self) -> usize {
        self.0.model_bytes()
    }

    fn fingerprint(&self) -> [u8; 16] {
        self.0.fingerprint()
    }
}

/// The builder that [`Models::add`] hands out.
pub type ModelBuilder<K> = LearnedBuilder<K, CountMin<u64>, SharedOracle<K>, Slot16>;

type Sketch<K> = Learned<K, CountMin<u64>, SharedOracle<K>, Slot16>;

/// The models of learned sketches, by name.
///
/// The oracle of a learned sketch consists of code and weights, which cannot be expressed in SQL. A
/// program adds its oracles here, passes them to [`register_with`](crate::register_with), and queries
/// refer to them by name:
///
/// ```
/// use std::sync::Arc;
///
/// use datafusion::prelude::SessionContext;
/// use septet_sketch::learned::Threshold;
/// use septet_sketch::oracle::Oracle;
/// use septet_sketch_datafusion::{Models, register_with};
///
/// /// Expects short words to be frequent.
/// struct Short;
/// impl Oracle<str> for Short {
///     fn score(&self, keys: &[&str], scores: &mut [f32]) {
///         for (key, score) in keys.iter().zip(scores) {
///             *score = -(key.len() as f32);
///         }
///     }
///     fn model_bytes(&self) -> usize {
///         0
///     }
///     fn fingerprint(&self) -> [u8; 16] {
///         *b"short words    1"
///     }
/// }
///
/// let mut models = Models::new();
/// models.add::<str>("words", Arc::new(Short), |builder| {
///     builder.bytes(64 << 10).threshold(Threshold::Fixed(-4.0))
/// })?;
/// let context = SessionContext::new();
/// register_with(&context, models)?;
/// // SELECT learned_cms_agg(word, 'words') FROM ...
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Models {
    models: BTreeMap<String, Box<dyn Model>>,
}

impl Models {
    /// No models.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an oracle under a name, replacing one with the same name.
    ///
    /// `configure` sets the size of the sketch, the fraction of the table, and the admission of keys. The
    /// sketch behind the table is a count-min sketch with two rows and plain update; slots have 16 bytes,
    /// so that the sketches of partitions can always be merged.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] as for [`LearnedBuilder::build`].
    pub fn add<K: ModelKey + ?Sized>(
        &mut self,
        name: &str,
        oracle: Arc<dyn Oracle<K>>,
        configure: impl FnOnce(ModelBuilder<K>) -> ModelBuilder<K>,
    ) -> Result<(), SketchError> {
        // Built once, which validates the parameters. What is kept are the bytes of the empty
        // sketch, from which each accumulator decodes a sketch of its own.
        let builder = Learned::builder(SharedOracle(oracle)).slot::<Slot16>();
        let empty: Sketch<K> = configure(builder).build(|bytes| {
            // Plain update is linear: merging partitions loses nothing.
            let rows = CountMin::builder().bytes(bytes);
            rows.update_rule(UpdateRule::Plain).build()
        })?;
        let model = TypedModel {
            empty: empty.to_bytes(&Options::default())?,
            oracle: empty.oracle().clone(),
        };
        self.models.insert(name.to_owned(), Box::new(model));
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&dyn Model> {
        self.models.get(name).map(AsRef::as_ref)
    }

    /// The names, for error messages.
    pub(crate) fn names(&self) -> String {
        if self.models.is_empty() {
            return "the name of a model (none is registered)".to_owned();
        }
        let names: Vec<_> = self.models.keys().map(|name| format!("'{name}'")).collect();
        format!("the name of a model: {}", names.join(", "))
    }
}

/// A key type of models: `u64`, `str`, `[u8]` or [`FlowKey`]. Sealed.
pub trait ModelKey: Key + column::Rows + 'static {}

impl ModelKey for u64 {}
impl ModelKey for str {}
impl ModelKey for [u8] {}
impl ModelKey for FlowKey {}

/// Access to the keys of a column; private, so that [`ModelKey`] is sealed.
mod column {
    use super::{
        Array, ArrayRef, AsArray, DataType, FlowKey, Int64Type, Result, UInt64Type, byte_rows,
        cast, exec_err, is_bytes,
    };

    pub trait Rows {
        /// The accepted columns, for error messages.
        const EXPECTED: &'static str;

        fn accepts(data_type: &DataType) -> bool;

        /// Calls `visit` with the index and the key of every row that is not null.
        fn rows(column: &ArrayRef, visit: impl FnMut(usize, &Self)) -> Result<()>;
    }

    impl Rows for u64 {
        const EXPECTED: &'static str = "integers";

        fn accepts(data_type: &DataType) -> bool {
            data_type.is_integer()
        }

        fn rows(column: &ArrayRef, mut visit: impl FnMut(usize, &Self)) -> Result<()> {
            if column.data_type().is_unsigned_integer() {
                // Zero-extended: the key of an integer does not depend on its width.
                let column = cast(column, &DataType::UInt64)?;
                let keys = column.as_primitive::<UInt64Type>().iter().enumerate();
                keys.for_each(|(row, key)| key.iter().for_each(|key| visit(row, key)));
            } else {
                let column = cast(column, &DataType::Int64)?;
                let keys = column.as_primitive::<Int64Type>().iter().enumerate();
                // Sign-extended bits, as in the hash of a signed key.
                let keys = keys.map(|(row, key)| (row, key.map(i64::cast_unsigned)));
                keys.for_each(|(row, key)| key.iter().for_each(|key| visit(row, key)));
            }
            Ok(())
        }
    }

    impl Rows for [u8] {
        const EXPECTED: &'static str = "strings or binary";

        fn accepts(data_type: &DataType) -> bool {
            is_bytes(data_type)
        }

        fn rows(column: &ArrayRef, mut visit: impl FnMut(usize, &Self)) -> Result<()> {
            for (row, key) in byte_rows(column)?.enumerate() {
                if column.is_valid(row) {
                    visit(row, key);
                }
            }
            Ok(())
        }
    }

    impl Rows for str {
        const EXPECTED: &'static str = "strings";

        fn accepts(data_type: &DataType) -> bool {
            data_type.is_string()
        }

        fn rows(column: &ArrayRef, mut visit: impl FnMut(usize, &Self)) -> Result<()> {
            let column = cast(column, &DataType::Utf8View)?;
            for (row, key) in column.as_string_view().iter().enumerate() {
                key.iter().for_each(|key| visit(row, key));
            }
            Ok(())
        }
    }

    impl Rows for FlowKey {
        const EXPECTED: &'static str = "flows of 13 bytes";

        fn accepts(data_type: &DataType) -> bool {
            match data_type {
                DataType::FixedSizeBinary(size) => *size == 13,
                _ => data_type.is_binary(),
            }
        }

        fn rows(column: &ArrayRef, mut visit: impl FnMut(usize, &Self)) -> Result<()> {
            for (row, key) in byte_rows(column)?.enumerate() {
                if column.is_valid(row) {
                    let Ok(key) = key.try_into() else {
                        return exec_err!("expected flows of 13 bytes, found {} bytes", key.len());
                    };
                    visit(row, &Self::from_bytes(key));
                }
            }
            Ok(())
        }
    }
}

/// A registered model.
pub(crate) trait Model: fmt::Debug + Send + Sync {
    /// The accepted columns, for error messages.
    fn expected(&self) -> &'static str;
    /// Whether the oracle scores keys of this type.
    fn accepts(&self, data_type: &DataType) -> bool;
    /// An empty sketch.
    fn empty(&self) -> Result<Box<dyn LearnedColumn>, SketchError>;
    /// Decodes a sketch with this oracle.
    fn read(&self, bytes: &[u8]) -> Result<Box<dyn LearnedColumn>, SketchError>;
}

/// A learned sketch of any key type.
pub(crate) trait LearnedColumn: fmt::Debug + Send + Sync {
    /// Counts the rows of a column that are not null.
    fn count(&mut self, keys: &ArrayRef) -> Result<()>;
    /// The estimates of the keys of a column, `None` for nulls.
    fn estimates(&self, keys: &ArrayRef) -> Result<Vec<Option<u64>>>;
    /// Adds an encoded sketch with the same oracle.
    fn merge_bytes(&mut self, bytes: &[u8]) -> Result<(), SketchError>;
    fn to_bytes(&self) -> Result<Vec<u8>, SketchError>;
    fn coverage(&self) -> f64;
    /// Memory in bytes, without the oracle, which is shared.
    fn memory(&self) -> usize;
}

struct TypedModel<K: ?Sized> {
    /// The empty sketch, encoded: builders cannot be reused, and sketches of an oracle not cloned.
    empty: Vec<u8>,
    oracle: SharedOracle<K>,
}

impl<K: ModelKey + ?Sized> fmt::Debug for TypedModel<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("keys", &K::EXPECTED)
            .finish_non_exhaustive()
    }
}

impl<K: ModelKey + ?Sized> Model for TypedModel<K> {
    fn expected(&self) -> &'static str {
        K::EXPECTED
    }

    fn accepts(&self, data_type: &DataType) -> bool {
        match data_type {
            // Dictionaries are expanded before their keys are read (`plain`).
            DataType::Dictionary(_, values) => K::accepts(values),
            other => K::accepts(other),
        }
    }

    fn empty(&self) -> Result<Box<dyn LearnedColumn>, SketchError> {
        self.read(&self.empty)
    }

    fn read(&self, bytes: &[u8]) -> Result<Box<dyn LearnedColumn>, SketchError> {
        let sketch: Sketch<K> = Learned::from_bytes(bytes, self.oracle.clone())?;
        Ok(Box::new(TypedSketch(sketch)))
    }
}

struct TypedSketch<K: ModelKey + ?Sized>(Sketch<K>);

impl<K: ModelKey + ?Sized> fmt::Debug for TypedSketch<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learned")
            .field("stats", &self.0.stats())
            .finish_non_exhaustive()
    }
}

impl<K: ModelKey + ?Sized> LearnedColumn for TypedSketch<K> {
    fn count(&mut self, keys: &ArrayRef) -> Result<()> {
        K::rows(&plain(keys)?, |_, key| self.0.update(key))
    }

    fn estimates(&self, keys: &ArrayRef) -> Result<Vec<Option<u64>>> {
        let mut estimates = vec![None; keys.len()];
        K::rows(&plain(keys)?, |row, key| {
            estimates[row] = Some(self.0.estimate(key).value);
        })?;
        Ok(estimates)
    }

    fn merge_bytes(&mut self, bytes: &[u8]) -> Result<(), SketchError> {
        let other = Learned::from_bytes(bytes, self.0.oracle().clone())?;
        self.0.merge(&other)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, SketchError> {
        self.0.to_bytes(&Options::default())
    }

    fn coverage(&self) -> f64 {
        self.0.coverage()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.0.size_bytes() - self.0.oracle().model_bytes()
    }
}

/// The column without dictionary encoding.
fn plain(keys: &ArrayRef) -> Result<ArrayRef> {
    Ok(match keys.data_type() {
        DataType::Dictionary(_, values) => cast(keys, values)?,
        _ => Arc::clone(keys),
    })
}
