//! `POST /sql`: one statement in, rows out as they come: JSON, JSON lines or CSV, as Accept says.
//!
//! The body is the statement itself (`text/plain`, `application/sql`) or `{"sql": "… $1 …", "parameters": […]}`.
//! An error before the first row is a problem with its status; a later one ends the rows: JSON and JSON lines say so in `problem`, CSV breaks off.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use headwater_records::Position;
use headwater_sql::parse::parse;
use headwater_sql::syntax::{Parsed, Statement};
use headwater_sql::{Outcome, ScalarValue, Session, SqlError, SqlState};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::body;
use crate::door::Door;
use crate::heeded;
use crate::json::rows::{RowForm, columns_of, csv_header, sql_type, write_rows};
use crate::problem::Problem;
use crate::request::{self, PRINCIPAL, Query};

/// How many batches may wait for a slow reader.
const BATCHES_AHEAD: usize = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    sql: String,
    #[serde(default)]
    parameters: Vec<Box<RawValue>>,
}

/// How rows are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Lines,
    Csv,
}

impl Form {
    fn wanted(headers: &HeaderMap) -> Form {
        match headers {
            headers if request::accepts(headers, "application/x-ndjson") => Form::Lines,
            headers if request::accepts(headers, "text/csv") => Form::Csv,
            _ => Form::Json,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Lines => "application/x-ndjson",
            Form::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    fn row(self) -> RowForm {
        match self {
            Form::Json => RowForm::Array,
            Form::Lines => RowForm::Object,
            Form::Csv => RowForm::Csv,
        }
    }
}

/// Answers a statement.
pub(crate) async fn answer(
    State(door): State<Arc<Door>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let began = Instant::now();
    Query::new(&uri, &[])?;
    heeded::by_writer(&headers, &[])?;
    let kind = request::media_type(&headers)?;
    let after = request::after(&door, &headers)?;
    let body = body::whole(&headers, body, door.options.body_bytes_max).await?;
    let question = match kind.as_deref() {
        // No statement begins so.
        None if body.trim_ascii_start().starts_with(b"{") => question(&body)?,
        None | Some("text/plain" | "application/sql") => {
            let sql =
                String::from_utf8(body.to_vec()).map_err(|_| Problem::bad_request("the statement is no UTF-8"))?;
            Question {
                sql,
                parameters: Vec::new(),
            }
        }
        Some("application/json") => question(&body)?,
        Some(other) => {
            return Err(request::unsupported(
                other,
                "text/plain, application/sql or application/json",
            ));
        }
    };
    let parsed = one(&question.sql)?;
    if let Statement::Subscribe(subscribe) = &parsed.statement {
        let detail = format!(
            "a subscription has no end that an answer could wait for: GET /views/{}/changes tells the same by server-sent events",
            subscribe.view.value
        );
        return Err(Problem::bad_request(detail).code("endless"));
    }
    let session = Session {
        principal: PRINCIPAL.to_owned(),
        after: after.position,
        timeout: Some(door.options.request_max),
        ..Session::default()
    };
    let form = Form::wanted(&headers);
    match run(&door, session, parsed, question.parameters).await? {
        Ran::Done(told) => Ok(done(told)),
        Ran::Rows {
            schema,
            position,
            first,
            rest,
        } => {
            let mut response = rows(form, &schema, first, rest, began + door.options.request_max);
            if let Some(position) = position {
                request::put_position(response.headers_mut(), &position.to_string());
            }
            Ok(response)
        }
    }
}

fn question(body: &[u8]) -> Result<Question, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request(format!(
            "the body is no question: {error}; send {{\"sql\": \"…\", \"parameters\": […]}}"
        ))
    })
}

fn one(sql: &str) -> Result<Parsed, Problem> {
    let mut statements = parse(sql, "")?;
    match (statements.pop(), statements.is_empty()) {
        (Some(parsed), true) => Ok(parsed),
        (None, _) => Err(Problem::bad_request("the body holds no statement").code("no_statement")),
        (Some(_), false) => Err(Problem::bad_request(
            "the body holds several statements: send them one by one",
        )),
    }
}

fn done(told: Told) -> Response {
    let Told { tag, position, notices } = told;
    let mut answer = json!({"tag": tag, "position": position});
    if !notices.is_empty() {
        answer["notices"] = json!(notices);
    }
    let mut response = (StatusCode::OK, Json(answer)).into_response();
    if let Some(position) = position {
        request::put_position(response.headers_mut(), &position);
    }
    response
}

