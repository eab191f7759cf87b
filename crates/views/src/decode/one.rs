//! One value that is being appended, read by its stream's newest schema: for doors, which look at it before there is an event.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use headwater_catalog::ColumnType;

use super::StreamDecoder;
use super::cell::{Builder, Cell};
use super::row::RowReader;

impl StreamDecoder {
    /// Whether one value fits the stream's newest schema: for doors that refuse at once. `Err` holds the reason.
    pub fn check(&self, value: Option<&[u8]>) -> Result<(), String> {
        value.map_or(Ok(()), |value| self.read_one(value, &[]).map(drop))
    }

    /// Some of the declared columns of one value, each an array of one; `Err` holds why the value does not fit.
    pub fn read_one(&self, value: &[u8], columns: &[usize]) -> Result<Vec<ArrayRef>, String> {
        self.read_each(value, columns, |column_type, cell, row, scratch| {
            let mut builder = Builder::new(column_type, 1);
            builder.append(cell, row, scratch);
            builder.finish()
        })
    }

    /// The same as values, for whoever needs no arrays of them.
    pub fn values_of_one(&self, value: &[u8], columns: &[usize]) -> Result<Vec<ScalarValue>, String> {
        self.read_each(value, columns, scalar)
    }

    fn read_each<T>(
        &self,
        value: &[u8],
        columns: &[usize],
        make: impl Fn(ColumnType, &Cell, &str, &[u8]) -> T,
    ) -> Result<Vec<T>, String> {
        let mut scratch = String::new();
        let row = self.codec.row(value, self.codec.now(), &mut scratch)?;
        let (Some(declared), Some(fields)) = (&self.definition.columns, &self.fields) else {
            return Ok(Vec::new());
        };
        let mut reader = RowReader::new(declared, Arc::clone(fields));
        reader.read(row)?;
        let one = |column: &usize| {
            let column_type = declared[*column].column_type;
            make(column_type, &reader.cells[*column], row, &reader.scratch)
        };
        Ok(columns.iter().map(one).collect())
    }
}

/// A cell that was read for a column of this type: what a [`Builder`] makes of it, without an array.
fn scalar(column_type: ColumnType, cell: &Cell, text: &str, scratch: &[u8]) -> ScalarValue {
    let part = || match cell {
        Cell::Text(part) => Some(text[part.range()].to_owned()),
        Cell::Scratch(part) => Some(String::from_utf8_lossy(&scratch[part.range()]).into_owned()),
        _ => None,
    };
    match (column_type, cell) {
        (ColumnType::Boolean, Cell::Boolean(value)) => ScalarValue::Boolean(Some(*value)),
        (ColumnType::Integer, Cell::Integer(value)) => ScalarValue::Int32(Some(*value)),
        (ColumnType::BigInt, Cell::BigInt(value)) => ScalarValue::Int64(Some(*value)),
        (ColumnType::Real, Cell::Real(value)) => ScalarValue::Float32(Some(*value)),
        (ColumnType::Double, Cell::Double(value)) => ScalarValue::Float64(Some(*value)),
        (ColumnType::Decimal(precision, scale), Cell::Decimal(value)) => {
            ScalarValue::Decimal128(Some(*value), precision, scale)
        }
        (ColumnType::Text | ColumnType::Json, Cell::Text(_) | Cell::Scratch(_)) => ScalarValue::Utf8(part()),
        (ColumnType::Bytes, Cell::Scratch(part)) => ScalarValue::Binary(Some(scratch[part.range()].to_vec())),
        (ColumnType::Date, Cell::Date(value)) => ScalarValue::Date32(Some(*value)),
        (ColumnType::Timestamp, Cell::Timestamp(value)) => ScalarValue::TimestampMicrosecond(Some(*value), None),
        (ColumnType::TimestampTz, Cell::Timestamp(value)) => {
            ScalarValue::TimestampMicrosecond(Some(*value), Some("+00:00".into()))
        }
        (column_type, cell) => {
            debug_assert_eq!(*cell, Cell::Null, "a cell of another type than its column");
            // There is a NULL of every type that a column may have.
            ScalarValue::try_from(&column_type.data_type()).unwrap_or(ScalarValue::Null)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::from_on;
    use super::*;

    #[test]
    fn a_value_is_what_an_array_of_it_holds() {
        let text = r#"say "hi""#;
        let (word, quoted) = (from_on(0, &text.as_bytes()[..3]), from_on(4, text.as_bytes()));
        let check = |column_type: ColumnType, cell: Cell| {
            let mut builder = Builder::new(column_type, 1);
            builder.append(&cell, text, text.as_bytes());
            let expected = ScalarValue::try_from_array(&builder.finish(), 0).expect("one value");
            let found = scalar(column_type, &cell, text, text.as_bytes());
            assert_eq!(found, expected, "{cell:?}");
            assert_eq!(found.data_type(), column_type.data_type(), "{cell:?}");
        };
        for (column_type, cell) in [
            (ColumnType::Boolean, Cell::Boolean(true)),
            (ColumnType::Integer, Cell::Integer(-7)),
            (ColumnType::BigInt, Cell::BigInt(7)),
            (ColumnType::Real, Cell::Real(0.5)),
            (ColumnType::Double, Cell::Double(-0.0)),
            (ColumnType::Decimal(18, 2), Cell::Decimal(-12_345)),
            (ColumnType::Text, Cell::Text(word)),
            (ColumnType::Text, Cell::Scratch(quoted)),
            (ColumnType::Json, Cell::Text(quoted)),
            (ColumnType::Bytes, Cell::Scratch(word)),
            (ColumnType::Date, Cell::Date(19_000)),
            (ColumnType::Timestamp, Cell::Timestamp(1)),
            (ColumnType::TimestampTz, Cell::Timestamp(-1)),
        ] {
            check(column_type, cell);
            check(column_type, Cell::Null);
        }
    }
}
