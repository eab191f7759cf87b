//! `GET /views`: every view and how it stands.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use headwater_catalog::Definition;
use headwater_views::{Build, Rebuild, ViewStatus};
use serde_json::{Value, json};

use super::keys;
use crate::door::Door;
use crate::json::rows::columns_of;
use crate::problem::Problem;
use crate::request::Query;

/// Every view and how it stands.
pub(crate) async fn list(State(door): State<Arc<Door>>, uri: Uri) -> Result<Json<Value>, Problem> {
    Query::new(&uri, &[])?;
    let engine = &door.state.engine;
    let mut views: Vec<Value> = Vec::new();
    for definition in engine.catalog().all() {
        let Definition::View(definition) = definition.as_ref() else {
            continue;
        };
        let running = engine.views().get(&definition.name);
        let mut view = json!({
            "name": definition.name, "materialized": definition.shape.is_some(), "query": definition.query,
            "sources": definition.sources,
        });
        if let (Value::Object(members), Some(running)) = (&mut view, running) {
            members.insert("columns".into(), columns_of(&running.schema()));
            members.insert("key".into(), keys::names(&running).into());
            let mut status = status(&running.status());
            status["version"] = running.said().version.into();
            status["rebuilding"] = engine.views().rebuilding(&definition.name).as_ref().map(rebuild).into();
            members.insert("status".into(), status);
        }
        views.push(view);
    }
    Ok(Json(json!({"views": views})))
}

fn status(status: &ViewStatus) -> Value {
    json!({
        "position": status.position.to_string(),
        "lag_events": status.lag_events,
        "lag_seconds": status.lag_seconds,
        "rows": status.rows,
        "parked": status.parked,
        "building": status.building.as_ref().map(build),
        "held_up": status.held_up,
        "left_out": status.left_out,
        "stopped": status.stopped,
    })
}

/// How far a build is.
fn build(build: &Build) -> Value {
    json!({
        "folded": build.folded,
        "events": build.events,
        "events_per_second": build.events_per_second,
        "seconds_left": build.left().map(|left| left.as_secs_f64()),
    })
}

/// How the version stands that is to take a view's place.
fn rebuild(rebuild: &Rebuild) -> Value {
    let mut of_version = build(&rebuild.build);
    of_version["version"] = rebuild.version.into();
    of_version["held_up"] = rebuild.held_up.clone().into();
    of_version["stopped"] = rebuild.stopped.clone().into();
    of_version
}
