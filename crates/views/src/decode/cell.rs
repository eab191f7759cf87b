//! One value of one column: from JSON to the column's type, and into Arrow.
//!
//! An event is read whole before any of it is built into a column: it fits, or nothing of it is there.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_catalog::ColumnType;
use headwater_catalog::value::json::{self, Value};
use headwater_catalog::value::moment;
use headwater_catalog::value::number::{self, NumberError};

/// A value of a column's type. Text and bytes are stretches of the event's text or of the scratch space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    Null,
    Boolean(bool),
    Integer(i32),
    BigInt(i64),
    Real(f32),
    Double(f64),
    Decimal(i128),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01.
    Timestamp(i64),
    /// A part of the event's text.
    Text(Stretch),
    /// A part of the scratch space.
    Scratch(Stretch),
}

/// From one byte on, up to another. Cells are copied for every event, so that a range, which is an iterator too, would not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    from: usize,
    upto: usize,
}

impl Stretch {
    pub(super) fn range(self) -> Range<usize> {
        self.from..self.upto
    }
}

/// From a place on, all that a space has.
pub(super) fn from_on(from: usize, space: &[u8]) -> Stretch {
    Stretch {
        from,
        upto: space.len(),
    }
}

/// Why a JSON value is no value of the column's type; completes the sentence "column 'c': VALUE …".
pub(super) type Misfit = &'static str;

/// Reads a JSON value as a column's type. `whole` is the value's text, `base` the text of the event that it is a part of.
pub(super) fn read(
    column_type: ColumnType,
    value: Value<'_>,
    whole: &str,
    base: &str,
    scratch: &mut Vec<u8>,
) -> Result<Cell, Misfit> {
    if value == Value::Null {
        return Ok(Cell::Null);
    }
    match column_type {
        ColumnType::Boolean => match value {
            Value::Bool(value) => Ok(Cell::Boolean(value)),
            _ => Err("is neither true nor false"),
        },
        ColumnType::Integer => {
            let value = number::integer(literal(value)?).map_err(whole_number)?;
            i32::try_from(value).map(Cell::Integer).map_err(|_| "is out of range")
        }
        ColumnType::BigInt => number::integer(literal(value)?).map(Cell::BigInt).map_err(whole_number),
        ColumnType::Real => real(value),
        ColumnType::Double => double(value),
        ColumnType::Decimal(precision, scale) => number::decimal(literal(value)?, precision, scale)
            .map(Cell::Decimal)
            .map_err(decimal_number),
        ColumnType::Text => text(value, base, scratch),
        ColumnType::Json => Ok(Cell::Text(range_in(base, whole))),
        ColumnType::Bytes => bytes(value, base, scratch),
        ColumnType::Date => moment::date(plain(value)?.as_bytes())
            .map(Cell::Date)
            .ok_or("is no date (YYYY-MM-DD)"),
        ColumnType::Timestamp => {
            let moment = moment::moment(plain(value)?.as_bytes())
                .ok_or("is no timestamp (YYYY-MM-DDTHH:MM:SS, to the microsecond at most)")?;
            match moment.offset_us {
                None | Some(0) => Ok(Cell::Timestamp(moment.wall_us)),
                Some(_) => Err("has a time zone, which the column does not keep (declare it TIMESTAMPTZ)"),
            }
        }
        ColumnType::TimestampTz => {
            let moment = moment::moment(plain(value)?.as_bytes())
                .ok_or("is no timestamp (YYYY-MM-DDTHH:MM:SSZ, to the microsecond at most)")?;
            Ok(Cell::Timestamp(moment.wall_us - moment.offset_us.unwrap_or(0)))
        }
    }
}

fn whole_number(error: NumberError) -> Misfit {
    match error {
        NumberError::Syntax => "is no number",
        NumberError::Fraction => "is no whole number",
        NumberError::Range => "is out of range",
    }
}

fn decimal_number(error: NumberError) -> Misfit {
    match error {
        NumberError::Syntax => "is no number",
        NumberError::Fraction => "has more digits after the point than the column keeps",
        NumberError::Range => "is out of range",
    }
}

fn literal(value: Value<'_>) -> Result<&[u8], Misfit> {
    value.literal().map(str::as_bytes).ok_or("is no number")
}

fn double(value: Value<'_>) -> Result<Cell, Misfit> {
    let text = std::str::from_utf8(literal(value)?).map_err(|_| "is no number")?;
    let special = special_float(value);
    special
        .map_or_else(|| number::double(text), Ok)
        .map(Cell::Double)
        .map_err(whole_number)
}

fn real(value: Value<'_>) -> Result<Cell, Misfit> {
    let text = std::str::from_utf8(literal(value)?).map_err(|_| "is no number")?;
    let special = special_float(value).map(|special| special as f32);
    special
        .map_or_else(|| number::real(text), Ok)
        .map(Cell::Real)
        .map_err(whole_number)
}

