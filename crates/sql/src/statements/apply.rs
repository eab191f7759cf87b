//! An application's file, applied at every start: what is there already stays.

use headwater_catalog::{CreateMode, Defined, Definition};

use super::create::{define_command, define_stream, define_view};
use crate::engine::{Applied, Inner};
use crate::statement::{Parsed, Statement};
use crate::{Session, SqlError, SqlState};

/// Applies one statement of the file. Only definitions belong there: anything else would happen again at every start.
pub(crate) async fn apply(inner: &Inner, session: &Session, parsed: &Parsed) -> Result<Option<Applied>, SqlError> {
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
            define_view(inner, session, parsed, replacing(*mode)).await?,
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
