//! An application's file, applied at every start: what is there already stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_catalog::{CreateMode, Defined, Definition, INTERNAL_PREFIX};

use super::alter_schema::{self, Alteration};
use super::create::{Declaration, define_command, define_stream, define_view};
use super::definition::rewritten::Rewritten;
use super::drop::drop;
use super::graph::define_graph;
use super::recurring::define_schedule;
use crate::inner::Inner;
use crate::syntax::{Parsed, Statement};
use crate::{Applied, Session, SqlError, SqlState};

/// Refuses a statement that defines otherwise what one before it in the file defined: each start would make the one, and then the other.
fn check_defined_once(script: &[Parsed], index: usize) -> Result<(), SqlError> {
    let Some((name, parsed)) = script
        .get(index)
        .and_then(|parsed| Some((defined(&parsed.statement)?, parsed)))
    else {
        return Ok(());
    };
    let others = &script[..index];
    let Some(other) = others
        .iter()
        .find(|other| defined(&other.statement) == Some(name) && other.text != parsed.text)
    else {
        return Ok(());
    };
    let message = format!(
        "'{name}' is defined twice in this file: line {} defines it, too",
        other.place.line
    );
    Err(SqlError::new(SqlState::EXISTS, message)
        .hint("give one of them another name, or leave out the one that is no longer meant"))
}

/// Refuses a DROP that would not mean at each start what it means at the first, or would take events along.
fn check_drop(script: &[Parsed], noun: &str, name: &str, if_exists: bool) -> Result<(), SqlError> {
    let refused = |message: String, hint: String| Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint(hint));
    if noun == "stream" {
        let message =
            format!("a stream is not dropped by an application's file: the events of '{name}' would go with it");
        return refused(message, "run DROP STREAM once with `headwater sql`".to_owned());
    }
    if !if_exists {
        let message = format!("the file is applied at every start, and '{name}' is gone from the second on");
        let hint = format!("say DROP {} IF EXISTS {name}", noun.to_uppercase());
        return refused(message, hint);
    }
    let mut others = script.iter();
    match others.find(|other| defined(&other.statement) == Some(name)) {
        Some(other) => {
            let message = format!(
                "'{name}' is dropped here, and line {} of this file defines it",
                other.place.line
            );
            refused(message, "leave out the one that is not meant".to_owned())
        }
        None => Ok(()),
    }
}

/// What is defined and has no definition in a file: it was there once, or somebody defined it beside the file. Streams that Kafka's clients made have none.
pub(crate) fn beside(inner: &Inner, script: &[Parsed]) -> Vec<Arc<Definition>> {
    let mentioned = script.iter().filter_map(|parsed| defined(&parsed.statement));
    let mentioned: BTreeSet<&str> = mentioned.collect();
    let mut beside = inner.catalog.all();
    beside.retain(|definition| {
        let name = definition.name();
        let is_own = name.starts_with(INTERNAL_PREFIX) || definition.statement().is_empty();
        !is_own && !mentioned.contains(name)
    });
    beside
}

/// The name that a statement defines.
pub(super) fn defined(statement: &Statement) -> Option<&str> {
    match statement {
        Statement::CreateView { name, .. } => Some(name),
        Statement::CreateCommand { command, .. } => Some(&command.name.value),
        Statement::CreateSchedule { schedule, .. } => Some(&schedule.command.name.value),
        Statement::CreateStream { definition, .. } => Some(&definition.name),
        Statement::CreateGraph { graph, .. } => Some(&graph.name.value),
        _ => None,
    }
}

/// Applies one statement of the file. Only definitions belong there: anything else would happen again at every start.
pub(crate) async fn apply(
    inner: &Inner,
    session: &Session,
    script: &[Parsed],
    index: usize,
) -> Result<Option<Applied>, SqlError> {
    let Some(parsed) = script.get(index) else {
        return Ok(None);
    };
    check_defined_once(script, index)?;
    let before = &script[..index];
    let rewritten = Rewritten::by(inner, &script[index + 1..]);
    // CREATE in a file says what should be there, so what is there and differs is brought up to it.
    let replacing = |mode: CreateMode| match mode {
        CreateMode::Create => CreateMode::OrReplace,
        other => other,
    };
    let (noun, name, defined) = match &parsed.statement {
        Statement::CreateStream {
            definition,
            settings,
            pipeline,
            mode,
        } => {
            let stream = Declaration {
                definition,
                settings,
                pipeline: pipeline.as_deref(),
                mode: replacing(*mode),
                text: &parsed.text,
            };
            let (defined, _) = define_stream(inner, session, &stream, &rewritten).await?;
            ("stream", definition.name.clone(), defined)
        }
        Statement::AlterSchema {
            name, changes, words, ..
        } => {
            let alteration = Alteration {
                stream: &name.value,
                changes,
                words,
            };
            let defined = match alter_schema::was_said(inner, &alteration, before, &script[index + 1..]) {
                true => Defined::Unchanged,
                false => alter_schema::change(inner, session, &alteration, &rewritten).await?.0,
            };
            ("stream", name.value.clone(), defined)
        }
        Statement::CreateView { name, mode, .. } => (
            "view",
            name.clone(),
            define_view(inner, session, parsed, replacing(*mode), &rewritten)
                .await?
                .0,
        ),
        Statement::CreateCommand { command, mode } => {
            let name = command.name.value.clone();
            let same = matches!(
                inner.catalog.get(&name).as_deref(),
                Some(Definition::Command(there)) if there.statement == parsed.text
            );
            let defined = match same {
                true => Defined::Unchanged,
                false => {
                    define_command(inner, session, command, replacing(*mode), &parsed.text)
                        .await?
                        .0
                }
            };
            ("command", name, defined)
        }
        Statement::CreateSchedule { schedule, mode } => (
            "schedule",
            schedule.command.name.value.clone(),
            define_schedule(inner, session, schedule, replacing(*mode), &parsed.text).await?,
        ),
        Statement::CreateGraph { graph, mode } => {
            let (defined, _) = define_graph(inner, session, graph, replacing(*mode), &parsed.text).await?;
            ("property graph", graph.name.value.clone(), defined)
        }
        Statement::Drop { noun, name, if_exists } => {
            check_drop(script, noun, &name.value, *if_exists)?;
            let was_there = inner.catalog.get(&name.value).is_some();
            drop(inner, session, noun, &name.value, true).await?;
            let defined = if was_there {
                Defined::Dropped
            } else {
                Defined::Unchanged
            };
            (*noun, name.value.clone(), defined)
        }
        Statement::Session { .. } => return Ok(None),
        _ => {
            let error = SqlError::new(
                SqlState::NOT_SUPPORTED,
                "an application's file holds definitions only: this would happen again at every start",
            );
            return Err(error.hint("run it once with `headwater sql`"));
        }
    };
    Ok(Some(Applied { noun, name, defined }))
}
