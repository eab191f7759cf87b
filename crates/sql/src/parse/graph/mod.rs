//! Property graphs: `CREATE PROPERTY GRAPH`, and the patterns in `GRAPH_TABLE`.

mod definition;
mod lexing;
mod path;
mod table;

pub(super) use definition::create;
pub(super) use table::cut;
pub(crate) use table::{GRAPH_TABLE, graph_name, pattern};
