//! `(t.a, t.b) IN (SELECT u.x, u.y FROM u WHERE u.k = t.k)`: the comparison of the rows goes into the query's own WHERE, where it sees both tables.
//!
//! That is done where each column of the row is known by its table: inside of the query a bare name might be another's.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, TableFactor, Value, Visit, Visitor,
};

/// The tables that a query names, and those by which it names columns.
#[derive(Default)]
struct Named {
    tables: BTreeSet<String>,
    qualifiers: BTreeSet<String>,
    calls: bool,
}

impl Visitor for Named {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (alias, name) = match factor {
            TableFactor::Table { name, alias, .. } => (alias, name.0.last().and_then(|part| part.as_ident())),
            TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => (alias, None),
            _ => return ControlFlow::Break(()),
        };
        let name = alias.as_ref().map(|alias| &alias.name).or(name);
        self.tables.extend(name.map(|name| name.value.clone()));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::CompoundIdentifier(parts) => {
                self.qualifiers.extend(parts.first().map(|table| table.value.clone()));
            }
            Expr::Function(_) => self.calls = true,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The row with its columns known by their tables, and the SELECT that is asked for it; `None` where the query reads nothing of what is around it, or is more
/// than a plain SELECT.
pub(super) fn taken_apart<'a>(row: &[Expr], query: &'a Query) -> Option<(Vec<Expr>, &'a Select, Vec<Expr>)> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let mut named = Named::default();
    if query.visit(&mut named).is_break() {
        return None;
    }
    let mut around = named.qualifiers.difference(&named.tables);
    let (table, None) = (around.next()?, around.next()) else {
        return None;
    };
    let known = |part: &Expr| match part {
        Expr::Identifier(name) => {
            let table = Ident::with_quote('"', table.clone());
            Some(Expr::CompoundIdentifier(vec![table, name.clone()]))
        }
        Expr::CompoundIdentifier(parts) => {
            let is_inside = parts.first().is_none_or(|table| named.tables.contains(&table.value));
            (!is_inside).then(|| part.clone())
        }
        Expr::Value(value) if !matches!(value.value, Value::Placeholder(_)) => Some(part.clone()),
        _ => None,
    };
    let row: Option<Vec<Expr>> = row.iter().map(known).collect();
    let columns: Option<Vec<Expr>> = is_plain(query, select).then(|| values(select)).flatten();
    Some((row?, select, columns?))
}

/// Whether each row of its tables that a SELECT's condition lets through is one of the query's.
fn is_plain(query: &Query, select: &Select) -> bool {
    query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && select.distinct.is_none()
        && select.having.is_none()
        && select.top.is_none()
        && select.qualify.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty())
}

/// What a SELECT gives, where none of it may be an aggregate.
fn values(select: &Select) -> Option<Vec<Expr>> {
    let value = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            let mut named = Named::default();
            let looked = expr.visit(&mut named);
            (looked.is_continue() && !named.calls).then(|| expr.clone())
        }
        _ => None,
    };
    select.projection.iter().map(value).collect()
}
