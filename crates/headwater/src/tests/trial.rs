//! One test, run: a scratch log, the application's definitions, then step after step.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use headwater_records::Position;
use headwater_sql::statement::Parsed;
use headwater_sql::{Outcome, Session, SqlError, SqlState, parse};
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use super::compare::{self, Row};
use super::script::{Step, StepKind, Test};
use crate::definitions;
use crate::pieces::Pieces;
use crate::scratch::Scratch;

/// Who a test's statements come from.
const PRINCIPAL: &str = "test";
/// How long one statement may take.
const STATEMENT_MAX: Duration = Duration::from_secs(30);
/// How much of a stream is read at once.
const READ_BYTES: usize = 1024 * 1024;

/// Why a test failed.
#[derive(Debug)]
pub struct Miss {
    /// The line of the test file, from 1.
    pub line: usize,
    /// What was expected and what came.
    pub text: String,
}

/// Runs one test of the application with these definitions. A panic of anything in it is its failure.
pub fn run(script: &[Parsed], test: &Test) -> Result<(), Miss> {
    let first = test.steps.first().map_or(1, |step| step.line);
    let trial = AssertUnwindSafe(|| {
        let scratch = Scratch::open().map_err(|why| Miss {
            line: first,
            text: why.to_string(),
        })?;
        let runtime = Runtime::new().map_err(|why| Miss {
            line: first,
            text: why.to_string(),
        })?;
        runtime.block_on(async {
            let started = definitions::start(&scratch.pieces, script).await;
            started.map_err(|why| Miss {
                line: first,
                text: format!("the application does not start: {why}"),
            })?;
            let mut trial = Trial {
                pieces: &scratch.pieces,
                last: None,
            };
            for step in &test.steps {
                trial.step(step).await.map_err(|text| Miss { line: step.line, text })?;
            }
            trial.nothing_unexpected()
        })
    });
    std::panic::catch_unwind(trial).unwrap_or_else(|panic| {
        let why = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied());
        Err(Miss {
            line: first,
            text: format!("a bug: panic: {}", why.unwrap_or("without a message")),
        })
    })
}

/// What the last WHEN did.
struct Done {
    line: usize,
    /// Where every stream stood before.
    before: Position,
    error: Option<SqlError>,
    /// Whether a THEN spoke of the error.
    expected: bool,
}

struct Trial<'a> {
    pieces: &'a Pieces,
    last: Option<Done>,
}

