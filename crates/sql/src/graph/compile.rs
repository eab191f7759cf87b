//! From a pattern as it is written to the steps by which it is followed, over a graph as it is now.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{AggregateUDF, Expr, ExprSchemable};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::expressions::Column;
use datafusion::sql::sqlparser::ast;
use headwater_views::EdgeEnd;

use super::expression::{Compiled, Input, Scope, WrittenAggregate, with_columns};
use super::model::Graph;
use super::order::{Beginning, Link, Move, order};
use super::pattern::{Direction, GraphColumn, GraphPattern, PathMode};
use super::plan::{Aggregate, Hop, Keys, Path, Step, StepKind, Traversal, Variable};
use super::variables::at;
use crate::nearest::nearest;
use crate::{SqlError, SqlState};

/// Understands the expressions of a pattern: whoever plans the question.
pub(crate) trait Expressions {
    /// The plan of an expression, with the values of its parameters.
    fn planned(&self, expr: &ast::Expr, schema: &DFSchema) -> Result<Expr>;
    /// The same, with literals in the types of the columns that they are compared with.
    fn simplified(&self, expr: &Expr, schema: &DFSchema) -> Result<Expr>;
    /// What evaluates it.
    fn physical(&self, expr: Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>>;
    /// An aggregate by its name.
    fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>>;
}

/// Compiles a pattern.
pub(crate) fn compile(
    pattern: &GraphPattern,
    graph: Arc<Graph>,
    expressions: &dyn Expressions,
    edges_max: u64,
) -> Result<Traversal> {
    let mut compiler = Compiler {
        graph,
        expressions,
        variables: Vec::new(),
        paths: Vec::new(),
        links: Vec::new(),
        written: Vec::new(),
        edge_filters: BTreeMap::new(),
    };
    compiler.gather(pattern)?;
    compiler.narrow();
    compiler.build(pattern, edges_max)
}

/// A column of the answer: its name and its value.
type Shown = (String, Expr);

/// A pattern being compiled.
pub(super) struct Compiler<'a> {
    pub(super) graph: Arc<Graph>,
    pub(super) expressions: &'a dyn Expressions,
    pub(super) variables: Vec<Variable>,
    pub(super) paths: Vec<Path>,
    pub(super) links: Vec<Link>,
    /// The filters that are written, those of repeated edges left out.
    pub(super) written: Vec<ast::Expr>,
    pub(super) edge_filters: BTreeMap<usize, Compiled>,
}

