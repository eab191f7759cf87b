//! The events that went into one row of a view, in the order in which they were appended, each with the row after it.
//!
//! A walk begins before the row's first event; where it is wanted from a moment on, it begins at the row's newest snapshot before that and says
//! nothing of the steps in between. It reads as far as somebody wants more.

mod columns;
mod follow;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use headwater_records::{Address, Position};
use headwater_views::{GroupKey, Past};

use super::node::{Node, Read, Start, of_columns, projected};
use super::order::Place;
use super::sources::{Reading, Sources};
use crate::SqlError;
use crate::off_thread::off_thread;
pub(crate) use columns::STREAM;
use columns::{Columns, SHOWN};
use follow::Following;

/// What is followed.
#[derive(Clone)]
pub(crate) enum Followed {
    /// A row, by its key and the values of the key's columns.
    Row(GroupKey, Vec<ScalarValue>),
    /// An event, of a view that has a row for each.
    Event(Address),
}

/// Which steps were seen already.
#[derive(Clone)]
pub(crate) struct After {
    /// Those up to here.
    pub(crate) seen: Seen,
    /// Everything below this position is seen.
    pub(crate) position: Position,
}

/// See above.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen {
    /// What was appended by then, microseconds since 1970.
    Moment(i64),
    /// The event that stands here, and what came before it.
    Event(Place),
}

impl Seen {
    fn holds(self, place: Place) -> bool {
        match self {
            Seen::Moment(moment_us) => place.0 <= moment_us,
            Seen::Event(event) => place <= event,
        }
    }
}

/// The history of one row of a view, up to where its sources end.
pub(crate) struct LineageTable {
    sources: Sources,
    /// `None` where the question is only described and its parameters are not known.
    followed: Option<Followed>,
    after: Option<After>,
    columns: Arc<Columns>,
}

impl LineageTable {
    pub(crate) fn new(sources: Sources, followed: Option<Followed>, after: Option<After>) -> Result<LineageTable> {
        let columns = Columns::of(&sources.view, &sources.schemas())?;
        Ok(LineageTable {
            sources,
            followed,
            after,
            columns: Arc::new(columns),
        })
    }

    /// Where the walk begins.
    async fn past(&self, key: &GroupKey) -> Result<Past> {
        let Some(after) = &self.after else {
            return Ok(Past::beginning(key.clone()));
        };
        let (view, key, at) = (Arc::clone(&self.sources.view), key.clone(), after.position.clone());
        Ok(off_thread(move || view.past(&key, &at)).await?)
    }

    /// The events among which those of the row are, of each source.
    async fn events(
        &self,
        state: &dyn Session,
        followed: &Followed,
        from: &Position,
    ) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let mut sources = self.sources.clone();
        let mut from = from.clone();
        let mut key: Option<&[ScalarValue]> = None;
        match followed {
            Followed::Row(_, values) => key = Some(values),
            Followed::Event(event) => {
                from = Position::new();
                from.set(&event.stream, event.partition, event.offset);
                sources.at = Position::new();
                sources.at.set(&event.stream, event.partition, event.offset + 1);
            }
        }
        let mut events: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(sources.each.len());
        let mut all_read: u64 = 0;
        for (index, (_, schema)) in sources.schemas().iter().enumerate() {
            let is_wanted =
                |name: &str| !headwater_views::decode::SYSTEM_COLUMNS.contains(&name) || SHOWN.contains(&name);
            let mut columns = sources.columns_read(index)?;
            columns.extend((0..schema.fields().len()).filter(|place| is_wanted(schema.field(*place).name())));
            columns.sort_unstable();
            columns.dedup();
            let reading = Reading {
                from: &from,
                key,
                columns,
                in_order: true,
            };
            let (of_source, read) = sources.events(state, index, reading).await?;
            events.push(of_source);
            all_read = all_read.saturating_add(read);
        }
        sources.check_length(all_read)?;
        Ok(events)
    }
}

impl fmt::Debug for LineageTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineageTable({})", self.sources.name())
    }
}

#[async_trait]
impl TableProvider for LineageTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns.schema)
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
        let followed = self
            .followed
            .as_ref()
            .ok_or_else(|| SqlError::new(crate::SqlState::PARAMETERS, "the key of the row is not known"))?;
        let past = match followed {
            Followed::Row(key, _) => {
                let past = self.past(key).await?;
                // The row after an event rests on all events before it.
                self.sources.check_whole(&past.from)?;
                past
            }
            Followed::Event(_) => Past::beginning(GroupKey(Vec::new())),
        };
        let events = self.events(state, followed, &past.from).await?;
        let scan = LineageScan {
            sources: self.sources.clone(),
            followed: followed.clone(),
            past,
            seen: self.after.as_ref().map(|after| after.seen),
            columns: Arc::clone(&self.columns),
            projection: projection.cloned(),
            limit,
        };
        Ok(Node::over(scan, projected(self.schema(), projection)?, events))
    }
}

/// Follows a row over the events below it: those of each source in their order, its own among them.
#[derive(Clone)]
struct LineageScan {
    sources: Sources,
    followed: Followed,
    past: Past,
    seen: Option<Seen>,
    columns: Arc<Columns>,
    projection: Option<Vec<usize>>,
    /// More steps than this are not asked for.
    limit: Option<usize>,
}

impl LineageScan {
    /// Whether the lists of the rows are asked for.
    fn asks_lists(&self) -> bool {
        let view = &self.sources.view;
        let is_list = |shown: &usize| {
            let column = self.columns.column_of_row(*shown);
            column.is_some_and(|column| view.list_columns().any(|list| list == column))
        };
        match &self.projection {
            Some(columns) => columns.iter().any(is_list),
            None => true,
        }
    }
}

impl Read for LineageScan {
    const NAME: &'static str = "LineageScan";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view={}, ", self.sources.name())?;
        match &self.followed {
            Followed::Row(_, values) => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "row=({})", values.join(", "))?;
            }
            Followed::Event(event) => write!(f, "event={event}")?,
        }
        if !self.past.from.is_empty() {
            write!(f, ", from snapshot={}", self.past.from)?;
        }
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let following = Following::new(self, &start)?;
        let (columns, projection) = (Arc::clone(&self.columns), self.projection.clone());
        let steps = futures::stream::try_unfold(following, move |mut following| {
            let (columns, projection) = (Arc::clone(&columns), projection.clone());
            async move {
                let Some(steps) = following.next(&columns).await? else {
                    return Ok(None);
                };
                Ok(Some((of_columns(steps, projection.as_ref())?, following)))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(start.schema, steps.boxed())))
    }
}
