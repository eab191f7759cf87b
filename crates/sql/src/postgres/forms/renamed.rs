//! PostgreSQL's functions that the query engine calls otherwise, or writes as an operator.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, TimezoneInfo, Value,
};

use super::row_functions;
use crate::postgres::ast::{call, text};
use crate::postgres::functions::moments::INTERVAL_PARAMETERS;
use crate::postgres::functions::ordered;

/// What a call is for the engine; `None`: it knows it.
pub(super) fn called(function: &Function) -> Option<Expr> {
    let name = function.name.0.last()?.as_ident()?.value.to_ascii_lowercase();
    let in_order = ordered::of_parts(&name, function)
        .or_else(|| ordered::of_list(&name, function))
        .or_else(|| ordered::of_value(&name, function));
    if in_order.is_some() {
        return in_order;
    }
    let args = match &function.args {
        FunctionArguments::List(list) if name == "make_interval" => by_parameters(&list.args, &INTERVAL_PARAMETERS)?,
        FunctionArguments::List(list) => values(&list.args)?,
        FunctionArguments::None => Vec::new(),
        FunctionArguments::Subquery(_) => return None,
    };
    let renamed = |name: &str| {
        let mut renamed = function.clone();
        renamed.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]);
        Some(Expr::Function(renamed))
    };
    if name == "variance" {
        return renamed("var_samp");
    }
    if function.over.is_some() {
        return of_window(&name, function);
    }
    if let Some((lists, _)) = row_functions::lists(&name, &args) {
        let [list] = <[Expr; 1]>::try_from(lists).ok()?;
        return Some(call("unnest", vec![list]));
    }
    match (name.as_str(), args.as_slice()) {
        // Of all elements that are equal; the engine means the first one.
        ("array_remove", [_, _]) => Some(call("array_remove_all", args)),
        ("array_replace", [_, _, _]) => Some(call("array_replace_all", args)),
        ("current_schemas", [with_own]) => {
            let is_with_own = matches!(with_own, Expr::Value(value) if value.value == Value::Boolean(true));
            let own = is_with_own.then(|| text("pg_catalog"));
            Some(call("make_array", own.into_iter().chain([text("public")]).collect()))
        }
        ("mod", [number, by]) => Some(binary(number, BinaryOperator::Modulo, by)),
        // Whole numbers stay such.
        ("div", [number, by]) => {
            let rest = binary(number, BinaryOperator::Modulo, by);
            Some(binary(
                &binary(number, BinaryOperator::Minus, &rest),
                BinaryOperator::Divide,
                by,
            ))
        }
        ("sign", [_]) => Some(call("signum", args)),
        ("every", [_]) => renamed("bool_and"),
        // Lengths and places are whole numbers with a sign, and an empty array has none.
        ("array_length" | "array_upper", [_, _]) => {
            let length = whole(call("array_length", args));
            Some(call("nullif", vec![length, whole(number("0"))]))
        }
        ("cardinality" | "array_ndims", [_]) | ("array_position", [_, _, ..]) => {
            Some(whole(Expr::Function(function.clone())))
        }
        ("localtime", []) => Some(call("current_time", args)),
        ("ceiling", [_]) => Some(call("ceil", args)),
        ("age", [of]) => Some(call("age", vec![at_midnight(), of.clone()])),
        ("make_interval", [_, ..]) => Some(call("make_interval", args)),
        ("width_bucket", [_, _]) => Some(call("_headwater_bucket_of_list", args)),
        ("to_date", [_, _]) => Some(call("_headwater_to_date", args)),
        ("to_timestamp", [_, _]) => Some(call("_headwater_to_timestamp", args)),
        ("to_number", [_, pattern]) => {
            let behind = digits_behind_point(pattern);
            let data_type = DataType::Decimal(ExactNumberInfo::PrecisionAndScale(38, behind));
            Some(cast(call("_headwater_to_number", args), data_type))
        }
        ("regexp_replace", [_, _, _, Expr::Value(start), ..]) if matches!(start.value, Value::Number(..)) => {
            Some(call("_headwater_regexp_replace_from", args))
        }
        ("regexp_replace", [_, _, _, _, _, ..]) => Some(call("_headwater_regexp_replace_from", args)),
        ("array_lower", [of, _]) => Some(unless_empty(of, number("1"))),
        ("array_dims", [of]) => {
            let count = call("cardinality", vec![of.clone()]);
            Some(unless_empty(of, call("format", vec![text("[1:%s]"), count])))
        }
        ("array_fill", [of, lengths]) => {
            let count = call("array_element", vec![lengths.clone(), number("1")]);
            Some(call("array_repeat", vec![of.clone(), count]))
        }
        ("trim_array", [of, count]) => {
            let length = whole(call("cardinality", vec![of.clone()]));
            let kept = binary(&length, BinaryOperator::Minus, count);
            Some(call("array_slice", vec![of.clone(), number("1"), kept]))
        }
        ("gen_random_uuid", []) => Some(call("uuid", args)),
        // A statement has one moment.
        ("clock_timestamp" | "statement_timestamp" | "transaction_timestamp", []) => Some(call("now", args)),
        ("localtimestamp", []) => Some(cast(call("now", args), DataType::Timestamp(None, TimezoneInfo::None))),
        _ => None,
    }
}

