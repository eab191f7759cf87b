//! Operators that are functions for the query engine: `|/ 25`, `'alphabet' ^@ 'alph'`, `(a, b) OVERLAPS (c, d)`.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

use crate::postgres::ast::call;

/// The call that an operator stands for; `None`: the engine has it.
pub(super) fn called(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::UnaryOp { op, expr } => {
            let name = match op {
                UnaryOperator::PGSquareRoot => "sqrt",
                UnaryOperator::PGCubeRoot => "cbrt",
                UnaryOperator::PGAbs => "abs",
                _ => return None,
            };
            Some(call(name, vec![expr.as_ref().clone()]))
        }
        Expr::BinaryOp {
            left,
            op: BinaryOperator::PGStartsWith,
            right,
        } => Some(call("starts_with", vec![left.as_ref().clone(), right.as_ref().clone()])),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Overlaps,
            right,
        } => match (left.as_ref(), right.as_ref()) {
            (Expr::Tuple(one), Expr::Tuple(other)) => overlap(one, other),
            _ => None,
        },
        _ => None,
    }
}

/// Whether two periods have a moment in common; the second part of each is its end, or how long it is. A period contains its beginning and not its end.
fn overlap(one: &[Expr], other: &[Expr]) -> Option<Expr> {
    let (one_begins, one_ends) = bounds(one)?;
    let (other_begins, other_ends) = bounds(other)?;
    let is_same = binary(one_begins.clone(), BinaryOperator::Eq, other_begins.clone());
    let one_first = binary(one_begins, BinaryOperator::Lt, other_ends);
    let other_first = binary(other_begins, BinaryOperator::Lt, one_ends);
    let both = binary(one_first, BinaryOperator::And, other_first);
    Some(binary(is_same, BinaryOperator::Or, both))
}

fn bounds(period: &[Expr]) -> Option<(Expr, Expr)> {
    let [first, second] = period else { return None };
    let second = match second {
        Expr::Interval(_) => binary(first.clone(), BinaryOperator::Plus, second.clone()),
        _ => second.clone(),
    };
    let ends = vec![first.clone(), second];
    Some((call("least", ends.clone()), call("greatest", ends)))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }))
}
