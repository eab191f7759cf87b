//! Property graphs: patterns over vertices and edges that are rows of views.
//!
//! ```text
//! GRAPH_TABLE (…) ── pattern ── graph: which tables, labels, properties ── compile: steps, filters, columns ── traverse
//!                    as written   as the views are now                       begins at what is told by its key    hop by hop
//! ```
//!
//! Invariants
//! - A pattern is answered at one position of each view, whatever is folded meanwhile.
//! - A hop asks for the edges of the vertices at hand and no others; how many edges a question looks at is bounded.
//! - The answer is that of the same question asked by joins of the views: an edge whose end is no vertex is none.

mod algorithms;
mod beginnings;
mod bindings;
mod compile;
mod elements;
mod expression;
mod model;
mod neighbours;
mod order;
pub(crate) mod pattern;
mod plan;
mod repeat;
mod rows;
mod scan;
mod shortest;
mod traverse;
mod values;
mod variables;

pub(crate) use algorithms::{Algorithm, Run};
pub(crate) use compile::{Expressions, compile};
pub(crate) use model::{EdgeAccess, Edges, Graph, Property, PropertyPlace, Rows, VertexAccess, Vertices};
pub(crate) use scan::GraphTable;