type Batches = mpsc::Receiver<Result<Option<RecordBatch>, SqlError>>;

/// What a statement without rows answers.
struct Told {
    tag: String,
    position: Option<String>,
    notices: Vec<String>,
}

enum Ran {
    Done(Told),
    Rows {
        schema: SchemaRef,
        /// Up to where everything was seen that they are made of, or is to be seen of what was written.
        position: Option<Position>,
        first: Option<RecordBatch>,
        rest: Batches,
    },
}

/// Runs the statement on the questions' runtime, up to its first rows.
async fn run(door: &Door, session: Session, parsed: Parsed, parameters: Vec<Box<RawValue>>) -> Result<Ran, Problem> {
    let (head_in, head) = oneshot::channel();
    let (batches_in, mut batches) = mpsc::channel(BATCHES_AHEAD);
    let engine = door.state.engine.clone();
    door.state.questions.spawn(async move {
        let outcome = async {
            let described = match parameters.is_empty() {
                true => Vec::new(),
                false => engine.describe(&session, &parsed, &[]).await?.parameters,
            };
            let values = values(&parameters, &described)?;
            engine.execute(&session, &parsed, &values).await
        };
        let mut rows = match outcome.await {
            Ok(Outcome::Rows {
                schema,
                rows,
                position,
                seen,
            }) => {
                // Whoever asked may be gone: then nobody needs the rows.
                if head_in.send(Ok(Ok((schema, position.or(seen))))).is_err() {
                    return;
                }
                rows
            }
            Ok(Outcome::Told { tag, notices }) => {
                let _ = head_in.send(Ok(Err(Told {
                    tag,
                    position: None,
                    notices,
                })));
                return;
            }
            Ok(Outcome::Done { tag, position }) => {
                let position = position.map(|position| position.to_string());
                let notices = Vec::new();
                let _ = head_in.send(Ok(Err(Told { tag, position, notices })));
                return;
            }
            Err(error) => {
                let _ = head_in.send(Err(error));
                return;
            }
        };
        // Whoever asked may go before there is a row: dropping the rows ends the question.
        while let Some(batch) = tokio::select! {
            batch = rows.next() => batch,
            () = batches_in.closed() => return,
        } {
            let batch = batch.map(Some).map_err(SqlError::from);
            let last = batch.is_err();
            if batches_in.send(batch).await.is_err() || last {
                return;
            }
        }
        let _ = batches_in.send(Ok(None)).await;
    });
    let (schema, position) = match head.await.map_err(|_| broken())?? {
        Ok(head) => head,
        Err(told) => return Ok(Ran::Done(told)),
    };
    let first = batches.recv().await.unwrap_or_else(|| Err(broken()))?;
    Ok(Ran::Rows {
        schema,
        position,
        first,
        rest: batches,
    })
}

/// The task ended without an answer: it panicked, or the program is stopping.
fn broken() -> SqlError {
    SqlError::new(
        SqlState::INTERNAL,
        "the statement broke off inside of the program; its log says why",
    )
}

/// The values of `$1`, `$2`, … from JSON.
fn values(parameters: &[Box<RawValue>], described: &[Option<DataType>]) -> Result<Vec<ScalarValue>, SqlError> {
    if parameters.len() > described.len() {
        let message = format!(
            "the statement has {} parameter(s), and {} values were given",
            described.len(),
            parameters.len()
        );
        return Err(SqlError::new(SqlState::PARAMETERS, message).hint("give one value for each of $1, $2, …"));
    }
    let mut values: Vec<ScalarValue> = Vec::with_capacity(parameters.len());
    for (index, raw) in parameters.iter().enumerate() {
        let wanted = described.get(index).and_then(Option::as_ref);
        let refused = |why: String| {
            let message = format!("the value of ${} was not taken: {why}", index + 1);
            SqlError::new(SqlState::INVALID_TEXT, message)
        };
        values.push(value(raw, wanted).map_err(refused)?);
    }
    Ok(values)
}

