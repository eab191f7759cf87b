//! From a logical plan to a [`Query`], or the refusal of the part that cannot be kept event by event.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{self, Expr, LogicalPlan, TableScan};
use datafusion::physical_expr::aggregate::{LoweredAggregate, LoweredAggregateBuilder};
use datafusion::physical_expr::expressions::Column;

use super::canonical::canonical;
use super::choice::chosen;
use super::events::every_column;
use super::input::{Input, Source, Wide};
use super::refuse::{check_expression, check_shape, node, refused, refused_but};
use super::{Aggregate, Query, simplify};
use crate::entries::{Keeping, list_columns};
use crate::keys::key_fields as key_fields_of;
use crate::stage::{Physical, Stage};
use crate::unnest::Unnest;
use crate::{ViewError, ViewSpec};

/// The plan, taken apart: the nodes above its one aggregate, and the ways into it, from the top down.
struct Parts<'a> {
    above: Vec<&'a LogicalPlan>,
    aggregate: &'a logical_expr::Aggregate,
    branches: Vec<Branch<'a>>,
}

/// One way into the aggregate.
pub(super) struct Branch<'a> {
    pub below: Vec<&'a LogicalPlan>,
    pub scan: &'a TableScan,
}

/// Compiles a view's query.
pub(crate) fn compile(spec: &ViewSpec) -> Result<Query, ViewError> {
    if let Some(query) = super::events::compile(spec)? {
        return Ok(query);
    }
    let plan = canonical(&spec.plan).map_err(|error| ViewError::Failed(error.strip_backtrace()))?;
    let parts = take_apart(&plan)?;
    check(&parts)?;
    let mut query = build(&parts, spec).map_err(failed)?;
    let lists = query.lists_kept();
    if !lists.is_empty() {
        check_shape(spec.definition.shape.as_ref())?;
    }
    query.lists = list_columns(query.key_types.len(), &lists, &query.finish)?;
    Ok(query)
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

fn take_apart(plan: &LogicalPlan) -> Result<Parts<'_>, ViewError> {
    let mut above = Vec::new();
    let mut plan = plan;
    loop {
        match plan {
            LogicalPlan::Projection(projection) => {
                above.push(plan);
                plan = &projection.input;
            }
            LogicalPlan::Filter(filter) => {
                above.push(plan);
                plan = &filter.input;
            }
            LogicalPlan::SubqueryAlias(alias) => plan = &alias.input,
            LogicalPlan::Aggregate(aggregate) => {
                let mut branches = Vec::new();
                branch_out(&aggregate.input, Vec::new(), &mut branches)?;
                return Ok(Parts {
                    above,
                    aggregate,
                    branches,
                });
            }
            LogicalPlan::Union(union) if union.inputs.iter().any(|input| has_aggregate(input)) => {
                return Err(refused_but(
                    "UNION ALL of queries with GROUP BY",
                    "group what they have together: SELECT … FROM (SELECT … UNION ALL SELECT …) AS both GROUP BY …",
                ));
            }
            LogicalPlan::TableScan(_) | LogicalPlan::Union(_) => {
                return Err(refused_but(
                    "a query without GROUP BY",
                    "say what one row is with GROUP BY, or with KEY (…) that the newest row of each key is wanted, or make it a plain view \
                     (CREATE VIEW name AS SELECT …), computed when it is asked",
                ));
            }
            other => return Err(node(other)),
        }
    }
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

fn check(parts: &Parts<'_>) -> Result<(), ViewError> {
    let below = parts.branches.iter().flat_map(|branch| &branch.below);
    for plan in parts.above.iter().chain(below) {
        for expression in plan.expressions() {
            check_expression(&expression)?;
        }
    }
    let aggregate = parts.aggregate;
    let filters = parts.branches.iter().flat_map(|branch| &branch.scan.filters);
    let expressions = aggregate.group_expr.iter().chain(&aggregate.aggr_expr).chain(filters);
    expressions.into_iter().try_for_each(check_expression)
}

fn build(parts: &Parts<'_>, spec: &ViewSpec) -> Result<Query> {
    let session = &spec.session;
    let aggregate = parts.aggregate;
    let group = physical(session, &aggregate.group_expr, aggregate.input.schema())?;
    let mut aggregates = Vec::new();
    let mut lowered = Vec::new();
    for expression in &aggregate.aggr_expr {
        let expression = simplify::aggregate(session, expression, aggregate.input.schema())?;
        let made = lower(&expression, aggregate.input.schema(), session)?;
        let keeping = Keeping::of(&made.aggregate, aggregate.input.schema().as_arrow())?;
        aggregates.push(Aggregate {
            states: keeping.state_fields(&made.aggregate)?.len(),
            function: made.aggregate.clone(),
            keeping,
        });
        let arguments = made.aggregate.expressions().into_iter();
        let arguments = arguments.map(|argument| chosen(argument, aggregate.input.schema().as_arrow()));
        lowered.push((arguments.collect::<Result<Vec<Physical>>>()?, made.filter));
    }
    let mut inputs = Vec::with_capacity(parts.branches.len());
    for branch in &parts.branches {
        let wide = Wide {
            source: Source::of(branch.scan),
            stages: stages(branch, session)?,
            group: group.clone(),
            arguments: lowered.iter().map(|(arguments, _)| arguments.clone()).collect(),
            filters: lowered.iter().map(|(_, filter)| filter.clone()).collect(),
        };
        inputs.push(wide.narrow(branch.scan.projected_schema.as_arrow())?);
    }

    let finish = parts
        .above
        .iter()
        .rev()
        .map(|plan| stage(plan, session))
        .collect::<Result<Vec<_>>>()?;
    let grouped: SchemaRef = Arc::new(aggregate.schema.as_arrow().clone());
    let key_fields = &grouped.fields()[..group.len()];
    let state_fields = aggregates
        .iter()
        .map(|aggregate| aggregate.keeping.state_fields(&aggregate.function))
        .collect::<Result<Vec<_>>>()?
        .concat();
    let sort_fields = |fields: &[arrow::datatypes::FieldRef]| -> Vec<SortField> {
        fields
            .iter()
            .map(|field| SortField::new(field.data_type().clone()))
            .collect()
    };
    let converter = |fields: Vec<SortField>| -> Result<Option<RowConverter>> {
        Ok(if fields.is_empty() {
            None
        } else {
            Some(RowConverter::new(fields)?)
        })
    };
    let output = finish.iter().rev().find_map(|stage| match stage {
        Stage::Project(_, schema) => Some(schema.clone()),
        Stage::Filter(_) | Stage::Unnest(_) => None,
    });
    Ok(Query {
        keys: converter(key_fields_of(key_fields.iter().map(|field| field.data_type())))?,
        key_types: key_fields.iter().map(|field| field.data_type().clone()).collect(),
        states: converter(sort_fields(&state_fields))?,
        is_per_event: false,
        key_columns: key_columns(group.len(), &finish),
        partitions: Vec::new(),
        lists: Vec::new(),
        is_keyed: !spec.definition.key.is_empty(),
        fingerprint: fingerprint(parts, &inputs, &state_fields),
        surface: surface(parts),
        output: output.unwrap_or_else(|| grouped.clone()),
        inputs,
        aggregates,
        finish,
        grouped,
    })
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
        let is_first = !stages.iter().any(|stage| matches!(stage, Stage::Project(..)));
        if is_first && matches!(plan, LogicalPlan::Unnest(_)) {
            // What is scanned is narrowed to what the first projection reads.
            stages.push(every_column(branch.scan.projected_schema.as_arrow()));
        }
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

fn physical(session: &SessionState, expressions: &[Expr], input: &DFSchema) -> Result<Vec<Physical>> {
    expressions
        .iter()
        .map(|expression| simplify::physical(session, expression, input))
        .collect()
}

fn lower(expression: &Expr, input: &DFSchema, session: &SessionState) -> Result<LoweredAggregate> {
    let planning = PhysicalPlanningContext::default();
    let lowered = LoweredAggregateBuilder::new(
        expression,
        input,
        input.as_arrow(),
        session.execution_props(),
        &planning,
    );
    lowered.build()
}

/// Where the columns of the key stand in the view's rows; empty where one of them does not.
fn key_columns(keys: usize, finish: &[Stage]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..keys).collect();
    for stage in finish {
        let Stage::Project(columns, _) = stage else {
            continue;
        };
        let place_of = |key: usize| {
            columns.iter().position(|column| {
                column
                    .downcast_ref::<Column>()
                    .is_some_and(|column| column.index() == key)
            })
        };
        match places
            .iter()
            .map(|place| place_of(*place))
            .collect::<Option<Vec<usize>>>()
        {
            Some(moved) => places = moved,
            None => return Vec::new(),
        }
    }
    places
}

/// How rows are made of keys and states.
fn surface(parts: &Parts<'_>) -> String {
    let steps = parts
        .above
        .iter()
        .map(|plan| format!("{}: {}\n", plan.display(), plan.schema()));
    steps.collect()
}

fn fingerprint(parts: &Parts<'_>, inputs: &[Input], states: &[arrow::datatypes::FieldRef]) -> String {
    let states: Vec<String> = states
        .iter()
        .map(|field| format!("{}: {}", field.name(), field.data_type()))
        .collect();
    let mut read: Vec<String> = Vec::new();
    for (input, branch) in inputs.iter().zip(&parts.branches) {
        let scanned = branch.scan.projected_schema.as_arrow();
        let fields = input
            .columns
            .iter()
            .filter_map(|name| scanned.field_with_name(name).ok());
        let fields: Vec<String> = fields
            .map(|field| format!("{}: {} {}", field.name(), field.data_type(), field.is_nullable()))
            .collect();
        read.push(format!("{} {}", input.source, fields.join(", ")));
    }
    format!(
        "rows 5, DataFusion {}\n{}\n{}\n{}",
        datafusion::DATAFUSION_VERSION,
        LogicalPlan::Aggregate(parts.aggregate.clone()).display_indent(),
        read.join("\n"),
        states.join(", ")
    )
}
