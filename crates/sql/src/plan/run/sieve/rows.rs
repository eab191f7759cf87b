//! Rows that pass filters, each of which is asked as long as it is worth it.
//!
//! A filter of a join costs about as much as looking a row up in the join itself. One that lets most rows of a batch through is left out of the next one, and then of two, four
//! and more, as long as it does not do better: a stretch of rows may be unlike the one before, and some filters become narrower while the plan runs.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::{AsArray, BooleanArray};
use datafusion::arrow::compute::{BatchCoalescer, filter_record_batch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::BaselineMetrics;
use futures::{Stream, StreamExt};

/// A filter that keeps more than so many of a hundred rows is not worth asking.
const KEPT_PERCENT_MAX: usize = 70;
/// The most batches for which one is left out before it is tried again.
const LEFT_OUT_MAX: u32 = 32;

/// The rows of a stream that pass the filters, in batches of about `batch_rows`.
pub(super) fn sifted(
    rows: SendableRecordBatchStream,
    filters: &[Arc<dyn PhysicalExpr>],
    batch_rows: usize,
    metrics: BaselineMetrics,
) -> SendableRecordBatchStream {
    let asked = |filter: &Arc<dyn PhysicalExpr>| Asked {
        filter: Arc::clone(filter),
        left_out: 0,
        left_out_next: 1,
    };
    let gathered = BatchCoalescer::new(rows.schema(), batch_rows);
    Box::pin(Sifted {
        filters: filters.iter().map(asked).collect(),
        // Few rows of many batches become one batch; what is large already is passed on.
        gathered: gathered.with_biggest_coalesce_batch_size(Some(batch_rows / 2)),
        rows: Some(rows),
        metrics,
    })
}

/// A filter, and for how many batches it is not asked.
struct Asked {
    filter: Arc<dyn PhysicalExpr>,
    left_out: u32,
    /// For how many it will not be, where it is not worth it the next time.
    left_out_next: u32,
}

impl Asked {
    /// Which rows pass; `None`: all of them do, or it is not asked.
    fn passes(&mut self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        if self.left_out > 0 {
            self.left_out -= 1;
            return Ok(None);
        }
        // Before the join knows its keys the filter is a constant.
        let ColumnarValue::Array(passes) = self.filter.evaluate(batch)? else {
            return Ok(None);
        };
        let passes = passes.as_boolean();
        let kept = passes.true_count();
        if kept * 100 > batch.num_rows() * KEPT_PERCENT_MAX {
            self.left_out = self.left_out_next;
            self.left_out_next = LEFT_OUT_MAX.min(2 * self.left_out);
        } else {
            self.left_out_next = 1;
        }
        Ok((kept < batch.num_rows()).then(|| passes.clone()))
    }
}

struct Sifted {
    filters: Vec<Asked>,
    gathered: BatchCoalescer,
    /// `None`: they came to their end.
    rows: Option<SendableRecordBatchStream>,
    metrics: BaselineMetrics,
}

impl Sifted {
    /// Takes those rows of a batch that pass.
    fn take(&mut self, mut batch: RecordBatch) -> Result<()> {
        let mut passed: Option<BooleanArray> = None;
        for filter in &mut self.filters {
            if let Some(passes) = passed.take_if(|passes| passes.true_count() > 0) {
                batch = filter_record_batch(&batch, &passes)?;
            }
            if passed.is_none() {
                passed = filter.passes(&batch)?;
            }
        }
        match passed {
            Some(passes) => self.gathered.push_batch_with_filter(batch, &passes)?,
            None => self.gathered.push_batch(batch)?,
        }
        Ok(())
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        loop {
            if let Some(batch) = self.gathered.next_completed_batch() {
                return Poll::Ready(Some(Ok(batch)));
            }
            let Some(rows) = &mut self.rows else {
                return Poll::Ready(None);
            };
            let came = ready!(rows.poll_next_unpin(context)).transpose()?;
            let time = self.metrics.elapsed_compute().clone();
            let _timer = time.timer();
            match came {
                Some(batch) => self.take(batch)?,
                None => {
                    self.rows = None;
                    self.gathered.finish_buffered_batch()?;
                }
            }
        }
    }
}

impl Stream for Sifted {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        let next = self.poll_batch(context);
        self.metrics.record_poll(next)
    }
}

impl RecordBatchStream for Sifted {
    fn schema(&self) -> SchemaRef {
        self.gathered.schema()
    }
}
