//! `GET /views/{view}`: a page of rows by key; `GET /views/{view}/{key}`: one row, straight from the view, without planning a query.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use headwater_catalog::Definition;
use headwater_records::Position;
use headwater_sql::ScalarValue;
use headwater_views::{
    Ask, Build, Direction, Found, GroupKey, Rebuild, Selection, Shown, Span, View, ViewStatus, behind,
};
use serde_json::{Value, json};

use crate::keys::{self, Key};
use crate::lists;
use crate::problem::{Problem, VIEW_REPLACED};
use crate::request::{self, Query};
use crate::router::Door;
use crate::row::write_first;
use crate::rows::{RowForm, columns_of, write_rows_while};

/// How many rows a page has unless the request says otherwise, and at most.
const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 10_000;

/// Room for a row of some columns: what is longer grows.
const ROW_BYTES: usize = 256;

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

pub(crate) fn status(status: &ViewStatus) -> Value {
    json!({
        "position": status.position.to_string(),
        "lag_events": status.lag_events,
        "lag_seconds": status.lag_seconds,
        "rows": status.rows,
        "parked": status.parked,
        "building": status.building.as_ref().map(build),
        "held_up": status.held_up,
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

/// One row by its key.
pub(crate) async fn row(State(door): State<Arc<Door>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    match read_row(&door, &uri, &headers).await {
        // A newer version took the view's place meanwhile: that one is asked.
        Err(problem) if problem.code == VIEW_REPLACED => read_row(&door, &uri, &headers).await,
        answer => answer,
    }
}

async fn read_row(door: &Arc<Door>, uri: &Uri, headers: &HeaderMap) -> Result<Response, Problem> {
    let Some((name, key)) = address(uri.path()) else {
        return Err(Problem::not_found("a view's name is missing").code("unknown_view"));
    };
    let (name, key) = (request::decoded(name)?, keys::read(key)?);
    let view = view(door, &name)?;
    let query = lists::query(&view, uri, &[])?;
    let values = keys::values(&view, &key)?;
    let lists = lists::asked(&view, &query)?;
    wait(door, &view, headers).await?;
    if lists.is_none()
        && let Some(found) = find_resident(&view, &key, &values)?
    {
        return Ok(found);
    }
    // From the disk, or long: not on the runtime's own threads.
    let task = tokio::task::spawn_blocking(move || match lists {
        Some(columns) => find_with_lists(&view, &key, &values, columns),
        None => find(&view, &key, &values),
    });
    task.await
        .map_err(|error| Problem::internal(format!("the read broke off: {error}")))?
}

/// Whether a path is that of a row, as the router sees it.
pub(crate) fn is_of_row(path: &str) -> bool {
    let Some((name, key)) = address(path) else { return false };
    // Below these stand the keys of rows.
    let has_keys = matches!(key.split('/').next(), Some("lineage" | "origins"));
    !name.is_empty() && !matches!(key, "" | "search" | "changes") && !has_keys
}

/// The same as [`row`] where nothing is to be waited for, the disk neither; `None`: there is, or what is wrong with the request is to be told.
pub(crate) fn row_at_once(door: &Door, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    let (name, key) = address(uri.path())?;
    if uri.query().is_some() || request::waits(headers) {
        return None;
    }
    let (name, key) = (request::decoded(name).ok()?, keys::read(key).ok()?);
    let view = view(door, &name).ok()?;
    let values = keys::values(&view, &key).ok()?;
    // A list may be long, and reading it takes its time.
    let has_lists = view.schema().fields().iter().any(|field| field.data_type().is_nested());
    if has_lists || !view.is_caught_up() {
        return None;
    }
    match find_resident(&view, &key, &values) {
        // A newer version took the view's place just now: that one is asked.
        Err(problem) if problem.code == VIEW_REPLACED => None,
        found => found.unwrap_or_else(|problem| Some(problem.into_response())),
    }
}

/// The name of the view and the key in the path of a row, as they stand there.
fn address(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/views/")?.split_once('/')
}

/// The row of a key as it stands, where memory says it.
fn find_resident(view: &View, key: &Key, values: &[ScalarValue]) -> Result<Option<Response>, Problem> {
    let found = view.find_resident(&[key_of(view, values)?])?;
    found.map(|found| first(view, key, &found)).transpose()
}

/// The row of a key as it stands; blocks on the disk.
fn find(view: &View, key: &Key, values: &[ScalarValue]) -> Result<Response, Problem> {
    first(view, key, &view.find(&[key_of(view, values)?])?)
}

/// The one row that was looked for.
fn first(view: &View, key: &Key, found: &Found) -> Result<Response, Problem> {
    let row = found.rows.first().and_then(Option::as_ref);
    shown(view, key, row, &found.position)
}

/// The same of a row that has lists.
fn find_with_lists(view: &View, key: &Key, values: &[ScalarValue], columns: Vec<Shown>) -> Result<Response, Problem> {
    let ask = Ask {
        columns: Some(columns),
        ..Ask::all_of(Selection::Keys(vec![key_of(view, values)?]))
    };
    let found = lists::read(view, &ask)?;
    let row = found.batches.iter().find(|batch| batch.num_rows() > 0);
    shown(view, key, row, &found.position)
}

fn key_of(view: &View, values: &[ScalarValue]) -> Result<GroupKey, Problem> {
    view.key(values)
        .map_err(|error| Problem::bad_request(error.to_string()).code("malformed_key"))
}

/// A row, or that there is none of this key.
fn shown(view: &View, key: &Key, row: Option<&RecordBatch>, position: &Position) -> Result<Response, Problem> {
    if let Some(row) = row {
        let mut body: Vec<u8> = Vec::with_capacity(ROW_BYTES);
        write_first(row, &mut body).map_err(unwritable)?;
        return Ok(answer(body, position));
    }
    let (name, shown) = (&view.definition().name, keys::shown(key));
    let problem = Problem::not_found(format!("the view '{name}' has no row with the key '{shown}'"));
    let problem = problem.code("no_such_row");
    let mut response = problem.with("position", position.to_string()).into_response();
    put_position(&mut response, position);
    Ok(response)
}

/// A page of rows in the order of their keys.
pub(crate) async fn page(
    State(door): State<Arc<Door>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    match read_page(&door, &name, &uri, &headers).await {
        Err(problem) if problem.code == VIEW_REPLACED => read_page(&door, &name, &uri, &headers).await,
        answer => answer,
    }
}

async fn read_page(door: &Arc<Door>, name: &str, uri: &Uri, headers: &HeaderMap) -> Result<Response, Problem> {
    let view = view(door, name)?;
    let query = lists::query(&view, uri, &["limit", "after"])?;
    let limit = query.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
    let columns = lists::asked(&view, &query)?;
    let pages = lists::parameters(&view, &query);
    let name = name.to_owned();
    let after = match query.get("after") {
        None => None,
        // The key of the last page's last row, written as in the path of that row.
        Some(text) => Some(keys::values(&view, &keys::read(text)?)?),
    };
    wait(door, &view, headers).await?;
    let bytes_max = door.options.page_bytes_max;
    let task = door.state.questions.spawn(async move {
        let page = Page::read(&view, after.as_deref(), limit, columns)?;
        let mut body: Vec<u8> = format!("{{\"columns\":{},\"rows\":[", columns_of(&view.schema())).into_bytes();
        let written = write_page(&page.rows, bytes_max, &mut body).map_err(unwritable)?;
        let next = match written < page.rows.num_rows() {
            true => Some(keys::text(&view, &page.rows, written.saturating_sub(1)).map_err(unwritable)?),
            false => page.next,
        };
        let pages = pages
            .iter()
            .map(|(list, page)| format!("&{}={page}", keys::encode(list)));
        let pages: String = pages.collect();
        let next = next.map(|key| {
            format!(
                "/views/{}?limit={limit}&after={}{pages}",
                keys::encode(&name),
                keys::encode(&key)
            )
        });
        let tail = format!(
            "],\"next\":{},\"position\":{}}}",
            Value::from(next),
            Value::from(page.position.to_string())
        );
        body.extend_from_slice(tail.as_bytes());
        Ok::<Response, Problem>(answer(body, &page.position))
    });
    task.await
        .map_err(|error| Problem::internal(format!("the read broke off: {error}")))?
}

/// Writes the rows of a page up to so many bytes, and one at least; how many there are.
fn write_page(rows: &RecordBatch, bytes_max: usize, body: &mut Vec<u8>) -> Result<usize, ArrowError> {
    let begins = body.len();
    let mut written = 0;
    write_rows_while(rows, RowForm::Object, |row| {
        if written > 0 && body.len() - begins + 1 + row.len() > bytes_max {
            return false;
        }
        if written > 0 {
            body.push(b',');
        }
        body.extend_from_slice(row);
        written += 1;
        true
    })?;
    Ok(written)
}

/// Some rows in the order of their keys.
struct Page {
    rows: RecordBatch,
    /// The key of the last row, as in its path, where more rows follow.
    next: Option<String>,
    position: Position,
}

impl Page {
    /// Reads the page and one row more, which says whether there is another page.
    fn read(
        view: &View,
        after: Option<&[ScalarValue]>,
        limit: usize,
        columns: Option<Vec<Shown>>,
    ) -> Result<Page, Problem> {
        let has_keys = !view.key_columns().is_empty();
        let selection = match after {
            None => Selection::All,
            Some(values) => Selection::Spans(vec![Span {
                from: behind(&view.key(values)?.0).unwrap_or_default(),
                to: None,
            }]),
        };
        let ask = Ask {
            selection,
            order: has_keys.then_some(Direction::Ascending),
            limit: Some(limit.saturating_add(1)),
            columns,
        };
        let found = lists::read(view, &ask)?;
        let schema = found.batches.first().map_or_else(|| view.schema(), RecordBatch::schema);
        let rows = concat_batches(&schema, &found.batches).map_err(unwritable)?;
        let last = limit.checked_sub(1).filter(|_| has_keys && rows.num_rows() > limit);
        let next = last.map(|last| keys::text(view, &rows, last)).transpose();
        Ok(Page {
            next: next.map_err(unwritable)?,
            rows: rows.slice(0, limit.min(rows.num_rows())),
            position: found.position,
        })
    }
}

/// A running view with keys, or the problem that says why there is none.
pub(crate) fn view(door: &Door, name: &str) -> Result<Arc<View>, Problem> {
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
pub(crate) fn any_view(door: &Door, name: &str) -> Result<Arc<View>, Problem> {
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
pub(crate) async fn wait(door: &Door, view: &View, headers: &HeaderMap) -> Result<Option<Position>, Problem> {
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

pub(crate) fn unwritable(error: ArrowError) -> Problem {
    Problem::internal(format!("the rows cannot be written as JSON: {error}"))
}

pub(crate) fn answer(body: Vec<u8>, position: &Position) -> Response {
    let mut response = body.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    put_position(&mut response, position);
    response
}

fn put_position(response: &mut Response, position: &Position) {
    request::put_position(response.headers_mut(), &position.to_string());
}
