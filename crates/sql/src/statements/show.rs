//! SHOW STREAMS, VIEWS, COMMANDS, TABLES and settings.

use std::time::Duration;

use arrow::temporal_conversions::timestamp_us_to_datetime;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use headwater_catalog::{Definition, INTERNAL_PREFIX, StreamDefinition, ViewDefinition};
use headwater_eventlog::DamagedPlace;
use headwater_views::{Build, Rebuild, ViewStatus};

use super::pipelines;
use super::table::{Cell, answer, schema};
use crate::inner::Inner;
use crate::postgres::{SETTINGS, setting};
use crate::syntax::{Show, Statement};
use crate::{Outcome, Session, SqlError, SqlState};

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
            ("made_by", text.clone()),
            ("damaged", text),
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
            ("parked", whole.clone()),
            ("version", whole.clone()),
            ("build_events", whole.clone()),
            ("build_events_total", whole),
            ("build_events_per_second", DataType::Float64),
            ("build_ends_at", DataType::Utf8),
            ("stopped", DataType::Utf8),
            ("build_stopped", DataType::Utf8),
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

/// The value of a setting as the session has it.
fn of_session<'a>(session: &'a Session, name: &str, value: &'a str) -> &'a str {
    match &session.zone {
        Some(zone) if ["timezone", "time zone"].contains(&name.to_ascii_lowercase().as_str()) => zone.name(),
        _ => value,
    }
}

