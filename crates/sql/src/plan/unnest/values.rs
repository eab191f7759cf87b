//! Rows beside what their subqueries come to: a value, or a mark that says whether there are rows.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions_aggregate::expr_fn::{count, first_value};
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, lit, not};

use super::domain::{Domain, join};
use super::engine::{Place, works_out};
use super::truth::too_many_columns;
use super::{Names, only};

/// The rows that expressions are asked of, with what their subqueries came to.
pub(super) struct Below {
    /// The rows as they were.
    rows: LogicalPlan,
    pub(super) plan: LogicalPlan,
}

impl Below {
    pub(super) fn over(rows: LogicalPlan) -> Below {
        Below {
            plan: rows.clone(),
            rows,
        }
    }

    /// What a subquery names: of the rows as they were where that is all.
    fn domain(&self, subquery: &LogicalPlan) -> Result<Domain> {
        let all = Domain::of(&self.plan, subquery)?;
        let plain = Domain::of(&self.rows, subquery)?;
        Ok(match plain.columns.len() == all.columns.len() {
            true => plain,
            false => all,
        })
    }
}

impl Names {
    /// An expression with columns in the place of its subqueries, but those that the engine works out.
    pub(super) fn value(&self, expr: Expr, below: &mut Below, place: Place) -> Result<Expr> {
        let valued = expr.transform_down(|part| {
            if works_out(&part, place, &below.plan) {
                return Ok(Transformed::new(part, false, TreeNodeRecursion::Jump));
            }
            let value = match part {
                Expr::Exists(Exists { subquery, negated }) => {
                    let mark = self.mark(below, Arc::unwrap_or_clone(subquery.subquery))?;
                    if negated { not(mark) } else { mark }
                }
                Expr::ScalarSubquery(subquery) => self.scalar(below, Arc::unwrap_or_clone(subquery.subquery))?,
                other => return Ok(Transformed::no(other)),
            };
            Ok(Transformed::new(value, true, TreeNodeRecursion::Jump))
        })?;
        Ok(valued.data)
    }

    /// Keeps the rows of which a subquery has rows, or has none.
    pub(super) fn joined(&self, below: &mut Below, subquery: LogicalPlan, join_type: JoinType) -> Result<()> {
        let (found, pairs) = self.found(below, subquery)?;
        let rows = std::mem::take(&mut below.plan);
        below.plan = join(rows, found, join_type, pairs, Vec::new(), None)?;
        Ok(())
    }

    /// Whether the subquery has rows.
    fn mark(&self, below: &mut Below, subquery: LogicalPlan) -> Result<Expr> {
        let (found, pairs) = self.found(below, subquery)?;
        let name = self.next();
        let found = LogicalPlanBuilder::from(found).alias(name.clone())?.build()?;
        let of_mark = |found: Expr| match found {
            Expr::Column(found) => Expr::Column(Column::new(Some(name.clone()), found.name)),
            other => other,
        };
        let pairs = pairs.into_iter().map(|(outer, found)| (outer, of_mark(found)));
        let pairs = pairs.collect();
        let rows = std::mem::take(&mut below.plan);
        below.plan = join(rows, found, JoinType::LeftMark, pairs, Vec::new(), None)?;
        Ok(Expr::Column(Column::new(Some(name), "mark")))
    }

    /// The outer rows of which there are rows, and the pairs of columns that say so.
    fn found(&self, below: &Below, subquery: LogicalPlan) -> Result<(LogicalPlan, Vec<(Expr, Expr)>)> {
        let domain = below.domain(&subquery)?;
        let (found, columns) = self.push(subquery, &domain)?;
        let found = LogicalPlanBuilder::from(found);
        let found = match columns.is_empty() {
            true => found.limit(0, Some(1))?.project([lit(true).alias(self.next())])?,
            false => found.project(columns.iter().cloned().map(Expr::Column))?,
        };
        Ok((found.build()?, domain.pairs(&columns)))
    }

    /// The one value of the subquery, or NULL where it has no row.
    fn scalar(&self, below: &mut Below, subquery: LogicalPlan) -> Result<Expr> {
        let columns = subquery.schema().columns();
        let [value] = columns.as_slice() else {
            return Err(too_many_columns().into());
        };
        let is_single = has_one_row(&subquery);
        let domain = below.domain(&subquery)?;
        let (found, columns) = self.push(subquery, &domain)?;
        let name = self.next();
        let mut keys: Vec<Column> = Vec::new();
        let mut exprs: Vec<Expr> = vec![Expr::Column(value.clone()).alias(name.clone())];
        for column in columns {
            let key = self.next();
            exprs.push(Expr::Column(column).alias(key.clone()));
            keys.push(Column::new_unqualified(key));
        }
        let value = Column::new_unqualified(name);
        let mut found = LogicalPlanBuilder::from(found).project(exprs)?;
        if !is_single {
            let (first, rows) = (self.next(), self.next());
            let group = keys.iter().cloned().map(Expr::Column);
            let of_all = [
                first_value(Expr::Column(value.clone()), Vec::new()).alias(first.clone()),
                count(lit(1)).alias(rows.clone()),
            ];
            let checked = only::of(
                Expr::Column(Column::new_unqualified(first)),
                Expr::Column(Column::new_unqualified(rows)),
            );
            let exprs = keys.iter().cloned().map(Expr::Column);
            let exprs = exprs.chain([checked.alias(value.name.clone())]);
            found = found.aggregate(group, of_all)?.project(exprs)?;
        }
        let rows = std::mem::take(&mut below.plan);
        below.plan = join(
            rows,
            found.build()?,
            JoinType::Left,
            domain.pairs(&keys),
            Vec::new(),
            None,
        )?;
        Ok(Expr::Column(value))
    }
}

/// Whether a query has at most one row of each outer one.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(node) => node.group_expr.is_empty(),
        LogicalPlan::Limit(node) => matches!(node.fetch.as_deref(), Some(Expr::Literal(rows, _)) if is_one(rows)),
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) => {
            plan.inputs().iter().all(|input| has_one_row(input))
        }
        _ => false,
    }
}

fn is_one(rows: &ScalarValue) -> bool {
    matches!(rows, ScalarValue::Int64(Some(0 | 1)))
}
