//! The schemas that a stream had, and which of them an event was written with.
//!
//! ```text
//! version      1          2          3             4
//! offsets   0 ─────── u1 ─────── u2 ─────────── u3 ─────────>
//! ends by      RENAME     UPCAST     ADD COLUMN
//! read with   └─ columns of 2 ─┘    └── columns of 4 ───────
//!                     └── upcaster ──┘
//! ```
//!
//! Where a schema ended is noted by offset when it is altered, so that the bytes of an event say nothing of it and any client may have written
//! them. Changes between two upcasters are such that the later columns read what was written for the earlier ones.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Column, StreamDefinition};

/// A schema that a stream had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierSchema {
    /// Its columns; `None`: schema-free.
    pub columns: Option<Vec<Column>>,
    /// For each partition the first offset that was not written with it; 0 for those that came later.
    pub until: Vec<u64>,
    /// What makes rows of the schema after it; `None`: the columns after it read its events as they are.
    pub upcaster: Option<Upcaster>,
    /// The statement that ended it, its words alone: said again, it is the same change.
    pub statement: String,
}

/// A query over one row of a schema that gives the row of the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcaster {
    /// The text of the query.
    pub query: String,
    /// The statement that set it, its words alone.
    pub statement: String,
}

impl StreamDefinition {
    /// The version of its schema, from 1.
    pub fn version(&self) -> u32 {
        self.earlier.len() as u32 + 1
    }

    /// The version that an event was written with.
    pub fn version_at(&self, partition: u32, offset: u64) -> u32 {
        let was = |schema: &Arc<EarlierSchema>| offset < schema.until.get(partition as usize).copied().unwrap_or(0);
        let earlier = self.earlier.iter().position(was).unwrap_or(self.earlier.len());
        earlier as u32 + 1
    }

    /// The version with whose columns events of a version are read: the next one that has an upcaster, or the newest.
    pub fn read_with(&self, version: u32) -> u32 {
        let from = version.max(1) as usize - 1;
        let upcast = self
            .earlier
            .iter()
            .skip(from)
            .position(|schema| schema.upcaster.is_some());
        upcast.map_or(self.version(), |after| (from + after) as u32 + 1)
    }

    /// The columns of a version; `None`: schema-free.
    pub fn columns_of(&self, version: u32) -> Option<&[Column]> {
        match self.earlier.get(version.max(1) as usize - 1) {
            Some(earlier) => earlier.columns.as_deref(),
            None => self.columns.as_deref(),
        }
    }

    /// The versions whose events are read with the newest columns: from the one after the last upcaster on.
    pub(crate) fn since_upcast(&self) -> &[Arc<EarlierSchema>] {
        let upcast = self.earlier.iter().rposition(|schema| schema.upcaster.is_some());
        self.earlier
            .get(upcast.map_or(0, |last| last + 1)..)
            .unwrap_or_default()
    }
}

impl Column {
    /// The names of the field that holds its value in an event of a version, the one that counts first: the name it had by then, then
    /// older ones, the newest first. A name it got later was no name of it.
    pub fn names_in(&self, version: u32) -> Vec<&str> {
        let own = self.former.iter().position(|former| version <= former.until);
        let (own, older) = match own {
            Some(at) => (self.former[at].name.as_str(), &self.former[..at]),
            None => (self.name.as_str(), self.former.as_slice()),
        };
        let mut names = vec![own];
        for former in older.iter().rev() {
            if !names.contains(&former.name.as_str()) {
                names.push(&former.name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ColumnType, FormerName};

    fn earlier(until: &[u64], has_upcaster: bool) -> Arc<EarlierSchema> {
        Arc::new(EarlierSchema {
            columns: None,
            until: until.to_vec(),
            upcaster: has_upcaster.then(|| Upcaster {
                query: String::new(),
                statement: String::new(),
            }),
            statement: String::new(),
        })
    }

    #[test]
    fn an_event_has_the_version_of_its_place() {
        let stream = StreamDefinition {
            earlier: vec![earlier(&[3, 0], false), earlier(&[3, 2], true), earlier(&[7, 2], false)],
            ..StreamDefinition::default()
        };
        let check = |partition, offset, version, read_with| {
            let found = stream.version_at(partition, offset);
            assert_eq!(
                (found, stream.read_with(found)),
                (version, read_with),
                "{partition}@{offset}"
            );
        };
        check(0, 0, 1, 2);
        check(0, 2, 1, 2);
        check(0, 3, 3, 4);
        check(0, 7, 4, 4);
        check(1, 0, 2, 2);
        check(1, 2, 4, 4);
        check(2, 0, 4, 4);
        assert_eq!(stream.version(), 4);
        assert_eq!(stream.since_upcast().len(), 1);
    }

    #[test]
    fn a_column_is_read_by_the_names_it_had_by_then() {
        let former = |name: &str, until| FormerName {
            name: name.to_owned(),
            until,
        };
        let column = Column {
            former: vec![former("a", 1), former("b", 3)],
            ..Column::new("a", ColumnType::Text, true)
        };
        assert_eq!(column.names_in(1), ["a"]);
        assert_eq!(column.names_in(2), ["b", "a"]);
        assert_eq!(column.names_in(4), ["a", "b"]);
    }
}
