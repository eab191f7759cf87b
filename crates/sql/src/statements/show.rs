//! SHOW STREAMS, VIEWS, COMMANDS, TABLES and settings.

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use headwater_catalog::{Definition, INTERNAL_PREFIX, StreamDefinition, ViewDefinition};
use headwater_views::ViewStatus;

use super::pipelines;
use super::settings::{SETTINGS, setting};
use super::table::{Cell, answer, schema};
use crate::engine::Inner;
use crate::statement::{Show, Statement};
use crate::{Outcome, SqlError, SqlState};

/// The columns of the answer.
pub(super) fn columns(show: &Show) -> SchemaRef {
    let text = DataType::Utf8;
    let whole = DataType::Int64;
    match show {
        Show::Streams => schema(&[
            ("name", text.clone()),
            ("partitions", whole.clone()),
            ("events", whole.clone()),
            ("key", text.clone()),
            ("kind", text.clone()),
            ("tags", text.clone()),
            ("time", text.clone()),
            ("schema", text.clone()),
            ("version", whole),
            ("made_by", text),
        ]),
        Show::Views => schema(&[
            ("name", text.clone()),
            ("stored_as", text.clone()),
            ("state", text.clone()),
            ("position", text),
            ("lag_events", whole.clone()),
            ("lag_seconds", DataType::Float64),
            ("rows", whole.clone()),
            ("resident_bytes", whole.clone()),
            ("store_bytes", whole.clone()),
            ("parked", whole),
        ]),
        Show::Pipelines => schema(&[
            ("name", text.clone()),
            ("reads", text.clone()),
            ("state", text.clone()),
            ("position", text),
            ("lag_events", whole.clone()),
            ("lag_seconds", DataType::Float64),
            ("events", whole.clone()),
            ("results", whole.clone()),
            ("parked", whole),
        ]),
        Show::Commands => schema(&[
            ("name", text.clone()),
            ("parameters", text.clone()),
            ("appends_to", text),
        ]),
        Show::Schedules => schema(&[
            ("name", text.clone()),
            ("due", text.clone()),
            ("every", text.clone()),
            ("stream", text.clone()),
            ("events", whole),
            ("made_at", text.clone()),
            ("made_by", text),
        ]),
        Show::Graphs => schema(&[
            ("name", text.clone()),
            ("vertex_tables", text.clone()),
            ("edge_tables", text),
        ]),
        Show::Tables => schema(&[("name", text.clone()), ("kind", text)]),
        Show::Setting(name) if name.eq_ignore_ascii_case("all") => schema(&[("name", text.clone()), ("setting", text)]),
        Show::Setting(name) => schema(&[(name, text)]),
    }
}

/// The answer.
pub(crate) fn show(inner: &Inner, show: &Show) -> Result<Outcome, SqlError> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    match show {
        Show::Streams => {
            for info in inner.log.streams() {
                if let Some(definition) = inner.catalog.stream(&info.name) {
                    rows.push(stream_row(inner, &definition));
                }
            }
        }
        Show::Setting(name) if name.eq_ignore_ascii_case("all") => {
            rows.extend(
                SETTINGS
                    .iter()
                    .map(|(name, value)| vec![Cell::text(*name), Cell::text(*value)]),
            );
        }
        Show::Setting(name) => {
            let value = setting(name).ok_or_else(|| {
                let error = SqlError::new(SqlState::UNKNOWN_SETTING, format!("there is no setting \"{name}\""));
                error.hint("SHOW ALL lists them; SHOW STREAMS, SHOW VIEWS and SHOW COMMANDS list what is defined")
            })?;
            rows.push(vec![Cell::text(value)]);
        }
        _ => {
            for definition in inner.catalog.all() {
                rows.extend(definition_row(inner, show, &definition)?);
            }
        }
    }
    answer(columns(show), rows)
}

