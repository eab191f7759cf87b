//! `GET /health`: whether the program writes and its views run. 503 once the log stopped writing; a full disk, a view or pipeline that does not get on,
//! damage that a reader met and a clock that is behind are said, and no reason to restart.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::door::Door;
use crate::json::digits::moment;
use crate::problem::Problem;

/// Whether the process answers at all.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({"status": "live"}))
}

/// Whether it can do its work.
pub(crate) async fn ready(State(door): State<Arc<Door>>) -> Response {
    if let Some(why) = door.state.engine.log().stopped() {
        let detail = format!("the log stopped writing: {why}; restart when the cause is mended");
        return Problem::unavailable(detail).into_response();
    }
    let mut stopped: Vec<Value> = Vec::new();
    let mut held_up: Vec<Value> = Vec::new();
    let views = door.state.engine.views();
    for view in views.all() {
        let name = &view.definition().name;
        if let Some(why) = view.stopped() {
            stopped.push(json!({"view": name, "why": why}));
        }
        held_up.extend(view.held_up().map(|why| json!({"view": name, "why": why})));
        if let Some(rebuild) = views.rebuilding(name) {
            let version = rebuild.version;
            let of_version = |why| json!({"view": name, "version": version, "why": why});
            stopped.extend(rebuild.stopped.map(of_version));
            held_up.extend(rebuild.held_up.map(of_version));
        }
    }
    let not_started = door.state.engine.views_not_started().into_iter();
    stopped.extend(not_started.map(|(name, why)| json!({"view": name, "why": why})));
    let pipelines = door.state.engine.views().pipelines();
    let troubled = pipelines.into_iter().filter_map(|pipeline| {
        let why = pipeline.stopped.map(|why| ("stopped", why));
        let (state, why) = why.or_else(|| pipeline.waiting.map(|why| ("waiting", why)))?;
        Some(json!({"pipeline": pipeline.name, "state": state, "why": why}))
    });
    let mut troubled: Vec<Value> = troubled.collect();
    let not_started = door.state.engine.pipelines_not_started().into_iter();
    troubled.extend(not_started.map(|(name, why)| json!({"pipeline": name, "state": "not running", "why": why})));
    let log = door.state.engine.log();
    let damaged = log.damaged().into_iter().map(|place| {
        let at = format!("{}/{}@{}", place.stream, place.partition, place.offset);
        json!({"at": at, "why": place.what})
    });
    let damaged: Vec<Value> = damaged.collect();
    let status = if damaged.is_empty() { "ready" } else { "degraded" };
    let full = log.full();
    let refused = full.map(|full| json!({"why": full.why, "since": moment(full.since_us)}));
    (
        StatusCode::OK,
        Json(json!({
            "status": status, "appends_refused": refused, "streams_damaged": damaged, "views_stopped": stopped, "views_held_up": held_up,
            "pipelines_held_up": troubled, "clock_behind_seconds": log.clock_behind_us() as f64 / 1e6,
        })),
    )
        .into_response()
}
