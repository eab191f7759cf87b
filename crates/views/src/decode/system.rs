//! The columns that every stream has: where an event stands, its key and headers, when and who.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, TimeUnit};
use headwater_eventlog::StoredBatch;
use headwater_records::EventSlice;

/// Before bytes in hexadecimal.
const HEX: &str = "\\x";

/// The columns that every stream has besides its own, in order.
pub const SYSTEM_COLUMNS: [&str; 7] = [
    "_partition",
    "_offset",
    "_key",
    "_headers",
    "_timestamp",
    "_appended_at",
    "_principal",
];

/// The fields, in the order of [`SYSTEM_COLUMNS`].
pub(super) fn fields() -> Vec<Field> {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    vec![
        Field::new("_partition", DataType::Int32, false),
        Field::new("_offset", DataType::Int64, false),
        Field::new("_key", DataType::Utf8, true),
        Field::new("_headers", DataType::Utf8, true),
        Field::new("_timestamp", timestamp.clone(), false),
        Field::new("_appended_at", timestamp, false),
        Field::new("_principal", DataType::Utf8, false),
    ]
}

/// One system column being built.
pub(super) enum SystemBuilder {
    Partition(Int32Builder),
    Offset(Int64Builder),
    Key(StringBuilder),
    Headers(StringBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    AppendedAt(TimestampMicrosecondBuilder),
    Principal(StringBuilder),
}

impl SystemBuilder {
    /// The builder of the column `index` of [`SYSTEM_COLUMNS`], for about `rows` events.
    pub(super) fn new(index: usize, rows: usize) -> SystemBuilder {
        let text = || StringBuilder::with_capacity(rows, rows * 8);
        let moments = || TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("+00:00");
        match index {
            0 => SystemBuilder::Partition(Int32Builder::with_capacity(rows)),
            1 => SystemBuilder::Offset(Int64Builder::with_capacity(rows)),
            2 => SystemBuilder::Key(text()),
            3 => SystemBuilder::Headers(text()),
            4 => SystemBuilder::Timestamp(moments()),
            5 => SystemBuilder::AppendedAt(moments()),
            _ => SystemBuilder::Principal(text()),
        }
    }

    /// Appends what is known of one event.
    pub(super) fn append(&mut self, partition: u32, stored: &StoredBatch, event: &EventSlice<'_>) {
        match self {
            SystemBuilder::Partition(builder) => builder.append_value(i32::try_from(partition).unwrap_or(i32::MAX)),
            SystemBuilder::Offset(builder) => builder.append_value(i64::try_from(event.offset).unwrap_or(i64::MAX)),
            SystemBuilder::Key(builder) => match event.key {
                None => builder.append_null(),
                Some(key) => match as_text(key) {
                    Some(key) => builder.append_value(key),
                    None => builder.append_value(hex(key)),
                },
            },
            SystemBuilder::Headers(builder) => match event.header_count() {
                0 => builder.append_null(),
                _ => builder.append_value(headers_json(event)),
            },
            SystemBuilder::Timestamp(builder) => builder.append_value(event.timestamp_ms.saturating_mul(1_000)),
            SystemBuilder::AppendedAt(builder) => builder.append_value(stored.appended_at_us),
            SystemBuilder::Principal(builder) => builder.append_value(&stored.principal),
        }
    }

    /// The column.
    pub(super) fn finish(self) -> ArrayRef {
        match self {
            SystemBuilder::Partition(mut builder) => Arc::new(builder.finish()),
            SystemBuilder::Offset(mut builder) => Arc::new(builder.finish()),
            SystemBuilder::Key(mut builder)
            | SystemBuilder::Headers(mut builder)
            | SystemBuilder::Principal(mut builder) => Arc::new(builder.finish()),
            SystemBuilder::Timestamp(mut builder) | SystemBuilder::AppendedAt(mut builder) => {
                Arc::new(builder.finish())
            }
        }
    }
}

/// Bytes as text; those that are none as `\x` and hex. No two of them have the same text.
pub fn text_or_hex(bytes: &[u8]) -> String {
    match as_text(bytes) {
        Some(text) => text.to_owned(),
        None => hex(bytes),
    }
}

/// The text that bytes are. None holds U+0000, as PostgreSQL's, and none begins with `\x`, as it would be taken for other bytes' hex.
fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.starts_with(HEX) && !text.contains('\0')).then_some(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(HEX.to_owned(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Headers as a JSON object; a name that repeats has the array of its values.
fn headers_json(event: &EventSlice<'_>) -> String {
    use serde_json::{Map, Value};
    let mut object = Map::new();
    // Those of an event that is decoded can all be read.
    let _ = event.for_each_header(|name, value| {
        let value = value.map_or(Value::Null, |value| Value::String(text_or_hex(value)));
        match object.get_mut(name) {
            None => {
                object.insert(name.to_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    });
    Value::Object(object).to_string()
}
