//! The arguments of a call become values of the parameters' types.
//!
//! ```text
//! what the call says ── given: each parameter's value, or that it was not said
//!                            └─ values: defaults in the gaps, NOT NULL and CHECK looked at
//! ```
//!
//! What two calls with one idempotency key are compared by is what they say, as it is written: the command may be another by the second one.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use datafusion::common::ScalarValue;
use headwater_catalog::{Column, Format, StreamDefinition};
use headwater_sql::encode::{assign_value, json_of};
use headwater_sql::{CallArgument, Engine, SqlError};
use headwater_views::decode::StreamDecoder;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::CommandError;
use crate::call::compiled::{Compiled, CompiledParameter};
use crate::error::ArgumentFault;

/// The arguments of a call.
#[derive(Debug, Clone)]
pub enum Arguments {
    /// As in `CALL`: first those in the order of the parameters, then those by name.
    Listed(Vec<CallArgument>),
    /// By name, the text of a JSON object: exact.
    Json(Bytes),
}

/// What a call says of each parameter, in their order; `None`: nothing.
pub(crate) type Given = Vec<Option<ScalarValue>>;

/// Reads what a call says.
pub(crate) fn given(command: &Compiled, arguments: &Arguments) -> Result<Given, CommandError> {
    match arguments {
        Arguments::Listed(listed) => self::listed(command, listed),
        Arguments::Json(text) => named(command, text.clone()),
    }
}

/// What a call says, as bytes: the same where the same names have the same values. The order of names, blanks between them, and how a text or a number is
/// written do not count. SQL's arguments by name say what those of JSON do; those without one are named by their places.
pub(crate) fn said(command: &str, arguments: &Arguments) -> Result<Vec<u8>, CommandError> {
    let mut said: Vec<(String, Said)> = match arguments {
        Arguments::Listed(listed) => (0..)
            .zip(listed)
            .map(|(place, argument): (usize, &CallArgument)| {
                let name = argument.name.clone().unwrap_or_else(|| place.to_string());
                let value = match argument.value.is_null() {
                    true => "null".to_owned(),
                    false => json_of(&argument.value)?,
                };
                Ok((name, Said::of(&value)))
            })
            .collect::<Result<_, SqlError>>()?,
        Arguments::Json(text) => members(command, text)?
            .all
            .into_iter()
            .map(|(name, value)| (name.into_owned(), Said::of(value.get())))
            .collect(),
    };
    said.sort();
    let mut bytes: Vec<u8> = Vec::new();
    let mut put = |part: &str| {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    };
    for (name, value) in &said {
        put(name);
        let (what, value) = match value {
            Said::Text(value) => ("text", value),
            Said::Number(value) => ("number", value),
            Said::Other(value) => ("other", value),
        };
        put(what);
        put(value);
    }
    Ok(bytes)
}

/// One value, as JSON says it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Text(String),
    /// Its digits without zeros at either end, and the power of ten.
    Number(String),
    /// As it is written.
    Other(String),
}

impl Said {
    fn of(json: &str) -> Said {
        let of_text = serde_json::from_str(json).ok().map(Said::Text);
        let said = of_text.or_else(|| plain_number(json).map(Said::Number));
        said.unwrap_or_else(|| Said::Other(json.to_owned()))
    }
}

/// `15e-1` of `1.5`, `1.50` and `0.15E1`; `None` where it is no number.
fn plain_number(json: &str) -> Option<String> {
    let (mantissa, exponent) = json.split_once(['e', 'E']).unwrap_or((json, "0"));
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(positive) => ("-", positive),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let plain = digits.trim_end_matches('0');
    let exponent: i64 = exponent.parse().ok()?;
    let shifted = (digits.len() - plain.len()) as i64 - fraction.len() as i64;
    match plain.is_empty() {
        true => Some("0".to_owned()),
        false => Some(format!("{sign}{plain}e{}", exponent.saturating_add(shifted))),
    }
}

