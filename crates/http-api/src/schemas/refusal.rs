//! What is answered: documents, and refusals as the registry's clients read them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_schemas::SchemaError;
use serde::Serialize;
use serde_json::json;

use crate::problem::Problem;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A refusal, as the registry's clients read it.
pub(super) struct Refusal {
    pub(super) code: u32,
    pub(super) message: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // A code has HTTP's status in front; 409 is its own.
        let status = if self.code >= 1000 { self.code / 100 } else { self.code };
        let status = u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok());
        let body = json!({"error_code": self.code, "message": self.message});
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, answer(&body)).into_response()
    }
}

impl From<SchemaError> for Refusal {
    fn from(error: SchemaError) -> Refusal {
        Refusal {
            code: error.code(),
            message: error.to_string(),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal {
            code: u32::from(problem.status.as_u16()),
            message: problem.detail,
        }
    }
}

/// A document as the registry answers it.
pub(super) fn answer(document: &impl Serialize) -> Response {
    let body = serde_json::to_vec(document).unwrap_or_default();
    ([(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))], body).into_response()
}
