//! An append that is not at once: `Headwater-Append-At`, `Headwater-Append-After` and `Headwater-Schedule`.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_commands::{Once, PromiseError, Promised};
use headwater_records::Event;
use headwater_schedules::{AFTER_HEADER, AT_HEADER, SCHEDULE_HEADER, Schedule, written_due_us};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::door::Door;
use crate::json::digits::moment;
use crate::problem::Problem;
use crate::request::{self, PRINCIPAL};

/// When events are to be appended, and what that is cancelled by.
#[derive(Debug, PartialEq)]
pub(super) struct Later {
    due_us: i64,
    name: Option<String>,
    /// What was written of both: the same of a request that is sent again, whenever that is.
    said: String,
}

impl Later {
    /// What the headers say; `None`: at once.
    pub(super) fn read(headers: &HeaderMap, now_us: i64) -> Result<Option<Later>, Problem> {
        let at = request::text_header(headers, AT_HEADER)?.map(str::trim);
        let after = request::text_header(headers, AFTER_HEADER)?.map(str::trim);
        let name = request::text_header(headers, SCHEDULE_HEADER)?.map(str::to_owned);
        match (written_due_us(at, after, now_us)?, name) {
            (Some(due_us), name) => Ok(Some(Later {
                due_us,
                said: format!("{at:?} {after:?} {name:?} "),
                name,
            })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Problem::bad_request(
                "Headwater-Schedule names what is appended later: say when with Headwater-Append-At or Headwater-Append-After",
            )
            .code("malformed_schedule")),
        }
    }

    /// What a request says that is known by its idempotency key: its events, and when they are to be appended.
    pub(super) fn known_by(&self, once: Option<Once>) -> Option<Once> {
        once.map(|once| Once {
            said: [self.said.as_bytes(), &once.said].concat(),
            ..once
        })
    }
}

/// Has the events appended later; 202, as nothing is appended yet.
pub(super) async fn schedule(
    door: &Door,
    stream: &str,
    later: Later,
    events: Vec<Event>,
    once: Option<Once>,
) -> Result<Response, Problem> {
    let once = later.known_by(once);
    let schedule = Schedule {
        name: later.name.unwrap_or_else(Schedule::new_name),
        due_us: later.due_us,
        stream: stream.to_owned(),
        events,
    };
    let Promised {
        schedule,
        position,
        repeated,
    } = door.state.commands.promise(PRINCIPAL, schedule, once).await?;
    let answer = json!({
        "schedule": schedule.name,
        "due": moment(schedule.due_us),
        "stream": stream,
        "events": schedule.events.len(),
        "position": position.to_string(),
        "repeated": repeated,
    });
    let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
    let location = format!("/schedules/{}", utf8_percent_encode(&schedule.name, NON_ALPHANUMERIC));
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    request::put_position(response.headers_mut(), &position.to_string());
    Ok(response)
}

impl From<PromiseError> for Problem {
    fn from(error: PromiseError) -> Problem {
        match error {
            PromiseError::Schedule(error) => error.into(),
            PromiseError::Call(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

    fn check(given: &[(&'static str, &str)], expected: Result<Option<(i64, Option<&str>)>, &str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        match (Later::read(&headers, DAY_US), expected) {
            (Ok(found), Ok(expected)) => {
                let found = found.as_ref().map(|later| (later.due_us, later.name.as_deref()));
                assert_eq!(found, expected, "{given:?}");
            }
            (Err(problem), Err(why)) => assert!(problem.detail.contains(why), "{}", problem.detail),
            (found, expected) => panic!("{given:?}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn headers_say_when() {
        check(&[], Ok(None));
        check(&[(AT_HEADER, " 1970-01-03T00:00:00Z ")], Ok(Some((2 * DAY_US, None))));
        check(
            &[(AFTER_HEADER, "3 days"), (SCHEDULE_HEADER, "n")],
            Ok(Some((4 * DAY_US, Some("n")))),
        );
        check(&[(AT_HEADER, "tomorrow")], Err("no moment"));
        check(&[(SCHEDULE_HEADER, "n")], Err("say when"));
    }
}