impl Compiler<'_> {
    pub(super) fn boolean(&self, filter: &ast::Expr, scope: &Scope) -> Result<Expr> {
        let schema = scope.schema()?;
        let planned = self.expressions.planned(filter, &schema)?;
        match planned.get_type(&schema)? {
            DataType::Boolean | DataType::Null => Ok(planned),
            other => {
                let message = format!("WHERE needs a condition, and {planned} is {other}");
                Err(SqlError::new(SqlState::TYPE_MISMATCH, message).into())
            }
        }
    }

    fn build(mut self, pattern: &GraphPattern, edges_max: u64) -> Result<Traversal> {
        let mut scope = self.scope();
        let mut conjuncts: Vec<(Expr, Vec<Input>)> = Vec::new();
        for filter in std::mem::take(&mut self.written) {
            let mut filter = filter;
            with_columns(&mut filter, &self, None)?;
            for conjunct in split_conjunction_owned(self.boolean(&filter, &scope)?) {
                let inputs = scope.inputs(&conjunct);
                conjuncts.push((conjunct, inputs));
            }
        }
        let (values, aggregates) = self.values(pattern, &mut scope)?;
        let mut columns: Vec<Compiled> = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        for (name, value) in values {
            let compiled = scope.compile(&value, |expr, schema| self.expressions.physical(expr, schema))?;
            let data_type = compiled.physical.data_type(&compiled.schema)?;
            fields.push(Field::new(name, data_type, true));
            columns.push(compiled);
        }
        let read: Vec<Input> = columns.iter().flat_map(|column| &column.inputs).copied().collect();
        let filtered = conjuncts.iter().flat_map(|(_, inputs)| inputs).copied();
        let read: Vec<Input> = read.into_iter().chain(filtered).collect();
        let steps = self.steps(conjuncts, &scope, &read, &aggregates)?;
        Ok(Traversal {
            graph: self.graph,
            variables: self.variables,
            paths: self.paths,
            steps,
            columns,
            aggregates,
            schema: Arc::new(Schema::new(fields)),
            edges_max,
        })
    }

    /// The properties of all variables of one vertex or edge, and the lengths of paths.
    fn scope(&self) -> Scope {
        let mut scope = Scope::default();
        for (variable, known) in self.variables.iter().enumerate().filter(|(_, known)| !known.is_group) {
            let Some(name) = &known.name else { continue };
            for (property, of) in known.properties.iter().enumerate() {
                let input = Input::Property { variable, property };
                scope.property(name, (&of.name, &of.data_type), input);
            }
            scope.element_id(name, variable);
        }
        for (path, known) in self.paths.iter().enumerate() {
            if let Some(name) = &known.name {
                scope.path(name, path);
            }
        }
        scope
    }

    /// The columns of the answer, planned, and the aggregates in them, which are added to the scope.
    fn values(&self, pattern: &GraphPattern, scope: &mut Scope) -> Result<(Vec<Shown>, Vec<Aggregate>)> {
        let mut written: Vec<(String, ast::Expr)> = Vec::new();
        let mut found: Vec<WrittenAggregate> = Vec::new();
        for column in &pattern.columns {
            match column {
                GraphColumn::Value { expr, name } => {
                    let mut expr = expr.as_ref().clone();
                    with_columns(&mut expr, self, Some(&mut found))?;
                    written.push((name.clone(), expr));
                }
                GraphColumn::All(variable) => {
                    let known = self
                        .named(&variable.value)
                        .filter(|known| !self.variables[*known].is_group);
                    let Some(known) = known else {
                        let message = format!("'{}.*' names no vertex or edge of the pattern", variable.value);
                        return Err(at(SqlError::new(SqlState::UNKNOWN_COLUMN, message), variable.span.start).into());
                    };
                    for property in &self.variables[known].properties {
                        let parts = [&variable.value, &property.name].map(|part| ast::Ident::with_quote('"', part));
                        written.push((property.name.clone(), ast::Expr::CompoundIdentifier(parts.to_vec())));
                    }
                }
            }
        }
        let mut aggregates: Vec<Aggregate> = Vec::new();
        for aggregate in &found {
            let aggregate = self.aggregate(aggregate)?;
            scope.aggregate(aggregates.len(), aggregate.function.field().data_type().clone());
            aggregates.push(aggregate);
        }
        let schema = scope.schema()?;
        let mut values: Vec<Shown> = Vec::new();
        for (name, expr) in written {
            if values.iter().any(|(known, _)| *known == name) {
                let message = format!("COLUMNS has two columns '{name}'");
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message)
                    .hint("give each of them a name of its own with AS")
                    .into());
            }
            values.push((name, self.expressions.planned(&expr, &schema)?));
        }
        Ok((values, aggregates))
    }

    fn aggregate(&self, written: &WrittenAggregate) -> Result<Aggregate> {
        let WrittenAggregate {
            function,
            variable,
            property,
        } = written;
        let udaf = self.expressions.aggregate(function).ok_or_else(|| {
            SqlError::new(
                SqlState::UNKNOWN_FUNCTION,
                format!("there is no aggregate {function}()"),
            )
            .hint("count, sum, min, max and avg are some")
        })?;
        let place = self.named(variable).unwrap_or_default();
        let (property, data_type) = match property {
            None => (None, DataType::Int64),
            Some(name) => {
                let properties = &self.variables[place].properties;
                let Some(property) = properties.iter().position(|property| property.name == *name) else {
                    let message = format!("the edges of '{variable}' have no property '{name}'");
                    let error = SqlError::new(SqlState::UNKNOWN_COLUMN, message);
                    let names = properties.iter().map(|property| property.name.as_str());
                    return Err(match nearest(name, names) {
                        Some(near) => error.hint(format!("did you mean '{near}'?")).into(),
                        None => error.into(),
                    });
                };
                (Some(property), properties[property].data_type.clone())
            }
        };
        let field = Arc::new(Field::new("value", data_type, true));
        // Aggregates are made for some types, and others become those.
        let taken = fields_with_udf(&[Arc::clone(&field)], udaf.as_ref())?;
        let taken = taken
            .first()
            .map_or(field.data_type(), |taken| taken.data_type())
            .clone();
        let schema = Arc::new(Schema::new(vec![field.as_ref().clone().with_data_type(taken.clone())]));
        let argument = Arc::new(Column::new("value", 0)) as Arc<dyn PhysicalExpr>;
        let function = AggregateExprBuilder::new(udaf, vec![argument])
            .schema(schema)
            .alias("value")
            .build()?;
        Ok(Aggregate {
            function: Arc::new(function),
            variable: place,
            property,
            taken,
        })
    }

    /// The steps in order, each with the filters that can be answered once it is made.
    fn steps(
        &mut self,
        conjuncts: Vec<(Expr, Vec<Input>)>,
        scope: &Scope,
        read: &[Input],
        aggregates: &[Aggregate],
    ) -> Result<Vec<Step>> {
        let mut keys: BTreeMap<usize, Keys> = BTreeMap::new();
        let mut beginnings: Vec<Beginning> = Vec::new();
        for (variable, known) in self.variables.iter().enumerate().filter(|(_, known)| known.is_vertex) {
            let found = self.keys(variable, &conjuncts, scope)?;
            let vertices = match &found {
                Some(found) => found.iter().map(|(_, keys)| keys.len() as u64).sum(),
                None => self.vertex_count(known),
            };
            beginnings.push(Beginning {
                variable,
                is_keyed: found.is_some(),
                vertices,
            });
            if let Some(found) = found {
                keys.insert(variable, found);
            }
        }
        let is_read = |variable: usize| {
            let reads = |input: &Input| match input {
                Input::Property { variable: of, .. } | Input::ElementId { variable: of } => *of == variable,
                Input::PathLength { .. } | Input::Aggregate { .. } => false,
            };
            read.iter().any(reads)
                || aggregates
                    .iter()
                    .any(|of| of.variable == variable && of.property.is_some())
        };
        let mut known: Vec<usize> = Vec::new();
        let mut steps: Vec<Step> = Vec::new();
        let mut waiting = conjuncts;
        for step in order(&beginnings, &self.links) {
            let kind = match step {
                Move::Begin(variable) => {
                    known.push(variable);
                    StepKind::Begin {
                        variable,
                        keys: keys.remove(&variable),
                    }
                }
                Move::Follow {
                    link,
                    is_backwards,
                    closes,
                } => {
                    let hop = self.hop(link, is_backwards, closes, is_read(self.links[link].edge));
                    known.extend([hop.edge, hop.to]);
                    StepKind::Hop(hop)
                }
            };
            let is_whole = |path: &Path| path.edges.iter().chain(&path.vertices).all(|of| known.contains(of));
            let has_ended = |path: &usize| {
                is_whole(&self.paths[*path]) && !steps.iter().any(|step: &Step| step.ended.contains(path))
            };
            let ended: Vec<usize> = (0..self.paths.len()).filter(has_ended).collect();
            let is_known = |input: &Input| match input {
                Input::Property { variable, .. } | Input::ElementId { variable } => known.contains(variable),
                Input::PathLength { path } => is_whole(&self.paths[*path]),
                Input::Aggregate { .. } => false,
            };
            let (ready, later): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|(_, inputs)| inputs.iter().all(is_known));
            waiting = later;
            let mut filters: Vec<Compiled> = Vec::new();
            for (conjunct, _) in ready {
                filters.push(scope.compile(&conjunct, |expr, schema| self.expressions.physical(expr, schema))?);
            }
            steps.push(Step { kind, filters, ended });
        }
        Ok(steps)
    }

    fn hop(&mut self, link: usize, is_backwards: bool, closes: bool, is_read: bool) -> Hop {
        let Link {
            left,
            right,
            edge,
            path,
            direction,
            repeats,
            is_shortest,
        } = self.links[link].clone();
        let (from, to) = if is_backwards { (right, left) } else { (left, right) };
        let ends: &[EdgeEnd] = match (direction, is_backwards) {
            (Direction::Any, _) => &[EdgeEnd::Source, EdgeEnd::Destination],
            (Direction::Right, false) | (Direction::Left, true) => &[EdgeEnd::Source],
            (Direction::Left, false) | (Direction::Right, true) => &[EdgeEnd::Destination],
        };
        let tables = self.variables[edge].tables.iter().enumerate().filter(|(_, may)| **may);
        let ends = tables
            .flat_map(|(table, _)| ends.iter().map(move |end| (table, *end)))
            .collect();
        let edge_filter = self.edge_filters.remove(&edge);
        let mode = self.paths[path].mode;
        Hop {
            from,
            edge,
            to,
            closes,
            is_backwards,
            ends,
            repeats,
            mode,
            is_shortest,
            keeps_edges: is_read || edge_filter.is_some() || mode == PathMode::Trail,
            edge_filter,
        }
    }
}
