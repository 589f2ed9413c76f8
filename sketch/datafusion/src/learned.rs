//! `learned_cms_agg`, `learned_cms_merge`, `learned_cms_estimate`, `learned_cms_coverage`: sketches
//! with a table of exact counts, filled by the advice of an oracle.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Float64Array, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl,
    Signature, Volatility,
};
use septet_sketch::SketchError;

use crate::argument::{self, Constants, Types};
use crate::key::check_type;
use crate::models::{LearnedColumn, Model, Models};
use crate::stored;

/// The registry of models of a function, compared by identity.
#[derive(Clone, Debug)]
struct Registry(Arc<Models>);

impl PartialEq for Registry {
    fn eq(&self, other: &Self) -> bool {
        // Models of the same name in two registries may differ: only the same registry is equal.
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Registry {}

impl Hash for Registry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Registry {
    /// The model that a constant names.
    fn model(&self, constants: &Constants, position: usize) -> Result<&dyn Model> {
        let name = constants.string(position, "model")?;
        match self.0.get(name) {
            Some(model) => Ok(model),
            None => constants.refuse("model", &self.0.names(), &format!("'{name}'")),
        }
    }
}

/// The input of an aggregate: keys to count, or sketches to merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Input {
    Keys,
    Sketches,
}

/// `learned_cms_agg(key, model)` or `learned_cms_merge(sketch, model)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct LearnedAggregate {
    input: Input,
    registry: Registry,
    signature: Signature,
}

impl Input {
    fn function(self) -> &'static str {
        match self {
            Self::Keys => "learned_cms_agg",
            Self::Sketches => "learned_cms_merge",
        }
    }

    fn parameters(self) -> [&'static str; 2] {
        match self {
            Self::Keys => ["key", "model"],
            Self::Sketches => ["sketch", "model"],
        }
    }

    /// Fails unless the model scores keys of this type.
    fn check(self, constants: &Constants, model: &dyn Model, key: &DataType) -> Result<()> {
        // Sketches are checked when they are read, by the oracle's fingerprint. NULL has no keys.
        if self == Self::Keys && !model.accepts(key) && !key.is_null() {
            let expected = format!("{}, which this model scores", model.expected());
            return constants.refuse("key", &expected, &key.to_string());
        }
        Ok(())
    }
}

impl LearnedAggregate {
    /// `learned_cms_agg`.
    pub(crate) fn of_keys(models: &Arc<Models>) -> Result<Self> {
        Self::new(Input::Keys, models)
    }

    /// `learned_cms_merge`.
    pub(crate) fn of_sketches(models: &Arc<Models>) -> Result<Self> {
        Self::new(Input::Sketches, models)
    }

    fn new(input: Input, models: &Arc<Models>) -> Result<Self> {
        let signature = Signature::user_defined(Volatility::Immutable)
            .with_parameter_names(input.parameters().to_vec())?;
        let registry = Registry(Arc::clone(models));
        Ok(Self {
            input,
            registry,
            signature,
        })
    }
}

