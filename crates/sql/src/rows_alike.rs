//! The rows of VALUES that are alike: whose values are of one kind, column by column.
//!
//! The query engine gives a column of VALUES one type, and makes numbers of texts that stand beside numbers: `VALUES ('007'), (8)` would lose its zeros. What goes
//! into columns with types of their own is assigned to them value by value, so that rows which are not alike are worked out by themselves.

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, SetExpr, UnaryOperator, Value, Values,
};
use headwater_catalog::ColumnType;

const TEXT: &str = "text";
const TRUTH: &str = "truth";
const WHOLE: &str = "whole number";
const NUMBER: &str = "number";
const DEFAULT: &str = "default";

/// The kinds of a row's values; NULL is of every kind but DEFAULT's.
type Kinds = Vec<Option<String>>;

/// What is known of where the values go.
pub(crate) struct Into<'a> {
    /// For each column whether it holds numbers, among which those with and without a point are alike.
    pub(crate) numbers: &'a [bool],
    /// The values of `$1`, `$2`, …
    pub(crate) parameters: &'a [ScalarValue],
    /// What is known by a name, and of which type it is.
    pub(crate) named: &'a [(String, ColumnType)],
}

/// The places of the rows that are alike, in as many groups; `None`: the query is no plain VALUES, or all its rows are alike.
pub(crate) fn groups(query: &Query, into: &Into<'_>) -> Option<Vec<Vec<usize>>> {
    let values = plain(query)?;
    let mut groups: Vec<(Kinds, Vec<usize>)> = Vec::new();
    for (place, row) in values.rows.iter().enumerate() {
        let kinds = kinds(row, into);
        match groups.iter_mut().find(|(known, _)| are_alike(known, &kinds)) {
            Some((known, rows)) => {
                merge(known, kinds);
                rows.push(place);
            }
            None => groups.push((kinds, vec![place])),
        }
    }
    (groups.len() > 1).then(|| groups.into_iter().map(|(_, rows)| rows).collect())
}

/// The query as several with rows that are alike, which give the same rows one behind the other.
pub(crate) fn one_behind_the_other(query: Query, named: &[(String, ColumnType)]) -> Vec<Query> {
    let into = Into {
        numbers: &[],
        parameters: &[],
        named,
    };
    let Some(values) = plain(&query) else {
        return vec![query];
    };
    let mut runs: Vec<(Kinds, Vec<usize>)> = Vec::new();
    for (place, row) in values.rows.iter().enumerate() {
        let kinds = kinds(row, &into);
        match runs.last_mut() {
            Some((known, rows)) if are_alike(known, &kinds) => {
                merge(known, kinds);
                rows.push(place);
            }
            _ => runs.push((kinds, vec![place])),
        }
    }
    match runs.len() {
        0 | 1 => vec![query],
        _ => runs.iter().map(|(_, rows)| with_rows(&query, rows)).collect(),
    }
}

/// The query with some of its rows.
pub(crate) fn with_rows(query: &Query, places: &[usize]) -> Query {
    let SetExpr::Values(values) = query.body.as_ref() else {
        return query.clone();
    };
    let rows = places.iter().filter_map(|place| values.rows.get(*place).cloned());
    let values = Values {
        rows: rows.collect(),
        ..values.clone()
    };
    Query {
        body: Box::new(SetExpr::Values(values)),
        ..query.clone()
    }
}

/// The rows of a VALUES that nothing is done with.
pub(crate) fn plain(query: &Query) -> Option<&Values> {
    let is_plain =
        query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    match query.body.as_ref() {
        SetExpr::Values(values) if is_plain => Some(values),
        _ => None,
    }
}

fn kinds(row: &[Expr], into: &Into<'_>) -> Kinds {
    let is_number = |column: usize| into.numbers.get(column).copied().unwrap_or(false);
    let each = row.iter().enumerate();
    each.map(|(column, cell)| kind(cell, is_number(column), into)).collect()
}

fn are_alike(one: &Kinds, other: &Kinds) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|pair| match pair {
            (Some(one), Some(other)) => one == other,
            (Some(kind), None) | (None, Some(kind)) => kind != DEFAULT,
            (None, None) => true,
        })
}

fn merge(known: &mut Kinds, kinds: Kinds) {
    for (known, kind) in known.iter_mut().zip(kinds) {
        if known.is_none() {
            *known = kind;
        }
    }
}

