//! What a client is told when something goes wrong: problem details (RFC 9457), `application/problem+json`.
//!
//! `type` is `urn:headwater:problem:NAME` and says what class of problem it is, `code` which one exactly: programs compare it, so none is ever
//! renamed, and docs/http.md lists them. A person reads `detail`.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_catalog::CatalogError;
use headwater_commands::CommandError;
use headwater_eventlog::{AppendError, QueryError, ReadError};
use headwater_sql::{SqlError, SqlState};
use headwater_views::ViewError;
use serde_json::{Map, Value};

/// When it is worth asking again: views catch up, and busy rows are free, within moments.
const RETRY_AFTER_S: u32 = 1;

/// Words of a text that are longer are shown by so many characters of their beginning and end. A Kafka name has at most 249, a position may have many more.
const WORD_CHARS_MAX: usize = 2_000;
const WORD_CHARS_BEGIN: usize = 64;
const WORD_CHARS_END: usize = 8;

/// A newer version took a view's place while it was read.
pub(crate) const VIEW_REPLACED: &str = "view_replaced";

/// The code of a moment that cannot be told any more, since events are gone.
pub const NO_LONGER_KEPT: &str = "no_longer_kept";

/// The code of what cannot be read because the disk holds something else than was written.
const DAMAGED: &str = "damaged";

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
    /// What few problems have, in a box of its own: a result carries this around.
    pub beside: Box<Beside>,
}

/// What few problems have.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Beside {
    /// Members whose JSON stands as it was written, so that numbers keep their last digits.
    raw: Vec<(&'static str, String)>,
    /// Headers beside the content type.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, name: &'static str, detail: impl Into<String>) -> Problem {
        Problem {
            status,
            name,
            code: name.replace('-', "_"),
            detail: detail.into(),
            members: Map::new(),
            beside: Box::default(),
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

    /// The same request may succeed before long.
    pub(crate) fn retry(self) -> Problem {
        self.header(header::RETRY_AFTER, Some(HeaderValue::from(RETRY_AFTER_S)))
    }

    /// With a member whose JSON is there already.
    pub(crate) fn with_raw(mut self, member: &'static str, json: String) -> Problem {
        self.beside.raw.push((member, json));
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, name: HeaderName, value: Option<HeaderValue>) -> Problem {
        self.beside.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// The document, but for its raw members.
    pub(crate) fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("type".into(), format!("urn:headwater:problem:{}", self.name).into());
        document.insert(
            "title".into(),
            self.status.canonical_reason().unwrap_or("Problem").into(),
        );
        document.insert("status".into(), self.status.as_u16().into());
        document.insert("code".into(), self.code.clone().into());
        document.insert("detail".into(), with_short_words(&self.detail).into());
        document.extend(self.members.clone());
        Value::Object(document)
    }
}

/// A text in which words that are no words, such as a name of a megabyte that somebody asked for, are shown by their beginning and end.
fn with_short_words(text: &str) -> String {
    let short = |word: &str| {
        let count = word.chars().count();
        if count <= WORD_CHARS_MAX {
            return word.to_owned();
        }
        let begins: String = word.chars().take(WORD_CHARS_BEGIN).collect();
        let ends: String = word.chars().skip(count - WORD_CHARS_END).collect();
        format!("{begins}…{ends}")
    };
    let words: Vec<String> = text.split(' ').map(short).collect();
    words.join(" ")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut text = self.document().to_string();
        for (member, json) in &self.beside.raw {
            text.pop();
            text.push_str(&format!(",\"{member}\":{json}}}"));
        }
        let mut response = (self.status, text).into_response();
        response.headers_mut().extend(self.beside.headers);
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
            "HW412" => (StatusCode::PRECONDITION_FAILED, "condition-failed"),
            "42501" => (StatusCode::FORBIDDEN, "not-allowed"),
            "53100" => (StatusCode::INSUFFICIENT_STORAGE, "disk-full"),
            state => match state.get(..2) {
                Some("23") => (StatusCode::UNPROCESSABLE_ENTITY, "unfit"),
                Some("53" | "57" | "58") => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
                Some("XX") => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
                _ => (StatusCode::BAD_REQUEST, "statement"),
            },
        };
        let mut problem = Problem::new(status, name, error.message).with("sqlstate", error.state.0);
        if let Some(code) = &error.code {
            problem = problem.code(code.as_ref());
        }
        if let Some(hint) = error.hint {
            problem = problem.with("hint", hint);
        }
        if let Some(detail) = &error.detail {
            problem = problem.with("came", detail.lines().skip(1).collect::<Vec<&str>>());
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
            ViewError::Stopped { .. } => Problem::unavailable(detail).code("view_stopped"),
            ViewError::Replaced { .. } => Problem::unavailable(detail).code(VIEW_REPLACED),
            ViewError::Asked(_) | ViewError::Unfit { .. } => Problem::bad_request(detail),
            ViewError::Full(_) => Problem::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", detail).retry(),
            ViewError::Row { .. } => of_values(error.into()).code("unworkable_row"),
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
            AppendError::Condition(error) => error.into(),
            AppendError::Full { .. } => Problem::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", detail),
            AppendError::Stopped { .. } | AppendError::Unreadable(_) => Problem::unavailable(detail),
            _ => Problem::new(StatusCode::CONFLICT, "conflict", detail),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Problem {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            QueryError::UnknownStream { .. } => Problem::not_found(detail).code(code),
            QueryError::Gone { .. } => {
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "out-of-range", detail).code(code)
            }
            QueryError::Building { .. } => Problem::unavailable(detail).code(code).retry(),
            QueryError::Unreadable(error) => error.into(),
            _ => Problem::bad_request(detail).code(code),
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
            ReadError::Expired { .. } => {
                let detail = format!("{detail}: ask for a later moment, or keep events longer");
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "out-of-range", detail).code(NO_LONGER_KEPT)
            }
            ReadError::Short { .. } => Problem::unavailable(detail),
            ReadError::Damaged { .. } => Problem::internal(detail).code(DAMAGED),
            ReadError::Disk { .. } => Problem::internal(detail),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        let (detail, code) = (error.to_string(), error.code().to_owned());
        let problem = match error {
            CommandError::Unknown(_) => Problem::not_found(detail),
            CommandError::Arguments(fault) => {
                let problem = match fault.code {
                    "check_failed" => Problem::unfit(detail),
                    _ => Problem::bad_request(detail),
                };
                match fault.parameter {
                    Some(parameter) => problem.with("parameter", parameter),
                    None => problem,
                }
            }
            CommandError::Refused(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", detail),
            CommandError::KeyReused => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", detail),
            CommandError::AnswerGone => Problem::new(StatusCode::GONE, "gone", detail),
            CommandError::Sql(error) => of_values(error),
            CommandError::Append(error) => error.into(),
            CommandError::Late(_) | CommandError::KeysFull(_) | CommandError::Busy(_) => {
                Problem::unavailable(detail).retry()
            }
            CommandError::Log(_) => Problem::unavailable(detail),
            CommandError::BrokeOff => Problem::internal(detail),
        };
        problem.code(code)
    }
}

