//! Where a pattern may begin: which vertices filters let each variable be, and how many those are.

use datafusion::common::Result;
use datafusion::logical_expr::Expr;

use super::compile::Compiler;
use super::expression::{Input, Scope};
use super::model::{EdgeAccess, Property, PropertyPlace, VertexAccess};
use super::pattern::Direction;
use super::plan::{Keys, Variable};
use super::rows::Codec;
use crate::tables::key_values;

impl Compiler<'_> {
    /// Leaves out the vertex tables that no edge of the pattern leads to or from.
    pub(super) fn narrow(&mut self) {
        for link in &self.links {
            if link.repeats.is_some_and(|repeats| repeats.min == 0) {
                // Without an edge any vertex may be there.
                continue;
            }
            let vertices = self.graph.vertices.len();
            let (mut left, mut right) = (vec![false; vertices], vec![false; vertices]);
            let may = self.graph.edges.iter().zip(&self.variables[link.edge].tables);
            for (edges, _) in may.filter(|(_, may)| **may) {
                if link.direction != Direction::Left {
                    left[edges.source] = true;
                    right[edges.destination] = true;
                }
                if link.direction != Direction::Right {
                    left[edges.destination] = true;
                    right[edges.source] = true;
                }
            }
            for (variable, may) in [(link.left, left), (link.right, right)] {
                let tables = &mut self.variables[variable].tables;
                tables.iter_mut().zip(may).for_each(|(table, may)| *table &= may);
            }
        }
    }

    /// The vertices that filters on its key let a variable be; `None` where it may be any.
    pub(super) fn keys(
        &self,
        variable: usize,
        conjuncts: &[(Expr, Vec<Input>)],
        scope: &Scope,
    ) -> Result<Option<Keys>> {
        let is_own = |input: &Input| matches!(input, Input::Property { variable: of, .. } if *of == variable);
        let schema = scope.schema()?;
        let mut own: Vec<Expr> = Vec::new();
        for (conjunct, inputs) in conjuncts {
            if !inputs.is_empty() && inputs.iter().all(is_own) {
                own.push(self.expressions.simplified(conjunct, &schema)?);
            }
        }
        let mut found: Keys = Vec::new();
        for (table, vertices) in self.graph.vertices.iter().enumerate() {
            if !self.variables[variable].tables[table] {
                continue;
            }
            let is_key = |property: &&Property| property.place == PropertyPlace::Key;
            let keys = vertices.properties.iter().find(is_key).and_then(|key| {
                let filters: Vec<&Expr> = own.iter().collect();
                key_values(&filters, &key.name, &vertices.key_type)
            });
            let Some(values) = keys else { return Ok(None) };
            let codec = Codec::new(&vertices.key_type)?;
            let mut keys: Vec<Vec<u8>> = Vec::new();
            for value in values {
                keys.extend(codec.encode_value(&value)?);
            }
            keys.sort();
            keys.dedup();
            found.push((table, keys));
        }
        Ok(Some(found))
    }

    /// How many vertices a variable may be begun with, about.
    pub(super) fn vertex_count(&self, variable: &Variable) -> u64 {
        let count = |(table, may): (usize, &bool)| match (&self.graph.vertices[table].access, may) {
            (_, false) => 0,
            (VertexAccess::Key(reading), true) => reading.view().row_count(),
            (VertexAccess::All(_), true) => u64::from(u32::MAX),
            (VertexAccess::Implied, true) => self.edge_count(table),
        };
        variable.tables.iter().enumerate().map(count).sum()
    }

    fn edge_count(&self, vertices: usize) -> u64 {
        let edges = self.graph.edges.iter();
        let at = edges.filter(|edges| edges.source == vertices || edges.destination == vertices);
        at.map(|edges| match &edges.access {
            EdgeAccess::Ends { reading, .. } => reading.view().row_count(),
            EdgeAccess::All(_) => u64::from(u32::MAX),
        })
        .sum()
    }
}
