//! The columns that came to be one in the queries that stand in a SELECT: what none of their own tables has is of the SELECT's.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr, TableWithJoins, VisitMut, VisitorMut};

use super::scope::{Merged, Scope, Tables};

/// Puts what such columns are in the place of their names there. Where nobody knows the columns of a table, they may be its own.
pub(super) fn meant(select: &mut Select, merged: &[Merged], tables: &Tables<'_>) {
    let _ = select.visit(&mut Inner {
        merged,
        tables,
        hidden: Vec::new(),
    });
}

struct Inner<'a> {
    merged: &'a [Merged],
    tables: &'a Tables<'a>,
    /// Of each query around a place whether it has a column of the name itself, the outermost first.
    hidden: Vec<Vec<bool>>,
}

impl VisitorMut for Inner<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let hides = |merged: &Merged| has(&query.body, &merged.column, self.tables);
        self.hidden.push(self.merged.iter().map(hides).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.hidden.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && !self.hidden.is_empty()
            && let Some(place) = self.merged.iter().position(|merged| merged.column == name.value)
            && !self.hidden.iter().any(|hidden| hidden[place])
        {
            *expr = self.merged[place].value.clone();
        }
        ControlFlow::Continue(())
    }
}

/// Whether a query's own tables may have a column, or it shows something under that name.
fn has(body: &SetExpr, column: &str, tables: &Tables<'_>) -> bool {
    match body {
        SetExpr::Select(select) => {
            let is_named =
                |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value == column);
            let is_of = |table: &TableWithJoins| may_have(table, column, tables);
            select.projection.iter().any(is_named) || select.from.iter().any(is_of)
        }
        SetExpr::SetOperation { left, right, .. } => has(left, column, tables) || has(right, column, tables),
        SetExpr::Query(query) => has(&query.body, column, tables),
        _ => false,
    }
}

/// Whether one of some tables may have a column.
fn may_have(table: &TableWithJoins, column: &str, tables: &Tables<'_>) -> bool {
    let joined = table.joins.iter().map(|join| &join.relation);
    std::iter::once(&table.relation).chain(joined).any(|factor| {
        let columns = Scope::of(factor, tables).and_then(|scope| scope.columns(tables));
        columns.is_none_or(|columns| columns.iter().any(|own| own == column))
    })
}
