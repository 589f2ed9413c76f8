//! `cms_merge(sketch)`: the sum of stored count-min sketches.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use crate::argument::{self, Types};
use crate::stored::{self, Stored};

const NAME: &str = "cms_merge";

/// `cms_merge(sketch)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MergeAggregate {
    signature: Signature,
}

impl MergeAggregate {
    pub(crate) fn new() -> Result<Self> {
        let signature =
            Signature::user_defined(Volatility::Immutable).with_parameter_names(vec!["sketch"])?;
        Ok(Self { signature })
    }
}

impl AggregateUDFImpl for MergeAggregate {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let types = Types::new(NAME, found, &["sketch"], 1)?.next("sketch", argument::sketch)?;
        Ok(types.finish())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        argument::refuse_distinct(NAME, arguments.is_distinct)?;
        Ok(Box::new(MergeAccumulator { sum: None }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(arguments.name, "sketch");
        Ok(vec![Arc::new(Field::new(name, DataType::Binary, true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The sum so far; `None` before the first sketch, which determines the dimensions.
#[derive(Debug)]
struct MergeAccumulator {
    sum: Option<Stored>,
}

impl Accumulator for MergeAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for bytes in stored::rows(&columns[0])?.flatten() {
            let named = |error| stored::error(NAME, "sketch", error);
            let sketch = Stored::read(bytes).map_err(named)?;
            match &mut self.sum {
                Some(sum) => sum.merge(&sketch).map_err(named)?,
                None => self.sum = Some(sketch),
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        // A state is a stored sketch, as the input is.
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let bytes = self.sum.as_ref().map(Stored::to_bytes).transpose();
        let bytes = bytes.map_err(|error| stored::error(NAME, "sketch", error))?;
        Ok(ScalarValue::Binary(bytes))
    }

    fn size(&self) -> usize {
        let counters = self.sum.as_ref().map(|sum| sum.sketch().size_bytes());
        size_of_val(self) + counters.unwrap_or(0)
    }
}
