//! Functions and operators that make or take JSON, by the names that the functions here have.
//!
//! What is JSON has the type of a text. What a query says to be JSON (a cast, `->`, one of these functions) becomes a part of what is made; any other text
//! becomes a string.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart,
};

use crate::postgres::ast::{call, text};
use crate::postgres::forms::rows::parts;

/// What the expression is called here; `None` where it is none of these.
pub(crate) fn of_json(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Function(function) => named(function),
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::StringConcat if is_json(left) || is_json(right) => Some(call(
                "_headwater_json_joined",
                vec![left.as_ref().clone(), right.as_ref().clone()],
            )),
            BinaryOperator::Minus if is_json(left) => Some(call(
                "_headwater_json_without",
                vec![left.as_ref().clone(), right.as_ref().clone()],
            )),
            _ => None,
        },
        _ => None,
    }
}

fn named(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    let args = arguments(function)?;
    let kinds = |args: &[Expr]| text(&args.iter().map(kind).collect::<String>());
    let with_kinds = |called: &str| {
        let args: Vec<Expr> = std::iter::once(kinds(&args)).chain(args.iter().cloned()).collect();
        Some(call(called, args))
    };
    let plain = name.strip_prefix("jsonb_").or_else(|| name.strip_prefix("json_"));
    match (name.as_str(), plain.unwrap_or_default(), args.as_slice()) {
        (_, "build_object", _) => with_kinds("_headwater_json_object"),
        (_, "build_array", _) => with_kinds("_headwater_json_array"),
        ("to_json" | "to_jsonb" | "row_to_json" | "array_to_json", _, [value]) => match parts(value) {
            // A row's values have no names.
            Some(parts) => {
                let names = (1..).map(|place| text(&format!("f{place}")));
                let pairs = names.zip(parts).flat_map(|(name, part)| [name, part]);
                let row = call("named_struct", pairs.collect());
                Some(call("_headwater_json_value", vec![text("v"), row]))
            }
            None => with_kinds("_headwater_json_value"),
        },
        (_, "object", [pairs]) => Some(call("_headwater_json_of_texts", vec![pairs.clone()])),
        (_, "object", [keys, values]) => Some(call("_headwater_json_of_texts", vec![keys.clone(), values.clone()])),
        (_, "strip_nulls", [_]) => Some(call("_headwater_json_without_nulls", args.clone())),
        ("jsonb_set", _, [_, _, _] | [_, _, _, _]) => Some(call("_headwater_json_set", args.clone())),
        ("jsonb_pretty", _, [_]) => Some(call("_headwater_json_pretty", args.clone())),
        (_, "agg", [of]) => {
            let gathered = gathered(function, of.clone());
            Some(call("_headwater_json_value", vec![text(of_list(of)), gathered]))
        }
        (_, "object_agg", [key, of]) => {
            let (keys, values) = (gathered(function, key.clone()), gathered(function, of.clone()));
            Some(call("_headwater_json_pairs", vec![text(of_list(of)), keys, values]))
        }
        (_, "array_length", [_]) => Some(call("_headwater_json_length", args.clone())),
        (_, "typeof", [_]) => Some(call("_headwater_json_typeof", args.clone())),
        (_, "extract_path", [_, ..]) => Some(call("json_get_json", args.clone())),
        (_, "extract_path_text", [_, ..]) => Some(call("json_as_text", args.clone())),
        _ => None,
    }
}

/// Of a function that gives rows: the functions that give their columns as lists, and what those are called.
pub(crate) fn elements(name: &str) -> Option<(&'static [&'static str], &'static [&'static str])> {
    let plain = name.strip_prefix("jsonb_").or_else(|| name.strip_prefix("json_"))?;
    Some(match plain {
        "array_elements" => (&["_headwater_json_elements"], &["value"]),
        "array_elements_text" => (&["_headwater_json_element_texts"], &["value"]),
        "object_keys" => (&["_headwater_json_keys"], &["json_object_keys"]),
        "each" => (&["_headwater_json_keys", "_headwater_json_values"], &["key", "value"]),
        "each_text" => (
            &["_headwater_json_keys", "_headwater_json_value_texts"],
            &["key", "value"],
        ),
        _ => return None,
    })
}

/// The aggregate as one that gathers something in a list, in the same order and of the same rows.
fn gathered(function: &Function, of: Expr) -> Expr {
    let mut gathered = function.clone();
    gathered.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new("array_agg"))]);
    if let FunctionArguments::List(list) = &mut gathered.args {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(of))];
    }
    Expr::Function(gathered)
}

/// How a value becomes a part of what is made: `j`, it is JSON already; `v`, by its type; `l`, a list of what is JSON.
fn kind(value: &Expr) -> char {
    if is_json(value) { 'j' } else { 'v' }
}

fn of_list(value: &Expr) -> &'static str {
    if is_json(value) { "l" } else { "v" }
}

/// Whether a query says that it is JSON.
fn is_json(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_json(inner),
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::JSON | DataType::JSONB),
        Expr::TypedString(typed) => matches!(typed.data_type, DataType::JSON | DataType::JSONB),
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::Arrow | BinaryOperator::HashArrow => true,
            BinaryOperator::StringConcat => is_json(left) || is_json(right),
            BinaryOperator::Minus => is_json(left),
            _ => false,
        },
        Expr::Function(function) => name_of(function).is_some_and(|name| {
            let plain = name.strip_prefix("jsonb_").or_else(|| name.strip_prefix("json_"));
            let makes = [
                "build_object",
                "build_array",
                "agg",
                "object_agg",
                "extract_path",
                "array_elements",
                "object",
                "strip_nulls",
            ];
            ["to_json", "to_jsonb", "row_to_json", "array_to_json", "jsonb_set"].contains(&name.as_str())
                || plain.is_some_and(|plain| makes.contains(&plain))
        }),
        _ => false,
    }
}

fn name_of(function: &Function) -> Option<String> {
    let last = function.name.0.last()?.as_ident()?;
    Some(last.value.to_ascii_lowercase())
}

/// The arguments, where all of them are values.
pub(crate) fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let values = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    values.collect()
}
