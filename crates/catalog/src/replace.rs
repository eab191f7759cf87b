//! What a new definition may change in the one that has its name. Decides only; the catalog acts.

use headwater_eventlog::StreamInfo;

use crate::evolve::{Standing, altered, is_wider};
use crate::{CatalogError, Column, Definition, PARTITIONS_DEFAULT, SchemaChange, StreamDefinition};

/// What to do where the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateMode {
    /// An error.
    Create,
    /// Leave what is there (it must be the same noun).
    IfNotExists,
    /// Put the new definition in its place (same noun; a stream only with what may change without touching its events).
    OrReplace,
}

/// What becomes of a definition.
#[derive(Debug, PartialEq)]
pub(crate) enum Decision {
    /// It is written, and is new.
    Create(Definition),
    /// It is written, and takes the place of the one of its name.
    Replace(Definition),
    /// It is not written: what is there stays.
    Keep,
}

/// Decides from what has the name now and what the log holds under it.
pub(crate) fn decide(
    new: Definition,
    mode: CreateMode,
    existing: Option<&Definition>,
    in_log: Option<&StreamInfo>,
    standing: &Standing,
) -> Result<Decision, CatalogError> {
    let Some(existing) = existing else {
        return match new {
            Definition::Stream(stream) => with_partitions(stream, in_log.map(|info| info.partitions))
                .map(|stream| Decision::Create(Definition::Stream(stream))),
            other => Ok(Decision::Create(other)),
        };
    };
    let taken = CatalogError::taken(existing, new.noun());
    match (new, existing) {
        (Definition::Stream(new), Definition::Stream(old)) => decide_stream(new, old, mode, taken, standing),
        (new, old) if new.noun() == old.noun() => match mode {
            CreateMode::Create => Err(taken),
            CreateMode::IfNotExists => Ok(Decision::Keep),
            CreateMode::OrReplace if new == *old => Ok(Decision::Keep),
            CreateMode::OrReplace => Ok(Decision::Replace(new)),
        },
        _ => Err(taken),
    }
}

fn decide_stream(
    new: StreamDefinition,
    old: &StreamDefinition,
    mode: CreateMode,
    taken: CatalogError,
    standing: &Standing,
) -> Result<Decision, CatalogError> {
    // A Kafka client made the stream and nobody has declared it yet: whoever declares it first is heard, however politely.
    let is_declaration = old.statement.is_empty() && old.columns.is_none() && !new.statement.is_empty();
    if !is_declaration {
        match mode {
            CreateMode::Create => return Err(taken),
            CreateMode::IfNotExists => return Ok(Decision::Keep),
            CreateMode::OrReplace => {}
        }
    }
    let new = with_partitions(new, Some(old.partitions))?;
    if !is_declaration && new.statement == old.statement && !takes_on(&new, old) {
        // What this statement said was done when it was first said, and may have been altered since.
        return Ok(Decision::Keep);
    }
    let new = continued(new, old, standing)?;
    match new == *old {
        true => Ok(Decision::Keep),
        false => Ok(Decision::Replace(Definition::Stream(new))),
    }
}

/// The definition with its partitions settled: those that are there. A stream may have been given more than its statement names; a statement
/// that names more than there are is refused, because it would not be obeyed.
fn with_partitions(stream: StreamDefinition, there: Option<u32>) -> Result<StreamDefinition, CatalogError> {
    let partitions = match (stream.partitions, there) {
        (0, Some(there)) => there,
        (0, None) => PARTITIONS_DEFAULT,
        (said, Some(there)) if said > there => {
            return Err(CatalogError::Invalid(format!(
                "stream '{}' has {there} partition(s), which cannot become {said}: its events lie where they lie; \
                 leave `partitions` out, or make a new stream",
                stream.name
            )));
        }
        (_, Some(there)) => there,
        (said, None) => said,
    };
    Ok(StreamDefinition { partitions, ..stream })
}

/// The new definition over the events of the old one, which must stay readable. Its columns may be those that are there, also as any earlier
/// version had them: what was altered since stays altered. More columns at the end are added.
fn continued(
    new: StreamDefinition,
    old: &StreamDefinition,
    standing: &Standing,
) -> Result<StreamDefinition, CatalogError> {
    let new = StreamDefinition {
        earlier: old.earlier.clone(),
        reading: old.reading,
        ..new
    };
    let Some(old_columns) = &old.columns else {
        // Schema-free so far: its events are read by columns from now on.
        let reading = old.reading + u32::from(new.columns.is_some());
        return Ok(StreamDefinition { reading, ..new });
    };
    let Some(columns) = new.columns.clone() else {
        return Err(refuse(&new, "it has columns, and the new definition has none"));
    };
    if new.format != old.format {
        let why = format!(
            "its events are written as '{}', and cannot be read as '{}'",
            old.format, new.format
        );
        let why = if old.format.to_string() == new.format.to_string() {
            "its events are written with another delimiter".to_owned()
        } else {
            why
        };
        return Err(refuse(&new, &why));
    }
    let is_said = |version: &u32| old.columns_of(*version).is_some_and(|there| are_same(&columns, there));
    if let Some(version) = (1..=old.version()).rev().find(is_said) {
        let new = StreamDefinition {
            columns: old.columns.clone(),
            ..named_today(new, old, version)
        };
        return same_key(new, old);
    }
    let mut changes = changed_prefix(&new, &columns, old_columns)?;
    let added = columns.get(old_columns.len()..).unwrap_or_default();
    changes.extend(added.iter().map(|column| SchemaChange::Add {
        column: column.clone(),
        if_not_exists: false,
    }));
    let statement = new.statement.clone();
    let there = StreamDefinition {
        columns: old.columns.clone(),
        ..same_key(new, old)?
    };
    Ok(altered(&there, &changes, &statement, standing)?.unwrap_or(there))
}

