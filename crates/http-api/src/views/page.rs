//! `GET /views/{view}`: a page of rows in the order of their keys.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use headwater_records::Position;
use headwater_sql::ScalarValue;
use headwater_views::{Ask, Direction, Selection, Shown, Span, View, behind};
use serde_json::Value;

use super::running::{answer, unwritable, view, wait};
use super::{keys, lists};
use crate::door::Door;
use crate::json::rows::{RowForm, columns_of, write_rows_while};
use crate::problem::{Problem, VIEW_REPLACED};

/// How many rows a page has unless the request says otherwise, and at most.
const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 10_000;

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
        Ok::<Response, Problem>(answer(body, &page.position.to_string()))
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
