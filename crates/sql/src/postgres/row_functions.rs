//! Functions that give rows, as PostgreSQL's clients write them: `pg_catalog.generate_series(1, 32)`, `pg_catalog.unnest(list)`.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, ObjectNamePart, Select, SelectItem, TableFactor, TableFunctionArgs,
};

use super::dialect::call;
use crate::{SqlError, SqlState};

/// Takes the catalog's name away from such a function: each of them is known by its own.
pub(super) fn unqualified(factor: &mut TableFactor) {
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

/// Gives each number of a series in a SELECT list a row of its own; for the query engine a series is a list there.
pub(super) fn in_list(select: &mut Select) {
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        let is_series = matches!(expr, Expr::Function(function) if function.name.0.last().and_then(ObjectNamePart::as_ident)
            .is_some_and(|name| name.value.eq_ignore_ascii_case("generate_series")));
        if is_series {
            *expr = call("unnest", vec![expr.clone()]);
        }
    }
}

/// Refuses a sample of a table, which the query engine would give all rows of.
pub(super) fn sampled(factor: &TableFactor) -> Result<(), SqlError> {
    match factor {
        TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
            let error = SqlError::new(SqlState::NOT_SUPPORTED, "TABLESAMPLE is not there");
            Err(error.hint("write WHERE random() < 0.1 for about a tenth of the rows"))
        }
        _ => Ok(()),
    }
}

/// Whether such a function is of columns of a table beside it.
pub(super) fn is_of_columns(args: &TableFunctionArgs) -> bool {
    args.args.iter().any(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => matches!(arg, Expr::CompoundIdentifier(_)),
        _ => false,
    })
}
