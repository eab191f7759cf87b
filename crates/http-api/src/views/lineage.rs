//! `GET /views/{view}/lineage/{key}`: the events that went into a row, each with the row after it, page by page;
//! `GET /views/{view}/origins/{key}`: each with what it was made of, back to the first streams.
//!
//! A page ends with an event, and the next begins behind it: the address of that event is the cursor, so that a page costs what it shows, and not what
//! came before it. It ends early with the event that fills it, in bytes.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use headwater_sql::parse::parse;
use headwater_sql::{Outcome, ScalarValue, Session, SqlError};
use headwater_views::View;
use serde_json::Value;

use super::keys::{self, Key};
use super::row::row;
use super::running::{any_view, unwritable, wait};
use crate::door::Door;
use crate::json::rows::{RowForm, columns_of, write_rows_while};
use crate::problem::Problem;
use crate::request::{PRINCIPAL, Query};

/// How many events a page has unless the request says otherwise, and at most.
const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 10_000;

/// The row's events, and the row after each.
pub(crate) async fn lineage(
    State(door): State<Arc<Door>>,
    Path(path): Path<Vec<(String, String)>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    page(door, Function::Lineage, &path, uri, headers).await
}

/// The row's events, and what each was made of.
pub(crate) async fn origins(
    State(door): State<Arc<Door>>,
    Path(path): Path<Vec<(String, String)>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    page(door, Function::Origins, &path, uri, headers).await
}

/// The table function that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Lineage,
    Origins,
}

impl Function {
    fn name(self) -> &'static str {
        match self {
            Function::Lineage => "lineage",
            Function::Origins => "origins",
        }
    }
}

async fn page(
    door: Arc<Door>,
    function: Function,
    path: &[(String, String)],
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = path.first().map_or("", |(_, name)| name);
    let view = any_view(&door, name)?;
    let key = uri.path().splitn(5, '/').nth(4);
    if key.is_none() && !view.key_types().is_empty() {
        // It is a key as any other.
        return row(State(door), uri, headers).await;
    }
    let query = Query::new(&uri, &["limit", "after"])?;
    let limit = query.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
    let after = query.get("after").map(str::to_owned);
    wait(&door, &view, &headers).await?;
    let behind = key.map(keys::read).transpose()?.unwrap_or_default();
    let asked = Asked {
        function,
        question: question(function, &view, behind, after),
        address: address(name, function, key),
        limit,
    };
    let questions = door.state.questions.clone();
    let task = questions.spawn(async move { asked.answer(&door).await });
    task.await
        .map_err(|error| Problem::internal(format!("the read broke off: {error}")))?
}

/// What is asked.
struct Asked {
    function: Function,
    question: (String, Vec<ScalarValue>),
    /// The address of the first page.
    address: String,
    limit: usize,
}

/// The address of the first page.
fn address(name: &str, function: Function, key: Option<&str>) -> String {
    let key = key.map(|key| format!("/{key}"));
    format!(
        "/views/{}/{}{}",
        keys::encode(name),
        function.name(),
        key.unwrap_or_default()
    )
}

/// The question in SQL, and its parameters. Texts are read as the types of the key's columns.
fn question(function: Function, view: &View, key: Key, after: Option<String>) -> (String, Vec<ScalarValue>) {
    let mut parameters: Key = match view.is_per_event() {
        // The address of an event has a '/' of its own.
        true => vec![Some(keys::shown(&key))],
        false => key,
    };
    let mut arguments: Vec<String> = (1..=parameters.len()).map(|number| format!(", ${number}")).collect();
    if let Some(after) = after {
        parameters.push(Some(after));
        arguments.push(format!(", after => ${}", parameters.len()));
    }
    let name = view.definition().name.replace('\'', "''");
    let text = format!("SELECT * FROM {}('{name}'{})", function.name(), arguments.concat());
    (text, parameters.into_iter().map(ScalarValue::Utf8).collect())
}

impl Asked {
    async fn answer(self, door: &Door) -> Result<Response, Problem> {
        let (text, parameters) = &self.question;
        let session = Session {
            principal: PRINCIPAL.to_owned(),
            after: None,
            timeout: Some(door.options.request_max),
            ..Session::default()
        };
        let mut statements = parse(text, "")?;
        let statement = statements
            .pop()
            .ok_or_else(|| Problem::internal("a lineage has no question"))?;
        let outcome = door.state.engine.execute(&session, &statement, parameters).await?;
        let Outcome::Rows { schema, mut rows, .. } = outcome else {
            return Err(Problem::internal("a lineage has no rows"));
        };
        let mut found = Found::new(self.function, &schema, self.limit, door.options.page_bytes_max);
        while !found.is_full
            && let Some(batch) = rows.next().await
        {
            found.take(&batch.map_err(SqlError::from)?)?;
        }
        let next = found.last.filter(|_| found.is_full);
        let next = next.map(|last| format!("{}?limit={}&after={}", self.address, self.limit, keys::encode(&last)));
        found
            .body
            .extend_from_slice(format!("],\"next\":{}}}", Value::from(next)).as_bytes());
        let mut response = found.body.into_response();
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        Ok(response)
    }
}

/// A page that fills.
struct Found {
    function: Function,
    body: Vec<u8>,
    separator: &'static [u8],
    /// How many more events it takes.
    left: usize,
    /// With so many bytes it takes no further event.
    bytes_max: usize,
    /// The address of the last one.
    last: Option<String>,
    /// Whether there is an event that it does not take.
    is_full: bool,
}

impl Found {
    fn new(function: Function, schema: &SchemaRef, limit: usize, bytes_max: usize) -> Found {
        Found {
            function,
            body: format!("{{\"columns\":{},\"rows\":[", columns_of(schema)).into_bytes(),
            separator: b"",
            left: limit,
            bytes_max,
            last: None,
            is_full: false,
        }
    }

    /// Takes rows, up to the event that is one too many.
    fn take(&mut self, rows: &RecordBatch) -> Result<(), Problem> {
        let mut number = 0;
        let taken = write_rows_while(rows, RowForm::Object, |row| {
            let event = event(self.function, rows, number);
            number += 1;
            self.put(event, row)
        });
        taken.map_err(unwritable)
    }

    /// Takes a row, and with it the event that it shows, where that is one that counts; `false` where the page is full.
    fn put(&mut self, event: Option<String>, row: &[u8]) -> bool {
        if let Some(event) = event {
            let is_over = self.last.is_some() && self.body.len() >= self.bytes_max;
            if self.left == 0 || is_over {
                self.is_full = true;
                return false;
            }
            self.left -= 1;
            self.last = Some(event);
        }
        self.body.extend_from_slice(self.separator);
        self.body.extend_from_slice(row);
        self.separator = b",";
        true
    }
}

/// The address of the event that a row shows, where it is one that went into the row asked for, and not what such an event was made of.
fn event(function: Function, rows: &RecordBatch, row: usize) -> Option<String> {
    if function == Function::Origins {
        let depth = rows.column_by_name("depth")?.as_primitive_opt::<Int32Type>()?;
        if depth.value(row) > 0 {
            return None;
        }
    }
    let stream = rows.column_by_name("_stream")?.as_string_opt::<i32>()?;
    let partition = rows.column_by_name("_partition")?.as_primitive_opt::<Int32Type>()?;
    let offset = rows.column_by_name("_offset")?.as_primitive_opt::<Int64Type>()?;
    let is_known = stream.is_valid(row) && partition.is_valid(row) && offset.is_valid(row);
    is_known.then(|| format!("{}/{}@{}", stream.value(row), partition.value(row), offset.value(row)))
}
