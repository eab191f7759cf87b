//! The column of `USING` and `NATURAL` is one column, as in PostgreSQL: of the left side, of a `RIGHT JOIN` that of the right one, of a `FULL JOIN` the one
//! that is there.
//!
//! The query engine keeps both and takes the left one. So such joins are written with `ON` before planning, and what the columns are called by themselves
//! as what they are:
//!
//! ```text
//! SELECT id, x FROM a FULL JOIN b USING (id) WHERE id > 1
//! SELECT coalesce(a.id, b.id) AS id, x FROM a FULL JOIN b ON a.id = b.id WHERE coalesce(a.id, b.id) > 1
//! ```
//!
//! `*` shows the columns of the last `USING` first, then what is left of its left side, then of its right one. A join of tables whose columns nobody knows yet,
//! and which have no name, stays as it is.

mod inner;
mod scope;
mod sorted;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use super::relations::{constraint, constraint_mut};
use super::{outermost, titles};
use scope::{Merged, Scope, Tables};

/// Writes every such join of a query with `ON`. `columns`: those that `*` shows of a table; empty where there is none. `is_aggregate` says it of functions.
pub(super) fn written_out(
    query: &mut Query,
    columns: &dyn Fn(&str) -> Vec<String>,
    is_aggregate: &dyn Fn(&str) -> bool,
) {
    let mut names = Vec::new();
    let _ = query.visit(&mut Named(&mut names));
    let tables = Tables { columns, names };
    let _ = query.visit(&mut Joins {
        tables: &tables,
        is_aggregate,
    });
}

/// Gathers what WITH gives names to.
struct Named<'a>(&'a mut Vec<String>);

impl VisitorMut for Named<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(named.map(|cte| cte.alias.name.value.clone()));
        ControlFlow::Continue(())
    }
}

struct Joins<'a> {
    tables: &'a Tables<'a>,
    is_aggregate: &'a dyn Fn(&str) -> bool,
}

impl VisitorMut for Joins<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = query.body.as_mut() else {
            return ControlFlow::Continue(());
        };
        let merged = self.select(select);
        if let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(order) = &mut order.kind
        {
            sorted::by_columns(order, select, self.tables, self.is_aggregate);
            // What is shown is meant first.
            let is_shown = |merged: &Merged| select.projection.iter().any(|item| shows(item, &merged.column));
            let merged: Vec<Merged> = merged.into_iter().filter(|merged| !is_shown(merged)).collect();
            for by in order {
                meant(&mut by.expr, &merged);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.select(select);
        ControlFlow::Continue(())
    }
}

impl Joins<'_> {
    /// Writes the joins of a SELECT with `ON`; gives the columns that came to be one.
    fn select(&self, select: &mut Select) -> Vec<Merged> {
        let mut joins = select.from.iter_mut().flat_map(|table| &mut table.joins);
        joins.by_ref().for_each(|join| of_left_side(&mut join.join_operator));
        let mut from = select.from.clone();
        let scopes: Option<Vec<Scope>> = from.iter_mut().map(|table| self.joined(table)).collect();
        let Some(scopes) = scopes.filter(|_| select.from.iter().any(has_named_columns)) else {
            return Vec::new();
        };
        let shown: Vec<SelectItem> = scopes.iter().flat_map(Scope::shown).collect();
        let merged: Vec<Merged> = scopes.into_iter().flat_map(|scope| scope.merged).collect();
        let mut items: Vec<SelectItem> = Vec::new();
        let asked = std::mem::take(&mut select.projection);
        for (index, item) in asked.iter().enumerate() {
            match item.clone() {
                SelectItem::Wildcard(options) if options == WildcardAdditionalOptions::default() => {
                    items.extend(shown.iter().cloned());
                }
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                    let is_taken = asked.iter().filter(|item| shows(item, &name.value)).count() > 1;
                    let alias = if is_taken {
                        titles::beside(&name.value, index)
                    } else {
                        name.clone()
                    };
                    items.push(value(name, alias, &merged));
                }
                other => items.push(other),
            }
        }
        select.projection = items;
        select.from.clear();
        meant(select, &merged);
        inner::meant(select, &merged, self.tables);
        select.from = from;
        merged
    }

    /// Writes a chain of joins with `ON`, from the left to the right; `None` where that is not known to mean the same.
    fn joined(&self, table: &mut TableWithJoins) -> Option<Scope> {
        let mut scope = self.relation(&mut table.relation)?;
        for join in &mut table.joins {
            let right = self.relation(&mut join.relation)?;
            let side = scope::side(&join.join_operator)?;
            let constraint = constraint_mut(&mut join.join_operator)?;
            let columns = match constraint {
                JoinConstraint::Using(columns) => columns.iter().filter_map(scope::last).collect(),
                JoinConstraint::Natural => scope.common(&right, self.tables)?,
                JoinConstraint::On(condition) => {
                    meant(condition, &scope.merged);
                    Vec::new()
                }
                JoinConstraint::None => Vec::new(),
            };
            let condition = scope.join(right, &columns, side, self.tables)?;
            if matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural) {
                *constraint = JoinConstraint::On(condition);
            }
        }
        Some(scope)
    }

    fn relation(&self, factor: &mut TableFactor) -> Option<Scope> {
        match factor {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => self.joined(table_with_joins),
            table => Scope::of(table, self.tables),
        }
    }
}

/// Whether a chain of joins, or one in brackets in it, names such columns.
fn has_named_columns(table: &TableWithJoins) -> bool {
    let is_inside = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => has_named_columns(table_with_joins),
        _ => false,
    };
    let mut joins = table.joins.iter();
    is_inside(&table.relation) || joins.any(|join| names_columns(&join.join_operator) || is_inside(&join.relation))
}

/// A join that shows its left side alone, said in full.
fn of_left_side(operator: &mut JoinOperator) {
    match operator {
        JoinOperator::Semi(constraint) => *operator = JoinOperator::LeftSemi(constraint.clone()),
        JoinOperator::Anti(constraint) => *operator = JoinOperator::LeftAnti(constraint.clone()),
        _ => {}
    }
}

/// Whether a join names the columns by which it joins, or means those that both sides have.
fn names_columns(operator: &JoinOperator) -> bool {
    matches!(
        constraint(operator),
        Some(JoinConstraint::Using(_) | JoinConstraint::Natural)
    )
}

/// Whether a column of the answer has a name.
fn shows(item: &SelectItem, column: &str) -> bool {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => alias.value == column,
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.value == column,
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            parts.last().is_some_and(|name| name.value == column)
        }
        _ => false,
    }
}

/// A column that is shown under a name.
fn value(name: Ident, alias: Ident, merged: &[Merged]) -> SelectItem {
    match merged.iter().find(|merged| merged.column == name.value) {
        Some(merged) => SelectItem::ExprWithAlias {
            expr: merged.value.clone(),
            alias,
        },
        None => SelectItem::UnnamedExpr(Expr::Identifier(name)),
    }
}

/// Puts what a column is in the place of its name; a query in it has names of its own.
fn meant(part: &mut impl VisitMut, merged: &[Merged]) {
    outermost::each(part, |expr| {
        if let Expr::Identifier(name) = expr
            && let Some(merged) = merged.iter().find(|merged| merged.column == name.value)
        {
            *expr = merged.value.clone();
        }
    });
}