/// One value. Numbers keep every digit; a text is read as the type that the statement gives its parameter, and so is each element of a list. An array or object
/// stands for its JSON where the parameter is a text.
fn value(raw: &RawValue, wanted: Option<&DataType>) -> Result<ScalarValue, String> {
    let value: Value = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    Ok(match (value, wanted) {
        (Value::Null, Some(data_type)) => ScalarValue::try_from(data_type).map_err(|error| error.to_string())?,
        (Value::Null, None) => ScalarValue::Null,
        (Value::Bool(truth), _) => ScalarValue::Boolean(Some(truth)),
        (Value::Number(number), _) if number.is_i64() => ScalarValue::Int64(number.as_i64()),
        (Value::Number(_), Some(data_type @ (DataType::Float32 | DataType::Float64))) => read(raw.get(), data_type)?,
        (Value::Number(number), _) => match decimal(raw.get()) {
            Some(value) => value,
            None => ScalarValue::Float64(number.as_f64()),
        },
        (Value::String(text), Some(data_type)) if !is_text(data_type) => read(&text, data_type)?,
        (Value::String(text), _) => ScalarValue::Utf8(Some(text)),
        (Value::Array(_), Some(DataType::List(element))) => list(raw, element.data_type())?,
        (Value::Array(_) | Value::Object(_), Some(data_type)) if !is_text(data_type) => {
            return Err(format!("'{raw}' is no {}", type_name(data_type)));
        }
        (Value::Array(_) | Value::Object(_), _) => ScalarValue::Utf8(Some(raw.get().to_owned())),
    })
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::List(element) => format!("{}[]", type_name(element.data_type())),
        data_type => sql_type(data_type),
    }
}

fn read(text: &str, data_type: &DataType) -> Result<ScalarValue, String> {
    ScalarValue::try_from_string(text.to_owned(), data_type)
        .map_err(|_| format!("'{text}' is no {}", type_name(data_type)))
}

/// A list of elements of one type.
fn list(raw: &RawValue, element: &DataType) -> Result<ScalarValue, String> {
    let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    let mut values: Vec<ScalarValue> = Vec::with_capacity(elements.len());
    for raw in elements {
        let cast = value(raw, Some(element))?.cast_to(element);
        values.push(cast.map_err(|_| format!("'{raw}' is no {}", type_name(element)))?);
    }
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, element)))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
    )
}

/// `-12.50` as an exact decimal; `None` where it has an exponent or more digits than a decimal holds.
fn decimal(text: &str) -> Option<ScalarValue> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.trim_start_matches(['-', '0']).len() + fraction.len();
    let precision = u8::try_from(digits.max(1)).ok().filter(|precision| *precision <= 38)?;
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i8::try_from(fraction.len()).ok()?;
    Some(ScalarValue::Decimal128(Some(unscaled), precision, scale))
}

/// The answer whose rows come batch by batch.
fn rows(form: Form, schema: &SchemaRef, first: Option<RecordBatch>, rest: Batches, deadline: Instant) -> Response {
    let head: Vec<u8> = match form {
        Form::Json => format!("{{\"columns\":{},\"rows\":[", columns_of(schema)).into_bytes(),
        Form::Lines => Vec::new(),
        Form::Csv => csv_header(schema),
    };
    let writing = Writing {
        form,
        any: false,
        next: Some(Ok(first)),
        rest,
        deadline,
        ended: false,
    };
    let chunks = stream::once(async move { Ok(Bytes::from(head)) }).chain(stream::unfold(writing, Writing::chunk));
    let mut response = Body::from_stream(chunks).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    response
}

/// Rows being written.
struct Writing {
    form: Form,
    /// Whether a row was written.
    any: bool,
    next: Option<Result<Option<RecordBatch>, SqlError>>,
    rest: Batches,
    /// When the rest is given up.
    deadline: Instant,
    ended: bool,
}

