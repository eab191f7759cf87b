//! Streams: append to them, read them from a position, tail them, read one entity.

pub(crate) mod append;
pub(crate) mod entity;
pub(crate) mod envelope;
mod later;
mod merge;
pub(crate) mod read;
pub(crate) mod tail;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use headwater_catalog::{Definition, Pipeline, StreamDefinition};
use headwater_eventlog::ReadError;
use headwater_records::Position;
use headwater_views::PipelineStatus;
use serde_json::{Value, json};

use crate::door::Door;
use crate::problem::Problem;
use crate::request::Query;

/// Every stream.
pub(crate) async fn list(State(door): State<Arc<Door>>, uri: Uri) -> Result<Json<Value>, Problem> {
    Query::new(&uri, &[])?;
    let mut streams: Vec<Value> = Vec::new();
    let views = door.state.engine.views();
    let (pipelines, is_held) = (views.pipelines(), views.holds_pipelines());
    for definition in door.state.engine.catalog().all() {
        if let Definition::Stream(stream) = definition.as_ref() {
            let log = door.state.engine.log();
            let position = log.position(&stream.name).unwrap_or_default();
            let mut start = Position::new();
            let mut events = 0;
            for (_, partition, _) in position.iter() {
                let offsets = log.offsets(&stream.name, partition).unwrap_or_default();
                start.set(&stream.name, partition, offsets.start);
                // As SHOW STREAMS counts them.
                events += offsets.high_watermark.saturating_sub(offsets.start);
            }
            streams.push(json!({
                "name": stream.name,
                "partitions": stream.partitions,
                "columns": columns(stream),
                "key": stream.key,
                "kind": stream.kind,
                "tags": stream.tags,
                "time": stream.time,
                "start": start.to_string(),
                "position": position.to_string(),
                "events": events,
                "pipeline": stream.pipeline.as_ref().map(|pipeline| {
                    let status = pipelines.iter().find(|status| status.name == stream.name);
                    pipeline_of(pipeline, is_held, status)
                }),
            }));
        }
    }
    Ok(Json(json!({"streams": streams})))
}

/// What makes a stream's events, and how that stands.
fn pipeline_of(pipeline: &Pipeline, is_held: bool, status: Option<&PipelineStatus>) -> Value {
    let status = status.map(|status| {
        json!({
            "position": status.position.to_string(),
            "lag_events": status.lag_events,
            "lag_seconds": status.lag_seconds,
            "parked": status.parked,
            "waiting": status.waiting,
            "stopped": status.stopped,
        })
    });
    json!({"query": pipeline.query, "sources": pipeline.sources, "held": is_held, "status": status})
}

fn columns(stream: &StreamDefinition) -> Value {
    let Some(columns) = &stream.columns else {
        return Value::Null;
    };
    let column = |column: &headwater_catalog::Column| json!({"name": column.name, "type": column.column_type.to_string(), "nullable": column.nullable});
    columns.iter().map(column).collect()
}

/// The definition of a stream, or the 404.
pub(crate) fn stream(door: &Door, name: &str) -> Result<Arc<StreamDefinition>, Problem> {
    let unknown =
        || Problem::not_found(format!("there is no stream '{name}'; GET /streams lists them")).code("unknown_stream");
    door.state.engine.catalog().stream(name).ok_or_else(unknown)
}

/// Where a reader begins: `beginning`, `end`, or a position of this stream. Partitions that it does not name begin at their first event; of those that it
/// names, events that are gone are told of and not passed over.
pub(crate) fn start(door: &Door, stream: &StreamDefinition, from: &str) -> Result<Position, Problem> {
    let given: Position = match from {
        "" | "beginning" => Position::new(),
        "end" => return Ok(door.state.engine.log().position(&stream.name).unwrap_or_default()),
        text => text.parse().map_err(|error: headwater_records::PositionError| {
            Problem::bad_request(error.to_string()).code("malformed_position")
        })?,
    };
    if let Some(other) = given.streams().find(|name| *name != stream.name) {
        let detail = format!("the position speaks of the stream '{other}', not of '{}'", stream.name);
        return Err(Problem::bad_request(detail).code("malformed_position"));
    }
    let mut position = Position::new();
    for partition in 0..stream.partitions {
        let offsets = door
            .state
            .engine
            .log()
            .offsets(&stream.name, partition)
            .unwrap_or_default();
        let named = given.iter().find(|(_, named, _)| *named == partition);
        let from = named.map_or(offsets.start, |(_, _, from)| from);
        if from > offsets.high_watermark {
            let detail = format!(
                "offset {from} of {}/{partition} lies beyond the end, {}: read from the end to see what comes",
                stream.name, offsets.high_watermark
            );
            return Err(Problem::bad_request(detail).code("position_beyond_end"));
        }
        if from < offsets.start {
            let gone = ReadError::OutOfRange {
                stream: stream.name.clone(),
                partition,
                offset: from,
                start: offsets.start,
                end: offsets.high_watermark,
            };
            return Err(gone.into());
        }
        position.set(&stream.name, partition, from);
    }
    if let Some((_, partition, _)) = given.iter().find(|(_, partition, _)| *partition >= stream.partitions) {
        return Err(no_partition(stream, u64::from(partition)));
    }
    Ok(position)
}

/// The 400 for a partition that is not there.
pub(crate) fn no_partition(stream: &StreamDefinition, partition: u64) -> Problem {
    let (name, partitions) = (&stream.name, stream.partitions);
    Problem::bad_request(format!(
        "the stream '{name}' has {partitions} partition(s), and {partition} is none of them"
    ))
    .code("unknown_partition")
}
