//! Constant arguments, which determine the parameters of a sketch.
//!
//! They are read twice. The optimizer passes the expressions of a call to
//! [`AggregateUDFImpl::simplify`](datafusion::logical_expr::AggregateUDFImpl::simplify); an invalid
//! constant is reported there, before the query runs. An accumulator reads them again when it is
//! created.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err, plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{ColumnarValue, Expr};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use septet_sketch::SketchError;

use crate::stored;

/// The constants among the arguments of a call, by position.
#[derive(Debug)]
pub(crate) struct Constants {
    function: &'static str,
    values: Vec<Option<ScalarValue>>,
}

impl Constants {
    /// Those of a call in the optimizer; `None` if one of the arguments from `first` on is a parameter of
    /// a prepared statement, which is not known yet.
    pub(crate) fn of_call(
        function: &'static str,
        call: &AggregateFunction,
        first: usize,
    ) -> Option<Self> {
        let AggregateFunctionParams { args, .. } = &call.params;
        // A placeholder gets its value later; then the accumulator checks it.
        let open = |argument: &Expr| matches!(argument, Expr::Placeholder(_));
        if args.iter().skip(first).any(open) {
            return None;
        }
        let values = args.iter().map(|argument| match argument {
            Expr::Literal(value, _) => Some(value.clone()),
            _ => None,
        });
        Some(Self {
            function,
            values: values.collect(),
        })
    }

    /// Those of the call of an accumulator.
    pub(crate) fn of_accumulator(function: &'static str, arguments: &AccumulatorArgs<'_>) -> Self {
        let value = |argument: &Arc<dyn PhysicalExpr>| {
            argument
                .downcast_ref::<Literal>()
                .map(|literal| literal.value().clone())
        };
        Self {
            function,
            values: arguments.exprs.iter().map(value).collect(),
        }
    }

    /// Those of a call of a scalar function.
    pub(crate) fn of_values(function: &'static str, arguments: &[ColumnarValue]) -> Self {
        let value = |argument: &ColumnarValue| match argument {
            ColumnarValue::Scalar(value) => Some(value.clone()),
            ColumnarValue::Array(_) => None,
        };
        Self {
            function,
            values: arguments.iter().map(value).collect(),
        }
    }

    /// The number of arguments of the call, constant or not.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    fn value(&self, position: usize, argument: &str) -> Result<&ScalarValue> {
        match self.values.get(position) {
            Some(Some(value)) if !value.is_null() => Ok(value),
            Some(Some(_)) => self.refuse(argument, "a constant", "NULL"),
            _ => self.refuse(argument, "a constant", "an expression that depends on rows"),
        }
    }

    /// A number between 0 and 1, exclusive.
    pub(crate) fn fraction(&self, position: usize, argument: &str) -> Result<f64> {
        match self.value(position, argument)?.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(Some(number))) if number > 0.0 && number < 1.0 => Ok(number),
            Ok(ScalarValue::Float64(Some(number))) => self.refuse(
                argument,
                "a number above 0 and below 1",
                &number.to_string(),
            ),
            _ => self.refuse(argument, "a number above 0 and below 1", "another type"),
        }
    }

    /// An integer in a range.
    pub(crate) fn integer(
        &self,
        position: usize,
        argument: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64> {
        let value = self.value(position, argument)?;
        match value.cast_to(&DataType::UInt64) {
            // A negative number does not fit the type: the cast fails or gives NULL.
            Ok(ScalarValue::UInt64(Some(number))) if range.contains(&number) => Ok(number),
            _ => {
                let (min, max) = range.into_inner();
                let expected = format!("an integer from {min} to {max}");
                self.refuse(argument, &expected, &value.to_string())
            }
        }
    }

    /// A string.
    pub(crate) fn string(&self, position: usize, argument: &str) -> Result<&str> {
        let value = self.value(position, argument)?;
        match value.try_as_str() {
            Some(Some(string)) => Ok(string),
            _ => self.refuse(argument, "a string", &value.to_string()),
        }
    }

    /// The error for a constant that the sketch itself refuses.
    pub(crate) fn failed(&self, argument: &str, error: SketchError) -> DataFusionError {
        stored::error(self.function, argument, error)
    }

    /// The error for an invalid argument.
    pub(crate) fn refuse<T>(&self, argument: &str, expected: &str, found: &str) -> Result<T> {
        let function = self.function;
        plan_err!("{function}: {argument}: expected {expected}, found {found}")
    }
}

