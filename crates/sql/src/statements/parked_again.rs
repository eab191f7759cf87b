//! `CALL replay_parked('name')`: the parked events of a view or a pipeline are tried again, after what kept them out was mended.
//!
//! A pipeline appends the results of those that fit now, late, each once. A view is built anew from its stream where one fits now, and takes its
//! place when it has caught up: the event is in its rows once, however often this is called.

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use headwater_catalog::{Definition, StreamDefinition};
use headwater_eventlog::EventLog;
use headwater_records::Position;

use super::alter_schema::{materialized, under_pause};
use super::call::call_arguments;
use super::definition::losses;
use super::definition::rewritten::Rewritten;
use super::table::{Cell, answer, schema};
use crate::inner::Inner;
use crate::off_thread::off_thread;
use crate::syntax::Argument;
use crate::{Outcome, Session, SqlError, SqlState};

/// The name that it is called by.
const REPLAY_PARKED: &str = "replay_parked";

/// The columns of the answer.
pub(super) fn columns() -> SchemaRef {
    schema(&[
        ("name", DataType::Utf8),
        ("replayed", DataType::Int64),
        ("still_parked", DataType::Int64),
        ("said", DataType::Utf8),
    ])
}

/// Whether a call is this one: a command of the name goes before.
pub(super) fn is_meant(inner: &Inner, command: &str) -> bool {
    command == REPLAY_PARKED && inner.catalog.get(command).is_none()
}

/// Runs it.
pub(super) async fn replay_parked(
    inner: &Inner,
    session: &Session,
    arguments: &[Argument],
    parameters: &[ScalarValue],
) -> Result<Outcome, SqlError> {
    let values = call_arguments(inner, arguments, parameters)?;
    let name = match values.as_slice() {
        [only] => only.value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    };
    let name = name.ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_PARAMETER,
            "replay_parked takes the name of a view or pipeline, a text",
        )
        .hint("write CALL replay_parked('balances')")
    })?;
    let (replayed, still_parked, said) = match inner.catalog.get(&name).as_deref() {
        Some(Definition::View(view)) if view.shape.is_some() => of_view(inner, session, &name).await?,
        Some(Definition::Stream(stream)) if stream.pipeline.is_some() => {
            let done = inner.views.replay_pipeline(&name).await?;
            let said = match done.replayed {
                0 => "nothing fits that did not".to_owned(),
                _ => "their results were appended behind the others".to_owned(),
            };
            (done.replayed, done.still_parked, said)
        }
        Some(other) => {
            let message = format!(
                "'{name}' is a {}, and views and pipelines are what parks events",
                other.noun()
            );
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message)
                .hint("name the view or the pipeline's stream: SHOW VIEWS and SHOW PIPELINES list them"));
        }
        None => return Err(inner.unknown_table(&name)),
    };
    let row = vec![
        Cell::text(name),
        Cell::whole(replayed),
        Cell::whole(still_parked),
        Cell::text(said),
    ];
    answer(columns(), vec![row])
}

/// Builds a view anew where one of its parked events fits now.
async fn of_view(inner: &Inner, session: &Session, name: &str) -> Result<(u64, u64, String), SqlError> {
    let _defining = inner.defining.lock().await;
    let running = inner.views.get(name).ok_or_else(|| inner.not_running(name))?;
    let streams: Vec<String> = running.streams().into_iter().map(str::to_owned).collect();
    let end = end(&inner.log, &streams);
    running.wait_for(&end, inner.options.wait_max).await?;
    let view = std::sync::Arc::clone(&running);
    let now = off_thread(move || view.parked_now()).await?;
    if inner.views.rebuilding(name).is_some() {
        return Ok((
            0,
            now.still_parked,
            "it is being built anew already, with all that fits now".to_owned(),
        ));
    }
    if now.fit == 0 {
        return Ok((0, now.still_parked, "nothing fits that did not".to_owned()));
    }
    let mut said: Vec<String> = Vec::new();
    for stream in &streams {
        if let Some(definition) = inner.catalog.stream(stream) {
            let mut read_anew = StreamDefinition::clone(&definition);
            read_anew.reading += 1;
            losses::check_readers(inner, &read_anew, &materialized(inner, stream))?;
        }
    }
    for stream in &streams {
        let reread = async |_| Ok(inner.catalog.reread(stream, &session.principal).await?);
        said.extend(under_pause(inner, stream, &Rewritten::nothing(), reread).await?.1);
    }
    said.dedup();
    Ok((now.fit, now.still_parked, said.join("; ")))
}

fn end(log: &EventLog, streams: &[String]) -> Position {
    let mut end = Position::new();
    for position in streams.iter().filter_map(|stream| log.position(stream)) {
        end.advance_all(&position);
    }
    end
}
