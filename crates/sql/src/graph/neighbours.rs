//! From vertices along their edges, each vertex asked once, to the vertices at the far ends.

use std::collections::HashSet;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::common::Result;
use datafusion::common::cast::as_boolean_array;
use headwater_views::EdgeEnd;

use super::bindings::UNBOUND;
use super::elements::Id;
use super::expression::{Compiled, Input};
use super::plan::Hop;
use super::traverse::{Neighbours, ROWS_AT_ONCE, Traverser, canceled};
use super::values::evaluated;

impl Traverser<'_> {
    /// The edges of vertices, whose far ends are vertices of the tables that may be.
    pub(super) fn neighbours(
        &mut self,
        hop: &Hop,
        vertices: impl Iterator<Item = Id>,
        may: Option<&[bool]>,
    ) -> Result<Neighbours> {
        let distinct: HashSet<Id> = vertices.collect();
        let mut met: Vec<(Id, Id, Id)> = Vec::new();
        for vertex in distinct {
            if !self.answer.is_wanted() {
                return Err(canceled().into());
            }
            for (table, end) in &hop.ends {
                self.edges_of(hop, vertex, (*table, *end), may, &mut met)?;
            }
        }
        let far: Vec<Id> = met.iter().map(|(_, _, far)| *far).collect();
        self.fetch_vertices(&far)?;
        let unsure: Vec<Id> = met
            .iter()
            .map(|(_, edge, _)| *edge)
            .filter(|edge| *edge != UNBOUND && self.tables.edges[self.edges.table(*edge)].may_lack_rows())
            .collect();
        self.fetch_edges(&unsure)?;
        met.retain(|(_, edge, far)| !self.vertices.is_gone(*far) && (*edge == UNBOUND || !self.edges.is_gone(*edge)));
        if let Some(filter) = &hop.edge_filter {
            let edges: Vec<Id> = met.iter().map(|(_, edge, _)| *edge).collect();
            let holds = self.holds_of_edges(filter, &edges)?;
            let mut at = 0;
            met.retain(|_| {
                at += 1;
                holds.is_valid(at - 1) && holds.value(at - 1)
            });
        }
        let mut neighbours = Neighbours::new();
        for (vertex, edge, far) in met {
            neighbours.entry(vertex).or_default().push((edge, far));
        }
        Ok(neighbours)
    }

    /// Adds the edges of one table at one vertex.
    fn edges_of(
        &mut self,
        hop: &Hop,
        vertex: Id,
        (table, end): (usize, EdgeEnd),
        may: Option<&[bool]>,
        met: &mut Vec<(Id, Id, Id)>,
    ) -> Result<()> {
        let (plan, tables) = (self.plan, self.tables);
        let (edges, rows) = (&plan.graph.edges[table], &tables.edges[table]);
        let far_table = edges.vertices_at(end.other());
        let is_of_table = edges.vertices_at(end) == self.vertices.table(vertex);
        if !is_of_table || may.is_some_and(|may| !may[far_table]) {
            return Ok(());
        }
        let keeps = hop.keeps_edges || rows.may_lack_rows();
        // A loop is seen from both of its ends, and is one edge.
        let is_seen_before = end == EdgeEnd::Destination && hop.ends.contains(&(table, EdgeEnd::Source));
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let key = self.vertices.key(vertex);
        let mut all = rows.at(end, &key);
        loop {
            keys.clear();
            for key in all.by_ref().take(ROWS_AT_ONCE) {
                keys.push(key?);
            }
            if keys.is_empty() {
                return Ok(());
            }
            self.look(keys.len())?;
            let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            for (key, far) in keys.iter().zip(rows.vertices(end.other(), &keys)?) {
                let Some(far) = far else { continue };
                let (far, _) = self.vertices.intern(far_table, &far)?;
                if is_seen_before && far == vertex {
                    continue;
                }
                let edge = match keeps {
                    true => self.edges.intern(table, key)?.0,
                    false => UNBOUND,
                };
                met.push((vertex, edge, far));
            }
            self.check_memory(met.len() * size_of::<(Id, Id, Id)>())?;
        }
    }

    pub(super) fn fetch_vertices(&mut self, vertices: &[Id]) -> Result<()> {
        let tables = self.tables;
        self.vertices.fetch(vertices.iter().copied(), |table, keys| {
            let rows = &tables.vertices[table];
            rows.has_rows().then(|| rows.find(keys)).transpose()
        })
    }

    pub(super) fn fetch_edges(&mut self, edges: &[Id]) -> Result<()> {
        let tables = self.tables;
        self.edges.fetch(edges.iter().copied(), |table, keys| {
            tables.edges[table].find(keys).map(Some)
        })
    }

    /// Whether each of the edges fulfils what is asked of a repeated edge.
    fn holds_of_edges(&mut self, filter: &Compiled, edges: &[Id]) -> Result<BooleanArray> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(filter.inputs.len());
        for input in &filter.inputs {
            columns.push(match input {
                Input::Property { variable, property } => self.property(*variable, *property, edges)?,
                Input::ElementId { variable } => self.element_ids(*variable, edges)?,
                Input::PathLength { .. } | Input::Aggregate { .. } => continue,
            });
        }
        let holds = evaluated(filter, columns, edges.len())?;
        Ok(as_boolean_array(&holds)?.clone())
    }
}