/// A question of a command that failed: where that is because of the values at hand, the command is sound and the request is not.
fn of_values(error: SqlError) -> Problem {
    let is_of_values = ["21", "22"].iter().any(|class| error.state.0.starts_with(class));
    let is_passing = error.state == SqlState::NOT_READY;
    let problem = Problem::from(error);
    match (is_of_values, is_passing) {
        (true, _) => Problem {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            name: "unfit",
            ..problem
        },
        (_, true) => problem.retry(),
        _ => problem,
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Problem {
        let detail = error.to_string();
        match error {
            CatalogError::Full(_) => Problem::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", detail),
            _ => Problem::unavailable(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_sql::Place;

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
            ("HW412", 412),
            ("42501", 403),
            ("57014", 504),
            ("58030", 503),
            ("58000", 503),
            ("53100", 507),
            ("53200", 503),
            ("XX000", 500),
        ] {
            let problem = Problem::from(SqlError::new(SqlState(state), "it failed"));
            assert_eq!(problem.status.as_u16(), status, "{state}");
        }
    }

    #[test]
    fn a_name_of_a_megabyte_is_not_said_back() {
        let name = "q".repeat(1 << 20);
        let problem = Problem::not_found(format!("there is no stream '{name}'; GET /streams lists them"));
        let shown = format!(
            "there is no stream '{}…qqqqqq'; GET /streams lists them",
            "q".repeat(63)
        );
        assert_eq!(problem.document()["detail"], shown);
        let position = "transactions/".to_owned() + &"0@7,".repeat(400);
        assert_eq!(Problem::not_found(&*position).document()["detail"], position);
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
