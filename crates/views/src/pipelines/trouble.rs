//! What keeps results from being made.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use crate::Panicked;

/// What keeps results from being made.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is an event's: it is parked.
    Event(String),
    /// It may pass: the same is tried again.
    Wait(String),
    /// It stops the pipeline.
    Pipeline(String),
}

impl From<DataFusionError> for Trouble {
    fn from(error: DataFusionError) -> Trouble {
        Trouble::Event(crate::error::why(&error))
    }
}

impl From<Panicked> for Trouble {
    fn from(panicked: Panicked) -> Trouble {
        Trouble::Event(panicked.to_string())
    }
}

impl From<ArrowError> for Trouble {
    fn from(error: ArrowError) -> Trouble {
        Trouble::Event(crate::error::why_not(&error))
    }
}
