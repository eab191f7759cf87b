//! Which subqueries the query engine works out itself, as joins without a domain: those whose dependence is in a WHERE of their own.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use super::domain::named;
use super::truth::plan_of;

/// Where an expression with subqueries stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    marks: bool,
    values: bool,
}

pub(super) const IN_A_FILTER: Place = Place {
    marks: true,
    values: true,
};
pub(super) const IN_A_PROJECTION: Place = Place {
    marks: false,
    values: true,
};
pub(super) const ELSEWHERE: Place = Place {
    marks: false,
    values: false,
};

/// Whether a part of a condition is a subquery that the engine makes a join of, with the same answer.
pub(super) fn finds(part: &Expr, rows: &LogicalPlan) -> bool {
    match part {
        Expr::Not(inner) => match inner.as_ref() {
            Expr::InSubquery(within) => finds_in(within, !within.negated, rows),
            inner @ Expr::Exists(_) => finds(inner, rows),
            _ => false,
        },
        Expr::InSubquery(within) => finds_in(within, within.negated, rows),
        Expr::Exists(Exists { subquery, .. }) => is_filtered(&subquery.subquery, rows),
        _ => false,
    }
}

fn finds_in(within: &InSubquery, negated: bool, rows: &LogicalPlan) -> bool {
    let plan = &within.subquery.subquery;
    let has_more = || {
        let of_more = |part: &Expr| Ok(matches!(part, Expr::OuterReferenceColumn(..)) || plan_of(part).is_some());
        within.expr.exists(of_more).unwrap_or(true)
    };
    // Its NOT IN is about one column: what else the subquery depends on is beyond it, and beside a constant it forgets that NULL is not known.
    let is_plain = match negated {
        true => !within.expr.column_refs().is_empty() && named(plan).is_ok_and(|columns| columns.is_empty()),
        false => is_filtered(plan, rows),
    };
    is_plain && !has_more()
}

/// Whether the engine works a subquery out where it stands.
pub(super) fn works_out(subquery: &Expr, place: Place, rows: &LogicalPlan) -> bool {
    match subquery {
        Expr::Exists(Exists { subquery, .. }) => place.marks && is_filtered(&subquery.subquery, rows),
        Expr::ScalarSubquery(subquery) => place.values && is_one_value(&subquery.subquery, rows),
        _ => false,
    }
}

/// Whether all that an expression names is a table's, also inside of its subqueries.
pub(super) fn is_about(expr: &Expr, schema: &DFSchema) -> bool {
    let mut is_about = expr.column_refs().iter().all(|column| schema.has_column(column));
    let looked = expr.apply(|part| {
        if let Some(plan) = plan_of(part) {
            is_about &= named(plan).is_ok_and(|columns| columns.iter().all(|column| schema.has_column(column)));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    looked.is_ok() && is_about
}

/// A query whose rows depend by what its WHERE asks alone.
fn is_filtered(plan: &LogicalPlan, rows: &LogicalPlan) -> bool {
    if named(plan).is_ok_and(|columns| columns.is_empty()) {
        return true;
    }
    match plan {
        LogicalPlan::Projection(node) => !node.expr.iter().any(Expr::contains_outer) && is_filtered(&node.input, rows),
        LogicalPlan::Filter(node) => is_of(&node.predicate, rows) && is_filtered(&node.input, rows),
        _ => false,
    }
}

/// An aggregate over all rows that are equal to the outer one in some columns.
fn is_one_value(plan: &LogicalPlan, rows: &LogicalPlan) -> bool {
    if named(plan).is_ok_and(|columns| columns.is_empty()) {
        return true;
    }
    match plan {
        LogicalPlan::Projection(node) => {
            !node.expr.iter().any(Expr::contains_outer)
                && matches!(node.input.as_ref(), LogicalPlan::Aggregate(_))
                && is_one_value(&node.input, rows)
        }
        LogicalPlan::Aggregate(node) => {
            let LogicalPlan::Filter(filter) = node.input.as_ref() else {
                return false;
            };
            let is_plain = node.group_expr.is_empty() && !node.aggr_expr.iter().any(Expr::contains_outer);
            let is_uncorrelated = named(&filter.input).is_ok_and(|columns| columns.is_empty());
            is_plain
                && is_uncorrelated
                && is_of(&filter.predicate, rows)
                && split_conjunction(&filter.predicate)
                    .into_iter()
                    .all(|part| !part.contains_outer() || is_equal(part))
        }
        _ => false,
    }
}

/// `column = outer column`, either way.
fn is_equal(part: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = part
    else {
        return false;
    };
    matches!(
        (left.as_ref(), right.as_ref()),
        (Expr::Column(_), Expr::OuterReferenceColumn(..)) | (Expr::OuterReferenceColumn(..), Expr::Column(_))
    )
}

/// Whether what a condition names of outer rows is of these.
fn is_of(condition: &Expr, rows: &LogicalPlan) -> bool {
    let is_farther =
        |part: &Expr| Ok(matches!(part, Expr::OuterReferenceColumn(_, column) if !rows.schema().has_column(column)));
    !condition.exists(is_farther).unwrap_or(true)
}
