//! From the columns that a view declares to be searched to the fields of its index.
//!
//! | column | TEXT | KEYWORD | NUMBER | DATE |
//! | --- | --- | --- | --- | --- |
//! | text, list of texts | words | whole | | |
//! | boolean, whole number | | as it prints | whole numbers: exact | |
//! | decimal | | | in units of the last digit: exact | |
//! | float | | | as it is | |
//! | date, timestamp | | as it prints | | days, microseconds: exact |

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as Column, Schema};
use headwater_catalog::value::{moment, number};
use headwater_catalog::{SearchField, SearchKind, ViewDefinition};
use headwater_stores::search::{Field, FieldKind, LANGUAGES, ReadSpan, Span, is_language};

use crate::ViewError;
use crate::limits::FRESHNESS_MS_MIN;

const DAY_US: i128 = 86_400_000_000;

/// Decimals of so many digits fit into 64 bits.
const NARROW_DIGITS_MAX: u8 = 18;

/// Refuses what a search view cannot be: fields that are no columns or do not fit them, rows that do not show their key.
pub(crate) fn check(
    definition: &ViewDefinition,
    declared: &[SearchField],
    schema: &Schema,
    shows_key: bool,
) -> Result<(), ViewError> {
    if !shows_key {
        return Err(refused(
            "a view stored as search whose rows do not show their key",
            "SELECT the columns of GROUP BY, too",
        ));
    }
    if let Some(freshness_ms) = definition.settings.freshness_ms.filter(|ms| *ms < FRESHNESS_MS_MIN) {
        return Err(refused(
            format!("a freshness of {freshness_ms} ms"),
            format!("{FRESHNESS_MS_MIN} ms is the least; a read with a token waits for the index in any case"),
        ));
    }
    fields(declared, schema).map(|_| ())
}

/// The fields of the index, each with the column that it takes its values from.
pub(super) fn fields(declared: &[SearchField], schema: &Schema) -> Result<Vec<(usize, Field)>, ViewError> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let mut fields: Vec<(usize, Field)> = Vec::with_capacity(declared.len());
    for SearchField { name, kind } in declared {
        let Some((index, column)) = schema.column_with_name(name) else {
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(refused(
                format!("the search field '{name}', which is no column of the view,"),
                format!("its columns are {}", names.join(", ")),
            ));
        };
        if !known.insert(name) {
            return Err(refused(
                format!("the search field '{name}', which is declared twice,"),
                "declare each column once",
            ));
        }
        let kind = field_kind(kind, column)?;
        fields.push((
            index,
            Field {
                name: name.clone(),
                kind,
            },
        ));
    }
    Ok(fields)
}

fn field_kind(kind: &SearchKind, column: &Column) -> Result<FieldKind, ViewError> {
    let (name, data_type) = (column.name(), column.data_type());
    let unfit = |word: &str, hint: &str| {
        let part = format!("the search field '{name}' as {word}, whose column is {data_type},");
        Err(refused(part, hint))
    };
    match kind {
        SearchKind::Text(language) => {
            if let Some(language) = language
                .as_ref()
                .filter(|language| !is_language(&language.to_lowercase()))
            {
                return Err(refused(
                    format!("a search field in the language '{language}'"),
                    format!(
                        "the languages are {}; TEXT without one takes words as they are",
                        LANGUAGES.join(", ")
                    ),
                ));
            }
            match is_text(of_list(data_type)) {
                true => Ok(FieldKind::Text(
                    language.as_ref().map(|language| language.to_lowercase()),
                )),
                false => unfit(
                    "TEXT",
                    "a TEXT field is a text or a list of texts: CAST the column in the query",
                ),
            }
        }
        SearchKind::Keyword => match of_list(data_type) {
            inner if is_text(inner) || is_printed(data_type) => Ok(FieldKind::Keyword),
            _ => unfit(
                "KEYWORD",
                "a KEYWORD is a text, a list of texts, a boolean, a whole number or a date",
            ),
        },
        SearchKind::Number => match number_kind(data_type) {
            Some(kind) => Ok(kind),
            None => unfit("NUMBER", "a NUMBER is a whole number, a decimal or a float"),
        },
        SearchKind::Date => match data_type {
            DataType::Date32 => Ok(whole(false, Arc::new(day))),
            DataType::Timestamp(..) => Ok(whole(false, Arc::new(microseconds))),
            _ => unfit("DATE", "a DATE is a date or a timestamp"),
        },
    }
}

fn whole(is_wide: bool, read: ReadSpan) -> FieldKind {
    FieldKind::Whole { is_wide, read }
}

fn number_kind(data_type: &DataType) -> Option<FieldKind> {
    let digits = |scale: i8| -> ReadSpan { Arc::new(move |text| number_span(text, scale)) };
    Some(match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => whole(false, digits(0)),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => whole(false, digits(0)),
        DataType::UInt64 => whole(true, digits(0)),
        DataType::Decimal128(precision, scale) => whole(*precision > NARROW_DIGITS_MAX, digits(*scale)),
        DataType::Float16 | DataType::Float32 => FieldKind::Float { is_single: true },
        DataType::Float64 => FieldKind::Float { is_single: false },
        _ => return None,
    })
}

