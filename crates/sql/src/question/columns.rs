//! The columns of streams and views, by their names.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use headwater_catalog::Definition;
use headwater_views::decode::StreamDecoder;

use super::{describe, view_spec};
use crate::SqlError;
use crate::inner::Inner;
use crate::syntax::Statement;

/// The names of the columns of a stream or view; empty where there is none.
pub(crate) fn column_names(inner: &Inner, name: &str) -> Vec<String> {
    if let Some(stream) = inner.catalog.stream(name) {
        let schema = StreamDecoder::new(&stream).schema();
        return schema.fields().iter().map(|field| field.name().clone()).collect();
    }
    let columns = view_columns(inner, name).map(|(columns, _)| columns);
    columns.map_or_else(
        |_| Vec::new(),
        |columns| columns.fields().iter().map(|field| field.name().clone()).collect(),
    )
}

/// The columns of a view as it is defined, and which are its key.
pub(crate) fn view_columns(inner: &Inner, name: &str) -> Result<(SchemaRef, Vec<usize>), SqlError> {
    if let Some(view) = inner.views.defined(name) {
        return Ok((view.schema(), view.key_columns().to_vec()));
    }
    if let Some(Definition::View(view)) = inner.catalog.get(name).as_deref()
        && view.shape.is_some()
    {
        // One that does not run has the columns of its query.
        let spec = view_spec(inner, view)?;
        return Ok((Arc::clone(spec.plan.schema().inner()), Vec::new()));
    }
    let quoted = name.replace('"', "\"\"");
    let parsed = inner.parsed(&format!("SELECT * FROM \"{quoted}\""))?;
    let Statement::Query(question) = &parsed.statement else {
        return Err(inner.unknown_table(name));
    };
    let described = describe(inner, question, &[])?;
    let columns = described.columns.ok_or_else(|| inner.unknown_table(name))?;
    Ok((columns, Vec::new()))
}
