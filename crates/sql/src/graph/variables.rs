//! The variables of a pattern: what is written of each, in all the places where it comes, over the tables of the graph.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Location;

use super::compile::Compiler;
use super::expression::{Compiled, Input, Scope, Variables, with_columns};
use super::model::Property;
use super::order::Link;
use super::pattern::{Element, GraphPattern};
use super::plan::{Path, Variable, VariableProperty};
use crate::nearest::nearest;
use crate::syntax::Name;
use crate::{Place, SqlError, SqlState};

impl Variables for Compiler<'_> {
    fn is_element(&self, name: &str) -> bool {
        self.named(name)
            .is_some_and(|variable| !self.variables[variable].is_group)
    }

    fn is_group(&self, name: &str) -> bool {
        self.named(name)
            .is_some_and(|variable| self.variables[variable].is_group)
    }

    fn is_path(&self, name: &str) -> bool {
        self.paths.iter().any(|path| path.name.as_deref() == Some(name))
    }
}

impl Compiler<'_> {
    /// Takes the variables, paths and links of the pattern.
    pub(super) fn gather(&mut self, pattern: &GraphPattern) -> Result<()> {
        for (index, path) in pattern.paths.iter().enumerate() {
            let mut vertices = vec![self.vertex(&path.first)?];
            let mut edges: Vec<usize> = Vec::new();
            for (edge, vertex) in &path.hops {
                let left = vertices.last().copied().unwrap_or_default();
                let is_group = edge.repeats.is_some();
                let variable = self.edge(&edge.element, is_group)?;
                let right = self.vertex(vertex)?;
                self.links.push(Link {
                    left,
                    right,
                    edge: variable,
                    path: index,
                    direction: edge.direction,
                    repeats: edge.repeats,
                    is_shortest: path.is_shortest,
                });
                edges.push(variable);
                vertices.push(right);
            }
            if let Some(name) = &path.name
                && (self.named(&name.value).is_some() || self.is_path(&name.value))
            {
                return Err(twice(name).into());
            }
            self.paths.push(Path {
                name: path.name.as_ref().map(|name| name.value.clone()),
                mode: path.mode,
                vertices,
                edges,
            });
        }
        self.written.extend(pattern.filter.clone());
        Ok(())
    }

    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.variables
            .iter()
            .position(|variable| variable.name.as_deref() == Some(name))
    }

    fn vertex(&mut self, element: &Element) -> Result<usize> {
        let labels = self.labels(element, true)?;
        let mut tables = vec![false; self.graph.vertices.len()];
        self.graph
            .vertex_tables(&labels)
            .into_iter()
            .for_each(|table| tables[table] = true);
        let known = element.variable.as_ref().and_then(|name| self.named(&name.value));
        self.written.extend(element.filter.clone());
        if let (Some(known), Some(name)) = (known, &element.variable) {
            if !self.variables[known].is_vertex {
                let message = format!("'{}' is an edge, and stands for a vertex here", name.value);
                return Err(at(SqlError::new(SqlState::SYNTAX, message), name.span.start).into());
            }
            // The same vertex in two places: it must be what both say.
            let narrowed = self.variables[known]
                .tables
                .iter()
                .zip(&tables)
                .map(|(one, other)| *one && *other);
            self.variables[known].tables = narrowed.collect();
            return Ok(known);
        }
        let of_tables = self.graph.vertices.iter().map(|table| &table.properties);
        let properties = properties(of_tables, &tables);
        Ok(self.add(element, true, false, tables, properties))
    }

    fn edge(&mut self, element: &Element, is_group: bool) -> Result<usize> {
        let labels = self.labels(element, false)?;
        let mut tables = vec![false; self.graph.edges.len()];
        self.graph
            .edge_tables(&labels)
            .into_iter()
            .for_each(|table| tables[table] = true);
        if let Some(name) = &element.variable
            && self.named(&name.value).is_some()
        {
            return Err(twice(name).into());
        }
        let of_tables = self.graph.edges.iter().map(|table| &table.properties);
        let properties = properties(of_tables, &tables);
        let variable = self.add(element, false, is_group, tables, properties);
        if is_group && let Some(filter) = &element.filter {
            let filter = self.edge_filter(variable, filter)?;
            self.edge_filters.insert(variable, filter);
        } else {
            self.written.extend(element.filter.clone());
        }
        Ok(variable)
    }

    fn add(
        &mut self,
        element: &Element,
        is_vertex: bool,
        is_group: bool,
        tables: Vec<bool>,
        properties: Vec<VariableProperty>,
    ) -> usize {
        self.variables.push(Variable {
            name: element.variable.as_ref().map(|name| name.value.clone()),
            is_vertex,
            is_group,
            tables,
            properties,
        });
        self.variables.len() - 1
    }

    /// The labels asked for; each must be one of the graph's.
    fn labels(&self, element: &Element, of_vertices: bool) -> Result<Vec<String>> {
        let known = self.graph.labels(of_vertices);
        for label in &element.labels {
            if known.contains(&label.value.as_str()) {
                continue;
            }
            let kind = if of_vertices { "vertices" } else { "edges" };
            let message = format!(
                "no {kind} of the graph '{}' have the label '{}'",
                self.graph.name, label.value
            );
            let error = SqlError::new(SqlState::UNKNOWN_COLUMN, message);
            let error = match nearest(&label.value, known.iter().copied()) {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error.hint(format!("there are {}", known.join(", "))),
            };
            return Err(at(error, label.span.start).into());
        }
        Ok(element.labels.iter().map(|label| label.value.clone()).collect())
    }

    /// What each of repeated edges must be: told by its own properties.
    fn edge_filter(&self, variable: usize, filter: &ast::Expr) -> Result<Compiled> {
        let mut scope = Scope::default();
        let edge = &self.variables[variable];
        let name = edge.name.as_deref().unwrap_or_default();
        for (property, known) in edge.properties.iter().enumerate() {
            let input = Input::Property { variable, property };
            scope.property(name, (&known.name, &known.data_type), input);
        }
        scope.element_id(name, variable);
        let mut filter = filter.clone();
        with_columns(&mut filter, &Alone(name), None)?;
        let planned = self.boolean(&filter, &scope)?;
        scope.compile(&planned, |expr, schema| self.expressions.physical(expr, schema))
    }
}

