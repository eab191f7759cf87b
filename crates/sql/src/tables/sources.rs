//! What a view's rows were made of: the events of its streams up to a position, and the tombstones that delete rows.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::TryStreamExt;
use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_views::decode::StreamDecoder;
use headwater_views::{GroupKey, Past, Source, View};

use super::StreamTable;
use super::entity::EntityScan;
use super::node::Read;
use super::rest::filtered;
use crate::off_thread::off_thread;
use crate::question::{BusinessMoment, check_length, check_whole, length};
use crate::{Progress, SqlError};

/// The column that says when an event's writer says it was.
pub(crate) const WRITTEN_AT: &str = "_timestamp";

/// The sources of a view, up to a position.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) log: EventLog,
    pub(crate) view: Arc<View>,
    /// Each with how it is decoded.
    pub(crate) each: Vec<(Source, StreamDecoder)>,
    pub(crate) at: Position,
    /// Only those that hold by a moment of business time.
    pub(crate) business: Option<BusinessMoment>,
    /// The most events that are read of them at once.
    pub(crate) events_max: u64,
    /// Where what is read is counted.
    pub(crate) progress: Arc<Progress>,
}

/// What a row is made of.
pub(super) struct PartsOfRow {
    pub(super) past: Past,
    /// Of each source.
    pub(super) events: Vec<Arc<dyn ExecutionPlan>>,
    /// How many events are read for those.
    pub(super) read: u64,
}

/// Which events of a source are read.
pub(super) struct Reading<'a> {
    pub(super) from: &'a Position,
    /// Those that may be of this row; `None`: all.
    pub(super) key: Option<&'a [ScalarValue]>,
    pub(super) columns: Vec<usize>,
    /// Whether they come in the order in which they were appended.
    pub(super) in_order: bool,
}

impl Sources {
    /// The name of the view.
    pub(super) fn name(&self) -> &str {
        &self.view.definition().name
    }

    /// Each source, with the schema of what it has.
    pub(super) fn schemas(&self) -> Vec<(Source, SchemaRef)> {
        let schema = |(source, decoder): &(Source, StreamDecoder)| (source.clone(), decoder.schema());
        self.each.iter().map(schema).collect()
    }

    /// Refuses to make rows of events from a position on, some of which are gone.
    pub(super) fn check_whole(&self, from: &Position) -> Result<(), SqlError> {
        let streams: Vec<String> = self.view.streams().into_iter().map(str::to_owned).collect();
        check_whole(&self.log, self.name(), &streams, from, Some(&self.at))
    }

    /// How many events its streams have from a position on: what the view's query reads of them.
    pub(super) fn length(&self, from: &Position) -> u64 {
        length(from, &self.at)
    }

    /// Refuses to read more events than may be.
    pub(super) fn check_length(&self, events: u64) -> Result<(), SqlError> {
        check_length(self.name(), events, self.events_max)
    }

    /// The columns of a source that the view's query reads.
    pub(super) fn columns_read(&self, index: usize) -> Result<Vec<usize>> {
        let (source, decoder) = &self.each[index];
        let schema = decoder.schema();
        let columns = self.view.columns_read(source).into_iter();
        Ok(columns
            .map(|column| schema.index_of(column))
            .collect::<Result<_, _>>()?)
    }

    /// Some events of a source, and how many are read for them. Where they are asked for by a key, others may be among them.
    pub(super) async fn events(
        &self,
        state: &dyn Session,
        index: usize,
        reading: Reading<'_>,
    ) -> Result<(Arc<dyn ExecutionPlan>, u64)> {
        let (source, decoder) = &self.each[index];
        let at = self.at.of(source.stream());
        let table = StreamTable::between(self.log.clone(), decoder.clone(), reading.from.clone(), at.clone());
        let table = table.counted(&self.progress);
        let table = match reading.in_order {
            true => table.in_order(),
            false => table,
        };
        let filters = reading.key.map(|values| self.filters(source, values));
        let filters = filters.unwrap_or_default();
        let rest = self.held(source, decoder)?;
        let scan = async |columns: Option<&Vec<usize>>| table.scan(state, columns, &filters, None).await;
        let events = filtered(state, decoder.schema(), Some(&reading.columns), rest, scan).await?;
        let read = match source {
            // What an index finds is no more than the row's own, and tombstones stand among the events.
            Source::Events(_) if events.name() != EntityScan::NAME => length(reading.from, &at),
            _ => 0,
        };
        Ok((events, read))
    }

