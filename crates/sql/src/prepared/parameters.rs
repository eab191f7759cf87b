//! The values of parameters that several questions share.

use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;

use crate::SqlError;

/// The values of `$1`, `$2`, …
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    values: Vec<ScalarValue>,
    /// The same, each as the one row that expressions are worked out over, once it was asked for: where many are worked out together, it is not.
    arrays: Vec<OnceLock<ArrayRef>>,
}

impl Parameters {
    /// These values, in order.
    pub fn new(values: Vec<ScalarValue>) -> Parameters {
        let arrays = values.iter().map(|_| OnceLock::new()).collect();
        Parameters { values, arrays }
    }

    /// One more.
    pub fn push(&mut self, value: ScalarValue) {
        self.arrays.push(OnceLock::new());
        self.values.push(value);
    }

    /// The values.
    pub fn values(&self) -> &[ScalarValue] {
        &self.values
    }

    pub(super) fn arrays(&self) -> Result<Vec<ArrayRef>, SqlError> {
        let array = |(value, known): (&ScalarValue, &OnceLock<ArrayRef>)| {
            if let Some(array) = known.get() {
                return Ok(Arc::clone(array));
            }
            let array = value.to_array()?;
            Ok(Arc::clone(known.get_or_init(|| array)))
        };
        self.values.iter().zip(&self.arrays).map(array).collect()
    }
}
