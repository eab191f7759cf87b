//! `GET /views/{view}/{key}`: one row, straight from the view, without planning a query.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use headwater_sql::ScalarValue;
use headwater_views::{Ask, GroupKey, Selection, Shown, View};

use super::keys::{self, Key};
use super::lists;
use super::running::{answer, unwritable, view, wait};
use crate::door::Door;
use crate::heeded;
use crate::json::row::write_first;
use crate::problem::{Problem, VIEW_REPLACED};
use crate::request;

/// Room for a row of some columns: what is longer grows.
const ROW_BYTES: usize = 256;

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
    if uri.query().is_some() || heeded::has_ours(headers) {
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
    let found = view.text(&key_of(view, values)?, written)?;
    Ok(found.map(|found| shown(view, key, found.text, &found.position)))
}

/// The row of a key as it stands; blocks on the disk.
fn find(view: &View, key: &Key, values: &[ScalarValue]) -> Result<Response, Problem> {
    let found = view.find(&[key_of(view, values)?])?;
    let row = found.rows.first().and_then(Option::as_ref);
    let text = row.map(written).transpose()?;
    Ok(shown(view, key, text, &found.position.to_string()))
}

/// The same of a row that has lists.
fn find_with_lists(view: &View, key: &Key, values: &[ScalarValue], columns: Vec<Shown>) -> Result<Response, Problem> {
    let ask = Ask {
        columns: Some(columns),
        ..Ask::all_of(Selection::Keys(vec![key_of(view, values)?]))
    };
    let found = lists::read(view, &ask)?;
    let row = found.batches.iter().find(|batch| batch.num_rows() > 0);
    let text = row.map(written).transpose()?;
    Ok(shown(view, key, text, &found.position.to_string()))
}

fn key_of(view: &View, values: &[ScalarValue]) -> Result<GroupKey, Problem> {
    view.key(values)
        .map_err(|error| Problem::bad_request(error.to_string()).code("malformed_key"))
}

/// A row as it is answered.
fn written(row: &RecordBatch) -> Result<Vec<u8>, Problem> {
    let mut text: Vec<u8> = Vec::with_capacity(ROW_BYTES);
    write_first(row, &mut text).map_err(unwritable)?;
    Ok(text)
}

/// A row, or that there is none of this key.
fn shown(view: &View, key: &Key, text: Option<Vec<u8>>, position: &str) -> Response {
    if let Some(text) = text {
        return answer(text, position);
    }
    let (name, shown) = (&view.definition().name, keys::shown(key));
    let problem = Problem::not_found(format!("the view '{name}' has no row with the key '{shown}'"));
    let problem = problem.code("no_such_row");
    let mut response = problem.with("position", position.to_owned()).into_response();
    request::put_position(response.headers_mut(), position);
    response
}
