//! INSERT INTO a stream: rows become events, all of them in one append or none.

mod condition;
mod defaults;
mod returning;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, UInt64Array};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, Value};
use futures::StreamExt;
use headwater_catalog::StreamDefinition;
use headwater_eventlog::{Append, AppendError, Condition};
use headwater_records::{Address, Event, Position};
use headwater_schedules::Schedule;

use super::schedules;
use crate::encode::{EventEncoder, column_index, pack, position_after};
use crate::inner::Inner;
use crate::limits::{INSERT_BYTES_MAX, INSERT_ROWS_MAX};
use crate::question::{self, Deadline};
use crate::syntax::{Insert, Later, Name, Question};
use crate::{Outcome, Session, SqlError, SqlState, rows_alike, session_zone};
use returning::Answer;

/// Works the source out, assigns it to the columns and appends, or schedules what is to be appended later.
pub(crate) async fn insert(
    inner: &Inner,
    session: &Session,
    insert: &Insert,
    parameters: &[ScalarValue],
    deadline: &Deadline,
) -> Result<Outcome, SqlError> {
    let Insert {
        stream,
        columns,
        later,
        source,
        condition,
        returning,
    } = insert;
    let definition = into(inner, &stream.value)?;
    let encoder = EventEncoder::new(&definition, inner.catalog.schemas())?;
    let targets = targets(&encoder, &stream.value, columns)?;
    // Nothing is appended whose answer cannot be given.
    let returned = Answer::new(&encoder.schema(), &stream.value, returning)?;
    let rows = Rows {
        inner,
        session,
        parameters,
        deadline,
        encoder: &encoder,
        targets: &targets,
        is_named: !columns.is_empty(),
    };
    let (assigned, started_ms) = rows.of(source).await?;
    let timestamp_ms = match later {
        // The moment at which they are due.
        Some(_) => -1,
        None => started_ms,
    };
    let count = assigned.num_rows();
    let tag = format!("INSERT 0 {count}");
    if count == 0 {
        return match returned {
            Some(returned) => returned.of_nothing(),
            None => Ok(Outcome::Done { tag, position: None }),
        };
    }
    let events = encoder.encode(&assigned, timestamp_ms)?;
    check_bytes(&events)?;
    if let Some(later) = later {
        if condition.is_some() {
            let message = "what is appended later has no condition: nobody knows yet what comes in between";
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message)
                .hint("leave IF out, or schedule a command's events, and decide when it is due"));
        }
        let position = schedule(inner, session, &stream.value, later, events, parameters).await?;
        return Ok(Outcome::Done {
            tag,
            position: Some(position),
        });
    }
    let condition = match condition {
        None => None,
        Some(written) => Some(condition::condition(inner, &definition, written, &events, parameters)?),
    };
    let landed = append(inner, session, &definition, events, condition).await?;
    match returned {
        Some(returned) => returned.of(&assigned, &landed, &session.principal),
        None => Ok(Outcome::Done {
            tag,
            position: Some(landed.position()),
        }),
    }
}

/// The rows of an INSERT on their way into the columns of its stream.
struct Rows<'a> {
    inner: &'a Inner,
    session: &'a Session,
    parameters: &'a [ScalarValue],
    deadline: &'a Deadline,
    encoder: &'a EventEncoder,
    /// Which column each value of a row goes to.
    targets: &'a [usize],
    /// Whether the columns are named.
    is_named: bool,
}

