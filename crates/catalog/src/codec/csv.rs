//! One record of comma-separated values (RFC 4180), without a header.
//!
//! ```text
//! BradA,100.00,"a ""quoted"" text",,""          the fourth is NULL, the fifth an empty text
//! ```
//!
//! The fields are the columns in order. Missing ones at the end are as missing ones of a JSON object: the column's default, or NULL. Truth values and
//! bytes are read as PostgreSQL's COPY reads them (`t`, `true`, …; `\x` and hex) or as in JSON (base64); a JSON column is JSON.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fields::push_text;
use crate::value::json::{self, JsonError, Value};
use crate::{Column, ColumnType};

/// One field of a record.
#[derive(Debug, PartialEq, Eq)]
struct Field<'a> {
    text: Cow<'a, str>,
    is_quoted: bool,
}

/// Writes the JSON of a record's row.
pub(super) fn row(record: &str, delimiter: char, columns: &[Column], out: &mut String) -> Result<(), String> {
    out.push('{');
    let mut rest = Some(
        record
            .strip_suffix('\n')
            .map_or(record, |record| record.strip_suffix('\r').unwrap_or(record)),
    );
    let mut count = 0;
    while let Some(at) = rest {
        let (field, after) = field(at, delimiter).map_err(|why| format!("field {}: {why}", count + 1))?;
        rest = after;
        let Some(column) = columns.get(count) else {
            let fields = count + 1 + rest.map_or(0, |rest| rest.matches(delimiter).count() + 1);
            return Err(format!(
                "the record has {fields} fields, and the stream {} columns",
                columns.len()
            ));
        };
        if count > 0 {
            out.push(',');
        }
        count += 1;
        push_text(out, &column.name);
        out.push(':');
        push_field(out, &field, column)?;
    }
    out.push('}');
    Ok(())
}

/// Reads one field; what is behind its delimiter, where there is one.
fn field(text: &str, delimiter: char) -> Result<(Field<'_>, Option<&str>), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([delimiter, '"', '\n', '\r']).unwrap_or(text.len());
        let rest = &text[end..];
        let field = Field {
            text: Cow::Borrowed(&text[..end]),
            is_quoted: false,
        };
        return match rest.strip_prefix(delimiter) {
            Some(after) => Ok((field, Some(after))),
            None if rest.is_empty() => Ok((field, None)),
            None if rest.starts_with('"') => Err("a quotation mark stands inside of a field without quotation marks"),
            None => Err("a line break stands outside of quotation marks: a value is one record"),
        };
    };
    let mut content = Cow::Borrowed("");
    let mut at = quoted;
    loop {
        let end = at
            .find('"')
            .ok_or("the quotation mark at its beginning is not closed")?;
        match &mut content {
            Cow::Borrowed("") => content = Cow::Borrowed(&at[..end]),
            content => content.to_mut().push_str(&at[..end]),
        }
        let rest = &at[end + 1..];
        if let Some(after) = rest.strip_prefix('"') {
            content.to_mut().push('"');
            at = after;
            continue;
        }
        let field = Field {
            text: content,
            is_quoted: true,
        };
        return match rest.strip_prefix(delimiter) {
            Some(after) => Ok((field, Some(after))),
            None if rest.is_empty() => Ok((field, None)),
            None => Err("something stands behind its closing quotation mark"),
        };
    }
}

/// A field as the JSON that its column reads.
fn push_field(out: &mut String, field: &Field<'_>, column: &Column) -> Result<(), String> {
    let text = field.text.as_ref();
    if text.is_empty() && !field.is_quoted {
        out.push_str("null");
        return Ok(());
    }
    match column.column_type {
        ColumnType::Boolean => match text.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => out.push_str("true"),
            "f" | "false" | "n" | "no" | "off" | "0" => out.push_str("false"),
            _ => push_text(out, text),
        },
        ColumnType::Json => {
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
                return Err(format!("column '{}' JSON: it is no JSON: {error}", column.name));
            }
            out.push_str(text);
        }
        ColumnType::Bytes => match text.strip_prefix("\\x").map(from_hex) {
            Some(Some(bytes)) => push_text(out, &STANDARD.encode(bytes)),
            _ => push_text(out, text),
        },
        _ => push_text(out, text),
    }
    Ok(())
}

/// Writes a row's JSON as a record of these columns.
pub(super) fn write(json: &str, delimiter: char, columns: &[Column]) -> Result<Vec<u8>, String> {
    let mut fields: Vec<Option<String>> = columns.iter().map(default_of).collect();
    let mut name: Vec<u8> = Vec::new();
    let read = json::each_field::<Misfit>(json, |raw_name, has_escapes, value, whole| {
        name.clear();
        match has_escapes {
            true if json::unescape(raw_name, &mut name).is_err() => return Ok(()),
            true => {}
            false => name.extend_from_slice(raw_name.as_bytes()),
        }
        let found = columns.iter().position(|column| column.name.as_bytes() == name);
        if let Some(index) = found {
            fields[index] = text_of(columns[index].column_type, value, whole)
                .map_err(|why| Misfit(format!("column '{}': {why}", columns[index].name)))?;
        }
        Ok(())
    });
    read.map_err(|misfit| misfit.0)?;
    let mut record = String::new();
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            record.push(delimiter);
        }
        match field {
            None => {}
            Some(text) if needs_quotes(text, delimiter) => {
                record.push('"');
                record.push_str(&text.replace('"', "\"\""));
                record.push('"');
            }
            Some(text) => record.push_str(text),
        }
    }
    Ok(record.into_bytes())
}

