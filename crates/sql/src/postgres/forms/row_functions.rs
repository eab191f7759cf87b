//! Functions that give rows, as PostgreSQL's clients write them: `pg_catalog.generate_series(1, 32)`, `pg_catalog.unnest(list)`.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, ObjectNamePart, TableFactor, TableFunctionArgs, Value,
};

use super::{choices, values};
use crate::postgres::ast::call;
use crate::postgres::functions::json;
use crate::postgres::functions::series::SERIES;
use crate::{SqlError, SqlState};

/// Takes the catalog's name away from such a function: each of them is known by its own.
pub(crate) fn unqualified(factor: &mut TableFactor) {
    let TableFactor::Table {
        name,
        args: Some(args),
        alias,
        with_ordinality,
        ..
    } = factor
    else {
        return;
    };
    let named = |part: Option<&ObjectNamePart>, expected: &str| {
        part.and_then(ObjectNamePart::as_ident)
            .is_some_and(|ident| ident.value == expected)
    };
    if name.0.len() != 2 || !named(name.0.first(), "pg_catalog") || is_of_columns(args) {
        return;
    }
    name.0.remove(0);
    if !named(name.0.first(), "unnest") {
        return;
    }
    let lists = args.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(list)) => Some(list.clone()),
        _ => None,
    });
    if let Some(array_exprs) = lists.collect::<Option<Vec<_>>>() {
        *factor = TableFactor::UNNEST {
            alias: alias.take(),
            array_exprs,
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: *with_ordinality,
        };
    }
}

/// Of a function that gives rows: the lists whose elements they are, and what their columns are called.
pub(crate) fn lists(name: &str, args: &[Expr]) -> Option<(Vec<Expr>, &'static [&'static str])> {
    if let Some((lists, names)) = json::elements(name) {
        let lists = lists.iter().map(|list| call(list, args.to_vec()));
        return Some((lists.collect(), names));
    }
    let (list, names): (Expr, &[&str]) = match (name, args) {
        ("generate_series", _) => (call(SERIES, bounds(args)), &["generate_series"]),
        ("generate_subscripts", [list, _]) => (subscripts(list), &["generate_subscripts"]),
        ("regexp_matches", _) => (call("_headwater_regexp_matches", args.to_vec()), &["regexp_matches"]),
        ("regexp_split_to_table", _) => (call("regexp_split_to_array", args.to_vec()), &["regexp_split_to_table"]),
        ("string_to_table", _) => (call("string_to_array", args.to_vec()), &["string_to_table"]),
        _ => return None,
    };
    Some((vec![list], names))
}

/// The arguments of a series; a bound in quotes has the type that is said of the other one.
fn bounds(args: &[Expr]) -> Vec<Expr> {
    let said = args.iter().take(2).find_map(values::said);
    let bound = |(place, arg): (usize, &Expr)| match &said {
        Some(data_type) if place < 2 && choices::is_quoted(arg) => values::cast(arg, data_type),
        _ => arg.clone(),
    };
    args.iter().enumerate().map(bound).collect()
}

/// The numbers of the elements of a list.
pub(crate) fn subscripts(list: &Expr) -> Expr {
    numbered(call("cardinality", vec![list.clone()]))
}

/// The numbers of the rows that lists beside each other give: as many as the longest of them has.
pub(crate) fn ordinals(lists: &[Expr]) -> Expr {
    let lengths = lists.iter().map(|list| call("cardinality", vec![list.clone()]));
    numbered(call("greatest", lengths.collect()))
}

fn numbered(length: Expr) -> Expr {
    let one = Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
    call(SERIES, vec![one, length])
}

/// Whether a series is of whole numbers that are written out, which the engine makes one by one.
pub(crate) fn is_of_whole_numbers(args: &[Expr]) -> bool {
    args.iter().all(is_whole)
}

fn is_whole(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(written, _) => !written.contains(['.', 'e', 'E']),
            Value::Placeholder(_) => true,
            _ => false,
        },
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_whole(inner),
        Expr::BinaryOp { left, right, .. } => is_whole(left) && is_whole(right),
        Expr::Cast { expr, data_type, .. } => {
            matches!(
                data_type,
                DataType::BigInt(_) | DataType::Integer(_) | DataType::Int(_) | DataType::Int8(_) | DataType::Int4(_)
            ) && is_whole(expr)
        }
        _ => false,
    }
}

/// Refuses a sample of a table, which the query engine would give all rows of.
pub(crate) fn sampled(factor: &TableFactor) -> Result<(), SqlError> {
    match factor {
        TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
            let error = SqlError::new(SqlState::NOT_SUPPORTED, "TABLESAMPLE is not there");
            Err(error.hint("write WHERE random() < 0.1 for about a tenth of the rows"))
        }
        _ => Ok(()),
    }
}

/// Whether such a function is of columns of a table beside it.
pub(crate) fn is_of_columns(args: &TableFunctionArgs) -> bool {
    args.args.iter().any(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => matches!(arg, Expr::CompoundIdentifier(_)),
        _ => false,
    })
}
