//! `ANY SHORTEST`: one of the shortest paths to each vertex, by breadth first search (Moore, "The shortest path through a maze", 1959).
//!
//! A path must have at least so many edges (`{2,}`). So a place in the search is a vertex and how many edges lead there, counted up to that
//! least number: beyond it a vertex that was met before is met no sooner.

use std::collections::{BTreeMap, HashSet};

use datafusion::common::Result;

use super::bindings::{Bindings, UNBOUND};
use super::elements::Id;
use super::pattern::Repeats;
use super::plan::Hop;
use super::repeat::too_many;
use super::traverse::{ROWS_AT_ONCE, Traverser};

impl Traverser<'_> {
    /// For each row the shortest paths from its vertex, one for each vertex that they lead to.
    pub(super) fn shortest(&mut self, at: usize, hop: &Hop, repeats: Repeats, rows: &[&[Id]]) -> Result<bool> {
        let mut by_vertex: BTreeMap<Id, Vec<&[Id]>> = BTreeMap::new();
        for row in rows {
            by_vertex.entry(row[hop.from]).or_default().push(row);
        }
        let width = self.plan.variables.len();
        for (vertex, rows) in by_vertex {
            let known = self.paths.len();
            let wanted: Option<HashSet<Id>> = hop.closes.then(|| rows.iter().map(|row| row[hop.to]).collect());
            let paths = self.search(hop, repeats, vertex, wanted)?;
            let mut found = Bindings::empty(width);
            for row in rows {
                for (end, path) in &paths {
                    if self.may_end(hop, row, *end) {
                        found.push(row, &[(hop.edge, *path), (hop.to, *end)]);
                    }
                    if found.len() >= ROWS_AT_ONCE {
                        let full = std::mem::replace(&mut found, Bindings::empty(width));
                        if !self.go_on(at, full)? {
                            return Ok(false);
                        }
                    }
                }
            }
            if !self.go_on(at, found)? {
                return Ok(false);
            }
            self.paths.truncate(known);
        }
        Ok(true)
    }

    /// The ends of shortest paths from a vertex, each with its path. `wanted`: more ends than these are not looked for.
    fn search(
        &mut self,
        hop: &Hop,
        repeats: Repeats,
        from: Id,
        mut wanted: Option<HashSet<Id>>,
    ) -> Result<Vec<(Id, Id)>> {
        let mut ends: Vec<(Id, Id)> = Vec::new();
        let mut ended: HashSet<Id> = HashSet::new();
        let mut met: HashSet<(Id, u32)> = HashSet::from([(from, 0)]);
        if repeats.min == 0 {
            ends.push((from, UNBOUND));
            ended.insert(from);
            wanted.iter_mut().for_each(|wanted| {
                wanted.remove(&from);
            });
        }
        let mut open: Vec<(Id, Id)> = vec![(from, UNBOUND)];
        let mut length = 0;
        let is_done = |wanted: &Option<HashSet<Id>>| wanted.as_ref().is_some_and(HashSet::is_empty);
        while !open.is_empty() && repeats.max.is_none_or(|max| length < max) && !is_done(&wanted) {
            length += 1;
            let level = length.min(repeats.min);
            let mut farther: Vec<(Id, Id)> = Vec::new();
            for some in open.chunks(ROWS_AT_ONCE) {
                let neighbours = self.neighbours(hop, some.iter().map(|(vertex, _)| *vertex), None)?;
                for (vertex, path) in some {
                    for (edge, far) in neighbours.get(vertex).into_iter().flatten() {
                        if !met.insert((*far, level)) {
                            continue;
                        }
                        let path = self.paths.longer(*path, *edge, *far).ok_or_else(too_many)?;
                        farther.push((*far, path));
                        if length >= repeats.min && ended.insert(*far) {
                            ends.push((*far, path));
                            wanted.iter_mut().for_each(|wanted| {
                                wanted.remove(far);
                            });
                        }
                    }
                }
                self.check_memory((met.len() + ended.len()) * 4 * size_of::<(Id, u32)>())?;
            }
            open = farther;
        }
        Ok(ends)
    }
}