/// One edge of a row of them, on its own.
struct Alone<'a>(&'a str);

impl Variables for Alone<'_> {
    fn is_element(&self, name: &str) -> bool {
        name == self.0
    }

    fn is_group(&self, _name: &str) -> bool {
        false
    }

    fn is_path(&self, _name: &str) -> bool {
        false
    }
}

/// The properties of the elements of some tables.
fn properties<'a>(tables: impl Iterator<Item = &'a Vec<Property>>, may: &[bool]) -> Vec<VariableProperty> {
    let mut found: Vec<VariableProperty> = Vec::new();
    for (table, properties) in tables.enumerate().filter(|(table, _)| may[*table]) {
        for property in properties {
            let known = match found.iter().position(|known| known.name == property.name) {
                Some(known) => known,
                None => {
                    found.push(VariableProperty {
                        name: property.name.clone(),
                        data_type: property.data_type.clone(),
                        by_table: vec![None; may.len()],
                    });
                    found.len() - 1
                }
            };
            found[known].by_table[table] = Some(property.place);
        }
    }
    found
}

fn twice(name: &Name) -> SqlError {
    let message = format!("'{}' stands for two things in the pattern", name.value);
    at(
        SqlError::new(SqlState::SYNTAX, message)
            .hint("a vertex may come again; each edge and path has a name of its own"),
        name.span.start,
    )
}

/// An error at a place in the pattern.
pub(super) fn at(error: SqlError, location: Location) -> SqlError {
    error.at(Place {
        file: String::new(),
        line: location.line.max(1),
        column: location.column.max(1),
    })
}
