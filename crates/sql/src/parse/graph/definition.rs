//! `CREATE PROPERTY GRAPH name VERTEX TABLES (…) EDGE TABLES (…)`, as SQL/PGQ writes it.
//!
//! ```text
//! vertex table   view [AS alias] KEY (column) [label …]
//! edge table     view [AS alias] SOURCE [KEY (column) REFERENCES] vertices [(column)] DESTINATION … [label …]
//! label          LABEL name [properties] | DEFAULT LABEL [properties] | properties
//! properties     PROPERTIES (column [AS name], …) | PROPERTIES [ARE] ALL COLUMNS | NO PROPERTIES
//! ```

use datafusion::sql::sqlparser::tokenizer::Token;
use headwater_catalog::{CreateMode, GraphLabel, GraphProperty};

use super::super::cursor::Cursor;
use super::lexing::is_next;
use crate::syntax::{EdgeClause, EndClause, Name, PropertyGraph, Statement, VertexClause};
use crate::{SqlError, SqlState};

/// Reads from the name on.
pub(crate) fn create(cursor: &mut Cursor, mode: CreateMode) -> Result<Statement, SqlError> {
    let name = cursor.new_name("the graph's name")?;
    let (mut vertices, mut edges): (Vec<VertexClause>, Vec<EdgeClause>) = (Vec::new(), Vec::new());
    if tables(cursor, &["VERTEX", "NODE"]) {
        vertices = cursor.bracketed(vertex_table)?;
    }
    if tables(cursor, &["EDGE", "RELATIONSHIP"]) {
        edges = cursor.bracketed(edge_table)?;
    }
    if vertices.is_empty() && edges.is_empty() {
        return Err(cursor.expected("VERTEX TABLES or EDGE TABLES"));
    }
    cursor.expect_end()?;
    let graph = Box::new(PropertyGraph { name, vertices, edges });
    Ok(Statement::CreateGraph { graph, mode })
}

fn tables(cursor: &mut Cursor, words: &[&str]) -> bool {
    words.iter().any(|word| cursor.take_words(&[word, "TABLES"]))
}

fn vertex_table(cursor: &mut Cursor) -> Result<VertexClause, SqlError> {
    let (view, alias) = table(cursor)?;
    let key = key(cursor)?;
    let labels = labels(cursor, &alias, "KEY, LABEL, PROPERTIES, ',' or ')'")?;
    Ok(VertexClause {
        view,
        alias,
        key,
        labels,
    })
}

fn edge_table(cursor: &mut Cursor) -> Result<EdgeClause, SqlError> {
    let (view, alias) = table(cursor)?;
    // The key of an edge is that of its view, whatever else could be said.
    if cursor.take_word("KEY") {
        cursor.names("the name of a column")?;
    }
    cursor.expect_word("SOURCE")?;
    let source = end(cursor)?;
    cursor.expect_word("DESTINATION")?;
    let destination = end(cursor)?;
    let labels = labels(cursor, &alias, "LABEL, PROPERTIES, ',' or ')'")?;
    Ok(EdgeClause {
        view,
        alias,
        source,
        destination,
        labels,
    })
}

/// `view [AS alias]`; without an alias the graph calls it as the view is called.
fn table(cursor: &mut Cursor) -> Result<(Name, String), SqlError> {
    const FOLLOWS: [&str; 7] = ["KEY", "LABEL", "DEFAULT", "PROPERTIES", "NO", "SOURCE", "DESTINATION"];
    let view = cursor.object_name("the name of a view")?;
    let is_alias = match cursor.peek().map(|piece| &piece.token.token) {
        Some(Token::Word(_)) => !FOLLOWS.iter().any(|word| cursor.is_word(word)),
        _ => false,
    };
    let alias = match cursor.take_word("AS") || is_alias {
        true => cursor.name("what the graph calls it")?.value,
        false => view.value.clone(),
    };
    Ok((view, alias))
}

