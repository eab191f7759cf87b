//! Columns of a batch as the values that go onto the wire.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array,
    Float64Array, Int64Array, IntervalMonthDayNanoArray, ListArray, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::writer::make_encoder;
use bytes::{BufMut, BytesMut};
use headwater_sql::SessionZone;
use headwater_sql::encode::JSON_OPTIONS;
use headwater_sql::encode::calendar::{put_date, put_interval, put_moment, put_time, put_timestamp};
use headwater_sql::encode::float_text::put_float;
use headwater_sql::encode::interval_text::intervals;

use super::array;
use super::format::{BINARY, DAYS_TO_2000, MICROSECONDS_TO_2000, TEXT};
use super::numeric::put_binary;
use super::types::{PgType, WireType, element_of, modifier_of};
use crate::wire::output::ColumnDescription;

/// The columns of an answer, for a RowDescription.
pub(crate) fn describe(schema: &Schema) -> Vec<ColumnDescription> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let (oid, size) = WireType::of(field.data_type()).wire();
            ColumnDescription {
                name: field.name().clone(),
                oid,
                size,
                modifier: modifier_of(field.data_type()),
            }
        })
        .collect()
}

/// One column of a batch, in one of few shapes that every Arrow type is brought into.
pub(crate) enum Column {
    Bool(BooleanArray),
    /// Whole numbers, with the bytes of their binary form.
    Int(Int64Array, u8),
    Float4(Float32Array),
    Float8(Float64Array),
    Numeric(Decimal128Array),
    BigNumeric(Decimal256Array),
    /// Texts, JSON included.
    Text(StringArray),
    Bytes(BinaryArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    /// What clocks show.
    Timestamp(TimestampMicrosecondArray),
    /// Moments, and in which zone they are shown.
    Moment(TimestampMicrosecondArray, Option<SessionZone>),
    Interval(IntervalMonthDayNanoArray),
    Array(Lists),
}

/// Lists of scalars.
pub(crate) struct Lists {
    /// Each row's list: where its elements stand among those of all.
    lists: ListArray,
    /// The number of the first of the elements.
    first: usize,
    elements: Box<Column>,
    element_oid: u32,
}

impl Lists {
    fn new(array: &ArrayRef, element_type: PgType, zone: Option<&SessionZone>) -> Result<Lists, ArrowError> {
        let element = element_of(array.data_type()).cloned().unwrap_or(DataType::Null);
        let element: FieldRef = Arc::new(Field::new_list_field(element, true));
        let lists = cast(array, &DataType::List(Arc::clone(&element)))?
            .as_list::<i32>()
            .clone();
        // A part of a batch has the elements of all of it.
        let offsets = lists.offsets();
        let (first, end) = (offsets[0] as usize, offsets[lists.len()] as usize);
        let elements = lists.values().slice(first, end - first);
        Ok(Lists {
            elements: Box::new(Column::new(&element, &elements, zone)?),
            lists,
            first,
            element_oid: element_type.wire().0,
        })
    }

    /// Where the elements of a row stand.
    fn of(&self, row: usize) -> Range<usize> {
        let offsets = self.lists.offsets();
        offsets[row] as usize - self.first..offsets[row + 1] as usize - self.first
    }

    fn put(&self, row: usize, format: i16, buffer: &mut BytesMut) {
        let of_row = self.of(row);
        let put = |index: usize, buffer: &mut BytesMut| self.elements.put(of_row.start + index, format, buffer);
        match format {
            BINARY => {
                let has_nulls = of_row.clone().any(|element| self.elements.array().is_null(element));
                array::put_binary(of_row.len(), self.element_oid, has_nulls, buffer, put);
            }
            _ => array::put_text(of_row.len(), buffer, put),
        }
    }
}

impl Column {
    /// Brings a column into its shape; moments are shown in the zone, without one in UTC.
    pub(crate) fn new(field: &FieldRef, array: &ArrayRef, zone: Option<&SessionZone>) -> Result<Column, ArrowError> {
        let to = |data_type: DataType| cast(array, &data_type);
        let one = match WireType::of(array.data_type()) {
            WireType::One(one) => one,
            WireType::Array(element) => return Ok(Column::Array(Lists::new(array, element, zone)?)),
        };
        let column = match one {
            PgType::Bool => Column::Bool(to(DataType::Boolean)?.as_boolean().clone()),
            PgType::Int2 => Column::Int(to(DataType::Int64)?.as_primitive().clone(), 2),
            PgType::Int4 | PgType::Oid => Column::Int(to(DataType::Int64)?.as_primitive().clone(), 4),
            PgType::Int8 => Column::Int(to(DataType::Int64)?.as_primitive().clone(), 8),
            PgType::Float4 => Column::Float4(to(DataType::Float32)?.as_primitive().clone()),
            PgType::Float8 => Column::Float8(to(DataType::Float64)?.as_primitive().clone()),
            PgType::Numeric => match array.data_type() {
                DataType::Decimal256(_, _) => Column::BigNumeric(array.as_primitive().clone()),
                DataType::Decimal128(_, _) => Column::Numeric(array.as_primitive().clone()),
                DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                    Column::Numeric(to(DataType::Decimal128(*precision, *scale))?.as_primitive().clone())
                }
                _ => Column::Numeric(to(DataType::Decimal128(20, 0))?.as_primitive().clone()),
            },
            PgType::Bytea | PgType::Uuid => Column::Bytes(to(DataType::Binary)?.as_binary().clone()),
            PgType::Date => Column::Date(to(DataType::Date32)?.as_primitive().clone()),
            PgType::Time => Column::Time(to(DataType::Time64(TimeUnit::Microsecond))?.as_primitive().clone()),
            PgType::Timestamp => Column::Timestamp(
                to(DataType::Timestamp(TimeUnit::Microsecond, None))?
                    .as_primitive()
                    .clone(),
            ),
            PgType::TimestampTz => {
                let in_utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
                Column::Moment(to(in_utc)?.as_primitive().clone(), zone.cloned())
            }
            PgType::Interval => Column::Interval(intervals(array)?),
            PgType::Text => Column::Text(without_nul(to(DataType::Utf8)?.as_string().clone())?),
            PgType::Json => Column::Text(json(field, array)?),
        };
        Ok(column)
    }

