//! What a file is about to write anew below a statement: it need not read what that statement takes away.

use headwater_catalog::Definition;

use super::super::apply::defined;
use crate::inner::Inner;
use crate::syntax::{Parsed, Statement};

/// The definitions that later statements make otherwise than they are. Looked for when somebody asks: most statements of a file change nothing.
#[derive(Clone, Copy)]
pub(crate) struct Rewritten<'a>(Option<(&'a Inner, &'a [Parsed])>);

impl<'a> Rewritten<'a> {
    /// For a statement that stands alone.
    pub(crate) fn nothing() -> Rewritten<'a> {
        Rewritten(None)
    }

    /// For one that these come after.
    pub(crate) fn by(inner: &'a Inner, later: &'a [Parsed]) -> Rewritten<'a> {
        Rewritten(Some((inner, later)))
    }

    /// Whether a definition is among them.
    pub(crate) fn contains(&self, name: &str) -> bool {
        let Rewritten(Some((inner, later))) = self else {
            return false;
        };
        let mut of_it = later.iter().filter(|parsed| defined(&parsed.statement) == Some(name));
        of_it.any(|parsed| is_other(inner, name, parsed))
    }
}

/// Whether a statement makes a definition another one than it is.
fn is_other(inner: &Inner, name: &str, parsed: &Parsed) -> bool {
    match (inner.catalog.get(name).as_deref(), &parsed.statement) {
        // A stream goes on with the events that it has.
        (_, Statement::CreateStream { pipeline: None, .. }) => false,
        (Some(Definition::View(view)), Statement::CreateView { query_text, .. }) => view.query != *query_text,
        (Some(Definition::Command(command)), _) => command.statement != parsed.text,
        (Some(Definition::Schedule(schedule)), _) => schedule.statement != parsed.text,
        (Some(Definition::Stream(stream)), _) => stream.statement != parsed.text,
        (Some(Definition::Graph(graph)), _) => graph.statement != parsed.text,
        _ => true,
    }
}
