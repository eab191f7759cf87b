//! Property graphs in a question: `GRAPH_TABLE (…)`, and the graphs that their names stand for.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{AggregateUDF, EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, TableSource};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast;
use headwater_catalog::{Definition, EdgeTable, GraphDefinition, GraphLabel, Shape, VertexTable};
use headwater_views::View;

use super::moment::At;
use super::names::{Names, parser_options};
use crate::graph::{
    self, Algorithm, EdgeAccess, Edges, Expressions, Graph, GraphTable, Property, PropertyPlace, Rows, Run,
    VertexAccess, Vertices,
};
use crate::parse;
use crate::{SqlError, SqlState};

impl Names<'_> {
    /// A pattern, by its place and its text (see `parse::graph`), over a graph as it is now or was at a moment.
    pub(super) fn graph_table(&self, args: &[Expr], at: Option<&At>) -> Result<Arc<dyn TableSource>> {
        let text = |place: usize| match args.get(place) {
            Some(Expr::Literal(value, _)) => value.try_as_str().flatten(),
            _ => None,
        };
        let (Some(place), Some(text)) = (text(0), text(1)) else {
            let error = SqlError::new(SqlState::SYNTAX, "graph_table is no function of values");
            return Err(error
                .hint("write GRAPH_TABLE (graph MATCH (a)-[e]->(b) COLUMNS (a.id AS id))")
                .into());
        };
        let pattern = parse::pattern(place, text)?;
        let graph = Arc::new(self.graph(&pattern.graph.value, at)?);
        let traversal = graph::compile(&pattern, graph, self, self.inner.options.graph_edges_max)?;
        Ok(provider_as_source(Arc::new(GraphTable::new(traversal))))
    }

    /// `pagerank('shop', damping => 0.9)` and its like; a parameter's name stands before its value.
    pub(super) fn graph_algorithm(
        &self,
        algorithm: Algorithm,
        args: Vec<Expr>,
        at: Option<&At>,
    ) -> Result<Arc<dyn TableSource>> {
        let called = || {
            let name = algorithm.name();
            SqlError::new(
                SqlState::UNKNOWN_FUNCTION,
                format!("{name}() begins with the name of a property graph, a text"),
            )
            .hint(format!("write {name}('graph')"))
        };
        let mut args = args.into_iter();
        let graph = match args.next() {
            Some(Expr::Literal(value, _)) => value.try_as_str().flatten().map(str::to_owned),
            _ => None,
        };
        let graph = Arc::new(self.graph(&graph.ok_or_else(called)?, at)?);
        let mut algorithm = algorithm;
        while let Some(parameter) = args.next() {
            let name = match &parameter {
                Expr::Literal(value, _) => value.try_as_str().flatten(),
                _ => None,
            };
            let (Some(name), Some(value)) = (name, args.next()) else {
                let message = format!("the parameters of {}() have names", algorithm.name());
                return Err(SqlError::new(SqlState::UNKNOWN_FUNCTION, message)
                    .hint("write name => value")
                    .into());
            };
            if let Some(value) = self.moments.value(value, &DataType::Float64)? {
                algorithm = algorithm.with(name, &value)?;
            }
        }
        Ok(provider_as_source(Arc::new(GraphTable::new(Run::new(
            graph, algorithm,
        )))))
    }

    /// A graph by its name.
    pub(super) fn graph(&self, name: &str, at: Option<&At>) -> Result<Graph> {
        match self.inner.catalog.get(name).as_deref() {
            Some(Definition::Graph(definition)) => self.graph_of(definition, at),
            Some(other) => {
                let message = format!("'{name}' is a {}, not a property graph", other.noun());
                Err(SqlError::new(SqlState::UNKNOWN_TABLE, message)
                    .hint("CREATE PROPERTY GRAPH makes one of views")
                    .into())
            }
            None => {
                let error = SqlError::new(SqlState::UNKNOWN_TABLE, format!("there is no property graph '{name}'"));
                Err(error.hint("SHOW PROPERTY GRAPHS lists them").into())
            }
        }
    }

    /// A graph as its views are now, or were at a moment.
    pub(crate) fn graph_of(&self, definition: &GraphDefinition, at: Option<&At>) -> Result<Graph> {
        if !self.stores {
            let message = "a pattern over a graph cannot be kept up to date event by event";
            let hint = "make it a plain view (CREATE VIEW name AS SELECT …), which is computed when it is asked";
            return Err(SqlError::new(SqlState::INVALID_DEFINITION, message).hint(hint).into());
        }
        let mut edges: Vec<TypedEdges> = Vec::new();
        for table in &definition.edges {
            edges.push(self.edges(definition, table, at)?);
        }
        let mut vertices: Vec<Vertices> = Vec::new();
        for table in &definition.vertices {
            let ends = edges.iter().zip(&definition.edges).flat_map(|(made, written)| {
                let ends = [
                    (&written.source, &made.source_type),
                    (&written.destination, &made.destination_type),
                ];
                ends.into_iter()
            });
            let of_table = ends
                .filter(|(end, _)| end.vertices == table.name)
                .map(|(_, data_type)| data_type);
            vertices.push(self.vertices(definition, table, of_table.cloned().collect(), at)?);
        }
        let graph = Graph {
            name: definition.name.clone(),
            vertices,
            edges: edges.into_iter().map(|made| made.edges).collect(),
        };
        graph.check_properties()?;
        Ok(graph)
    }

    /// A table of vertices. `end_types` are those of the columns of edges that lead to it.
    fn vertices(
        &self,
        graph: &GraphDefinition,
        table: &VertexTable,
        end_types: Vec<DataType>,
        at: Option<&At>,
    ) -> Result<Vertices> {
        let Some(view) = &table.view else {
            let key_type = end_types.first().cloned().unwrap_or(DataType::Utf8);
            check_same(table, &key_type, &end_types)?;
            let key = Property {
                name: table.key.clone(),
                place: PropertyPlace::Key,
                data_type: key_type.clone(),
            };
            return Ok(Vertices {
                name: table.name.clone(),
                labels: names_of(&table.labels),
                properties: vec![key],
                key: table.key.clone(),
                key_type,
                access: VertexAccess::Implied,
            });
        };
        let running = self.held(view, at);
        let by_key = running.filter(|running| {
            let schema = running.schema();
            matches!(running.key_columns(), [key] if schema.field(*key).name() == &table.key)
                && running.key_types().len() == 1
        });
        let (schema, access) = match by_key {
            Some(running) => (running.schema(), VertexAccess::Key(self.reads.held(&running))),
            None => {
                let rows = self.read_whole(view, at)?;
                (rows.table.schema(), VertexAccess::All(rows))
            }
        };
        let key = index_of(&schema, &table.key, graph, view)?;
        let key_type = schema.field(key).data_type().clone();
        check_same(table, &key_type, &end_types)?;
        Ok(Vertices {
            name: table.name.clone(),
            labels: names_of(&table.labels),
            properties: properties(graph, view, &table.labels, &schema, Some(key))?,
            key: table.key.clone(),
            key_type,
            access,
        })
    }

    /// A table of edges.
    fn edges(&self, graph: &GraphDefinition, table: &EdgeTable, at: Option<&At>) -> Result<TypedEdges> {
        let view = &table.view;
        let running = self.held(view, at);
        let ends = running.as_ref().and_then(|running| match &running.definition().shape {
            Some(Shape::Graph { source, destination }) => Some((source.clone(), destination.clone())),
            _ => None,
        });
        let is_turned = match &ends {
            Some((source, destination))
                if (source, destination) == (&table.source.column, &table.destination.column) =>
            {
                Some(false)
            }
            Some((source, destination))
                if (destination, source) == (&table.source.column, &table.destination.column) =>
            {
                Some(true)
            }
            _ => None,
        };
        let key_columns = running.as_ref().map(|running| running.key_columns().to_vec());
        let (schema, access) = match (running, is_turned) {
            (Some(running), Some(is_turned)) => {
                let reading = self.reads.held(&running);
                (running.schema(), EdgeAccess::Ends { reading, is_turned })
            }
            _ => {
                let rows = self.read_whole(view, at)?;
                (rows.table.schema(), EdgeAccess::All(rows))
            }
        };
        let source_column = index_of(&schema, &table.source.column, graph, view)?;
        let destination_column = index_of(&schema, &table.destination.column, graph, view)?;
        let vertices = |name: &str| {
            let found = graph.vertex_table(name).map(|(index, _)| index);
            found.ok_or_else(|| {
                let message = format!("the graph '{}' has no vertex table '{name}'", graph.name);
                SqlError::new(SqlState::INVALID_DEFINITION, message)
            })
        };
        Ok(TypedEdges {
            source_type: schema.field(source_column).data_type().clone(),
            destination_type: schema.field(destination_column).data_type().clone(),
            edges: Edges {
                name: table.name.clone(),
                labels: names_of(&table.labels),
                properties: properties(graph, view, &table.labels, &schema, None)?,
                source: vertices(&table.source.vertices)?,
                destination: vertices(&table.destination.vertices)?,
                source_column,
                destination_column,
                key_columns: key_columns.unwrap_or_else(|| vec![source_column, destination_column]),
                access,
            },
        })
    }

    /// The running view, where it is asked as it is now.
    fn held(&self, view: &str, at: Option<&At>) -> Option<Arc<View>> {
        match at {
            None => self.inner.views.get(view).filter(|running| !running.is_per_event()),
            Some(_) => None,
        }
    }

    fn read_whole(&self, view: &str, at: Option<&At>) -> Result<Rows> {
        Ok(Rows {
            view: view.to_owned(),
            table: source_as_provider(&self.source(view, at)?)?,
        })
    }
}

