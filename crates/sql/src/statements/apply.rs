//! An application's file, applied at every start: what is there already stays.

use std::collections::BTreeSet;

use headwater_catalog::{CreateMode, Defined, Definition};

use super::alter_schema::{self, Alteration};
use super::create::{Declaration, define_command, define_stream, define_view};
use super::graph::define_graph;
use super::recurring::define_schedule;
use crate::inner::Inner;
use crate::statement::{Parsed, Statement};
use crate::{Applied, Session, SqlError, SqlState};

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
    let (before, after) = (&script[..index], &script[index + 1..]);
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
            let (defined, _) = define_stream(inner, session, &stream, &rewritten(inner, after)).await?;
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
            let defined = match alter_schema::was_said(inner, &alteration, before) {
                true => Defined::Unchanged,
                false => {
                    alter_schema::change(inner, session, &alteration, &rewritten(inner, after))
                        .await?
                        .0
                }
            };
            ("stream", name.value.clone(), defined)
        }
        Statement::CreateView { name, mode, .. } => (
            "view",
            name.clone(),
            define_view(inner, session, parsed, replacing(*mode), &rewritten(inner, after))
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
                false => define_command(inner, session, command, replacing(*mode), &parsed.text).await?,
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

/// The views and commands that statements define otherwise than they are.
fn rewritten(inner: &Inner, statements: &[Parsed]) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for parsed in statements {
        let name = match &parsed.statement {
            Statement::CreateView { name, .. } => name,
            Statement::CreateCommand { command, .. } => &command.name.value,
            Statement::CreateSchedule { schedule, .. } => &schedule.command.name.value,
            Statement::CreateStream {
                definition,
                pipeline: Some(_),
                ..
            } => &definition.name,
            Statement::CreateGraph { graph, .. } => &graph.name.value,
            _ => continue,
        };
        let is_same = match (inner.catalog.get(name).as_deref(), &parsed.statement) {
            (Some(Definition::View(view)), Statement::CreateView { query_text, .. }) => view.query == *query_text,
            (Some(Definition::Command(command)), _) => command.statement == parsed.text,
            (Some(Definition::Schedule(schedule)), _) => schedule.statement == parsed.text,
            (Some(Definition::Stream(stream)), _) => stream.statement == parsed.text,
            (Some(Definition::Graph(graph)), _) => graph.statement == parsed.text,
            _ => false,
        };
        if !is_same {
            names.insert(name.clone());
        }
    }
    names
}
