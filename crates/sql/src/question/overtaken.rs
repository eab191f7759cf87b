//! Questions that are overtaken: a version of a view takes the place of the one that they were planned for, before they have read it. They are asked
//! again, of that one.

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};

use crate::limits::OVERTAKEN_MAX;
use crate::{SqlError, SqlState};

/// Asks, and asks again for as long as that is overtaken.
pub(crate) async fn again<T, F>(mut ask: impl FnMut() -> F) -> Result<T, SqlError>
where
    F: Future<Output = Result<T, SqlError>>,
{
    for _ in 0..OVERTAKEN_MAX {
        match ask().await {
            Err(error) if is_overtaken(&error) => {}
            answer => return answer,
        }
    }
    ask().await
}

/// Whether a question failed of that alone.
fn is_overtaken(error: &SqlError) -> bool {
    error.state == SqlState::CONFLICT
}

/// The answer with its first rows made: what is read of views is read then.
pub(crate) async fn begun(rows: SendableRecordBatchStream) -> Result<SendableRecordBatchStream, SqlError> {
    let schema = rows.schema();
    // Some have no rows at all, and what has ended is not asked for more.
    let mut rows = rows.fuse();
    let first = match rows.next().await {
        Some(Err(error)) => match SqlError::from(error) {
            error if is_overtaken(&error) => return Err(error),
            error => Some(Err(error.into())),
        },
        first => first,
    };
    let rows = stream::iter(first).chain(rows);
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Schema;
    use futures::FutureExt;

    use super::*;

    /// What comes of a question that is overtaken so many times, and how often it was asked.
    fn asked(overtaken: usize, then: Result<(), SqlError>) -> (Result<(), SqlError>, usize) {
        let times = Cell::new(0);
        let answer = again(|| {
            times.set(times.get() + 1);
            let is_overtaken = times.get() <= overtaken;
            let then = then.clone();
            async move {
                match is_overtaken {
                    true => Err(SqlError::new(SqlState::CONFLICT, "a newer version")),
                    false => then,
                }
            }
        });
        (answer.now_or_never().expect("nothing is waited for"), times.get())
    }

    #[test]
    fn what_is_overtaken_is_asked_again_and_nothing_else() {
        let other = SqlError::new(SqlState::IO, "no");
        assert_eq!(asked(0, Ok(())), (Ok(()), 1));
        assert_eq!(asked(0, Err(other.clone())), (Err(other.clone()), 1));
        assert_eq!(asked(OVERTAKEN_MAX, Ok(())), (Ok(()), OVERTAKEN_MAX + 1));
        assert_eq!(asked(1, Err(other.clone())), (Err(other), 2));
        let (answer, times) = asked(OVERTAKEN_MAX + 1, Ok(()));
        assert_eq!(answer.map_err(|error| error.state), Err(SqlState::CONFLICT));
        assert_eq!(times, OVERTAKEN_MAX + 1);
    }

    #[test]
    fn an_answer_without_rows_is_asked_for_its_end_once() {
        let mut has_ended = false;
        let ends_once = stream::poll_fn(move |_| {
            assert!(!std::mem::replace(&mut has_ended, true), "it has ended");
            std::task::Poll::Ready(None)
        });
        let rows = RecordBatchStreamAdapter::new(Arc::new(Schema::empty()), ends_once);
        let rows = begun(Box::pin(rows)).now_or_never().expect("nothing is waited for");
        let mut rows = rows.expect("an answer");
        assert!(rows.next().now_or_never().expect("nothing is waited for").is_none());
    }
}
