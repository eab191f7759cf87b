//! CREATE STREAM of values that name their schema: its columns come from the registry, or go there.
//!
//! ```text
//!                       columns declared                    none declared
//! a schema is there     they must read its values           its fields are the columns
//! none is there         a schema of them is registered      refused
//! ```

use headwater_catalog::{Column, CreateMode, StreamDefinition, misfit, subject_of};
use headwater_schemas::{Deleted, SchemaError, Wanted};

use crate::inner::Inner;
use crate::{Session, SqlError, SqlState};

/// Brings a definition and the latest schema of its subject together. What was settled when the same statement was first said stays so, whatever
/// became of the subject since.
pub(crate) async fn settle(
    inner: &Inner,
    session: &Session,
    definition: &mut StreamDefinition,
    mode: CreateMode,
) -> Result<(), SqlError> {
    let format = definition.format;
    if format.schema_type().is_none() {
        return Ok(());
    }
    let there = inner
        .catalog
        .stream(&definition.name)
        .filter(|there| there.format == format);
    if let Some(there) = &there
        && (there.statement == definition.statement || mode == CreateMode::IfNotExists)
    {
        definition.columns = definition.columns.take().or_else(|| there.columns.clone());
        return Ok(());
    }
    let schemas = inner.catalog.schemas();
    let subject = subject_of(&definition.name);
    let latest = schemas.version(&subject, Wanted::Latest, Deleted(false)).ok();
    let refuse = |why: String, instead: &str| {
        let message = format!("stream \"{}\" cannot be written as '{format}': {why}", definition.name);
        SqlError::new(SqlState::INVALID_DEFINITION, message).hint(instead)
    };
    let (columns, latest) = match (&definition.columns, latest) {
        (columns, Some(latest)) => {
            let given = format.schema_columns(&latest.registered);
            let version = latest.version;
            let given = given.map_err(|why| {
                refuse(
                    format!("version {version} of the subject '{subject}': {why}"),
                    "choose the schema's format",
                )
            })?;
            (columns.as_deref(), Some((version, given)))
        }
        (columns, None) => (columns.as_deref(), None),
    };
    match (columns, latest) {
        (None, Some((_, given))) => {
            let there = there.and_then(|there| there.columns.clone());
            definition.columns = Some(beside(there.unwrap_or_default(), given));
        }
        (Some(columns), Some((version, given))) => {
            if let Some(why) = misfit(columns, &given) {
                let why = format!("version {version} of the subject '{subject}' does not fit: {why}");
                return Err(refuse(
                    why,
                    "declare the columns as the schema has them, or leave them out",
                ));
            }
        }
        (None, None) => {
            return Err(refuse(
                format!("there is no schema under the subject '{subject}'"),
                "register one (POST /subjects/…/versions), or declare the columns",
            ));
        }
        (Some(columns), None) => {
            let schema = format.schema_of(&definition.name, columns);
            let schema = schema.map_err(|why| refuse(why, "choose other names, or another format"))?;
            schemas.register(&subject, schema, &session.principal).await?;
        }
    }
    Ok(())
}

/// The columns that are there, and behind them those that the schema has beside them: NULL in the events from before.
fn beside(mut there: Vec<Column>, given: Vec<Column>) -> Vec<Column> {
    let is_known = |column: &Column| {
        let had = |known: &Column| known.former.iter().any(|former| former.name == column.name);
        there.iter().any(|known| known.name == column.name || had(known))
    };
    let mut new: Vec<Column> = given.into_iter().filter(|column| !is_known(column)).collect();
    if !there.is_empty() {
        new.iter_mut().for_each(|column| column.nullable = true);
    }
    there.append(&mut new);
    there
}

impl From<SchemaError> for SqlError {
    fn from(error: SchemaError) -> SqlError {
        let state = match &error {
            SchemaError::Log(_) => SqlState::INTERNAL,
            SchemaError::Full(_) => SqlState::TOO_LARGE,
            _ => SqlState::INVALID_DEFINITION,
        };
        SqlError::new(state, error.to_string())
    }
}
