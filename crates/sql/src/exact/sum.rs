//! `sum` that does not wrap: of whole numbers it is a DECIMAL, as PostgreSQL's of a BIGINT is a numeric.
//! Types are coerced more than once on a plan's way: what one round gives, the next must leave as it is.
//! Everything else is the query engine's own `sum`. A DECIMAL's sum has ten digits more than its argument: past 38 digits it is counted in 256 bits
//! (see [`super::wide`]).

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::wide::{WideSums, Widened};

/// Holds every 64-bit integer; its sums have 30 digits, enough for more events than there can be.
pub(super) const OF_INTEGERS: DataType = DataType::Decimal128(20, 0);

/// A DECIMAL of more digits is summed in 256 bits: ten digits more are enough for more events than there can be.
const DIGITS_OF_128_BITS: u8 = DECIMAL128_MAX_PRECISION - 10;

/// The function.
pub(crate) fn exact_sum() -> AggregateUDF {
    AggregateUDF::from(ExactSum {
        inner: sum_udaf(),
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSum {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl AggregateUDFImpl for ExactSum {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = arguments else {
            return plan_err!("sum takes one argument, not {}", arguments.len());
        };
        let coerced = match argument {
            integer if integer.is_integer() => OF_INTEGERS,
            float if float.is_floating() => DataType::Float64,
            exact if exact.is_decimal() => exact.clone(),
            DataType::Null => OF_INTEGERS,
            span @ (DataType::Duration(_) | DataType::Interval(_)) => span.clone(),
            other => return plan_err!("sum is of numbers, not of {other}"),
        };
        Ok(vec![coerced])
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first().and_then(widened) {
            Some(wide) => self.inner.return_type(&[wide]),
            None => self.inner.return_type(arguments),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let wide = widened_argument(&args);
        widening(self.inner.accumulator(args)?, wide)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match widened_argument(&args) {
            Some(_) => Ok(Box::new(WideSums::new(args.return_field.data_type().clone()))),
            None => self.inner.create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let wide = widened_argument(&args);
        widening(self.inner.create_sliding_accumulator(args)?, wide)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// The type in which values of a type are summed, where it is a wider one.
fn widened(argument: &DataType) -> Option<DataType> {
    match argument {
        DataType::Decimal128(precision, scale) if *precision > DIGITS_OF_128_BITS => {
            Some(DataType::Decimal256(*precision, *scale))
        }
        _ => None,
    }
}

fn widened_argument(args: &AccumulatorArgs) -> Option<DataType> {
    args.expr_fields.first().and_then(|field| widened(field.data_type()))
}

fn widening(inner: Box<dyn Accumulator>, wide: Option<DataType>) -> Result<Box<dyn Accumulator>> {
    Ok(match wide {
        Some(values) => Box::new(Widened::new(inner, values)),
        None => inner,
    })
}