impl Writing {
    async fn chunk(mut self) -> Option<(Result<Bytes, std::io::Error>, Writing)> {
        if self.ended {
            return None;
        }
        let item = match self.next.take() {
            Some(item) => item,
            None => match timeout_at(self.deadline, self.rest.recv()).await {
                Ok(item) => item.unwrap_or_else(|| Err(broken())),
                Err(_) => Err(
                    SqlError::new(SqlState::CANCELED, "the rows did not all come within the time limit")
                        .hint("ask for fewer, with LIMIT or WHERE"),
                ),
            },
        };
        let mut chunk: Vec<u8> = Vec::new();
        let problem = match item {
            Ok(Some(batch)) => match self.write(&batch, &mut chunk) {
                Ok(()) => return Some((Ok(Bytes::from(chunk)), self)),
                Err(error) => Some(SqlError::new(
                    SqlState::DATA,
                    format!("the rows cannot be written: {error}"),
                )),
            },
            Ok(None) => None,
            Err(error) => Some(error),
        };
        self.ended = true;
        let document = problem.map(|error| Problem::from(error).document());
        let end: Result<Bytes, std::io::Error> = match (self.form, document) {
            (Form::Json, None) => Ok(Bytes::from_static(b"]}")),
            (Form::Json, Some(document)) => Ok(Bytes::from(format!("],\"problem\":{document}}}"))),
            (Form::Lines, Some(document)) => Ok(Bytes::from(format!("{{\"problem\":{document}}}\n"))),
            (Form::Csv, Some(document)) => Err(std::io::Error::other(document.to_string())),
            (_, None) => return None,
        };
        Some((end, self))
    }

    fn write(&mut self, batch: &RecordBatch, chunk: &mut Vec<u8>) -> Result<(), arrow::error::ArrowError> {
        let (form, mut any) = (self.form, self.any);
        write_rows(batch, form.row(), |row| {
            if any && form == Form::Json {
                chunk.push(b',');
            }
            any = true;
            chunk.extend_from_slice(row);
            if form == Form::Lines {
                chunk.push(b'\n');
            }
        })?;
        self.any = any;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, wanted: Option<DataType>, expected: Result<ScalarValue, &str>) {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        match (values(&[raw], &[wanted]), expected) {
            (Ok(values), Ok(expected)) => assert_eq!(values, [expected], "{json}"),
            (Err(error), Err(why)) => assert!(error.message.contains(why), "{error}"),
            (found, expected) => panic!("{json}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn an_array_is_a_list_where_one_is_asked_for() {
        let list = |element: DataType| Some(DataType::new_list(element, true));
        let of = |values: &[ScalarValue], element: &DataType| {
            Ok(ScalarValue::List(ScalarValue::new_list_nullable(values, element)))
        };
        let numbers = [Some(1), None, Some(3)].map(ScalarValue::Int32);
        check(
            "[1, null, \"3\"]",
            list(DataType::Int32),
            of(&numbers, &DataType::Int32),
        );
        check("[]", list(DataType::Utf8), of(&[], &DataType::Utf8));
        check(
            "null",
            list(DataType::Utf8),
            ScalarValue::try_from(&list(DataType::Utf8).unwrap()).map_err(|_| ""),
        );
        check("[\"x\"]", list(DataType::Int32), Err("'x' is no INTEGER"));
        check("[3000000000]", list(DataType::Int32), Err("'3000000000' is no INTEGER"));
        check("[[1]]", list(DataType::Int32), Err("'[1]' is no INTEGER"));
        check("[1]", Some(DataType::Int32), Err("'[1]' is no INTEGER"));
        check("{}", list(DataType::Int32), Err("'{}' is no INTEGER[]"));
    }

    #[test]
    fn parameters_keep_every_digit() {
        check("1", None, Ok(ScalarValue::Int64(Some(1))));
        check("-12.50", None, Ok(ScalarValue::Decimal128(Some(-1250), 4, 2)));
        check("0.001", None, Ok(ScalarValue::Decimal128(Some(1), 3, 3)));
        check(
            "18446744073709551616",
            None,
            Ok(ScalarValue::Decimal128(Some(18_446_744_073_709_551_616), 20, 0)),
        );
        check("1e3", None, Ok(ScalarValue::Float64(Some(1000.0))));
        check("1.5", Some(DataType::Float64), Ok(ScalarValue::Float64(Some(1.5))));
        check("\"x\"", None, Ok(ScalarValue::Utf8(Some("x".into()))));
        check("\"5\"", Some(DataType::Int32), Ok(ScalarValue::Int32(Some(5))));
        check("\"five\"", Some(DataType::Int32), Err("no INTEGER"));
        check("null", Some(DataType::Int32), Ok(ScalarValue::Int32(None)));
        check("[1, 2]", None, Ok(ScalarValue::Utf8(Some("[1, 2]".into()))));
        check(
            "[1, 2]",
            Some(DataType::Utf8),
            Ok(ScalarValue::Utf8(Some("[1, 2]".into()))),
        );
        check("{\"a\": 1}", None, Ok(ScalarValue::Utf8(Some("{\"a\": 1}".into()))));
    }
}
