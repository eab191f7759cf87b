//! Expressions of a pattern: what they read of the variables, compiled.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{Column, DFSchema, Result, TableReference};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast::{
    self, Expr as Written, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, VisitMut, VisitorMut,
};

use crate::{SqlError, SqlState};

/// Where a value that an expression reads comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// A property of a variable: both by their place.
    Property { variable: usize, property: usize },
    /// What tells the variable's element from all others.
    ElementId { variable: usize },
    /// How many edges a path has.
    PathLength { path: usize },
    /// An aggregate over the edges of a repeated one.
    Aggregate { aggregate: usize },
}

/// The columns that the expressions of a pattern may read.
#[derive(Default)]
pub(super) struct Scope {
    columns: Vec<(Column, FieldRef, Input)>,
}

/// An expression ready to be evaluated over rows of what it reads.
pub(super) struct Compiled {
    pub(super) physical: Arc<dyn PhysicalExpr>,
    /// What the columns of the rows are.
    pub(super) inputs: Vec<Input>,
    pub(super) schema: SchemaRef,
}

/// An aggregate over the edges of a repeated edge: `sum(e.times)`.
#[derive(Debug, Clone)]
pub(super) struct WrittenAggregate {
    pub(super) function: String,
    pub(super) variable: String,
    /// `None`: the edges themselves are meant, as in `count(e)`.
    pub(super) property: Option<String>,
}

/// The names under which an expression finds what is no property.
const ELEMENT_ID: &str = "element_id()";
const PATH_LENGTH: &str = "path_length()";
const AGGREGATES: &str = "aggregate()";

impl Scope {
    /// Adds a property of a variable.
    pub(super) fn property(&mut self, name: &str, property: (&str, &DataType), input: Input) {
        self.add(name, property.0, property.1.clone(), input);
    }

    /// Adds what tells a variable's element from others.
    pub(super) fn element_id(&mut self, name: &str, variable: usize) {
        self.add(name, ELEMENT_ID, DataType::Utf8, Input::ElementId { variable });
    }

    /// Adds the length of a path.
    pub(super) fn path(&mut self, name: &str, path: usize) {
        self.add(name, PATH_LENGTH, DataType::Int64, Input::PathLength { path });
    }

    /// Adds an aggregate's value.
    pub(super) fn aggregate(&mut self, aggregate: usize, data_type: DataType) {
        let name = aggregate.to_string();
        self.add(AGGREGATES, &name, data_type, Input::Aggregate { aggregate });
    }

    fn add(&mut self, qualifier: &str, name: &str, data_type: DataType, input: Input) {
        let column = Column::new(Some(TableReference::bare(qualifier)), name);
        self.columns
            .push((column, Arc::new(Field::new(name, data_type, true)), input));
    }

    /// What expressions are planned against.
    pub(super) fn schema(&self) -> Result<DFSchema> {
        schema_of(self.columns.iter())
    }

    /// What an expression reads.
    pub(super) fn inputs(&self, expr: &Expr) -> Vec<Input> {
        let refs = expr.column_refs();
        let read = self.columns.iter().filter(|(column, _, _)| refs.contains(column));
        read.map(|(_, _, input)| *input).collect()
    }

    /// Compiles an expression over rows of what it reads alone.
    pub(super) fn compile(
        &self,
        expr: &Expr,
        physical: impl FnOnce(Expr, &DFSchema) -> Result<Arc<dyn PhysicalExpr>>,
    ) -> Result<Compiled> {
        let refs = expr.column_refs();
        let read: Vec<&(Column, FieldRef, Input)> = self
            .columns
            .iter()
            .filter(|(column, _, _)| refs.contains(column))
            .collect();
        let schema = schema_of(read.iter().copied())?;
        Ok(Compiled {
            physical: physical(expr.clone(), &schema)?,
            inputs: read.iter().map(|(_, _, input)| *input).collect(),
            schema: Arc::new(Schema::new(
                read.iter()
                    .map(|(_, field, _)| Arc::clone(field))
                    .collect::<Vec<FieldRef>>(),
            )),
        })
    }
}

fn schema_of<'a>(columns: impl Iterator<Item = &'a (Column, FieldRef, Input)>) -> Result<DFSchema> {
    let fields = columns.map(|(column, field, _)| (column.relation.clone(), Arc::clone(field)));
    DFSchema::new_with_metadata(fields.collect(), std::collections::HashMap::new())
}

/// What the names in an expression are.
pub(super) trait Variables {
    /// Whether this is a variable of one vertex or edge.
    fn is_element(&self, name: &str) -> bool;
    /// Whether this is a repeated edge.
    fn is_group(&self, name: &str) -> bool;
    /// Whether this is a path.
    fn is_path(&self, name: &str) -> bool;
}

