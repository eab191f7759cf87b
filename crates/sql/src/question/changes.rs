//! `CHANGES OF view` in a pipeline's query: the columns that there are.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::TableSource;
use headwater_catalog::Definition;
use headwater_views::decode::{SYSTEM_COLUMNS, StreamDecoder};
use headwater_views::{BEFORE_COLUMN, CHANGE_COLUMN, changes_schema};

use super::names::Names;
use super::of_view::view_spec;
use crate::{SqlError, SqlState};

/// The columns that `*` does not show: it is the row.
pub(super) const HIDDEN: [&str; SYSTEM_COLUMNS.len() + 2] = {
    let [a, b, c, d, e, f, g] = SYSTEM_COLUMNS;
    [a, b, c, d, e, f, g, CHANGE_COLUMN, BEFORE_COLUMN]
};

impl Names<'_> {
    /// The changes of a view as a table; nothing but its columns is wanted of it.
    pub(super) fn changes_of(&self, view: &str) -> Result<Arc<dyn TableSource>> {
        let refuse = |state, message: String, hint: &str| Err(SqlError::new(state, message).hint(hint).into());
        if !self.pipes {
            return refuse(
                SqlState::NOT_SUPPORTED,
                "CHANGES OF a view is read by a pipeline alone".to_owned(),
                "write CREATE STREAM name AS SELECT … FROM CHANGES OF view, or SUBSCRIBE TO view",
            );
        }
        let defined = self.inner.catalog.get(view);
        let definition = match defined.as_deref() {
            Some(Definition::View(definition)) if definition.shape.is_some() => definition,
            Some(_) => {
                return refuse(
                    SqlState::NOT_SUPPORTED,
                    format!("'{view}' is no materialized view, and changes are told of those alone"),
                    "read a stream's events: FROM stream",
                );
            }
            None => return Err(self.inner.unknown_table(view).into()),
        };
        // What is defined counts, and not what runs: a new version may still be built.
        let spec = view_spec(self.inner, definition)?;
        let rows = self.inner.views.check(&spec).map_err(SqlError::from)?;
        let event = spec.decoders.first().map(StreamDecoder::schema);
        let event = event.ok_or_else(|| self.inner.unknown_table(view))?;
        Ok(provider_as_source(Arc::new(EmptyTable::new(changes_schema(
            &rows, &event,
        )))))
    }
}
