//! What is asked of JSON: what it holds, of what kind it is, its members as lists, and what is left of it.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListBuilder, StringArray, StringBuilder,
};
use datafusion::arrow::compute::cast as cast_array;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::functions_nested::expr_fn::make_array;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast, lit,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use serde_json::Value;

use super::members::{Json, as_text, no_json, read};
use crate::{SqlError, SqlState};

/// Name, and what is asked.
const FUNCTIONS: [(&str, Asked); 12] = [
    ("_headwater_json_contains", Asked::Contains),
    ("_headwater_json_has_any", Asked::HasAny),
    ("_headwater_json_has_all", Asked::HasAll),
    ("_headwater_json_joined", Asked::Joined),
    ("_headwater_json_without", Asked::Without),
    ("_headwater_json_length", Asked::Length),
    ("_headwater_json_typeof", Asked::Kind),
    ("_headwater_json_elements", Asked::Elements),
    ("_headwater_json_element_texts", Asked::ElementTexts),
    ("_headwater_json_keys", Asked::Keys),
    ("_headwater_json_values", Asked::Values),
    ("_headwater_json_value_texts", Asked::ValueTexts),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asked {
    Contains,
    HasAny,
    HasAll,
    Joined,
    Without,
    Length,
    Kind,
    Elements,
    ElementTexts,
    Keys,
    Values,
    ValueTexts,
}

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.into_iter().map(function).collect()
}

fn function((name, asked): (&'static str, Asked)) -> ScalarUDF {
    let signature = Signature::variadic_any(Volatility::Immutable);
    ScalarUDF::from(OfJson { name, asked, signature })
}

/// Plans `@>`, `<@`, `?`, `?|` and `?&` of texts, which are JSON then.
#[derive(Debug)]
pub(crate) struct JsonAsked;

impl ExprPlanner for JsonAsked {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_text = |side: &Expr| side.get_type(schema).is_ok_and(|of| of.is_string());
        let is_null = |side: &Expr| side.get_type(schema).is_ok_and(|of| of.is_null());
        let RawBinaryExpr { op, left, right } = expr;
        let called = |place: usize, args: Vec<Expr>| PlannerResult::Planned(function(FUNCTIONS[place]).call(args));
        let names = |list: Expr| match is_text(&list) {
            true => cast(list, DataType::new_list(DataType::Utf8, true)),
            false => list,
        };
        Ok(match op {
            BinaryOperator::AtArrow if is_text(&left) && is_text(&right) => called(0, vec![left, right]),
            BinaryOperator::ArrowAt if is_text(&left) && is_text(&right) => called(0, vec![right, left]),
            BinaryOperator::Question if is_text(&left) && is_null(&right) => {
                PlannerResult::Planned(lit(ScalarValue::Boolean(None)))
            }
            BinaryOperator::Question if is_text(&left) && is_text(&right) => {
                called(1, vec![left, make_array(vec![right])])
            }
            BinaryOperator::QuestionPipe if is_text(&left) => called(1, vec![left, names(right)]),
            BinaryOperator::QuestionAnd if is_text(&left) => called(2, vec![left, names(right)]),
            op => PlannerResult::Original(RawBinaryExpr { op, left, right }),
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfJson {
    name: &'static str,
    asked: Asked,
    signature: Signature,
}

impl ScalarUDFImpl for OfJson {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.asked {
            Asked::Contains | Asked::HasAny | Asked::HasAll => DataType::Boolean,
            Asked::Length => DataType::Int32,
            Asked::Joined | Asked::Without | Asked::Kind => DataType::Utf8,
            _ => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows));
        let answer = self.answer(&arrays.collect::<Result<Vec<ArrayRef>>>()?)?;
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?)),
            false => Ok(ColumnarValue::Array(answer)),
        }
    }
}

impl OfJson {
    fn answer(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        let Some((json, rest)) = args.split_first() else {
            return exec_err!("JSON is missing");
        };
        let json = cast_array(json, &DataType::Utf8)?;
        let json = json.as_string::<i32>();
        let other = || match rest {
            [other] => Ok(cast_array(other, &DataType::Utf8)?),
            _ => exec_err!("JSON is compared with one other value"),
        };
        Ok(match self.asked {
            Asked::Contains => Arc::new(
                of_two::<bool>(json, &other()?, contains)?
                    .into_iter()
                    .collect::<BooleanArray>(),
            ),
            Asked::HasAny => Arc::new(has(json, rest, |keys, of| of.iter().any(|key| keys.contains(key)))?),
            Asked::HasAll => Arc::new(has(json, rest, |keys, of| of.iter().all(|key| keys.contains(key)))?),
            Asked::Joined => Arc::new(StringArray::from(of_two(json, &other()?, joined)?)),
            Asked::Without => Arc::new(StringArray::from(of_two(json, &other()?, without)?)),
            Asked::Length => Arc::new(of_one(json, length)?.into_iter().collect::<Int32Array>()),
            Asked::Kind => Arc::new(StringArray::from(of_one(json, kind)?)),
            Asked::Elements => Arc::new(lists(json, |json| elements(json, |value| Some(value.to_owned())))?),
            Asked::ElementTexts => Arc::new(lists(json, |json| elements(json, as_text))?),
            Asked::Keys => Arc::new(lists(json, |json| members(json, |key, _| Some(key.to_owned())))?),
            Asked::Values => Arc::new(lists(json, |json| members(json, |_, value| Some(value.to_owned())))?),
            Asked::ValueTexts => Arc::new(lists(json, |json| members(json, |_, value| as_text(value)))?),
        })
    }
}

