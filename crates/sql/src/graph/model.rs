//! A property graph as its views are now: element tables with their labels and properties, and how their rows are reached.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use headwater_views::EdgeEnd;

use crate::question::ViewReading;
use crate::type_name::type_name;
use crate::{SqlError, SqlState};

/// A graph.
pub(crate) struct Graph {
    pub(crate) name: String,
    pub(crate) vertices: Vec<Vertices>,
    pub(crate) edges: Vec<Edges>,
}

/// A table of vertices.
pub(crate) struct Vertices {
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
    pub(crate) properties: Vec<Property>,
    /// The column that tells them apart, and its type.
    pub(crate) key: String,
    pub(crate) key_type: DataType,
    pub(crate) access: VertexAccess,
}

/// How the rows of vertices are reached.
pub(crate) enum VertexAccess {
    /// By the view's key.
    Key(Arc<ViewReading>),
    /// All of them are read.
    All(Rows),
    /// There are none: every end of an edge is a vertex.
    Implied,
}

/// A table of edges.
pub(crate) struct Edges {
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
    pub(crate) properties: Vec<Property>,
    /// The vertex tables at its ends.
    pub(crate) source: usize,
    pub(crate) destination: usize,
    /// The columns of a row that its ends are.
    pub(crate) source_column: usize,
    pub(crate) destination_column: usize,
    /// The columns of a row that tell it from others.
    pub(crate) key_columns: Vec<usize>,
    pub(crate) access: EdgeAccess,
}

/// How edges are reached.
pub(crate) enum EdgeAccess {
    /// From either end, by the orders that a graph view keeps.
    Ends {
        reading: Arc<ViewReading>,
        /// Whether the graph's source is the view's destination.
        is_turned: bool,
    },
    /// All of them are read.
    All(Rows),
}

/// Rows that are read whole.
#[derive(Clone)]
pub(crate) struct Rows {
    /// The view.
    pub(crate) view: String,
    pub(crate) table: Arc<dyn TableProvider>,
}

/// A property of the elements of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) place: PropertyPlace,
    pub(crate) data_type: DataType,
}

/// Where the value of a property is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PropertyPlace {
    /// It is what tells the vertex from others.
    Key,
    /// A column of the row.
    Column(usize),
}

impl Graph {
    /// Vertex tables that have one of these labels; all of them where none is asked for.
    pub(crate) fn vertex_tables(&self, labels: &[String]) -> Vec<usize> {
        let tables = self.vertices.iter().enumerate();
        let found = tables.filter(|(_, table)| has_label(&table.labels, labels));
        found.map(|(index, _)| index).collect()
    }

    /// Edge tables that have one of these labels; all of them where none is asked for.
    pub(crate) fn edge_tables(&self, labels: &[String]) -> Vec<usize> {
        let tables = self.edges.iter().enumerate();
        let found = tables.filter(|(_, table)| has_label(&table.labels, labels));
        found.map(|(index, _)| index).collect()
    }

    /// All labels of vertices or of edges.
    pub(crate) fn labels(&self, of_vertices: bool) -> Vec<&str> {
        let mut labels: Vec<&str> = match of_vertices {
            true => self
                .vertices
                .iter()
                .flat_map(|table| &table.labels)
                .map(String::as_str)
                .collect(),
            false => self
                .edges
                .iter()
                .flat_map(|table| &table.labels)
                .map(String::as_str)
                .collect(),
        };
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// A property means one thing in a graph: elements of several tables may stand for one variable.
    pub(crate) fn check_properties(&self) -> Result<(), SqlError> {
        let mut types: BTreeMap<&str, (&DataType, &str)> = BTreeMap::new();
        let of_vertices = self.vertices.iter().map(|table| (&table.name, &table.properties));
        let of_edges = self.edges.iter().map(|table| (&table.name, &table.properties));
        for (table, properties) in of_vertices.chain(of_edges) {
            for property in properties {
                let (data_type, first) = types.entry(&property.name).or_insert((&property.data_type, table));
                if **data_type != property.data_type {
                    let message = format!(
                        "the property '{}' is {} in '{first}' and {} in '{table}'",
                        property.name,
                        type_name(data_type),
                        type_name(&property.data_type)
                    );
                    return Err(SqlError::new(SqlState::INVALID_DEFINITION, message)
                        .hint("name one of them otherwise: PROPERTIES (column AS name)"));
                }
            }
        }
        Ok(())
    }
}

impl Edges {
    /// The vertex table at an end.
    pub(crate) fn vertices_at(&self, end: EdgeEnd) -> usize {
        match end {
            EdgeEnd::Source => self.source,
            EdgeEnd::Destination => self.destination,
        }
    }
}

fn has_label(labels: &[String], wanted: &[String]) -> bool {
    wanted.is_empty() || labels.iter().any(|label| wanted.contains(label))
}
