//! CREATE STREAM, VIEW and COMMAND.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_catalog::{
    CatalogError, CommandDefinition, CreateMode, Defined, Definition, INTERNAL_PREFIX, StreamDefinition, ViewDefinition,
};
use headwater_eventlog::StreamSettings;

use super::alter_schema::{but, check_stream_readers, has_parked, materialized, under_pause};
use super::definition::replace::check_columns;
use super::definition::rewritten::Rewritten;
use super::definition::{losses, registered};
use super::pipelines::comes_of;
use super::{pipelines, rebuild};
use crate::inner::Inner;
use crate::off_thread::off_thread;
use crate::question::{meaning, plain_columns, repeated, sources, spec_of};
use crate::syntax::{Command, Parsed, PipelineQuery, Statement};
use crate::{Outcome, Session, SqlError, SqlState};

/// A CREATE STREAM as it is written.
pub(crate) struct Declaration<'a> {
    pub(crate) definition: &'a StreamDefinition,
    pub(crate) settings: &'a StreamSettings,
    pub(crate) pipeline: Option<&'a PipelineQuery>,
    pub(crate) mode: CreateMode,
    pub(crate) text: &'a str,
}

/// CREATE STREAM.
pub(crate) async fn create_stream(
    inner: &Inner,
    session: &Session,
    stream: Declaration<'_>,
) -> Result<Outcome, SqlError> {
    let (_, notices) = define_stream(inner, session, &stream, &Rewritten::nothing()).await?;
    Ok(Outcome::Told {
        tag: "CREATE STREAM".to_owned(),
        notices,
    })
}

/// Writes a stream's definition; what became of its views is said. `rewritten` are the definitions that are about to be written anew after it.
pub(super) async fn define_stream(
    inner: &Inner,
    session: &Session,
    stream: &Declaration<'_>,
    rewritten: &Rewritten<'_>,
) -> Result<(Defined, Vec<String>), SqlError> {
    let mut definition = stream.definition.clone();
    definition.statement = stream.text.to_owned();
    let _defining = inner.defining.lock().await;
    let existing = inner.catalog.stream(&definition.name);
    let said = match stream.pipeline {
        Some(query) => pipelines::settle(inner, &mut definition, query)?,
        None => None,
    };
    registered::settle(inner, session, &mut definition, stream.mode).await?;
    if definition.partitions == 0 && existing.is_none() {
        definition.partitions = inner.options.partitions_default;
    }
    let mut settings = stream.settings.clone();
    settings.entities = settings.entities.or_else(|| definition.entities_default());
    let mode = stream.mode;
    let Some(existing) = existing else {
        let defining = inner
            .catalog
            .define_stream(definition, settings, mode, false, &session.principal);
        let defined = defining.await?;
        pipelines::follow(inner, &stream.definition.name).await?;
        return Ok((defined, Vec::new()));
    };
    let readers = materialized(inner, &existing.name);
    let is_parked = has_parked(inner, &readers);
    if let Some(new) = inner.catalog.stream_after(&definition, mode, is_parked)? {
        check_stream_readers(inner, &existing, &new, rewritten)?;
        losses::check_readers(inner, &new, &but(readers, rewritten))?;
    }
    let name = existing.name.clone();
    let (defined, mut notices) = under_pause(inner, &name, rewritten, async |is_parked| {
        let defining = inner
            .catalog
            .define_stream(definition, settings, mode, is_parked, &session.principal);
        Ok(defining.await?)
    })
    .await?;
    if defined != Defined::Unchanged {
        pipelines::follow(inner, &name).await?;
        notices.extend(said);
    }
    Ok((defined, notices))
}

/// CREATE VIEW and CREATE MATERIALIZED VIEW.
pub(crate) async fn create_view(inner: &Inner, session: &Session, parsed: &Parsed) -> Result<Outcome, SqlError> {
    let Statement::CreateView { shape, mode, .. } = &parsed.statement else {
        return Err(SqlError::new(SqlState::INTERNAL, "this is no CREATE VIEW"));
    };
    let (_, notices) = define_view(inner, session, parsed, *mode, &Rewritten::nothing()).await?;
    let tag = if shape.is_some() {
        "CREATE MATERIALIZED VIEW"
    } else {
        "CREATE VIEW"
    };
    Ok(Outcome::Told {
        tag: tag.to_owned(),
        notices,
    })
}

