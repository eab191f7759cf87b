//! The values of parameters that several questions share.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;

use crate::SqlError;

/// The values of `$1`, `$2`, …
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    values: Vec<ScalarValue>,
    /// The same, each as the one row that expressions are worked out over.
    arrays: Vec<ArrayRef>,
}

impl Parameters {
    /// These values, in order.
    pub fn new(values: Vec<ScalarValue>) -> Result<Parameters, SqlError> {
        let arrays: Vec<ArrayRef> = values.iter().map(ScalarValue::to_array).collect::<Result<_, _>>()?;
        Ok(Parameters { values, arrays })
    }

    /// One more.
    pub fn push(&mut self, value: ScalarValue) -> Result<(), SqlError> {
        self.arrays.push(value.to_array()?);
        self.values.push(value);
        Ok(())
    }

    /// The values.
    pub fn values(&self) -> &[ScalarValue] {
        &self.values
    }

    pub(super) fn arrays(&self) -> &[ArrayRef] {
        &self.arrays
    }
}
