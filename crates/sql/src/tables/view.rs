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
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::source_as_provider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableScan, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use headwater_views::{Ask, Direction, Part, Selection, Shown, View};

use super::keys::{Asked, KeyColumns};
use super::node::{Node, Read, Start, of_columns, projected};
use super::rest::filtered;
use crate::plan::analyze::list_parts::{only_element, part_of};
use crate::question::{QuestionReads, ViewReading};

/// A materialized view of one question.
pub(crate) struct ViewTable {
    reading: Arc<ViewReading>,
    keys: KeyColumns,
}

impl ViewTable {
    /// The view as this question reads it.
    pub(crate) fn new(view: &Arc<View>, reads: &QuestionReads) -> ViewTable {
        ViewTable {
            reading: reads.view(view),
            keys: KeyColumns::of(view),
        }
    }

    /// The view.
    pub(crate) fn view(&self) -> &Arc<View> {
        self.reading.view()
    }

    /// The view whose rows, as they are now, a node of a plan scans.
    pub(crate) fn scanned(scan: &TableScan) -> Option<Arc<View>> {
        let provider = source_as_provider(&scan.source).ok()?;
        let table = provider.downcast_ref::<ViewTable>()?;
        Some(Arc::clone(table.view()))
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
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rest = self.keys.rest(filters);
        let limit = limit.filter(|_| rest.is_empty());
        let read = async |columns: Option<&Vec<usize>>| self.read(columns, filters, limit);
        filtered(state, self.schema(), projection, rest, read).await
    }
}

impl ViewTable {
    /// Reads the rows whose keys the filters name.
    fn read(
        &self,
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
        let whole = |column| Shown {
            column,
            part: Part::Whole,
        };
        let view = self.reading.view();
        let columns = match (view.list_columns().next(), projection) {
            (None, _) => None,
            (_, Some(columns)) => Some(columns.iter().copied().map(whole).collect()),
            (_, None) => Some((0..view.schema().fields().len()).map(whole).collect()),
        };
        let scan = ViewScan {
            reading: Arc::clone(&self.reading),
            ask: Ask {
                selection,
                order: None,
                limit,
                columns,
            },
            filter: names.join(" AND "),
            fixed,
            // What is asked for column by column is read so.
            projection: projection.filter(|_| view.list_columns().next().is_none()).cloned(),
        };
        Ok(Node::leaf(scan, schema, 1))
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
        match (&self.ask.columns, &self.projection) {
            (Some(columns), _) => {
                let shown = columns.get(shown).filter(|shown| shown.part == Part::Whole);
                shown.map(|shown| shown.column)
            }
            (None, Some(columns)) => columns.get(shown).copied(),
            (None, None) => Some(shown),
        }
    }

    /// What of the columns is read, as it is shown.
    fn columns_shown(&self) -> Option<String> {
        let schema = self.reading.view().schema();
        let name = |column: usize| schema.field(column).name();
        let part = |shown: &Shown| match shown.part {
            Part::Whole => name(shown.column).clone(),
            Part::Page { from, to } => format!("{}[{from}:{to}]", name(shown.column)),
            Part::Length => format!("array_length({})", name(shown.column)),
        };
        let names: Vec<String> = match (&self.ask.columns, &self.projection) {
            (Some(columns), _) => columns.iter().map(part).collect(),
            (None, Some(columns)) => columns.iter().map(|column| name(*column).clone()).collect(),
            (None, None) => return None,
        };
        Some(names.join(", "))
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
        match self.columns_shown() {
            Some(columns) => write!(f, ", columns=[{columns}]"),
            None => Ok(()),
        }
    }

    fn rows(&self, Start { schema, .. }: Start) -> Result<SendableRecordBatchStream> {
        let ViewScan {
            reading,
            ask,
            projection,
            ..
        } = self.clone();
        // Columns may have other names in the plan than in the view.
        let named = Arc::clone(&schema);
        let read = async move {
            let mut batches: Vec<Result<RecordBatch>> = Vec::new();
            for batch in reading.rows(&ask).await? {
                let batch = of_columns(batch, projection.as_ref())?;
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                let named = RecordBatch::try_new_with_options(Arc::clone(&named), batch.columns().to_vec(), &options);
                batches.push(Ok(named?));
            }
            Ok::<_, DataFusionError>(futures::stream::iter(batches))
        };
        let rows = futures::stream::once(read).try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    /// Where parts of lists are all that is made of them, the parts are read.
    fn projected(&self, projection: &[ProjectionExpr]) -> Result<Option<(ViewScan, SchemaRef, Vec<ProjectionExpr>)>> {
        let Some(columns) = &self.ask.columns else {
            return Ok(None);
        };
        let schema = self.reading.view().schema();
        let mut wanted: Vec<Shown> = Vec::new();
        let mut has_parts = false;
        let mut over: Vec<ProjectionExpr> = Vec::with_capacity(projection.len());
        for made in projection {
            let expr = Arc::clone(&made.expr).transform_down(|expr| {
                let part = part_of(&expr).filter(|found| columns[found.column].part == Part::Whole);
                let column = expr.downcast_ref::<Column>().map(Column::index);
                let shown = match (&part, column) {
                    (Some(found), _) => Shown {
                        column: columns[found.column].column,
                        part: found.part,
                    },
                    (None, Some(column)) => columns[column],
                    (None, None) => return Ok(Transformed::no(expr)),
                };
                has_parts |= part.is_some();
                let place = place_of(shown, &mut wanted);
                let read: Arc<dyn PhysicalExpr> = Arc::new(Column::new(schema.field(shown.column).name(), place));
                let over = match part.is_some_and(|found| found.is_element) {
                    true => only_element(expr, read)?,
                    false => read,
                };
                Ok(Transformed::new(over, true, TreeNodeRecursion::Jump))
            })?;
            over.push(ProjectionExpr {
                expr: expr.data,
                alias: made.alias.clone(),
            });
        }
        if !has_parts {
            return Ok(None);
        }
        let mut scan = self.clone();
        let mut names: Option<Vec<String>> = None;
        if let Some(read) = all_columns(&over) {
            // What is read is all that is wanted of it: it is given in that order, and under those names.
            wanted = read.into_iter().map(|place| wanted[place]).collect();
            names = Some(over.iter().map(|made| made.alias.clone()).collect());
            for (place, made) in over.iter_mut().enumerate() {
                made.expr = Arc::new(Column::new(&made.alias, place));
            }
        }
        scan.ask.columns = Some(wanted);
        let mut schema = scan.reading.view().schema_of(&scan.ask);
        if let Some(names) = names {
            let fields = schema.fields().iter().zip(names);
            let fields = fields.map(|(field, name)| field.as_ref().clone().with_name(name));
            schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        }
        Ok(Some((scan, schema, over)))
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

/// The place of what is read of a column among all that is, where it is put if it is not there yet.
fn place_of(shown: Shown, wanted: &mut Vec<Shown>) -> usize {
    let known = wanted.iter().position(|known| *known == shown);
    known.unwrap_or_else(|| {
        wanted.push(shown);
        wanted.len() - 1
    })
}

/// The columns that a projection picks, where it does nothing else.
fn all_columns(projection: &[ProjectionExpr]) -> Option<Vec<usize>> {
    let column = |made: &ProjectionExpr| made.expr.downcast_ref::<Column>().map(Column::index);
    projection.iter().map(column).collect()
}