/// Whether columns say the same, whatever happened to them before.
fn are_same(columns: &[Column], there: &[Column]) -> bool {
    let is_same = |(column, there): (&Column, &Column)| {
        (&column.name, column.column_type, column.nullable, &column.default)
            == (&there.name, there.column_type, there.nullable, &there.default)
    };
    columns.len() == there.len() && columns.iter().zip(there).all(is_same)
}

/// A definition in the names of an earlier version, in those of today.
fn named_today(new: StreamDefinition, old: &StreamDefinition, version: u32) -> StreamDefinition {
    let today = |name: String| {
        let mut columns = old.columns.iter().flatten();
        let renamed = columns.find(|column| column.names_in(version).first() == Some(&name.as_str()));
        renamed.map_or(name.clone(), |column| column.name.clone())
    };
    StreamDefinition {
        key: new.key.into_iter().map(today).collect(),
        time: new.time.map(today),
        kind: new.kind.map(today),
        tags: new.tags.into_iter().map(today).collect(),
        ..new
    }
}

fn same_key(new: StreamDefinition, old: &StreamDefinition) -> Result<StreamDefinition, CatalogError> {
    match new.key == old.key {
        true => Ok(new),
        // No ALTER STREAM changes it.
        false => Err(CatalogError::Invalid(format!(
            "stream '{}' cannot be replaced: its KEY would change, and the events that are there were keyed by the old one; \
             leave the old statement as it is, or make a new stream, into which `CREATE STREAM … FROM BEGINNING AS SELECT` brings the events",
            new.name
        ))),
    }
}

/// Whether a pipeline's query gives columns that hold more than those of its stream, which so became since the query was written.
fn takes_on(new: &StreamDefinition, old: &StreamDefinition) -> bool {
    let (Some(_), Some(columns), Some(there)) = (&new.pipeline, &new.columns, &old.columns) else {
        return false;
    };
    changed_prefix(new, columns, there).is_ok_and(|changes| !changes.is_empty())
}

/// The columns that are there come first, as they are. Those of a pipeline may hold more than they did: nobody but its query can say so.
fn changed_prefix(
    new: &StreamDefinition,
    columns: &[Column],
    there: &[Column],
) -> Result<Vec<SchemaChange>, CatalogError> {
    let mut changes: Vec<SchemaChange> = Vec::new();
    for (index, old) in there.iter().enumerate() {
        let Some(column) = columns.get(index) else {
            return Err(refuse(new, &format!("column '{}' would be gone", old.name)));
        };
        if are_same(std::slice::from_ref(column), std::slice::from_ref(old)) {
            continue;
        }
        if new.pipeline.is_some() && holds_more(column, old) {
            changes.extend(growth(column, old));
            continue;
        }
        return Err(match column.name == old.name {
            true => refuse(new, &format!("column '{old}' would become '{column}'")),
            false => refuse(
                new,
                &format!(
                    "column {} is '{}' and would become '{}'",
                    index + 1,
                    old.name,
                    column.name
                ),
            ),
        });
    }
    Ok(changes)
}

/// Whether a column holds everything that another of its name does.
fn holds_more(column: &Column, old: &Column) -> bool {
    let is_as_wide = column.column_type == old.column_type || is_wider(old.column_type, column.column_type);
    (&column.name, &column.default) == (&old.name, &old.default) && is_as_wide && column.nullable >= old.nullable
}

/// What makes the one column of the other.
fn growth(column: &Column, old: &Column) -> Vec<SchemaChange> {
    let mut changes: Vec<SchemaChange> = Vec::new();
    if column.column_type != old.column_type {
        changes.push(SchemaChange::Widen {
            column: column.name.clone(),
            to: column.column_type,
        });
    }
    if column.nullable != old.nullable {
        changes.push(SchemaChange::Optional {
            column: column.name.clone(),
        });
    }
    changes
}

fn refuse(new: &StreamDefinition, why: &str) -> CatalogError {
    let instead = match new.pipeline {
        Some(_) => {
            "let the query give the columns that are there, in their order, each as it is or wider, and others behind them, or make a new stream"
        }
        None => {
            "leave the old statement as it is and say what changes with ALTER STREAM below it, or make a new stream"
        }
    };
    CatalogError::Invalid(format!("stream '{}' cannot be replaced: {why}; {instead}", new.name))
}
