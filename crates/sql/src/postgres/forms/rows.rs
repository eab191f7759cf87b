//! Rows compared: `(a, b) < (1, 2)`, `(a, b) IN ((1, 2), (3, NULL))`, `(a, b) IN (SELECT …)`, as SQL has them.
//!
//! The query engine compares them as values of a struct, where NULL is a value like another. Here a comparison of rows becomes comparisons of their parts,
//! so that NULL is not known, and parts may be any expression.

use std::collections::VecDeque;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Ident, Query, SetExpr, TableFactor, UnaryOperator, Value,
};

use super::correlated::taken_apart;
use crate::postgres::ast::template;
use crate::postgres::functions::json::arguments;
use crate::{SqlError, SqlState};

/// What the derived table of `(a, b) IN (SELECT …)` is called, and its columns with their numbers behind it: like nothing that a user names.
const PART: &str = "?row";

/// The comparison of two rows by their parts; `None` where it compares no rows.
pub(super) fn compared(expr: &Expr) -> Result<Option<Expr>, SqlError> {
    match expr {
        Expr::BinaryOp { left, op, right } => match (parts(left), parts(right)) {
            (Some(left), Some(right)) => by_parts(&left, op, &right),
            _ => Ok(None),
        },
        // Of a row each part is asked.
        Expr::IsNull(row) => Ok(parts(row).and_then(|row| each(&row, Expr::IsNull))),
        Expr::IsNotNull(row) => Ok(parts(row).and_then(|row| each(&row, Expr::IsNotNull))),
        Expr::InList { expr, list, negated } => match parts(expr) {
            Some(row) => in_list(&row, list, *negated),
            None => Ok(None),
        },
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => match parts(expr) {
            Some(row) => in_query(&row, subquery, *negated).map(Some),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn each(row: &[Expr], asked: fn(Box<Expr>) -> Expr) -> Option<Expr> {
    let each = row.iter().map(|part| asked(Box::new(part.clone())));
    each.reduce(all)
}

/// The parts of a row with more than one: `(a, b)`, `ROW(a, b)`.
pub(crate) fn parts(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(parts) if parts.len() > 1 => Some(parts.clone()),
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("row") => {
            arguments(function).filter(|parts| parts.len() > 1)
        }
        Expr::Nested(inner) => parts(inner),
        _ => None,
    }
}

fn by_parts(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Result<Option<Expr>, SqlError> {
    let strict = match op {
        BinaryOperator::Eq => return equal(left, right).map(Some),
        BinaryOperator::NotEq => return equal(left, right).map(not).map(Some),
        BinaryOperator::Lt | BinaryOperator::LtEq => BinaryOperator::Lt,
        BinaryOperator::Gt | BinaryOperator::GtEq => BinaryOperator::Gt,
        _ => return Ok(None),
    };
    same_length(left, right)?;
    // The last parts decide where all before them are equal.
    let mut pairs: VecDeque<(&Expr, &Expr)> = left.iter().zip(right).collect();
    let last = pairs.pop_back().map(|(left, right)| binary(left, op.clone(), right));
    Ok(pairs.into_iter().rev().fold(last, |rest, (left, right)| {
        let rest = rest?;
        let equal = all(binary(left, BinaryOperator::Eq, right), rest);
        Some(any(binary(left, strict.clone(), right), equal))
    }))
}

fn equal(left: &[Expr], right: &[Expr]) -> Result<Expr, SqlError> {
    same_length(left, right)?;
    let pairs = left.iter().zip(right);
    let equal = pairs.map(|(left, right)| binary(left, BinaryOperator::Eq, right));
    equal.reduce(all).ok_or_else(|| unlike(left.len(), right.len()))
}

fn in_list(row: &[Expr], list: &[Expr], negated: bool) -> Result<Option<Expr>, SqlError> {
    let mut found: Vec<Expr> = Vec::with_capacity(list.len());
    for other in list {
        let Some(other) = parts(other) else { return Ok(None) };
        found.push(equal(row, &other)?);
    }
    let found = any_of(found);
    Ok(match negated {
        true => found.map(not),
        false => found,
    })
}

/// Whether one of them is true: two by two, as a long list in a row would be as deep as it is long.
fn any_of(mut found: Vec<Expr>) -> Option<Expr> {
    while found.len() > 1 {
        let mut halved: Vec<Expr> = Vec::with_capacity(found.len().div_ceil(2));
        let mut one_by_one = found.into_iter();
        while let Some(one) = one_by_one.next() {
            halved.push(match one_by_one.next() {
                Some(other) => any(one, other),
                None => one,
            });
        }
        found = halved;
    }
    found.pop()
}

/// Whether the row is one of the query's: true, false, or not known where only a NULL stands between them.
fn in_query(row: &[Expr], query: &Query, negated: bool) -> Result<Expr, SqlError> {
    let found = exists(row, query, |equal| equal)?;
    let unknown = exists(row, query, |equal| Expr::IsNull(Box::new(equal)))?;
    let truth = |truth: bool| Expr::Value(Value::Boolean(truth).with_empty_span());
    let case = |condition, result| CaseWhen { condition, result };
    Ok(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![
            case(found, truth(!negated)),
            case(unknown, Expr::Value(Value::Null.with_empty_span())),
        ],
        else_result: Some(Box::new(truth(negated))),
    })
}

/// Whether the query has a row of which something is asked that begins with whether it is equal to this one.
fn exists(row: &[Expr], query: &Query, asked: impl Fn(Expr) -> Expr) -> Result<Expr, SqlError> {
    if let Some((row, select, columns)) = taken_apart(row, query) {
        let mut select = select.clone();
        let found = asked(equal(&row, &columns)?);
        select.selection = Some(match select.selection.take() {
            Some(before) => all(Expr::Nested(Box::new(before)), found),
            None => found,
        });
        let mut query = query.clone();
        query.order_by = None;
        *query.body = SetExpr::Select(Box::new(select));
        return Ok(of(query));
    }
    let names: Vec<String> = (1..=row.len()).map(|at| format!("\"{PART}{at}\"")).collect();
    let holder = template(&format!(
        "SELECT 1 FROM (SELECT 1) AS \"{PART}\" ({}) WHERE true",
        names.join(", ")
    ))?;
    let columns: Vec<Expr> = (1..=row.len()).map(column).collect();
    let found = asked(equal(row, &columns)?);
    let subquery = within(holder, query, found)
        .ok_or_else(|| SqlError::new(SqlState::INTERNAL, "a row looked for in a query could not be rewritten"))?;
    Ok(of(subquery))
}

fn of(query: Query) -> Expr {
    Expr::Exists {
        subquery: Box::new(query),
        negated: false,
    }
}

/// The query of a derived table in the place of the holder's own, and the condition on it.
fn within(mut holder: Query, query: &Query, condition: Expr) -> Option<Query> {
    let SetExpr::Select(select) = holder.body.as_mut() else {
        return None;
    };
    let [from] = select.from.as_mut_slice() else {
        return None;
    };
    let TableFactor::Derived { subquery, .. } = &mut from.relation else {
        return None;
    };
    **subquery = query.clone();
    select.selection = Some(condition);
    Some(holder)
}

fn same_length(left: &[Expr], right: &[Expr]) -> Result<(), SqlError> {
    match left.len() == right.len() {
        true => Ok(()),
        false => Err(unlike(left.len(), right.len())),
    }
}

fn unlike(left: usize, right: usize) -> SqlError {
    let message = format!("a row of {left} values is compared with one of {right}");
    SqlError::new(SqlState::SYNTAX, message).hint("rows that are compared have as many values each")
}

/// A column of the derived table.
fn column(at: usize) -> Expr {
    let name = |text: &str| Ident::with_quote('"', text);
    Expr::CompoundIdentifier(vec![name(PART), name(&format!("{PART}{at}"))])
}

fn binary(left: &Expr, op: BinaryOperator, right: &Expr) -> Expr {
    joined(left.clone(), op, right.clone())
}

fn all(left: Expr, right: Expr) -> Expr {
    joined(left, BinaryOperator::And, right)
}

fn any(left: Expr, right: Expr) -> Expr {
    joined(left, BinaryOperator::Or, right)
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp {
        op: UnaryOperator::Not,
        expr: Box::new(expr),
    }
}

/// In brackets: what is printed is read again as it was meant.
fn joined(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }))
}