/// What a value is, as far as its type depends on it; `None`: NULL.
fn kind(cell: &Expr, is_number: bool, into: &Into<'_>) -> Option<String> {
    let inner = |cell: &Expr| kind(cell, is_number, into).unwrap_or_default();
    Some(match cell {
        Expr::Value(value) => match &value.value {
            Value::Null => return None,
            Value::Number(written, _) if written.contains(['e', 'E']) => format!("exponent {written}"),
            Value::Number(..) if is_number => NUMBER.to_owned(),
            // As a text a number has as many digits behind the point as are written.
            Value::Number(written, _) => match written.split_once('.') {
                Some((_, behind)) => format!("number of {} digits", behind.len()),
                None => WHOLE.to_owned(),
            },
            Value::Boolean(_) => TRUTH.to_owned(),
            Value::Placeholder(id) => {
                let place = id.strip_prefix('$').and_then(|place| place.parse::<usize>().ok());
                let given = place.and_then(|place| into.parameters.get(place.checked_sub(1)?));
                match given {
                    Some(given) if given.is_null() => return None,
                    Some(given) => match given.data_type() {
                        text if text.is_string() => TEXT.to_owned(),
                        number if number.is_numeric() && is_number => NUMBER.to_owned(),
                        whole if whole.is_integer() => WHOLE.to_owned(),
                        other => format!("{other:?}"),
                    },
                    None => id.clone(),
                }
            }
            _ => TEXT.to_owned(),
        },
        cell if is_default(cell) => DEFAULT.to_owned(),
        Expr::Identifier(name) => of_name(&name.value, into),
        Expr::CompoundIdentifier(names) => of_name(names.last().map_or("", |name| &name.value), into),
        Expr::Nested(inside) => return kind(inside, is_number, into),
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            expr,
        } => return kind(expr, is_number, into),
        Expr::TypedString(typed) => format!("a {}", typed.data_type),
        Expr::Cast { data_type, .. } => format!("a {data_type}"),
        Expr::Interval(_) => "interval".to_owned(),
        Expr::BinaryOp { left, op, right } => format!("({} {op} {})", inner(left), inner(right)),
        Expr::Function(function) => match &function.args {
            FunctionArguments::List(list) => {
                let args = list.args.iter().map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => inner(arg),
                    other => other.to_string(),
                });
                format!("{}({})", function.name, args.collect::<Vec<String>>().join(", "))
            }
            _ => function.to_string(),
        },
        other => other.to_string(),
    })
}

/// Whether a cell says DEFAULT: that its column has the value which it has where nothing is said of it.
pub(crate) fn is_default(cell: &Expr) -> bool {
    matches!(cell, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case(DEFAULT))
}

fn of_name(name: &str, into: &Into<'_>) -> String {
    match into.named.iter().find(|(known, _)| known == name) {
        Some((_, ColumnType::Text)) => TEXT.to_owned(),
        Some((_, ColumnType::Integer | ColumnType::BigInt)) => WHOLE.to_owned(),
        Some((_, ColumnType::Boolean)) => TRUTH.to_owned(),
        Some((_, other)) => format!("a {other}"),
        None => format!("what is called {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Statement;

    fn query(text: &str) -> Query {
        match crate::parse::parse(text, "").expect("a question").remove(0).statement {
            Statement::Query(question) => *question.query,
            _ => panic!("{text} is no question"),
        }
    }

    #[test]
    fn rows_are_alike_by_the_kinds_of_their_values() {
        for (values, numbers, expected) in [
            ("VALUES ('007'), (8)", false, Some(vec![vec![0], vec![1]])),
            (
                "VALUES ('a'), (8), ('b'), (NULL)",
                false,
                Some(vec![vec![0, 2, 3], vec![1]]),
            ),
            ("VALUES (1), (2.5), (-3)", true, None),
            (
                "VALUES (1), (2.5), (3.25), (-3)",
                false,
                Some(vec![vec![0, 3], vec![1], vec![2]]),
            ),
            (
                "VALUES (NULL), (DATE '2024-01-01'), ('2024-01-02')",
                false,
                Some(vec![vec![0, 1], vec![2]]),
            ),
            (
                "VALUES (1 + 1), (2 + 3), (now())",
                true,
                Some(vec![vec![0, 1], vec![2]]),
            ),
            ("VALUES ('a'), ('b')", false, None),
            ("SELECT 1", false, None),
            ("VALUES ('a'), (1) LIMIT 1", false, None),
        ] {
            let into = Into {
                numbers: &[numbers],
                parameters: &[],
                named: &[],
            };
            assert_eq!(groups(&query(values), &into), expected, "{values}");
        }
    }

    #[test]
    fn rows_that_are_not_alike_come_one_behind_the_other() {
        let texts = |values: &str| -> Vec<String> {
            let named = [("k".to_owned(), ColumnType::Text), ("n".to_owned(), ColumnType::BigInt)];
            let queries = one_behind_the_other(query(values), &named);
            queries.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            texts("VALUES (k, 1), ('0042', -n), ('7', NULL), (5, 3)"),
            ["VALUES (k, 1), ('0042', -n), ('7', NULL)", "VALUES (5, 3)"]
        );
        assert_eq!(
            texts("VALUES (n, 1), (other, 2)"),
            ["VALUES (n, 1)", "VALUES (other, 2)"]
        );
    }
}
