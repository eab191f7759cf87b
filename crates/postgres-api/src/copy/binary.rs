//! The binary format of COPY.
//!
//! ```text
//! PGCOPY\n\xff\r\n\0 | flags 0 | bytes of more header 0 | rows: number of values, of each its length (-1: NULL) and bytes | -1
//! ```
//!
//! Invariant: all of what came is read, to its end, or it is an error that names the row.

use arrow::array::{ArrayRef, StringBuilder, new_empty_array};
use arrow::datatypes::{DataType, FieldRef};
use bytes::{BufMut, BytesMut};
use headwater_sql::ScalarValue;
use std::sync::Arc;

use super::read::NotRead;
use crate::values::BINARY;
use crate::values::parameter::{ParameterError, scalar};
use crate::values::types::WireType;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The flag that says that rows have object ids, of which nobody here knows.
const HAS_OIDS: u32 = 1 << 16;
/// Flags that whoever does not know them must not pass over.
const CRITICAL: u32 = 0xffff_0000;

/// bad_copy_file_format
const BAD_FORMAT: &str = "22P04";

/// Writes what stands before the first row.
pub(crate) fn put_begin(data: &mut BytesMut) {
    data.put_slice(SIGNATURE);
    data.put_u64(0);
}

/// Writes a row of values, each put by `value` in its binary form; `false` means NULL, and nothing was put.
pub(crate) fn put_binary_row(data: &mut BytesMut, columns: usize, mut value: impl FnMut(usize, &mut BytesMut) -> bool) {
    data.put_i16(columns as i16);
    for column in 0..columns {
        let length_at = data.len();
        data.put_i32(-1);
        let begins_at = data.len();
        if value(column, data) {
            let length = i32::try_from(data.len() - begins_at).unwrap_or(i32::MAX);
            data[length_at..begins_at].copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// Writes what stands behind the last row.
pub(crate) fn put_end(data: &mut BytesMut) {
    data.put_i16(-1);
}

/// What is left of the data.
struct Rest<'a> {
    bytes: &'a [u8],
    row: usize,
}

impl<'a> Rest<'a> {
    fn bad(&self, why: &str) -> NotRead {
        let why = match self.row {
            0 => why.to_owned(),
            row => format!("row {row}: {why}"),
        };
        NotRead { state: BAD_FORMAT, why }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], NotRead> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or_else(|| self.bad("the data end in the middle of it"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], NotRead> {
        let mut number = [0; N];
        number.copy_from_slice(self.take(N)?);
        Ok(number)
    }
}

/// The rows as a column of values for each field.
pub(crate) fn read_binary(bytes: &[u8], fields: &[FieldRef]) -> Result<Vec<ArrayRef>, NotRead> {
    let mut rest = Rest { bytes, row: 0 };
    if rest.take(SIGNATURE.len()).ok() != Some(SIGNATURE) {
        return Err(rest.bad("the data do not begin as the binary format does"));
    }
    let flags = u32::from_be_bytes(rest.number()?);
    if flags & HAS_OIDS != 0 {
        return Err(rest.bad("rows with object ids are not taken"));
    }
    if flags & CRITICAL != 0 {
        return Err(rest.bad("the data say that they hold what nobody here knows"));
    }
    let more = u32::from_be_bytes(rest.number()?);
    rest.take(more as usize)?;
    let mut columns: Vec<Values> = fields.iter().map(Values::of).collect();
    loop {
        rest.row += 1;
        let count = i16::from_be_bytes(rest.number()?);
        if count == -1 {
            break;
        }
        if usize::try_from(count) != Ok(fields.len()) {
            return Err(rest.bad(&format!("it has {count} values, {} are expected", fields.len())));
        }
        for (column, field) in columns.iter_mut().zip(fields) {
            let length = i32::from_be_bytes(rest.number()?);
            let value = match usize::try_from(length) {
                Ok(length) => Some(rest.take(length)?),
                Err(_) if length == -1 => None,
                Err(_) => return Err(rest.bad("a value has a length below 0")),
            };
            column
                .push(field, value)
                .map_err(|ParameterError { state, why }| NotRead {
                    state,
                    why: format!("row {}, column \"{}\": {why}", rest.row, field.name()),
                })?;
        }
    }
    if !rest.bytes.is_empty() {
        return Err(rest.bad("there is more behind the end"));
    }
    columns.into_iter().map(Values::finish).collect()
}

/// The values of a column. Decimals stand as texts until they are assigned, since each comes with digits of its own.
enum Values {
    Decimals(StringBuilder),
    Others(DataType, Vec<ScalarValue>),
}

impl Values {
    fn of(field: &FieldRef) -> Values {
        match field.data_type() {
            decimal if decimal.is_decimal() => Values::Decimals(StringBuilder::new()),
            other => Values::Others(other.clone(), Vec::new()),
        }
    }

    fn push(&mut self, field: &FieldRef, bytes: Option<&[u8]>) -> Result<(), ParameterError> {
        let data_type = field.data_type();
        let value = scalar(WireType::of(data_type), Some(data_type), BINARY, bytes, None)?;
        match self {
            Values::Decimals(texts) => {
                let text = bytes.and_then(|_| value.to_array().ok());
                let text = text.and_then(|value| arrow::util::display::array_value_to_string(&value, 0).ok());
                texts.append_option(text);
            }
            Values::Others(_, values) => values.push(value),
        }
        Ok(())
    }

    fn finish(self) -> Result<ArrayRef, NotRead> {
        match self {
            Values::Decimals(mut texts) => Ok(Arc::new(texts.finish())),
            Values::Others(data_type, values) if values.is_empty() => Ok(new_empty_array(&data_type)),
            Values::Others(_, values) => ScalarValue::iter_to_array(values).map_err(|error| NotRead {
                state: BAD_FORMAT,
                why: error.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use arrow::util::display::array_value_to_string;

    use super::*;

    fn fields() -> Vec<FieldRef> {
        let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
        vec![field("a", DataType::Int32), field("b", DataType::Utf8)]
    }

    fn sent(rows: &[&[Option<&[u8]>]]) -> BytesMut {
        let mut data = BytesMut::new();
        put_begin(&mut data);
        for row in rows {
            put_binary_row(&mut data, row.len(), |column, data| {
                data.put_slice(row[column].unwrap_or_default());
                row[column].is_some()
            });
        }
        put_end(&mut data);
        data
    }

    #[test]
    fn what_is_written_is_read() {
        let data = sent(&[&[Some(&[0, 0, 0, 7]), Some("é".as_bytes())], &[None, Some(b"")]]);
        let columns = read_binary(&data, &fields()).unwrap();
        let text = |column: usize, row: usize| array_value_to_string(&columns[column], row).unwrap();
        assert_eq!([text(0, 0), text(1, 0), text(0, 1), text(1, 1)], ["7", "é", "", ""]);
        assert_eq!(read_binary(&sent(&[]), &fields()).unwrap()[0].len(), 0);
        for end in 0..data.len() {
            assert!(read_binary(&data[..end], &fields()).is_err(), "cut off at {end}");
        }
    }

    #[test]
    fn what_does_not_fit_names_its_row() {
        let check = |data: &[u8], expected: &str| {
            let NotRead { state, why } = read_binary(data, &fields()).unwrap_err();
            assert_eq!(format!("{state}: {why}"), expected);
        };
        check(b"1\tx\n", "22P04: the data do not begin as the binary format does");
        check(&sent(&[&[None]]), "22P04: row 1: it has 1 values, 2 are expected");
        check(
            &sent(&[&[None, None], &[Some(&[0, 7]), None]]),
            "22P03: row 2, column \"a\": it has 2 bytes where 4 are expected",
        );
        let mut longer = sent(&[]);
        longer.put_u8(0);
        check(&longer, "22P04: row 1: there is more behind the end");
        let mut with_oids = sent(&[]);
        with_oids[12] = 1;
        check(&with_oids, "22P04: rows with object ids are not taken");
    }
}
