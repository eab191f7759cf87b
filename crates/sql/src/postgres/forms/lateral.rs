//! Functions of rows in FROM, of columns of the tables before them: `FROM orders AS o, UNNEST(o.lines) AS l(line)`.
//!
//! ```text
//! UNNEST(o.lines) AS l(line)             LATERAL (SELECT unnest(o.lines) AS line) AS l
//! generate_series(1, o.n) AS s           LATERAL (SELECT unnest(generate_series(1, o.n)) AS s) AS s
//! json_each(o.value) AS m                LATERAL (SELECT unnest(keys) AS key, unnest(values) AS value) AS m
//! UNNEST(ARRAY[1, 2]) AS x               UNNEST(ARRAY[1, 2]) AS x(x): one column without a name is called like the table
//! UNNEST(ARRAY[1, 2])                    UNNEST(ARRAY[1, 2]) AS unnest(unnest)
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Select, SelectItem, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, Visit, Visitor,
};

use super::{records, row_functions};
use crate::SqlError;
use crate::postgres::ast::{call, template};
use crate::postgres::pg_catalog::subqueries;

/// What lists and series are called as functions.
const UNNEST: &str = "unnest";
const SERIES: &str = "generate_series";

/// Rewrites such functions of a SELECT.
pub(super) fn of_rows(select: &mut Select) -> Result<(), SqlError> {
    for (place, from) in select.from.iter_mut().enumerate() {
        let first = std::iter::once((&mut from.relation, place > 0));
        let joined = from.joins.iter_mut().map(|join| (&mut join.relation, true));
        for (factor, has_tables_before) in first.chain(joined) {
            named_as_table(factor);
            if let Some(rows) = records::rows(factor, has_tables_before)? {
                *factor = rows;
                continue;
            }
            if let Some(members) = members(factor, has_tables_before)? {
                *factor = members;
                continue;
            }
            if has_tables_before && let Some(lateral) = lateral(factor)? {
                *factor = lateral;
            }
        }
    }
    Ok(())
}

/// Gives the one column of a function the name of its table.
fn named_as_table(factor: &mut TableFactor) {
    let alias = match factor {
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_ordinality: false,
            ..
        } if array_exprs.len() == 1 => Some(alias.get_or_insert_with(|| TableAlias {
            explicit: true,
            name: Ident::with_quote('"', UNNEST),
            columns: Vec::new(),
            at: None,
        })),
        TableFactor::Table {
            name,
            args: Some(_),
            alias,
            with_ordinality: false,
            ..
        } if is(name, SERIES) => alias.as_mut(),
        _ => None,
    };
    if let Some(alias) = alias
        && alias.columns.is_empty()
    {
        alias.columns.push(TableAliasColumnDef {
            name: alias.name.clone(),
            data_type: None,
        });
    }
}

/// The query that gives each row of the tables before it its own; `None` where the function names none of their columns.
fn lateral(factor: &TableFactor) -> Result<Option<TableFactor>, SqlError> {
    let (rows, alias) = match factor {
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_ordinality: false,
            ..
        } => (array_exprs.clone(), alias),
        TableFactor::Function { name, args, alias, .. } if is(name, UNNEST) => (given(args), alias),
        TableFactor::Function { name, args, alias, .. } if is(name, SERIES) => (vec![call(SERIES, given(args))], alias),
        TableFactor::Table {
            name,
            args: Some(args),
            alias,
            ..
        } if is(name, SERIES) => (vec![call(SERIES, given(&args.args))], alias),
        _ => return Ok(None),
    };
    let is_lateral = matches!(factor, TableFactor::Function { .. });
    if !is_lateral && !rows.iter().any(names_a_column) {
        return Ok(None);
    }
    let mut names = column_names(alias);
    if names.is_empty() && rows.len() == 1 {
        names.extend(alias.iter().map(|alias| alias.name.clone()));
    }
    of_lists(rows, names, alias, true).map(Some)
}