/// What a float column holds and JSON's numbers cannot write, as PostgreSQL spells it.
fn special_float(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Text { raw: "NaN", .. } => Some(f64::NAN),
        Value::Text { raw: "Infinity", .. } => Some(f64::INFINITY),
        Value::Text { raw: "-Infinity", .. } => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn plain(value: Value<'_>) -> Result<&str, Misfit> {
    value.plain().ok_or("is no string")
}

fn text(value: Value<'_>, base: &str, scratch: &mut Vec<u8>) -> Result<Cell, Misfit> {
    match value {
        Value::Text {
            raw,
            has_escapes: false,
        } => Ok(Cell::Text(range_in(base, raw))),
        Value::Text { raw, has_escapes: true } => {
            let from = scratch.len();
            json::unescape(raw, scratch)?;
            // Without an escape JSON has none.
            match scratch[from..].contains(&0) {
                true => Err("holds U+0000, which no TEXT does (a BYTEA takes it)"),
                false => Ok(Cell::Scratch(from_on(from, scratch))),
            }
        }
        _ => Err("is no string"),
    }
}

fn bytes(value: Value<'_>, base: &str, scratch: &mut Vec<u8>) -> Result<Cell, Misfit> {
    let unescaped = match text(value, base, scratch)? {
        Cell::Scratch(stretch) => scratch[stretch.range()].to_vec(),
        _ => plain(value)?.as_bytes().to_vec(),
    };
    let from = scratch.len();
    STANDARD.decode_vec(&unescaped, scratch).map_err(|_| "is no base64")?;
    Ok(Cell::Scratch(from_on(from, scratch)))
}

/// Where `part`, a slice of `base`, stands in it.
fn range_in(base: &str, part: &str) -> Stretch {
    let from = part.as_ptr() as usize - base.as_ptr() as usize;
    Stretch {
        from,
        upto: from + part.len(),
    }
}

/// A column being built.
pub(super) enum Builder {
    Boolean(BooleanBuilder),
    Integer(Int32Builder),
    BigInt(Int64Builder),
    Real(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Builder {
    /// A builder for about `rows` values.
    pub(super) fn new(column_type: ColumnType, rows: usize) -> Builder {
        match column_type {
            ColumnType::Boolean => Builder::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnType::Integer => Builder::Integer(Int32Builder::with_capacity(rows)),
            ColumnType::BigInt => Builder::BigInt(Int64Builder::with_capacity(rows)),
            ColumnType::Real => Builder::Real(Float32Builder::with_capacity(rows)),
            ColumnType::Double => Builder::Double(Float64Builder::with_capacity(rows)),
            ColumnType::Decimal(..) => {
                Builder::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(column_type.data_type()))
            }
            ColumnType::Text | ColumnType::Json => Builder::Text(StringBuilder::with_capacity(rows, rows * 8)),
            ColumnType::Bytes => Builder::Bytes(BinaryBuilder::with_capacity(rows, rows * 8)),
            ColumnType::Date => Builder::Date(Date32Builder::with_capacity(rows)),
            ColumnType::Timestamp | ColumnType::TimestampTz => Builder::Timestamp(
                TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(column_type.data_type()),
            ),
        }
    }

    /// Appends a cell that was read for this column.
    pub(super) fn append(&mut self, cell: &Cell, text: &str, scratch: &[u8]) {
        match (self, cell) {
            (Builder::Boolean(builder), Cell::Boolean(value)) => builder.append_value(*value),
            (Builder::Integer(builder), Cell::Integer(value)) => builder.append_value(*value),
            (Builder::BigInt(builder), Cell::BigInt(value)) => builder.append_value(*value),
            (Builder::Real(builder), Cell::Real(value)) => builder.append_value(*value),
            (Builder::Double(builder), Cell::Double(value)) => builder.append_value(*value),
            (Builder::Decimal(builder), Cell::Decimal(value)) => builder.append_value(*value),
            (Builder::Text(builder), Cell::Text(part)) => builder.append_value(&text[part.range()]),
            (Builder::Text(builder), Cell::Scratch(part)) => {
                builder.append_value(String::from_utf8_lossy(&scratch[part.range()]));
            }
            (Builder::Bytes(builder), Cell::Scratch(part)) => builder.append_value(&scratch[part.range()]),
            (Builder::Date(builder), Cell::Date(value)) => builder.append_value(*value),
            (Builder::Timestamp(builder), Cell::Timestamp(value)) => builder.append_value(*value),
            (builder, cell) => {
                debug_assert_eq!(*cell, Cell::Null, "a cell of another type than its column");
                builder.append_null();
            }
        }
    }

    fn append_null(&mut self) {
        match self {
            Builder::Boolean(builder) => builder.append_null(),
            Builder::Integer(builder) => builder.append_null(),
            Builder::BigInt(builder) => builder.append_null(),
            Builder::Real(builder) => builder.append_null(),
            Builder::Double(builder) => builder.append_null(),
            Builder::Decimal(builder) => builder.append_null(),
            Builder::Text(builder) => builder.append_null(),
            Builder::Bytes(builder) => builder.append_null(),
            Builder::Date(builder) => builder.append_null(),
            Builder::Timestamp(builder) => builder.append_null(),
        }
    }

    /// The column.
    pub(super) fn finish(self) -> ArrayRef {
        match self {
            Builder::Boolean(mut builder) => Arc::new(builder.finish()),
            Builder::Integer(mut builder) => Arc::new(builder.finish()),
            Builder::BigInt(mut builder) => Arc::new(builder.finish()),
            Builder::Real(mut builder) => Arc::new(builder.finish()),
            Builder::Double(mut builder) => Arc::new(builder.finish()),
            Builder::Decimal(mut builder) => Arc::new(builder.finish()),
            Builder::Text(mut builder) => Arc::new(builder.finish()),
            Builder::Bytes(mut builder) => Arc::new(builder.finish()),
            Builder::Date(mut builder) => Arc::new(builder.finish()),
            Builder::Timestamp(mut builder) => Arc::new(builder.finish()),
        }
    }
}
