//! The types of columns and parameters.

use datafusion::sql::sqlparser::tokenizer::Token;
use headwater_catalog::{ColumnType, DECIMAL_PRECISION_MAX};

use super::cursor::Cursor;
use crate::{SqlError, SqlState};

const KNOWN: &str = "TEXT, VARCHAR, INTEGER, BIGINT, REAL, DOUBLE PRECISION, DECIMAL(precision, scale), BOOLEAN, DATE, TIMESTAMP, \
                     TIMESTAMPTZ, BYTEA and JSON";

/// Reads a type.
pub(super) fn column_type(cursor: &mut Cursor) -> Result<ColumnType, SqlError> {
    let start = cursor.clone();
    let Some(Token::Word(word)) = cursor.peek().map(|piece| &piece.token.token) else {
        return Err(cursor.expected("a type").hint(format!("the types are {KNOWN}")));
    };
    let word = word.value.to_ascii_uppercase();
    cursor.next();
    let found = match word.as_str() {
        "TEXT" => ColumnType::Text,
        "VARCHAR" => text_of_length(cursor)?,
        "CHARACTER" | "CHAR" if cursor.take_word("VARYING") => text_of_length(cursor)?,
        "INTEGER" | "INT" | "INT4" => ColumnType::Integer,
        "BIGINT" | "INT8" => ColumnType::BigInt,
        "REAL" | "FLOAT4" => ColumnType::Real,
        "DOUBLE" => {
            cursor.expect_word("PRECISION")?;
            ColumnType::Double
        }
        "FLOAT8" => ColumnType::Double,
        "FLOAT" if !is_bracket(cursor) => ColumnType::Double,
        "DECIMAL" | "NUMERIC" | "DEC" => decimal(cursor)?,
        "BOOLEAN" | "BOOL" => ColumnType::Boolean,
        "DATE" => ColumnType::Date,
        "TIMESTAMP" => timestamp(cursor)?,
        "TIMESTAMPTZ" => {
            microseconds(cursor)?;
            ColumnType::TimestampTz
        }
        "BYTEA" => ColumnType::Bytes,
        "JSON" | "JSONB" => ColumnType::Json,
        _ => return Err(unknown(&start, &word)),
    };
    if cursor.peek().is_some_and(|piece| piece.is(&Token::LBracket)) {
        return Err(cursor
            .error(SqlState::NOT_SUPPORTED, "arrays are no type of a column")
            .hint("use JSON, which holds arrays"));
    }
    Ok(found)
}

fn unknown(start: &Cursor, word: &str) -> SqlError {
    let instead = match word {
        "SMALLINT" | "INT2" | "TINYINT" => "use INTEGER",
        "CHAR" | "CHARACTER" | "UUID" | "STRING" | "NVARCHAR" | "ENUM" => "use TEXT",
        "SERIAL" | "BIGSERIAL" => "use BIGINT; an event has an offset, which counts up by itself (_offset)",
        "FLOAT" => "use REAL or DOUBLE PRECISION",
        "DATETIME" => "use TIMESTAMP or TIMESTAMPTZ",
        "TIME" | "TIMETZ" | "INTERVAL" => "use TEXT, or a TIMESTAMP",
        "BLOB" | "BINARY" | "VARBINARY" => "use BYTEA",
        "ARRAY" | "STRUCT" | "MAP" => "use JSON",
        _ => "",
    };
    let hint = match instead {
        "" => format!("the types are {KNOWN}"),
        instead => format!("{instead}; the types are {KNOWN}"),
    };
    start
        .error(SqlState::NOT_SUPPORTED, format!("'{word}' is no type of a column"))
        .hint(hint)
}

fn is_bracket(cursor: &Cursor) -> bool {
    cursor.peek().is_some_and(|piece| piece.is(&Token::LParen))
}

/// A length is read and means nothing: texts are as long as they are, as PostgreSQL's TEXT.
fn text_of_length(cursor: &mut Cursor) -> Result<ColumnType, SqlError> {
    if is_bracket(cursor) {
        numbers(cursor, 1)?;
    }
    Ok(ColumnType::Text)
}

fn timestamp(cursor: &mut Cursor) -> Result<ColumnType, SqlError> {
    microseconds(cursor)?;
    if cursor.take_words(&["WITH", "TIME", "ZONE"]) {
        return Ok(ColumnType::TimestampTz);
    }
    cursor.take_words(&["WITHOUT", "TIME", "ZONE"]);
    Ok(ColumnType::Timestamp)
}

/// `(6)`, which every timestamp has.
fn microseconds(cursor: &mut Cursor) -> Result<(), SqlError> {
    if !is_bracket(cursor) {
        return Ok(());
    }
    let start = cursor.clone();
    match numbers(cursor, 1)?.as_slice() {
        [6] => Ok(()),
        _ => Err(start
            .error(
                SqlState::NOT_SUPPORTED,
                "a timestamp has microseconds, no other precision",
            )
            .hint("leave the precision out")),
    }
}

fn decimal(cursor: &mut Cursor) -> Result<ColumnType, SqlError> {
    let start = cursor.clone();
    let refuse = |why: String| {
        Err(start
            .error(SqlState::INVALID_DEFINITION, why)
            .hint("write the digits in all and those behind the point, such as DECIMAL(18,2)"))
    };
    if !is_bracket(cursor) {
        return refuse(
            "a DECIMAL without precision and scale is not kept: every value has the same scale here".to_owned(),
        );
    }
    let (precision, scale) = match numbers(cursor, 2)?.as_slice() {
        [precision] => (*precision, 0),
        [precision, scale] => (*precision, *scale),
        _ => return refuse("a DECIMAL has a precision and a scale".to_owned()),
    };
    let digits = u8::try_from(precision)
        .ok()
        .filter(|digits| (1..=DECIMAL_PRECISION_MAX).contains(digits));
    let Some(digits) = digits else {
        return refuse(format!(
            "a DECIMAL has from 1 to {DECIMAL_PRECISION_MAX} digits, not {precision}"
        ));
    };
    match i8::try_from(scale).ok().filter(|_| scale <= precision) {
        Some(scale) => Ok(ColumnType::Decimal(digits, scale)),
        None => refuse(format!(
            "{scale} digits behind the point are more than the {precision} in all"
        )),
    }
}

/// From one to `count_max` whole numbers in brackets.
fn numbers(cursor: &mut Cursor, count_max: usize) -> Result<Vec<u64>, SqlError> {
    let start = cursor.clone();
    let numbers = cursor.bracketed(whole_number)?;
    match numbers.len() <= count_max {
        true => Ok(numbers),
        false => Err(start.error(SqlState::SYNTAX, format!("at most {count_max} number(s) stand here"))),
    }
}

/// A whole number, not negative.
pub(super) fn whole_number(cursor: &mut Cursor) -> Result<u64, SqlError> {
    let number = match cursor.peek().map(|piece| &piece.token.token) {
        Some(Token::Number(digits, _)) => digits.parse().ok(),
        _ => None,
    };
    match number {
        Some(number) => {
            cursor.next();
            Ok(number)
        }
        None => Err(cursor.expected("a whole number")),
    }
}