/// A table of edges, and the types of the columns that its ends are.
struct TypedEdges {
    edges: Edges,
    source_type: DataType,
    destination_type: DataType,
}

fn names_of(labels: &[GraphLabel]) -> Vec<String> {
    labels.iter().map(|label| label.name.clone()).collect()
}

/// An edge's end and the vertex's key are one value.
fn check_same(table: &VertexTable, key_type: &DataType, end_types: &[DataType]) -> Result<()> {
    match end_types.iter().find(|end_type| *end_type != key_type) {
        None => Ok(()),
        Some(end_type) => {
            let message = format!(
                "edges lead to the vertex table '{}' by a column of {end_type}, and its key '{}' is {key_type}",
                table.name, table.key
            );
            Err(SqlError::new(SqlState::INVALID_DEFINITION, message)
                .hint("cast one of them in its view, so that both have one type")
                .into())
        }
    }
}

fn index_of(schema: &SchemaRef, column: &str, graph: &GraphDefinition, view: &str) -> Result<usize> {
    schema.index_of(column).map_err(|_| {
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let message = format!(
            "the graph '{}' names the column '{column}' of '{view}', which it does not have: there are {}",
            graph.name,
            columns.join(", ")
        );
        DataFusionError::from(SqlError::new(SqlState::UNKNOWN_COLUMN, message))
    })
}

