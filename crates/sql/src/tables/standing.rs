//! A stream in a plan that is run again and again: which of its events are read, and up to where, is said before each run.
//!
//! The filters of its scans stand on parameters. Each run puts values in their place, and then they are what the filters of any other scan are.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use headwater_eventlog::QueryItem;
use headwater_records::Position;
use parking_lot::Mutex;

use super::entity::{EntityScan, Wanted};
use super::node::{Node, Read, Start, projected};
use super::stream::Source;
use crate::{SqlError, SqlState};

/// The scans of streams that a plan has, as they are planned.
#[derive(Clone, Default)]
pub(crate) struct StandingScans(Arc<Mutex<Vec<StandingScan>>>);

/// A stream whose scans are told before each run what they read.
pub(super) struct StandingStream {
    source: Arc<Source>,
    scans: StandingScans,
}

/// One of its scans.
#[derive(Clone)]
pub(crate) struct StandingScan {
    source: Arc<Source>,
    projection: Option<Vec<usize>>,
    filters: Vec<Expr>,
    /// What the next run reads.
    next: Arc<Mutex<Option<Run>>>,
}

/// What one run reads: the stream up to a position, and of it these events.
#[derive(Clone)]
struct Run {
    source: Arc<Source>,
    wanted: Wanted,
}

impl StandingScans {
    /// Those that there are.
    pub(crate) fn all(&self) -> Vec<StandingScan> {
        self.0.lock().clone()
    }
}

impl StandingStream {
    pub(super) fn new(source: Arc<Source>, scans: &StandingScans) -> StandingStream {
        let scans = scans.clone();
        StandingStream { source, scans }
    }
}

impl StandingScan {
    /// The stream's name.
    pub(crate) fn stream(&self) -> &str {
        &self.source.name
    }

    /// Says up to where the next run reads, and by which filters: `given` makes of those that stand on parameters what they are in this run. What every
    /// event has that it may read comes back; `None` where no index finds those events: then it reads nothing.
    pub(crate) fn begins(
        &self,
        end: &Position,
        given: impl Fn(Expr, &DFSchema) -> Result<Expr>,
    ) -> Result<Option<Vec<QueryItem>>> {
        let schema = DFSchema::try_from(self.source.decoder.schema())?;
        let mut filters: Vec<Expr> = Vec::with_capacity(self.filters.len());
        for filter in &self.filters {
            filters.push(given(filter.clone(), &schema)?);
        }
        let wanted = self.source.wanted(&filters);
        let items = wanted.as_ref().map(|wanted| wanted.items(&self.source.name));
        *self.next.lock() = wanted.map(|wanted| Run {
            source: Arc::new(self.source.upto(end)),
            wanted,
        });
        Ok(items)
    }
}

impl fmt::Debug for StandingStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StandingStream({})", self.source.name)
    }
}

#[async_trait]
impl TableProvider for StandingStream {
    fn schema(&self) -> SchemaRef {
        self.source.decoder.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    // Whether one is of use is seen once it has its values.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushed = filters.iter().map(|filter| match asks_more(filter) {
            true => TableProviderFilterPushDown::Unsupported,
            false => TableProviderFilterPushDown::Inexact,
        });
        Ok(pushed.collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = projected(self.schema(), projection)?;
        let scan = StandingScan {
            source: Arc::clone(&self.source),
            projection: projection.cloned(),
            filters: filters.to_vec(),
            next: Arc::default(),
        };
        self.scans.0.lock().push(scan.clone());
        Ok(Node::leaf(scan, schema, 1))
    }
}

/// Whether a filter asks questions of its own.
fn asks_more(filter: &Expr) -> bool {
    let mut asks = false;
    let _ = filter.apply(|part| {
        asks |= matches!(
            part,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
        );
        Ok(TreeNodeRecursion::Continue)
    });
    asks
}

impl Read for StandingScan {
    const NAME: &'static str = "StandingScan";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream={}", self.source.name)
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let Run { source, wanted } = self.next.lock().clone().ok_or_else(|| {
            let message = format!("nobody said what is read of '{}'", self.source.name);
            SqlError::new(SqlState::INTERNAL, message)
        })?;
        let scan = EntityScan {
            source,
            wanted,
            projection: self.projection.clone(),
        };
        scan.rows(start)
    }
}
