//! `format = 'csv', delimiter = ';'` of `CREATE STREAM … WITH`: how the stream's values are written.

use headwater_catalog::{Column, ColumnType, Format, StreamDefinition};

use super::cursor::Cursor;
use crate::{SqlError, SqlState};

/// What stands between two fields where nothing else is said.
const DELIMITER_DEFAULT: char = ',';
/// The column of a stream whose values are one column, where it is not declared.
const VALUE_COLUMN: &str = "value";

const FORMATS: &str = "the formats are json, csv, avro, protobuf, text and bytes";

/// Reads the name of a format.
pub(super) fn format(cursor: &mut Cursor) -> Result<Format, SqlError> {
    let start = cursor.clone();
    let format = cursor.text("a format in quotes (such as 'json')")?.to_lowercase();
    match format.as_str() {
        "json" => Ok(Format::Json),
        "csv" => Ok(Format::Csv {
            delimiter: DELIMITER_DEFAULT,
        }),
        "text" => Ok(Format::Text),
        "bytes" => Ok(Format::Bytes),
        "avro" => Ok(Format::Avro),
        "protobuf" => Ok(Format::Protobuf),
        other => Err(start
            .error(SqlState::SYNTAX, format!("there is no format '{other}'"))
            .hint(FORMATS)),
    }
}

/// Reads the delimiter of fields.
pub(super) fn delimiter(cursor: &mut Cursor) -> Result<char, SqlError> {
    let start = cursor.clone();
    let text = cursor.text("a delimiter in quotes (such as ';')")?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(delimiter), None) if delimiter.is_ascii() && !matches!(delimiter, '"' | '\n' | '\r' | '\0') => {
            Ok(delimiter)
        }
        _ => Err(start
            .error(
                SqlState::INVALID_DEFINITION,
                format!("'{text}' cannot stand between fields"),
            )
            .hint("a delimiter is one ASCII character, and no quotation mark or line break")),
    }
}

/// Puts together what was said of the format, and gives a stream whose values are one column that column.
pub(super) fn settle(definition: &mut StreamDefinition, said: Option<char>) -> Result<(), SqlError> {
    match (&mut definition.format, said) {
        (Format::Csv { delimiter }, Some(said)) => *delimiter = said,
        (format, Some(_)) => {
            let message = format!("delimiter is said of a stream whose format is '{format}'");
            return Err(SqlError::new(SqlState::INVALID_DEFINITION, message)
                .hint("only the fields of format = 'csv' have one between them"));
        }
        (_, None) => {}
    }
    let only = match definition.format {
        Format::Text => ColumnType::Text,
        Format::Bytes => ColumnType::Bytes,
        _ => return Ok(()),
    };
    if definition.columns.is_none() {
        definition.columns = Some(vec![Column::new(VALUE_COLUMN, only, false)]);
    }
    Ok(())
}
