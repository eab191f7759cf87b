//! JSON that is made of JSON: `jsonb_set`, `json_strip_nulls`, `jsonb_pretty`; and of lists of texts, `json_object`.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::common::Result;
use serde_json::{Map, Value};

use super::super::by_row::{ByRow, Gives, Made, Row, Takes};
use crate::{SqlError, SqlState};

use Takes::{Text, Texts};

/// array_subscript_error
const UNEVEN: SqlState = SqlState("2202E");
/// null_value_not_allowed
const NO_NULL: SqlState = SqlState("22004");

pub(crate) const FUNCTIONS: [ByRow; 4] = [
    ByRow::new("_headwater_json_of_texts", &[Texts, Texts], Gives::Text, of_texts).optional(1),
    ByRow::new("_headwater_json_without_nulls", &[Text], Gives::Text, |row| {
        let mut value = read(row, 0)?;
        without_nulls(&mut value);
        Ok(Some(Made::Text(value.to_string())))
    }),
    ByRow::new(
        "_headwater_json_set",
        &[Text, Texts, Text, Takes::Shown],
        Gives::Text,
        |row| {
            let (mut value, new) = (read(row, 0)?, read(row, 2)?);
            let path = texts(row, 1);
            let creates = row.text(3) != Some("f");
            set(&mut value, &path, new, creates)?;
            Ok(Some(Made::Text(value.to_string())))
        },
    )
    .optional(1),
    ByRow::new("_headwater_json_pretty", &[Text], Gives::Text, |row| {
        let mut out = String::new();
        pretty(&mut out, &read(row, 0)?, 0);
        Ok(Some(Made::Text(out)))
    }),
];

fn read(row: &Row<'_>, at: usize) -> Result<Value, SqlError> {
    let text = row.text(at).unwrap_or_default();
    serde_json::from_str(text).map_err(|error| {
        SqlError::new(
            SqlState::INVALID_TEXT,
            format!("invalid input syntax for type json: {error}"),
        )
    })
}

fn texts(row: &Row<'_>, at: usize) -> Vec<Option<String>> {
    let list = row.list(at);
    let texts = list.iter().flat_map(|list| {
        let list = list.as_string::<i32>();
        (0..list.len()).map(move |place| list.is_valid(place).then(|| list.value(place).to_owned()))
    });
    texts.collect()
}

/// An object of a list of keys and values in turn, or of one of keys and one of values.
fn of_texts(row: &Row<'_>) -> Result<Option<Made>> {
    let (first, second) = (texts(row, 0), texts(row, 1));
    let uneven = |why: &str| SqlError::new(UNEVEN, why);
    let pairs: Vec<(Option<String>, Option<String>)> = match row.len() {
        1 if first.len() % 2 != 0 => return Err(uneven("array must have even number of elements").into()),
        1 => first.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
        _ if first.len() != second.len() => return Err(uneven("mismatched array dimensions").into()),
        _ => first.into_iter().zip(second).collect(),
    };
    let mut members: Vec<String> = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        let key = key.ok_or_else(|| SqlError::new(NO_NULL, "null value not allowed for object key"))?;
        let value = value.map_or(Value::Null, Value::from);
        members.push(format!("{}:{value}", Value::from(key)));
    }
    Ok(Some(Made::Text(format!("{{{}}}", members.join(",")))))
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Puts a value where a path leads; what is not there on the way stays so.
fn set(value: &mut Value, path: &[Option<String>], new: Value, creates: bool) -> Result<(), SqlError> {
    let Some((Some(step), rest)) = path.split_first() else {
        return Ok(());
    };
    match value {
        Value::Object(members) => match members.get_mut(step) {
            Some(member) if rest.is_empty() => *member = new,
            Some(member) => set(member, rest, new, creates)?,
            None if rest.is_empty() && creates => drop(members.insert(step.clone(), new)),
            None => {}
        },
        Value::Array(elements) => {
            let place: i64 = step.parse().map_err(|_| {
                let message = format!("path element is not an integer: \"{step}\"");
                SqlError::new(SqlState::INVALID_TEXT, message)
            })?;
            let count = elements.len() as i64;
            let at = if place < 0 { place + count } else { place };
            let there = usize::try_from(at).ok().filter(|at| *at < elements.len());
            match there {
                Some(at) if rest.is_empty() => elements[at] = new,
                Some(at) => set(&mut elements[at], rest, new, creates)?,
                None if rest.is_empty() && creates && at < 0 => elements.insert(0, new),
                None if rest.is_empty() && creates => elements.push(new),
                None => {}
            }
        }
        _ => {}
    }
    Ok(())
}

/// Each member on a line of its own, as PostgreSQL indents them.
fn pretty(out: &mut String, value: &Value, depth: usize) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
    };
    let object = |members: &Map<String, Value>, out: &mut String| {
        for (place, (name, member)) in members.iter().enumerate() {
            out.push_str(if place > 0 { "," } else { "" });
            line(out, depth + 1);
            out.push_str(&format!("{}: ", Value::from(name.as_str())));
            pretty(out, member, depth + 1);
        }
        line(out, depth);
    };
    match value {
        Value::Object(members) => {
            out.push('{');
            object(members, out);
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for (place, element) in elements.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                line(out, depth + 1);
                pretty(out, element, depth + 1);
            }
            line(out, depth);
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}