    /// What lets through the events of a source that hold by the moment of business time.
    fn held(&self, source: &Source, decoder: &StreamDecoder) -> Result<Vec<Expr>> {
        let Some(moment) = self.business else {
            return Ok(Vec::new());
        };
        let time = match source {
            Source::Events(_) => decoder.definition().time.as_deref(),
            Source::Tombstones(_) => Some(WRITTEN_AT),
        };
        let time = time.unwrap_or(WRITTEN_AT);
        let data_type = decoder.schema().field_with_name(time)?.data_type().clone();
        Ok(vec![moment.holds(time, data_type)])
    }

    /// What a row at the position is made of: its newest snapshot that is old enough, and the events from there on, of each source.
    pub(super) async fn parts_of_row(
        &self,
        state: &dyn Session,
        key: GroupKey,
        values: &[ScalarValue],
    ) -> Result<PartsOfRow> {
        let (view, at) = (Arc::clone(&self.view), self.at.clone());
        let past = off_thread(move || view.past(&key, &at)).await?;
        self.check_whole(&past.from)?;
        let (events, read) = self.all_events(state, &past.from, Some(values)).await?;
        Ok(PartsOfRow { past, events, read })
    }

    /// The events of each source from a position on, as the view's query reads them, and how many are read for them; of a row's key those among
    /// which its own are.
    pub(super) async fn all_events(
        &self,
        state: &dyn Session,
        from: &Position,
        key: Option<&[ScalarValue]>,
    ) -> Result<(Vec<Arc<dyn ExecutionPlan>>, u64)> {
        let mut events: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(self.each.len());
        let mut all_read: u64 = 0;
        for index in 0..self.each.len() {
            let reading = Reading {
                from,
                key,
                columns: self.columns_read(index)?,
                in_order: false,
            };
            let (of_source, read) = self.events(state, index, reading).await?;
            events.push(of_source);
            all_read = all_read.saturating_add(read);
        }
        Ok((events, all_read))
    }

    /// The row that those are; `None` where there is none.
    pub(super) async fn row(
        &self,
        past: Past,
        events: Vec<Arc<dyn ExecutionPlan>>,
        context: &Arc<TaskContext>,
    ) -> Result<Option<RecordBatch>> {
        let from = past.from.clone();
        let mut rewinding = self.view.rewinding(past).map_err(SqlError::from)?;
        for ((source, _), events) in self.each.iter().zip(events) {
            let mut events = execute_stream(events, Arc::clone(context))?;
            while let Some(batch) = events.try_next().await? {
                rewinding.fold(source, &batch).map_err(SqlError::from)?;
            }
        }
        // They may have gone while they were read.
        self.check_whole(&from)?;
        let row = rewinding.row().map_err(SqlError::from)?;
        Ok(row.filter(|row| row.num_rows() > 0))
    }

    /// What finds the events of a row, where its key is made of columns as they stand. 0.0 and -0.0 are equal and two keys: whose the events are is
    /// looked at in any case.
    fn filters(&self, source: &Source, values: &[ScalarValue]) -> Vec<Expr> {
        let columns = self.view.key_sources(source).unwrap_or_default();
        let equal = |(column, value): (&String, &ScalarValue)| {
            let column = col(Column::from_name(column));
            match value.is_null() {
                true => column.is_null(),
                false => column.eq(lit(value.clone())),
            }
        };
        columns.iter().zip(values).map(equal).collect()
    }
}
