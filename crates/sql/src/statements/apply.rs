//! An application's file, applied at every start: what is there already stays.

use std::collections::BTreeSet;

use headwater_catalog::{CreateMode, Defined, Definition};

use super::create::{define_command, define_stream, define_view};
use crate::engine::{Applied, Inner};
use crate::statement::{Parsed, Statement};
use crate::{Session, SqlError, SqlState};

/// Applies one statement of the file. Only definitions belong there: anything else would happen again at every start.
/// `after` are the statements that follow it.
pub(crate) async fn apply(
    inner: &Inner,
    session: &Session,
    parsed: &Parsed,
    after: &[Parsed],
) -> Result<Option<Applied>, SqlError> {
    // CREATE in a file says what should be there, so what is there and differs is brought up to it.
    let replacing = |mode: CreateMode| match mode {
        CreateMode::Create => CreateMode::OrReplace,
        other => other,
    };
    let (noun, name, defined) = match &parsed.statement {
        Statement::CreateStream {
            definition,
            settings,
            mode,
        } => {
            let defined = define_stream(inner, session, definition, settings, replacing(*mode), &parsed.text).await?;
            ("stream", definition.name.clone(), defined)
        }
        Statement::CreateView { name, mode, .. } => (
            "view",
            name.clone(),
            define_view(inner, session, parsed, replacing(*mode), &names(after)).await?,
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

/// The views and commands that statements define.
fn names(statements: &[Parsed]) -> BTreeSet<String> {
    let names = statements.iter().filter_map(|parsed| match &parsed.statement {
        Statement::CreateView { name, .. } => Some(name.clone()),
        Statement::CreateCommand { command, .. } => Some(command.name.value.clone()),
        _ => None,
    });
    names.collect()
}
