//! `EXISTS (…)` among the values of a SELECT: the query engine knows it in filters only, so there it becomes a count.
//!
//! ```text
//! SELECT EXISTS (SELECT … FROM t WHERE …)     becomes     SELECT (SELECT count(*) > 0 FROM t WHERE …)
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, UnaryOperator, VisitMut, VisitorMut,
};

use crate::statement::{Question, Statement};
use crate::{SqlError, SqlState, parse};

/// Rewrites every EXISTS that is a value.
pub(super) fn as_counts(query: &mut Query) -> Result<(), SqlError> {
    match query.visit(&mut Selects) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Finds the values of each SELECT.
struct Selects;

impl VisitorMut for Selects {
    type Break = SqlError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                expr.visit(&mut Values { inside: 0 })?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Rewrites in one value, not in the queries inside of it: their own values have their own turn.
struct Values {
    inside: usize,
}

impl VisitorMut for Values {
    type Break = SqlError;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        if self.inside > 0 {
            return ControlFlow::Continue(());
        }
        let Expr::Exists { subquery, negated } = expr else {
            return ControlFlow::Continue(());
        };
        match counted(subquery) {
            Ok(count) => {
                let count = Expr::Nested(Box::new(Expr::Subquery(Box::new(count))));
                *expr = match negated {
                    true => Expr::UnaryOp {
                        op: UnaryOperator::Not,
                        expr: Box::new(count),
                    },
                    false => count,
                };
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// Whether the query has rows, as a query of one value.
fn counted(query: &Query) -> Result<Query, SqlError> {
    let is_plain = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    if is_plain
        && let SetExpr::Select(select) = query.body.as_ref()
        && select.distinct.is_none()
        && select.having.is_none()
        && select.top.is_none()
        && select.qualify.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty())
        && !select.projection.iter().any(may_aggregate)
    {
        let mut count = template("SELECT count(*) > 0")?;
        let mut select = select.clone();
        if let SetExpr::Select(template) = count.body.as_ref() {
            select.projection.clone_from(&template.projection);
        }
        *count.body = SetExpr::Select(select);
        return Ok(count);
    }
    let mut count = template("SELECT count(*) > 0 FROM (SELECT 1) AS _headwater_exists")?;
    if let SetExpr::Select(select) = count.body.as_mut()
        && let Some(from) = select.from.first_mut()
        && let datafusion::sql::sqlparser::ast::TableFactor::Derived { subquery, .. } = &mut from.relation
    {
        **subquery = query.clone();
    }
    Ok(count)
}

/// A function may be an aggregate, and then there is always a row.
fn may_aggregate(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_))
        }
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => false,
        _ => true,
    }
}

fn template(text: &str) -> Result<Query, SqlError> {
    match parse::parse(text, "")?
        .into_iter()
        .next()
        .map(|parsed| parsed.statement)
    {
        Some(Statement::Query(Question { query, .. })) => Ok(*query),
        _ => Err(SqlError::new(SqlState::INTERNAL, "EXISTS could not be rewritten")),
    }
}