/// `KEY (column)`
fn key(cursor: &mut Cursor) -> Result<Option<Name>, SqlError> {
    match cursor.take_word("KEY") {
        true => one_column(cursor).map(Some),
        false => Ok(None),
    }
}

fn one_column(cursor: &mut Cursor) -> Result<Name, SqlError> {
    let start = cursor.clone();
    let mut columns = cursor.names("the name of a column")?;
    match (columns.pop(), columns.is_empty()) {
        (Some(column), true) => Ok(column),
        _ => Err(start
            .error(
                SqlState::NOT_SUPPORTED,
                "a vertex is told by one column: a key of several is not there",
            )
            .hint("make one column of them in the view: SELECT region || '/' || id AS id …")),
    }
}

/// `[KEY (column) REFERENCES] vertices [(column)]`
fn end(cursor: &mut Cursor) -> Result<EndClause, SqlError> {
    let key = key(cursor)?;
    if key.is_some() {
        cursor.expect_word("REFERENCES")?;
    }
    let vertices = cursor.object_name("the name of a vertex table")?;
    let column = match is_next(cursor, &Token::LParen) {
        true => Some(one_column(cursor)?),
        false => None,
    };
    Ok(EndClause { key, vertices, column })
}

/// The labels of a table; one of its own name where none is said.
fn labels(cursor: &mut Cursor, alias: &str, expected: &str) -> Result<Vec<GraphLabel>, SqlError> {
    let mut labels: Vec<GraphLabel> = Vec::new();
    loop {
        let at = cursor.clone();
        let name = if cursor.take_word("LABEL") {
            cursor.name("a label")?.value
        } else if cursor.take_words(&["DEFAULT", "LABEL"]) {
            alias.to_owned()
        } else if labels.is_empty() {
            let properties = properties(cursor)?;
            if !ends(cursor) && !cursor.is_word("LABEL") {
                return Err(cursor.expected(expected));
            }
            labels.push(GraphLabel {
                name: alias.to_owned(),
                properties,
            });
            if ends(cursor) {
                return Ok(labels);
            }
            continue;
        } else if ends(cursor) {
            return Ok(labels);
        } else {
            return Err(cursor.expected(expected));
        };
        if labels.iter().any(|label| label.name == name) {
            return Err(at.error(SqlState::SYNTAX, format!("the label '{name}' is there twice")));
        }
        let properties = properties(cursor)?;
        labels.push(GraphLabel { name, properties });
    }
}

fn ends(cursor: &Cursor) -> bool {
    is_next(cursor, &Token::Comma) || is_next(cursor, &Token::RParen)
}

/// Which properties a label has; `None`: one for each column.
fn properties(cursor: &mut Cursor) -> Result<Option<Vec<GraphProperty>>, SqlError> {
    if cursor.take_words(&["NO", "PROPERTIES"]) {
        return Ok(Some(Vec::new()));
    }
    if !cursor.take_word("PROPERTIES") {
        return Ok(None);
    }
    if cursor.take_words(&["ARE", "ALL", "COLUMNS"]) || cursor.take_words(&["ALL", "COLUMNS"]) {
        if cursor.is_word("EXCEPT") {
            return Err(cursor
                .error(SqlState::NOT_SUPPORTED, "EXCEPT is not there")
                .hint("name the properties: PROPERTIES (a, b)"));
        }
        return Ok(None);
    }
    let property = |cursor: &mut Cursor| -> Result<GraphProperty, SqlError> {
        let column = cursor.name("the name of a column")?.value;
        if !ends(cursor) && !cursor.is_word("AS") {
            return Err(cursor
                .expected("AS, ',' or ')'")
                .hint("a property is a column: an expression is worked out in the view"));
        }
        let name = match cursor.take_word("AS") {
            true => cursor.name("the property's name")?.value,
            false => column.clone(),
        };
        Ok(GraphProperty { name, column })
    };
    cursor.bracketed(property).map(Some)
}