/// The values of all parameters: with defaults where nothing was said, and none that the parameter does not take.
pub(crate) fn values(
    engine: &Engine,
    now_us: i64,
    command: &Compiled,
    given: &Given,
) -> Result<Vec<ScalarValue>, CommandError> {
    let mut values: Vec<ScalarValue> = Vec::with_capacity(given.len());
    for (value, parameter) in given.iter().zip(&command.parameters) {
        let value = match (value, &parameter.default) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => default_value(engine, now_us, parameter, default)?,
            (None, None) => {
                let name = &parameter.name;
                let message = format!(
                    "the argument \"{name}\" of '{}' is missing: give it a value{}; {}",
                    command.name,
                    if parameter.nullable { ", or null" } else { "" },
                    signature(&command.parameters)
                );
                return Err(ArgumentFault::of("missing_argument", name, message));
            }
        };
        if value.is_null() && !parameter.nullable {
            let name = &parameter.name;
            let message = format!("the argument \"{name}\" of '{}' may not be NULL", command.name);
            return Err(ArgumentFault::of("null_argument", name, message));
        }
        values.push(value);
    }
    Ok(values)
}

/// A default's value, worked out for this call: `current_date` is today's.
pub(crate) fn default_value(
    engine: &Engine,
    now_us: i64,
    parameter: &CompiledParameter,
    default: &datafusion::sql::sqlparser::ast::Expr,
) -> Result<ScalarValue, SqlError> {
    let constants = engine.constants_at(now_us, std::slice::from_ref(default))?;
    let constant = constants.into_iter().next().unwrap_or(ScalarValue::Null);
    assign_value(&constant, &parameter.name, parameter.column_type)
}

fn listed(command: &Compiled, arguments: &[CallArgument]) -> Result<Given, CommandError> {
    let parameters = &command.parameters;
    let mut given: Given = vec![None; parameters.len()];
    for (place, argument) in arguments.iter().enumerate() {
        let found = match &argument.name {
            Some(name) => parameters.iter().position(|parameter| parameter.name == *name),
            None => (place < parameters.len()).then_some(place),
        };
        let Some(index) = found else {
            return Err(match &argument.name {
                Some(name) => unknown(command, name),
                None => ArgumentFault::whole(
                    "unknown_argument",
                    format!(
                        "the command '{}' takes {} argument(s), {} were given: {}",
                        command.name,
                        parameters.len(),
                        arguments.len(),
                        signature(parameters)
                    ),
                ),
            });
        };
        let parameter = &parameters[index];
        if given[index].is_some() {
            let message = format!(
                "the argument \"{}\" of '{}' is there twice",
                parameter.name, command.name
            );
            return Err(ArgumentFault::of("invalid_argument", &parameter.name, message));
        }
        let value = assign_value(&argument.value, &parameter.name, parameter.column_type);
        let value = value.map_err(|error| {
            let message = error.to_string().replace("column \"", "argument \"");
            ArgumentFault::of("invalid_argument", &parameter.name, message)
        })?;
        given[index] = Some(value);
    }
    Ok(given)
}

/// Arguments from a JSON object are read by the same decoder as the values of streams, so that they are as exact:
/// a number for a DECIMAL never goes through a float.
fn named(command: &Compiled, text: Bytes) -> Result<Given, CommandError> {
    let members = members(&command.name, &text)?;
    let names: Vec<&str> = members.all.iter().map(|(name, _)| name.as_ref()).collect();
    let is_parameter = |name: &str| command.parameters.iter().any(|parameter| parameter.name == name);
    if let Some(name) = names.iter().find(|name| !is_parameter(name)) {
        return Err(unknown(command, name));
    }
    if command.parameters.is_empty() {
        return Ok(Vec::new());
    }
    for (place, name) in names.iter().enumerate() {
        if names[..place].contains(name) {
            let message = format!("the argument \"{name}\" of '{}' is there twice", command.name);
            return Err(ArgumentFault::of("invalid_argument", name, message));
        }
    }
    let columns: Vec<usize> = (0..command.parameters.len()).collect();
    let read = match command.decoder.values_of_one(&text, &columns) {
        Ok(read) => read,
        Err(reason) => return Err(unfit(command, &reason)),
    };
    let mut given: Given = Vec::with_capacity(columns.len());
    for (parameter, value) in command.parameters.iter().zip(read) {
        let is_said = names.contains(&parameter.name.as_str());
        given.push(is_said.then_some(value));
    }
    Ok(given)
}

