//! `lineage('view', key, …)` in a question: which view and which row are meant.

use std::sync::Arc;

use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, TableSource};
use headwater_views::View;

use super::named_view::ViewFunction;
use super::names::Names;
use super::rewind::check_whole;
use crate::tables::{LineageKey, LineageTable, StreamTable};
use crate::{SqlError, SqlState};

/// The function's name.
pub(crate) const LINEAGE: &str = "lineage";

/// How the function is called.
const CALLED: &str = "write lineage('view', key), with a value for each column of the view's key";

const FUNCTION: ViewFunction = ViewFunction {
    name: LINEAGE,
    called: CALLED,
};

impl Names<'_> {
    /// The history of the row that the arguments name.
    pub(super) fn lineage(&self, args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        let mut args = args.into_iter();
        let view = self.named_view(&FUNCTION, args.next())?;
        if view.is_per_event() {
            let message = format!(
                "'{}' is a view with one row for each event, and lineage is asked of a row that several events made",
                view.definition().name
            );
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message)
                .hint("its rows are their own history: SELECT them")
                .into());
        }
        let [source] = view.definition().sources.as_slice() else {
            let message = format!("the view '{}' does not read one stream", view.definition().name);
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message)
                .hint("ask its streams")
                .into());
        };
        let Some(stream) = self.inner.catalog.stream(source) else {
            return Err(self.inner.unknown_table(source).into());
        };
        if !view.definition().key.is_empty() {
            let message = format!(
                "lineage of the view '{}', which has a KEY, is not there yet",
                view.definition().name
            );
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message)
                .hint(format!("ask its stream: SELECT * FROM {source} WHERE …"))
                .into());
        }
        // The row after an event rests on all events before it.
        check_whole(&self.inner.log, &view.definition().name, std::slice::from_ref(source))?;
        let key = self.lineage_key(&view, args.collect())?;
        let end = self.boundary.stream_end(&self.inner.log, source)?;
        let decoder = super::upcast::decoder(self.inner, &stream)?;
        let events = StreamTable::new(self.inner.log.clone(), decoder, end);
        let table = LineageTable::new(view, &stream, events, key)?;
        Ok(provider_as_source(Arc::new(table)))
    }

    /// The row meant; `None` where it hangs on parameters that are not known yet.
    fn lineage_key(&self, view: &View, args: Vec<Expr>) -> Result<Option<LineageKey>> {
        let name = &view.definition().name;
        let columns: Vec<&str> = view.key_names();
        if args.len() != columns.len() {
            let message = format!(
                "the rows of '{name}' have a key of {} column(s) ({}), and {} value(s) are given",
                columns.len(),
                columns.join(", "),
                args.len()
            );
            return Err(SqlError::new(SqlState::UNKNOWN_FUNCTION, message).hint(CALLED).into());
        }
        let mut values: Vec<ScalarValue> = Vec::with_capacity(args.len());
        for (arg, key_type) in args.into_iter().zip(view.key_types()) {
            let Some(value) = self.moments.value(arg, key_type)? else {
                return Ok(None);
            };
            values.push(value.cast_to(key_type).map_err(|_| {
                let message = format!(
                    "{value} is no key of '{name}': its key is {} {key_type}",
                    columns.join(", ")
                );
                SqlError::new(SqlState::INVALID_TEXT, message)
            })?);
        }
        let key = view.key(&values).map_err(SqlError::from)?;
        Ok(Some(LineageKey { key, values }))
    }
}
