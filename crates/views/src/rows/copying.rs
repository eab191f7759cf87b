//! A copy of rows in memory as they were at one moment, taken a portion at a time while they go on changing.
//!
//! ```text
//! keys   ──── copied ────│──── not yet ────
//!                        │      a row that changes here leaves what it was behind, once
//! ```
//!
//! Invariant: every row is copied once, as it was when the copy began; one that came later is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use headwater_stores::{Row, StoreError};
use parking_lot::RwLock;

use crate::limits::COPY_BYTES_MAX;
use crate::rows::resident::Resident;

/// What one row that changed costs besides its bytes.
const ROW_OVERHEAD: usize = 96;

/// So many rows are copied at once: those who fold wait for that, a millisecond or two.
const ROWS_AT_ONCE: usize = 4_096;

/// A copy under way.
#[derive(Default)]
pub(crate) struct Copying {
    /// Whether somebody still takes it.
    taken: Weak<Taking>,
    /// Where the keys begin that are not copied yet.
    from: Vec<u8>,
    /// What rows were that changed meanwhile, by their keys; `None`: there was none.
    before: BTreeMap<Box<[u8]>, Option<Box<[u8]>>>,
    bytes: usize,
}

/// While it lives, a copy is wanted.
pub(crate) struct Taking;

impl Copying {
    /// Begins one, for as long as what comes with it lives.
    pub(crate) fn begin() -> (Copying, Arc<Taking>) {
        let taking = Arc::new(Taking);
        let copying = Copying {
            taken: Arc::downgrade(&taking),
            ..Copying::default()
        };
        (copying, taking)
    }

    /// A row is about to change. `false`: the copy is over, as nobody takes it, or too many rows have changed.
    #[must_use]
    pub(crate) fn note(&mut self, key: &[u8], was: Option<&[u8]>) -> bool {
        if key >= self.from.as_slice() && !self.before.contains_key(key) {
            self.bytes += key.len() + was.map_or(0, <[u8]>::len) + ROW_OVERHEAD;
            self.before.insert(key.into(), was.map(Into::into));
        }
        self.bytes <= COPY_BYTES_MAX && self.taken.strong_count() > 0
    }

    /// Where the next portion begins.
    pub(crate) fn from(&self) -> &[u8] {
        &self.from
    }

    /// The next portion, of the rows as they are from there on, in the order of their keys. Empty: that was all.
    pub(crate) fn portion<'r>(&mut self, now: impl Iterator<Item = (&'r [u8], &'r [u8])>, rows_max: usize) -> Vec<Row> {
        let mut now = now.peekable();
        let mut rows: Vec<Row> = Vec::with_capacity(rows_max);
        let mut last_before: Option<Box<[u8]>> = None;
        while rows.len() < rows_max {
            let is_before = match (self.before.first_key_value(), now.peek()) {
                (Some((before, _)), Some((key, _))) => **before <= **key,
                (before, None) if before.is_none() => break,
                (before, _) => before.is_some(),
            };
            if !is_before {
                rows.extend(now.next().map(|(key, value)| (key.to_vec(), value.to_vec())));
                continue;
            }
            let Some((key, was)) = self.before.pop_first() else {
                break;
            };
            self.bytes -= key.len() + was.as_ref().map_or(0, |was| was.len()) + ROW_OVERHEAD;
            now.next_if(|(changed, _)| **changed == *key);
            rows.extend(was.map(|was| (key.to_vec(), was.into_vec())));
            last_before = Some(key);
        }
        // Where it stands, there may be no row of the copy.
        if let Some(last) = rows.last().map(|(key, _)| key.as_slice()).max(last_before.as_deref()) {
            self.from = [last, &[0]].concat();
        }
        rows
    }
}

/// The rows of a view in memory as they are now, read later.
pub(crate) struct Copied {
    resident: Arc<RwLock<Resident>>,
    _taking: Arc<Taking>,
    portion: std::vec::IntoIter<Row>,
}

impl Copied {
    /// Of rows of which a copy has just begun.
    pub(crate) fn of(resident: Arc<RwLock<Resident>>, taking: Arc<Taking>) -> Copied {
        Copied {
            resident,
            _taking: taking,
            portion: Vec::new().into_iter(),
        }
    }
}

impl Iterator for Copied {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.portion.next() {
            return Some(Ok(row));
        }
        match self.resident.write().copy(ROWS_AT_ONCE) {
            Some(portion) => self.portion = portion.into_iter(),
            None => {
                let why = "too many rows changed while they were copied".to_owned();
                return Some(Err(StoreError::Refused(why)));
            }
        }
        self.portion.next().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use headwater_records::Position;

    use super::*;
    use crate::rows::snapshots::Snapshots;

    fn put(resident: &mut Resident, key: u8, value: &str) {
        let hash = resident.hasher().hash_one([key].as_slice());
        resident.put(hash, &[key], value.as_bytes(), 0);
        resident.committed();
    }

    fn remove(resident: &mut Resident, key: u8) {
        let hash = resident.hasher().hash_one([key].as_slice());
        resident.remove(hash, &[key]);
    }

    fn some_rows() -> Resident {
        let mut resident = Resident::new(Position::new(), 0, true, Snapshots::default());
        resident.keep_order();
        for key in [10, 20, 30, 40] {
            put(&mut resident, key, "then");
        }
        resident
    }

    #[test]
    fn rows_are_copied_as_they_were_whatever_becomes_of_them() {
        // After how many rows of the copy they change.
        for after in 0..5 {
            let mut resident = some_rows();
            let taking = resident.begin_copy();
            let mut copied: Vec<Row> = Vec::new();
            for _ in 0..after {
                copied.extend(resident.copy(1).expect("it goes on"));
            }
            for key in [10, 25, 30, 45, 5] {
                put(&mut resident, key, "changed");
                put(&mut resident, key, "changed again");
            }
            remove(&mut resident, 20);
            put(&mut resident, 20, "back");
            remove(&mut resident, 40);
            loop {
                let portion = resident.copy(1).expect("it goes on");
                if portion.is_empty() {
                    break;
                }
                copied.extend(portion);
            }
            let expected: Vec<Row> = [10, 20, 30, 40].map(|key| (vec![key], b"then".to_vec())).into();
            assert_eq!(copied, expected, "{after}");
            drop(taking);
            put(&mut resident, 50, "later");
            assert_eq!(resident.copy(1), None, "nobody takes it any more");
        }
    }

    #[test]
    fn a_copy_is_given_up_when_too_much_changes() {
        let (mut copying, _taking) = Copying::begin();
        let value = vec![0; COPY_BYTES_MAX - ROW_OVERHEAD - 1];
        assert!(copying.note(&[1], Some(&value)), "just at the limit");
        assert!(copying.note(&[1], Some(&value)), "once is enough");
        assert!(!copying.note(&[2], None), "one row more");
        let mut resident = some_rows();
        assert_eq!(resident.copy(1), None, "none has begun");
    }
}
