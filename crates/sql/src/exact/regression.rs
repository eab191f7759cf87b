//! `regr_r2(y, x)` where y does not change: as PostgreSQL has it, a line through all of it is found, and it is 1. (Of the query engine it is NULL.)

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::regr::regr_r2_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};

/// The function.
pub(crate) fn exact_regression() -> AggregateUDF {
    AggregateUDF::from(Explained { inner: regr_r2_udaf() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Explained {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Explained {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(ExplainedValues(self.inner.accumulator(args)?)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }
}

#[derive(Debug)]
struct ExplainedValues(Box<dyn Accumulator>);

impl Accumulator for ExplainedValues {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // The count, both means, and how far x and y are from them.
        if let [
            _,
            _,
            _,
            ScalarValue::Float64(Some(of_x)),
            ScalarValue::Float64(Some(of_y)),
            ..,
        ] = self.0.state()?.as_slice()
            && *of_x > 0.0
            && *of_y == 0.0
        {
            return Ok(ScalarValue::Float64(Some(1.0)));
        }
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }
}
