//! RETURNING: the columns of the events that an INSERT appended, and where they landed.
//!
//! Invariant: it is made before anything is appended, and gives columns alone: what was appended can be answered.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use headwater_records::{Address, Position};

use super::Landed;
use crate::syntax::{Name, Returned};
use crate::{Outcome, SqlError, SqlState};

/// Where an event stands in its partition, and who sees it.
#[derive(Debug, Clone, Copy)]
enum System {
    Partition,
    Offset,
    /// The position just behind the event: what reads wait for that are to see it.
    Position,
    Key,
    AppendedAt,
    Principal,
}

const SYSTEM: [(&str, System); 6] = [
    ("_partition", System::Partition),
    ("_offset", System::Offset),
    ("_position", System::Position),
    ("_key", System::Key),
    ("_appended_at", System::AppendedAt),
    ("_principal", System::Principal),
];

/// Where a column of the answer comes from.
enum From {
    /// A column of the stream, by its place.
    Stream(usize),
    System(System),
}

/// The answer of an INSERT.
pub(super) struct Answer {
    schema: SchemaRef,
    columns: Vec<From>,
}

impl Answer {
    /// The answer of what is returned of rows with such columns; `None` where nothing is.
    pub(super) fn new(of: &SchemaRef, stream: &str, returned: &[Returned]) -> Result<Option<Answer>, SqlError> {
        if returned.is_empty() {
            return Ok(None);
        }
        let mut fields: Vec<Field> = Vec::new();
        let mut columns: Vec<From> = Vec::new();
        for item in returned {
            match item {
                Returned::All => {
                    fields.extend(of.fields().iter().map(|field| field.as_ref().clone()));
                    columns.extend((0..of.fields().len()).map(From::Stream));
                }
                Returned::Column { column, name } => {
                    let (field, from) = named(of, stream, column)?;
                    fields.push(field.with_name(name));
                    columns.push(from);
                }
            }
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Some(Answer { schema, columns }))
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Where no row was given.
    pub(super) fn of_nothing(self) -> Result<Outcome, SqlError> {
        let rows = RecordBatch::new_empty(self.schema());
        Ok(self.outcome(rows, None))
    }

    /// What was appended, in the order in which it was given.
    pub(super) fn of(self, rows: &RecordBatch, landed: &Landed, principal: &str) -> Result<Outcome, SqlError> {
        let column = |from: &From| match from {
            From::Stream(place) => Arc::clone(rows.column(*place)),
            From::System(system) => system.column(landed, principal),
        };
        let columns: Vec<ArrayRef> = self.columns.iter().map(column).collect();
        let answer = RecordBatch::try_new(self.schema(), columns).map_err(DataFusionError::from)?;
        Ok(self.outcome(answer, Some(landed.position())))
    }

    fn outcome(self, rows: RecordBatch, position: Option<Position>) -> Outcome {
        let rows = futures::stream::iter([Ok(rows)]);
        let rows = Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows));
        Outcome::Rows {
            schema: self.schema,
            rows,
            position,
            seen: None,
        }
    }
}

/// A column by its name.
fn named(of: &SchemaRef, stream: &str, column: &Name) -> Result<(Field, From), SqlError> {
    if let Ok(place) = of.index_of(&column.value) {
        return Ok((of.field(place).clone(), From::Stream(place)));
    }
    if let Some((name, system)) = SYSTEM.into_iter().find(|(name, _)| *name == column.value) {
        return Ok((system.field(name), From::System(system)));
    }
    let message = format!("column \"{}\" of stream \"{stream}\" does not exist", column.value);
    let own = of.fields().iter().map(|field| field.name().as_str());
    let names: Vec<&str> = own.chain(SYSTEM.map(|(name, _)| name)).collect();
    Err(SqlError::new(SqlState::UNKNOWN_COLUMN, message).hint(format!("there are {}", names.join(", "))))
}

impl System {
    fn field(self, name: &str) -> Field {
        let data_type = match self {
            System::Partition => DataType::Int32,
            System::Offset => DataType::Int64,
            System::AppendedAt => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            System::Position | System::Key | System::Principal => DataType::Utf8,
        };
        Field::new(name, data_type, matches!(self, System::Key))
    }

    fn column(self, landed: &Landed, principal: &str) -> ArrayRef {
        let addresses = || landed.addresses.iter();
        match self {
            System::Partition => Arc::new(Int32Array::from_iter_values(
                addresses().map(|address| address.partition as i32),
            )),
            System::Offset => Arc::new(Int64Array::from_iter_values(
                addresses().map(|address| address.offset as i64),
            )),
            System::Position => Arc::new(StringArray::from_iter_values(addresses().map(behind))),
            System::Key => {
                Arc::new(StringArray::from_iter(landed.keys.iter().map(|key| {
                    key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned())
                })))
            }
            System::AppendedAt => {
                let moments = addresses().map(|_| landed.appended_at_us);
                Arc::new(TimestampMicrosecondArray::from_iter_values(moments).with_timezone("+00:00"))
            }
            System::Principal => Arc::new(StringArray::from_iter_values(addresses().map(|_| principal))),
        }
    }
}

fn behind(address: &Address) -> String {
    let mut position = Position::new();
    position.advance(&address.stream, address.partition, address.offset + 1);
    position.to_string()
}
