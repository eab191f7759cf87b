//! The values of the outer row that a subquery names, each once, and joins on them.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinConstraint, NullEquality, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, Join, JoinType, LogicalPlan, LogicalPlanBuilder, lit};

use super::Names;

/// What a subquery names of the rows around it.
pub(super) struct Domain {
    /// The rows around it.
    rows: LogicalPlan,
    pub(super) columns: Vec<Column>,
}

impl Domain {
    /// The columns of these rows that a subquery names; those of rows farther out are another one's.
    pub(super) fn of(rows: &LogicalPlan, subquery: &LogicalPlan) -> Result<Domain> {
        let mut columns = named(subquery)?;
        columns.retain(|column| rows.schema().has_column(column));
        Ok(Domain {
            rows: rows.clone(),
            columns,
        })
    }

    /// The values as a table of its own, with the names of its columns.
    pub(super) fn table(&self, names: &Names) -> Result<(LogicalPlan, Vec<Column>)> {
        let mut columns: Vec<Column> = Vec::new();
        let mut values: Vec<Expr> = Vec::new();
        for column in &self.columns {
            let name = names.next();
            values.push(Expr::Column(column.clone()).alias(name.clone()));
            columns.push(Column::new_unqualified(name));
        }
        let values = LogicalPlanBuilder::from(self.rows.clone()).project(values)?.build()?;
        Ok((LogicalPlan::Distinct(Distinct::All(Arc::new(values))), columns))
    }

    /// Whether an expression names one of the columns.
    pub(super) fn is_in(&self, expr: &Expr) -> bool {
        let named =
            |part: &Expr| Ok(matches!(part, Expr::OuterReferenceColumn(_, column) if self.columns.contains(column)));
        expr.exists(named).unwrap_or(false)
    }

    /// Whether a plan does.
    pub(super) fn is_below(&self, plan: &LogicalPlan) -> bool {
        let below = plan.exists(|node| Ok(node.expressions().iter().any(|expr| self.is_in(expr))));
        below.unwrap_or(true)
    }

    /// An expression with these columns in the place of the outer ones.
    pub(super) fn replaced(&self, expr: Expr, by: &[Column]) -> Result<Expr> {
        let replaced = expr.transform_up(|part| {
            let Expr::OuterReferenceColumn(_, column) = &part else {
                return Ok(Transformed::no(part));
            };
            let found = self.columns.iter().position(|known| known == column);
            Ok(match found.and_then(|place| by.get(place)) {
                Some(column) => Transformed::yes(Expr::Column(column.clone())),
                None => Transformed::no(part),
            })
        })?;
        Ok(replaced.data)
    }

    /// The outer columns, each beside its own among these.
    pub(super) fn pairs(&self, found: &[Column]) -> Vec<(Expr, Expr)> {
        pairs(&self.columns, found)
    }
}

/// Columns, each beside its own.
pub(super) fn pairs(left: &[Column], right: &[Column]) -> Vec<(Expr, Expr)> {
    let pairs = left.iter().cloned().zip(right.iter().cloned());
    pairs
        .map(|(left, right)| (Expr::Column(left), Expr::Column(right)))
        .collect()
}

/// The columns of outer rows that a plan names.
pub(super) fn named(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::OuterReferenceColumn(_, column) = part
                    && !columns.contains(column)
                {
                    columns.push(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(columns)
}

/// Joins on pairs that are equal also where both are NULL, and on what else is asked.
pub(super) fn join(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: JoinType,
    pairs: Vec<(Expr, Expr)>,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
) -> Result<LogicalPlan> {
    let may_be_null = |plan: &LogicalPlan, value: &Expr| value.nullable(plan.schema()).unwrap_or(true);
    let are_nulls = pairs
        .iter()
        .any(|(of_left, of_right)| may_be_null(&left, of_left) && may_be_null(&right, of_right));
    let mut filters: Vec<Expr> = filter.into_iter().collect();
    if are_nulls {
        // What else is equal is not where both are NULL.
        filters.extend(on.iter().map(|(left, right)| left.clone().eq(right.clone())));
    }
    let on: Vec<(Expr, Expr)> = pairs.into_iter().chain(on).collect();
    if on.is_empty() && filters.is_empty() && join_type != JoinType::Inner {
        filters.push(lit(true));
    }
    Ok(LogicalPlan::Join(Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        conjunction(filters),
        join_type,
        JoinConstraint::On,
        if are_nulls {
            NullEquality::NullEqualsNull
        } else {
            NullEquality::NullEqualsNothing
        },
        false,
    )?))
}