impl Rows<'_> {
    /// The rows as the columns take them, and when the source was begun, milliseconds since 1970. Each value of a VALUES is assigned by itself.
    async fn of(&self, source: &Question) -> Result<(RecordBatch, i64), SqlError> {
        let schema = self.encoder.schema();
        let is_number = |target: &usize| schema.field(*target).data_type().is_numeric();
        let numbers: Vec<bool> = self.targets.iter().map(is_number).collect();
        let into = rows_alike::Into {
            numbers: &numbers,
            parameters: self.parameters,
            named: &[],
        };
        let Some(groups) = rows_alike::groups(&source.query, &into) else {
            return self.of_alike(source).await;
        };
        let mut parts: Vec<RecordBatch> = Vec::with_capacity(groups.len());
        let mut started_ms = 0;
        for places in &groups {
            let part = Question {
                query: Box::new(rows_alike::with_rows(&source.query, places)),
                rewinds: source.rewinds.clone(),
            };
            let (rows, at_ms) = self.of_alike(&part).await?;
            parts.push(rows);
            started_ms = at_ms;
        }
        let all = concat_batches(&schema, &parts).map_err(DataFusionError::from)?;
        check_count(all.num_rows())?;
        // Back in the order in which they are written.
        let mut places: Vec<(usize, u64)> = groups.concat().into_iter().zip(0..).collect();
        places.sort_unstable();
        let order = UInt64Array::from_iter_values(places.into_iter().map(|(_, at)| at));
        let ordered = take_record_batch(&all, &order).map_err(DataFusionError::from)?;
        Ok((ordered, started_ms))
    }

    /// The same of a source whose columns are of one type each.
    async fn of_alike(&self, source: &Question) -> Result<(RecordBatch, i64), SqlError> {
        let unsaid = defaults::unsaid(&source.query);
        let source = without_defaults(source, &unsaid);
        let planned = question::plan(self.inner, self.session, &source, self.parameters)?;
        let given = planned.plan.schema().fields().len();
        check_width(given, self.targets.len(), self.is_named)?;
        let started_ms = question::started_ms(&planned.state);
        let physical = planned.physical(self.inner, self.session, self.deadline).await?;
        let (schema, mut rows) = planned.run(physical, self.deadline)?;
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            count += batch.num_rows();
            check_count(count)?;
            batches.push(batch);
        }
        let batch = concat_batches(&schema, &batches).map_err(DataFusionError::from)?;
        let mut arrays: Vec<Option<ArrayRef>> = vec![None; self.encoder.schema().fields().len()];
        for (place, (target, array)) in self.targets.iter().zip(batch.columns()).enumerate() {
            let is_said = !unsaid.get(place).copied().unwrap_or(false);
            if let Some(slot) = arrays.get_mut(*target).filter(|_| is_said) {
                *slot = Some(Arc::clone(array));
            }
        }
        session_zone::in_utc(&mut arrays, &self.encoder.schema(), self.session.zone.as_ref())?;
        match count {
            0 => Ok((RecordBatch::new_empty(self.encoder.schema()), started_ms)),
            _ => Ok((self.encoder.assign(count, &arrays)?, started_ms)),
        }
    }
}

/// A source that can be worked out: with NULL where DEFAULT stands.
fn without_defaults<'a>(source: &'a Question, unsaid: &[bool]) -> Cow<'a, Question> {
    match unsaid.contains(&true) {
        false => Cow::Borrowed(source),
        true => Cow::Owned(Question {
            query: Box::new(defaults::as_null(&source.query)),
            rewinds: source.rewinds.clone(),
        }),
    }
}

fn check_count(rows: usize) -> Result<(), SqlError> {
    if rows > INSERT_ROWS_MAX {
        let message = format!("one INSERT takes at most {INSERT_ROWS_MAX} rows, and nothing of this one was appended");
        return Err(SqlError::new(SqlState::TOO_LARGE, message).hint("split it"));
    }
    Ok(())
}

/// Where events landed.
pub(super) struct Landed {
    /// In the order in which they were given.
    pub(super) addresses: Vec<Address>,
    /// Their keys.
    pub(super) keys: Vec<Option<Bytes>>,
    /// When, microseconds since 1970.
    pub(super) appended_at_us: i64,
}

impl Landed {
    pub(super) fn position(&self) -> Position {
        position_after(&self.addresses)
    }
}

/// Appends events, all of them or none. The time limit does not count from here on: an append that was handed over happens.
pub(super) async fn append(
    inner: &Inner,
    session: &Session,
    definition: &StreamDefinition,
    events: Vec<Event>,
    condition: Option<Condition>,
) -> Result<Landed, SqlError> {
    let keys = events.iter().map(|event| event.key.clone()).collect();
    let packed = pack(&definition.name, definition.partitions, events, inner.next_spread());
    let append = Append {
        parts: packed.parts.clone(),
        principal: session.principal.clone(),
        condition,
    };
    match inner.log.append(append).await {
        Ok(appended) => Ok(Landed {
            addresses: packed.addresses(&appended, 0),
            keys,
            appended_at_us: appended.appended_at_us,
        }),
        Err(AppendError::ConditionFailed(failed)) => Err(condition::failed(inner, *failed).await),
        Err(error) => Err(error.into()),
    }
}

/// Has events appended later.
async fn schedule(
    inner: &Inner,
    session: &Session,
    stream: &str,
    later: &Later,
    events: Vec<Event>,
    parameters: &[ScalarValue],
) -> Result<Position, SqlError> {
    let (due_us, name) = schedules::due(inner, later, parameters)?;
    let schedule = Schedule {
        name,
        due_us,
        stream: stream.to_owned(),
        events,
    };
    Ok(inner.schedules()?.make(&[schedule], &session.principal).await?)
}

