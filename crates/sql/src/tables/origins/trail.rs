//! From one event back to those that it came of: what each was made of is noted in its headers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionState;
use headwater_eventlog::EventLog;
use headwater_records::{Address, Event, Position};
use headwater_views::decode::text_or_hex;
use headwater_views::{FROM_HEADER, JOINED_HEADER, Joined, PRINCIPAL};

use crate::encode::object_of;
use crate::limits::ORIGINS_DEPTH_MAX;
use crate::off_thread::off_thread;
use crate::tables::lineage::STREAM;
use crate::tables::sources::Sources;
use crate::{SqlError, SqlState};

/// A view that a pipeline joins, with its sources; or why its rows cannot be told now.
pub(crate) type JoinedView = Result<Sources, SqlError>;

/// What the way back needs.
pub(super) struct Trail {
    pub(super) log: EventLog,
    pub(super) state: SessionState,
    /// The streams that pipelines make.
    pub(super) pipelines: BTreeSet<String>,
    /// The views that those join.
    pub(super) joined: BTreeMap<String, JoinedView>,
}

/// An event, or a row that was found for one.
#[derive(Default)]
pub(super) struct Line {
    depth: i32,
    address: Option<Address>,
    appended_at_us: Option<i64>,
    principal: Option<String>,
    view: Option<String>,
    key: Option<String>,
    value: Option<String>,
    note: Option<String>,
}

/// An event, and what only the log knows of it.
struct Found {
    event: Event,
    appended_at_us: i64,
    principal: Arc<str>,
}

/// The columns of the lines, which are numbered by their steps.
pub(super) fn schema() -> SchemaRef {
    let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    let column = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        Field::new("step", DataType::Int64, false),
        Field::new("depth", DataType::Int32, false),
        column(STREAM, DataType::Utf8),
        column("_partition", DataType::Int32),
        column("_offset", DataType::Int64),
        column("_appended_at", moment),
        column("_principal", DataType::Utf8),
        column("view", DataType::Utf8),
        column("key", DataType::Utf8),
        column("value", DataType::Utf8),
        column("note", DataType::Utf8),
    ]))
}

/// Lines as rows.
pub(super) fn rows(step: i64, lines: &[Line]) -> Result<RecordBatch> {
    let text = |of: fn(&Line) -> Option<&str>| StringArray::from_iter(lines.iter().map(of));
    let partition = |line: &Line| Some(i32::try_from(line.address.as_ref()?.partition).unwrap_or(i32::MAX));
    let offset = |line: &Line| Some(i64::try_from(line.address.as_ref()?.offset).unwrap_or(i64::MAX));
    let moments = lines.iter().map(|line| line.appended_at_us);
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(Int64Array::from_value(step, lines.len())),
            Arc::new(Int32Array::from_iter_values(lines.iter().map(|line| line.depth))),
            Arc::new(text(|line| {
                line.address.as_ref().map(|address| address.stream.as_str())
            })),
            Arc::new(Int32Array::from_iter(lines.iter().map(partition))),
            Arc::new(Int64Array::from_iter(lines.iter().map(offset))),
            Arc::new(TimestampMicrosecondArray::from_iter(moments).with_timezone("+00:00")),
            Arc::new(text(|line| line.principal.as_deref())),
            Arc::new(text(|line| line.view.as_deref())),
            Arc::new(text(|line| line.key.as_deref())),
            Arc::new(text(|line| line.value.as_deref())),
            Arc::new(text(|line| line.note.as_deref())),
        ],
    )?)
}

