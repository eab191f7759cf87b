//! Repeated edges: every path of so many edges, one row each.

use datafusion::common::{DataFusionError, Result};

use super::bindings::{Bindings, UNBOUND};
use super::elements::Id;
use super::pattern::{PathMode, Repeats};
use super::plan::Hop;
use super::traverse::{ROWS_AT_ONCE, Traverser};

/// A path that may go on: the row it belongs to, where it is, and its last step.
struct Open {
    row: usize,
    vertex: Id,
    path: Id,
}

impl Traverser<'_> {
    /// All paths of repeated edges from the rows' vertices, the shorter ones first.
    pub(super) fn repeated(&mut self, at: usize, hop: &Hop, repeats: Repeats, rows: &[&[Id]]) -> Result<bool> {
        let known = self.paths.len();
        let width = self.plan.variables.len();
        let mut found = Bindings::empty(width);
        let mut open: Vec<Open> = Vec::new();
        for (row, bound) in rows.iter().enumerate() {
            let vertex = bound[hop.from];
            open.push(Open {
                row,
                vertex,
                path: UNBOUND,
            });
            if repeats.min == 0 && self.may_end(hop, bound, vertex) {
                found.push(bound, &[(hop.edge, UNBOUND), (hop.to, vertex)]);
            }
        }
        let mut length = 0;
        while !open.is_empty() && repeats.max.is_none_or(|max| length < max) {
            length += 1;
            let mut longer: Vec<Open> = Vec::new();
            for some in open.chunks(ROWS_AT_ONCE) {
                let neighbours = self.neighbours(hop, some.iter().map(|open| open.vertex), None)?;
                for Open { row, vertex, path } in some {
                    let bound = rows[*row];
                    for (edge, far) in neighbours.get(vertex).into_iter().flatten() {
                        self.look(1)?;
                        if !self.may_pass(hop, bound[hop.from], *path, *edge, *far) {
                            continue;
                        }
                        let path = self.paths.longer(*path, *edge, *far).ok_or_else(too_many)?;
                        if length >= repeats.min && self.may_end(hop, bound, *far) {
                            found.push(bound, &[(hop.edge, path), (hop.to, *far)]);
                        }
                        // A simple path that is back where it began is at its end.
                        if hop.mode != PathMode::Simple || *far != bound[hop.from] {
                            longer.push(Open {
                                row: *row,
                                vertex: *far,
                                path,
                            });
                        }
                    }
                    if found.len() >= ROWS_AT_ONCE {
                        let full = std::mem::replace(&mut found, Bindings::empty(width));
                        if !self.go_on(at, full)? {
                            return Ok(false);
                        }
                    }
                }
                self.check_memory((open.len() + longer.len()) * size_of::<Open>())?;
            }
            open = longer;
        }
        let goes_on = self.go_on(at, found)?;
        self.paths.truncate(known);
        Ok(goes_on)
    }

    /// Whether the repeated edges of a row may end at this vertex.
    pub(super) fn may_end(&self, hop: &Hop, bound: &[Id], vertex: Id) -> bool {
        match hop.closes {
            true => bound[hop.to] == vertex,
            false => self.plan.variables[hop.to].tables[self.vertices.table(vertex)],
        }
    }

    /// Whether a path may go on over this edge.
    fn may_pass(&self, hop: &Hop, from: Id, path: Id, edge: Id, far: Id) -> bool {
        let mut steps = self.paths.steps(path);
        match hop.mode {
            PathMode::Walk => true,
            PathMode::Trail => steps.all(|step| step.edge != edge),
            PathMode::Acyclic => far != from && steps.all(|step| step.vertex != far),
            PathMode::Simple => steps.all(|step| step.vertex != far),
        }
    }
}

pub(super) fn too_many() -> DataFusionError {
    DataFusionError::ResourcesExhausted("the pattern has more paths than can be counted".to_owned())
}
