//! From what a caller gave to the values of a command's parameters, each of its type.

use datafusion::common::ScalarValue;
use headwater_sql::encode::assign_value;
use serde_json::Value;

use crate::commands::{Arguments, CommandError};
use crate::prepare::Prepared;

/// The values of the parameters, in their order.
pub(crate) fn values(command: &Prepared, arguments: Arguments) -> Result<Vec<ScalarValue>, CommandError> {
    let given = match arguments {
        Arguments::Positional(values) => positional(command, values)?,
        Arguments::Named(values) => named(command, values)?,
    };
    let mut values: Vec<ScalarValue> = Vec::new();
    for (parameter, value) in command.parameters.iter().zip(given) {
        let assigned = assign_value(&value, &parameter.name.value, parameter.column_type).map_err(|error| {
            let wanted = format!("argument \"{}\" of {} must be {}", parameter.name.value, command.name, parameter.column_type);
            CommandError::Arguments(format!("{wanted}: {}", error.message))
        })?;
        values.push(assigned);
    }
    Ok(values)
}

fn positional(command: &Prepared, values: Vec<ScalarValue>) -> Result<Vec<ScalarValue>, CommandError> {
    if values.len() == command.parameters.len() {
        return Ok(values);
    }
    let message = format!("{} takes {} arguments, {} were given; write {}", command.name, command.parameters.len(), values.len(), command.signature());
    Err(CommandError::Arguments(message))
}

fn named(command: &Prepared, mut values: serde_json::Map<String, Value>) -> Result<Vec<ScalarValue>, CommandError> {
    let mut given: Vec<ScalarValue> = Vec::new();
    for parameter in &command.parameters {
        let name = &parameter.name.value;
        let value = values.remove(name).ok_or_else(|| {
            let message = format!("argument \"{name}\" is missing; give it, or null, as in {}", command.signature());
            CommandError::Arguments(message)
        })?;
        given.push(scalar(value));
    }
    match values.keys().next() {
        None => Ok(given),
        Some(unknown) => {
            let message = format!("there is no argument \"{unknown}\"; the command is {}", command.signature());
            Err(CommandError::Arguments(message))
        }
    }
}

/// A JSON value as SQL reads it; numbers as their text, so that no digit is lost on the way to a decimal.
fn scalar(value: Value) -> ScalarValue {
    match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(value) => ScalarValue::Boolean(Some(value)),
        Value::Number(number) => ScalarValue::Utf8(Some(number.to_string())),
        Value::String(text) => ScalarValue::Utf8(Some(text)),
        object @ (Value::Array(_) | Value::Object(_)) => ScalarValue::Utf8(Some(object.to_string())),
    }
}
