//! What a new definition of a stream or view may take away: no column that another definition reads, and no column's kind.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::sql::sqlparser::ast::{Expr, Select, SelectItem, SetExpr, Visit, Visitor};
use headwater_catalog::Definition;

use super::rewritten::Rewritten;
use crate::inner::Inner;
use crate::parse;
use crate::question::view_columns;
use crate::statement::{Question, Statement};
use crate::type_name::type_name;
use crate::{SqlError, SqlState};

/// A definition that others read, before and after it changes.
pub(super) struct Changing<'a> {
    /// `stream` or `view`
    pub(super) noun: &'static str,
    pub(super) name: &'a str,
    pub(super) old: SchemaRef,
    pub(super) new: SchemaRef,
}

/// Refuses a new version of a view that lacks what others read. `rewritten` are the definitions that are about to be written anew themselves.
pub(super) fn check_columns(
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
pub(super) fn check_readers(inner: &Inner, changing: &Changing<'_>, rewritten: &Rewritten<'_>) -> Result<(), SqlError> {
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
            if !reads(inner, reader, column.name())? && !appends_in_order(inner, reader, name, old)? {
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

/// Whether a command appends to a stream by the order of its columns.
fn appends_in_order(inner: &Inner, reader: &Definition, stream: &str, columns: &SchemaRef) -> Result<bool, SqlError> {
    let Definition::Command(command) = reader else {
        return Ok(false);
    };
    let parsed = inner.parsed(&command.statement)?;
    let Statement::CreateCommand { command, .. } = &parsed.statement else {
        return Ok(false);
    };
    let mut outputs = command.outputs.iter().filter(|output| output.stream.value == stream);
    Ok(outputs.any(|output| !names_columns(&output.source.query.body, columns)))
}

/// Whether everything that a query selects has the name of a column.
fn names_columns(body: &SetExpr, columns: &SchemaRef) -> bool {
    let SetExpr::Select(select) = body else { return false };
    select.projection.iter().all(|item| {
        let name = match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(&alias.value),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(&name.value),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().map(|name| &name.value),
            _ => None,
        };
        name.is_some_and(|name| columns.index_of(name).is_ok())
    })
}

/// Whether what was written for one type goes on to mean the same for the other.
fn same_kind(new: &DataType, old: &DataType) -> bool {
    new == old || (new.is_numeric() && old.is_numeric())
}

/// Whether a definition may read a column: its statement has the name as a word, or takes all columns with a `*`.
fn reads(inner: &Inner, reader: &Definition, column: &str) -> Result<bool, SqlError> {
    let text = match reader {
        Definition::View(view) => &view.statement,
        Definition::Command(command) => &command.statement,
        Definition::Schedule(schedule) => &schedule.statement,
        Definition::Graph(graph) => &graph.statement,
        Definition::Stream(stream) if stream.pipeline.is_some() => &stream.statement,
        Definition::Stream(_) => return Ok(false),
    };
    if parse::words(text)?.contains(column) {
        return Ok(true);
    }
    let parsed = inner.parsed(text)?;
    let questions: Vec<&Question> = match &parsed.statement {
        Statement::CreateView { question, .. } => vec![question],
        Statement::CreateStream {
            pipeline: Some(pipeline),
            ..
        } => vec![&pipeline.question],
        Statement::CreateCommand { command, .. } => command.outputs.iter().map(|output| &output.source).collect(),
        Statement::CreateSchedule { schedule, .. } => {
            let outputs = schedule.command.outputs.iter();
            outputs.map(|output| &output.source).collect()
        }
        _ => Vec::new(),
    };
    Ok(questions
        .into_iter()
        .any(|question| question.query.visit(&mut Wildcards).is_break()))
}

/// Stops at the first `*` that stands for columns.
struct Wildcards;

impl Visitor for Wildcards {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let is_wildcard =
            |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        match select.projection.iter().any(is_wildcard) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
