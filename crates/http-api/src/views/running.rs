//! A running view that a request asks: which it is, how far it must have come, and what an answer from it carries.

use std::sync::Arc;

use arrow::error::ArrowError;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use headwater_catalog::Definition;
use headwater_records::Position;
use headwater_views::View;

use crate::door::Door;
use crate::problem::Problem;
use crate::request;

/// A running view with keys, or the problem that says why there is none.
pub(super) fn view(door: &Door, name: &str) -> Result<Arc<View>, Problem> {
    let view = any_view(door, name)?;
    match view.is_per_event() {
        false => Ok(view),
        true => {
            let detail = format!("'{name}' has one row for each event and no keys: ask it by POST /sql");
            Err(Problem::bad_request(detail).code("no_key"))
        }
    }
}

/// A running view, or the 404 that says why there is none.
pub(super) fn any_view(door: &Door, name: &str) -> Result<Arc<View>, Problem> {
    let engine = &door.state.engine;
    if let Some(view) = engine.views().get(name) {
        return Ok(view);
    }
    let detail = match engine.catalog().get(name).as_deref() {
        Some(Definition::View(definition)) if definition.shape.is_none() => {
            format!("'{name}' is a plain view, computed when it is asked: ask it by POST /sql")
        }
        Some(Definition::View(_)) => {
            return Err(Problem::unavailable(format!(
                "the view '{name}' does not run; SHOW VIEWS says why"
            )));
        }
        Some(other) => format!("'{name}' is a {}, not a view", other.noun()),
        None => format!("there is no view '{name}'; GET /views lists them"),
    };
    Err(Problem::not_found(detail).code("unknown_view"))
}

/// Waits until the view has all that it had before, and for what `Headwater-After` names: which position of its own that was.
pub(super) async fn wait(door: &Door, view: &View, headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let after = request::after(door, headers)?;
    view.caught_up(after.wait).await?;
    let Some(position) = &after.position else {
        return Ok(None);
    };
    let engine = &door.state.engine;
    let name = &view.definition().name;
    let position = engine.through_pipelines(name, position, after.wait).await?;
    view.wait_for(&position, after.wait).await?;
    Ok(Some(position))
}

pub(super) fn unwritable(error: ArrowError) -> Problem {
    Problem::internal(format!("the rows cannot be written as JSON: {error}"))
}

pub(super) fn answer(body: Vec<u8>, position: &str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request::put_position(headers, position);
    response
}
