//! The places of deleted rows, and when they may go.
//!
//! Partitions and streams are folded at different speeds, so a deleted row leaves the place of its tombstone behind: an event that is older and
//! folded later does not bring it back. Append times ascend from append to append. Once everything is folded that had been appended when the
//! deletion was noted, whatever comes is newer than the tombstone, and its place says nothing any more: it goes with the next commit.
//!
//! ```text
//! turn ── a row is gone ──> noted, with the end of the log ── all of that is folded ──> flush: the key is deleted in the store
//!                             ^
//!      after a start ── stored rows, some with each flush, that are places alone
//! ```
//!
//! What is noted stands in memory, within a bound: what had no room, or was not deleted before the program ended, is found again in the store.
//!
//! Invariant: a place goes in the commit whose position is at or beyond the end that it was noted with.

use std::collections::{BTreeSet, VecDeque};
use std::hash::BuildHasher;

use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_stores::{Direction, Span};

use crate::limits::{GONE_BYTES_MAX, GONE_ROWS_AT_ONCE};
use crate::query::Query;
use crate::resident::Resident;
use crate::{View, ViewError, row};

/// What one noted key costs besides its bytes.
const KEY_OVERHEAD: usize = 48;

/// Keys whose rows are gone.
#[derive(Default)]
pub(crate) struct Gone {
    /// In the order of their ends.
    noted: VecDeque<Noted>,
    bytes: usize,
    /// Where stored rows are looked through from next; `None`: none is left to be found.
    look_from: Option<Vec<u8>>,
}

struct Noted {
    /// The end of the log, whatever is in it, durable or not, in a transaction or not.
    end: Position,
    keys: Vec<Vec<u8>>,
}

/// What one commit finds out for the next.
#[derive(Default)]
pub(crate) struct Look {
    /// Places alone that are stored.
    found: Vec<Vec<u8>>,
    /// Where the next look begins.
    from: Option<Vec<u8>>,
}

impl Gone {
    /// Of a store that has rows already: places may be among them.
    pub(crate) fn in_store(is_any: bool) -> Gone {
        Gone {
            look_from: is_any.then(Vec::new),
            ..Gone::default()
        }
    }

    /// Notes keys of rows that are gone, all of them from before the log had this end.
    pub(crate) fn note(&mut self, keys: Vec<Vec<u8>>, end: Position) {
        if keys.is_empty() {
            return;
        }
        let bytes = keys.iter().map(|key| key.len() + KEY_OVERHEAD).sum::<usize>();
        if self.bytes + bytes > GONE_BYTES_MAX {
            // They are in the store, or will be.
            self.look_from = Some(Vec::new());
            return;
        }
        self.bytes += bytes;
        self.noted.push_back(Noted { end, keys });
    }

    /// How many of the notes everything has been folded of, up to a position.
    fn ready(&self, position: &Position) -> usize {
        self.noted
            .iter()
            .take_while(|noted| position.covers(&noted.end))
            .count()
    }

    fn taken(&mut self, notes: usize) {
        for noted in self.noted.drain(..notes) {
            self.bytes -= noted.keys.iter().map(|key| key.len() + KEY_OVERHEAD).sum::<usize>();
        }
    }
}

/// Where the partitions of a query's streams end, whatever has become durable of them.
pub(crate) fn end_of_all(log: &EventLog, query: &Query) -> Position {
    let mut end = Position::new();
    for stream in query.streams() {
        let partitions = log.stream(stream).map_or(0, |info| info.partitions);
        for partition in 0..partitions {
            if let Some(offsets) = log.offsets(stream, partition) {
                end.set(stream, partition, offsets.end);
            }
        }
    }
    end
}

impl View {
    /// The keys that the commit at hand deletes: of what is noted, everything has been folded, and they did not come back.
    pub(crate) fn sweepable(&self, resident: &Resident) -> Result<BTreeSet<Vec<u8>>, ViewError> {
        let mut keys: BTreeSet<Vec<u8>> = BTreeSet::new();
        let ready = resident.gone.ready(&resident.position);
        for noted in resident.gone.noted.iter().take(ready) {
            for key in &noted.keys {
                if let Some(value) = self.value(resident, key)?
                    && self.is_place(&value)?
                {
                    keys.insert(key.clone());
                }
            }
        }
        Ok(keys)
    }

    /// Looks through some of the stored rows for places alone.
    pub(crate) fn look_for_places(&self, resident: &Resident) -> Result<Look, ViewError> {
        let Some(from) = &resident.gone.look_from else {
            return Ok(Look::default());
        };
        let span = Span {
            from: from.clone(),
            to: None,
        };
        let mut look = Look::default();
        let rows = self.folder.store.reader().rows(&span, Direction::Ascending);
        for (count, stored) in rows.take(GONE_ROWS_AT_ONCE).enumerate() {
            let (key, value) = stored?;
            if count + 1 == GONE_ROWS_AT_ONCE {
                look.from = Some([key.as_slice(), &[0]].concat());
            }
            if self.is_place(&value)? {
                look.found.push(key);
            }
        }
        Ok(look)
    }

    /// The store has deleted them, and what was found in it is noted for later.
    pub(crate) fn swept(&self, resident: &mut Resident, keys: &BTreeSet<Vec<u8>>, look: Look) {
        for key in keys {
            let hash = resident.hasher().hash_one(key.as_slice());
            resident.remove(hash, key);
        }
        let ready = resident.gone.ready(&resident.position);
        resident.gone.taken(ready);
        resident.gone.look_from = look.from;
        resident.gone.note(look.found, end_of_all(&self.log, &self.query));
    }

    /// Whether what is kept of a row is its place alone.
    fn is_place(&self, value: &[u8]) -> Result<bool, ViewError> {
        let states = self.query.state_columns(&[row::state(value)])?;
        Ok(!self.query.is_row(&states, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> Position {
        text.parse().expect("a position")
    }

    #[test]
    fn what_is_noted_is_ready_when_everything_before_it_is_folded() {
        let mut gone = Gone::in_store(false);
        gone.note(vec![b"a".to_vec()], position("s/0@5,1@3"));
        gone.note(Vec::new(), position("s/0@6,1@3"));
        gone.note(vec![b"b".to_vec(), b"c".to_vec()], position("s/0@7,1@4"));
        let ready = |gone: &Gone, at: &str| gone.ready(&position(at));
        assert_eq!(ready(&gone, "s/0@5,1@2"), 0);
        assert_eq!(ready(&gone, "s/0@5,1@3"), 1);
        assert_eq!(ready(&gone, "s/0@9,1@3"), 1);
        assert_eq!(ready(&gone, "s/0@9,1@4"), 2);
        gone.taken(2);
        assert_eq!((gone.bytes, gone.look_from), (0, None));
    }

    #[test]
    fn what_has_no_room_is_looked_for_in_the_store() {
        let mut gone = Gone::in_store(false);
        let half = vec![0; GONE_BYTES_MAX / 2 - KEY_OVERHEAD];
        gone.note(vec![half.clone(), half.clone()], position("s/0@1"));
        assert_eq!(
            (gone.noted.len(), gone.look_from.is_some()),
            (1, false),
            "just at the limit"
        );
        gone.note(vec![b"a".to_vec()], position("s/0@2"));
        assert_eq!((gone.noted.len(), gone.look_from.is_some()), (1, true), "one key more");
        assert!(Gone::in_store(true).look_from.is_some());
    }
}