/// Turns the functions on elements, paths and repeated edges into columns. The aggregates found are added to `aggregates`; `None`: none may be there.
pub(super) fn with_columns(
    expr: &mut Written,
    variables: &dyn Variables,
    aggregates: Option<&mut Vec<WrittenAggregate>>,
) -> Result<(), SqlError> {
    let mut rewriter = Rewriter { variables, aggregates };
    match expr.visit(&mut rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Rewriter<'a> {
    variables: &'a dyn Variables,
    aggregates: Option<&'a mut Vec<WrittenAggregate>>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        ControlFlow::Break(
            SqlError::new(SqlState::NOT_SUPPORTED, "a query inside of a pattern is not there")
                .hint("join GRAPH_TABLE with it, or filter behind it"),
        )
    }

    fn pre_visit_expr(&mut self, expr: &mut Written) -> ControlFlow<SqlError> {
        match self.rewritten(expr) {
            Ok(Some(column)) => {
                *expr = column;
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Rewriter<'_> {
    fn rewritten(&mut self, expr: &Written) -> Result<Option<Written>, SqlError> {
        match expr {
            Written::CompoundIdentifier(parts) => match parts.first() {
                Some(variable) if self.variables.is_group(&variable.value) => Err(several_edges(&variable.value)),
                _ => Ok(None),
            },
            Written::Function(function) => self.function(function),
            _ => Ok(None),
        }
    }

    fn function(&mut self, function: &ast::Function) -> Result<Option<Written>, SqlError> {
        let Some(name) = function.name.0.last().and_then(|part| part.as_ident()) else {
            return Ok(None);
        };
        let name = name.value.to_lowercase();
        let arguments = arguments(&function.args);
        let element = |argument: Option<&Argument>| match argument {
            Some((variable, None)) if self.variables.is_element(variable) => Ok(column(variable, ELEMENT_ID)),
            _ => Err(SqlError::new(
                SqlState::SYNTAX,
                format!("{name}() is asked of a vertex or an edge, by its variable"),
            )),
        };
        match name.as_str() {
            "element_id" | "vertex_id" | "edge_id" => element(arguments.first()).map(Some),
            "vertex_equal" | "edge_equal" => {
                let (left, right) = (element(arguments.first())?, element(arguments.get(1))?);
                Ok(Some(Written::Nested(Box::new(Written::BinaryOp {
                    left: Box::new(left),
                    op: ast::BinaryOperator::Eq,
                    right: Box::new(right),
                }))))
            }
            "path_length" => match arguments.first() {
                Some((path, None)) if self.variables.is_path(path) => Ok(Some(column(path, PATH_LENGTH))),
                _ => Err(
                    SqlError::new(SqlState::SYNTAX, "path_length() is asked of a path, by its name")
                        .hint("name the path: MATCH p = (a)-[e]->{1,4}(b) … COLUMNS (path_length(p) AS length)"),
                ),
            },
            _ => self.aggregate(name, &arguments),
        }
    }

    fn aggregate(&mut self, function: String, arguments: &[Argument]) -> Result<Option<Written>, SqlError> {
        let Some((variable, property)) = arguments.first().filter(|(name, _)| self.variables.is_group(name)) else {
            return Ok(None);
        };
        let (Some(aggregates), 1) = (&mut self.aggregates, arguments.len()) else {
            return Err(several_edges(variable));
        };
        let place = aggregates.len().to_string();
        aggregates.push(WrittenAggregate {
            function,
            variable: variable.clone(),
            property: property.clone(),
        });
        Ok(Some(column(AGGREGATES, &place)))
    }
}

fn several_edges(variable: &str) -> SqlError {
    let message = format!("'{variable}' is a repeated edge and stands for several of them");
    SqlError::new(SqlState::GROUPING, message)
        .hint(format!("ask an aggregate of it among the COLUMNS: count({variable}), sum({variable}.property); or filter each edge in its own brackets"))
}

/// A variable, and one of its properties.
type Argument = (String, Option<String>);

/// The arguments that are variables or their properties; others are no names.
fn arguments(arguments: &FunctionArguments) -> Vec<Argument> {
    let FunctionArguments::List(list) = arguments else {
        return Vec::new();
    };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Written::Identifier(variable))) => (variable.value.clone(), None),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Written::CompoundIdentifier(parts))) => match parts.as_slice() {
            [variable, property] => (variable.value.clone(), Some(property.value.clone())),
            _ => (String::new(), None),
        },
        _ => (String::new(), None),
    };
    list.args.iter().map(argument).collect()
}

fn column(qualifier: &str, name: &str) -> Written {
    Written::CompoundIdentifier(vec![Ident::with_quote('"', qualifier), Ident::with_quote('"', name)])
}
