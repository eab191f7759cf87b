//! From a logical plan to a [`Query`], or the refusal of the part that cannot be kept event by event.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{self, Expr, LogicalPlan, TableScan};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};

use super::refuse::{check_expression, node, refused, refused_but};
use super::{Aggregate, Query};
use crate::stage::{Physical, Stage, over};
use crate::{ViewError, ViewSpec};

/// The columns whose values only the log knows.
const APPEND_COLUMNS: [&str; 3] = ["_offset", "_appended_at", "_principal"];

/// The plan, taken apart: the nodes above and below its one aggregate, from the top down.
struct Parts<'a> {
    above: Vec<&'a LogicalPlan>,
    aggregate: &'a logical_expr::Aggregate,
    below: Vec<&'a LogicalPlan>,
    scan: &'a TableScan,
}

/// Compiles a view's query.
pub(crate) fn compile(spec: &ViewSpec) -> Result<Query, ViewError> {
    if !spec.definition.key.is_empty() {
        return Err(refused_but(
            "KEY (…), where the newest row wins,",
            "it is not there yet; say what one row is with GROUP BY and take its values with max(…)",
        ));
    }
    if let Some(query) = super::events::compile(spec)? {
        return Ok(query);
    }
    let parts = take_apart(&spec.plan)?;
    check(&parts)?;
    build(&parts, spec).map_err(|error| ViewError::Failed(error.strip_backtrace()))
}

fn take_apart(plan: &LogicalPlan) -> Result<Parts<'_>, ViewError> {
    let (mut above, mut below) = (Vec::new(), Vec::new());
    let mut aggregate = None;
    let mut plan = plan;
    loop {
        let nodes = if aggregate.is_none() { &mut above } else { &mut below };
        match plan {
            LogicalPlan::Projection(projection) => {
                nodes.push(plan);
                plan = &projection.input;
            }
            LogicalPlan::Filter(filter) => {
                nodes.push(plan);
                plan = &filter.input;
            }
            LogicalPlan::SubqueryAlias(alias) => plan = &alias.input,
            LogicalPlan::Aggregate(_) if aggregate.is_some() => {
                return Err(refused_but(
                    "an aggregate of an aggregate",
                    "make the inner one a view and ask the outer one of it (CREATE VIEW)",
                ));
            }
            LogicalPlan::Aggregate(found) => {
                aggregate = Some(found);
                plan = &found.input;
            }
            LogicalPlan::TableScan(scan) => {
                let Some(aggregate) = aggregate else {
                    return Err(refused_but(
                        "a query without GROUP BY",
                        "say what one row is with GROUP BY, or make it a plain view (CREATE VIEW name AS SELECT …), computed when it is asked",
                    ));
                };
                if scan.fetch.is_some() {
                    return Err(refused("LIMIT"));
                }
                return Ok(Parts {
                    above,
                    aggregate,
                    below,
                    scan,
                });
            }
            other => return Err(node(other)),
        }
    }
}

fn check(parts: &Parts<'_>) -> Result<(), ViewError> {
    for plan in parts.above.iter().chain(&parts.below) {
        for expression in plan.expressions() {
            check_expression(&expression)?;
        }
    }
    let aggregate = parts.aggregate;
    let expressions = aggregate
        .group_expr
        .iter()
        .chain(&aggregate.aggr_expr)
        .chain(&parts.scan.filters);
    expressions.into_iter().try_for_each(check_expression)
}

fn build(parts: &Parts<'_>, spec: &ViewSpec) -> Result<Query> {
    let session = &spec.session;
    let mut stages = Vec::new();
    for filter in &parts.scan.filters {
        stages.push(Stage::Filter(
            session.create_physical_expr(filter.clone(), &parts.scan.projected_schema)?,
        ));
    }
    for plan in parts.below.iter().rev() {
        stages.push(stage(plan, session)?);
    }
    let aggregate = parts.aggregate;
    let input = aggregate.input.schema();
    let mut group = physical(session, &aggregate.group_expr, input)?;
    let mut aggregates = Vec::new();
    for expression in &aggregate.aggr_expr {
        aggregates.push(lower(expression, input, session)?);
    }

    let key_reads_append = reads_append(&stages, &group);
    let key_sources = key_sources(&stages, &group, parts.scan);
    let columns = columns_read(&stages, &group, &aggregates);
    let scanned = parts.scan.projected_schema.as_arrow();
    let read = Schema::new(
        columns
            .iter()
            .map(|index| scanned.field(*index).clone())
            .collect::<Vec<_>>(),
    );
    narrow(&mut stages, &mut group, &mut aggregates, &read)?;

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
        .map(|aggregate| aggregate.function.state_fields())
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
        Stage::Filter(_) => None,
    });
    Ok(Query {
        stream: parts.scan.table_name.table().to_owned(),
        columns: read.fields().iter().map(|field| field.name().clone()).collect(),
        keys: converter(sort_fields(key_fields))?,
        key_types: key_fields.iter().map(|field| field.data_type().clone()).collect(),
        states: converter(sort_fields(&state_fields))?,
        is_per_event: false,
        key_columns: key_columns(group.len(), &finish),
        depends_on_append: key_reads_append,
        key_sources,
        fingerprint: fingerprint(parts, &read, &state_fields, spec),
        output: output.unwrap_or_else(|| grouped.clone()),
        stages,
        group,
        aggregates,
        finish,
        grouped,
    })
}

