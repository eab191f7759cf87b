//! `value -> step` and `value ->> step` where the step is no constant, or a text that is a number: a text is the name of a member, a number the place of
//! an element, from the end where it is negative. What is not there is NULL.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::members::{Json, as_text, read};
use crate::type_name::type_name;
use crate::{SqlError, SqlState};

/// What `->` leads to, as JSON.
pub(super) const STEP: &str = "_headwater_json_step";
/// What `->>` leads to: a string without its quotes, anything else as its text.
pub(super) const STEP_TEXT: &str = "_headwater_json_step_text";

/// The functions.
pub(super) fn functions() -> [ScalarUDF; 2] {
    let signature = || Signature::any(2, Volatility::Immutable);
    [(STEP, "->"), (STEP_TEXT, "->>")].map(|(name, operator)| {
        ScalarUDF::from(Step {
            name,
            operator,
            signature: signature(),
        })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Step {
    name: &'static str,
    operator: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Step {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [json, step] if (json.is_string() || json.is_null()) && is_step(step) => Ok(DataType::Utf8),
            [_, step] if !is_step(step) => Err(self.unknown("json", &type_name(step)).into()),
            [json, step] => Err(self.unknown(&type_name(json), &type_name(step)).into()),
            _ => exec_err!("{} takes JSON and a step", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows));
        let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
        let [json, steps] = arrays.as_slice() else {
            return exec_err!("{} takes JSON and a step", self.name);
        };
        let found: ArrayRef = Arc::new(self.found(json, steps)?);
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?)),
            false => Ok(ColumnarValue::Array(found)),
        }
    }
}

fn is_step(data_type: &DataType) -> bool {
    data_type.is_string() || data_type.is_integer() || data_type.is_null()
}

impl Step {
    fn unknown(&self, json: &str, step: &str) -> SqlError {
        let message = format!("operator does not exist: {json} {} {step}", self.operator);
        let error = SqlError::new(SqlState::UNKNOWN_FUNCTION, message);
        error.hint("a step into JSON is a TEXT, the name of a member, or an INTEGER, the place of an element")
    }

    fn found(&self, json: &ArrayRef, steps: &ArrayRef) -> Result<StringArray> {
        let json = cast(json, &DataType::Utf8)?;
        let json = json.as_string::<i32>();
        let each = match steps.data_type().is_integer() {
            true => {
                let places = cast(steps, &DataType::Int64)?;
                let places = places.as_primitive::<Int64Type>();
                let pairs = json.iter().zip(places);
                pairs
                    .map(|(json, place)| self.shown(&element(json?, place?)?))
                    .collect()
            }
            false => {
                let names = cast(steps, &DataType::Utf8)?;
                let names = names.as_string::<i32>();
                let pairs = json.iter().zip(names);
                pairs.map(|(json, name)| self.shown(&member(json?, name?)?)).collect()
            }
        };
        Ok(each)
    }

    fn shown(&self, found: &str) -> Option<String> {
        match self.name {
            STEP_TEXT => as_text(found),
            _ => Some(found.to_owned()),
        }
    }
}

// What is no JSON has neither, as for the query engine's own steps.

/// Of names that repeat the last one counts.
fn member(json: &str, name: &str) -> Option<String> {
    let Ok(Json::Object(members)) = read(json) else {
        return None;
    };
    let found = members.into_iter().rfind(|(known, _)| known == name);
    found.map(|(_, value)| value.get().to_owned())
}

fn element(json: &str, place: i64) -> Option<String> {
    let Ok(Json::Array(elements)) = read(json) else {
        return None;
    };
    let from_end = i64::try_from(elements.len()).ok()?;
    let place = if place < 0 { place + from_end } else { place };
    let found = elements.get(usize::try_from(place).ok()?);
    found.map(|value| value.get().to_owned())
}
