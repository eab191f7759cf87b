//! The materialized view that a table function names by its first argument.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use headwater_catalog::Definition;
use headwater_views::View;

use super::names::Names;
use crate::{SqlError, SqlState};

/// A table function over a materialized view, for those who call it wrongly.
pub(super) struct ViewFunction {
    pub(super) name: &'static str,
    /// What to write.
    pub(super) called: &'static str,
}

impl Names<'_> {
    /// The running view of that name.
    pub(super) fn named_view(&self, function: &ViewFunction, name: Option<Expr>) -> Result<Arc<View>, SqlError> {
        let ViewFunction { name: asked, called } = function;
        let text = |value: ScalarValue| value.try_as_str().flatten().map(str::to_owned);
        let name = match name {
            Some(Expr::Literal(value, _)) => text(value),
            _ => None,
        };
        let Some(name) = name else {
            let message = format!("{asked} begins with the name of a materialized view, a text");
            return Err(SqlError::new(SqlState::UNKNOWN_FUNCTION, message).hint(*called));
        };
        let refuse = |what: &str, hint: &str| {
            let message = format!("'{name}' is {what}, and {asked} is asked of a materialized view");
            Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint(hint))
        };
        match self.inner.catalog.get(&name).as_deref() {
            Some(Definition::View(view)) if view.shape.is_some() => {}
            Some(Definition::View(_)) => return refuse("a plain view", "ask the materialized view that it reads"),
            Some(Definition::Stream(_)) => return refuse("a stream", "SELECT its events"),
            Some(Definition::Command(_)) => return refuse("a command", called),
            Some(Definition::Schedule(_)) => return refuse("a schedule", called),
            Some(Definition::Graph(_)) => return refuse("a property graph", "ask a view that it is made of"),
            None => return Err(self.inner.unknown_table(&name)),
        }
        self.inner.views.get(&name).ok_or_else(|| self.inner.not_running(&name))
    }
}
