//! The arguments of a call become values of the parameters' types.

use bytes::Bytes;
use datafusion::common::ScalarValue;
use headwater_catalog::{Column, Format, StreamDefinition};
use headwater_eventlog::StoredBatch;
use headwater_records::{Batch, Compression, Event};
use headwater_sql::encode::assign_value;
use headwater_sql::statement::Parameter;
use headwater_views::decode::StreamDecoder;

use crate::{Arguments, CommandError};

/// The values of all parameters, in their order.
pub(crate) fn values(
    command: &str,
    parameters: &[Parameter],
    arguments: &Arguments,
) -> Result<Vec<ScalarValue>, CommandError> {
    match arguments {
        Arguments::Positional(values) => positional(command, parameters, values),
        Arguments::Named(map) => {
            let text = serde_json::to_vec(map).map_err(|error| CommandError::Arguments(error.to_string()))?;
            named(command, parameters, Bytes::from(text))
        }
        Arguments::Json(text) => named(command, parameters, text.clone()),
    }
}

fn positional(
    command: &str,
    parameters: &[Parameter],
    given: &[ScalarValue],
) -> Result<Vec<ScalarValue>, CommandError> {
    if given.len() != parameters.len() {
        let (wanted, came) = (parameters.len(), given.len());
        let signature = signature(parameters);
        let message = format!("the command '{command}' takes {wanted} argument(s), {came} were given: {signature}");
        return Err(CommandError::Arguments(message));
    }
    let mut values: Vec<ScalarValue> = Vec::new();
    for (value, parameter) in given.iter().zip(parameters) {
        let value = assign_value(value, &parameter.name.value, parameter.column_type);
        let as_argument = |error: headwater_sql::SqlError| error.to_string().replace("column \"", "argument \"");
        values.push(value.map_err(|error| CommandError::Arguments(as_argument(error)))?);
    }
    Ok(values)
}

/// Arguments from a JSON object are read by the same decoder as the values of streams, so that they are as exact:
/// a number for a DECIMAL never goes through a float.
fn named(command: &str, parameters: &[Parameter], text: Bytes) -> Result<Vec<ScalarValue>, CommandError> {
    let refuse = |message: String| Err(CommandError::Arguments(message));
    let given: serde_json::Map<String, serde_json::Value> = match serde_json::from_slice(&text) {
        Ok(given) => given,
        Err(error) => return refuse(format!("the arguments of '{command}' are no JSON object: {error}")),
    };
    for parameter in parameters {
        if !given.contains_key(&parameter.name.value) {
            let name = &parameter.name.value;
            let signature = signature(parameters);
            return refuse(format!(
                "the argument \"{name}\" of '{command}' is missing: give it a value, or null; {signature}"
            ));
        }
    }
    let unknown = given
        .keys()
        .find(|name| !parameters.iter().any(|parameter| parameter.name.value == **name));
    if let Some(unknown) = unknown {
        return refuse(format!(
            "the command '{command}' has no parameter \"{unknown}\": {}",
            signature(parameters)
        ));
    }
    if parameters.is_empty() {
        return Ok(Vec::new());
    }
    let decoder = StreamDecoder::new(&as_stream(command, parameters));
    let event = Event {
        value: Some(text),
        ..Event::default()
    };
    let batch = Batch::encode(&[event], Compression::None, None);
    let stored = StoredBatch {
        batch,
        appended_at_us: 0,
        principal: "".into(),
    };
    let columns: Vec<usize> = (0..parameters.len()).collect();
    let decoded = decoder.decode(0, &[stored], 0, 1, Some(&columns));
    if decoded.rows.num_rows() != 1 {
        let reason = decoded
            .parked
            .first()
            .map_or("they do not fit its parameters", |parked| &parked.reason);
        return refuse(format!("the arguments of '{command}' do not fit: {reason}"));
    }
    let mut values: Vec<ScalarValue> = Vec::new();
    for column in decoded.rows.columns() {
        values.push(ScalarValue::try_from_array(column, 0).map_err(headwater_sql::SqlError::from)?);
    }
    Ok(values)
}

/// The parameters as the columns of a stream.
fn as_stream(command: &str, parameters: &[Parameter]) -> StreamDefinition {
    let columns = parameters.iter().map(|parameter| Column {
        name: parameter.name.value.clone(),
        column_type: parameter.column_type,
        nullable: true,
    });
    StreamDefinition {
        name: command.to_owned(),
        columns: Some(columns.collect()),
        key: Vec::new(),
        time: None,
        kind: None,
        tags: Vec::new(),
        partitions: 1,
        format: Format::Json,
        statement: String::new(),
    }
}

fn signature(parameters: &[Parameter]) -> String {
    let mut names: Vec<String> = Vec::new();
    for parameter in parameters {
        names.push(format!("{} {}", parameter.name.value, parameter.column_type));
    }
    match parameters.is_empty() {
        true => "it has no parameters".to_owned(),
        false => format!("its parameters are {}", names.join(", ")),
    }
}
