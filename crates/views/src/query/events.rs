//! A query that makes one row of each event: filters and projections, and no aggregate.
//!
//! Such rows have no key, are never changed, and would be the stream once more: they belong into a table of column files, which is read by whoever
//! reads much of it. Every column of the rows may be NULL, for the other programs' sake.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use headwater_catalog::Shape;

use super::Query;
use super::compile::{columns_read, narrow, reads_append, stage};
use super::refuse::check_expression;
use crate::stage::Stage;
use crate::{ViewError, ViewSpec};

/// The plan, taken apart from the top down: filters and projections over one stream.
struct Parts<'a> {
    steps: Vec<&'a LogicalPlan>,
    scan: &'a TableScan,
}

/// Compiles a columnar view's query; `None` where it is another kind of view, or its query is another kind of query.
pub(super) fn compile(spec: &ViewSpec) -> Result<Option<Query>, ViewError> {
    if !matches!(spec.definition.shape, Some(Shape::Columnar { .. })) {
        return Ok(None);
    }
    let Some(parts) = take_apart(&spec.plan) else {
        return Ok(None);
    };
    let expressions = parts.steps.iter().flat_map(|step| step.expressions());
    for expression in expressions.chain(parts.scan.filters.clone()) {
        check_expression(&expression)?;
    }
    let query = build(&parts, spec).map_err(|error| ViewError::Failed(error.strip_backtrace()))?;
    Ok(Some(query))
}

fn take_apart(mut plan: &LogicalPlan) -> Option<Parts<'_>> {
    let mut steps = Vec::new();
    loop {
        match plan {
            LogicalPlan::Projection(projection) => {
                steps.push(plan);
                plan = &projection.input;
            }
            LogicalPlan::Filter(filter) => {
                steps.push(plan);
                plan = &filter.input;
            }
            LogicalPlan::SubqueryAlias(alias) => plan = &alias.input,
            LogicalPlan::TableScan(scan) if scan.fetch.is_none() => return Some(Parts { steps, scan }),
            _ => return None,
        }
    }
}

fn build(parts: &Parts<'_>, spec: &ViewSpec) -> Result<Query> {
    let scan = parts.scan;
    let mut stages = Vec::new();
    for filter in &scan.filters {
        let filter = spec
            .session
            .create_physical_expr(filter.clone(), &scan.projected_schema)?;
        stages.push(Stage::Filter(filter));
    }
    for step in parts.steps.iter().rev() {
        stages.push(stage(step, &spec.session)?);
    }
    let depends_on_append = reads_append(&stages, &[]);
    let scanned = scan.projected_schema.as_arrow();
    let is_whole = !stages.iter().any(|stage| matches!(stage, Stage::Project(..)));
    let columns: Vec<usize> = match is_whole {
        true => (0..scanned.fields().len()).collect(),
        false => columns_read(&stages, &[], &[]).into_iter().collect(),
    };
    let read = scanned.project(&columns)?;
    narrow(&mut stages, &mut Vec::new(), &mut [], &read)?;
    let output = nullable(spec.plan.schema().as_arrow());
    Ok(Query {
        stream: scan.table_name.table().to_owned(),
        columns: read.fields().iter().map(|field| field.name().clone()).collect(),
        stages,
        group: Vec::new(),
        aggregates: Vec::new(),
        keys: None,
        key_types: Vec::new(),
        states: None,
        finish: Vec::new(),
        grouped: Arc::clone(&output),
        is_per_event: true,
        key_columns: Vec::new(),
        depends_on_append,
        key_sources: None,
        fingerprint: fingerprint(spec, &read, &output),
        output,
    })
}

fn nullable(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| Field::new(field.name(), field.data_type().clone(), true);
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<Field>>()))
}

/// What the rows are follows from the text and the types: no other version of the query engine makes a table anew that others read.
fn fingerprint(spec: &ViewSpec, read: &Schema, output: &Schema) -> String {
    let typed = |schema: &Schema| -> String {
        let fields = schema.fields().iter();
        let fields = fields.map(|field| format!("{}: {}", field.name(), field.data_type()));
        fields.collect::<Vec<String>>().join(", ")
    };
    format!(
        "events 1\n{}\n{}\n{}",
        spec.definition.query,
        typed(read),
        typed(output)
    )
}
