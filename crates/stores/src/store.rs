//! What every store can do, whatever its shape.
//!
//! A row has a value, and may have entries beside it: a list that grows, one entry under the other in the order of their places, so that adding
//! one costs the same however many there are.
//!
//! Invariant: a commit is all or nothing, rows, entries, links, snapshots, position and note together.

use headwater_records::Position;

/// A row's value as it was at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The row's key.
    pub key: Vec<u8>,
    /// The number of the moment.
    pub moment: u64,
    /// The row's value then.
    pub value: Vec<u8>,
}

/// Where the rows stood at a moment of which snapshots are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Moments are numbered in the order in which they came.
    pub number: u64,
    /// The position of all rows then.
    pub position: Position,
}

/// A row that is found under a prefix besides under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// No prefix is the beginning of another one.
    pub prefix: Vec<u8>,
    /// The row's key.
    pub key: Vec<u8>,
    /// Whether it is found there from now on, or is not any more.
    pub is_there: bool,
}

/// What a commit makes durable beside the rows.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// The position the rows stand at.
    pub position: &'a Position,
    /// A few bytes of the writer's own.
    pub note: &'a [u8],
    /// Values of rows that are to be kept as they were,
    pub snapshots: &'a [Snapshot],
    /// and the moments that these speak of.
    pub moments: &'a [Moment],
    /// Where rows are to be found besides under their keys.
    pub links: &'a [Link],
    /// What rows have besides their values. An entry that is there already is written over.
    pub entries: &'a [EntryOf<'a>],
}

/// An entry of a row that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct EntryOf<'a> {
    /// The row's key.
    pub key: &'a [u8],
    /// Where it stands among the row's entries. One longer than [`PLACE_BYTES_MAX`] may be kept by its beginning and a digest.
    pub place: &'a [u8],
    /// What it is.
    pub value: &'a [u8],
}

/// The longest place that is kept as it is: with the longest row's key before it, it fits into what a tree's key may have.
pub const PLACE_BYTES_MAX: usize = 16_000;

/// Why a store did not open, read or commit.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the tree refused.
    #[error("store {path}: {why}")]
    Failed {
        /// The folder.
        path: String,
        /// What went wrong.
        why: String,
    },
    /// The disk was full, or no more files could be opened, and what was written is not there: the same may succeed later.
    #[error("store {path}: {why}")]
    Full {
        /// The folder.
        path: String,
        /// What is wanting, and what does not go on.
        why: String,
    },
    /// What is asked of it is too much, or nothing that it can answer.
    #[error("{0}")]
    Refused(String),
}

/// A row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// An entry of a row: place and value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Rows in order of their keys, as of one commit.
pub type Rows = Box<dyn Iterator<Item = Result<Row, StoreError>> + Send>;

/// Entries of one row in order of their places, as of one commit.
pub type Entries = Box<dyn Iterator<Item = Result<Entry, StoreError>> + Send>;

/// Keys of rows, as of one commit.
pub type Keys = Box<dyn Iterator<Item = Result<Vec<u8>, StoreError>> + Send>;

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

/// A stretch of keys or places: from one on, up to and without another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first that belongs to it.
    pub from: Vec<u8>,
    /// The first that does not; `None`: it has no end.
    pub to: Option<Vec<u8>>,
}

impl Span {
    /// Everything.
    pub fn all() -> Span {
        Span {
            from: Vec::new(),
            to: None,
        }
    }

    /// What begins with these bytes.
    pub fn prefix(prefix: &[u8]) -> Span {
        Span {
            from: prefix.to_vec(),
            to: behind(prefix),
        }
    }

    /// Whether it holds these bytes.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        self.from.as_slice() <= bytes && self.to.as_deref().is_none_or(|to| bytes < to)
    }

    /// Whether it can hold nothing.
    pub fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }
}

/// The first bytes behind everything that begins with `prefix`; `None` where nothing is.
pub fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte < u8::MAX)? + 1;
    let mut behind = prefix[..kept].to_vec();
    behind[kept - 1] += 1;
    Some(behind)
}

/// The rows as one commit left them, for as long as this is held, whatever is committed meanwhile.
pub trait Reader: Send + Sync {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// The rows of a span of keys, in order.
    fn rows(&self, span: &Span, direction: Direction) -> Rows;
    /// The entries of a row whose places are in a span, in order.
    fn entries(&self, key: &[u8], places: &Span, direction: Direction) -> Entries;
    /// The rows whose keys begin with a prefix; all of them where it is empty.
    fn under(&self, prefix: &[u8]) -> Rows {
        self.rows(&Span::prefix(prefix), Direction::Ascending)
    }
    /// The keys of the rows that are linked under exactly this prefix.
    fn linked(&self, prefix: &[u8]) -> Keys;
}

/// One view's rows by key.
pub trait Store: Send + Sync {
    /// The position of the last commit; `None` in a new store.
    fn position(&self) -> Option<Position>;
    /// The note of the last commit; `None` in a new store.
    fn note(&self) -> Result<Option<Vec<u8>>, StoreError>;
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// The value of an entry.
    fn entry(&self, key: &[u8], place: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// The rows as the last commit left them.
    fn reader(&self) -> Box<dyn Reader>;
    /// Writes rows (`None` deletes) and what stands beside them, all or nothing.
    fn commit(
        &self,
        rows: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
        header: Header<'_>,
    ) -> Result<(), StoreError>;
    /// The newest snapshot that is kept of a row up to a moment: the number of its moment, and the value then.
    fn snapshot(&self, key: &[u8], upto: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError>;
    /// The position of a moment; `None` where no snapshot speaks of it.
    fn moment(&self, number: u64) -> Result<Option<Position>, StoreError>;
    /// The number of the newest moment; `None` where no snapshot is kept.
    fn last_moment(&self) -> Result<Option<u64>, StoreError>;
    /// Bytes on disk, as far as they are really taken.
    fn bytes(&self) -> u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_prefix_is_what_no_longer_begins_with_it() {
        let check = |prefix: &[u8], expected: Option<&[u8]>| assert_eq!(behind(prefix).as_deref(), expected);
        check(b"a", Some(b"b"));
        check(b"a\xff", Some(b"b"));
        check(b"\xff\xff", None);
        check(b"", None);
        let span = Span::prefix(b"ab");
        for (bytes, holds) in [("aa", false), ("ab", true), ("abz", true), ("ac", false)] {
            assert_eq!(span.holds(bytes.as_bytes()), holds, "{bytes}");
        }
        let backwards = Span {
            from: b"b".to_vec(),
            to: Some(b"a".to_vec()),
        };
        assert!(backwards.is_empty() && !Span::all().is_empty());
    }
}
