//! What is written otherwise: operators, SIMILAR TO, `substring(text FROM pattern)`, and functions that give rows.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use super::of_operator;
use crate::postgres::ast::{call, text};
use crate::{SqlError, SqlState};

/// What such an expression is here; `None` where it is another, or means the same to the engine.
pub(crate) fn of_words(expr: &mut Expr) -> Result<Option<Expr>, SqlError> {
    match expr {
        Expr::BinaryOp { op, right, .. } if is_match(op) => {
            if let Some(pattern) = quoted(right) {
                **right = text(&of_operator(pattern)?);
            }
            Ok(None)
        }
        Expr::SimilarTo {
            negated,
            expr,
            pattern,
            escape_char,
        } => {
            let escape = match escape_char.as_ref().map(|escape| &escape.value) {
                None => "\\",
                Some(Value::SingleQuotedString(escape)) => escape,
                Some(_) => {
                    return Err(SqlError::new(SqlState::TYPE_MISMATCH, "ESCAPE takes a text").hint("write ESCAPE '/'"));
                }
            };
            let args = vec![expr.as_ref().clone(), pattern.as_ref().clone(), text(escape)];
            let similar = call("_headwater_similar_to", args);
            Ok(Some(match negated {
                true => Expr::UnaryOp {
                    op: UnaryOperator::Not,
                    expr: Box::new(similar),
                },
                false => similar,
            }))
        }
        Expr::Substring {
            expr,
            substring_from: Some(from),
            substring_for,
            ..
        } if quoted(from).is_some() => {
            let mut args = vec![expr.as_ref().clone(), from.as_ref().clone()];
            Ok(Some(match substring_for {
                Some(escape) => {
                    args.push(escape.as_ref().clone());
                    call("_headwater_substring_similar", args)
                }
                None => call("_headwater_substring", args),
            }))
        }
        _ => Ok(None),
    }
}

fn is_match(op: &BinaryOperator) -> bool {
    use BinaryOperator::{PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch};
    matches!(op, PGRegexMatch | PGRegexIMatch | PGRegexNotMatch | PGRegexNotIMatch)
}

fn quoted(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