/// The types of the arguments of a call, checked in order.
#[derive(Debug)]
pub(crate) struct Types<'a> {
    function: &'static str,
    found: &'a [DataType],
    accepted: Vec<DataType>,
}

impl<'a> Types<'a> {
    /// The types of a call with the parameters `names`, of which the first `required` are required.
    pub(crate) fn new(
        function: &'static str,
        found: &'a [DataType],
        names: &[&str],
        required: usize,
    ) -> Result<Self> {
        if (required..=names.len()).contains(&found.len()) {
            Ok(Self {
                function,
                found,
                accepted: Vec::new(),
            })
        } else {
            // The message shows the form of a correct call, with optional arguments in brackets.
            let (required, optional) = names.split_at(required);
            let mut form = required.join(", ");
            for name in optional {
                form += &format!("[, {name}]");
            }
            plan_err!(
                "{function}: expected {function}({form}), found {} arguments",
                found.len()
            )
        }
    }

    /// Coerces the next argument, if present, to the type that `accept` returns.
    pub(crate) fn next(
        mut self,
        argument: &str,
        accept: impl FnOnce(&str, &str, &DataType) -> Result<DataType>,
    ) -> Result<Self> {
        if let Some(found) = self.found.get(self.accepted.len()) {
            self.accepted.push(accept(self.function, argument, found)?);
        }
        Ok(self)
    }

    /// The types to which the arguments are coerced.
    pub(crate) fn finish(self) -> Vec<DataType> {
        self.accepted
    }
}

/// A number, as a double.
pub(crate) fn number(function: &str, argument: &str, found: &DataType) -> Result<DataType> {
    if found.is_numeric() || found.is_null() {
        Ok(DataType::Float64)
    } else {
        Err(unfit(function, argument, "a number", found))
    }
}

/// An integer, widened to 64 bits.
pub(crate) fn integer(function: &str, argument: &str, found: &DataType) -> Result<DataType> {
    if found.is_unsigned_integer() {
        Ok(DataType::UInt64)
    } else if found.is_signed_integer() || found.is_null() {
        Ok(DataType::Int64)
    } else {
        Err(unfit(function, argument, "an integer", found))
    }
}

/// A string.
pub(crate) fn string(function: &str, argument: &str, found: &DataType) -> Result<DataType> {
    if found.is_string() {
        Ok(DataType::Utf8)
    } else {
        Err(unfit(function, argument, "a string", found))
    }
}

/// A stored sketch: binary in any layout.
pub(crate) fn sketch(function: &str, argument: &str, found: &DataType) -> Result<DataType> {
    match found {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Ok(found.clone()),
        DataType::FixedSizeBinary(_) | DataType::Null => Ok(DataType::Binary),
        _ => Err(unfit(function, argument, "a stored sketch (binary)", found)),
    }
}

fn unfit(function: &str, argument: &str, expected: &str, found: &DataType) -> DataFusionError {
    plan_datafusion_err!("{function}: {argument}: expected {expected}, found {found}")
}

/// Refuses `DISTINCT`, which would require a set of all keys.
pub(crate) fn refuse_distinct(function: &str, distinct: bool) -> Result<()> {
    if distinct {
        plan_err!("{function}: DISTINCT is not supported: a sketch counts occurrences")
    } else {
        Ok(())
    }
}

/// The error for a number of arguments that the planner should have refused.
pub(crate) fn wrong_number<T>(function: &str, found: usize) -> Result<T> {
    internal_err!("{function} was called with {found} arguments")
}