impl Trial<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match &step.kind {
            StepKind::Given { stream, events } => self.given(stream, events).await,
            StepKind::When { statement } => {
                self.nothing_unexpected().map_err(|miss| miss.text)?;
                let before = self.position();
                let error = self.statement(statement).await.err();
                self.last = Some(Done {
                    line: step.line,
                    before,
                    error,
                    expected: false,
                });
                Ok(())
            }
            StepKind::Refused { text } => self.refused(text),
            StepKind::Error { text } => self.error(text),
            StepKind::Events { stream, events } => {
                self.nothing_unexpected_but_refusals()?;
                let expected: Vec<String> = events.iter().map(|(_, event)| event.clone()).collect();
                compare::events(&expected, &self.appended(stream)?)
            }
            StepKind::Rows { question, rows } => {
                self.nothing_unexpected_but_refusals()?;
                let expected: Vec<Row> = rows.iter().map(|(_, row)| row.clone()).collect();
                let got = self.statement(question).await.map_err(|why| why.to_string())?;
                let ordered = question.to_ascii_uppercase().contains("ORDER BY");
                compare::rows(&expected, &got, ordered)
            }
        }
    }

    /// Up to where everything is written now.
    fn position(&self) -> Position {
        let mut position = Position::new();
        for stream in self.pieces.log.streams() {
            if let Some(here) = self.pieces.log.position(&stream.name) {
                position.advance_all(&here);
            }
        }
        position
    }

    /// Runs statements; the rows of the last. Views are read only once they have folded everything.
    async fn statement(&self, text: &str) -> Result<Vec<Row>, SqlError> {
        let session = Session {
            principal: PRINCIPAL.to_owned(),
            after: Some(self.position()),
            timeout: Some(STATEMENT_MAX),
        };
        let mut rows: Vec<Row> = Vec::new();
        for parsed in parse::parse(text, "")? {
            rows = match self.pieces.engine.execute(&session, &parsed, &[]).await? {
                Outcome::Done { .. } => Vec::new(),
                Outcome::Rows { rows, .. } => {
                    let batches: Vec<arrow::record_batch::RecordBatch> =
                        rows.try_collect().await.map_err(|why| internal(&why))?;
                    texts(&batches).map_err(|why| internal(&why))?
                }
            };
        }
        Ok(rows)
    }

    async fn given(&self, stream: &str, events: &[(usize, String)]) -> Result<(), String> {
        for (line, event) in events {
            let insert = self.insert(stream, event)?;
            self.statement(&insert)
                .await
                .map_err(|why| format!("the event on line {line} is not taken: {why}"))?;
        }
        Ok(())
    }

    /// The statement that appends one event: through the same door as any other, so that what does not fit is refused.
    fn insert(&self, stream: &str, event: &str) -> Result<String, String> {
        let definition = self
            .pieces
            .catalog
            .stream(stream)
            .ok_or_else(|| format!("there is no stream '{stream}'"))?;
        let text = |value: &str| format!("'{}'", value.replace('\'', "''"));
        let name = |value: &str| format!("\"{}\"", value.replace('"', "\"\""));
        if definition.columns.is_none() {
            return Ok(format!("INSERT INTO {} (value) VALUES ({})", name(stream), text(event)));
        }
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(event).map_err(|why| why.to_string())?;
        let mut columns: Vec<String> = Vec::new();
        let mut values: Vec<String> = Vec::new();
        for (column, value) in &members {
            columns.push(name(column));
            values.push(match serde_json::from_str::<serde_json::Value>(value.get()) {
                Ok(serde_json::Value::String(value)) => text(&value),
                Ok(serde_json::Value::Array(_) | serde_json::Value::Object(_)) => text(value.get()),
                // Numbers stay as they are written, so that decimals are exact.
                _ => value.get().to_owned(),
            });
        }
        Ok(format!(
            "INSERT INTO {} ({}) VALUES ({})",
            name(stream),
            columns.join(", "),
            values.join(", ")
        ))
    }

    fn refused(&mut self, text: &str) -> Result<(), String> {
        let done = self.last.as_mut().ok_or("there was no WHEN before")?;
        done.expected = true;
        match &done.error {
            Some(error) if error.state == SqlState::REFUSED && error.message == text => Ok(()),
            Some(error) if error.state == SqlState::REFUSED => Err(format!(
                "- expected, + got\n- refused: {text}\n+ refused: {}",
                error.message
            )),
            Some(error) => Err(format!("- expected, + got\n- refused: {text}\n+ error: {error}")),
            None => Err(format!("- expected, + got\n- refused: {text}\n+ done")),
        }
    }

    fn error(&mut self, text: &str) -> Result<(), String> {
        let done = self.last.as_mut().ok_or("there was no WHEN before")?;
        done.expected = true;
        match done.error.as_ref().map(SqlError::to_string) {
            Some(error) if error.contains(text) => Ok(()),
            Some(error) => Err(format!("- expected, + got\n- error with: {text}\n+ error: {error}")),
            None => Err(format!("- expected, + got\n- error with: {text}\n+ done")),
        }
    }

    /// The last WHEN did not fail, or a THEN expected it.
    fn nothing_unexpected(&self) -> Result<(), Miss> {
        match &self.last {
            Some(Done {
                line,
                error: Some(error),
                expected: false,
                ..
            }) => Err(Miss {
                line: *line,
                text: format!("the statement failed, and no THEN expects it: {error}"),
            }),
            _ => Ok(()),
        }
    }

    fn nothing_unexpected_but_refusals(&self) -> Result<(), String> {
        self.nothing_unexpected().map_err(|miss| miss.text)
    }

    /// The events of a stream since the last WHEN, in the order in which they were appended.
    fn appended(&self, stream: &str) -> Result<Vec<String>, String> {
        let done = self.last.as_ref().ok_or("there was no WHEN before")?;
        let log = &self.pieces.log;
        let info = log
            .stream(stream)
            .ok_or_else(|| format!("there is no stream '{stream}'"))?;
        let mut found: Vec<(i64, u32, u64, String)> = Vec::new();
        for partition in 0..info.partitions {
            let mut next = done.before.get(stream, partition);
            let end = log
                .offsets(stream, partition)
                .map_or(next, |offsets| offsets.high_watermark);
            while next < end {
                let batches = log
                    .read(stream, partition, next, READ_BYTES)
                    .map_err(|why| why.to_string())?;
                let Some(last) = batches.last() else { break };
                let read_to = last.batch.next_offset();
                for stored in &batches {
                    for (offset, event) in stored.batch.events().map_err(|why| why.to_string())? {
                        if offset >= next {
                            let value = String::from_utf8_lossy(&event.value.unwrap_or_default()).into_owned();
                            found.push((stored.appended_at_us, partition, offset, value));
                        }
                    }
                }
                next = read_to;
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, _, _, value)| value).collect())
    }
}

fn internal(why: &dyn std::error::Error) -> SqlError {
    SqlError::new(SqlState::INTERNAL, why.to_string())
}

fn texts(batches: &[arrow::record_batch::RecordBatch]) -> Result<Vec<Row>, arrow::error::ArrowError> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows: Vec<Row> = Vec::new();
    for batch in batches {
        let mut columns: Vec<ArrayFormatter<'_>> = Vec::new();
        for column in batch.columns() {
            columns.push(ArrayFormatter::try_new(column.as_ref(), &options)?);
        }
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    Ok(rows)
}
