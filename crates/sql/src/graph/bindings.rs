//! What the variables of a pattern stand for so far: rows of numbers, one slot for each vertex, edge and repeated edge.

use super::elements::Id;

/// What stands in a slot that nothing is bound to.
pub(super) const UNBOUND: Id = Id::MAX;

/// Rows of slots.
pub(super) struct Bindings {
    width: usize,
    ids: Vec<Id>,
}

impl Bindings {
    /// No rows.
    pub(super) fn empty(width: usize) -> Bindings {
        Bindings { width, ids: Vec::new() }
    }

    /// One row in which nothing is bound.
    pub(super) fn one(width: usize) -> Bindings {
        Bindings {
            width,
            ids: vec![UNBOUND; width],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len() / self.width.max(1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn row(&self, at: usize) -> &[Id] {
        &self.ids[at * self.width..(at + 1) * self.width]
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[Id]> {
        self.ids.chunks_exact(self.width.max(1))
    }

    /// What stands in one slot of each row.
    pub(super) fn slot(&self, slot: usize) -> Vec<Id> {
        self.rows().map(|row| row[slot]).collect()
    }

    /// Adds a row like another one, with some slots bound.
    pub(super) fn push(&mut self, row: &[Id], bound: &[(usize, Id)]) {
        let start = self.ids.len();
        self.ids.extend_from_slice(row);
        for (slot, id) in bound {
            self.ids[start + slot] = *id;
        }
    }

    /// The rows that `keep` says yes to.
    pub(super) fn filtered(self, keep: impl Fn(usize) -> bool) -> Bindings {
        let mut kept = Bindings::empty(self.width);
        for (at, row) in self.rows().enumerate() {
            if keep(at) {
                kept.ids.extend_from_slice(row);
            }
        }
        kept
    }
}

/// A step of a path of repeated edges: the edge, the vertex it came to, and the step before it.
pub(super) struct PathStep {
    pub(super) edge: Id,
    pub(super) vertex: Id,
    pub(super) before: Id,
    pub(super) length: u32,
}

/// The paths of repeated edges: each is known by its last step, and paths share their beginnings. One without steps is [`UNBOUND`].
#[derive(Default)]
pub(super) struct Paths(Vec<PathStep>);

impl Paths {
    /// The path one step longer; `None` where there are more than can be counted.
    pub(super) fn longer(&mut self, path: Id, edge: Id, vertex: Id) -> Option<Id> {
        let id = Id::try_from(self.0.len()).ok().filter(|id| *id != UNBOUND)?;
        let length = self.length(path) + 1;
        self.0.push(PathStep {
            edge,
            vertex,
            before: path,
            length,
        });
        Some(id)
    }

    pub(super) fn length(&self, path: Id) -> u32 {
        self.0.get(path as usize).map_or(0, |step| step.length)
    }

    /// Its steps, from the last to the first.
    pub(super) fn steps(&self, path: Id) -> impl Iterator<Item = &PathStep> {
        std::iter::successors(self.0.get(path as usize), |step| self.0.get(step.before as usize))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets the paths that came after there were so many.
    pub(super) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len() * size_of::<PathStep>()
    }
}
