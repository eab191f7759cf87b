//! How a stream's schema may change while its events stay as they are. Decides only; the catalog acts.
//!
//! Invariants
//! - Whatever an event said to the columns of its schema, it says to those after it: a value is read as the same value, or an upcaster says
//!   what becomes of it.
//! - No event that was a row ceases to be one, except by an upcaster. Changes that may make rows of events that were none (a wider type, a
//!   column that may be missing now) count as another reading where there are such events.
//! - The key, kind and tags of an event are what they were: they are found by its bytes.

use std::sync::Arc;

use headwater_eventlog::EventLog;

use crate::{CatalogError, Column, ColumnType, EarlierSchema, Format, FormerName, StreamDefinition, Upcaster};

/// One change of a stream's schema.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaChange {
    /// `ADD COLUMN`
    Add {
        /// The column.
        column: Column,
        /// Whether one of that name is fine.
        if_not_exists: bool,
    },
    /// `DROP COLUMN`
    Drop {
        /// Its name.
        column: String,
        /// Whether a missing one is fine.
        if_exists: bool,
    },
    /// `RENAME COLUMN from TO to`
    Rename {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// `ALTER COLUMN column TYPE to`
    Widen {
        /// Its name.
        column: String,
        /// The type that holds every value of the present one.
        to: ColumnType,
    },
    /// `ALTER COLUMN column DROP NOT NULL`
    Optional {
        /// Its name.
        column: String,
    },
    /// `UPCAST FROM VERSION from AS query`
    Upcast(Upcasting),
}

/// An upcaster to be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Upcasting {
    /// The version whose rows it takes.
    pub from: u32,
    /// Its query.
    pub query: String,
    /// The columns of the schema after it, which begins with it: where `from` is the newest version.
    pub columns: Option<Vec<Column>>,
}

/// Where a stream stands when its schema changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// For each partition the first offset that is kept,
    pub starts: Vec<u64>,
    /// and the next one to be given out.
    pub ends: Vec<u64>,
    /// Whether any of its events is known that does not fit.
    pub is_parked: bool,
}

impl Standing {
    pub(crate) fn of(log: &EventLog, stream: &StreamDefinition, is_parked: bool) -> Standing {
        let offsets = |partition| log.offsets(&stream.name, partition).unwrap_or_default();
        let offsets: Vec<_> = (0..stream.partitions).map(offsets).collect();
        Standing {
            starts: offsets.iter().map(|offsets| offsets.start).collect(),
            ends: offsets.iter().map(|offsets| offsets.end).collect(),
            is_parked,
        }
    }

    /// Whether there are events below these offsets.
    fn has_events_below(&self, until: &[u64]) -> bool {
        self.starts.iter().zip(until).any(|(start, until)| start < until)
    }
}

/// The definition after these changes; `None` where they change nothing. `statement` is what says them.
pub(crate) fn altered(
    old: &StreamDefinition,
    changes: &[SchemaChange],
    statement: &str,
    standing: &Standing,
) -> Result<Option<StreamDefinition>, CatalogError> {
    let mut evolving = Evolving {
        new: old.clone(),
        version: old.version() + 1,
        is_new_schema: false,
        rereads: false,
    };
    for change in changes {
        evolving.apply(change, statement, standing)?;
    }
    let Evolving {
        mut new,
        is_new_schema,
        rereads,
        ..
    } = evolving;
    if is_new_schema {
        let ended = EarlierSchema {
            columns: old.columns.clone(),
            until: standing.ends.clone(),
            upcaster: upcaster_of(changes, old.version(), statement),
            statement: statement.to_owned(),
        };
        new.earlier.push(Arc::new(ended));
    }
    new.reading += u32::from(rereads);
    Ok((new != *old).then_some(new))
}

/// The upcaster that ends a version, where one of the changes is that.
fn upcaster_of(changes: &[SchemaChange], version: u32, statement: &str) -> Option<Upcaster> {
    changes.iter().find_map(|change| match change {
        SchemaChange::Upcast(upcasting) if upcasting.from == version => Some(upcaster(upcasting, statement)),
        _ => None,
    })
}

fn upcaster(upcasting: &Upcasting, statement: &str) -> Upcaster {
    Upcaster {
        query: upcasting.query.clone(),
        statement: statement.to_owned(),
    }
}

