//! From a logical plan to a [`Query`], or the refusal of the part that cannot be kept event by event.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{self, Expr, LogicalPlan};
use datafusion::physical_expr::aggregate::{LoweredAggregate, LoweredAggregateBuilder};
use datafusion::physical_expr::expressions::Column;

use super::branches::{Branch, branch_out, failed, has_aggregate, physical, stage, stages};
use super::canonical::canonical;
use super::choice::chosen;
use super::input::{Input, Source, Wide};
use super::refuse::{check_expression, check_shape, node, refused_but};
use super::{Aggregate, Query, events, simplify};
use crate::fold::stage::{Physical, Stage};
use crate::rows::entries::{Keeping, list_columns};
use crate::rows::keys::key_fields as key_fields_of;
use crate::{ViewError, ViewSpec};

/// The plan, taken apart: the nodes above its one aggregate, and the ways into it, from the top down.
struct Parts<'a> {
    above: Vec<&'a LogicalPlan>,
    aggregate: &'a logical_expr::Aggregate,
    branches: Vec<Branch<'a>>,
}

impl Query {
    /// Compiles a view's query.
    pub(crate) fn compile(spec: &ViewSpec) -> Result<Query, ViewError> {
        if let Some(query) = events::compile(spec)? {
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
    let group = physical(session, &once_each(&aggregate.group_expr), aggregate.input.schema())?;
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
        view: spec.definition.name.clone(),
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

/// Expressions that are named twice once, as the schema of what is grouped by them has them.
fn once_each(expressions: &[Expr]) -> Vec<Expr> {
    let mut once: Vec<Expr> = Vec::with_capacity(expressions.len());
    for expression in expressions {
        if !once.contains(expression) {
            once.push(expression.clone());
        }
    }
    once
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
        "rows 6, DataFusion {}\n{}\n{}\n{}",
        datafusion::DATAFUSION_VERSION,
        LogicalPlan::Aggregate(parts.aggregate.clone()).display_indent(),
        read.join("\n"),
        states.join(", ")
    )
}