/// The properties under any of a table's labels.
fn properties(
    graph: &GraphDefinition,
    view: &str,
    labels: &[GraphLabel],
    schema: &SchemaRef,
    key: Option<usize>,
) -> Result<Vec<Property>> {
    let mut found: Vec<Property> = Vec::new();
    let mut add = |name: &str, column: usize| {
        let property = Property {
            name: name.to_owned(),
            place: match key == Some(column) {
                true => PropertyPlace::Key,
                false => PropertyPlace::Column(column),
            },
            data_type: schema.field(column).data_type().clone(),
        };
        match found.iter().find(|known| known.name == name) {
            Some(known) if *known == property => Ok(()),
            Some(_) => {
                let message = format!(
                    "the property '{name}' is two columns of '{view}' in the graph '{}'",
                    graph.name
                );
                Err(SqlError::new(SqlState::INVALID_DEFINITION, message))
            }
            None => {
                found.push(property);
                Ok(())
            }
        }
    };
    for label in labels {
        match &label.properties {
            None => {
                for (column, field) in schema.fields().iter().enumerate() {
                    add(field.name(), column)?;
                }
            }
            Some(properties) => {
                for property in properties {
                    add(&property.name, index_of(schema, &property.column, graph, view)?)?;
                }
            }
        }
    }
    Ok(found)
}

impl Expressions for Names<'_> {
    fn planned(&self, expr: &ast::Expr, schema: &DFSchema) -> Result<Expr> {
        let mut expr = expr.clone();
        crate::postgres::part_as_engine_knows_it(&mut expr, Some(self.user))?;
        let planner = SqlToRel::new_with_options(self, parser_options());
        let planned = planner.sql_to_expr(expr, schema, &mut PlannerContext::new())?;
        self.analyzed(self.moments.bound(planned)?, schema)
    }

    fn simplified(&self, expr: &Expr, schema: &DFSchema) -> Result<Expr> {
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(self.state.config_options()))
            .with_query_execution_start_time(self.state.execution_props().query_execution_start_time)
            .build();
        headwater_views::simplified(&ExprSimplifier::new(context), expr.clone())
    }

    fn physical(&self, expr: Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
        self.state.create_physical_expr(expr, schema)
    }

    fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }
}

impl Names<'_> {
    /// An expression with the types and the exact arithmetic of a query's.
    fn analyzed(&self, expr: Expr, schema: &DFSchema) -> Result<Expr> {
        let rows = LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: Arc::new(schema.clone()),
        });
        let plan = LogicalPlanBuilder::from(rows).project([expr.alias("value")])?.build()?;
        let analyzer = self.state.analyzer();
        let plan = analyzer.execute_and_check(plan, self.state.config_options(), |_, _| {})?;
        match plan {
            LogicalPlan::Projection(projection) => match projection.expr.into_iter().next() {
                Some(expr) => Ok(expr.unalias()),
                None => Err(DataFusionError::Internal("a projection of nothing".to_owned())),
            },
            other => Err(DataFusionError::Internal(format!(
                "an expression became {}",
                other.display()
            ))),
        }
    }
}
