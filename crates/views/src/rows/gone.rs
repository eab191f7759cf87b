//! The places of deleted rows, and when they may go.
//!
//! Partitions and streams are folded at different speeds, so a deleted row leaves the place of its tombstone behind: an event that is older and
//! folded later does not bring it back. Append times ascend from append to append. Once everything is folded that had been appended when the
//! deletion was noted, whatever comes is newer than the tombstone, and its place says nothing any more: it goes with the next commit. A row that
//! comes back and is deleted again has a newer place then, and a note of its own: the older note says nothing of that place.
//!
//! ```text
//! turn ── a row is gone ──> noted, with the end of the log ── all of that is folded ──> flush: the key is deleted in the store
//!                             ^
//!      after a start ── stored rows, some with each flush, that are places alone
//! ```
//!
//! What is noted stands in memory, within a bound: what had no room, or was not deleted before the program ended, is found again in the store.
//!
//! Invariant: a place goes in a commit whose position is at or beyond an end of the log that was taken after the tombstone of that place was in it.

use std::collections::{BTreeSet, VecDeque};
use std::hash::BuildHasher;

use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_stores::{Direction, Row, Span, StoreError};

use crate::limits::{GONE_BYTES_MAX, GONE_ROWS_AT_ONCE};
use crate::order::Place;
use crate::query::Query;
use crate::rows::resident::Resident;
use crate::rows::row;
use crate::{View, ViewError};

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
    /// The newest of the places of these keys: all of them were in the log then.
    newest: Place,
    keys: Vec<Vec<u8>>,
}

/// What one commit finds out for the next.
#[derive(Default)]
pub(crate) struct Look {
    /// The keys of which places alone are kept,
    found: Vec<Vec<u8>>,
    /// and the newest of these places.
    newest: Option<Place>,
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

    /// Notes keys of rows that are gone, whose places are no newer than one that was in the log before it had this end.
    pub(crate) fn note(&mut self, keys: Vec<Vec<u8>>, newest: Place, end: Position) {
        let bytes = keys.iter().map(|key| key.len() + KEY_OVERHEAD).sum::<usize>();
        if self.bytes + bytes > GONE_BYTES_MAX {
            // They are in the store, or will be.
            self.look_from = Some(Vec::new());
            return;
        }
        self.bytes += bytes;
        self.noted.push_back(Noted { end, newest, keys });
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
                let value = self.value(resident, key)?;
                let place = value.map(|value| self.gone_at(&value)).transpose()?.flatten();
                if place.is_some_and(|place| place <= noted.newest) {
                    keys.insert(key.clone());
                }
            }
        }
        Ok(keys)
    }

    /// Looks through some of the rows that are committed, or live in memory alone, for places alone. `swept`: keys that go with this commit.
    pub(crate) fn look_for_places(&self, resident: &Resident, swept: &BTreeSet<Vec<u8>>) -> Result<Look, ViewError> {
        let Some(from) = &resident.gone.look_from else {
            return Ok(Look::default());
        };
        let span = Span {
            from: from.clone(),
            to: None,
        };
        let reader = self.folder.store.reader();
        let rows: Box<dyn Iterator<Item = Result<Row, StoreError>> + '_> = match self.is_in_memory() {
            true => Box::new(resident.in_order(vec![span], Direction::Ascending).map(Ok)),
            false => Box::new(reader.rows(&span, Direction::Ascending)),
        };
        look_through(rows, GONE_ROWS_AT_ONCE, |key, value| match swept.contains(key) {
            true => Ok(None),
            false => self.gone_at(value),
        })
    }

    /// The store has deleted them, and what else was found is noted for later.
    pub(crate) fn swept(&self, resident: &mut Resident, keys: &BTreeSet<Vec<u8>>, look: Look) {
        for key in keys {
            let hash = resident.hasher().hash_one(key.as_slice());
            resident.remove(hash, key);
        }
        let ready = resident.gone.ready(&resident.position);
        resident.gone.taken(ready);
        resident.gone.look_from = look.from;
        if let Some(newest) = look.newest {
            resident
                .gone
                .note(look.found, newest, end_of_all(&self.log, &self.query));
        }
    }

    /// The place of the tombstone, where that alone is kept of a row.
    fn gone_at(&self, value: &[u8]) -> Result<Option<Place>, ViewError> {
        let states = self.query.state_columns(&[row::state(value)])?;
        Ok(self.query.gone_at(&states, 0))
    }
}

/// Looks through so many rows at most. `gone_at` tells the place of a row that is gone.
fn look_through(
    rows: impl Iterator<Item = Result<Row, StoreError>>,
    rows_max: usize,
    gone_at: impl Fn(&[u8], &[u8]) -> Result<Option<Place>, ViewError>,
) -> Result<Look, ViewError> {
    let mut look = Look::default();
    for (count, kept) in rows.take(rows_max).enumerate() {
        let (key, value) = kept?;
        if count + 1 == rows_max {
            look.from = Some([key.as_slice(), &[0]].concat());
        }
        if let Some(place) = gone_at(&key, &value)? {
            look.newest = look.newest.max(Some(place));
            look.found.push(key);
        }
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::PLACE_BYTES;

    fn position(text: &str) -> Position {
        text.parse().expect("a position")
    }

    fn place(moment: u8) -> Place {
        [moment; PLACE_BYTES]
    }

    #[test]
    fn what_is_noted_is_ready_when_everything_before_it_is_folded() {
        let mut gone = Gone::in_store(false);
        gone.note(vec![b"a".to_vec()], place(1), position("s/0@5,1@3"));
        gone.note(vec![b"b".to_vec(), b"c".to_vec()], place(2), position("s/0@7,1@4"));
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
        gone.note(vec![half.clone(), half.clone()], place(1), position("s/0@1"));
        assert_eq!(
            (gone.noted.len(), gone.look_from.is_some()),
            (1, false),
            "just at the limit"
        );
        gone.note(vec![b"a".to_vec()], place(2), position("s/0@2"));
        assert_eq!((gone.noted.len(), gone.look_from.is_some()), (1, true), "one key more");
        assert!(Gone::in_store(true).look_from.is_some());
    }
    #[test]
    fn so_many_rows_are_looked_through_at_once_and_the_rest_later() {
        let rows = |count: usize| (0..count).map(|row| Ok(((row as u32).to_be_bytes().to_vec(), vec![row as u8])));
        let every_other = |_: &[u8], value: &[u8]| Ok(value[0].is_multiple_of(2).then(|| place(value[0])));
        let look = |count: usize| look_through(rows(count), GONE_ROWS_AT_ONCE, every_other).expect("rows");
        let below = look(GONE_ROWS_AT_ONCE - 1);
        assert_eq!((below.found.len(), below.from), (GONE_ROWS_AT_ONCE / 2, None));
        assert_eq!(below.newest, Some(place(254)));
        let last = u32::try_from(GONE_ROWS_AT_ONCE - 1).expect("a number").to_be_bytes();
        for count in [GONE_ROWS_AT_ONCE, GONE_ROWS_AT_ONCE + 1] {
            let from = look(count).from.expect("more may be left");
            assert_eq!(
                from,
                [last.as_slice(), &[0]].concat(),
                "behind the last that was looked at"
            );
        }
    }
}
