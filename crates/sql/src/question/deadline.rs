//! How long a statement may take, and that it ends when nobody waits for its rows.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use super::interrupt::Stop;
use crate::{Session, SqlError, SqlState};

/// How many batches of an answer may wait for their reader.
const BATCHES_WAITING: usize = 2;

/// The end of a statement's time, where it has one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Option<(Instant, Duration)>,
}

impl Deadline {
    /// Counted from now.
    pub(crate) fn new(session: &Session) -> Deadline {
        Deadline {
            at: session
                .timeout
                .and_then(|timeout| Some((Instant::now().checked_add(timeout)?, timeout))),
        }
    }

    /// What is left.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.at.map(|(at, _)| at.saturating_duration_since(Instant::now()))
    }

    /// Does a step, or gives up at the deadline.
    pub(crate) async fn of<T>(&self, step: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
        match self.at {
            None => step.await,
            Some((at, timeout)) => match tokio::time::timeout_at(at, step).await {
                Ok(done) => done,
                Err(_) => Err(late(timeout)),
            },
        }
    }

    /// The rows, cut off with an error at the deadline. `stop`: of a plan that heeds it, and is told where the rows are dropped before their end.
    pub(crate) fn bound(&self, rows: SendableRecordBatchStream, stop: Option<Stop>) -> SendableRecordBatchStream {
        if self.at.is_none() && stop.is_none() {
            return rows;
        }
        Box::pin(Bounded {
            schema: rows.schema(),
            rows: Some(Computed {
                rows: beside(rows),
                stop,
            }),
            end: self
                .at
                .map(|(at, timeout)| (Box::pin(tokio::time::sleep_until(at)), timeout)),
        })
    }
}

/// The rows, computed by a task of their own: one long step of it does not keep the deadline from being seen. Dropping the rows ends the task.
fn beside(mut rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let mut builder = RecordBatchReceiverStreamBuilder::new(rows.schema(), BATCHES_WAITING);
    let send = builder.tx();
    builder.spawn(async move {
        while let Some(batch) = rows.next().await {
            if send.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    });
    builder.build()
}

fn late(timeout: Duration) -> SqlError {
    let message = format!(
        "the statement was canceled after {} ms, its time limit",
        timeout.as_millis()
    );
    SqlError::new(SqlState::CANCELED, message).hint("ask for less, or raise the limit")
}

/// Rows that a task computes, and how it is told to end.
struct Computed {
    rows: SendableRecordBatchStream,
    stop: Option<Stop>,
}

impl Drop for Computed {
    fn drop(&mut self) {
        if let Some(stop) = &self.stop {
            stop.now();
        }
    }
}

/// Rows with a deadline.
struct Bounded {
    /// Dropped at the deadline, which stops whoever computes them.
    rows: Option<Computed>,
    schema: SchemaRef,
    end: Option<(Pin<Box<Sleep>>, Duration)>,
}

impl Stream for Bounded {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        let this = &mut *self;
        let Some(computed) = &mut this.rows else {
            return Poll::Ready(None);
        };
        if let Some((sleep, timeout)) = &mut this.end
            && sleep.as_mut().poll(context).is_ready()
        {
            let error = late(*timeout);
            this.rows = None;
            return Poll::Ready(Some(Err(error.into())));
        }
        computed.rows.as_mut().poll_next(context)
    }
}

impl RecordBatchStream for Bounded {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}