/// A definition under change.
struct Evolving {
    new: StreamDefinition,
    /// The version that the changes make.
    version: u32,
    /// Whether the columns change.
    is_new_schema: bool,
    /// Whether events that are there may come to be read as other rows.
    rereads: bool,
}

impl Evolving {
    fn apply(&mut self, change: &SchemaChange, statement: &str, standing: &Standing) -> Result<(), CatalogError> {
        if let SchemaChange::Upcast(upcasting) = change {
            self.check_format(change)?;
            return self.upcast(upcasting, statement, standing);
        }
        if self.new.columns.is_none() {
            return Err(self.refuse(
                "it is schema-free and has no columns to change",
                "declare them with CREATE STREAM, or make them of its values with ALTER STREAM … UPCAST FROM VERSION 1 AS SELECT …",
            ));
        }
        self.check_format(change)?;
        let is_changed = match change {
            SchemaChange::Add { column, if_not_exists } => self.add(column, *if_not_exists)?,
            SchemaChange::Drop { column, if_exists } => self.drop(column, *if_exists, standing)?,
            SchemaChange::Rename { from, to } => self.rename(from, to)?,
            SchemaChange::Widen { column, to } => self.widen(column, *to, standing)?,
            SchemaChange::Optional { column } => self.optional(column, standing)?,
            SchemaChange::Upcast(_) => false,
        };
        self.is_new_schema |= is_changed;
        Ok(())
    }

    /// What the format of the values leaves open to change.
    fn check_format(&self, change: &SchemaChange) -> Result<(), CatalogError> {
        let is_found = self.new.kind.is_some() || !self.new.tags.is_empty();
        match (self.new.format, change) {
            (_, SchemaChange::Rename { .. } | SchemaChange::Optional { .. }) => Ok(()),
            (Format::Text | Format::Bytes, _) => Err(self.refuse(
                &format!("its format is '{}': the value is its one column", self.new.format),
                "make columns of it in a view, or make a new stream",
            )),
            // Kind and tags are read by their places, whichever version a record was written with.
            (Format::Csv { .. }, SchemaChange::Drop { .. } | SchemaChange::Upcast(_)) if is_found => Err(self.refuse(
                "its format is 'csv', and the events that are there are found by the places of their KIND and TAGS",
                "leave the column where it is, or make a new stream",
            )),
            _ => Ok(()),
        }
    }

    fn add(&mut self, column: &Column, if_not_exists: bool) -> Result<bool, CatalogError> {
        if self.new.column(&column.name).is_some() {
            return match if_not_exists {
                true => Ok(false),
                false => Err(CatalogError::ColumnExists {
                    stream: self.new.name.clone(),
                    column: column.name.clone(),
                }),
            };
        }
        if !column.nullable && column.default.is_none() {
            return Err(self.refuse(
                &format!(
                    "the new column '{}' is NOT NULL, and the events that are there do not have it",
                    column.name
                ),
                "say what they read with DEFAULT, or leave NOT NULL out",
            ));
        }
        self.check_name_is_free(&column.name, None)?;
        let column = Column {
            since: self.version,
            ..column.clone()
        };
        self.new.columns.get_or_insert_default().push(column);
        Ok(true)
    }

