//! A pattern ready to be followed: its variables, and the steps that bind them one after another.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use headwater_views::EdgeEnd;

use super::expression::Compiled;
use super::model::{Graph, PropertyPlace};
use super::pattern::{PathMode, Repeats};

/// A pattern ready to be followed.
pub(crate) struct Traversal {
    pub(super) graph: Arc<Graph>,
    pub(super) variables: Vec<Variable>,
    pub(super) paths: Vec<Path>,
    pub(super) steps: Vec<Step>,
    pub(super) columns: Vec<Compiled>,
    pub(super) aggregates: Vec<Aggregate>,
    pub(crate) schema: SchemaRef,
    /// The most edges that are looked at.
    pub(super) edges_max: u64,
}

/// A vertex, an edge, or a repeated edge. Its slot among the bindings is its place.
pub(super) struct Variable {
    pub(super) name: Option<String>,
    pub(super) is_vertex: bool,
    /// Whether it is a repeated edge.
    pub(super) is_group: bool,
    /// For each table of its kind whether its elements may stand here.
    pub(super) tables: Vec<bool>,
    pub(super) properties: Vec<VariableProperty>,
}

/// A property that a variable's elements may have.
pub(super) struct VariableProperty {
    pub(super) name: String,
    pub(super) data_type: DataType,
    pub(super) by_table: Vec<Option<PropertyPlace>>,
}

/// A path of the pattern.
pub(super) struct Path {
    pub(super) name: Option<String>,
    pub(super) mode: PathMode,
    /// Its vertices and its edges, by their variables, in order.
    pub(super) vertices: Vec<usize>,
    pub(super) edges: Vec<usize>,
}

/// A step, and what must hold once it is made.
pub(super) struct Step {
    pub(super) kind: StepKind,
    pub(super) filters: Vec<Compiled>,
    /// The paths that are whole then, and must keep to their mode.
    pub(super) ended: Vec<usize>,
}

/// For each table the keys of vertices.
pub(super) type Keys = Vec<(usize, Vec<Vec<u8>>)>;

/// What a step does.
pub(super) enum StepKind {
    /// Begins with a vertex.
    Begin {
        variable: usize,
        /// For each table the vertices to begin with; `None`: all.
        keys: Option<Keys>,
    },
    /// Follows edges.
    Hop(Hop),
}

/// From a vertex along edges.
pub(super) struct Hop {
    pub(super) from: usize,
    pub(super) edge: usize,
    pub(super) to: usize,
    /// Whether the vertex at the far end is known already.
    pub(super) closes: bool,
    pub(super) is_backwards: bool,
    /// Which edges: the table, and the end at which the known vertex is.
    pub(super) ends: Vec<(usize, EdgeEnd)>,
    pub(super) repeats: Option<Repeats>,
    pub(super) mode: PathMode,
    pub(super) is_shortest: bool,
    /// What each of repeated edges must be.
    pub(super) edge_filter: Option<Compiled>,
    /// Whether anybody wants to know which edge it was.
    pub(super) keeps_edges: bool,
}

/// An aggregate over the edges of a repeated edge.
pub(super) struct Aggregate {
    pub(super) function: Arc<AggregateFunctionExpr>,
    pub(super) variable: usize,
    /// `None`: the edges are counted.
    pub(super) property: Option<usize>,
    /// The type in which it takes its values.
    pub(super) taken: DataType,
}
