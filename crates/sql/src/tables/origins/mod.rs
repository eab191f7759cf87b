//! The events that a row came of, back to the first streams: each event of its lineage, then what a pipeline made that of, and so on.
//!
//! ```text
//! step depth
//!    1     0   ratings_enriched/0@7    the event that went into the row
//!    1     1   ratings/2@17            what the pipeline made it of
//!    1     1   products (p1)           and the row that it found in the view that it joins, as of then
//! ```
//!
//! Only what the program itself noted with an event is believed: a client may write any header.

mod trail;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use headwater_eventlog::EventLog;
use headwater_records::Address;

use super::lineage::{LineageTable, STREAM};
use super::node::{Node, Read, Start, of_columns, projected};
pub(crate) use trail::{JoinedView, address};
use trail::{Line, Trail};

/// The history of one row of a view, back to the first streams.
pub(crate) struct OriginsTable {
    steps: LineageTable,
    trail: Arc<Trail>,
    schema: SchemaRef,
}

impl OriginsTable {
    /// `pipelines`: the streams that pipelines make; `joined`: the views that those join, each with its sources.
    pub(crate) fn new(
        log: EventLog,
        state: SessionState,
        steps: LineageTable,
        pipelines: BTreeSet<String>,
        joined: BTreeMap<String, JoinedView>,
    ) -> OriginsTable {
        OriginsTable {
            steps,
            trail: Arc::new(Trail {
                log,
                state,
                pipelines,
                joined,
            }),
            schema: trail::schema(),
        }
    }
}

impl fmt::Debug for OriginsTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OriginsTable({:?})", self.steps)
    }
}

#[async_trait]
impl TableProvider for OriginsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.steps.schema();
        let address = [STREAM, "_partition", "_offset"].map(|name| schema.index_of(name));
        let address: Vec<usize> = address.into_iter().collect::<Result<_, _>>()?;
        // Each step is one row or more.
        let steps = self.steps.scan(state, Some(&address), &[], limit).await?;
        let scan = OriginsScan {
            trail: Arc::clone(&self.trail),
            projection: projection.cloned(),
        };
        Ok(Node::over(scan, projected(self.schema(), projection)?, vec![steps]))
    }
}

/// Follows the events of steps back.
#[derive(Clone)]
struct OriginsScan {
    trail: Arc<Trail>,
    projection: Option<Vec<usize>>,
}

impl Read for OriginsScan {
    const NAME: &'static str = "OriginsScan";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: Vec<&str>| names.join(", ");
        let pipelines = self.trail.pipelines.iter().map(String::as_str);
        let joined = self.trail.joined.keys().map(String::as_str);
        write!(
            f,
            "through=[{}], joined=[{}]",
            names(pipelines.collect()),
            names(joined.collect())
        )
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let context = start.context;
        let steps = start.inputs.first().ok_or_else(no_steps)?;
        let steps = steps.execute(0, Arc::clone(&context))?;
        let (trail, projection) = (Arc::clone(&self.trail), self.projection.clone());
        let addresses = steps
            .map_ok(|steps| futures::stream::iter(addresses(&steps).into_iter().map(Ok::<Address, DataFusionError>)));
        let numbered = addresses.try_flatten().enumerate();
        let lines = numbered.then(move |(index, address)| {
            let (trail, context, projection) = (Arc::clone(&trail), Arc::clone(&context), projection.clone());
            async move {
                let lines: Vec<Line> = trail.back(address?, &context).await?;
                let rows = trail::rows(index as i64 + 1, &lines)?;
                of_columns(rows, projection.as_ref())
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(start.schema, lines.boxed())))
    }
}

fn no_steps() -> DataFusionError {
    DataFusionError::Internal("origins have no steps to follow".to_owned())
}

/// The addresses of the events of some steps.
fn addresses(steps: &RecordBatch) -> Vec<Address> {
    let streams = steps.column(0).as_string::<i32>();
    let partitions = steps.column(1).as_primitive::<Int32Type>();
    let offsets = steps.column(2).as_primitive::<Int64Type>();
    let address = |row: usize| Address {
        stream: streams.value(row).to_owned(),
        partition: partitions.value(row).unsigned_abs(),
        offset: offsets.value(row).unsigned_abs(),
    };
    (0..steps.num_rows()).map(address).collect()
}