fn of_one<T>(json: &StringArray, of: impl Fn(&str) -> Result<T, SqlError>) -> Result<Vec<Option<T>>> {
    let each = json.iter().map(|json| Ok(json.map(&of).transpose()?));
    each.collect()
}

fn of_two<T>(
    json: &StringArray,
    other: &ArrayRef,
    of: impl Fn(&str, &str) -> Result<T, SqlError>,
) -> Result<Vec<Option<T>>> {
    let each = json.iter().zip(other.as_string::<i32>()).map(|pair| match pair {
        (Some(json), Some(other)) => Ok(Some(of(json, other)?)),
        _ => Ok(None),
    });
    each.collect()
}

fn lists(
    json: &StringArray,
    of: impl Fn(&str) -> Result<Vec<Option<String>>, SqlError>,
) -> Result<datafusion::arrow::array::ListArray> {
    let field = Field::new_list_field(DataType::Utf8, true);
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(field);
    for json in json {
        match json {
            Some(json) => lists.append_value(of(json)?),
            None => lists.append_null(),
        }
    }
    Ok(lists.finish())
}

/// Whether one JSON holds another, as PostgreSQL's `@>`: members of objects by their names, elements of arrays in any place.
fn contains(json: &str, other: &str) -> Result<bool, SqlError> {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).map_err(|_| no_json(text));
    Ok(holds(&parsed(json)?, &parsed(other)?, true))
}

fn holds(json: &Value, other: &Value, is_outermost: bool) -> bool {
    match (json, other) {
        (Value::Object(members), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| members.get(name).is_some_and(|member| holds(member, wanted, false))),
        (Value::Array(elements), Value::Array(wanted)) => wanted
            .iter()
            .all(|wanted| elements.iter().any(|element| holds(element, wanted, false))),
        // An array holds a single value.
        (Value::Array(elements), scalar) if is_outermost && !scalar.is_object() => {
            elements.iter().any(|element| holds(element, scalar, false))
        }
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

/// Whether the keys of an object, or the strings of an array, are among those of a list.
fn has(json: &StringArray, rest: &[ArrayRef], of: impl Fn(&[String], &[String]) -> bool) -> Result<BooleanArray> {
    let [wanted] = rest else {
        return exec_err!("keys are looked for in JSON");
    };
    let wanted = cast_array(wanted, &DataType::new_list(DataType::Utf8, true))?;
    let wanted = wanted.as_list::<i32>();
    let mut found: Vec<Option<bool>> = Vec::with_capacity(json.len());
    for (row, json) in json.iter().enumerate() {
        found.push(match json {
            Some(json) if wanted.is_valid(row) => {
                let texts = wanted.value(row);
                let wanted: Vec<String> = texts.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
                Some(of(&keys(json)?, &wanted))
            }
            _ => None,
        });
    }
    Ok(BooleanArray::from(found))
}

fn keys(json: &str) -> Result<Vec<String>, SqlError> {
    Ok(match read(json)? {
        Json::Object(members) => members.into_iter().map(|(key, _)| key).collect(),
        Json::Array(elements) => {
            let strings = elements.iter().filter(|element| element.get().starts_with('"'));
            strings.filter_map(|element| as_text(element.get())).collect()
        }
        Json::Scalar(value) => as_text(value).into_iter().filter(|_| value.starts_with('"')).collect(),
    })
}

/// Two objects as one, of which the second one's members count; anything else as the elements of one array.
fn joined(json: &str, other: &str) -> Result<String, SqlError> {
    let parts = |json: Json<'_>| match json {
        Json::Array(elements) => elements.iter().map(|element| element.get().to_owned()).collect(),
        Json::Object(members) => vec![object(members.iter().map(|(key, value)| (key.as_str(), value.get())))],
        Json::Scalar(value) => vec![value.to_owned()],
    };
    Ok(match (read(json)?, read(other)?) {
        (Json::Object(mut members), Json::Object(more)) => {
            for (key, value) in more {
                match members.iter_mut().find(|(known, _)| *known == key) {
                    Some(member) => member.1 = value,
                    None => members.push((key, value)),
                }
            }
            object(members.iter().map(|(key, value)| (key.as_str(), value.get())))
        }
        (one, other) => {
            let all: Vec<String> = parts(one).into_iter().chain(parts(other)).collect();
            format!("[{}]", all.join(","))
        }
    })
}

fn object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let members = members.map(|(key, value)| format!("{}:{value}", Value::from(key)));
    format!("{{{}}}", members.collect::<Vec<String>>().join(","))
}

