//! How deep a plan is, the views and subqueries in it included: bounded, since the engine walks over it, runs it and drops it by recursion.
//!
//! A statement's text is bounded when it is parsed; what views in each other add up to is seen here alone, where every plan of a question comes by.

use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{Query, TableFactor, Visit, Visitor};

use crate::limits::{JOIN_LEVELS, PLAN_LEVELS_MAX, PLANNING_STACK_BYTES, PLANNING_STACK_LEAST_BYTES, QUERY_TABLES_MAX};
use crate::{SqlError, SqlState};

/// Plans with a stack in which a whole statement finds room, however many views are being planned around it.
pub(super) fn with_room<T>(plan: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(PLANNING_STACK_LEAST_BYTES, PLANNING_STACK_BYTES, plan)
}

/// Refuses a query whose plan might be too deep to be made: each table is joined to those before it, and each name of WITH may stand for those before it.
pub(super) fn check_tables(query: &Query) -> Result<()> {
    let mut tables = Tables(0);
    match query.visit(&mut tables) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let message = format!("the query has more than {QUERY_TABLES_MAX} tables and queries in it");
            Err(SqlError::new(SqlState::TOO_COMPLEX, message)
                .hint("make views of its parts, and one of them a materialized view")
                .into())
        }
    }
}

/// Refuses a plan that is too deep. `spare` levels are left for whoever asks what is defined.
pub(super) fn check(plan: &LogicalPlan, spare: usize) -> Result<()> {
    if fits(plan, PLAN_LEVELS_MAX - spare)? {
        return Ok(());
    }
    let message = format!(
        "the plan is deeper than {PLAN_LEVELS_MAX} levels, those of the views in it included: each UNION, subquery and operator is one, a join is {JOIN_LEVELS}"
    );
    Err(SqlError::new(SqlState::TOO_COMPLEX, message)
        .hint("make one of the views in it a materialized view, or nest less in each other")
        .into())
}

/// The tables and queries of a query.
struct Tables(usize);

impl Tables {
    fn count(&mut self) -> ControlFlow<()> {
        self.0 += 1;
        match self.0 > QUERY_TABLES_MAX {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.count()
    }

    fn pre_visit_table_factor(&mut self, _table: &TableFactor) -> ControlFlow<()> {
        self.count()
    }
}

/// Whether a plan has at most so many levels. Nothing is looked at below them.
fn fits(plan: &LogicalPlan, levels: usize) -> Result<bool> {
    let own = match plan {
        LogicalPlan::Join(_) => JOIN_LEVELS,
        _ => 1,
    };
    let Some(levels) = levels.checked_sub(own) else {
        return Ok(false);
    };
    let mut below = Some(levels);
    plan.apply_expressions(|expr| {
        let left = expression(expr, levels)?;
        below = below.min(left);
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some(below) = below else { return Ok(false) };
    if let LogicalPlan::TableScan(scan) = plan
        && let Some(view) = scan.source.get_logical_plan()
        && !fits(&view, below)?
    {
        return Ok(false);
    }
    for input in plan.inputs() {
        if !fits(input, below)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many levels are left below an expression: it may come to stand in that of the plan around it. `None` where it does not fit.
fn expression(expr: &Expr, levels: usize) -> Result<Option<usize>> {
    let subquery = match expr {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(found) => Some(&found.subquery),
        Expr::SetComparison(compared) => Some(&compared.subquery),
        _ => None,
    };
    if let Some(subquery) = subquery
        && !fits(&subquery.subquery, levels)?
    {
        return Ok(None);
    }
    let mut left = Some(levels);
    expr.apply_children(|child| {
        let below = match levels.checked_sub(1) {
            Some(levels) => expression(child, levels)?,
            None => None,
        };
        left = left.min(below);
        Ok(match left {
            Some(_) => TreeNodeRecursion::Continue,
            None => TreeNodeRecursion::Stop,
        })
    })?;
    Ok(left)
}
