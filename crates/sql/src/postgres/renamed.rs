//! PostgreSQL's functions that the query engine calls otherwise, or writes as an operator.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, TimezoneInfo, Value,
};

use super::dialect::{call, text};

/// What a call is for the engine; `None`: it knows it.
pub(super) fn called(function: &Function) -> Option<Expr> {
    let name = function.name.0.last()?.as_ident()?.value.to_ascii_lowercase();
    let args = match &function.args {
        FunctionArguments::List(list) => values(&list.args)?,
        FunctionArguments::None => Vec::new(),
        FunctionArguments::Subquery(_) => return None,
    };
    let renamed = |name: &str| {
        let mut renamed = function.clone();
        renamed.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]);
        Some(Expr::Function(renamed))
    };
    if function.over.is_some() {
        return of_window(&name, function);
    }
    match (name.as_str(), args.as_slice()) {
        // Arrays here begin at 1.
        ("array_upper", [_, _]) => Some(call("array_length", args)),
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
        ("gen_random_uuid", []) => Some(call("uuid", args)),
        // A statement has one moment.
        ("clock_timestamp" | "statement_timestamp" | "transaction_timestamp", []) => Some(call("now", args)),
        ("localtimestamp", []) => Some(Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(call("now", args)),
            data_type: DataType::Timestamp(None, TimezoneInfo::None),
            array: false,
            format: None,
        }),
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
    Some(Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Function(function.clone())),
        data_type,
        array: false,
        format: None,
    })
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
