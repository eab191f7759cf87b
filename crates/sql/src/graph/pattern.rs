//! A graph pattern as it is written between the brackets of `GRAPH_TABLE`.
//!
//! ```text
//! shop MATCH p = ANY SHORTEST (a IS customer WHERE …)-[e IS bought]->{1,4}(b), (b)<-[]-(c) WHERE … COLUMNS (b.id AS also, …)
//! graph      path pattern: elements by turns                                 path pattern  filter  what is shown
//! ```

use datafusion::sql::sqlparser::ast;

use crate::syntax::Name;

/// What `GRAPH_TABLE` asks.
#[derive(Debug, Clone)]
pub(crate) struct GraphPattern {
    /// The graph.
    pub(crate) graph: Name,
    /// The paths that must all be there.
    pub(crate) paths: Vec<PathPattern>,
    /// `WHERE` behind the paths.
    pub(crate) filter: Option<ast::Expr>,
    /// `COLUMNS (…)`
    pub(crate) columns: Vec<GraphColumn>,
}

/// One path.
#[derive(Debug, Clone)]
pub(crate) struct PathPattern {
    /// What it is called: `p = …`.
    pub(crate) name: Option<Name>,
    /// What it may pass again.
    pub(crate) mode: PathMode,
    /// `ANY SHORTEST`: one of the shortest for each pair of its ends.
    pub(crate) is_shortest: bool,
    /// Where it begins.
    pub(crate) first: Element,
    /// Each edge, and the vertex behind it.
    pub(crate) hops: Vec<(EdgePattern, Element)>,
}

/// What a path may pass more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PathMode {
    /// Anything.
    #[default]
    Walk,
    /// Vertices, but no edge.
    Trail,
    /// No vertex.
    Acyclic,
    /// No vertex, but that it may end where it began.
    Simple,
}

/// A vertex, or what stands in an edge's brackets.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    /// What it is called.
    pub(crate) variable: Option<Name>,
    /// The labels of which it must have one; none: it may have any.
    pub(crate) labels: Vec<Name>,
    /// `WHERE …`
    pub(crate) filter: Option<ast::Expr>,
}

/// An edge, or a row of them.
#[derive(Debug, Clone)]
pub(crate) struct EdgePattern {
    pub(crate) element: Element,
    pub(crate) direction: Direction,
    /// `{1,4}`: how many of them; `None`: one.
    pub(crate) repeats: Option<Repeats>,
}

/// Which way an edge goes, read from the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Right,
    Left,
    Any,
}

/// How many edges stand in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeats {
    pub(crate) min: u32,
    /// `None`: as many as there are.
    pub(crate) max: Option<u32>,
}

/// A column of the answer.
#[derive(Debug, Clone)]
pub(crate) enum GraphColumn {
    /// A value under a name.
    Value { expr: Box<ast::Expr>, name: String },
    /// `a.*`: all properties.
    All(Name),
}