/// The type of a list's values; any other type itself.
pub(super) fn of_list(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) => item.data_type(),
        other => other,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Values that print in one way alone.
fn is_printed(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Boolean | DataType::Date32)
}

/// A number as written, in units of `10^-scale`.
fn number_span(text: &str, scale: i8) -> Option<Span> {
    let plain = text.strip_prefix('+').unwrap_or(text);
    // The literal's own digits tell how far it must be cut to fit the scale.
    const DIGITS_MAX: u8 = 38;
    match number::decimal(plain.as_bytes(), DIGITS_MAX, scale) {
        Ok(value) => Some(Span::of(value)),
        Err(number::NumberError::Syntax) => None,
        Err(number::NumberError::Range) => Some(beyond(plain.starts_with('-'))),
        Err(number::NumberError::Fraction) => between(plain, scale),
    }
}

/// Where a number with more digits than the scale has lies: between two that are next to each other.
fn between(text: &str, scale: i8) -> Option<Span> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let is_negative = mantissa.starts_with('-');
    let (before, behind) = mantissa
        .trim_start_matches('-')
        .split_once('.')
        .unwrap_or((mantissa.trim_start_matches('-'), ""));
    let digits = format!("{before}{behind}");
    // So many of the digits stand before the point once the number is counted in units of the scale.
    let kept = i64::try_from(before.len()).ok()? + i64::from(exponent) + i64::from(scale);
    let kept = usize::try_from(kept.max(0)).ok()?.min(digits.len());
    let towards_zero = match &digits[..kept] {
        "" => 0,
        digits => match digits.parse::<i128>() {
            Ok(number) => number,
            Err(_) => return Some(beyond(is_negative)),
        },
    };
    let (low, high) = match is_negative {
        true => (-towards_zero, -towards_zero - 1),
        false => (towards_zero + 1, towards_zero),
    };
    Some(Span { low, high })
}

/// Above, or below, every value that there may be.
fn beyond(is_negative: bool) -> Span {
    Span::of(if is_negative { i128::MIN } else { i128::MAX })
}

/// A date as days; a moment is the day it lies in.
fn day(text: &str) -> Option<Span> {
    let days = moment::date(text.as_bytes()).map(i128::from);
    days.map(Span::of).or_else(|| {
        let at = moment::moment(text.as_bytes())?;
        Some(Span::of(i128::from(at.wall_us).div_euclid(DAY_US)))
    })
}

/// A moment as microseconds in UTC; a date is the whole of that day.
fn microseconds(text: &str) -> Option<Span> {
    if let Some(days) = moment::date(text.as_bytes()) {
        let low = i128::from(days) * DAY_US;
        return Some(Span {
            low,
            high: low + DAY_US - 1,
        });
    }
    let at = moment::moment(text.as_bytes())?;
    Some(Span::of(i128::from(at.wall_us) - i128::from(at.offset_us.unwrap_or(0))))
}

fn refused(part: impl Into<String>, hint: impl Into<String>) -> ViewError {
    ViewError::Unfit {
        part: part.into(),
        hint: hint.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: impl Fn(&str) -> Option<Span>, cases: &[(&str, Option<(i128, i128)>)]) {
        for (text, expected) in cases {
            assert_eq!(read(text).map(|span| (span.low, span.high)), *expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_exactly() {
        check(
            |text| number_span(text, 2),
            &[
                ("10", Some((1_000, 1_000))),
                ("+10.50", Some((1_050, 1_050))),
                ("-0.01", Some((-1, -1))),
                ("1e1", Some((1_000, 1_000))),
                ("10.005", Some((1_001, 1_000))),
                ("-10.005", Some((-1_000, -1_001))),
                ("0.001", Some((1, 0))),
                ("1.5e-7", Some((1, 0))),
                ("1e60", Some((i128::MAX, i128::MAX))),
                ("-1e60", Some((i128::MIN, i128::MIN))),
                ("ten", None),
                ("", None),
                ("1,5", None),
            ],
        );
        check(
            |text| number_span(text, 0),
            &[("9.5", Some((10, 9))), ("9.0", Some((9, 9)))],
        );
    }

    #[test]
    fn dates_are_days_and_moments_are_instants() {
        check(
            day,
            &[
                ("1970-01-02", Some((1, 1))),
                ("1970-01-02T23:59:59Z", Some((1, 1))),
                ("1970-13-02", None),
                ("yesterday", None),
            ],
        );
        check(
            microseconds,
            &[
                ("1970-01-02", Some((86_400_000_000, 172_799_999_999))),
                ("1970-01-01T00:00:01", Some((1_000_000, 1_000_000))),
                ("1970-01-01T01:00:01+01:00", Some((1_000_000, 1_000_000))),
                ("1970-01-01 25:00", None),
            ],
        );
    }
}