#[cfg(test)]
mod tests {
    use crate::syntax::{Question, Statement};

    fn rewritten(condition: &str) -> String {
        let statement = crate::parse::parse(&format!("SELECT {condition}"), "")
            .expect("a question")
            .remove(0)
            .statement;
        let Statement::Query(Question { mut query, .. }) = statement else {
            panic!("{condition} is no question");
        };
        match crate::postgres::as_engine_knows_it(&mut query, "ann") {
            Ok(()) => query.to_string().replacen("SELECT ", "", 1),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn rows_are_compared_by_their_parts() {
        for (condition, expected) in [
            ("(a, b) = (1, 2)", "((a = 1) AND (b = 2))"),
            ("(a, b) <> (1, 2)", "NOT ((a = 1) AND (b = 2))"),
            ("(a, b) < (1, 2)", "((a < 1) OR ((a = 1) AND (b < 2)))"),
            ("(a, b) >= (1, 2)", "((a > 1) OR ((a = 1) AND (b >= 2)))"),
            (
                "(a, b + 1, c) <= (1, 2, NULL)",
                "((a < 1) OR ((a = 1) AND ((b + 1 < 2) OR ((b + 1 = 2) AND (c <= NULL)))))",
            ),
            (
                "(a, b) IN ((1, 2), (3, NULL))",
                "(((a = 1) AND (b = 2)) OR ((a = 3) AND (b = NULL)))",
            ),
            ("(a, b) NOT IN ((1, 2))", "NOT ((a = 1) AND (b = 2))"),
            ("((a, b)) = ((1, 2))", "((a = 1) AND (b = 2))"),
            ("(a) = (1)", "(a) = (1)"),
            (
                "(a, b) IN (SELECT x, y FROM t)",
                r#"CASE WHEN EXISTS (SELECT 1 FROM (SELECT x, y FROM t) AS "?row" ("?row1", "?row2") WHERE ((a = "?row"."?row1") AND (b = "?row"."?row2"))) THEN true WHEN EXISTS (SELECT 1 FROM (SELECT x, y FROM t) AS "?row" ("?row1", "?row2") WHERE ((a = "?row"."?row1") AND (b = "?row"."?row2")) IS NULL) THEN NULL ELSE false END"#,
            ),
        ] {
            assert_eq!(rewritten(condition), expected, "{condition}");
        }
        for (condition, expected) in [
            (
                "(a, t.b) IN (SELECT x, u.y FROM u WHERE u.k = t.k OR x > 1)",
                r#"CASE WHEN EXISTS (SELECT x, u.y FROM u WHERE ((u.k = t.k OR x > 1) AND (("t".a = x) AND (t.b = u.y)))) THEN true WHEN EXISTS (SELECT x, u.y FROM u WHERE ((u.k = t.k OR x > 1) AND (("t".a = x) AND (t.b = u.y)) IS NULL)) THEN NULL ELSE false END"#,
            ),
            (
                "(t.a, 1) NOT IN (SELECT x, y FROM u WHERE u.k = t.k)",
                r#"CASE WHEN EXISTS (SELECT x, y FROM u WHERE ((u.k = t.k) AND ((t.a = x) AND (1 = y)))) THEN false WHEN EXISTS (SELECT x, y FROM u WHERE ((u.k = t.k) AND ((t.a = x) AND (1 = y)) IS NULL)) THEN NULL ELSE true END"#,
            ),
        ] {
            assert_eq!(rewritten(condition), expected, "{condition}");
        }
        for condition in ["(a, b) = (1, 2, 3)", "(a, b) IN ((1, 2), (1, 2, 3))"] {
            let said = rewritten(condition);
            assert!(
                said.contains("a row of 2 values is compared with one of 3"),
                "{condition}: {said}"
            );
        }
    }
}
