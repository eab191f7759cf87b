//! Texts that are put together and taken apart as PostgreSQL does: `format('%s of %I', …)`, `quote_literal`, `concat`, `parse_ident`.

use datafusion::common::Result;

use super::by_row::{ByRow, Gives, Made, Row, Takes};
use crate::postgres::pg_catalog::functions::quoted;
use crate::{SqlError, SqlState};

use Takes::{Bytes, Float, Floats, Shown, Text, Whole};

/// The longest field that `format` fills up with blanks.
const WIDTH_MAX: usize = 100_000;

/// null_value_not_allowed
const NO_NULL: SqlState = SqlState("22004");
/// array_subscript_error
const OUT_OF_BYTES: SqlState = SqlState("2202E");
/// invalid_argument_for_width_bucket_function
const NO_BUCKETS: SqlState = SqlState("2201G");

pub(crate) const FUNCTIONS: [ByRow; 14] = [
    ByRow::new("format", &[Text, Shown], Gives::Text, formatted)
        .repeats()
        .knows_null(),
    ByRow::new("concat", &[Shown], Gives::Text, |row| {
        let texts = (0..row.len()).filter_map(|at| row.text(at));
        Ok(Some(Made::Text(texts.collect())))
    })
    .repeats()
    .knows_null(),
    ByRow::new("concat_ws", &[Text, Shown], Gives::Text, |row| {
        let Some(between) = row.text(0) else { return Ok(None) };
        let texts: Vec<&str> = (1..row.len()).filter_map(|at| row.text(at)).collect();
        Ok(Some(Made::Text(texts.join(between))))
    })
    .repeats()
    .knows_null(),
    ByRow::new("quote_literal", &[Shown], Gives::Text, |row| {
        Ok(row.text(0).map(|text| Made::Text(literal(text))))
    }),
    ByRow::new("quote_nullable", &[Shown], Gives::Text, |row| {
        let text = row.text(0).map_or_else(|| "NULL".to_owned(), literal);
        Ok(Some(Made::Text(text)))
    })
    .knows_null(),
    ByRow::new("parse_ident", &[Text], Gives::Texts, |row| {
        names(row.text(0).unwrap_or_default())
    }),
    ByRow::new("num_nulls", &[Shown], Gives::Int, |row| {
        let nulls = (0..row.len()).filter(|at| !row.has(*at)).count();
        Ok(Some(Made::Whole(nulls as i64)))
    })
    .repeats()
    .knows_null(),
    ByRow::new("num_nonnulls", &[Shown], Gives::Int, |row| {
        let values = (0..row.len()).filter(|at| row.has(*at)).count();
        Ok(Some(Made::Whole(values as i64)))
    })
    .repeats()
    .knows_null(),
    ByRow::new("get_byte", &[Bytes, Whole], Gives::Int, |row| {
        let (bytes, at) = (row.bytes(0).unwrap_or_default(), row.whole(1).unwrap_or_default());
        match usize::try_from(at).ok().and_then(|at| bytes.get(at)) {
            Some(byte) => Ok(Some(Made::Whole(i64::from(*byte)))),
            None => {
                let message = format!("index {at} out of valid range, 0..{}", bytes.len() as i64 - 1);
                Err(SqlError::new(OUT_OF_BYTES, message).into())
            }
        }
    }),
    // The digits behind the point of a number.
    ByRow::new("scale", &[Shown], Gives::Int, |row| {
        Ok(row.text(0).map(|number| Made::Whole(behind_point(number).len() as i64)))
    }),
    ByRow::new("min_scale", &[Shown], Gives::Int, |row| {
        let digits = |number: &str| behind_point(number).trim_end_matches('0').len() as i64;
        Ok(row.text(0).map(|number| Made::Whole(digits(number))))
    }),
    ByRow::new("width_bucket", &[Float, Float, Float, Whole], Gives::Int, bucket),
    ByRow::new("_headwater_bucket_of_list", &[Float, Floats], Gives::Int, |row| {
        use datafusion::arrow::array::AsArray;
        use datafusion::arrow::datatypes::Float64Type;
        let (of, list) = (row.float(0).unwrap_or_default(), row.list(1));
        let bounds = list.map(|list| list.as_primitive::<Float64Type>().clone());
        let below = bounds.iter().flatten().flatten().filter(|bound| *bound <= of).count();
        Ok(Some(Made::Whole(below as i64)))
    }),
    ByRow::new("unistr", &[Text], Gives::Text, |row| {
        unescaped(row.text(0).unwrap_or_default())
    }),
];

fn behind_point(number: &str) -> &str {
    number.split_once('.').map_or("", |(_, behind)| behind)
}

fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    match doubled.contains('\\') {
        true => format!("E'{}'", doubled.replace('\\', "\\\\")),
        false => format!("'{doubled}'"),
    }
}

