//! `coalesce(flag, 'f')` and `nullif(flag, 't')` as the CASE that they stand for: of a CASE the query engine asks types later, when a text in quotes has one.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
};

/// The CASE; `None` where no text in quotes stands beside something else.
pub(super) fn as_case(name: &str, args: &FunctionArguments) -> Option<Expr> {
    let FunctionArguments::List(list) = args else {
        return None;
    };
    let values: Option<Vec<Expr>> = list
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect();
    let values = values?;
    if values.iter().all(is_quoted) || !values.iter().any(is_quoted) {
        return None;
    }
    match (name.to_ascii_lowercase().as_str(), values.as_slice()) {
        ("coalesce", [before @ .., last]) => {
            let conditions = before.iter().map(|value| CaseWhen {
                condition: Expr::IsNotNull(Box::new(value.clone())),
                result: value.clone(),
            });
            Some(case(conditions.collect(), last.clone()))
        }
        ("nullif", [value, other]) => {
            let equal = Expr::BinaryOp {
                left: Box::new(value.clone()),
                op: BinaryOperator::Eq,
                right: Box::new(other.clone()),
            };
            let conditions = vec![CaseWhen {
                condition: equal,
                result: Expr::Value(Value::Null.with_empty_span()),
            }];
            Some(case(conditions, value.clone()))
        }
        _ => None,
    }
}

fn case(conditions: Vec<CaseWhen>, otherwise: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: Some(Box::new(otherwise)),
    }
}

/// Whether it is a text in quotes, whose type nobody said.
pub(super) fn is_quoted(value: &Expr) -> bool {
    matches!(value, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}
