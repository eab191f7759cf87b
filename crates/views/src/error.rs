//! Why a view was not made, or not read.

use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use headwater_records::Position;
use headwater_stores::StoreError;

use crate::Panicked;

/// Why a view was not made or not read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ViewError {
    /// Its query contains what cannot be kept exact event by event.
    #[error("{part} cannot be kept up to date event by event{hint}")]
    Refused {
        /// The part of the query.
        part: String,
        /// What to do.
        hint: String,
    },
    /// A pipeline's query contains what does not follow from one event and the rows that it finds.
    #[error("{part} has no place in a pipeline: {way_out}")]
    Pipeline {
        /// The part of the query.
        part: String,
        /// What to do.
        way_out: String,
    },
    /// The view had not got there in time.
    #[error(
        "the view '{view}' {} and did not reach {wanted} within {waited_ms} ms",
        standing(at)
    )]
    Late {
        /// The view.
        view: String,
        /// Where it is.
        at: Position,
        /// What was waited for.
        wanted: Position,
        /// How long.
        waited_ms: u64,
    },
    /// The view stopped.
    #[error("the view '{view}' stopped: {why}")]
    Stopped {
        /// The view.
        view: String,
        /// What went wrong.
        why: String,
    },
    /// Another version took the view's place while it was asked.
    #[error("the view '{view}' was replaced by a newer version just now; ask again")]
    Replaced {
        /// The view.
        view: String,
    },
    /// Its rows are those of how its stream was read before it was defined otherwise: no decision rests on them.
    #[error(
        "the view '{view}' has the rows of how its stream was read before that was altered: nothing is decided on them; ask again when SHOW VIEWS says that it is built anew"
    )]
    Outdated {
        /// The view.
        view: String,
    },
    /// The view is being built, or catches up after a start: what it has is not yet what was asked for.
    #[error(
        "the view '{view}' is being built: {folded} of {total} events are folded; ask again when SHOW VIEWS says that it is done"
    )]
    Building {
        /// The view.
        view: String,
        /// Events folded.
        folded: u64,
        /// Events to fold.
        total: u64,
    },
    /// Its shape cannot be made of its rows, or what is asked of the shape is too much for it.
    #[error("{part} is not possible: {hint}")]
    Unfit {
        /// What was asked for.
        part: String,
        /// What to do.
        hint: String,
    },
    /// What its table lies in does not answer: that is tried again.
    #[error("{0}")]
    Unanswered(String),
    /// What was asked of it is too much, or nothing that it can answer.
    #[error("{0}")]
    Asked(String),
    /// A row cannot be worked out from what is kept of it: a division by zero, a number that its type does not hold.
    #[error("{row} of the view '{view}' cannot be worked out: {}", why(error))]
    Row {
        /// The row, with its key.
        row: String,
        /// The view.
        view: String,
        /// Why.
        error: Arc<DataFusionError>,
    },
    /// What it folded cannot be written as the disk is full, or no more files can be opened: it is tried again.
    #[error("{0}; it goes on by itself when that is over")]
    Full(String),
    /// The program broke off over what it worked out.
    #[error(transparent)]
    BrokeOff(#[from] Panicked),
    /// The query engine or the store failed.
    #[error("{0}")]
    Failed(String),
}

/// Why an event cannot be worked out, without the names of the layers that said so.
pub(crate) fn why(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => why_not(error),
        DataFusionError::External(error) => error.to_string(),
        _ => error.strip_backtrace(),
    }
}

/// The same of an error of a column's kernel.
pub(crate) fn why_not(error: &ArrowError) -> String {
    match error {
        ArrowError::DivideByZero => "division by zero".to_owned(),
        ArrowError::ArithmeticOverflow(why)
        | ArrowError::CastError(why)
        | ArrowError::ComputeError(why)
        | ArrowError::InvalidArgumentError(why)
        | ArrowError::ParseError(why) => why.clone(),
        other => other.to_string(),
    }
}

/// Where a view is, in words.
fn standing(at: &Position) -> String {
    match at.is_empty() {
        true => "is at the beginning".to_owned(),
        false => format!("is at {at}"),
    }
}

impl From<DataFusionError> for ViewError {
    fn from(error: DataFusionError) -> ViewError {
        ViewError::Failed(error.strip_backtrace())
    }
}

impl From<StoreError> for ViewError {
    fn from(error: StoreError) -> ViewError {
        match error {
            StoreError::Refused(why) => ViewError::Asked(why),
            StoreError::Full { .. } => ViewError::Full(error.to_string()),
            StoreError::Failed { .. } => ViewError::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_an_event_cannot_be_worked_out_names_no_layer() {
        let check = |error: ArrowError, expected: &str| {
            assert_eq!(why(&DataFusionError::from(error)), expected);
        };
        check(ArrowError::DivideByZero, "division by zero");
        check(ArrowError::CastError("cannot cast 'x'".to_owned()), "cannot cast 'x'");
        let context = DataFusionError::from(ArrowError::DivideByZero).context("in a step");
        assert_eq!(why(&context), "division by zero");
    }
}