/// Places of rows, which the engine counts without a sign: drivers know no such numbers.
fn of_window(name: &str, function: &Function) -> Option<Expr> {
    let data_type = match name {
        "row_number" | "rank" | "dense_rank" => DataType::BigInt(None),
        "ntile" => DataType::Integer(None),
        _ => return None,
    };
    Some(cast(Expr::Function(function.clone()), data_type))
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

fn whole(expr: Expr) -> Expr {
    cast(expr, DataType::Integer(None))
}

/// The beginning of today.
fn at_midnight() -> Expr {
    let today = call("current_date", Vec::new());
    cast(today, DataType::Timestamp(None, TimezoneInfo::None))
}

fn number(written: &str) -> Expr {
    Expr::Value(Value::Number(written.to_owned(), false).with_empty_span())
}

/// A value of a list that has elements, else NULL.
fn unless_empty(list: &Expr, value: Expr) -> Expr {
    let count = call("cardinality", vec![list.clone()]);
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: binary(&count, BinaryOperator::Gt, &number("0")),
            result: value,
        }],
        else_result: None,
    }
}

/// How many digits a pattern of numbers has behind its point.
fn digits_behind_point(pattern: &Expr) -> i64 {
    let Expr::Value(value) = pattern else { return 10 };
    let Value::SingleQuotedString(pattern) = &value.value else {
        return 10;
    };
    let behind = pattern.split_once(['.', 'D', 'd']).map_or("", |(_, behind)| behind);
    behind.chars().filter(|c| matches!(c, '9' | '0')).count() as i64
}

/// Arguments in the order of the parameters, those that are left out as 0.
fn by_parameters(args: &[FunctionArg], parameters: &[&str]) -> Option<Vec<Expr>> {
    let mut ordered: Vec<Expr> = vec![number("0"); parameters.len()];
    for (place, arg) in args.iter().enumerate() {
        let (place, value) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (place, value),
            FunctionArg::Named {
                name,
                arg: FunctionArgExpr::Expr(value),
                ..
            } => (parameters.iter().position(|parameter| *parameter == name.value)?, value),
            _ => return None,
        };
        *ordered.get_mut(place)? = value.clone();
    }
    Some(ordered)
}

/// The arguments, where all of them are values in order.
fn values(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    let values = args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    values.collect()
}

fn binary(left: &Expr, op: BinaryOperator, right: &Expr) -> Expr {
    let nested = |side: &Expr| Box::new(Expr::Nested(Box::new(side.clone())));
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: nested(left),
        op,
        right: nested(right),
    }))
}