impl AggregateUDFImpl for LearnedAggregate {
    fn name(&self) -> &str {
        self.input.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let types = Types::new(self.input.function(), found, &self.input.parameters(), 2)?;
        let types = match self.input {
            Input::Keys => types.next("key", check_type)?,
            Input::Sketches => types.next("sketch", argument::sketch)?,
        };
        Ok(types.next("model", argument::string)?.finish())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        let (input, registry) = (self.input, self.registry.clone());
        Some(Box::new(
            move |aggregate: AggregateFunction, context: &SimplifyContext| {
                // Reports an unknown model, or one for other keys, when the query is planned.
                argument::refuse_distinct(input.function(), aggregate.params.distinct)?;
                if let Some(constants) = Constants::of_call(input.function(), &aggregate, 1) {
                    let model = registry.model(&constants, 1)?;
                    let key = context.get_data_type(&aggregate.params.args[0])?;
                    input.check(&constants, model, &key)?;
                }
                Ok(Expr::AggregateFunction(aggregate))
            },
        ))
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        argument::refuse_distinct(self.input.function(), arguments.is_distinct)?;
        let constants = Constants::of_accumulator(self.input.function(), &arguments);
        let model = self.registry.model(&constants, 1)?;
        let key = arguments.expr_fields[0].data_type();
        self.input.check(&constants, model, key)?;
        // All partitions start from the same empty sketch, so that their states can be merged.
        let sketch = model.empty();
        Ok(Box::new(LearnedAccumulator {
            input: self.input,
            sketch: sketch.map_err(|error| constants.failed("model", error))?,
        }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(arguments.name, "sketch");
        Ok(vec![Arc::new(Field::new(name, DataType::Binary, true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct LearnedAccumulator {
    input: Input,
    sketch: Box<dyn LearnedColumn>,
}

impl LearnedAccumulator {
    fn error(&self, argument: &str, error: SketchError) -> datafusion::error::DataFusionError {
        stored::error(self.input.function(), argument, error)
    }

    fn merge(&mut self, column: &ArrayRef, argument: &str) -> Result<()> {
        for bytes in stored::rows(column)?.flatten() {
            let merged = self.sketch.merge_bytes(bytes);
            merged.map_err(|error| self.error(argument, error))?;
        }
        Ok(())
    }
}

impl Accumulator for LearnedAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        match self.input {
            // Nothing but nulls, for instance a column of type NULL.
            Input::Keys if columns[0].null_count() == columns[0].len() => Ok(()),
            Input::Keys => self.sketch.count(&columns[0]),
            Input::Sketches => self.merge(&columns[0], "sketch"),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.merge(&states[0], "state")
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let bytes = self.sketch.to_bytes();
        let bytes = bytes.map_err(|error| self.error("state", error))?;
        Ok(ScalarValue::Binary(Some(bytes)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sketch.memory()
    }
}

/// `learned_cms_estimate(sketch, key, model)` or `learned_cms_coverage(sketch, model)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct LearnedQuery {
    /// `learned_cms_estimate`, not `learned_cms_coverage`.
    of_key: bool,
    registry: Registry,
    signature: Signature,
}

impl LearnedQuery {
    /// `learned_cms_estimate`.
    pub(crate) fn estimate(models: &Arc<Models>) -> Result<Self> {
        Self::new(true, models)
    }

    /// `learned_cms_coverage`.
    pub(crate) fn coverage(models: &Arc<Models>) -> Result<Self> {
        Self::new(false, models)
    }

    fn new(of_key: bool, models: &Arc<Models>) -> Result<Self> {
        let registry = Registry(Arc::clone(models));
        let mut query = Self {
            of_key,
            registry,
            signature: Signature::user_defined(Volatility::Immutable),
        };
        let parameters = query.parameters().to_vec();
        query.signature = query.signature.with_parameter_names(parameters)?;
        Ok(query)
    }

    fn function(&self) -> &'static str {
        if self.of_key {
            "learned_cms_estimate"
        } else {
            "learned_cms_coverage"
        }
    }

    fn parameters(&self) -> &'static [&'static str] {
        if self.of_key {
            &["sketch", "key", "model"]
        } else {
            &["sketch", "model"]
        }
    }

    /// Calls `visit` for each row with a sketch. Equal sketches in consecutive rows are decoded once.
    fn for_each_sketch(
        &self,
        model: &dyn Model,
        sketches: &ArrayRef,
        mut visit: impl FnMut(usize, &dyn LearnedColumn) -> Result<()>,
    ) -> Result<()> {
        // Decoding costs far more than comparing bytes, and a join repeats a sketch in many rows.
        let mut last: Option<(&[u8], Box<dyn LearnedColumn>)> = None;
        for (row, bytes) in stored::rows(sketches)?.enumerate() {
            let Some(bytes) = bytes else { continue };
            let sketch = match last.take() {
                Some((read_from, sketch)) if read_from == bytes => sketch,
                _ => model
                    .read(bytes)
                    .map_err(|error| stored::error(self.function(), "sketch", error))?,
            };
            visit(row, sketch.as_ref())?;
            last = Some((bytes, sketch));
        }
        Ok(())
    }
}

impl ScalarUDFImpl for LearnedQuery {
    fn name(&self) -> &str {
        self.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let parameters = self.parameters();
        let mut types = Types::new(self.function(), found, parameters, parameters.len())?
            .next("sketch", argument::sketch)?;
        if self.of_key {
            types = types.next("key", check_type)?;
        }
        Ok(types.next("model", argument::string)?.finish())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.of_key {
            DataType::UInt64
        } else {
            DataType::Float64
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // The model is the last argument of both functions.
        let constants = Constants::of_values(self.function(), &arguments.args);
        let model = self
            .registry
            .model(&constants, self.parameters().len() - 1)?;
        let rows = arguments.number_rows;
        // A constant sketch is an array of one row here: it is not repeated for all rows.
        let one_sketch = matches!(arguments.args[0], ColumnarValue::Scalar(_));
        let sketches = arguments.args[0].to_array(if one_sketch { 1 } else { rows })?;
        // The coverage: one value per sketch.
        if !self.of_key {
            let mut coverage = vec![None; sketches.len()];
            self.for_each_sketch(model, &sketches, |row, sketch| {
                coverage[row] = Some(sketch.coverage());
                Ok(())
            })?;
            let coverage: ArrayRef = Arc::new(Float64Array::from(coverage));
            return repeat(&coverage, one_sketch);
        }
        // The estimates: one sketch for all keys in one pass, or one sketch per row.
        let keys = arguments.args[1].to_array(rows)?;
        Input::Keys.check(&constants, model, keys.data_type())?;
        let mut estimates = vec![None; rows];
        self.for_each_sketch(model, &sketches, |row, sketch| {
            if one_sketch {
                estimates = sketch.estimates(&keys)?;
            } else {
                estimates[row] = sketch.estimates(&keys.slice(row, 1))?[0];
            }
            Ok(())
        })?;
        Ok(ColumnarValue::Array(Arc::new(UInt64Array::from(estimates))))
    }
}

/// One value for all rows, or one per row.
fn repeat(values: &ArrayRef, one: bool) -> Result<ColumnarValue> {
    Ok(if one {
        ColumnarValue::Scalar(ScalarValue::try_from_array(values, 0)?)
    } else {
        ColumnarValue::Array(Arc::clone(values))
    })
}
