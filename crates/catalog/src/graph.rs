//! Property graphs: which views hold the vertices and the edges, and what they are called there.
//!
//! The words are SQL/PGQ's (ISO/IEC 9075-16): element tables have labels, and a label has properties.

use serde::{Deserialize, Serialize};

/// A property graph over views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphDefinition {
    /// The name.
    pub name: String,
    /// Where its vertices are.
    pub vertices: Vec<VertexTable>,
    /// Where its edges are.
    pub edges: Vec<EdgeTable>,
    /// The views it reads.
    pub sources: Vec<String>,
    /// The statement that defined it.
    pub statement: String,
}

/// A table of vertices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VertexTable {
    /// What it is called in the graph.
    pub name: String,
    /// The view whose rows are the vertices; `None`: every end of its edges is one.
    pub view: Option<String>,
    /// The column that tells its vertices apart.
    pub key: String,
    /// Its labels, at least one.
    pub labels: Vec<GraphLabel>,
}

/// A table of edges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeTable {
    /// What it is called in the graph.
    pub name: String,
    /// The view whose rows are the edges.
    pub view: String,
    /// Where its edges go out from.
    pub source: EdgeReference,
    /// Where they lead to.
    pub destination: EdgeReference,
    /// Its labels, at least one.
    pub labels: Vec<GraphLabel>,
}

/// One end of the edges of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeReference {
    /// The column of the edge's row.
    pub column: String,
    /// The vertex table whose key it has, by its name in the graph.
    pub vertices: String,
}

/// A label of an element table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphLabel {
    /// The label.
    pub name: String,
    /// The properties that elements have under it; `None`: one for each column.
    pub properties: Option<Vec<GraphProperty>>,
}

/// A property of a label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphProperty {
    /// What it is called.
    pub name: String,
    /// The column it is.
    pub column: String,
}

impl GraphDefinition {
    /// A vertex table by its name in the graph, and its place among them.
    pub fn vertex_table(&self, name: &str) -> Option<(usize, &VertexTable)> {
        self.vertices.iter().enumerate().find(|(_, table)| table.name == name)
    }
}
