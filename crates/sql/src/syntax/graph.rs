//! What `CREATE PROPERTY GRAPH` says.

use headwater_catalog::GraphLabel;

use super::Name;

/// A property graph as written.
#[derive(Debug, Clone)]
pub struct PropertyGraph {
    /// The name.
    pub name: Name,
    /// `VERTEX TABLES (…)`
    pub vertices: Vec<VertexClause>,
    /// `EDGE TABLES (…)`
    pub edges: Vec<EdgeClause>,
}

/// `view [AS alias] [KEY (column)] [label …]`
#[derive(Debug, Clone)]
pub struct VertexClause {
    /// The view.
    pub view: Name,
    /// What the graph calls it.
    pub alias: String,
    /// The column that tells its vertices apart; `None`: that of the view's key.
    pub key: Option<Name>,
    /// Its labels.
    pub labels: Vec<GraphLabel>,
}

/// `view [AS alias] SOURCE … DESTINATION … [label …]`
#[derive(Debug, Clone)]
pub struct EdgeClause {
    /// The view.
    pub view: Name,
    /// What the graph calls it.
    pub alias: String,
    /// Where its edges go out from.
    pub source: EndClause,
    /// Where they lead to.
    pub destination: EndClause,
    /// Its labels.
    pub labels: Vec<GraphLabel>,
}

/// `[KEY (column) REFERENCES] vertices [(column)]`
#[derive(Debug, Clone)]
pub struct EndClause {
    /// The column of the edges; `None`: that of the graph view.
    pub key: Option<Name>,
    /// The vertex table.
    pub vertices: Name,
    /// Its key.
    pub column: Option<Name>,
}
