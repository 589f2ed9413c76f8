//! `cms_agg` and `cms_agg_weighted`: count the keys of a column in a count-min sketch.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Expr, GroupsAccumulator, Signature, Volatility,
};
use septet_sketch::FrequencySketch;
use septet_sketch::count_min::{CountMin, MAX_DEPTH, UpdateRule};

use crate::argument::{self, Constants, Types};
use crate::counting::{CountAccumulator, CountGroupsAccumulator, Counter};
use crate::key::check_type;
use crate::stored;

/// `cms_agg(key, epsilon, confidence[, seed])` or, weighted,
/// `cms_agg_weighted(key, weight, epsilon, confidence[, seed])`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CountMinAggregate {
    call: Call,
    signature: Signature,
}

/// Selects one of the two functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Call {
    weighted: bool,
}

impl CountMinAggregate {
    /// `cms_agg`, or `cms_agg_weighted`.
    pub(crate) fn new(weighted: bool) -> Result<Self> {
        let call = Call { weighted };
        let signature = Signature::user_defined(Volatility::Immutable)
            .with_parameter_names(call.parameters().to_vec())?;
        Ok(Self { call, signature })
    }

    fn counter(&self, arguments: &AccumulatorArgs<'_>) -> Result<Counter> {
        let name = self.call.name();
        argument::refuse_distinct(name, arguments.is_distinct)?;
        self.call
            .counter(&Constants::of_accumulator(name, arguments))
    }
}

impl Call {
    fn name(self) -> &'static str {
        if self.weighted {
            "cms_agg_weighted"
        } else {
            "cms_agg"
        }
    }

    fn parameters(self) -> &'static [&'static str] {
        if self.weighted {
            &["key", "weight", "epsilon", "confidence", "seed"]
        } else {
            &["key", "epsilon", "confidence", "seed"]
        }
    }

    /// The position of `epsilon`, after the columns.
    fn first_constant(self) -> usize {
        if self.weighted { 2 } else { 1 }
    }

    /// The sketches for these constants: their estimates exceed the true count by more than `epsilon`
    /// times the total with probability at most `1 - confidence`.
    fn counter(self, constants: &Constants) -> Result<Counter> {
        let first = self.first_constant();
        let epsilon = constants.fraction(first, "epsilon")?;
        let confidence = constants.fraction(first + 1, "confidence")?;
        let seed = if constants.len() > first + 2 {
            constants.integer(first + 2, "seed", 0..=u64::MAX)?
        } else {
            0
        };
        // ln(1 / delta) rows of e / epsilon counters, with delta = 1 - confidence (G. Cormode and
        // S. Muthukrishnan, "An improved data stream summary", 2005). The depth is limited; the
        // builder's own error would name its parameter `delta`.
        let rows = -(1.0 - confidence).ln();
        if rows > MAX_DEPTH as f64 {
            let max = 1.0 - (-(MAX_DEPTH as f64)).exp();
            let expected = format!("at most {max:.8}, which takes {MAX_DEPTH} rows");
            return constants.refuse("confidence", &expected, &confidence.to_string());
        }
        // Check the size before anything is allocated.
        let bytes = rows.ceil() * (std::f64::consts::E / epsilon).ceil() * size_of::<u64>() as f64;
        if bytes > stored::MAX_BYTES as f64 {
            let expected = "a value for which the sketch fits into 1 GiB";
            let found = format!(
                "{epsilon}, which takes {:.1} GiB",
                bytes / f64::from(1 << 30)
            );
            return constants.refuse("epsilon", expected, &found);
        }
        let sketch = CountMin::builder()
            .error(epsilon, 1.0 - confidence)
            // Conservative update errs less, but depends on the order of rows and does not merge
            // exactly.
            .update_rule(UpdateRule::Plain)
            .seed(seed);
        // Building one sketch validates the parameters, and gives its size.
        let empty = sketch.clone().build();
        let empty = empty.map_err(|error| constants.failed("epsilon", error))?;
        Ok(Counter {
            function: self.name(),
            weighted: self.weighted,
            sketch,
            seed,
            sketch_bytes: empty.size_bytes(),
        })
    }
}

impl AggregateUDFImpl for CountMinAggregate {
    fn name(&self) -> &str {
        self.call.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let call = self.call;
        // Only the seed is optional.
        let required = call.parameters().len() - 1;
        let mut types =
            Types::new(call.name(), found, call.parameters(), required)?.next("key", check_type)?;
        if call.weighted {
            types = types.next("weight", argument::integer)?;
        }
        let types = types
            .next("epsilon", argument::number)?
            .next("confidence", argument::number)?
            .next("seed", argument::integer)?;
        Ok(types.finish())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        let call = self.call;
        Some(Box::new(
            move |aggregate: AggregateFunction, _: &SimplifyContext| {
                // Checks the constants when the query is planned; the call itself stays as it is.
                argument::refuse_distinct(call.name(), aggregate.params.distinct)?;
                let first = call.first_constant();
                if let Some(constants) = Constants::of_call(call.name(), &aggregate, first) {
                    call.counter(&constants)?;
                }
                Ok(Expr::AggregateFunction(aggregate))
            },
        ))
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(CountAccumulator::new(self.counter(&arguments)?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(CountGroupsAccumulator::new(
            self.counter(&arguments)?,
        )))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(arguments.name, "sketch");
        Ok(vec![Arc::new(Field::new(name, DataType::Binary, true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