/// An object's members, in the order of the text.
struct Members<'a> {
    all: Vec<(Cow<'a, str>, &'a RawValue)>,
}

fn members<'a>(command: &str, text: &'a [u8]) -> Result<Members<'a>, CommandError> {
    serde_json::from_slice(text).map_err(|error| {
        let message = format!("the arguments of '{command}' are no JSON object: {error}");
        ArgumentFault::whole("invalid_arguments", message)
    })
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut all: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            all.push((name, value));
        }
        Ok(Members { all })
    }
}

/// A name as it stands in the text, where nothing in it is escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn unfit(command: &Compiled, reason: &str) -> CommandError {
    let message = format!("the arguments of '{}' do not fit: {reason}", command.name);
    // As the decoder of a stream's values says it.
    let is_named = |parameter: &&CompiledParameter| reason.starts_with(&format!("column '{}' ", parameter.name));
    match command.parameters.iter().find(is_named) {
        Some(parameter) => ArgumentFault::of("invalid_argument", &parameter.name, message),
        None => ArgumentFault::whole("invalid_argument", message),
    }
}

fn unknown(command: &Compiled, name: &str) -> CommandError {
    let message = format!(
        "the command '{}' has no parameter \"{name}\": {}",
        command.name,
        signature(&command.parameters)
    );
    ArgumentFault::of("unknown_argument", name, message)
}

/// Reads the parameters as the columns of a stream.
pub(crate) fn decoder(command: &str, parameters: &[CompiledParameter]) -> StreamDecoder {
    let columns = parameters
        .iter()
        .map(|parameter| Column::new(parameter.name.clone(), parameter.column_type, true));
    StreamDecoder::new(&StreamDefinition {
        name: command.to_owned(),
        columns: Some(columns.collect()),
        key: Vec::new(),
        time: None,
        kind: None,
        tags: Vec::new(),
        partitions: 1,
        format: Format::Json,
        statement: String::new(),
        ..StreamDefinition::default()
    })
}

fn signature(parameters: &[CompiledParameter]) -> String {
    let mut names: Vec<String> = Vec::new();
    for parameter in parameters {
        let default = parameter.default.as_ref().map(|default| format!(" DEFAULT {default}"));
        names.push(format!(
            "{} {}{}",
            parameter.name,
            parameter.column_type,
            default.unwrap_or_default()
        ));
    }
    match parameters.is_empty() {
        true => "it has no parameters".to_owned(),
        false => format!("its parameters are {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_however_it_is_written() {
        let said = |json: &str| said("c", &Arguments::Json(Bytes::from(json.to_owned()))).expect("it is an object");
        let first = said(r#"{"a": 1.50, "b": "x/y", "c": null, "d": true}"#);
        for same in [
            r#"{"d":true,"c":null,"b":"x\/y","a":15e-1}"#,
            r#"{"a":0.015E+2,"b":"\u0078/y","c":null,"d":true}"#,
        ] {
            assert!(said(same) == first, "{same}");
        }
        for other in [
            r#"{"a":1.51,"b":"x/y","c":null,"d":true}"#,
            r#"{"a":-1.5,"b":"x/y","c":null,"d":true}"#,
            r#"{"a":15,"b":"x/y","c":null,"d":true}"#,
            r#"{"a":"15e-1","b":"x/y","c":null,"d":true}"#,
            r#"{"a":1.5,"b":"x/y","c":"null","d":true}"#,
            r#"{"a":1.5,"b":"x/y","d":true}"#,
            r#"{"a":1.5,"b":"x/y","c":null,"d":true,"d":true}"#,
            r#"{"a":1.5,"b":"x/y","c":null,"e":true}"#,
            r#"{"a":1.5000000000000000000000001,"b":"x/y","c":null,"d":true}"#,
        ] {
            assert!(said(other) != first, "{other}");
        }
        assert!(said(r#"{"a":-0.0}"#) == said(r#"{"a":0}"#));
        assert!(said(r#"{"a":100}"#) == said(r#"{"a":1e2}"#));
    }
}
