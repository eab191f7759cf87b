//! What a new definition of a stream or view may take away: no column that another definition reads, and no column's kind.

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr};
use headwater_catalog::Definition;

use super::reads::reads;
use super::rewritten::Rewritten;
use crate::inner::Inner;
use crate::question::view_columns;
use crate::syntax::Statement;
use crate::type_name::type_name;
use crate::{SqlError, SqlState};

/// A definition that others read, before and after it changes.
pub(crate) struct Changing<'a> {
    /// `stream` or `view`
    pub(crate) noun: &'static str,
    pub(crate) name: &'a str,
    pub(crate) old: SchemaRef,
    pub(crate) new: SchemaRef,
}

/// Refuses a new version of a view that lacks what others read. `rewritten` are the definitions that are about to be written anew themselves.
pub(crate) fn check_columns(
    inner: &Inner,
    name: &str,
    new: &SchemaRef,
    rewritten: &Rewritten<'_>,
) -> Result<(), SqlError> {
    // Of one that cannot be read as it is written, as what it reads was altered, nothing is taken that is still there.
    let Ok((old, _)) = view_columns(inner, name) else {
        return Ok(());
    };
    let changing = Changing {
        noun: "view",
        name,
        old,
        new: SchemaRef::clone(new),
    };
    check_readers(inner, &changing, rewritten)
}

/// Refuses to take from those who read it what they read of it.
pub(crate) fn check_readers(inner: &Inner, changing: &Changing<'_>, rewritten: &Rewritten<'_>) -> Result<(), SqlError> {
    let Changing { noun, name, old, new } = changing;
    let readers: Vec<_> = inner
        .catalog
        .all()
        .into_iter()
        .filter(|definition| definition.sources().iter().any(|source| source == name))
        .filter(|definition| !rewritten.contains(definition.name()))
        .collect();
    for column in old.fields() {
        let left = new.fields().iter().find(|field| field.name() == column.name());
        if left.is_some_and(|left| same_kind(left.data_type(), column.data_type())) {
            continue;
        }
        for reader in &readers {
            if !reads(inner, reader, name, column.name())? && !appends_to(inner, reader, name, column.name(), old)? {
                continue;
            }
            let (column, reader) = (column, format!("{} '{}'", reader.noun(), reader.name()));
            let message = match left {
                None => format!(
                    "the {noun} '{name}' would lose its column '{}', which {reader} reads",
                    column.name()
                ),
                Some(left) => format!(
                    "the column '{}' of the {noun} '{name}' would become {}, and {reader} reads it as {}",
                    column.name(),
                    type_name(left.data_type()),
                    type_name(column.data_type())
                ),
            };
            let hint = match *noun {
                "view" => "keep the column, or drop what reads it first",
                _ => "drop what reads it first, or write it anew below this statement in the application's file",
            };
            return Err(SqlError::new(SqlState::NEEDED, message).hint(hint));
        }
    }
    Ok(())
}

/// Whether a command appends to a column of a stream: by its name, or by the order of the columns.
fn appends_to(
    inner: &Inner,
    reader: &Definition,
    stream: &str,
    column: &str,
    columns: &SchemaRef,
) -> Result<bool, SqlError> {
    let parsed = match reader {
        Definition::Command(_) | Definition::Schedule(_) => inner.parsed(reader.meaning())?,
        _ => return Ok(false),
    };
    let outputs = match &parsed.statement {
        Statement::CreateCommand { command, .. } => &command.outputs,
        Statement::CreateSchedule { schedule, .. } => &schedule.command.outputs,
        _ => return Ok(false),
    };
    let mut outputs = outputs.iter().filter(|output| output.stream.value == stream);
    Ok(outputs.any(|output| match names(&output.source.query.body) {
        Some(names) if names.iter().all(|name| columns.index_of(name).is_ok()) => names.contains(&column),
        _ => true,
    }))
}

/// What a query calls its columns, where it names each.
fn names<'a>(body: &'a SetExpr) -> Option<Vec<&'a str>> {
    let SetExpr::Select(select) = body else { return None };
    let name = |item: &'a SelectItem| -> Option<&'a str> {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.as_str()),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.as_str()),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().map(|name| name.value.as_str()),
            _ => None,
        }
    };
    select.projection.iter().map(name).collect()
}

/// Whether what was written for one type goes on to mean the same for the other.
fn same_kind(new: &DataType, old: &DataType) -> bool {
    new == old || (new.is_numeric() && old.is_numeric())
}
