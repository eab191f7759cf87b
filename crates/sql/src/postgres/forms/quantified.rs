//! `x LIKE ANY (ARRAY['a%', 'b%'])`, `x NOT LIKE ALL (…)`, `n = ANY ('{1,2}')`: lists that are written out, element by element.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Value};

use crate::encode::array_text::{NoArray, from_text};
use crate::postgres::ast::{listed, text};
use crate::{SqlError, SqlState};

/// The comparison with each element; `None` where it is another expression, or one that the engine has.
pub(super) fn written_out(expr: &Expr) -> Result<Option<Expr>, SqlError> {
    match expr {
        Expr::Like { pattern, any, .. } | Expr::ILike { pattern, any, .. } => {
            let (elements, is_any) = match (any, pattern.as_ref()) {
                (true, pattern) => (elements(pattern)?, true),
                (false, Expr::Function(function)) if function.name.to_string().eq_ignore_ascii_case("all") => {
                    match &function.args {
                        FunctionArguments::List(list) => match list.args.as_slice() {
                            [FunctionArg::Unnamed(FunctionArgExpr::Expr(list))] => (elements(list)?, false),
                            _ => return Ok(None),
                        },
                        _ => return Ok(None),
                    }
                }
                _ => return Ok(None),
            };
            let Some(elements) = elements else {
                let message = "LIKE ANY and LIKE ALL take an array that is written out";
                let hint =
                    "write x LIKE ANY (ARRAY['a%', 'b%']), or EXISTS (SELECT FROM unnest(…) AS p WHERE x LIKE p)";
                return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint(hint));
            };
            let each = elements.into_iter().map(|element| of_pattern(expr, element));
            Ok(Some(joined(each, is_any)))
        }
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => of_text(left, compare_op, right, true),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => of_text(left, compare_op, right, false),
        _ => Ok(None),
    }
}

/// A comparison with an array that is written as a text.
fn of_text(left: &Expr, op: &BinaryOperator, right: &Expr, is_any: bool) -> Result<Option<Expr>, SqlError> {
    if !matches!(right, Expr::Value(_)) {
        return Ok(None);
    }
    let Some(elements) = elements(right)? else {
        return Ok(None);
    };
    let each = elements.into_iter().map(|element| {
        Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(left.clone()),
            op: op.clone(),
            right: Box::new(element),
        }))
    });
    Ok(Some(joined(each, is_any)))
}

/// The elements of an array that is written out, or of its text.
fn elements(list: &Expr) -> Result<Option<Vec<Expr>>, SqlError> {
    if let Some(listed) = listed(list) {
        return Ok(Some(listed));
    }
    match list {
        Expr::Nested(inner) => elements(inner),
        Expr::Cast { expr, .. } => Ok(listed(expr)),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(written) => {
                let read = from_text(written).map_err(|NoArray(why)| {
                    let message = format!("malformed array literal: \"{written}\"");
                    SqlError::new(SqlState::INVALID_TEXT, message).hint(why)
                })?;
                let null = || Expr::Value(Value::Null.with_empty_span());
                let element = |element: Option<String>| element.map_or_else(null, |element| text(&element));
                Ok(Some(read.into_iter().map(element).collect()))
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The same LIKE with one pattern.
fn of_pattern(like: &Expr, element: Expr) -> Expr {
    let mut like = like.clone();
    if let Expr::Like { pattern, any, .. } | Expr::ILike { pattern, any, .. } = &mut like {
        **pattern = element;
        *any = false;
    }
    Expr::Nested(Box::new(like))
}

fn joined(each: impl Iterator<Item = Expr>, is_any: bool) -> Expr {
    let op = if is_any {
        BinaryOperator::Or
    } else {
        BinaryOperator::And
    };
    let together = each.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    });
    let none = Expr::Value(Value::Boolean(!is_any).with_empty_span());
    Expr::Nested(Box::new(together.unwrap_or(none)))
}
