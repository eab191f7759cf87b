//! Which address leads where, and what holds for all of them: a time limit, problems for what is not there, OPTIONS answered.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::door::Door;
use crate::problem::Problem;
use crate::{
    commands, console, events, health, history, metrics, openapi, request, schedules, schemas, sql, streams, views,
};

/// Every address.
pub(crate) fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/", get(console::page))
        .route("/streams", get(streams::list))
        .route(
            "/streams/{stream}/events",
            get(streams::read::read).post(streams::append::append),
        )
        .route(
            "/streams/{stream}/entities/{key}",
            get(streams::entity::read).post(streams::append::append_to_entity),
        )
        .route(
            "/streams/{stream}/entities/",
            get(streams::entity::read).post(streams::append::append_to_entity),
        )
        .route("/events", get(events::query::search).post(events::append::append))
        .route("/events/query", post(events::query::query))
        .route("/views", get(views::list))
        .route("/views/{view}", get(views::page))
        .route("/views/{view}/", get(views::row))
        .route("/views/{view}/search", get(views::found))
        .route("/views/{view}/changes", get(views::follow))
        .route("/views/{view}/lineage", get(views::lineage))
        .route("/views/{view}/lineage/{*key}", get(views::lineage))
        .route("/views/{view}/origins", get(views::origins))
        .route("/views/{view}/origins/{*key}", get(views::origins))
        .route("/views/{view}/{*key}", get(views::row))
        .route("/commands", get(commands::list))
        .route("/commands/{command}", post(commands::call))
        .route("/schedules", get(schedules::list))
        .route("/schedules/{name}", get(schedules::one).delete(schedules::cancel))
        .route("/sql", post(sql::answer))
        .route("/history", get(history::read))
        .route("/health", get(health::ready))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::show))
        .route("/openapi.json", get(openapi::describe))
        .merge(schemas::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(Arc::clone(&door), guarded))
        .with_state(door)
}

async fn not_found(request: Request) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {}; GET /openapi.json lists the addresses",
        request.uri().path()
    ))
}

/// OPTIONS is answered with the methods there are, every other method that is not there with the same beside a problem.
async fn not_allowed(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let detail = format!(
        "{} is not taken at {}; the header Allow says what is",
        request.method(),
        request.uri().path()
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail).into_response()
}

/// Refuses what other sites' pages send, and bounds what is answered.
async fn guarded(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    if let Err(problem) = request::same_site(request.method(), request.headers()) {
        return problem.into_response();
    }
    bounded(&door, timeout(door.options.request_max, next.run(request)).await)
}

/// What is said of an answer that was waited for so long: that it is late, or it, as a problem where it is a refusal of another form.
///
/// Whoever waits does it in place: a future that is handed on to be waited for takes its room twice.
pub(crate) fn bounded(door: &Door, answer: Result<Response, Elapsed>) -> Response {
    let Ok(response) = answer else {
        let seconds = door.options.request_max.as_secs();
        let detail =
            format!("the request was not answered within {seconds} s; what it began to write may still happen");
        return Problem::late(detail).into_response();
    };
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
    match (status.is_client_error() || status.is_server_error()) && !is_json {
        // Refusals of the framework itself, such as a path that is no UTF-8.
        true => Problem::new(status, "bad-request", "the request cannot be understood").into_response(),
        false => response,
    }
}
