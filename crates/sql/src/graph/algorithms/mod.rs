//! What is worked out over a whole graph: `pagerank('shop')`, `connected_components('shop')`, `triangle_count('shop')`.
//!
//! All vertices of the graph and all edges of it count, whatever their tables: one row for each vertex.

mod components;
mod pagerank;
mod triangles;
mod whole;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Result, ScalarValue};

use super::model::Graph;
use super::scan::Work;
use super::traverse::{Answer, Tables};
use crate::{SqlError, SqlState};
use whole::Whole;

/// How many rows of the answer are handed on at once.
const ROWS_AT_ONCE: usize = 8_192;

/// What is worked out, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Algorithm {
    /// How often one comes by who follows edges at random.
    PageRank {
        /// How likely it is that an edge is followed, and not begun anew anywhere.
        damping: f64,
        /// How many rounds are made.
        iterations: u32,
    },
    /// Which vertices hang together, whichever way the edges go.
    Components,
    /// How many triangles each vertex is a corner of, whichever way the edges go.
    Triangles,
}

/// The most rounds of `pagerank`: each goes over all edges, and after some dozens nothing changes.
const ITERATIONS_MAX: i64 = 1_000;

impl Algorithm {
    /// The one that a table function is called by.
    pub(crate) fn named(function: &str) -> Option<Algorithm> {
        match function {
            "pagerank" => Some(Algorithm::PageRank {
                damping: 0.85,
                iterations: 20,
            }),
            "connected_components" => Some(Algorithm::Components),
            "triangle_count" => Some(Algorithm::Triangles),
            _ => None,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algorithm::PageRank { .. } => "pagerank",
            Algorithm::Components => "connected_components",
            Algorithm::Triangles => "triangle_count",
        }
    }

    /// With another value of one of its parameters.
    pub(crate) fn with(self, parameter: &str, value: &ScalarValue) -> Result<Algorithm, SqlError> {
        let refuse = |what: &str| {
            let message = format!("{parameter} of {}() is {what}, and {value} is none", self.name());
            Err(SqlError::new(SqlState::INVALID_PARAMETER, message))
        };
        match (self, parameter) {
            (Algorithm::PageRank { iterations, .. }, "damping") => match value.cast_to(&DataType::Float64) {
                Ok(ScalarValue::Float64(Some(damping))) if (0.0..1.0).contains(&damping) => {
                    Ok(Algorithm::PageRank { damping, iterations })
                }
                _ => refuse("a number from 0 to below 1"),
            },
            (Algorithm::PageRank { damping, .. }, "iterations") => match value.cast_to(&DataType::Int64) {
                Ok(ScalarValue::Int64(Some(iterations))) if (1..=ITERATIONS_MAX).contains(&iterations) => {
                    Ok(Algorithm::PageRank {
                        damping,
                        iterations: u32::try_from(iterations).unwrap_or(u32::MAX),
                    })
                }
                _ => refuse(&format!("a whole number from 1 to {ITERATIONS_MAX}")),
            },
            _ => {
                let message = format!("{}() has no parameter '{parameter}'", self.name());
                let error = SqlError::new(SqlState::UNKNOWN_FUNCTION, message);
                Err(match self {
                    Algorithm::PageRank { .. } => error.hint("it has damping and iterations"),
                    Algorithm::Components | Algorithm::Triangles => error.hint("it has none but the graph"),
                })
            }
        }
    }

    fn column(self) -> Field {
        match self {
            Algorithm::PageRank { .. } => Field::new("rank", DataType::Float64, false),
            Algorithm::Components => Field::new("component", DataType::Int64, false),
            Algorithm::Triangles => Field::new("triangles", DataType::Int64, false),
        }
    }
}

/// An algorithm over a graph, of one question.
pub(crate) struct Run {
    graph: Arc<Graph>,
    algorithm: Algorithm,
    schema: SchemaRef,
}

impl Run {
    /// The columns: the vertex table, the vertex (a text where the tables' keys differ in type), what was worked out.
    pub(crate) fn new(graph: Arc<Graph>, algorithm: Algorithm) -> Run {
        let mut types = graph.vertices.iter().map(|table| &table.key_type);
        let id = match types.next() {
            Some(first) if types.all(|other| other == first) => first.clone(),
            _ => DataType::Utf8,
        };
        let schema = Arc::new(Schema::new(vec![
            Field::new("vertex_table", DataType::Utf8, false),
            Field::new("id", id, true),
            algorithm.column(),
        ]));
        Run {
            graph,
            algorithm,
            schema,
        }
    }

    fn values(&self, whole: &Whole, answer: &dyn Answer) -> Result<ArrayRef> {
        let wanted = || match answer.is_wanted() {
            true => Ok(()),
            false => Err(super::traverse::canceled()),
        };
        Ok(match self.algorithm {
            Algorithm::PageRank { damping, iterations } => {
                let ranks = pagerank::pagerank(whole.count(), &whole.edges, damping, iterations, wanted)?;
                Arc::new(Float64Array::from(ranks))
            }
            Algorithm::Components => {
                let components = components::components(whole.count(), &whole.edges);
                Arc::new(Int64Array::from_iter_values(components.into_iter().map(i64::from)))
            }
            Algorithm::Triangles => {
                let triangles = triangles::triangles(whole.count(), &whole.edges, wanted)?;
                Arc::new(Int64Array::from_iter_values(
                    triangles.into_iter().map(|count| count as i64),
                ))
            }
        })
    }
}

impl Work for Run {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "graph={}, {}", self.graph.name, self.algorithm.name())?;
        match self.algorithm {
            Algorithm::PageRank { damping, iterations } => write!(f, ", damping={damping}, iterations={iterations}"),
            Algorithm::Components | Algorithm::Triangles => Ok(()),
        }
    }

    fn run(&self, tables: &Tables, columns: &[usize], schema: SchemaRef, answer: &mut dyn Answer) -> Result<()> {
        let whole = Whole::read(&self.graph, tables, answer)?;
        let values = self.values(&whole, answer)?;
        let id_type = self.schema.field(1).data_type();
        let (mut names, mut ids): (Vec<&str>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
        for (table, vertices) in whole.vertices.iter().enumerate() {
            names.resize(names.len() + vertices.len(), &self.graph.vertices[table].name);
            let vertices: Vec<&[u8]> = vertices.iter().map(|vertex| &**vertex).collect();
            ids.push(cast(&tables.vertices[table].codec().decode(&vertices)?, id_type)?);
        }
        let ids: Vec<&dyn datafusion::arrow::array::Array> = ids.iter().map(AsRef::as_ref).collect();
        let ids: ArrayRef = match ids.is_empty() {
            true => datafusion::arrow::array::new_empty_array(id_type),
            false => concat(&ids)?,
        };
        let shown: [ArrayRef; 3] = [Arc::new(StringArray::from(names)), ids, values];
        let shown: Vec<ArrayRef> = columns.iter().map(|column| Arc::clone(&shown[*column])).collect();
        for first in (0..whole.count()).step_by(ROWS_AT_ONCE) {
            let length = ROWS_AT_ONCE.min(whole.count() - first);
            let some = shown.iter().map(|column| column.slice(first, length)).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(length));
            let rows = RecordBatch::try_new_with_options(Arc::clone(&schema), some, &options)?;
            if !answer.take(rows)? {
                break;
            }
        }
        Ok(())
    }
}