fn definition_row(inner: &Inner, show: &Show, definition: &Definition) -> Result<Option<Vec<Cell>>, SqlError> {
    Ok(match (show, definition) {
        (Show::Views, Definition::View(view)) => Some(view_row(inner, view)),
        (Show::Pipelines, Definition::Stream(stream)) => pipelines::shown(inner, stream),
        (Show::Commands, Definition::Command(command)) => {
            let parsed = inner.parsed(&command.statement)?;
            let Statement::CreateCommand { command, .. } = &parsed.statement else {
                return Ok(None);
            };
            let mut parameters: Vec<String> = Vec::new();
            for parameter in &command.parameters {
                let default = parameter.default.as_ref().map(|value| format!(" DEFAULT {value}"));
                parameters.push(format!(
                    "{} {}{}",
                    parameter.name.value,
                    parameter.column_type,
                    default.unwrap_or_default()
                ));
            }
            let mut streams: Vec<&str> = command
                .outputs
                .iter()
                .map(|output| output.stream.value.as_str())
                .collect();
            streams.dedup();
            Some(vec![
                Cell::text(&command.name.value),
                Cell::text(parameters.join(", ")),
                Cell::text(streams.join(", ")),
            ])
        }
        (Show::Graphs, Definition::Graph(graph)) => Some(super::graph::row(graph)),
        (Show::Tables, Definition::Stream(stream)) => Some(vec![Cell::text(&stream.name), Cell::text("stream")]),
        (Show::Tables, Definition::View(view)) => {
            let kind = if view.shape.is_some() {
                "materialized view"
            } else {
                "view"
            };
            Some(vec![Cell::text(&view.name), Cell::text(kind)])
        }
        _ => None,
    })
}

fn stream_row(inner: &Inner, stream: &StreamDefinition) -> Vec<Cell> {
    let mut events: u64 = 0;
    for partition in 0..stream.partitions {
        if let Some(offsets) = inner.log.offsets(&stream.name, partition) {
            events += offsets.high_watermark.saturating_sub(offsets.start);
        }
    }
    let made_by = match (stream.name.starts_with(INTERNAL_PREFIX), stream.statement.is_empty()) {
        (true, _) => "headwater",
        (false, true) => "kafka",
        (false, false) => "sql",
    };
    let schema = match &stream.columns {
        Some(columns) => format!("{} columns", columns.len()),
        None => "schema-free".to_owned(),
    };
    let list = |columns: &[String]| Cell::Text((!columns.is_empty()).then(|| columns.join(", ")));
    vec![
        Cell::text(&stream.name),
        Cell::whole(u64::from(stream.partitions)),
        Cell::whole(events),
        list(&stream.key),
        Cell::Text(stream.kind.clone()),
        list(&stream.tags),
        Cell::Text(stream.time.clone()),
        Cell::text(schema),
        Cell::whole(u64::from(stream.version())),
        Cell::text(made_by),
    ]
}

fn view_row(inner: &Inner, view: &ViewDefinition) -> Vec<Cell> {
    let mut row = vec![Cell::text(&view.name)];
    let Some(shape) = &view.shape else {
        row.extend([Cell::text("plain"), Cell::text("computed when asked")]);
        return row;
    };
    row.push(Cell::text(shape.word()));
    let Some(running) = inner.views.get(&view.name) else {
        row.push(Cell::text("not running: the program's log says why"));
        return row;
    };
    let status = running.status();
    row.extend([
        Cell::text(state(&status, inner.views.rebuilding(&view.name))),
        Cell::text(status.position.to_string()),
        Cell::whole(status.lag_events),
        Cell::Fraction(Some(status.lag_seconds)),
        Cell::whole(status.rows),
        Cell::whole(status.resident_bytes),
        Cell::whole(status.store_bytes),
        Cell::whole(status.parked),
    ]);
    row
}

fn state(status: &ViewStatus, rebuilding: Option<(u64, u64)>) -> String {
    match (&status.stopped, status.building) {
        (Some(why), _) => format!("stopped: {why}"),
        (None, None) if let Some((folded, whole)) = rebuilding => format!("being rebuilt: {folded} of {whole} events"),
        (None, Some((folded, whole))) => format!("building: {folded} of {whole} events"),
        (None, None) if status.lacking > 0 => {
            format!("running, without {} events that were no longer kept", status.lacking)
        }
        (None, None) => "running".to_owned(),
    }
}
