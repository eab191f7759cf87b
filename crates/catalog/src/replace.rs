//! What a new definition may change in the one that has its name. Decides only; the catalog acts.

use headwater_eventlog::StreamInfo;

use crate::{CatalogError, CreateMode, Definition, PARTITIONS_DEFAULT, StreamDefinition};

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
) -> Result<Decision, CatalogError> {
    let Some(existing) = existing else {
        return match new {
            Definition::Stream(stream) => with_partitions(stream, in_log.map(|info| info.partitions))
                .map(|stream| Decision::Create(Definition::Stream(stream))),
            other => Ok(Decision::Create(other)),
        };
    };
    let taken = || CatalogError::Exists {
        noun: existing.noun(),
        name: existing.name().to_owned(),
    };
    match (new, existing) {
        (Definition::Stream(new), Definition::Stream(old)) => decide_stream(new, old, mode, taken()),
        (new, old) if new.noun() == old.noun() => match mode {
            CreateMode::Create => Err(taken()),
            CreateMode::IfNotExists => Ok(Decision::Keep),
            CreateMode::OrReplace if new == *old => Ok(Decision::Keep),
            CreateMode::OrReplace => Ok(Decision::Replace(new)),
        },
        _ => Err(taken()),
    }
}

fn decide_stream(
    new: StreamDefinition,
    old: &StreamDefinition,
    mode: CreateMode,
    taken: CatalogError,
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
    check_compatible(&new, old)?;
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

/// The events that are there must stay readable: columns stay as they are, and nullable ones may follow them.
fn check_compatible(new: &StreamDefinition, old: &StreamDefinition) -> Result<(), CatalogError> {
    let refuse = |why: String| {
        Err(CatalogError::Invalid(format!(
            "stream '{}' cannot be replaced: {why}; make a new stream, or keep what is there and add nullable columns at the end",
            new.name
        )))
    };
    let Some(old_columns) = &old.columns else {
        return Ok(());
    };
    let Some(new_columns) = &new.columns else {
        return refuse("it has columns, and the new definition has none".to_owned());
    };
    for (index, old_column) in old_columns.iter().enumerate() {
        match new_columns.get(index) {
            Some(new_column) if new_column == old_column => {}
            Some(new_column) if new_column.name == old_column.name => {
                return refuse(format!("column '{old_column}' would become '{new_column}'"));
            }
            Some(new_column) => {
                return refuse(format!(
                    "column {} is '{}' and would become '{}'",
                    index + 1,
                    old_column.name,
                    new_column.name
                ));
            }
            None => return refuse(format!("column '{}' would be gone", old_column.name)),
        }
    }
    if let Some(added) = new_columns[old_columns.len()..].iter().find(|column| !column.nullable) {
        return refuse(format!(
            "the new column '{}' is NOT NULL, and the events that are there do not have it",
            added.name
        ));
    }
    if new.key != old.key {
        return refuse("its KEY would change, and the events that are there were keyed by the old one".to_owned());
    }
    Ok(())
}