/// An object without a member, or an array without a string or without the element at a place.
fn without(json: &str, left_out: &str) -> Result<String, SqlError> {
    Ok(match read(json)? {
        Json::Object(members) => {
            let kept = members.iter().filter(|(key, _)| key != left_out);
            object(kept.map(|(key, value)| (key.as_str(), value.get())))
        }
        Json::Array(elements) => {
            let place = left_out.parse::<i64>().ok();
            let place = place.map(|place| {
                if place < 0 {
                    place + elements.len() as i64
                } else {
                    place
                }
            });
            let is_kept = |at: usize, element: &str| match place {
                Some(place) => at as i64 != place,
                None => !element.starts_with('"') || as_text(element).as_deref() != Some(left_out),
            };
            let kept = elements.iter().enumerate().map(|(at, element)| (at, element.get()));
            let kept = kept
                .filter(|(at, element)| is_kept(*at, element))
                .map(|(_, element)| element);
            format!("[{}]", kept.collect::<Vec<&str>>().join(","))
        }
        Json::Scalar(_) => return Err(SqlError::new(SqlState::INVALID_PARAMETER, "cannot delete from scalar")),
    })
}

fn length(json: &str) -> Result<i32, SqlError> {
    match read(json)? {
        Json::Array(elements) => Ok(i32::try_from(elements.len()).unwrap_or(i32::MAX)),
        Json::Object(_) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER,
            "cannot get array length of a non-array",
        )),
        Json::Scalar(_) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER,
            "cannot get array length of a scalar",
        )),
    }
}

fn kind(json: &str) -> Result<String, SqlError> {
    Ok(match read(json)? {
        Json::Object(_) => "object",
        Json::Array(_) => "array",
        Json::Scalar(value) => match value.as_bytes().first() {
            Some(b'"') => "string",
            Some(b't' | b'f') => "boolean",
            Some(b'n') => "null",
            _ => "number",
        },
    }
    .to_owned())
}

fn elements(json: &str, of: impl Fn(&str) -> Option<String>) -> Result<Vec<Option<String>>, SqlError> {
    match read(json)? {
        Json::Array(elements) => Ok(elements.iter().map(|element| of(element.get())).collect()),
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER,
            "cannot extract elements from what is no array",
        )),
    }
}

fn members(json: &str, of: impl Fn(&str, &str) -> Option<String>) -> Result<Vec<Option<String>>, SqlError> {
    match read(json)? {
        Json::Object(members) => Ok(members.iter().map(|(key, value)| of(key, value.get())).collect()),
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER,
            "cannot take what is no object apart",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_what_postgres_says_it_holds() {
        for (json, other, expected) in [
            (r#"{"a":1,"b":[1,2]}"#, r#"{"a":1}"#, true),
            (r#"{"a":1,"b":[1,2]}"#, r#"{"b":[2]}"#, true),
            (r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"c":2.0}}"#, true),
            (r#"{"a":1}"#, r#"{"a":2}"#, false),
            (r#"[1,2,[1,3]]"#, r#"[[1,3]]"#, true),
            (r#"[1,2,[1,3]]"#, r#"[3]"#, false),
            (r#"["a","b"]"#, r#""a""#, true),
            (r#"{"a":["x"]}"#, r#"{"a":"x"}"#, false),
            ("1", "1", true),
            ("[]", "[]", true),
        ] {
            assert_eq!(contains(json, other), Ok(expected), "{json} @> {other}");
        }
        assert!(contains("{", "1").is_err());
    }

    #[test]
    fn json_is_joined_and_left_out_of() {
        assert_eq!(
            joined(r#"{"a": 1.10, "b": 2}"#, r#"{"b":3,"c":null}"#).as_deref(),
            Ok(r#"{"a":1.10,"b":3,"c":null}"#)
        );
        assert_eq!(joined("[1]", "[2, 3]").as_deref(), Ok("[1,2,3]"));
        assert_eq!(joined("1", r#"{"a":1}"#).as_deref(), Ok(r#"[1,{"a":1}]"#));
        assert_eq!(without(r#"{"a":1,"b":2}"#, "a").as_deref(), Ok(r#"{"b":2}"#));
        assert_eq!(without(r#"["a","b"]"#, "b").as_deref(), Ok(r#"["a"]"#));
        assert_eq!(without("[1,2,3]", "-1").as_deref(), Ok("[1,2]"));
        assert!(without("1", "a").is_err());
    }
}