    /// Writes the value of a row; `false`: it is NULL and nothing was written.
    pub(crate) fn put(&self, row: usize, format: i16, buffer: &mut BytesMut) -> bool {
        if self.array().is_null(row) {
            return false;
        }
        match format {
            BINARY => self.put_binary(row, buffer),
            _ => self.put_text(row, buffer),
        }
        true
    }

    fn array(&self) -> &dyn Array {
        match self {
            Column::Bool(array) => array,
            Column::Int(array, _) => array,
            Column::Float4(array) => array,
            Column::Float8(array) => array,
            Column::Numeric(array) => array,
            Column::BigNumeric(array) => array,
            Column::Text(array) => array,
            Column::Bytes(array) => array,
            Column::Date(array) => array,
            Column::Time(array) => array,
            Column::Timestamp(array) | Column::Moment(array, _) => array,
            Column::Interval(array) => array,
            Column::Array(lists) => &lists.lists,
        }
    }

    fn put_binary(&self, row: usize, buffer: &mut BytesMut) {
        match self {
            Column::Bool(array) => buffer.put_u8(u8::from(array.value(row))),
            Column::Int(array, 2) => buffer.put_i16(array.value(row) as i16),
            Column::Int(array, 4) => buffer.put_i32(array.value(row) as i32),
            Column::Int(array, _) => buffer.put_i64(array.value(row)),
            Column::Float4(array) => buffer.put_f32(array.value(row)),
            Column::Float8(array) => buffer.put_f64(array.value(row)),
            Column::Numeric(array) => put_binary(buffer, &array.value_as_string(row)),
            Column::BigNumeric(array) => put_binary(buffer, &array.value_as_string(row)),
            Column::Text(array) => buffer.put_slice(array.value(row).as_bytes()),
            Column::Bytes(array) => buffer.put_slice(array.value(row)),
            Column::Date(array) => buffer.put_i32(array.value(row).saturating_sub(DAYS_TO_2000)),
            Column::Time(array) => buffer.put_i64(array.value(row)),
            Column::Timestamp(array) | Column::Moment(array, _) => {
                buffer.put_i64(array.value(row).saturating_sub(MICROSECONDS_TO_2000));
            }
            Column::Interval(array) => {
                let interval = array.value(row);
                buffer.put_i64(interval.nanoseconds / 1000);
                buffer.put_i32(interval.days);
                buffer.put_i32(interval.months);
            }
            Column::Array(lists) => lists.put(row, BINARY, buffer),
        }
    }

    fn put_text(&self, row: usize, buffer: &mut BytesMut) {
        let mut text = String::new();
        match self {
            Column::Bool(array) => text.push(if array.value(row) { 't' } else { 'f' }),
            // Writing to a String cannot fail.
            Column::Int(array, _) => drop(write!(text, "{}", array.value(row))),
            Column::Float4(array) => put_float(&mut text, array.value(row)),
            Column::Float8(array) => put_float(&mut text, array.value(row)),
            Column::Numeric(array) => text = array.value_as_string(row),
            Column::BigNumeric(array) => text = array.value_as_string(row),
            Column::Text(array) => return buffer.put_slice(array.value(row).as_bytes()),
            Column::Bytes(array) => {
                text.push_str("\\x");
                for byte in array.value(row) {
                    let _ = write!(text, "{byte:02x}");
                }
            }
            Column::Date(array) => put_date(&mut text, i64::from(array.value(row))),
            Column::Time(array) => put_time(&mut text, array.value(row)),
            Column::Timestamp(array) => put_timestamp(&mut text, array.value(row), false),
            Column::Moment(array, zone) => put_moment(&mut text, array.value(row), zone.as_ref()),
            Column::Interval(array) => {
                let interval = array.value(row);
                put_interval(&mut text, interval.months, interval.days, interval.nanoseconds / 1000);
            }
            Column::Array(lists) => return lists.put(row, TEXT, buffer),
        }
        buffer.put_slice(text.as_bytes());
    }
}