    fn drop(&mut self, name: &str, if_exists: bool, standing: &Standing) -> Result<bool, CatalogError> {
        if if_exists && self.new.column(name).is_none() {
            return Ok(false);
        }
        let column = self.column(name)?.clone();
        if let Some(clause) = self.clause_of(name) {
            return Err(self.refuse(
                &format!("column '{name}' is named by its {clause}"),
                "make a new stream without it",
            ));
        }
        let columns = self.new.columns.get_or_insert_default();
        if columns.len() == 1 {
            return Err(self.refuse(&format!("'{name}' is its only column"), "keep it, or make a new stream"));
        }
        columns.retain(|other| *other != column);
        self.rereads |= standing.is_parked;
        Ok(true)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<bool, CatalogError> {
        self.column(from)?;
        if self.new.column(to).is_some() {
            return Err(CatalogError::ColumnExists {
                stream: self.new.name.clone(),
                column: to.to_owned(),
            });
        }
        self.check_name_is_free(to, Some(from))?;
        if let Some(clause @ ("TAGS" | "KIND")) = self.clause_of(from) {
            return Err(self.refuse(
                &format!("column '{from}' is named by its {clause}, and the events that are there are found by a field of that name"),
                "keep the name, or give views another one with AS",
            ));
        }
        let until = self.version - 1;
        let column = self.column_mut(from)?;
        column.name = to.to_owned();
        if column.since <= until {
            column.former.push(FormerName {
                name: from.to_owned(),
                until,
            });
        }
        let named = self.new.key.iter_mut().chain(&mut self.new.time);
        for name in named.filter(|name| *name == from) {
            *name = to.to_owned();
        }
        Ok(true)
    }

    fn widen(&mut self, name: &str, to: ColumnType, standing: &Standing) -> Result<bool, CatalogError> {
        let from = self.column(name)?.column_type;
        if from == to {
            return Ok(false);
        }
        if !is_wider(from, to) {
            return Err(self.refuse(
                &format!("column '{name}' is {from}, and not every {from} is the same as a {to}"),
                &format!(
                    "say what becomes of its values: ALTER STREAM {} UPCAST FROM VERSION {} AS SELECT …, CAST({name} AS {to}) AS {name}",
                    self.new.name,
                    self.version - 1
                ),
            ));
        }
        if let Some(clause) = self.clause_of(name)
            && clause != "TIME"
            && !has_same_text(from, to)
        {
            return Err(self.refuse(
                &format!("column '{name}' is named by its {clause}, and a {to} would be written otherwise than the {from} of the events that are there"),
                "keep its type, or make a new stream",
            ));
        }
        self.column_mut(name)?.column_type = to;
        self.rereads |= standing.is_parked;
        Ok(true)
    }

    fn optional(&mut self, name: &str, standing: &Standing) -> Result<bool, CatalogError> {
        let column = self.column_mut(name)?;
        if column.nullable {
            return Ok(false);
        }
        column.nullable = true;
        self.rereads |= standing.is_parked;
        Ok(true)
    }

    fn upcast(&mut self, upcasting: &Upcasting, statement: &str, standing: &Standing) -> Result<(), CatalogError> {
        let newest = self.version - 1;
        let from = upcasting.from;
        if from == newest {
            let Some(columns) = &upcasting.columns else {
                return Err(self.refuse(
                    "an upcaster of the newest version makes a new one and needs its columns",
                    "name them",
                ));
            };
            self.check_facets_stay(columns)?;
            let since = |column: &Column| Column {
                since: self.version,
                former: Vec::new(),
                ..column.clone()
            };
            self.new.columns = Some(columns.iter().map(since).collect());
            self.is_new_schema = true;
            self.rereads |= standing.has_events_below(&standing.ends);
            return Ok(());
        }
        let index = (from as usize)
            .checked_sub(1)
            .filter(|index| *index < self.new.earlier.len());
        let Some(earlier) = index.and_then(|index| self.new.earlier.get_mut(index)) else {
            return Err(self.refuse(
                &format!("it has no version {from}: its versions are 1 to {newest}"),
                &format!("DESCRIBE {} shows them", self.new.name),
            ));
        };
        let upcaster = upcaster(upcasting, statement);
        if earlier.upcaster.as_ref() != Some(&upcaster) {
            self.rereads |= standing.has_events_below(&earlier.until);
            Arc::make_mut(earlier).upcaster = Some(upcaster);
        }
        Ok(())
    }

    /// Key, kind and tags are made of the bytes of an event: the columns that an upcaster gives them must be those that were read there.
    fn check_facets_stay(&self, columns: &[Column]) -> Result<(), CatalogError> {
        for old in self.new.columns.iter().flatten() {
            let Some(clause) = self.clause_of(&old.name) else {
                continue;
            };
            match columns.iter().find(|column| column.name == old.name) {
                Some(new) if new.column_type == old.column_type => {}
                _ if clause == "TIME" => {}
                _ => {
                    return Err(self.refuse(
                        &format!("column '{}' is named by its {clause}", old.name),
                        "let the upcaster pass it on as it is",
                    ));
                }
            }
        }
        let time = self.new.time.iter();
        for name in time {
            let found = columns.iter().find(|column| column.name == *name);
            if !found.is_some_and(|column| column.column_type.is_moment()) {
                return Err(self.refuse(
                    &format!("column '{name}' is its TIME"),
                    "let the upcaster give it, as a DATE, TIMESTAMP or TIMESTAMPTZ",
                ));
            }
        }
        Ok(())
    }

    /// A name that events hold another column's values by cannot be given to a new one.
    fn check_name_is_free(&self, name: &str, except: Option<&str>) -> Result<(), CatalogError> {
        let now = self.new.columns.iter().flatten();
        let was_renamed = now
            .filter(|column| Some(column.name.as_str()) != except)
            .find(|column| column.former.iter().any(|former| former.name == name));
        if let Some(column) = was_renamed {
            return Err(self.refuse(
                &format!(
                    "events hold the values of column '{}' in a field '{name}', the name that it had",
                    column.name
                ),
                "choose another name",
            ));
        }
        let is_same = |column: &Column| {
            let now = except.and_then(|name| self.new.column(name));
            now.is_some_and(|now| {
                now.since == column.since && now.former.iter().any(|former| former.name == column.name)
            })
        };
        for (index, schema) in self.new.since_upcast().iter().enumerate() {
            let mut columns = schema.columns.iter().flatten();
            if columns.any(|column| column.name == name && !is_same(column)) {
                let version = self.new.earlier.len() - self.new.since_upcast().len() + index + 1;
                return Err(self.refuse(
                    &format!("events of version {version} hold the values of a column '{name}' that was dropped"),
                    "choose another name",
                ));
            }
        }
        Ok(())
    }

    /// The clause that names a column.
    fn clause_of(&self, name: &str) -> Option<&'static str> {
        let is_it = |named: &String| named == name;
        match &self.new {
            new if new.key.iter().any(is_it) => Some("KEY"),
            new if new.tags.iter().any(is_it) => Some("TAGS"),
            new if new.kind.iter().any(is_it) => Some("KIND"),
            new if new.time.iter().any(is_it) => Some("TIME"),
            _ => None,
        }
    }

