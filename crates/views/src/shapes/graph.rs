//! A graph view's edges: rows whose key has a source and a destination.
//!
//! ```text
//! row    source destination …            found from its source: the key begins with it
//! link   01 destination │ row's key      found from its destination
//! link   00 source │ row's key           where the key does not begin with the source
//! ```
//!
//! A vertex is the bytes of its value, as they stand in a key. So the edges of a vertex are one range of the store, whichever way they go, and
//! a hop costs as much as the vertex has edges.

use arrow::array::{Array, ArrayRef};
use arrow::row::RowConverter;
use datafusion::common::Result;
use headwater_catalog::Shape;
use headwater_stores::Link;

use crate::ViewError;
use crate::query::{Query, refused_but};
use crate::rows::keys::key_fields;

/// One of the two ends of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeEnd {
    /// Where it goes out from.
    Source,
    /// Where it leads to.
    Destination,
}

impl EdgeEnd {
    /// The other one.
    pub fn other(self) -> EdgeEnd {
        match self {
            EdgeEnd::Source => EdgeEnd::Destination,
            EdgeEnd::Destination => EdgeEnd::Source,
        }
    }

    /// What the links from this end begin with.
    fn tag(self) -> u8 {
        match self {
            EdgeEnd::Source => 0,
            EdgeEnd::Destination => 1,
        }
    }
}

/// How the edges of a graph view are found.
pub(crate) struct Edges {
    keys: RowConverter,
    source: Vertices,
    destination: Vertices,
}

/// The vertices at one end.
struct Vertices {
    /// Which column of the key they are.
    place: usize,
    converter: RowConverter,
}

impl Edges {
    /// Those of a view; `None` where it is no graph, and a refusal where its rows are no edges.
    pub(crate) fn of(shape: Option<&Shape>, query: &Query) -> Result<Option<Edges>, ViewError> {
        let Some(Shape::Graph { source, destination }) = shape else {
            return Ok(None);
        };
        if source == destination {
            return Err(refused_but(
                format!("a graph with '{source}' at both ends of its edges"),
                "name two columns behind SOURCE and DESTINATION",
            ));
        }
        let vertices = |column: &str| -> Result<Vertices, ViewError> {
            let place = place(query, column)?;
            let converter = RowConverter::new(key_fields([&query.key_types[place]]));
            let converter = converter.map_err(|error| ViewError::Failed(error.to_string()))?;
            Ok(Vertices { place, converter })
        };
        Ok(Some(Edges {
            source: vertices(source)?,
            destination: vertices(destination)?,
            keys: RowConverter::new(key_fields(&query.key_types))
                .map_err(|error| ViewError::Failed(error.to_string()))?,
        }))
    }

    /// Where rows that changed are found besides under their keys.
    pub(crate) fn links<'a>(&self, rows: impl Iterator<Item = (&'a [u8], bool)>) -> Result<Vec<Link>, ViewError> {
        let (keys, are_there): (Vec<&[u8]>, Vec<bool>) = rows.unzip();
        let mut links: Vec<Link> = Vec::with_capacity(keys.len());
        for end in [EdgeEnd::Source, EdgeEnd::Destination] {
            if self.is_first(end) {
                continue;
            }
            let vertices = self.vertices(end, &keys)?;
            for ((vertex, key), is_there) in vertices.into_iter().zip(&keys).zip(&are_there) {
                let Some(vertex) = vertex else { continue };
                links.push(Link {
                    prefix: link_prefix(end, &vertex),
                    key: key.to_vec(),
                    is_there: *is_there,
                });
            }
        }
        Ok(links)
    }

    /// Whether the key begins with this end, so that its edges are a range of the rows themselves.
    pub(crate) fn is_first(&self, end: EdgeEnd) -> bool {
        self.at(end).place == 0
    }

    /// The vertices at one end of edges; `None` where it is NULL, which is no vertex.
    pub(crate) fn vertices(&self, end: EdgeEnd, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, ViewError> {
        let parser = self.keys.parser();
        let failed = |error: arrow::error::ArrowError| ViewError::Failed(error.to_string());
        let columns = self
            .keys
            .convert_rows(keys.iter().map(|key| parser.parse(key)))
            .map_err(failed)?;
        let column: &ArrayRef = &columns[self.at(end).place];
        let vertices = self
            .at(end)
            .converter
            .convert_columns(std::slice::from_ref(column))
            .map_err(failed)?;
        let vertex = |(at, vertex): (usize, arrow::row::Row<'_>)| column.is_valid(at).then(|| vertex.data().to_vec());
        Ok(vertices.iter().enumerate().map(vertex).collect())
    }

    fn at(&self, end: EdgeEnd) -> &Vertices {
        match end {
            EdgeEnd::Source => &self.source,
            EdgeEnd::Destination => &self.destination,
        }
    }
}

/// What the links from an end to the edges of a vertex begin with.
pub(crate) fn link_prefix(end: EdgeEnd, vertex: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(1 + vertex.len());
    prefix.push(end.tag());
    prefix.extend_from_slice(vertex);
    prefix
}

/// Where a column stands in the key.
fn place(query: &Query, column: &str) -> Result<usize, ViewError> {
    let shown = query.output.index_of(column).map_err(|_| {
        let columns: Vec<&str> = query
            .output
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        refused_but(
            format!("a graph by '{column}', which is no column of its rows,"),
            &format!("they have {}", columns.join(", ")),
        )
    })?;
    query.key_columns.iter().position(|key| *key == shown).ok_or_else(|| {
        refused_but(
            format!("a graph by '{column}', which its rows are not keyed by,"),
            "an edge is found from both of its ends: GROUP BY both, and show both in the rows",
        )
    })
}
