//! Parts of a moment that the query engine cuts off or does not know: `extract(second FROM at)` has the microseconds, and there are decades and centuries.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Value,
};

use crate::postgres::ast::{call, first_argument, text};

/// `extract(second FROM at)`; `None` where the engine has the part.
pub(super) fn extracted(field: &str, of: &Expr) -> Option<Expr> {
    let part = |name: &str| call("date_part", vec![text(name), of.clone()]);
    Some(match field.to_ascii_lowercase().as_str() {
        "second" | "seconds" => binary(part("microsecond"), BinaryOperator::Multiply, number("0.000001")),
        "millisecond" | "milliseconds" => binary(part("microsecond"), BinaryOperator::Multiply, number("0.001")),
        "microseconds" => part("microsecond"),
        "decade" => binary(part("year"), BinaryOperator::Divide, number("10")),
        "century" => begun(part("year"), "100"),
        "millennium" => begun(part("year"), "1000"),
        // The clock stands in UTC.
        "timezone" | "timezone_hour" | "timezone_minute" => number("0"),
        _ => return None,
    })
}

/// `date_part('second', at)`, which is a float.
pub(super) fn called(function: &Function) -> Option<Expr> {
    let Some(Expr::Value(field)) = first_argument(function) else {
        return None;
    };
    let Value::SingleQuotedString(field) = &field.value else {
        return None;
    };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let [_, FunctionArg::Unnamed(of)] = list.args.as_slice() else {
        return None;
    };
    let FunctionArgExpr::Expr(of) = of else {
        return None;
    };
    if field.eq_ignore_ascii_case("microsecond") {
        return None;
    }
    let part = extracted(field, of)?;
    Some(Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(part),
        data_type: DataType::Double(ExactNumberInfo::None),
        array: false,
        format: None,
    })
}

/// `date_trunc('day', at, 'Europe/Berlin')`: the moment at which the day began there.
pub(super) fn begun_there(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let given: Vec<&Expr> = list
        .args
        .iter()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect();
    let [unit, of, zone] = given.as_slice() else {
        return None;
    };
    let shown = call("timezone", vec![(*zone).clone(), (*of).clone()]);
    let begun = call("date_trunc", vec![(*unit).clone(), shown]);
    Some(call("timezone", vec![(*zone).clone(), begun]))
}

/// The century or millennium that a year lies in: the first one begins with the year 1.
fn begun(year: Expr, length: &str) -> Expr {
    let before = binary(year, BinaryOperator::Minus, number("1"));
    binary(
        binary(before, BinaryOperator::Divide, number(length)),
        BinaryOperator::Plus,
        number("1"),
    )
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }))
}

fn number(written: &str) -> Expr {
    Expr::Value(Value::Number(written.to_owned(), false).with_empty_span())
}
