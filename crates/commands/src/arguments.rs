//! The arguments of a call become values of the parameters' types.
//!
//! ```text
//! what the call says ── given: each parameter's value, or that it was not said
//!                            └─ values: defaults in the gaps, NOT NULL and CHECK looked at
//! ```
//!
//! What was given, without defaults, is what two calls with one idempotency key are compared by.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use datafusion::common::ScalarValue;
use headwater_catalog::{Column, Format, StreamDefinition};
use headwater_sql::encode::assign_value;
use headwater_sql::{CallArgument, Engine, SqlError};
use headwater_views::decode::StreamDecoder;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::CommandError;
use crate::compiled::{Compiled, CompiledParameter};
use crate::error::ArgumentFault;

/// The arguments of a call.
#[derive(Debug, Clone)]
pub enum Arguments {
    /// As in `CALL`: first those in the order of the parameters, then those by name.
    Listed(Vec<CallArgument>),
    /// By name, from JSON that was parsed already: a number with a point may have lost its last digits on the way.
    Named(serde_json::Map<String, serde_json::Value>),
    /// By name, the text of a JSON object: exact.
    Json(Bytes),
}

/// What a call says of each parameter, in their order; `None`: nothing.
pub(crate) type Given = Vec<Option<ScalarValue>>;

/// Reads what a call says.
pub(crate) fn given(command: &Compiled, arguments: &Arguments) -> Result<Given, CommandError> {
    match arguments {
        Arguments::Listed(listed) => self::listed(command, listed),
        Arguments::Named(map) => {
            let text = serde_json::to_vec(map)
                .map_err(|error| ArgumentFault::whole("invalid_arguments", error.to_string()))?;
            named(command, Bytes::from(text))
        }
        Arguments::Json(text) => named(command, text.clone()),
    }
}

/// The values of all parameters: with defaults where nothing was said, and none that the parameter does not take.
pub(crate) fn values(engine: &Engine, command: &Compiled, given: &Given) -> Result<Vec<ScalarValue>, CommandError> {
    let mut values: Vec<ScalarValue> = Vec::with_capacity(given.len());
    for (value, parameter) in given.iter().zip(&command.parameters) {
        let value = match (value, &parameter.default) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => default_value(engine, parameter, default)?,
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
    parameter: &CompiledParameter,
    default: &datafusion::sql::sqlparser::ast::Expr,
) -> Result<ScalarValue, SqlError> {
    let constants = engine.constants(std::slice::from_ref(default))?;
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
    let invalid = |message: String| Err(ArgumentFault::whole("invalid_arguments", message));
    let members: Members<'_> = match serde_json::from_slice(&text) {
        Ok(members) => members,
        Err(error) => {
            return invalid(format!(
                "the arguments of '{}' are no JSON object: {error}",
                command.name
            ));
        }
    };
    let is_parameter = |name: &str| command.parameters.iter().any(|parameter| parameter.name == name);
    if let Some(name) = members.names.iter().find(|name| !is_parameter(name)) {
        return Err(unknown(command, name));
    }
    if command.parameters.is_empty() {
        return Ok(Vec::new());
    }
    for (place, name) in members.names.iter().enumerate() {
        if members.names[..place].contains(name) {
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
        let is_said = members.names.iter().any(|name| *name == parameter.name);
        given.push(is_said.then_some(value));
    }
    Ok(given)
}

/// The names of an object's members, in the order of the text.
struct Members<'a> {
    names: Vec<Cow<'a, str>>,
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
        let mut names: Vec<Cow<'de, str>> = Vec::new();
        while let Some((Name(name), IgnoredAny)) = map.next_entry()? {
            names.push(name);
        }
        Ok(Members { names })
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
