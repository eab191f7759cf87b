//! A materialized view as a table: its rows as of one position, as many of them as the question needs.
//!
//! ```text
//! WHERE account = 'a'                 keys looked up
//! WHERE day >= '2025-11-01'           a span of keys is read
//! ORDER BY account LIMIT 20           twenty rows are read, in the order of their keys
//! ```

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use headwater_views::{Ask, Direction, Selection, View};

use super::keys::{Asked, KeyColumns};
use super::node::{Node, Read, projected};
use crate::question::{Boundary, ViewReading};

/// A materialized view of one question.
pub(crate) struct ViewTable {
    reading: Arc<ViewReading>,
    keys: KeyColumns,
}

impl ViewTable {
    /// The view as this question reads it.
    pub(crate) fn new(view: &Arc<View>, boundary: &Boundary) -> ViewTable {
        ViewTable {
            reading: boundary.view(view),
            keys: KeyColumns::of(view),
        }
    }
}

impl fmt::Debug for ViewTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ViewTable({})", self.reading.view().definition().name)
    }
}

#[async_trait]
impl TableProvider for ViewTable {
    fn schema(&self) -> SchemaRef {
        self.reading.view().schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(self.keys.pushed(filters))
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Asked { selection, fixed } = self.keys.asked(self.reading.view(), filters)?;
        self.reading.want(&selection);
        let schema = projected(self.schema(), projection)?;
        let names: Vec<String> = filters
            .iter()
            .map(|filter| filter.human_display().to_string())
            .collect();
        let scan = ViewScan {
            reading: Arc::clone(&self.reading),
            ask: Ask {
                selection,
                order: None,
                limit,
            },
            filter: names.join(" AND "),
            fixed,
            projection: projection.cloned(),
        };
        Ok(Node::plan(scan, schema, 1))
    }
}

/// One read of a view.
#[derive(Clone)]
struct ViewScan {
    reading: Arc<ViewReading>,
    ask: Ask,
    /// What the selection came of, as it is shown.
    filter: String,
    /// For each column of the key, whether all rows asked for have the same value in it.
    fixed: Vec<bool>,
    projection: Option<Vec<usize>>,
}

impl ViewScan {
    /// Where a column of its rows stands in the view's rows.
    fn column(&self, shown: usize) -> Option<usize> {
        match &self.projection {
            Some(columns) => columns.get(shown).copied(),
            None => Some(shown),
        }
    }
}

impl Read for ViewScan {
    const NAME: &'static str = "ViewScan";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.reading.view();
        let definition = view.definition();
        let shape = definition.shape.as_ref().map_or("", |shape| shape.word());
        write!(f, "view={}, stored as={shape}", definition.name)?;
        let schema = view.schema();
        let names = |columns: &[usize]| {
            let names: Vec<&str> = columns
                .iter()
                .map(|column| schema.field(*column).name().as_str())
                .collect();
            names.join(", ")
        };
        match &self.ask.selection {
            Selection::All => write!(f, ", rows=all")?,
            Selection::Keys(keys) => write!(f, ", keys={} of ({})", keys.len(), names(view.key_columns()))?,
            Selection::Spans(_) => write!(f, ", range={}", self.filter)?,
        }
        match self.ask.order {
            Some(Direction::Ascending) => write!(f, ", in order of ({})", names(view.key_columns()))?,
            Some(Direction::Descending) => write!(f, ", in reverse order of ({})", names(view.key_columns()))?,
            None => {}
        }
        if let Some(limit) = self.ask.limit {
            write!(f, ", limit={limit}")?;
        }
        match &self.projection {
            Some(columns) => write!(f, ", columns=[{}]", names(columns)),
            None => Ok(()),
        }
    }

    fn rows(
        &self,
        _partition: usize,
        schema: SchemaRef,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let ViewScan {
            reading,
            ask,
            projection,
            ..
        } = self.clone();
        let read = async move {
            let mut batches: Vec<Result<RecordBatch>> = Vec::new();
            for batch in reading.rows(&ask).await? {
                batches.push(Ok(match &projection {
                    Some(columns) => batch.project(columns)?,
                    None => batch,
                }));
            }
            Ok::<_, DataFusionError>(futures::stream::iter(batches))
        };
        let rows = futures::stream::once(read).try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn limit(&self) -> Option<usize> {
        self.ask.limit
    }

    fn limit_to(&mut self, limit: Option<usize>) -> bool {
        self.ask.limit = limit;
        true
    }

    /// The order of the keys is that of their columns, those left out in which all rows have the same value.
    fn ordered(&self, order: &[PhysicalSortExpr]) -> Option<ViewScan> {
        // What is cut off already would be cut off elsewhere in another order.
        if self.ask.limit.is_some() {
            return None;
        }
        let view = self.reading.view();
        let schema = view.schema();
        let mut key = view.key_columns().iter().zip(&self.fixed).peekable();
        key.peek()?;
        let mut direction: Option<Direction> = None;
        for wanted in order {
            let column = self.column(wanted.expr.downcast_ref::<Column>()?.index())?;
            let is_fixed = |(at, fixed): (&usize, &bool)| *at == column && *fixed;
            if view.key_columns().iter().zip(&self.fixed).any(is_fixed) {
                continue;
            }
            let Some((at, _)) = key.by_ref().find(|(_, fixed)| !**fixed) else {
                // No two rows have the same key: nothing is left to be ordered.
                break;
            };
            let options = wanted.options;
            let way = match options.descending {
                true => Direction::Descending,
                false => Direction::Ascending,
            };
            let nulls_are_right = options.nulls_first == options.descending || !schema.field(*at).is_nullable();
            if *at != column || !nulls_are_right || direction.is_some_and(|direction| direction != way) {
                return None;
            }
            direction = Some(way);
        }
        let mut scan = self.clone();
        scan.ask.order = Some(direction.unwrap_or(Direction::Ascending));
        Some(scan)
    }
}
