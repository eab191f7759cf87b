//! A whole graph in memory: its vertices numbered, its edges as pairs of numbers.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use headwater_views::EdgeEnd;

use super::super::model::Graph;
use super::super::traverse::{Answer, Tables, canceled};

/// How many edges are read at once.
const EDGES_AT_ONCE: usize = 8_192;
/// What a vertex takes besides its key, roughly.
const VERTEX_BYTES: usize = 64;

/// Vertices and edges.
pub(super) struct Whole {
    /// By table; numbered one table after another.
    pub(super) vertices: Vec<Vec<Arc<[u8]>>>,
    /// From and to. An edge whose end is no vertex is none.
    pub(super) edges: Vec<(u32, u32)>,
    count: usize,
}

/// A vertex: its table, and its place there.
type Place = (usize, u32);

/// The vertices while they are numbered: the first of a table has the number of all before it only once all are known.
struct Numbers {
    tables: Vec<HashMap<Arc<[u8]>, u32>>,
    vertices: Vec<Vec<Arc<[u8]>>>,
    bytes: usize,
}

impl Numbers {
    /// The place of a vertex in its table; a new one where `may_add`.
    fn place(&mut self, table: usize, vertex: &[u8], may_add: bool) -> Result<Option<u32>> {
        if let Some(place) = self.tables[table].get(vertex) {
            return Ok(Some(*place));
        }
        if !may_add {
            return Ok(None);
        }
        let place = u32::try_from(self.vertices[table].len())
            .map_err(|_| DataFusionError::ResourcesExhausted("more vertices than can be counted".to_owned()))?;
        let vertex: Arc<[u8]> = vertex.into();
        self.bytes += vertex.len() + VERTEX_BYTES;
        self.vertices[table].push(Arc::clone(&vertex));
        self.tables[table].insert(vertex, place);
        Ok(Some(place))
    }
}

impl Whole {
    /// Reads all of a graph.
    pub(super) fn read(graph: &Graph, tables: &Tables, answer: &mut dyn Answer) -> Result<Whole> {
        let mut numbers = Numbers {
            tables: vec![HashMap::new(); graph.vertices.len()],
            vertices: vec![Vec::new(); graph.vertices.len()],
            bytes: 0,
        };
        for (table, rows) in tables.vertices.iter().enumerate() {
            for vertex in rows.all_shown()? {
                numbers.place(table, &vertex?, true)?;
            }
            answer.holds(numbers.bytes)?;
        }
        let mut met: Vec<(Place, Place)> = Vec::new();
        for (edges, rows) in graph.edges.iter().zip(&tables.edges) {
            let mut all = rows.all();
            loop {
                let keys: Vec<Vec<u8>> = all.by_ref().take(EDGES_AT_ONCE).collect::<Result<_>>()?;
                if keys.is_empty() {
                    break;
                }
                if !answer.is_wanted() {
                    return Err(canceled().into());
                }
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                let are_there: Vec<bool> = match rows.may_lack_rows() {
                    true => rows.find(&keys)?.1.iter().map(Option::is_some).collect(),
                    false => vec![true; keys.len()],
                };
                let sources = rows.vertices(EdgeEnd::Source, &keys)?;
                let destinations = rows.vertices(EdgeEnd::Destination, &keys)?;
                for ((source, destination), is_there) in sources.into_iter().zip(destinations).zip(are_there) {
                    let (Some(source), Some(destination), true) = (source, destination, is_there) else {
                        continue;
                    };
                    let is_implied = |table: usize| !tables.vertices[table].has_rows();
                    let from = numbers.place(edges.source, &source, is_implied(edges.source))?;
                    let to = numbers.place(edges.destination, &destination, is_implied(edges.destination))?;
                    if let (Some(from), Some(to)) = (from, to) {
                        met.push(((edges.source, from), (edges.destination, to)));
                    }
                }
                answer.holds(numbers.bytes + met.len() * size_of::<(Place, Place)>())?;
            }
        }
        Whole::numbered(numbers, &met)
    }

    fn numbered(numbers: Numbers, met: &[(Place, Place)]) -> Result<Whole> {
        let mut first: Vec<u32> = Vec::new();
        let mut count = 0;
        for vertices in &numbers.vertices {
            first
                .push(u32::try_from(count).map_err(|_| {
                    DataFusionError::ResourcesExhausted("more vertices than can be counted".to_owned())
                })?);
            count += vertices.len();
        }
        let number = |(table, place): Place| first[table] + place;
        Ok(Whole {
            edges: met.iter().map(|(from, to)| (number(*from), number(*to))).collect(),
            vertices: numbers.vertices,
            count,
        })
    }

    /// How many vertices there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }
}
