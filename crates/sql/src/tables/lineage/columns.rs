//! The columns of a lineage: where the event stands, what it holds, and the row after it.
//!
//! A view may read several streams, and tombstones: a column that an event does not have is NULL. Columns of one name and type are one; where two
//! streams mean something else by a name, the second one's column is called `stream_name`. A column of the row that is called as one of the event is
//! `name_after`, and the key stands there once.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::Result;
use headwater_views::decode::SYSTEM_COLUMNS;
use headwater_views::{Source, Steps, View};

/// The column that names the event's stream.
pub(crate) const STREAM: &str = "_stream";
/// What of an event only the log knows, shown before its own columns.
pub(super) const SHOWN: [&str; 4] = ["_partition", "_offset", "_appended_at", "_principal"];
/// What tells a column of the row from one of the event that has the same name.
const AFTER: &str = "_after";

/// Which columns of the event and of the row after it are shown.
pub(super) struct Columns {
    pub(super) schema: SchemaRef,
    /// What each of the columns behind the stream's name is called in its stream.
    own: Vec<String>,
    /// Where the columns behind those stand in the row.
    row: Vec<usize>,
}

impl Columns {
    /// Of a view and its sources, each with the schema of its events.
    pub(super) fn of(view: &View, sources: &[(Source, SchemaRef)]) -> Result<Columns> {
        let mut fields: Vec<Field> = vec![Field::new(STREAM, DataType::Utf8, false)];
        let mut own: Vec<String> = Vec::new();
        for (source, schema) in sources {
            for field in shown_of(schema) {
                let mut known = own.iter().zip(&fields[1..]);
                if known.any(|(name, known)| name == field.name() && known.data_type() == field.data_type()) {
                    continue;
                }
                own.push(field.name().clone());
                let mut name = field.name().clone();
                while fields.iter().any(|known| *known.name() == name) {
                    name = format!("{}_{name}", source.stream());
                }
                let is_nullable = field.is_nullable() || sources.len() > 1;
                fields.push(field.as_ref().clone().with_name(name).with_nullable(is_nullable));
            }
        }
        let after = view.lineage_schema();
        let mut row: Vec<usize> = Vec::new();
        for (index, field) in after.fields().iter().enumerate() {
            let is_shown = |name: &str| fields.iter().any(|known| known.name() == name);
            if is_shown(field.name()) && is_of_events(view, sources, index, field.name()) {
                continue;
            }
            let mut name = field.name().clone();
            while fields.iter().any(|known| *known.name() == name) {
                name.push_str(AFTER);
            }
            row.push(index);
            fields.push(field.as_ref().clone().with_name(name));
        }
        Ok(Columns {
            schema: Arc::new(Schema::new(fields)),
            own,
            row,
        })
    }

    /// The column of the row that a column is; `None` where it is one of the event.
    pub(super) fn column_of_row(&self, shown: usize) -> Option<usize> {
        let place = shown.checked_sub(1 + self.own.len())?;
        self.row.get(place).copied()
    }

    /// Steps as they are shown: events of a stream, and the rows after them.
    pub(super) fn shown(&self, stream: &str, events: &RecordBatch, steps: &Steps) -> Result<RecordBatch> {
        let count = steps.events.len();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        columns.push(Arc::new(StringArray::from(vec![stream; count])));
        for (name, field) in self.own.iter().zip(&self.schema.fields()[1..]) {
            let column = events.column_by_name(name);
            columns.push(match column.filter(|column| column.data_type() == field.data_type()) {
                Some(column) => take(column, &steps.events, None)?,
                None => new_null_array(field.data_type(), count),
            });
        }
        columns.extend(self.row.iter().map(|index| Arc::clone(steps.rows.column(*index))));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// The columns of events that are shown: where and when, then their own.
fn shown_of(schema: &Schema) -> Vec<&FieldRef> {
    let system = SHOWN
        .iter()
        .filter_map(|name| schema.fields().find(name))
        .map(|(_, field)| field);
    let is_own = |field: &&FieldRef| !SYSTEM_COLUMNS.contains(&field.name().as_str());
    system.chain(schema.fields().iter().filter(is_own)).collect()
}

/// Whether a column of the row is part of its key and every event has the same column: it would be shown twice.
fn is_of_events(view: &View, sources: &[(Source, SchemaRef)], index: usize, name: &str) -> bool {
    let Some(place) = view.key_columns().iter().position(|column| *column == index) else {
        return false;
    };
    let is_of = |source: &Source| {
        view.key_sources(source)
            .is_some_and(|key| key.get(place).is_some_and(|key| key == name))
    };
    sources.iter().all(|(source, _)| is_of(source))
}
