//! What a client is told when something goes wrong: problem details (RFC 9457), `application/problem+json`.
//!
//! `type` is `urn:headwater:problem:NAME` and says what class of problem it is, `code` which one exactly: programs compare it, so none is ever
//! renamed, and docs/http.md lists them. A person reads `detail`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_catalog::CatalogError;
use headwater_commands::CommandError;
use headwater_eventlog::{AppendError, ReadError};
use headwater_sql::SqlError;
use headwater_views::ViewError;
use serde_json::{Map, Value};

/// One problem.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub status: StatusCode,
    /// The last part of the type.
    pub name: &'static str,
    /// Which problem of its class it is; the class alone says it where nothing closer is known.
    pub code: String,
    /// What happened, why, what to do.
    pub detail: String,
    /// Members beside the standard ones: `sqlstate`, `line`, …
    pub members: Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, name: &'static str, detail: impl Into<String>) -> Problem {
        Problem {
            status,
            name,
            code: name.replace('-', "_"),
            detail: detail.into(),
            members: Map::new(),
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(crate) fn unfit(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unfit", detail)
    }

    pub(crate) fn late(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "late", detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// With a code of its own, in small letters with `_` between the words.
    pub(crate) fn code(mut self, code: impl Into<String>) -> Problem {
        self.code = code.into();
        self
    }

    /// With a member of its own.
    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Problem {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// The document.
    pub(crate) fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("type".into(), format!("urn:headwater:problem:{}", self.name).into());
        document.insert(
            "title".into(),
            self.status.canonical_reason().unwrap_or("Problem").into(),
        );
        document.insert("status".into(), self.status.as_u16().into());
        document.insert("code".into(), self.code.clone().into());
        document.insert("detail".into(), self.detail.clone().into());
        document.extend(self.members.clone());
        Value::Object(document)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.document().to_string()).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Problem {
        let (status, name) = match error.state.0 {
            "23514" => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
            "57014" => (StatusCode::GATEWAY_TIMEOUT, "late"),
            "40001" => (StatusCode::CONFLICT, "conflict"),
            "42501" => (StatusCode::FORBIDDEN, "not-allowed"),
            state => match state.get(..2) {
                Some("23") => (StatusCode::UNPROCESSABLE_ENTITY, "unfit"),
                Some("53" | "57" | "58") => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
                Some("XX") => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
                _ => (StatusCode::BAD_REQUEST, "statement"),
            },
        };
        let mut problem = Problem::new(status, name, error.message).with("sqlstate", error.state.0);
        if let Some(hint) = error.hint {
            problem = problem.with("hint", hint);
        }
        if let Some(at) = error.at {
            problem = problem.with("line", at.line).with("column", at.column);
        }
        problem
    }
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Problem {
        let detail = error.to_string();
        match error {
            ViewError::Late { at, wanted, .. } => Problem::late(detail)
                .with("position", at.to_string())
                .with("wanted", wanted.to_string()),
            ViewError::Stopped { .. } => Problem::unavailable(detail),
            _ => Problem::internal(detail),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Problem {
        let detail = error.to_string();
        match error {
            AppendError::Unknown { .. } => Problem::not_found(detail).code("unknown_partition"),
            AppendError::Keyless { .. } => Problem::bad_request(detail).code("no_key"),
            AppendError::TooLarge { .. } => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail),
            AppendError::Full { .. } => Problem::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", detail),
            AppendError::Stopped { .. } | AppendError::Unreadable(_) => Problem::unavailable(detail),
            _ => Problem::new(StatusCode::CONFLICT, "conflict", detail),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Problem {
        let detail = error.to_string();
        match error {
            ReadError::Unknown { .. } => Problem::not_found(detail).code("unknown_partition"),
            ReadError::OutOfRange { start, end, .. } => {
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "out-of-range", detail)
                    .with("start", start)
                    .with("end", end)
            }
            ReadError::Expired { .. } => Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "out-of-range", detail),
            _ => Problem::internal(detail),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        let detail = error.to_string();
        match error {
            CommandError::Unknown(_) => Problem::not_found(detail).code("unknown_command"),
            CommandError::Arguments(_) => Problem::bad_request(detail),
            CommandError::Refused(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", detail),
            CommandError::KeyReused => Problem::new(StatusCode::CONFLICT, "idempotency-key-reused", detail),
            CommandError::Late(_) => Problem::unavailable(detail),
            CommandError::Sql(error) => error.into(),
            _ => Problem::unavailable(detail),
        }
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Problem {
        Problem::unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use headwater_sql::{Place, SqlState};

    use super::*;

    #[test]
    fn errors_of_statements_have_a_status_by_their_class() {
        for (state, status) in [
            ("42601", 400),
            ("42P01", 400),
            ("22P02", 400),
            ("23502", 422),
            ("23514", 422),
            ("40001", 409),
            ("42501", 403),
            ("57014", 504),
            ("58030", 503),
            ("53200", 503),
            ("XX000", 500),
        ] {
            let problem = Problem::from(SqlError::new(SqlState(state), "it failed"));
            assert_eq!(problem.status.as_u16(), status, "{state}");
        }
    }

    #[test]
    fn a_problem_carries_place_and_hint() {
        let place = Place {
            file: String::new(),
            line: 7,
            column: 3,
        };
        let error = SqlError::new(SqlState::SYNTAX, "a word is missing")
            .hint("write FROM")
            .at(place);
        let document = Problem::from(error).document();
        let expected = serde_json::json!({
            "type": "urn:headwater:problem:statement", "title": "Bad Request", "status": 400,
            "code": "statement", "detail": "a word is missing", "sqlstate": "42601", "hint": "write FROM", "line": 7, "column": 3,
        });
        assert_eq!(document, expected);
    }
}