/// `format(pattern, …)`: `%[n$][-][width]s`, `I` for a name, `L` for a literal.
fn formatted(row: &Row<'_>) -> Result<Option<Made>> {
    let Some(pattern) = row.text(0) else { return Ok(None) };
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    let mut next = 1;
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let digits = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut number = String::new();
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                number.push(digit);
            }
            number
        };
        let mut number = digits(&mut rest);
        let mut at = next;
        if !number.is_empty() && rest.next_if_eq(&'$').is_some() {
            at = number.parse().unwrap_or(usize::MAX);
            number.clear();
            if at == 0 {
                return Err(unreadable(
                    "format specifies argument 0, but arguments are numbered from 1",
                ));
            }
        }
        let mut is_left = false;
        if number.is_empty() {
            while rest.next_if_eq(&'-').is_some() {
                is_left = true;
            }
            if rest.next_if_eq(&'*').is_some() {
                let width: i64 = row.text(at).and_then(|text| text.parse().ok()).unwrap_or(0);
                is_left |= width < 0;
                number = width.unsigned_abs().to_string();
                at += 1;
            } else {
                number = digits(&mut rest);
            }
        }
        let Some(kind) = rest.next() else {
            return Err(unreadable("unterminated format() type specifier"));
        };
        if !matches!(kind, 's' | 'I' | 'L') {
            return Err(unreadable(&format!("unrecognized format() type specifier \"{kind}\"")));
        }
        if at >= row.len() {
            return Err(unreadable("too few arguments for format()"));
        }
        let value = match (kind, row.text(at)) {
            ('s', value) => value.unwrap_or_default().to_owned(),
            ('L', Some(value)) => literal(value),
            ('L', None) => "NULL".to_owned(),
            (_, Some(value)) => quoted(value),
            (_, None) => {
                let message = "null values cannot be formatted as an SQL identifier";
                return Err(SqlError::new(NO_NULL, message).into());
            }
        };
        let width = number.parse::<usize>().unwrap_or(0);
        if width > WIDTH_MAX {
            return Err(SqlError::new(
                SqlState::TOO_LARGE,
                format!("a field of format() has {WIDTH_MAX} characters at most"),
            )
            .into());
        }
        let missing = width.saturating_sub(value.chars().count());
        let blanks = " ".repeat(missing);
        match is_left {
            true => out.extend([value.as_str(), &blanks]),
            false => out.extend([blanks.as_str(), &value]),
        }
        next = at + 1;
    }
    Ok(Some(Made::Text(out)))
}

fn unreadable(message: &str) -> datafusion::common::DataFusionError {
    let hint = "write a single \"%\" as \"%%\"";
    SqlError::new(SqlState::INVALID_PARAMETER, message).hint(hint).into()
}

/// The parts of a qualified name.
fn names(text: &str) -> Result<Option<Made>> {
    let invalid = || {
        let message = format!("string is not a valid identifier: \"{text}\"");
        SqlError::new(SqlState::INVALID_PARAMETER, message)
    };
    let mut parts: Vec<Option<String>> = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"').ok_or_else(invalid)?;
                (quoted[..end].to_owned(), &quoted[end + 1..])
            }
            None => {
                let end = rest
                    .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$')))
                    .unwrap_or(rest.len());
                (rest[..end].to_lowercase(), &rest[end..])
            }
        };
        if part.is_empty() {
            return Err(invalid().into());
        }
        parts.push(Some(part));
        match after.trim_start().strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None if after.trim().is_empty() => return Ok(Some(Made::Texts(parts))),
            None => return Err(invalid().into()),
        }
    }
}

/// In which of the buckets of one width between two bounds a number lies.
fn bucket(row: &Row<'_>) -> Result<Option<Made>> {
    let float = |at: usize| row.float(at).unwrap_or_default();
    let (of, low, high, count) = (float(0), float(1), float(2), row.whole(3).unwrap_or_default());
    if count <= 0 {
        return Err(SqlError::new(NO_BUCKETS, "count must be greater than zero").into());
    }
    if low == high || !low.is_finite() || !high.is_finite() {
        return Err(SqlError::new(NO_BUCKETS, "lower bound cannot equal upper bound").into());
    }
    let (is_before, is_behind) = match low < high {
        true => (of < low, of >= high),
        false => (of > low, of <= high),
    };
    let bucket = match (is_before, is_behind) {
        (true, _) => 0,
        (_, true) => count + 1,
        _ => ((of - low) / (high - low) * count as f64) as i64 + 1,
    };
    Ok(Some(Made::Whole(bucket)))
}

/// `\0441`, `\+000441`, `\u0441` and `\U00000441` as the characters they are.
fn unescaped(text: &str) -> Result<Option<Made>> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('\\') {
            out.push('\\');
            rest = after;
            continue;
        }
        let (skipped, digits) = match rest.chars().next() {
            Some('+') => (1, 6),
            Some('u') => (1, 4),
            Some('U') => (1, 8),
            _ => (0, 4),
        };
        let code = rest.get(skipped..skipped + digits);
        let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
        let Some(character) = code.and_then(char::from_u32) else {
            let hint = "Unicode escapes are \\XXXX, \\+XXXXXX, \\uXXXX or \\UXXXXXXXX";
            return Err(SqlError::new(SqlState::SYNTAX, "invalid Unicode escape")
                .hint(hint)
                .into());
        };
        out.push(character);
        rest = &rest[skipped + digits..];
    }
    out.push_str(rest);
    Ok(Some(Made::Text(out)))
}
