//! A query that makes one row of each event, or of each element of its arrays: filters, projections and UNNEST, and no aggregate.
//!
//! Such rows have no key, are never changed, and would be the stream once more: they belong into a table of column files, which is read by whoever
//! reads much of it. Every column of the rows may be NULL, for the other programs' sake.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use headwater_catalog::Shape;

use super::Query;
use super::branches::{Branch, branch_out, failed, has_aggregate, stages};
use super::canonical::words;
use super::input::{Source, Wide};
use super::refuse::check_expression;
use crate::{ViewError, ViewSpec};

/// Compiles a columnar view's query; `None` where it is another kind of view, or its query is another kind of query.
pub(super) fn compile(spec: &ViewSpec) -> Result<Option<Query>, ViewError> {
    let has_key = !spec.definition.key.is_empty();
    if has_key || !matches!(spec.definition.shape, Some(Shape::Columnar { .. })) || has_aggregate(&spec.plan) {
        return Ok(None);
    }
    let mut branches = Vec::new();
    branch_out(&spec.plan, Vec::new(), &mut branches)?;
    for branch in &branches {
        let expressions = branch.below.iter().flat_map(|step| step.expressions());
        for expression in expressions.chain(branch.scan.filters.clone()) {
            check_expression(&expression)?;
        }
    }
    let query = build(&branches, spec).map_err(failed)?;
    Ok(Some(query))
}

fn build(branches: &[Branch<'_>], spec: &ViewSpec) -> Result<Query> {
    let mut inputs = Vec::with_capacity(branches.len());
    let mut read: Vec<String> = Vec::with_capacity(branches.len());
    for branch in branches {
        let scanned = branch.scan.projected_schema.as_arrow();
        let wide = Wide {
            source: Source::of(branch.scan),
            stages: stages(branch, &spec.session)?,
            group: Vec::new(),
            arguments: Vec::new(),
            filters: Vec::new(),
        };
        let input = wide.narrow(scanned)?;
        let fields = input
            .columns
            .iter()
            .filter_map(|name| scanned.field_with_name(name).ok());
        read.push(format!("{} {}", input.source, typed(fields)));
        inputs.push(input);
    }
    let output = nullable(spec.plan.schema().as_arrow());
    Ok(Query {
        view: spec.definition.name.clone(),
        inputs,
        aggregates: Vec::new(),
        keys: None,
        key_types: Vec::new(),
        states: None,
        finish: Vec::new(),
        grouped: Arc::clone(&output),
        is_per_event: true,
        is_keyed: false,
        key_columns: Vec::new(),
        partitions: Vec::new(),
        lists: Vec::new(),
        fingerprint: fingerprint(spec, &read, &output),
        surface: String::new(),
        output,
    })
}

fn nullable(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| Field::new(field.name(), field.data_type().clone(), true);
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<Field>>()))
}

/// What the rows are follows from the text and the types: no other version of the query engine makes a table anew that others read.
fn fingerprint(spec: &ViewSpec, read: &[String], output: &Schema) -> String {
    let output = typed(output.fields().iter().map(AsRef::as_ref));
    let words = words(&spec.definition.query);
    format!("events 3\n{words}\n{}\n{output}", read.join("\n"))
}

fn typed<'a>(fields: impl Iterator<Item = &'a Field>) -> String {
    let fields = fields.map(|field| format!("{}: {}", field.name(), field.data_type()));
    fields.collect::<Vec<String>>().join(", ")
}
