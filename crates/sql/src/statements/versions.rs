//! What DESCRIBE says of the versions of a stream's schema.

use headwater_catalog::{Column, EarlierSchema, StreamDefinition};
use headwater_records::Position;

use super::table::Cell;

/// What a column has besides its type: its default, and the names that it had.
pub(super) fn said_of(column: &Column) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    let text = column.to_string();
    if column.default.is_some()
        && let Some((_, default)) = text.split_once(" DEFAULT ")
    {
        said.push(format!("default {default}"));
    }
    for former in &column.former {
        said.push(format!("was {} until version {}", former.name, former.until));
    }
    said
}

/// The version of the schema, and the earlier ones with their columns and where they ended.
pub(super) fn rows(stream: &StreamDefinition) -> Vec<Vec<Cell>> {
    let row = |name: String, what: String, role: String| {
        vec![Cell::text(name), Cell::text(what), Cell::text(""), Cell::text(role)]
    };
    let mut rows = vec![row(
        "schema version".to_owned(),
        stream.version().to_string(),
        "schema".to_owned(),
    )];
    for (index, earlier) in stream.earlier.iter().enumerate() {
        let columns = match &earlier.columns {
            None => "schema-free".to_owned(),
            Some(columns) => {
                let columns: Vec<String> = columns.iter().map(Column::to_string).collect();
                columns.join(", ")
            }
        };
        let upcast = if earlier.upcaster.is_some() { ", upcast" } else { "" };
        let role = format!("schema until {}{upcast}", until(stream, earlier));
        rows.push(row(format!("version {}", index + 1), columns, role));
    }
    rows
}

fn until(stream: &StreamDefinition, earlier: &EarlierSchema) -> Position {
    let mut position = Position::new();
    for (partition, until) in earlier.until.iter().enumerate() {
        position.set(&stream.name, partition as u32, *until);
    }
    position
}