/// Clients end a text at U+0000: one that holds it would be another one to them.
fn without_nul(texts: StringArray) -> Result<StringArray, ArrowError> {
    // Most often there is none in all the texts together.
    let has_one = texts.value_data().contains(&0) && texts.iter().flatten().any(|text| text.contains('\0'));
    match has_one {
        true => Err(ArrowError::InvalidArgumentError("a text holds U+0000".to_owned())),
        false => Ok(texts),
    }
}

/// Structs, maps and lists of those as JSON texts, as over HTTP.
fn json(field: &FieldRef, array: &ArrayRef) -> Result<StringArray, ArrowError> {
    let mut encoder = make_encoder(field, array, &JSON_OPTIONS)?;
    let mut texts: Vec<Option<String>> = Vec::with_capacity(array.len());
    let mut bytes: Vec<u8> = Vec::new();
    for row in 0..array.len() {
        if encoder.is_null(row) {
            texts.push(None);
            continue;
        }
        bytes.clear();
        encoder.encode(row, &mut bytes);
        texts.push(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(StringArray::from(texts))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, Int32Builder, ListBuilder, StringViewArray, UInt64Array};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn check(array: impl Array + 'static, text: &str, binary: &[u8]) {
        let array: ArrayRef = Arc::new(array);
        let field: FieldRef = Arc::new(Field::new("c", array.data_type().clone(), true));
        let column = Column::new(&field, &array, None).unwrap();
        let mut buffer = BytesMut::new();
        assert!(column.put(0, TEXT, &mut buffer));
        assert_eq!(std::str::from_utf8(&buffer).unwrap(), text);
        buffer.clear();
        assert!(column.put(0, BINARY, &mut buffer));
        assert_eq!(&buffer[..], binary, "{text}");
        if array.len() > 1 {
            buffer.clear();
            assert!(
                !column.put(1, TEXT, &mut buffer) && buffer.is_empty(),
                "{text}: the second is NULL"
            );
        }
    }

    #[test]
    fn values_are_written_as_postgres_writes_them() {
        check(BooleanArray::from(vec![Some(true), None]), "t", b"\x01");
        check(Int32Array::from(vec![Some(-5), None]), "-5", b"\xff\xff\xff\xfb");
        check(UInt64Array::from(vec![u64::MAX]), "18446744073709551615", &{
            let mut buffer = BytesMut::new();
            put_binary(&mut buffer, "18446744073709551615");
            buffer.to_vec()
        });
        check(Float64Array::from(vec![0.1]), "0.1", &0.1_f64.to_be_bytes());
        check(Float64Array::from(vec![1e20]), "1e+20", &1e20_f64.to_be_bytes());
        check(
            Float32Array::from(vec![f32::INFINITY]),
            "Infinity",
            &f32::INFINITY.to_be_bytes(),
        );
        check(
            Decimal128Array::from(vec![Some(10_005), None])
                .with_precision_and_scale(18, 2)
                .unwrap(),
            "100.05",
            b"\0\x02\0\0\0\0\0\x02\0\x64\x01\xf4",
        );
        check(
            Decimal128Array::from(vec![i128::from(-5)])
                .with_precision_and_scale(38, 38)
                .unwrap(),
            "-0.00000000000000000000000000000000000005",
            b"\0\x01\xff\xf6\x40\0\0\x26\x01\xf4",
        );
        check(StringViewArray::from(vec![Some("é"), None]), "é", "é".as_bytes());
        check(
            BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None]),
            "\\x00ff",
            b"\x00\xff",
        );
        check(
            Date32Array::from(vec![Some(10_958), None]),
            "2000-01-02",
            &1_i32.to_be_bytes(),
        );
        let moments = TimestampMicrosecondArray::from(vec![Some(946_684_800_000_001), None]);
        check(moments.clone(), "2000-01-01 00:00:00.000001", &1_i64.to_be_bytes());
        check(
            moments.with_timezone("+00:00"),
            "2000-01-01 00:00:00.000001+00",
            &1_i64.to_be_bytes(),
        );
        let lists = vec![Some(vec![Some(9)]), Some(vec![Some(1), None]), None, Some(Vec::new())];
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
        let one_of_two = [1, 1, 23, 2, 1, 4, 1, -1].map(i32::to_be_bytes).concat();
        check(lists.slice(1, 2), "{1,NULL}", &one_of_two);
        check(lists.slice(3, 1), "{}", &[0, 0, 23].map(i32::to_be_bytes).concat());
        let mut nested = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
        nested.append_value([Some([Some(1), None]), None]);
        check(nested.finish(), "[[1,null],null]", b"[[1,null],null]");
    }
}
