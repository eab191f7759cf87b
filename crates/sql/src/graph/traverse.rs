//! Following a pattern: rows of bindings go from step to step, some at a time, so that no step waits for the whole answer of the one before.
//!
//! ```text
//! begin ── rows ──> hop ── rows ──> hop ── rows ──> columns
//!           │ filters      │ the edges of the vertices at hand, each vertex asked once; the far ends must be vertices
//! ```

use std::collections::{HashMap, HashSet};

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::cast::as_boolean_array;
use headwater_views::EdgeEnd;

use super::bindings::{Bindings, Paths, UNBOUND};
use super::elements::{Elements, Id};
use super::pattern::PathMode;
use super::plan::{Hop, Keys, Path, Step, StepKind, Traversal};
use super::rows::{EdgeRows, VertexRows};
use crate::{SqlError, SqlState};

/// How many rows are taken a step further at once.
pub(super) const ROWS_AT_ONCE: usize = 1_024;

/// The rows of a graph's tables.
pub(crate) struct Tables {
    pub(super) vertices: Vec<VertexRows>,
    pub(super) edges: Vec<EdgeRows>,
}

/// Who takes the answer.
pub(crate) trait Answer {
    /// Whether anybody waits for it still.
    fn is_wanted(&self) -> bool;
    /// Takes rows of it. `false`: no more are wanted.
    fn take(&mut self, rows: RecordBatch) -> Result<bool>;
    /// Hears how much memory is held, and refuses where that is too much.
    fn holds(&mut self, bytes: usize) -> Result<()>;
}

/// A pattern being followed.
pub(super) struct Traverser<'a> {
    pub(super) plan: &'a Traversal,
    pub(super) tables: &'a Tables,
    /// The columns of the answer that are wanted, and their schema.
    pub(super) columns: &'a [usize],
    pub(super) schema: SchemaRef,
    pub(super) vertices: Elements,
    pub(super) edges: Elements,
    pub(super) paths: Paths,
    looked_at: u64,
    pub(super) answer: &'a mut dyn Answer,
}

/// For each vertex the edges that lead on, each with the vertex at its far end.
pub(super) type Neighbours = HashMap<Id, Vec<(Id, Id)>>;

