//! CREATE PROPERTY GRAPH, and what DESCRIBE and SHOW say of one.

use std::collections::BTreeSet;

use headwater_catalog::{
    CreateMode, Defined, Definition, EdgeReference, EdgeTable, GraphDefinition, Shape, VertexTable, ViewDefinition,
};

use super::table::Cell;
use crate::graph::{EdgeAccess, Graph, Property, VertexAccess};
use crate::inner::Inner;
use crate::question::{Moments, Names, QuestionReads};
use crate::syntax::{EndClause, Name, PropertyGraph};
use crate::type_name::type_name;
use crate::{Outcome, Place, Session, SqlError, SqlState};

/// CREATE PROPERTY GRAPH.
pub(crate) async fn create_graph(
    inner: &Inner,
    session: &Session,
    graph: &PropertyGraph,
    mode: CreateMode,
    text: &str,
) -> Result<Outcome, SqlError> {
    let (_, notices) = define_graph(inner, session, graph, mode, text).await?;
    Ok(Outcome::Told {
        tag: "CREATE PROPERTY GRAPH".to_owned(),
        notices,
    })
}

/// Checks a graph against its views and writes its definition; what may surprise is said.
pub(super) async fn define_graph(
    inner: &Inner,
    session: &Session,
    graph: &PropertyGraph,
    mode: CreateMode,
    text: &str,
) -> Result<(Defined, Vec<String>), SqlError> {
    let _defining = inner.defining.lock().await;
    let existing = inner.catalog.get(&graph.name.value);
    if matches!(existing.as_deref(), Some(Definition::Graph(_))) && mode == CreateMode::IfNotExists {
        return Ok((Defined::Unchanged, Vec::new()));
    }
    let definition = definition(inner, graph, text)?;
    let resolved = resolved(inner, &definition)?;
    let mut notices: Vec<String> = Vec::new();
    for table in &resolved.vertices {
        if matches!(table.access, VertexAccess::Implied) {
            notices.push(format!(
                "the vertices '{}' are the ends of edges: they have their {} and no other property",
                table.name, table.key
            ));
        }
    }
    for table in &resolved.edges {
        if let EdgeAccess::All(rows) = &table.access {
            notices.push(format!(
                "the edges of '{}' are read whole with every question: STORED AS graph (SOURCE …, DESTINATION …) finds them from their ends",
                rows.view
            ));
        }
    }
    let definition = Definition::Graph(definition);
    let defined = inner.catalog.define(definition, mode, &session.principal).await?;
    Ok((defined, notices))
}

/// The graph as its views are now.
fn resolved(inner: &Inner, definition: &GraphDefinition) -> Result<Graph, SqlError> {
    let state = inner.starting();
    let reads = QuestionReads::default();
    let moments = Moments::new(&state, Some(&[]));
    Ok(Names::new(inner, &state, &reads, &moments).graph_of(definition, None)?)
}

/// The definition that a statement means.
fn definition(inner: &Inner, graph: &PropertyGraph, text: &str) -> Result<GraphDefinition, SqlError> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let tables = graph.vertices.iter().map(|table| (&table.alias, &table.view));
    for (alias, view) in tables.chain(graph.edges.iter().map(|table| (&table.alias, &table.view))) {
        if !names.insert(alias) {
            let error = SqlError::new(
                SqlState::INVALID_DEFINITION,
                format!("two tables of the graph are called '{alias}'"),
            );
            return Err(at(error.hint("give one of them another name: view AS name"), view));
        }
    }
    let mut vertices: Vec<VertexTable> = Vec::new();
    for table in &graph.vertices {
        let view = view(inner, &table.view)?;
        let key = match &table.key {
            Some(key) => key.value.clone(),
            None => only_key(inner, &view, &table.view)?,
        };
        vertices.push(VertexTable {
            name: table.alias.clone(),
            view: Some(view.name),
            key,
            labels: table.labels.clone(),
        });
    }
    let mut edges: Vec<EdgeTable> = Vec::new();
    for table in &graph.edges {
        let view = view(inner, &table.view)?;
        let ends = match &view.shape {
            Some(Shape::Graph { source, destination }) => (Some(source.clone()), Some(destination.clone())),
            _ => (None, None),
        };
        edges.push(EdgeTable {
            name: table.alias.clone(),
            source: end(inner, &table.source, ends.0, &mut vertices)?,
            destination: end(inner, &table.destination, ends.1, &mut vertices)?,
            labels: table.labels.clone(),
            view: view.name,
        });
    }
    let of_vertices = vertices.iter().filter_map(|table| table.view.clone());
    let sources: BTreeSet<String> = of_vertices
        .chain(edges.iter().map(|table| table.view.clone()))
        .collect();
    Ok(GraphDefinition {
        name: graph.name.value.clone(),
        vertices,
        edges,
        sources: sources.into_iter().collect(),
        statement: text.to_owned(),
    })
}