impl Trail {
    /// An event and all that it came of, each before what it was made of.
    pub(super) async fn back(&self, event: Address, context: &Arc<TaskContext>) -> Result<Vec<Line>> {
        let mut lines: Vec<Line> = Vec::new();
        let mut open: Vec<(Address, usize)> = vec![(event, 0)];
        while let Some((address, depth)) = open.pop() {
            let mut line = Line {
                depth: i32::try_from(depth).unwrap_or(i32::MAX),
                address: Some(address.clone()),
                ..Line::default()
            };
            let Some(found) = self.find(&address).await? else {
                line.note = Some("the event is no longer kept".to_owned());
                lines.push(line);
                continue;
            };
            line.appended_at_us = Some(found.appended_at_us);
            line.principal = Some(found.principal.to_string());
            line.key = found.event.key.as_deref().map(text_or_hex);
            line.value = found.event.value.as_deref().map(text_or_hex);
            let is_made = *found.principal == *PRINCIPAL && self.pipelines.contains(&address.stream);
            if !is_made {
                lines.push(line);
                continue;
            }
            if depth == ORIGINS_DEPTH_MAX {
                line.note = Some(format!(
                    "it is not followed further back than {ORIGINS_DEPTH_MAX} pipelines"
                ));
                lines.push(line);
                continue;
            }
            lines.push(line);
            for header in &found.event.headers {
                let value = header.value.as_deref().unwrap_or_default();
                match header.name.as_str() {
                    FROM_HEADER => open.extend(address_of(value).map(|from| (from, depth + 1))),
                    JOINED_HEADER => {
                        if let Some(joined) = Joined::read(value) {
                            lines.push(self.row(joined, found.appended_at_us, depth + 1, context).await?);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(lines)
    }

    /// An event by its address; `None` where it is not there any more.
    async fn find(&self, address: &Address) -> Result<Option<Found>> {
        let (log, address) = (self.log.clone(), address.clone());
        let find = move || -> Result<Option<Found>, SqlError> {
            let Address {
                stream,
                partition,
                offset,
            } = &address;
            let kept = log.offsets(stream, *partition);
            if kept.is_none_or(|kept| *offset < kept.start || *offset >= kept.stable) {
                return Ok(None);
            }
            let batches = log.read(stream, *partition, *offset, 0)?;
            let Some(stored) = batches.into_iter().next() else {
                return Ok(None);
            };
            let mut event: Option<Event> = None;
            let read = stored.batch.for_each_event(|at, found| {
                if at == *offset {
                    event = Some(found);
                }
            });
            read.map_err(|error| {
                SqlError::new(SqlState::IO, format!("the event at {address} cannot be read: {error}"))
            })?;
            Ok(event.map(|event| Found {
                event,
                appended_at_us: stored.appended_at_us,
                principal: stored.principal,
            }))
        };
        Ok(off_thread(find).await?)
    }

    /// The row that a pipeline found for an event whose result was appended at a moment.
    async fn row(&self, joined: Joined, appended_at_us: i64, depth: usize, context: &Arc<TaskContext>) -> Result<Line> {
        let mut line = Line {
            depth: i32::try_from(depth).unwrap_or(i32::MAX),
            view: Some(joined.view.clone()),
            key: joined.key.as_ref().map(|key| key.join(", ")),
            ..Line::default()
        };
        match self.row_then(&joined, appended_at_us, context).await {
            Ok(row) => {
                line.value = row;
                line.note = self.shown_by_another(&joined);
            }
            // What it found is in the result in any case.
            Err(error) => line.note = Some(SqlError::from(error).to_string()),
        }
        Ok(line)
    }

    /// What there is to say where the row is not told by the version of the view that was asked then.
    fn shown_by_another(&self, joined: &Joined) -> Option<String> {
        let Some(Ok(sources)) = self.joined.get(&joined.view) else {
            return None;
        };
        let now = sources.view.definition().version;
        (joined.version != now).then(|| {
            format!(
                "version {} of the view '{}' was asked then, and this is what version {now} says of the row",
                joined.version, joined.view
            )
        })
    }

    async fn row_then(
        &self,
        joined: &Joined,
        appended_at_us: i64,
        context: &Arc<TaskContext>,
    ) -> Result<Option<String>> {
        let refuse = |why: &str| {
            SqlError::new(
                SqlState::EXPIRED,
                format!("the row of '{}' cannot be told: {why}", joined.view),
            )
        };
        let Some(sources) = self.joined.get(&joined.view) else {
            return Err(refuse("the view is not joined any more, or does not run").into());
        };
        let sources = sources.as_ref().map_err(SqlError::clone)?;
        let view = &sources.view;
        let Some(key) = &joined.key else {
            return Err(refuse("its key is too long to be noted beside every result").into());
        };
        if key.len() != view.key_types().len() {
            return Err(refuse("the view has another key now").into());
        }
        let values = key.iter().zip(view.key_types());
        let values = values.map(|(text, key_type)| ScalarValue::try_from_string(text.clone(), key_type));
        let values: Vec<ScalarValue> = values.collect::<Result<_>>()?;
        let at = match &joined.at {
            Some(at) => at.clone(),
            None => {
                let mut at = Position::new();
                for stream in view.streams() {
                    let of_stream = self.log.position_at(stream, appended_at_us);
                    at.advance_all(&of_stream.map_err(SqlError::from)?);
                }
                at
            }
        };
        let sources = Sources { at, ..sources.clone() };
        let key = view.key(&values).map_err(SqlError::from)?;
        let of_row = sources.parts_of_row(&self.state, key, &values).await?;
        sources.check_length(of_row.read)?;
        let row = sources.row(of_row.past, of_row.events, context).await?;
        Ok(row.map(|row| object_of(&row, 0)).transpose()?)
    }
}

/// `stream/0@42` as the address of an event.
pub(crate) fn address(text: &str) -> Option<Address> {
    let position: Position = text.parse().ok()?;
    let mut all = position.iter();
    let (stream, partition, offset) = all.next()?;
    all.next().is_none().then(|| Address {
        stream: stream.to_owned(),
        partition,
        offset,
    })
}

fn address_of(header: &[u8]) -> Option<Address> {
    address(std::str::from_utf8(header).ok()?)
}
