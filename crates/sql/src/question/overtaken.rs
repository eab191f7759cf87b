//! Questions that are overtaken: a version of a view takes the place of the one that they were planned for, before they have read it. They are asked
//! again, of that one.

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};

use crate::{SqlError, SqlState};

/// How often a question is asked again: a view is replaced now and then, and not several times while one question is planned.
pub(crate) const OVERTAKEN_MAX: usize = 3;

/// Whether a question failed of that alone.
pub(crate) fn is_overtaken(error: &SqlError) -> bool {
    error.state == SqlState::CONFLICT
}

/// The answer with its first rows made: what is read of views is read then.
pub(crate) async fn begun(mut rows: SendableRecordBatchStream) -> Result<SendableRecordBatchStream, SqlError> {
    let first = match rows.next().await {
        Some(Err(error)) => match SqlError::from(error) {
            error if is_overtaken(&error) => return Err(error),
            error => Some(Err(error.into())),
        },
        first => first,
    };
    let schema = rows.schema();
    let rows = stream::iter(first).chain(rows);
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}