/// Checks a view, writes its definition and starts it; what becomes of its rows is said. `rewritten` are the definitions that are about to be written anew after it.
pub(super) async fn define_view(
    inner: &Inner,
    session: &Session,
    parsed: &Parsed,
    mode: CreateMode,
    rewritten: &Rewritten<'_>,
) -> Result<(Defined, Vec<String>), SqlError> {
    let Statement::CreateView {
        name,
        shape,
        key,
        settings,
        question,
        query_text,
        ..
    } = &parsed.statement
    else {
        return Err(SqlError::new(SqlState::INTERNAL, "this is no CREATE VIEW"));
    };
    let _defining = inner.defining.lock().await;
    let existing = inner.catalog.get(name);
    if let Some(existing) = existing.as_deref() {
        match (existing, mode) {
            (Definition::View(_), CreateMode::IfNotExists) => return Ok((Defined::Unchanged, Vec::new())),
            (Definition::View(view), CreateMode::OrReplace) => {
                let is_same = view.shape == *shape && view.key == *key && view.settings == *settings;
                if is_same && view.query == *query_text {
                    return Ok((Defined::Unchanged, rebuild::unchanged(view)));
                }
            }
            _ => return Err(CatalogError::taken(existing, "view").into()),
        }
    }
    let mut definition = ViewDefinition {
        name: name.clone(),
        shape: shape.clone(),
        settings: settings.clone(),
        query: query_text.clone(),
        key: key.clone(),
        sources: sources(inner, question)?,
        spelled_out: meaning(inner, &parsed.text, existing.as_deref())?,
        statement: parsed.text.clone(),
        version: 1,
        before: None,
    };
    let (mut spec, columns) = match shape {
        Some(_) => {
            let spec = spec_of(inner, &definition, question)?;
            if existing.is_none() {
                inner.views.check(&spec)?;
            }
            let columns = Arc::clone(spec.plan.schema().inner());
            (Some(spec), columns)
        }
        None => (None, plain_columns(inner, question)?),
    };
    if let Some(repeated) = repeated(&columns) {
        let message = format!("the view '{name}' would have two columns '{repeated}'");
        return Err(
            SqlError::new(SqlState::DUPLICATE_COLUMN, message).hint("give each of them a name of its own with AS")
        );
    }
    let mut notices: Vec<String> = Vec::new();
    if let Some(Definition::View(existing)) = existing.as_deref() {
        check_columns(inner, name, &columns, rewritten)?;
        // Which version it is says whether a table is its own.
        rebuild::number(inner, &mut definition, existing, spec.as_mut())?;
        if let Some(spec) = &spec {
            inner.views.check(spec)?;
        }
        if shape.is_none() {
            losses::check_plain(inner, existing)?;
        }
        if let Some(spec) = spec.as_ref().filter(|_| definition.version != existing.version) {
            losses::check(inner, spec)?;
            notices = rebuild::without(inner, spec)?;
        }
    }
    let defined = inner
        .catalog
        .define(Definition::View(definition.clone()), mode, &session.principal)
        .await?;
    match spec {
        Some(spec) => rebuild::start(inner, spec).await?,
        None => stop(inner, name).await?,
    }
    notices.extend(pipelines::follow_view(inner, name).await);
    notices.extend(rebuild::became(inner, &definition, existing.as_deref()));
    Ok((defined, notices))
}

/// Stops a view that is not materialized any more, and removes its store.
pub(super) async fn stop(inner: &Inner, name: &str) -> Result<(), SqlError> {
    // One that did not start has kept something all the same.
    let did_not_start = inner.not_started.lock().remove(name).is_some();
    if !did_not_start && inner.views.get(name).is_none() {
        return Ok(());
    }
    let views = inner.views.clone();
    let name = name.to_owned();
    off_thread(move || {
        views.remove(&name);
        Ok::<_, SqlError>(())
    })
    .await
}

/// CREATE COMMAND.
pub(crate) async fn create_command(
    inner: &Inner,
    session: &Session,
    command: &Command,
    mode: CreateMode,
    text: &str,
) -> Result<Outcome, SqlError> {
    let (_, notices) = define_command(inner, session, command, mode, text).await?;
    Ok(Outcome::Told {
        tag: "CREATE COMMAND".to_owned(),
        notices,
    })
}

/// What a command reads that a pipeline makes of what it appends: its next call does not see it yet.
fn behind_itself(inner: &Inner, command: &Command, sources: &[String]) -> Vec<String> {
    let name = &command.name.value;
    let is_output = |stream: &str| command.outputs.iter().any(|output| output.stream.value == stream);
    let below = sources.iter().flat_map(|source| inner.streams_below(source));
    let streams: BTreeSet<String> = below.filter(|stream| !is_output(stream)).collect();
    let is_behind = |stream: &String| {
        let made_by = inner.catalog.stream(stream).and_then(|stream| stream.pipeline.clone());
        made_by.is_some_and(|pipeline| comes_of(inner, &pipeline, &is_output))
    };
    let said = |stream: String| {
        format!(
            "the command '{name}' reads '{stream}', which a pipeline makes of what it appends: two calls together may both pass where one is to; let it read a view of the stream that it appends to"
        )
    };
    streams.into_iter().filter(is_behind).map(said).collect()
}

/// Checks a command against what it names and writes its definition.
pub(super) async fn define_command(
    inner: &Inner,
    session: &Session,
    command: &Command,
    mode: CreateMode,
    text: &str,
) -> Result<(Defined, Vec<String>), SqlError> {
    if command.name.value.starts_with(INTERNAL_PREFIX) {
        return Err(SqlError::new(
            SqlState::NOT_ALLOWED,
            format!("names that begin with '{INTERNAL_PREFIX}' are the program's own"),
        ));
    }
    let _defining = inner.defining.lock().await;
    let sources = inner.calls()?.check(command).await?;
    let notices = behind_itself(inner, command, &sources);
    let definition = CommandDefinition {
        name: command.name.value.clone(),
        sources,
        spelled_out: meaning(inner, text, inner.catalog.get(&command.name.value).as_deref())?,
        statement: text.to_owned(),
    };
    let defined = inner
        .catalog
        .define(Definition::Command(definition), mode, &session.principal)
        .await?;
    for notice in &notices {
        tracing::warn!("{notice}");
    }
    Ok((defined, notices))
}
