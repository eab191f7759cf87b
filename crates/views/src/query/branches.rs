//! The ways from the scans of a plan up to what makes groups or rows of their events, and the steps on each.

use std::sync::Arc;

use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};

use super::refuse::{node, refused, refused_but};
use super::simplify;
use crate::ViewError;
use crate::fold::stage::{Physical, Stage};
use crate::fold::unnest::Unnest;

/// One way into the aggregate.
pub(super) struct Branch<'a> {
    pub below: Vec<&'a LogicalPlan>,
    pub scan: &'a TableScan,
}

pub(super) fn has_aggregate(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Aggregate(_)) || plan.inputs().into_iter().any(has_aggregate)
}

/// Goes down to the scans below.
pub(super) fn branch_out<'a>(
    mut plan: &'a LogicalPlan,
    mut below: Vec<&'a LogicalPlan>,
    found: &mut Vec<Branch<'a>>,
) -> Result<(), ViewError> {
    loop {
        match plan {
            LogicalPlan::Projection(projection) => {
                below.push(plan);
                plan = &projection.input;
            }
            LogicalPlan::Filter(filter) => {
                below.push(plan);
                plan = &filter.input;
            }
            LogicalPlan::Unnest(unnest) => {
                below.push(plan);
                plan = &unnest.input;
            }
            LogicalPlan::SubqueryAlias(alias) => plan = &alias.input,
            LogicalPlan::Union(union) => {
                for input in &union.inputs {
                    branch_out(input, below.clone(), found)?;
                }
                return Ok(());
            }
            LogicalPlan::Aggregate(_) => {
                return Err(refused_but(
                    "an aggregate of an aggregate",
                    "keep the inner one as a view, and ask the outer one of it by a plain view (CREATE VIEW)",
                ));
            }
            LogicalPlan::TableScan(scan) if scan.fetch.is_some() => return Err(refused("LIMIT")),
            LogicalPlan::TableScan(scan) => {
                found.push(Branch { below, scan });
                return Ok(());
            }
            other => return Err(node(other)),
        }
    }
}

/// From the scanned columns to the aggregate's input.
pub(super) fn stages(branch: &Branch<'_>, session: &SessionState) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for filter in &branch.scan.filters {
        stages.push(Stage::Filter(simplify::physical(
            session,
            filter,
            &branch.scan.projected_schema,
        )?));
    }
    for plan in branch.below.iter().rev() {
        stages.push(stage(plan, session)?);
    }
    Ok(stages)
}

pub(super) fn stage(plan: &LogicalPlan, session: &SessionState) -> Result<Stage> {
    match plan {
        LogicalPlan::Filter(filter) => Ok(Stage::Filter(simplify::physical(
            session,
            &filter.predicate,
            filter.input.schema(),
        )?)),
        LogicalPlan::Projection(projection) => Ok(Stage::Project(
            physical(session, &projection.expr, projection.input.schema())?,
            Arc::new(projection.schema.as_arrow().clone()),
        )),
        LogicalPlan::Unnest(unnest) => {
            let unnest = Unnest::of(unnest).map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(Stage::Unnest(unnest))
        }
        other => Err(DataFusionError::Internal(format!(
            "{} is no step of a view's query",
            other.display()
        ))),
    }
}

pub(super) fn physical(session: &SessionState, expressions: &[Expr], input: &DFSchema) -> Result<Vec<Physical>> {
    expressions
        .iter()
        .map(|expression| simplify::physical(session, expression, input))
        .collect()
}

/// A refusal of ours comes out as it went in.
pub(super) fn failed(error: DataFusionError) -> ViewError {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<ViewError>() {
            Ok(refusal) => *refusal,
            Err(other) => ViewError::Failed(other.to_string()),
        },
        other => ViewError::Failed(other.strip_backtrace()),
    }
}