    fn column(&self, name: &str) -> Result<&Column, CatalogError> {
        self.new.column(name).ok_or_else(|| self.unknown(name))
    }

    fn column_mut(&mut self, name: &str) -> Result<&mut Column, CatalogError> {
        let unknown = self.unknown(name);
        let mut columns = self.new.columns.iter_mut().flatten();
        columns.find(|column| column.name == name).ok_or(unknown)
    }

    fn unknown(&self, name: &str) -> CatalogError {
        let names: Vec<&str> = self
            .new
            .columns
            .iter()
            .flatten()
            .map(|column| column.name.as_str())
            .collect();
        CatalogError::UnknownColumn {
            stream: self.new.name.clone(),
            column: name.to_owned(),
            columns: names.join(", "),
        }
    }

    fn refuse(&self, why: &str, instead: &str) -> CatalogError {
        CatalogError::Invalid(format!(
            "stream '{}' cannot be altered so: {why}; {instead}",
            self.new.name
        ))
    }
}

/// Whether every value of the one type is the same value of the other, read from the same text.
pub(crate) fn is_wider(from: ColumnType, to: ColumnType) -> bool {
    use ColumnType::*;
    /// The digits of the largest INTEGER and BIGINT.
    const INTEGER_DIGITS: i16 = 10;
    const BIGINT_DIGITS: i16 = 19;
    let whole_digits = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
    match (from, to) {
        (Integer, BigInt | Double) | (Real, Double) | (Date, Timestamp | TimestampTz) | (Timestamp, TimestampTz) => {
            true
        }
        (Integer, Decimal(precision, scale)) => whole_digits(precision, scale) >= INTEGER_DIGITS,
        (BigInt, Decimal(precision, scale)) => whole_digits(precision, scale) >= BIGINT_DIGITS,
        (Decimal(precision, scale), Decimal(wider, finer)) => {
            finer >= scale && whole_digits(wider, finer) >= whole_digits(precision, scale)
        }
        _ => false,
    }
}

/// Whether values of both types are written alike, as keys, kinds and tags are.
fn has_same_text(from: ColumnType, to: ColumnType) -> bool {
    use ColumnType::*;
    match (from, to) {
        (Integer, BigInt) | (Integer | BigInt, Decimal(_, 0)) => true,
        (Decimal(_, scale), Decimal(_, other)) => scale == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
