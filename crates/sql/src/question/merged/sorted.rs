//! `SELECT k, -sum(n) AS n FROM t GROUP BY k ORDER BY sum(n)`: in an aggregate a name means a column of FROM, as nothing that is shown can stand there.
//!
//! The query engine looks at what is shown first, everywhere. So such a column is said with its table.

use datafusion::sql::sqlparser::ast::{Expr, OrderByExpr, Select, SelectItem};

use super::scope::{Scope, Tables};
use crate::question::outermost;

/// Says the tables of columns whose names something else is shown by too. What nobody knows to be a column of one table stays as it is.
pub(super) fn by_columns(
    order: &mut [OrderByExpr],
    select: &Select,
    tables: &Tables<'_>,
    is_aggregate: &dyn Fn(&str) -> bool,
) {
    let is_shown = |name: &str| {
        let mut items = select.projection.iter();
        items.any(|item| matches!(item, SelectItem::ExprWithAlias { expr, alias } if alias.value == name && !is_column(expr, name)))
    };
    let mut say = |expr: &mut Expr| {
        if let Expr::Identifier(name) = expr
            && is_shown(&name.value)
            && let Some(column) = column(select, &name.value, tables)
        {
            *expr = column;
        }
    };
    for by in order {
        outermost::each(&mut by.expr, |expr| {
            if let Expr::Function(function) = expr
                && let Some(name) = function.name.0.last().and_then(|part| part.as_ident())
                && function.over.is_none()
                && is_aggregate(&name.value.to_ascii_lowercase())
            {
                outermost::each(&mut function.args, &mut say);
                outermost::each(&mut function.filter, &mut say);
            }
        });
    }
}

/// Whether a value is the column of that name.
fn is_column(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Identifier(column) => column.value == name,
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|column| column.value == name),
        _ => false,
    }
}

/// The column of FROM that has a name, said with its table.
fn column(select: &Select, name: &str, tables: &Tables<'_>) -> Option<Expr> {
    let mut found = None;
    for table in &select.from {
        let joined = table.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&table.relation).chain(joined) {
            let scope = Scope::of(factor, tables)?;
            if scope.columns(tables)?.iter().any(|own| own == name) && found.replace(scope).is_some() {
                return None;
            }
        }
    }
    found?.value(name, tables)
}