/// The answer.
pub(crate) fn show(inner: &Inner, session: &Session, show: &Show) -> Result<Outcome, SqlError> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    match show {
        Show::Streams => {
            let damaged = inner.log.damaged();
            for info in inner.log.streams() {
                if let Some(definition) = inner.catalog.stream(&info.name) {
                    rows.push(stream_row(inner, &definition, &damaged));
                }
            }
        }
        Show::Setting(name) if name.eq_ignore_ascii_case("all") => {
            rows.extend(
                SETTINGS
                    .iter()
                    .map(|(name, value)| vec![Cell::text(*name), Cell::text(of_session(session, name, value))]),
            );
        }
        Show::Setting(name) => {
            let value = setting(name).ok_or_else(|| {
                let error = SqlError::new(SqlState::UNKNOWN_SETTING, format!("there is no setting \"{name}\""));
                error.hint("SHOW ALL lists them; SHOW STREAMS, SHOW VIEWS and SHOW COMMANDS list what is defined")
            })?;
            rows.push(vec![Cell::text(of_session(session, name, value))]);
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

fn stream_row(inner: &Inner, stream: &StreamDefinition, damaged: &[DamagedPlace]) -> Vec<Cell> {
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
        damaged_places(damaged.iter().filter(|place| place.stream == stream.name).collect()),
    ]
}

/// Where readers met damage, and what is wrong at the first place.
fn damaged_places(places: Vec<&DamagedPlace>) -> Cell {
    let Some(first) = places.first() else {
        return Cell::Text(None);
    };
    let at = |place: &&DamagedPlace| format!("{}/{}@{}", place.stream, place.partition, place.offset);
    let mut named: Vec<String> = places.iter().take(DAMAGED_NAMED_MAX).map(at).collect();
    if let Some(more @ 1..) = places.len().checked_sub(DAMAGED_NAMED_MAX) {
        named.push(format!("{more} more"));
    }
    Cell::text(format!("{}: {}", named.join(", "), first.what))
}

/// How many damaged places of a stream are named.
const DAMAGED_NAMED_MAX: usize = 10;

/// How many columns of `SHOW VIEWS` are before `stopped`.
const BEFORE_STOPPED: usize = 15;

fn view_row(inner: &Inner, view: &ViewDefinition) -> Vec<Cell> {
    let mut row = vec![Cell::text(&view.name)];
    let Some(shape) = &view.shape else {
        row.extend([Cell::text("plain"), Cell::text("computed when asked")]);
        return row;
    };
    row.push(Cell::text(shape.word()));
    let Some(running) = inner.views.get(&view.name) else {
        row.push(Cell::text("did not start"));
        row.resize_with(BEFORE_STOPPED, || Cell::Text(None));
        row.push(Cell::Text(
            inner.not_started.lock().get(&view.name).map(SqlError::to_string),
        ));
        return row;
    };
    let status = running.status();
    let rebuild = inner.views.rebuilding(&view.name);
    row.extend([
        Cell::text(state(&status, rebuild.as_ref())),
        Cell::text(status.position.to_string()),
        Cell::whole(status.lag_events),
        Cell::Fraction(Some(status.lag_seconds)),
        Cell::whole(status.rows),
        Cell::whole(status.resident_bytes),
        Cell::whole(status.store_bytes),
        Cell::whole(status.parked),
        Cell::whole(u64::from(running.said().version)),
    ]);
    let build_stopped = build_stopped(&status, rebuild.as_ref());
    match rebuild.map(|rebuild| rebuild.build).or(status.building) {
        Some(build) => row.extend([
            Cell::whole(build.folded),
            Cell::whole(build.events),
            Cell::Fraction(build.events_per_second),
            Cell::Text(build.left().map(|left| time_in(inner, left))),
        ]),
        None => row.resize_with(row.len() + 4, || Cell::Text(None)),
    }
    row.extend([Cell::Text(status.stopped), Cell::Text(build_stopped)]);
    row
}

/// Why the build does not go on that is shown: of the version that is to take the view's place, or else of the view's own first rows.
fn build_stopped(status: &ViewStatus, rebuild: Option<&Rebuild>) -> Option<String> {
    match (rebuild, &status.building) {
        (Some(rebuild), _) => rebuild.stopped.clone(),
        (None, Some(_)) => status.stopped.clone(),
        (None, None) => None,
    }
}

/// The moment that comes after a while, as texts of SQL have it.
fn time_in(inner: &Inner, left: Duration) -> String {
    let micros = i64::try_from(left.as_micros()).unwrap_or(i64::MAX);
    let moment = timestamp_us_to_datetime(inner.log.now_us().saturating_add(micros));
    moment.map_or_else(String::new, |moment| moment.format("%Y-%m-%d %H:%M:%S+00").to_string())
}

/// How a view stands, in words: what keeps it from running, else how it does, and how the version stands that is to take its place.
fn state(status: &ViewStatus, rebuild: Option<&Rebuild>) -> String {
    let mut said: Vec<String> = Vec::new();
    said.push(match (&status.stopped, &status.building) {
        (Some(why), _) => format!("stopped: {why}"),
        (None, Some(build)) => format!("building: {}", progress(build)),
        (None, None) if status.lacking > 0 => {
            format!("running, without {} events that were no longer kept", status.lacking)
        }
        (None, None) => "running".to_owned(),
    });
    said.extend(
        status
            .made_anew
            .as_ref()
            .map(|why| format!("made anew at the start: {why}")),
    );
    said.extend(status.held_up.clone());
    said.extend(status.left_out.clone());
    if let Some(Rebuild {
        version,
        build,
        held_up,
        stopped,
    }) = rebuild
    {
        said.push(match stopped {
            Some(why) => format!("version {version}, which was to take its place, stopped: {why}"),
            None => format!("being rebuilt as version {version}: {}", progress(build)),
        });
        said.extend(held_up.clone());
    }
    said.join("; ")
}

fn progress(build: &Build) -> String {
    let mut said = format!("{} of {} events", build.folded, build.events);
    if let Some(per_second) = build.events_per_second {
        said.push_str(&format!(", {per_second:.0} a second"));
    }
    if let Some(left) = build.left() {
        said.push_str(&format!(", done in about {} s", left.as_secs() + 1));
    }
    said
}

#[cfg(test)]
mod tests {
    use headwater_views::{Build, Rebuild, ViewStatus};

    use super::{build_stopped, state};

    #[test]
    fn a_state_says_what_is_and_what_is_to_come() {
        let build = |folded, events_per_second| Build {
            folded,
            events: 3_000_000,
            events_per_second,
        };
        let rebuild = |stopped: Option<&str>| Rebuild {
            version: 2,
            build: build(1_000_000, Some(1_000_000.0)),
            held_up: None,
            stopped: stopped.map(str::to_owned),
        };
        let check = |status: ViewStatus, rebuild: Option<Rebuild>, expected: &str| {
            assert_eq!(state(&status, rebuild.as_ref()), expected);
        };
        let running = ViewStatus::default();
        check(running.clone(), None, "running");
        let building = ViewStatus {
            building: Some(build(7, None)),
            ..running.clone()
        };
        check(building, None, "building: 7 of 3000000 events");
        check(
            running.clone(),
            Some(rebuild(None)),
            "running; being rebuilt as version 2: 1000000 of 3000000 events, 1000000 a second, done in about 3 s",
        );
        let lacking = ViewStatus {
            lacking: 5,
            held_up: Some("its table could not be written, and is tried again: no room".to_owned()),
            ..running.clone()
        };
        check(
            lacking,
            Some(rebuild(Some("no room"))),
            "running, without 5 events that were no longer kept; its table could not be written, and is tried again: no room; \
             version 2, which was to take its place, stopped: no room",
        );
        let anew = ViewStatus {
            made_anew: Some("the log ends before it".to_owned()),
            ..running.clone()
        };
        check(anew, None, "running; made anew at the start: the log ends before it");
        let stopped = ViewStatus {
            stopped: Some("no room".to_owned()),
            ..running
        };
        check(stopped, None, "stopped: no room");
    }

    #[test]
    fn a_build_stops_or_the_view_does() {
        let check = |is_built: bool, stopped: Option<&str>, rebuild: Option<Option<&str>>, expected: Option<&str>| {
            let build = Build {
                folded: 1,
                events: 2,
                events_per_second: None,
            };
            let status = ViewStatus {
                building: (!is_built).then_some(build),
                stopped: stopped.map(str::to_owned),
                ..ViewStatus::default()
            };
            let rebuild = rebuild.map(|stopped| Rebuild {
                version: 2,
                build,
                held_up: None,
                stopped: stopped.map(str::to_owned),
            });
            let found = build_stopped(&status, rebuild.as_ref());
            assert_eq!(found.as_deref(), expected, "{status:?} {rebuild:?}");
        };
        check(true, None, None, None);
        check(true, Some("the view"), None, None);
        check(false, None, None, None);
        check(false, Some("the view"), None, Some("the view"));
        // A view that stopped may be built anew.
        check(true, Some("the view"), Some(None), None);
        check(true, None, Some(Some("the version")), Some("the version"));
        check(true, Some("the view"), Some(Some("the version")), Some("the version"));
    }
}
