//! What is to be read of the streams up to a position, as tables, made of the values that events were made of: nothing of it was decoded.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_empty_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use headwater_records::Position;
use headwater_views::decode::SYSTEM_COLUMNS;

use super::bugs::Bug;
use super::events::{Made, Reads, STREAMS};

/// An event where it was appended.
struct Placed {
    made: Made,
    appended_at_us: i64,
}

/// Everything that was appended: by stream and partition, its offset is its place.
#[derive(Default)]
pub struct Appended(BTreeMap<(usize, u32), Vec<Placed>>);

/// Which of a stream's events are rows of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Events,
    Tombstones,
}

impl Appended {
    pub fn put(&mut self, stream: usize, partition: u32, events: Vec<Made>, appended_at_us: i64) {
        let placed = events.into_iter().map(|made| Placed { made, appended_at_us });
        self.0.entry((stream, partition)).or_default().extend(placed);
    }

    /// The rows of a stream below a position, in a schema that ends with the system columns.
    pub fn rows(
        &self,
        stream: usize,
        part: Part,
        schema: &SchemaRef,
        upto: &Position,
        bug: Option<Bug>,
    ) -> RecordBatch {
        let own = schema.fields().len() - SYSTEM_COLUMNS.len();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut columns: Vec<Vec<ScalarValue>> = vec![Vec::new(); schema.fields().len()];
        for partition in 0..STREAMS[stream].partitions {
            let end = upto.get(STREAMS[stream].name, partition);
            let placed = self.0.get(&(stream, partition)).into_iter().flatten();
            for (offset, placed) in (0..end).zip(placed) {
                let key_is_there = placed.made.event.key.is_some();
                let reads = match bug {
                    Some(bug) => bug.of_reading(&placed.made.reads, key_is_there, &names),
                    None => placed.made.reads.clone(),
                };
                let mut values = match (reads, part) {
                    (Reads::Row(values), Part::Events) | (Reads::Tombstone(values), Part::Tombstones) => values,
                    _ => continue,
                };
                for field in schema.fields().iter().take(own).skip(values.len()) {
                    values.push(nothing(field));
                }
                let system = system_values(placed, partition, offset);
                for (column, value) in columns.iter_mut().zip(values.into_iter().chain(system)) {
                    column.push(value);
                }
            }
        }
        let column = |(values, field): (Vec<ScalarValue>, &Arc<Field>)| -> ArrayRef {
            if values.is_empty() {
                return new_empty_array(field.data_type());
            }
            let values = ScalarValue::iter_to_array(values).expect("values of one type");
            cast(&values, field.data_type()).expect("values of the column's type")
        };
        let columns: Vec<ArrayRef> = columns.into_iter().zip(schema.fields()).map(column).collect();
        RecordBatch::try_new(Arc::clone(schema), columns).expect("columns of the schema")
    }
}

/// What stands for a value of which nothing is known: a planted bug makes rows of that.
fn nothing(field: &Field) -> ScalarValue {
    match field.data_type() {
        DataType::Int64 if !field.is_nullable() => ScalarValue::Int64(Some(1)),
        DataType::Timestamp(..) => ScalarValue::TimestampMicrosecond(None, None),
        other => ScalarValue::try_from(other).expect("a NULL"),
    }
}

/// Where and when it was appended, by whom, and the writer's own time.
fn system_values(placed: &Placed, partition: u32, offset: u64) -> [ScalarValue; 7] {
    let event = &placed.made.event;
    let key = event
        .key
        .as_deref()
        .map(|key| String::from_utf8(key.to_vec()).expect("text"));
    [
        ScalarValue::Int32(Some(partition as i32)),
        ScalarValue::Int64(Some(offset as i64)),
        ScalarValue::Utf8(key),
        ScalarValue::Utf8(None),
        ScalarValue::TimestampMicrosecond(Some(event.timestamp_ms * 1_000), None),
        ScalarValue::TimestampMicrosecond(Some(placed.appended_at_us), None),
        ScalarValue::Utf8(Some(super::machine::WRITER.to_owned())),
    ]
}
