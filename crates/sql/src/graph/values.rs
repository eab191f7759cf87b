//! What expressions read of rows of bindings: properties, what tells elements apart, lengths of paths, aggregates over repeated edges.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::common::{Result, ScalarValue};

use super::bindings::Bindings;
use super::elements::{Id, Places};
use super::expression::{Compiled, Input};
use super::plan::{Aggregate, Path, StepKind};
use super::traverse::Traverser;

impl Traverser<'_> {
    /// Shows rows of which everything is known.
    pub(super) fn show(&mut self, rows: &Bindings) -> Result<bool> {
        let plan = self.plan;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            columns.push(self.evaluate(&plan.columns[*column], rows)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let shown = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.answer.take(shown)
    }

    /// Evaluates an expression over rows.
    pub(super) fn evaluate(&mut self, compiled: &Compiled, rows: &Bindings) -> Result<ArrayRef> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(compiled.inputs.len());
        for input in &compiled.inputs {
            columns.push(self.input(input, rows)?);
        }
        evaluated(compiled, columns, rows.len())
    }

    fn input(&mut self, input: &Input, rows: &Bindings) -> Result<ArrayRef> {
        let plan = self.plan;
        match input {
            Input::Property { variable, property } => self.property(*variable, *property, &rows.slot(*variable)),
            Input::ElementId { variable } => self.element_ids(*variable, &rows.slot(*variable)),
            Input::PathLength { path } => {
                let lengths = rows.rows().map(|row| self.path_length(&plan.paths[*path], row));
                Ok(Arc::new(Int64Array::from_iter_values(lengths)))
            }
            Input::Aggregate { aggregate } => self.aggregated(&plan.aggregates[*aggregate], rows),
        }
    }

    pub(super) fn property(&mut self, variable: usize, property: usize, ids: &[Id]) -> Result<ArrayRef> {
        let (plan, tables) = (self.plan, self.tables);
        let variable = &plan.variables[variable];
        let property = &variable.properties[property];
        let places = Places {
            data_type: &property.data_type,
            by_table: &property.by_table,
        };
        if variable.is_vertex {
            return self
                .vertices
                .values(ids, &places, |table| Some(tables.vertices[table].codec()));
        }
        self.fetch_edges(ids)?;
        self.edges.values(ids, &places, |_| None)
    }

    pub(super) fn element_ids(&mut self, variable: usize, ids: &[Id]) -> Result<ArrayRef> {
        let (plan, tables) = (self.plan, self.tables);
        let graph = &plan.graph;
        if plan.variables[variable].is_vertex {
            let names: Vec<&str> = graph.vertices.iter().map(|table| table.name.as_str()).collect();
            return self
                .vertices
                .texts(ids, &names, &[], |table| Some(tables.vertices[table].codec()));
        }
        self.fetch_edges(ids)?;
        let names: Vec<&str> = graph.edges.iter().map(|table| table.name.as_str()).collect();
        let keys: Vec<&[usize]> = graph.edges.iter().map(|table| table.key_columns.as_slice()).collect();
        self.edges.texts(ids, &names, &keys, |_| None)
    }

    fn path_length(&self, path: &Path, row: &[Id]) -> i64 {
        let length = |edge: &usize| match self.plan.variables[*edge].is_group {
            true => i64::from(self.paths.length(row[*edge])),
            false => 1,
        };
        path.edges.iter().map(length).sum()
    }

    /// An aggregate over the repeated edges of each row, from the path's beginning to its end.
    fn aggregated(&mut self, aggregate: &Aggregate, rows: &Bindings) -> Result<ArrayRef> {
        let is_backwards = self.plan.steps.iter().any(|step| match &step.kind {
            StepKind::Hop(hop) => hop.edge == aggregate.variable && hop.is_backwards,
            StepKind::Begin { .. } => false,
        });
        let (mut edges, mut ends): (Vec<Id>, Vec<usize>) = (Vec::new(), Vec::new());
        for row in rows.rows() {
            let start = edges.len();
            edges.extend(self.paths.steps(row[aggregate.variable]).map(|step| step.edge));
            if !is_backwards {
                edges[start..].reverse();
            }
            ends.push(edges.len());
        }
        let values: ArrayRef = match aggregate.property {
            Some(property) => self.property(aggregate.variable, property, &edges)?,
            None => Arc::new(Int64Array::from(vec![1; edges.len()])),
        };
        let values = cast(&values, &aggregate.taken)?;
        let mut results: Vec<ScalarValue> = Vec::with_capacity(ends.len());
        let mut start = 0;
        for end in ends {
            let mut accumulator = aggregate.function.create_accumulator()?;
            accumulator.update_batch(&[values.slice(start, end - start)])?;
            results.push(accumulator.evaluate()?);
            start = end;
        }
        ScalarValue::iter_to_array(results)
    }
}

/// Evaluates an expression over what it reads.
pub(super) fn evaluated(compiled: &Compiled, columns: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&compiled.schema), columns, &options)?;
    compiled.physical.evaluate(&batch)?.into_array(rows)
}