/// The rows of a function that makes lists; `None` where it is none, or the engine makes them itself. One column without a name is called like the table.
fn members(factor: &TableFactor, has_tables_before: bool) -> Result<Option<TableFactor>, SqlError> {
    let (rows, own, args, alias, is_numbered) = match factor {
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_ordinality: true,
            ..
        } if !subqueries::are_no_lists(array_exprs) => (array_exprs.clone(), &[][..], array_exprs.clone(), alias, true),
        TableFactor::Function { name, args, alias, .. } => match lists(name, args) {
            Some((rows, own)) => (rows, own, given(args), alias, false),
            None => return Ok(None),
        },
        TableFactor::Table {
            name,
            args: Some(args),
            alias,
            with_ordinality,
            ..
        } => match lists(name, &args.args) {
            Some(_) if is(name, SERIES) && !with_ordinality && is_engines(&given(&args.args)) => return Ok(None),
            Some((rows, own)) => (rows, own, given(&args.args), alias, *with_ordinality),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let mut names = column_names(alias);
    if names.is_empty() && rows.len() == 1 {
        names.extend(alias.iter().map(|alias| alias.name.clone()));
    }
    let rest = own.iter().skip(names.len()).map(|name| Ident::with_quote('"', *name));
    names.extend(rest);
    let mut rows = rows;
    if is_numbered {
        rows.push(row_functions::ordinals(&rows));
        if names.len() < rows.len() {
            names.resize_with(rows.len() - 1, || Ident::with_quote('"', UNNEST));
            names.push(Ident::with_quote('"', "ordinality"));
        }
    }
    let is_lateral = has_tables_before && args.iter().any(names_a_column);
    of_lists(rows, names, alias, is_lateral).map(Some)
}

/// The lists of a function that gives rows, and what its columns are called.
fn lists(name: &ObjectName, args: &[FunctionArg]) -> Option<(Vec<Expr>, &'static [&'static str])> {
    let called = name.0.last()?.as_ident()?.value.to_ascii_lowercase();
    row_functions::lists(&called, &given(args))
}

/// Whether the engine makes the numbers of a series one by one.
fn is_engines(args: &[Expr]) -> bool {
    row_functions::is_of_whole_numbers(args)
}

fn column_names(alias: &Option<TableAlias>) -> Vec<Ident> {
    let columns = alias.iter().flat_map(|alias| &alias.columns);
    columns.map(|column| column.name.clone()).collect()
}

/// The query whose columns are the elements of lists.
fn of_lists(
    rows: Vec<Expr>,
    names: Vec<Ident>,
    alias: &Option<TableAlias>,
    is_lateral: bool,
) -> Result<TableFactor, SqlError> {
    let mut subquery = template("SELECT 1")?;
    if let SetExpr::Select(select) = subquery.body.as_mut() {
        let items = rows
            .into_iter()
            .enumerate()
            .map(|(place, of)| SelectItem::ExprWithAlias {
                expr: call(UNNEST, vec![of]),
                alias: names
                    .get(place)
                    .cloned()
                    .unwrap_or_else(|| Ident::with_quote('"', UNNEST)),
            });
        select.projection = items.collect();
    }
    let alias = alias.clone().map(|alias| TableAlias {
        columns: Vec::new(),
        ..alias
    });
    Ok(TableFactor::Derived {
        lateral: is_lateral,
        subquery: Box::new(subquery),
        alias,
        sample: None,
    })
}

fn is(name: &ObjectName, wanted: &str) -> bool {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.is_some_and(|name| name.value.eq_ignore_ascii_case(wanted))
}

fn given(args: &[FunctionArg]) -> Vec<Expr> {
    let values = args.iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    values.collect()
}

pub(super) fn names_a_column(expr: &Expr) -> bool {
    struct Columns;

    impl Visitor for Columns {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }

    expr.visit(&mut Columns).is_break()
}