/// The stream that is written to; a view says why it is none.
pub(super) fn into(inner: &Inner, name: &str) -> Result<Arc<StreamDefinition>, SqlError> {
    let catalog = &inner.catalog;
    if let Some(definition) = catalog.stream(name) {
        return Ok(definition);
    }
    match catalog.get(name) {
        Some(other) => {
            let message = format!("'{name}' is a {}: only streams are written to", other.noun());
            let below = inner.streams_below(name).join(", ");
            Err(SqlError::new(SqlState::TYPE_MISMATCH, message)
                .hint(format!("INSERT INTO the stream it reads: {below}")))
        }
        None => Err(inner.unknown_table(name)),
    }
}

/// Which column each value of a row goes to.
pub(super) fn targets(encoder: &EventEncoder, stream: &str, columns: &[Name]) -> Result<Vec<usize>, SqlError> {
    let schema = encoder.schema();
    if columns.is_empty() {
        return Ok((0..schema.fields().len()).collect());
    }
    let mut targets: Vec<usize> = Vec::new();
    for column in columns {
        let index = column_index(&schema, stream, &column.value)?;
        if targets.contains(&index) {
            let message = format!("column \"{}\" is named twice", column.value);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        targets.push(index);
    }
    Ok(targets)
}

fn check_width(given: usize, wanted: usize, named: bool) -> Result<(), SqlError> {
    if given > wanted {
        let message = format!("INSERT has more values than columns: {given} for {wanted}");
        return Err(SqlError::new(SqlState::SYNTAX, message).hint("DESCRIBE the stream"));
    }
    if given < wanted && named {
        let message = format!("INSERT has fewer values than columns: {given} for {wanted}");
        return Err(SqlError::new(SqlState::SYNTAX, message).hint("name only the columns that get a value"));
    }
    Ok(())
}

/// Refuses more bytes of events than one append may hold.
pub(crate) fn check_bytes(events: &[Event]) -> Result<(), SqlError> {
    let bytes: usize = events
        .iter()
        .map(|event| event.value.as_ref().map_or(0, |value| value.len()))
        .sum();
    if bytes > INSERT_BYTES_MAX {
        let message = format!(
            "{bytes} bytes of events are more than the {INSERT_BYTES_MAX} that are appended at once; nothing was appended"
        );
        return Err(SqlError::new(SqlState::TOO_LARGE, message).hint("split it"));
    }
    Ok(())
}

/// The parameters that stand alone in the rows of VALUES, with the column each goes to.
pub(super) fn lone_parameters(query: &Query, targets: &[usize]) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    let SetExpr::Values(values) = query.body.as_ref() else {
        return found;
    };
    for row in &values.rows {
        for (expr, target) in row.iter().zip(targets) {
            if let Expr::Value(value) = expr
                && let Value::Placeholder(id) = &value.value
            {
                found.push((id.clone(), *target));
            }
        }
    }
    found
}

/// What an INSERT takes: a parameter that stands alone has its column's type.
pub(super) fn describe(inner: &Inner, insert: &Insert) -> Result<crate::Described, SqlError> {
    let Insert {
        stream,
        columns,
        source,
        condition,
        returning,
        ..
    } = insert;
    let definition = inner
        .catalog
        .stream(&stream.value)
        .ok_or_else(|| inner.unknown_table(&stream.value))?;
    let encoder = EventEncoder::new(&definition, inner.catalog.schemas())?;
    let targets = targets(&encoder, &stream.value, columns)?;
    let asked = Question {
        query: Box::new(defaults::as_null(&source.query)),
        rewinds: source.rewinds.clone(),
    };
    let mut described = question::describe(inner, &asked, &[])?;
    let schema = encoder.schema();
    described.columns = Answer::new(&schema, &stream.value, returning)?.map(|answer| answer.schema());
    let mut put = |id: &str, data_type: DataType| {
        let Some(index) = question::parameter_index(id) else {
            return;
        };
        if described.parameters.len() <= index {
            described.parameters.resize(index + 1, None);
        }
        described.parameters[index] = Some(data_type);
    };
    for (id, data_type) in condition
        .as_ref()
        .map(|written| condition::lone_parameters(inner, written))
        .unwrap_or_default()
    {
        put(&id, data_type);
    }
    // What goes into a column has the column's type, wherever else it stands.
    for (id, target) in lone_parameters(&source.query, &targets) {
        put(&id, schema.field(target).data_type().clone());
    }
    Ok(described)
}