/// A materialized view that holds elements.
fn view(inner: &Inner, name: &Name) -> Result<ViewDefinition, SqlError> {
    let refuse = |what: &str, hint: &str| {
        let message = format!(
            "'{}' is {what}, and a property graph is made of materialized views",
            name.value
        );
        Err(at(
            SqlError::new(SqlState::INVALID_DEFINITION, message).hint(hint),
            name,
        ))
    };
    match inner.catalog.get(&name.value).as_deref() {
        Some(Definition::View(view)) if view.shape.is_some() => Ok(view.clone()),
        Some(Definition::View(_)) => refuse("a plain view", "make it CREATE MATERIALIZED VIEW"),
        Some(Definition::Stream(_)) => refuse("a stream", "fold it into a view: one row for each vertex or edge"),
        Some(Definition::Graph(_)) => refuse("a property graph", "name the views that hold its elements"),
        Some(Definition::Command(_) | Definition::Schedule(_)) => refuse("no table", "name a view"),
        None => Err(at(inner.unknown_table(&name.value), name)),
    }
}

/// The one column that a view's rows are keyed by.
fn only_key(inner: &Inner, view: &ViewDefinition, name: &Name) -> Result<String, SqlError> {
    let running = inner.views.get(&view.name);
    let key = running.as_ref().and_then(|running| match running.key_columns() {
        [key] => Some(running.schema().field(*key).name().clone()),
        _ => None,
    });
    key.ok_or_else(|| {
        let message = format!("the rows of '{}' are not keyed by one column", view.name);
        let error = SqlError::new(SqlState::INVALID_DEFINITION, message);
        at(
            error.hint("say which column tells the vertices apart: KEY (column)"),
            name,
        )
    })
}

/// One end of edges. A vertex table that is neither listed nor a view is that of the ends themselves.
fn end(
    inner: &Inner,
    end: &EndClause,
    column: Option<String>,
    vertices: &mut Vec<VertexTable>,
) -> Result<EdgeReference, SqlError> {
    let name = &end.vertices;
    let invalid = |message: String| SqlError::new(SqlState::INVALID_DEFINITION, message);
    let Some(column) = end.key.as_ref().map(|key| key.value.clone()).or(column) else {
        let error = invalid("it is not said which column of the edges leads there".to_owned());
        return Err(at(
            error.hint(format!("write KEY (column) REFERENCES {}", name.value)),
            name,
        ));
    };
    match vertices.iter().find(|table| table.name == name.value) {
        Some(table) => {
            if let Some(referenced) = &end.column
                && referenced.value != table.key
            {
                let message = format!("the vertices '{}' are told apart by '{}'", table.name, table.key);
                return Err(at(
                    invalid(message).hint("edges reference the key of a vertex table"),
                    referenced,
                ));
            }
        }
        None if inner.catalog.get(&name.value).is_some() => {
            let error = invalid(format!("'{}' is not among the VERTEX TABLES", name.value));
            return Err(at(
                error.hint(format!("list it there: {} KEY (column)", name.value)),
                name,
            ));
        }
        None => vertices.push(VertexTable {
            name: name.value.clone(),
            view: None,
            key: end
                .column
                .as_ref()
                .map_or("id".to_owned(), |column| column.value.clone()),
            labels: vec![headwater_catalog::GraphLabel {
                name: name.value.clone(),
                properties: None,
            }],
        }),
    }
    Ok(EdgeReference {
        column,
        vertices: name.value.clone(),
    })
}

fn at(error: SqlError, name: &Name) -> SqlError {
    error.at(Place {
        file: String::new(),
        line: name.span.start.line.max(1),
        column: name.span.start.column.max(1),
    })
}

/// What DESCRIBE says: each table with its labels, then its properties.
pub(super) fn rows(inner: &Inner, definition: &GraphDefinition) -> Result<Vec<Vec<Cell>>, SqlError> {
    let graph = resolved(inner, definition)?;
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut add = |name: &str, role: String, properties: &[Property]| {
        rows.push(vec![
            Cell::text(name),
            Cell::Text(None),
            Cell::Text(None),
            Cell::text(role),
        ]);
        for property in properties {
            rows.push(vec![
                Cell::text(format!("{name}.{}", property.name)),
                Cell::text(type_name(&property.data_type)),
                Cell::Text(None),
                Cell::text("property"),
            ]);
        }
    };
    for (table, written) in graph.vertices.iter().zip(&definition.vertices) {
        let of = match &written.view {
            Some(view) => format!("of {view} by {}", table.key),
            None => "the ends of edges".to_owned(),
        };
        let role = format!("vertices, {of}; labels {}", table.labels.join(", "));
        add(&table.name, role, &table.properties);
    }
    for (table, written) in graph.edges.iter().zip(&definition.edges) {
        let role = format!(
            "edges, of {} from {} ({}) to {} ({}); labels {}",
            written.view,
            written.source.vertices,
            written.source.column,
            written.destination.vertices,
            written.destination.column,
            table.labels.join(", ")
        );
        add(&table.name, role, &table.properties);
    }
    Ok(rows)
}

/// What SHOW PROPERTY GRAPHS says of one.
pub(super) fn row(definition: &GraphDefinition) -> Vec<Cell> {
    let vertices: Vec<&str> = definition.vertices.iter().map(|table| table.name.as_str()).collect();
    let edges: Vec<&str> = definition.edges.iter().map(|table| table.name.as_str()).collect();
    vec![
        Cell::text(&definition.name),
        Cell::text(vertices.join(", ")),
        Cell::text(edges.join(", ")),
    ]
}