pub(super) fn stage(plan: &LogicalPlan, session: &SessionState) -> Result<Stage> {
    match plan {
        LogicalPlan::Filter(filter) => Ok(Stage::Filter(
            session.create_physical_expr(filter.predicate.clone(), filter.input.schema())?,
        )),
        LogicalPlan::Projection(projection) => Ok(Stage::Project(
            physical(session, &projection.expr, projection.input.schema())?,
            Arc::new(projection.schema.as_arrow().clone()),
        )),
        other => Err(DataFusionError::Internal(format!(
            "{} is neither a filter nor a projection",
            other.display()
        ))),
    }
}

fn physical(session: &SessionState, expressions: &[Expr], input: &DFSchema) -> Result<Vec<Physical>> {
    expressions
        .iter()
        .map(|expression| session.create_physical_expr(expression.clone(), input))
        .collect()
}

fn lower(expression: &Expr, input: &DFSchema, session: &SessionState) -> Result<Aggregate> {
    let planning = PhysicalPlanningContext::default();
    let lowered = LoweredAggregateBuilder::new(
        expression,
        input,
        input.as_arrow(),
        session.execution_props(),
        &planning,
    )
    .build()?;
    Ok(Aggregate {
        arguments: lowered.aggregate.expressions(),
        states: lowered.aggregate.state_fields()?.len(),
        function: lowered.aggregate,
        filter: lowered.filter,
    })
}

/// The indexes of the scanned columns that anything before the first projection reads.
pub(super) fn columns_read(stages: &[Stage], group: &[Physical], aggregates: &[Aggregate]) -> BTreeSet<usize> {
    let mut columns = BTreeSet::new();
    let mut add = |expression: &Physical| columns.extend(collect_columns(expression).iter().map(Column::index));
    for stage in stages {
        stage.expressions().iter().for_each(&mut add);
        if matches!(stage, Stage::Project(..)) {
            return columns;
        }
    }
    group.iter().for_each(&mut add);
    for aggregate in aggregates {
        aggregate.arguments.iter().chain(&aggregate.filter).for_each(&mut add);
    }
    columns
}

/// Lets everything before the first projection read a batch of only the columns that are read.
pub(super) fn narrow(
    stages: &mut Vec<Stage>,
    group: &mut Vec<Physical>,
    aggregates: &mut [Aggregate],
    read: &Schema,
) -> Result<()> {
    let mut reads_scan = true;
    for stage in std::mem::take(stages) {
        stages.push(if reads_scan {
            stage.clone().over(read)?
        } else {
            stage.clone()
        });
        reads_scan &= !matches!(stage, Stage::Project(..));
    }
    if reads_scan {
        *group = over(std::mem::take(group), read)?;
        for aggregate in aggregates {
            aggregate.arguments = over(std::mem::take(&mut aggregate.arguments), read)?;
            aggregate.filter = aggregate
                .filter
                .take()
                .map(|filter| reassign_expr_columns(filter, read))
                .transpose()?;
        }
    }
    Ok(())
}

/// Whether a filter or a group reads a column that only the log knows; a projection in between counts with all it reads.
pub(super) fn reads_append(stages: &[Stage], group: &[Physical]) -> bool {
    let reads = |expression: &Physical| {
        collect_columns(expression)
            .iter()
            .any(|column| APPEND_COLUMNS.contains(&column.name()))
    };
    stages.iter().flat_map(Stage::expressions).chain(group).any(reads)
}

/// The stream's columns that the key is made of, one for one; `None` where a key column is worked out from others.
fn key_sources(stages: &[Stage], group: &[Physical], scan: &TableScan) -> Option<Vec<String>> {
    let mut sources: Vec<Physical> = group.to_vec();
    for stage in stages.iter().rev() {
        if let Stage::Project(columns, _) = stage {
            sources = sources
                .iter()
                .map(|source| Some(columns.get(source.downcast_ref::<Column>()?.index())?.clone()))
                .collect::<Option<_>>()?;
        }
    }
    let scanned = scan.projected_schema.as_arrow();
    let name = |source: &Physical| Some(scanned.field(source.downcast_ref::<Column>()?.index()).name().clone());
    sources.iter().map(name).collect()
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

fn fingerprint(parts: &Parts<'_>, read: &Schema, states: &[arrow::datatypes::FieldRef], spec: &ViewSpec) -> String {
    let states: Vec<String> = states
        .iter()
        .map(|field| format!("{}: {}", field.name(), field.data_type()))
        .collect();
    let read: Vec<String> = read
        .fields()
        .iter()
        .map(|field| format!("{}: {} {}", field.name(), field.data_type(), field.is_nullable()))
        .collect();
    format!(
        "rows 2, DataFusion {}\n{}\n{}\n{}\n{}",
        datafusion::DATAFUSION_VERSION,
        spec.plan.display_indent(),
        parts.scan.table_name,
        read.join(", "),
        states.join(", ")
    )
}
