//! The schema registry, by the addresses, documents and codes that the clients of Confluent's know.
//!
//! | address | what |
//! | --- | --- |
//! | `/subjects`, `/subjects/{subject}`, `/subjects/{subject}/versions…` | register, look up, list, delete |
//! | `/schemas/ids/{id}…`, `/schemas/types` | by id |
//! | `/compatibility/subjects/{subject}/versions…` | would this schema be taken? |
//! | `/config…`, `/mode…` | levels, and whether schemas are taken |
//!
//! A refusal is `{"error_code": 40401, "message": "…"}`. Query parameters that are not known are left alone, as there.

mod asked;
mod ids;
mod levels;
mod refusal;
mod shown;
mod subjects;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::door::Door;

/// Every address.
pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new()
        .route("/subjects", get(subjects::list))
        .route("/subjects/{subject}", post(subjects::lookup).delete(subjects::delete))
        .route(
            "/subjects/{subject}/versions",
            get(subjects::versions).post(subjects::register),
        )
        .route(
            "/subjects/{subject}/versions/{version}",
            get(subjects::version).delete(subjects::delete_version),
        )
        .route("/subjects/{subject}/versions/{version}/schema", get(subjects::text))
        .route(
            "/subjects/{subject}/versions/{version}/referencedby",
            get(subjects::referenced_by),
        )
        .route("/schemas/types", get(ids::types))
        .route("/schemas/ids/{id}", get(ids::schema))
        .route("/schemas/ids/{id}/schema", get(ids::text))
        .route("/schemas/ids/{id}/subjects", get(ids::subjects))
        .route("/schemas/ids/{id}/versions", get(ids::versions))
        .route("/compatibility/subjects/{subject}/versions", post(levels::check_all))
        .route(
            "/compatibility/subjects/{subject}/versions/{version}",
            post(levels::check),
        )
        .route(
            "/config",
            get(levels::level).put(levels::set_level).delete(levels::reset_level),
        )
        .route(
            "/config/{subject}",
            get(levels::level_of)
                .put(levels::set_level_of)
                .delete(levels::reset_level_of),
        )
        .route("/mode", get(levels::mode).put(levels::set_mode))
        .route(
            "/mode/{subject}",
            get(levels::mode_of)
                .put(levels::set_mode_of)
                .delete(levels::reset_mode_of),
        )
}
