//! `GET /schedules`, `GET /schedules/{name}`, `DELETE /schedules/{name}`: what is to be appended later, and not.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use headwater_catalog::Codec;
use headwater_records::Event;
use headwater_schedules::{Place, ScheduleError, Waiting};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::door::Door;
use crate::heeded;
use crate::json::digits::moment;
use crate::problem::Problem;
use crate::request::{PRINCIPAL, Query};

/// How many schedules a page holds unless the request says otherwise, and at most: each is read from the log.
const PAGE_DEFAULT: u64 = 100;
const PAGE_MAX: u64 = 1_000;

/// A page of what waits, in the order in which it is due; `next` asks for the following page.
pub(crate) async fn list(State(door): State<Arc<Door>>, uri: Uri) -> Result<Json<Value>, Problem> {
    let query = Query::new(&uri, &["limit", "after"])?;
    let limit = query.limit(PAGE_DEFAULT, PAGE_MAX)?;
    let after = query.get("after").map(place).transpose()?;
    let schedules = door.state.engine.schedules()?.clone();
    let pending = schedules.pending();
    // One more, which says whether there is another page.
    let listed = reading(move || schedules.list(after, limit + 1)).await?;
    let shown = &listed[..limit.min(listed.len())];
    let last = shown.last().filter(|_| listed.len() > limit).map(Waiting::place);
    let next = last.map(|(due_us, offset)| format!("/schedules?limit={limit}&after={due_us}@{offset}"));
    let page: Vec<Value> = shown.iter().map(summary).collect();
    Ok(Json(json!({"schedules": page, "next": next, "pending": pending})))
}

/// Where a page begins: behind a schedule, which may have been appended or cancelled meanwhile.
fn place(text: &str) -> Result<Place, Problem> {
    let parts = text.split_once('@');
    let place = parts.and_then(|(due_us, offset)| Some((due_us.parse().ok()?, offset.parse().ok()?)));
    place.ok_or_else(|| {
        let detail = format!("after is '{text}', which is no place in the list: take the address that next says");
        Problem::bad_request(detail).code("malformed_position")
    })
}

/// One that waits, with its events.
pub(crate) async fn one(State(door): State<Arc<Door>>, Path(name): Path<String>) -> Result<Json<Shown>, Problem> {
    let schedules = door.state.engine.schedules()?.clone();
    let wanted = name.clone();
    let found = reading(move || schedules.get(&wanted)).await?;
    let waiting = found.ok_or_else(|| absent(&name))?;
    let stream = door.state.engine.catalog().stream(&waiting.schedule.stream);
    let codec = stream.map(|stream| Codec::of(&stream, door.state.engine.catalog().schemas()));
    let shown = |event| ShownEvent::new(codec.as_ref(), event);
    Ok(Json(Shown {
        summary: summary(&waiting),
        values: waiting.schedule.events.iter().map(shown).collect(),
    }))
}

/// Cancels one. What was appended just before is not cancelled: 404.
pub(crate) async fn cancel(
    State(door): State<Arc<Door>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    heeded::by_writer(&headers, &[])?;
    match door.state.engine.schedules()?.cancel(&name, PRINCIPAL).await? {
        true => Ok(Json(json!({"cancelled": name}))),
        false => Err(absent(&name)),
    }
}

/// The log is read away from the door's threads.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ScheduleError> + Send + 'static,
) -> Result<T, Problem> {
    let read = tokio::task::spawn_blocking(read).await;
    Ok(read.map_err(|join| Problem::internal(join.to_string()))??)
}

fn absent(name: &str) -> Problem {
    let detail = format!(
        "no schedule '{name}' waits: it was appended, cancelled, or never made; GET /schedules lists those that wait"
    );
    Problem::not_found(detail).code("no_such_schedule")
}

fn summary(waiting: &Waiting) -> Value {
    let schedule = &waiting.schedule;
    json!({
        "schedule": schedule.name,
        "due": moment(schedule.due_us),
        "stream": schedule.stream,
        "events": schedule.events.len(),
        "made_at": moment(waiting.made_at_us),
        "made_by": waiting.principal,
    })
}

/// A schedule with its events.
#[derive(Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    summary: Value,
    values: Vec<ShownEvent>,
}

/// An event that waits.
#[derive(Serialize)]
struct ShownEvent {
    key: Option<String>,
    /// JSON as it is written, exact to the last digit; anything else as text.
    value: Option<Box<RawValue>>,
}

impl ShownEvent {
    fn new(codec: Option<&Codec>, event: &Event) -> ShownEvent {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let value = event.value.as_deref().and_then(|value| {
            let document = codec.and_then(|codec| codec.document(value, codec.now()));
            let json = document.as_deref().map_or(value, str::as_bytes);
            let json = serde_json::from_slice::<Box<RawValue>>(json);
            json.or_else(|_| serde_json::value::to_raw_value(&text(value))).ok()
        });
        ShownEvent {
            key: event.key.as_deref().map(text),
            value,
        }
    }
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Problem {
        let detail = error.to_string();
        match error {
            ScheduleError::Exists(name) | ScheduleError::Twice(name) => {
                Problem::new(StatusCode::CONFLICT, "conflict", detail)
                    .code("schedule_exists")
                    .with("schedule", name)
            }
            ScheduleError::Invalid(_) | ScheduleError::TooLarge(_) => {
                Problem::bad_request(detail).code("malformed_schedule")
            }
            ScheduleError::Full(_) => Problem::unavailable(detail).code("schedules_full"),
            ScheduleError::Append(error) => error.into(),
            ScheduleError::Log(_) => Problem::unavailable(detail),
        }
    }
}
