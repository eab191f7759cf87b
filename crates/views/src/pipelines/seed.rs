//! What a fold of changes begins with where the events that its rows were made of are no longer kept: the rows of the view itself.
//!
//! Invariants
//! - A fold stands at a position with the rows of all events below it, whether these are kept or not; or it is not used.
//! - A copy that was broken off is told from a whole one by its position, which no pipeline covers.

use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_stores::{Direction, Header, Reader, Row, Span};

use crate::rows::folder::StoreFolder;
use crate::unkept::Unkept;
use crate::{View, ViewError};

/// So many rows are written at once.
const ROWS_AT_ONCE: usize = 4_096;

/// The stream, of no log, that a copy's position names until the copy is whole.
const UNDER_WAY: &str = "_copied";

/// The rows of a view, as its store had them at a position.
pub(super) struct Seed {
    pub(super) position: Position,
    note: Vec<u8>,
    rows: Box<dyn Reader>,
}

impl Seed {
    /// The rows of a view now.
    pub(super) fn now(view: &View) -> Result<Option<Seed>, ViewError> {
        if view.is_in_memory() {
            return Ok(None);
        }
        let store = &view.folder.store;
        view.flush_then(|position| {
            Ok(store.note()?.map(|note| Seed {
                position: position.clone(),
                note,
                rows: store.reader(),
            }))
        })?
    }

    /// The rows that a view has written, where that was not beyond a position.
    pub(super) fn written(view: &View, upto: &Position) -> Result<Option<Seed>, ViewError> {
        if view.is_in_memory() {
            return Ok(None);
        }
        // Nothing is written meanwhile.
        let _unchanged = view.resident.upgradable_read();
        let store = &view.folder.store;
        let (Some(position), Some(note)) = (store.position(), store.note()?) else {
            return Ok(None);
        };
        let seed = Seed {
            rows: store.reader(),
            position,
            note,
        };
        Ok(Some(seed).filter(|seed| upto.covers(&seed.position)))
    }

    /// Copies the rows into an empty store.
    pub(super) fn plant(self, folder: &StoreFolder) -> Result<(), ViewError> {
        let mut under_way = Position::new();
        under_way.set(UNDER_WAY, 0, 1);
        let mut rows = self.rows.rows(&Span::all(), Direction::Ascending).peekable();
        loop {
            let portion = rows.by_ref().take(ROWS_AT_ONCE).collect::<Result<Vec<Row>, _>>()?;
            let is_last = rows.peek().is_none();
            let header = Header {
                position: if is_last { &self.position } else { &under_way },
                note: &self.note,
                snapshots: &[],
                moments: &[],
                links: &[],
                entries: &[],
            };
            let mut written = portion
                .iter()
                .map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
            folder.store.commit(&mut written, header)?;
            if is_last {
                return Ok(());
            }
        }
    }
}

/// The first events that would be lacking in a fold that goes on to a position: those that it has not folded, and its stream no longer keeps.
pub(super) fn lacking(fold: &View, log: &EventLog, upto: &Position) -> Option<String> {
    let stands = fold.position();
    let unkept = Unkept::of(&fold.query, log).into_iter();
    unkept
        .map(|unkept| {
            let from = stands.get(&unkept.stream, unkept.partition);
            let to = unkept.upto.min(upto.get(&unkept.stream, unkept.partition));
            (unkept, from, to)
        })
        .find(|(_, from, to)| from < to)
        .map(|(unkept, from, to)| format!("{}/{}@{from}..{to}", unkept.stream, unkept.partition))
}
