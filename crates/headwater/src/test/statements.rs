//! What a test does to the application: statements and appends, through the doors that any client has.

use std::collections::BTreeMap;

use arrow::array::Array;
use arrow::buffer::NullBuffer;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use headwater_records::Position;
use headwater_sql::{Outcome, Session, SqlError, SqlState, parse};
use serde_json::value::RawValue;

use super::compare::{Answer, Row};
use super::script::Action;
use crate::limits::TEST_STATEMENT_MAX;
use crate::pieces::Pieces;

/// Who a test's statements come from.
const PRINCIPAL: &str = "test";

/// Runs statements of a test. Clones run them over the same log.
#[derive(Clone)]
pub struct Statements {
    pieces: Pieces,
}

impl Statements {
    /// Statements over what is open here.
    pub fn over(pieces: Pieces) -> Statements {
        Statements { pieces }
    }

    /// What they are run over.
    pub fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    /// Does what a WHEN says.
    pub async fn act(&self, action: &Action) -> Result<(), SqlError> {
        match action {
            Action::Statement(statement) => self.run(statement).await.map(drop),
            Action::Append {
                stream,
                condition,
                events,
            } => self.append(stream, events, condition).await,
        }
    }

    /// Runs statements; the answer of the last. Views are read only once they have folded everything.
    pub async fn run(&self, text: &str) -> Result<Answer, SqlError> {
        let session = Session {
            principal: PRINCIPAL.to_owned(),
            after: Some(self.position()),
            timeout: Some(TEST_STATEMENT_MAX),
            ..Session::default()
        };
        let mut answer = Answer::default();
        for parsed in parse::parse(text, "")? {
            answer = match self.pieces.engine.execute(&session, &parsed, &[]).await? {
                Outcome::Done { .. } | Outcome::Told { .. } => Answer::default(),
                Outcome::Rows { schema, rows, .. } => {
                    let batches: Vec<arrow::record_batch::RecordBatch> =
                        rows.try_collect().await.map_err(|why| internal(&why))?;
                    Answer {
                        columns: schema.fields().iter().map(|field| field.name().clone()).collect(),
                        rows: texts(&batches).map_err(|why| internal(&why))?,
                    }
                }
            };
        }
        Ok(answer)
    }

    /// Up to where everything is written now.
    pub fn position(&self) -> Position {
        let mut position = Position::new();
        for stream in self.pieces.log.streams() {
            if let Some(here) = self.pieces.log.position(&stream.name) {
                position.advance_all(&here);
            }
        }
        position
    }

    /// The same, when pipelines have made of it what comes of it.
    pub async fn settled(&self) -> Result<Position, SqlError> {
        let mut position = self.position();
        for (pipeline, _) in self.pieces.views.pipeline_sources() {
            let through = self
                .pieces
                .engine
                .through_pipelines(&pipeline, &position, TEST_STATEMENT_MAX);
            position = through.await?;
        }
        Ok(self.position())
    }

    /// Appends events in one step, if the condition holds: through the same door as any other, so that what does not fit is refused.
    pub async fn append(&self, stream: &str, events: &[String], condition: &str) -> Result<(), SqlError> {
        let insert = self.insert(stream, events)?;
        let appended = self.run(&format!("{insert} {condition}")).await;
        appended.map(drop).map_err(|mut why| {
            // The place is one in a statement that nobody wrote.
            why.at = None;
            why
        })
    }

    fn insert(&self, stream: &str, events: &[String]) -> Result<String, SqlError> {
        let unknown = || SqlError::new(SqlState::UNKNOWN_TABLE, format!("there is no stream '{stream}'"));
        let definition = self.pieces.catalog.stream(stream).ok_or_else(unknown)?;
        let mut rows: Vec<String> = Vec::with_capacity(events.len());
        let mut columns: Option<Vec<String>> = None;
        for event in events {
            let (names, values) = match definition.columns {
                None => (vec!["value".to_owned()], vec![text(event)]),
                Some(_) => members(event)?,
            };
            match &columns {
                None => columns = Some(names),
                Some(first) if *first == names => {}
                Some(first) => {
                    let message = format!(
                        "one event has the members {}, another {}",
                        first.join(", "),
                        names.join(", ")
                    );
                    let hint = "the events of one APPEND have the same: write null where one has no value";
                    return Err(SqlError::new(SqlState::DATA, message).hint(hint));
                }
            }
            rows.push(format!("({})", values.join(", ")));
        }
        let columns = columns.unwrap_or_default().join(", ");
        Ok(format!(
            "INSERT INTO {} ({columns}) VALUES {}",
            name(stream),
            rows.join(", ")
        ))
    }
}

/// The members of a JSON object and their values, as SQL writes them, in the order of the names.
fn members(event: &str) -> Result<(Vec<String>, Vec<String>), SqlError> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(event).map_err(|why| internal(&why))?;
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
    Ok((columns, values))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn name(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}

fn internal(why: &dyn std::error::Error) -> SqlError {
    SqlError::new(SqlState::INTERNAL, why.to_string())
}

/// Whether a text would be read as NULL, or as such a text: with a backslash before it, it is not.
fn is_like_null(value: &str) -> bool {
    value.trim_start_matches('\\') == "NULL"
}

fn texts(batches: &[arrow::record_batch::RecordBatch]) -> Result<Vec<Row>, arrow::error::ArrowError> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows: Vec<Row> = Vec::new();
    for batch in batches {
        let mut columns: Vec<(ArrayFormatter<'_>, Option<NullBuffer>)> = Vec::new();
        for column in batch.columns() {
            let shown = ArrayFormatter::try_new(column.as_ref(), &options)?;
            columns.push((shown, column.logical_nulls()));
        }
        for row in 0..batch.num_rows() {
            let shown = columns.iter().map(|(shown, nulls)| {
                let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                let value = shown.value(row).to_string();
                match !is_null && is_like_null(&value) {
                    true => format!("\\{value}"),
                    false => value,
                }
            });
            rows.push(shown.collect());
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};

    use super::*;

    #[test]
    fn a_text_that_is_called_null_is_not_null() {
        let values = ["NULL", "\\NULL", "\\\\NULL", "null", "NULL "].map(Some);
        let column: ArrayRef = Arc::new(StringArray::from_iter(values.into_iter().chain([None])));
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let shown: Vec<String> = texts(&[batch]).unwrap().concat();
        assert_eq!(shown, ["\\NULL", "\\\\NULL", "\\\\\\NULL", "null", "NULL ", "NULL"]);
    }
}