/// Why a JSON text is no record.
struct Misfit(String);

impl From<JsonError> for Misfit {
    fn from(error: JsonError) -> Misfit {
        Misfit(format!(
            "the value is no JSON object: {} at byte {}",
            error.what, error.at
        ))
    }
}

fn needs_quotes(text: &str, delimiter: char) -> bool {
    text.is_empty() || text.contains([delimiter, '"', '\n', '\r'])
}

/// A field that the JSON leaves out is written all the same: a later one stands behind it.
fn default_of(column: &Column) -> Option<String> {
    let json = format!("{{\"default\":{}}}", column.default.as_deref()?);
    let mut text = None;
    let read = json::each_field::<Misfit>(&json, |_, _, value, whole| {
        text = text_of(column.column_type, value, whole).map_err(Misfit)?;
        Ok(())
    });
    read.ok().and(text)
}

/// A JSON value as the text of a field; `None` of null.
fn text_of(column_type: ColumnType, value: Value<'_>, whole: &str) -> Result<Option<String>, String> {
    if value == Value::Null {
        return Ok(None);
    }
    if column_type == ColumnType::Json {
        return Ok(Some(whole.to_owned()));
    }
    let text = match value {
        Value::Text { raw, .. } => {
            let mut text: Vec<u8> = Vec::new();
            json::unescape(raw, &mut text).map_err(str::to_owned)?;
            String::from_utf8(text).map_err(|_| "it is no UTF-8".to_owned())?
        }
        _ if column_type == ColumnType::Text => return Err("it is no string".to_owned()),
        _ => whole.to_owned(),
    };
    Ok(Some(match column_type {
        ColumnType::Bytes => match STANDARD.decode(&text) {
            Ok(bytes) => to_hex(&bytes),
            Err(_) => return Err("it is no base64".to_owned()),
        },
        _ => text,
    }))
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some((digit(*high)? * 16 + digit(*low)?) as u8));
    rest.is_empty().then(|| bytes.collect())?
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold("\\x".to_owned(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let column = |name: &str, column_type| Column::new(name, column_type, true);
        vec![
            column("a", ColumnType::Text),
            column("n", ColumnType::BigInt),
            column("b", ColumnType::Boolean),
            column("j", ColumnType::Json),
            column("x", ColumnType::Bytes),
        ]
    }

    fn check_row(record: &str, expected: Result<&str, &str>) {
        let mut out = String::new();
        let found = row(record, ',', &columns(), &mut out).map(|()| out);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{record}"),
            (Err(found), Err(why)) => assert!(found.contains(why), "{record}: {found}"),
            (found, expected) => panic!("{record}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_record_is_a_row() {
        check_row(
            "x,7,t,[1],\\x00ff",
            Ok(r#"{"a":"x","n":"7","b":true,"j":[1],"x":"AP8="}"#),
        );
        check_row("x,7\r\n", Ok(r#"{"a":"x","n":"7"}"#));
        check_row("", Ok(r#"{"a":null}"#));
        check_row("\"\",,False", Ok(r#"{"a":"","n":null,"b":false}"#));
        check_row("\"a \"\"b\"\",\nc\",1", Ok(r#"{"a":"a \"b\",\nc","n":"1"}"#));
        check_row("\"\"\"\"", Ok(r#"{"a":"\""}"#));
        check_row(",,,,Zg==", Ok(r#"{"a":null,"n":null,"b":null,"j":null,"x":"Zg=="}"#));
        check_row("é,1", Ok(r#"{"a":"é","n":"1"}"#));
        check_row("1,2,3,4,5,6,7", Err("7 fields, and the stream 5 columns"));
        check_row("\"a", Err("field 1: the quotation mark at its beginning is not closed"));
        check_row("\"a\"b", Err("behind its closing quotation mark"));
        check_row("a\"b", Err("inside of a field"));
        check_row("a\nb", Err("a value is one record"));
        check_row("a,1,t,{", Err("column 'j' JSON"));
    }

    fn check_write(json: &str, expected: Result<&str, &str>) {
        match (write(json, ';', &columns()), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(String::from_utf8(found).expect("text"), expected, "{json}"),
            (Err(found), Err(why)) => assert!(found.contains(why), "{json}: {found}"),
            (found, expected) => panic!("{json}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_row_is_a_record() {
        check_write(
            r#"{"n":7,"a":"x","b":true,"j":{"k":";"},"x":"AP8="}"#,
            Ok(r#"x;7;true;"{""k"":"";""}";\x00ff"#),
        );
        check_write(r#"{"a":""}"#, Ok("\"\";;;;"));
        check_write(r#"{"a":"\"\n,","zzz":1}"#, Ok("\"\"\"\n,\";;;;"));
        check_write("[]", Err("no JSON object"));
        check_write(r#"{"x":"?"}"#, Err("no base64"));
    }
}