impl<'a> Traverser<'a> {
    pub(super) fn new(
        plan: &'a Traversal,
        tables: &'a Tables,
        columns: &'a [usize],
        schema: SchemaRef,
        answer: &'a mut dyn Answer,
    ) -> Traverser<'a> {
        Traverser {
            plan,
            tables,
            columns,
            schema,
            vertices: Elements::new(tables.vertices.len()),
            edges: Elements::new(tables.edges.len()),
            paths: Paths::default(),
            looked_at: 0,
            answer,
        }
    }

    /// Follows the pattern to its end.
    pub(super) fn follow(mut self) -> Result<()> {
        self.run(0, Bindings::one(self.plan.variables.len())).map(|_| ())
    }

    /// Takes rows into the step at this place. `false`: no more rows are wanted.
    fn run(&mut self, at: usize, rows: Bindings) -> Result<bool> {
        let plan = self.plan;
        match plan.steps.get(at).map(|step| &step.kind) {
            None => self.show(&rows),
            Some(StepKind::Begin { variable, keys }) => self.begin(at, *variable, keys.as_ref(), &rows),
            Some(StepKind::Hop(hop)) => self.hop(at, hop, &rows),
        }
    }

    /// Goes on with rows that the step at this place made.
    pub(super) fn go_on(&mut self, at: usize, rows: Bindings) -> Result<bool> {
        self.check_memory(0)?;
        if !self.answer.is_wanted() {
            return Ok(false);
        }
        let plan = self.plan;
        let rows = self.kept(&plan.steps[at], rows)?;
        match rows.is_empty() {
            true => Ok(true),
            false => self.run(at + 1, rows),
        }
    }

    /// The rows that the step's filters let through, and whose paths keep to their mode.
    fn kept(&mut self, step: &Step, mut rows: Bindings) -> Result<Bindings> {
        let plan = self.plan;
        for path in step.ended.iter().map(|path| &plan.paths[*path]) {
            if path.mode != PathMode::Walk {
                let keeps: Vec<bool> = rows.rows().map(|row| self.keeps_to_mode(path, row)).collect();
                rows = rows.filtered(|at| keeps[at]);
            }
        }
        for filter in &step.filters {
            if rows.is_empty() {
                break;
            }
            let holds = self.evaluate(filter, &rows)?;
            let holds = as_boolean_array(&holds)?;
            rows = rows.filtered(|at| holds.is_valid(at) && holds.value(at));
        }
        Ok(rows)
    }

    fn begin(&mut self, at: usize, variable: usize, keys: Option<&Keys>, rows: &Bindings) -> Result<bool> {
        let (plan, tables) = (self.plan, self.tables);
        let may = &plan.variables[variable].tables;
        if let Some(keys) = keys {
            let mut vertices: Vec<Id> = Vec::new();
            for (table, keys) in keys {
                for key in keys {
                    if tables.vertices[*table].has_rows() || self.is_an_end(*table, key)? {
                        vertices.push(self.vertices.intern(*table, key)?.0);
                    }
                }
            }
            return self.begin_with(at, variable, &vertices, rows);
        }
        for table in (0..may.len()).filter(|table| may[*table]) {
            let mut vertices: Vec<Id> = Vec::new();
            if !tables.vertices[table].has_rows() {
                vertices = self.implied(table)?;
            }
            for vertex in tables.vertices[table].all()? {
                vertices.push(self.vertices.intern(table, &vertex?)?.0);
                if vertices.len() == ROWS_AT_ONCE {
                    if !self.begin_with(at, variable, &vertices, rows)? {
                        return Ok(false);
                    }
                    vertices.clear();
                }
            }
            if !self.begin_with(at, variable, &vertices, rows)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn begin_with(&mut self, at: usize, variable: usize, vertices: &[Id], rows: &Bindings) -> Result<bool> {
        self.fetch_vertices(vertices)?;
        let width = self.plan.variables.len();
        let mut begun = Bindings::empty(width);
        for row in rows.rows() {
            for vertex in vertices {
                if !self.vertices.is_gone(*vertex) {
                    begun.push(row, &[(variable, *vertex)]);
                }
                if begun.len() >= ROWS_AT_ONCE {
                    let full = std::mem::replace(&mut begun, Bindings::empty(width));
                    if !self.go_on(at, full)? {
                        return Ok(false);
                    }
                }
            }
        }
        self.go_on(at, begun)
    }

    /// Whether any edge has this vertex at one of its ends.
    fn is_an_end(&mut self, table: usize, vertex: &[u8]) -> Result<bool> {
        for (edges, rows) in self.plan.graph.edges.iter().zip(&self.tables.edges) {
            for end in [EdgeEnd::Source, EdgeEnd::Destination] {
                if edges.vertices_at(end) == table && rows.at(end, vertex).next().transpose()?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The vertices of a table that has no rows: every end of an edge.
    fn implied(&mut self, table: usize) -> Result<Vec<Id>> {
        let (plan, tables) = (self.plan, self.tables);
        let mut seen: HashSet<Id> = HashSet::new();
        let mut vertices: Vec<Id> = Vec::new();
        for (edges, rows) in plan.graph.edges.iter().zip(&tables.edges) {
            let ends = [EdgeEnd::Source, EdgeEnd::Destination];
            let ends: Vec<EdgeEnd> = ends
                .into_iter()
                .filter(|end| edges.vertices_at(*end) == table)
                .collect();
            if ends.is_empty() {
                continue;
            }
            let mut keys: Vec<Vec<u8>> = Vec::new();
            let mut all = rows.all();
            loop {
                keys.clear();
                for key in all.by_ref().take(ROWS_AT_ONCE) {
                    keys.push(key?);
                    self.look(1)?;
                }
                if keys.is_empty() {
                    break;
                }
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                for end in &ends {
                    for vertex in rows.vertices(*end, &keys)?.into_iter().flatten() {
                        let (id, _) = self.vertices.intern(table, &vertex)?;
                        if seen.insert(id) {
                            vertices.push(id);
                        }
                    }
                }
                self.check_memory(vertices.len() * size_of::<Id>() * 4)?;
            }
        }
        Ok(vertices)
    }

    fn hop(&mut self, at: usize, hop: &Hop, rows: &Bindings) -> Result<bool> {
        for first in (0..rows.len()).step_by(ROWS_AT_ONCE) {
            let some: Vec<&[Id]> = (first..rows.len().min(first + ROWS_AT_ONCE))
                .map(|at| rows.row(at))
                .collect();
            let goes_on = match hop.repeats {
                None => self.single(at, hop, &some)?,
                Some(repeats) if hop.is_shortest => self.shortest(at, hop, repeats, &some)?,
                Some(repeats) => self.repeated(at, hop, repeats, &some)?,
            };
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One edge further.
    fn single(&mut self, at: usize, hop: &Hop, rows: &[&[Id]]) -> Result<bool> {
        let plan = self.plan;
        let may = &plan.variables[hop.to].tables;
        let neighbours = self.neighbours(hop, rows.iter().map(|row| row[hop.from]), Some(may))?;
        let width = plan.variables.len();
        let mut found = Bindings::empty(width);
        for row in rows {
            for (edge, vertex) in neighbours.get(&row[hop.from]).into_iter().flatten() {
                if hop.closes && row[hop.to] != *vertex {
                    continue;
                }
                found.push(row, &[(hop.edge, *edge), (hop.to, *vertex)]);
                if found.len() >= ROWS_AT_ONCE {
                    let full = std::mem::replace(&mut found, Bindings::empty(width));
                    self.look(full.len())?;
                    if !self.go_on(at, full)? {
                        return Ok(false);
                    }
                }
            }
        }
        self.go_on(at, found)
    }

    /// Counts edges that are looked at.
    pub(super) fn look(&mut self, edges: usize) -> Result<()> {
        self.looked_at += edges as u64;
        let edges_max = self.plan.edges_max;
        if self.looked_at <= edges_max {
            return Ok(());
        }
        let message = format!("the pattern looks at more than {edges_max} edges");
        Err(SqlError::new(SqlState::TOO_LARGE, message)
            .hint("begin at a vertex that is told by its key (WHERE a.id = …), or repeat edges fewer times")
            .into())
    }

    /// Refuses to hold more than there is room for.
    pub(super) fn check_memory(&mut self, more: usize) -> Result<()> {
        let bytes = self.vertices.bytes() + self.edges.bytes() + self.paths.bytes() + more;
        self.answer.holds(bytes)
    }

    /// Whether a path passes nothing that it must not pass again.
    fn keeps_to_mode(&self, path: &Path, row: &[Id]) -> bool {
        let is_group = |edge: usize| self.plan.variables[edge].is_group;
        if path.mode == PathMode::Trail {
            let mut edges: Vec<Id> = Vec::new();
            for edge in &path.edges {
                match is_group(*edge) {
                    true => edges.extend(self.paths.steps(row[*edge]).map(|step| step.edge)),
                    false => edges.push(row[*edge]),
                }
            }
            return are_distinct(&mut edges);
        }
        let mut vertices: Vec<Id> = vec![row[path.vertices[0]]];
        for (place, edge) in path.edges.iter().enumerate() {
            let next = row[path.vertices[place + 1]];
            if is_group(*edge) {
                // Its last step came to one of the two ends, which stand in slots of their own.
                vertices.extend(self.paths.steps(row[*edge]).skip(1).map(|step| step.vertex));
                if row[*edge] == UNBOUND {
                    continue;
                }
            }
            vertices.push(next);
        }
        let is_circle = vertices.len() > 1 && vertices.first() == vertices.last();
        if path.mode == PathMode::Simple && is_circle {
            vertices.pop();
        }
        are_distinct(&mut vertices)
    }
}

fn are_distinct(ids: &mut Vec<Id>) -> bool {
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    ids.len() == count
}

pub(super) fn canceled() -> SqlError {
    SqlError::new(
        SqlState::CANCELED,
        "the statement was canceled: nobody waits for its answer",
    )
}
