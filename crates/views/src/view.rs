//! One view: its rows as of a position.
//!
//! Readers and the threads that fold (see [`crate::fold`]) meet at the lock of the resident rows: rows and position change together
//! under it, so whatever is read stands at one position.
//!
//! What is asked of a view stands where it is worked out:
//!
//! | question | where |
//! | --- | --- |
//! | what it is, where it stands, single rows by their keys | here |
//! | all rows, as of one position | `read/mod.rs`, `read/reader.rs` |
//! | rows of the past, and which events made them | `past/rewind.rs`, `past/refold.rs`, `past/lineage.rs` |
//! | which rows an event touches, and what they will be | `fold/touching.rs`, `fold/foresee.rs` |
//! | hits of a search, rows in a table | `shapes/search/mod.rs`, `lake/mod.rs` |
//! | a row as text, kept until it changes | `rows/texts.rs` |
//! | how it is: lag, build, errors; what it went without | `status.rs`, `fold/parked_again.rs`, `unkept.rs` |
//! | what changes it: turns, and what is written of them | `fold/mod.rs`, `rows/flush.rs` |

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::RowConverter;
use datafusion::common::ScalarValue;
use headwater_catalog::ViewDefinition;
use headwater_eventlog::{EventLog, StoredBatch};
use headwater_records::{Batch, Position};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::decode::StreamDecoder;
use crate::fold::foresee::Kept;
use crate::follow::hurry::Hurry;
use crate::follow::log_room::LogRoom;
use crate::follow::pace::Pace;
use crate::lake::Lake;
use crate::query::{Query, RowsOf, Source};
use crate::rows::entries::{EntriesOf, Lists, Pending};
use crate::rows::folder::StoreFolder;
use crate::rows::freshness::Freshness;
use crate::rows::history::LastFolded;
use crate::rows::image::Image;
use crate::rows::keys::{GroupKey, canonical, key_fields};
use crate::rows::left_out::LeftOut;
use crate::rows::resident::Resident;
use crate::rows::row;
use crate::shapes::Edges;
use crate::{ListsShown, ViewError};

/// What was found of some keys, all as of one position.
pub struct Found {
    /// For each key in order: its row, where there is one.
    pub rows: Vec<Option<RecordBatch>>,
    /// The position they stand at.
    pub position: Position,
}

/// Finds running views.
pub(crate) type ViewByName = Arc<dyn Fn(&str) -> Option<Arc<View>> + Send + Sync>;

/// A running view.
pub struct View {
    pub(crate) definition: ViewDefinition,
    /// The definition as it was last said, where nothing changed that its rows are made of.
    pub(crate) said: RwLock<Arc<ViewDefinition>>,
    pub(crate) query: Query,
    /// By stream. They change with a stream's schema, as far as the rows that were folded stay what they are.
    pub(crate) decoders: RwLock<BTreeMap<String, Arc<StreamDecoder>>>,
    /// What its definition comes to: equal where the rows of two definitions are kept alike.
    pub(crate) meaning: u64,
    /// That, and which of its versions it is.
    pub(crate) fingerprint: u64,
    pub(crate) log: EventLog,
    /// What its shape keeps beside the rows. Dropped, and so closed, before the folder may go.
    pub(crate) image: Option<Box<dyn Image>>,
    /// How its edges are found, where it is a graph.
    pub(crate) edges: Option<Edges>,
    /// The table that it is, where it has one row for each event.
    pub(crate) lake: Option<Lake>,
    /// The rows that its image or its table is without.
    pub(crate) left_out: LeftOut,
    pub(crate) folder: Arc<StoreFolder>,
    pub(crate) resident: Arc<RwLock<Resident>>,
    /// Held while a turn ends: each stream that it reads has a thread of its own, and their turns end one after another.
    pub(crate) folding: Mutex<()>,
    /// Where the resident rows stand, for those who wait.
    pub(crate) position: watch::Sender<Position>,
    /// Who folds into it, for those who wait.
    pub(crate) hurry: Hurry,
    /// When its changes are committed.
    pub(crate) freshness: Freshness,
    pub(crate) stopped: Mutex<Option<String>>,
    /// What it folded last, as far as it was committed.
    pub(crate) last_folded: Mutex<LastFolded>,
    /// Why its rows of an earlier life were thrown away when it was opened, where they were.
    pub(crate) made_anew: Option<String>,
    /// Why its last commit is to be tried again, where that is so: it folds nothing before it succeeded.
    pub(crate) held_up: Mutex<Option<String>>,
    /// The end of its streams when it was opened: once it has got there, it is built.
    pub(crate) target: Position,
    pub(crate) is_built: AtomicBool,
    /// Whether it is to take the place of an older version, which is still asked.
    pub(crate) is_next: AtomicBool,
    /// Whether it has been dropped or replaced, and is to be folded no more.
    pub(crate) is_retired: AtomicBool,
    /// Whether another version of it took its place.
    pub(crate) is_replaced: AtomicBool,
    /// Whether it stands still until another version takes its place: see [`View::freeze`].
    pub(crate) is_frozen: AtomicBool,
    /// How many are about to define one of its streams otherwise: see [`crate::Doubt`].
    pub(crate) doubts: AtomicUsize,
    pub(crate) parked: AtomicU64,
    pub(crate) lacking: AtomicU64,
    /// Events folded since it was opened.
    pub(crate) folded: AtomicU64,
    /// How fast it is being built.
    pub(crate) pace: Pace,
    /// After so many events of a row a snapshot of it is kept; never for rows in memory.
    pub(crate) snapshot_events: u32,
    /// How much of lists one read shows.
    pub(crate) lists_shown: ListsShown,
    /// Whether it waits for room in the log.
    pub(crate) log_room: LogRoom,
    /// Up to where it folds in steps, as folding broke off there: see [`crate::fold::careful`].
    pub(crate) doubtful: Mutex<Position>,
    /// Whether few rows took most of the events lately, so that their snapshots come due in the middle of a batch.
    pub(crate) is_concentrated: AtomicBool,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("name", &self.definition.name)
            .field("version", &self.definition.version)
            .finish_non_exhaustive()
    }
}

impl View {
    /// Its definition: what its rows are made of. Its settings may be others by now: see [`View::said`].
    pub fn definition(&self) -> &ViewDefinition {
        &self.definition
    }

    /// Its definition as it was last said.
    pub fn said(&self) -> Arc<ViewDefinition> {
        Arc::clone(&self.said.read())
    }

    /// The streams that it reads, by name.
    pub fn streams(&self) -> Vec<&str> {
        self.query.streams()
    }

    /// The schema of its rows.
    pub fn schema(&self) -> SchemaRef {
        self.query.output.clone()
    }

    /// Whether it has no GROUP BY: one row, which is there from the start, and the empty key.
    pub fn has_one_row(&self) -> bool {
        self.query.is_global()
    }

    /// The columns of [`View::schema`] that are its key, in the key's order; empty where it has [one row](View::has_one_row), and where the key is not
    /// part of the output (then only `Selection::All` works).
    pub fn key_columns(&self) -> &[usize] {
        &self.query.key_columns
    }

    /// The key of a row, from the values of its key columns (cast to the columns' types). An error where a value does not fit.
    pub fn key(&self, values: &[ScalarValue]) -> Result<GroupKey, ViewError> {
        self.query.key(values)
    }

    /// The values of the key's columns.
    pub fn key_values(&self, key: &GroupKey) -> Result<Vec<ScalarValue>, ViewError> {
        Ok(self.query.key_values(key)?)
    }

    /// The columns of [`View::schema`] that are lists kept as entries: what is not asked of them is not read.
    pub fn list_columns(&self) -> impl Iterator<Item = usize> {
        self.query.lists.iter().map(|list| list.column)
    }

    /// A row of [`View::find`] without the columns of its lists.
    pub fn without_lists(&self, row: &RecordBatch) -> RecordBatch {
        let is_shown = |column: &usize| self.list_columns().all(|list| list != *column);
        let shown: Vec<usize> = (0..row.num_columns()).filter(is_shown).collect();
        row.project(&shown).unwrap_or_else(|_| row.clone())
    }

    /// Up to where it has folded.
    pub fn position(&self) -> Position {
        self.position.borrow().clone()
    }

    /// Whether it stands still where it is, until a version that reads its stream as it is read now takes its place.
    pub fn stands_still(&self) -> bool {
        self.is_frozen.load(Ordering::Acquire)
    }

    /// Whether its rows are made of what a decoder makes of its stream's events: not while it stands still, nor while the stream's schema has changed
    /// and it was not brought along yet.
    pub fn reads_by(&self, decoder: &StreamDecoder) -> bool {
        let own = self.decoder(decoder.stream());
        let is_same = own.is_some_and(|own| own.definition().version() == decoder.definition().version());
        is_same && !self.stands_still()
    }

    /// Events folded since it was opened: after a restart, those that its store did not have yet.
    pub fn events_folded(&self) -> u64 {
        self.folded.load(Ordering::Relaxed)
    }

    /// What of a position concerns the streams that it reads.
    pub(crate) fn own_part(&self, position: &Position) -> Position {
        let mut own = Position::new();
        for stream in self.query.streams() {
            own.advance_all(&position.of(stream));
        }
        own
    }

    /// Waits until it has folded everything below `position` (only the streams it reads count).
    pub async fn wait_for(&self, position: &Position, timeout: Duration) -> Result<(), ViewError> {
        let wanted = self.own_part(position);
        if self.position.borrow().covers(&wanted) {
            return Ok(());
        }
        self.log.hasten(&wanted);
        let mut changes = self.awaited();
        let reached = async {
            loop {
                if changes.borrow_and_update().covers(&wanted) {
                    return Ok(());
                }
                self.check_runs()?;
                // The sender is a part of this view: it is there as long as this waits.
                let _ = changes.changed().await;
            }
        };
        match tokio::time::timeout(timeout, reached).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ViewError::Late {
                view: self.definition.name.clone(),
                at: self.position(),
                wanted,
                waited_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    /// Whether it has got to where its stream ended when it was opened.
    pub fn is_caught_up(&self) -> bool {
        self.position.borrow().covers(&self.target)
    }

    /// Waits until it has got to where its stream ended when it was opened: before that, it was further already, or has not all of its first rows.
    pub async fn caught_up(&self, timeout: Duration) -> Result<(), ViewError> {
        if self.is_caught_up() {
            return Ok(());
        }
        match self.wait_for(&self.target, timeout).await {
            Err(ViewError::Late { .. }) => {
                let (folded, total) = self.progress();
                let view = self.definition.name.clone();
                Err(ViewError::Building { view, folded, total })
            }
            outcome => outcome,
        }
    }

    /// The rows of some keys, where memory alone says what they are; `None` where the disk must be asked ([`View::find`]). Never blocks on the disk.
    /// Lists are left out: they are NULL.
    pub fn find_resident(&self, keys: &[GroupKey]) -> Result<Option<Found>, ViewError> {
        match self.kept(keys)? {
            Some(Kept { values, position }) => self.found(keys, values, position).map(Some),
            None => Ok(None),
        }
    }

    /// The rows of some keys, all as of one position; blocking on the disk for what is not resident. Lists are left out: they are NULL.
    pub fn find(&self, keys: &[GroupKey]) -> Result<Found, ViewError> {
        self.check_readable()?;
        let resident = self.resident.read();
        self.check_whole(&resident)?;
        let mut values: Vec<Option<Vec<u8>>> = Vec::with_capacity(keys.len());
        for GroupKey(key) in keys {
            values.push(self.value(&resident, key)?);
        }
        let position = resident.position.clone();
        drop(resident);
        self.found(keys, values, position)
    }

    fn found(&self, keys: &[GroupKey], values: Vec<Option<Vec<u8>>>, position: Position) -> Result<Found, ViewError> {
        let mut rows: Vec<Option<RecordBatch>> = Vec::with_capacity(keys.len());
        for (GroupKey(key), value) in keys.iter().zip(values) {
            let row = match value {
                Some(value) => Some(self.query.rows(&[key], &[row::state(&value)])?),
                None if self.has_one_row() => Some(self.query.rows(&[], &[])?),
                None => None,
            };
            // A HAVING may leave none.
            rows.push(row.filter(|row| row.num_rows() > 0));
        }
        Ok(Found { rows, position })
    }

    /// The rows of some keys as they stand, those that can be worked out; also of a view that is being built.
    pub(crate) fn rows_of(&self, keys: &[&GroupKey]) -> Result<RowsOf, ViewError> {
        let mut values: Vec<Option<Vec<u8>>> = Vec::with_capacity(keys.len());
        let (reader, pending) = {
            let resident = self.resident.read();
            self.check_whole(&resident)?;
            for GroupKey(key) in keys {
                values.push(self.value(&resident, key)?);
            }
            // The values of a count(DISTINCT) are entries too, and nobody is shown them.
            let pending = match self.query.shows_elements(None) {
                true => resident.entries.copied_of(keys.iter().map(|key| key.0.as_slice())),
                false => Pending::default(),
            };
            (self.folder.store.reader(), pending)
        };
        let entries = EntriesOf {
            pending: &pending,
            store: Some(reader.as_ref()),
        };
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
        let states: Vec<Option<&[u8]>> = values.iter().map(|value| value.as_deref().map(row::state)).collect();
        self.query
            .rows_of(&keys, &states, &Lists::of(entries, self.lists_shown))
    }

    /// What is kept of one row, in memory or in the store.
    pub(crate) fn value(&self, resident: &Resident, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        match resident.get(resident.hasher().hash_one(key), key) {
            Some(value) => Ok(Some(value.to_vec())),
            None if resident.is_complete => Ok(None),
            None => Ok(self.folder.store.get(key)?),
        }
    }

    /// A view that stopped, or that is being built for the first time, has no rows to rely on and says so.
    pub(crate) fn check_readable(&self) -> Result<(), ViewError> {
        self.check_runs()?;
        match self.building() {
            None => Ok(()),
            Some((folded, total)) => Err(ViewError::Building {
                view: self.definition.name.clone(),
                folded,
                total,
            }),
        }
    }

    /// The keys of the rows that the events of a batch would change: the boundary of a command's check. Events that do not fit the schema change nothing.
    pub fn touched(&self, stream: &str, partition: u32, batch: &Batch) -> Result<Vec<GroupKey>, ViewError> {
        if self.decoder(stream).is_none() {
            return Ok(Vec::new());
        }
        self.check_tells()?;
        let stored = StoredBatch {
            batch: batch.clone(),
            // Not before any schema that it may name.
            appended_at_us: i64::MAX,
            principal: "".into(),
        };
        self.touched_in(stream, partition, &[stored], 0..u64::MAX)
    }

    /// The keys of the rows that stored events of a partition changed, those of a range of offsets.
    pub(crate) fn touched_in(
        &self,
        stream: &str,
        partition: u32,
        batches: &[StoredBatch],
        range: Range<u64>,
    ) -> Result<Vec<GroupKey>, ViewError> {
        let mut keys = Vec::new();
        let Some(decoder) = self.decoder(stream) else {
            return Ok(keys);
        };
        let events = Source::Events(stream.to_owned());
        let mut sources = vec![(events, Cow::Borrowed(decoder.as_ref()))];
        if self.query.follows_tombstones(stream) {
            let of_tombstones = Cow::Owned(decoder.of_tombstones());
            sources.push((Source::Tombstones(stream.to_owned()), of_tombstones));
        }
        for (source, decoder) in sources {
            let columns = self.projection(&source, &decoder)?;
            let decoded = decoder.decode(partition, batches, range.start, range.end, Some(&columns));
            self.touched_by(&source, &decoded.rows, &mut keys);
        }
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// Where the columns that the query reads of a source stand among those that are decoded.
    pub(crate) fn projection(&self, source: &Source, decoder: &StreamDecoder) -> Result<Vec<usize>, ViewError> {
        let schema = decoder.schema();
        let mut places: BTreeSet<usize> = BTreeSet::new();
        for input in self.query.inputs_of(source) {
            for column in &input.columns {
                let place = schema.index_of(column);
                places.insert(place.map_err(|error| ViewError::Failed(error.to_string()))?);
            }
        }
        Ok(places.into_iter().collect())
    }

    /// Rows are taken as they are under their lock only of a view that runs: one that stops forgets them, and a turn may have broken off in them.
    pub(crate) fn check_whole(&self, resident: &Resident) -> Result<(), ViewError> {
        self.check_runs()?;
        match resident.is_whole {
            true => Ok(()),
            false => Err(ViewError::Stopped {
                view: self.definition.name.clone(),
                why: "a turn broke off while it changed its rows".to_owned(),
            }),
        }
    }

    pub(crate) fn check_runs(&self) -> Result<(), ViewError> {
        if self.is_replaced.load(Ordering::Acquire) {
            return Err(ViewError::Replaced {
                view: self.definition.name.clone(),
            });
        }
        match self.stopped.lock().as_ref() {
            None => Ok(()),
            Some(why) => Err(ViewError::Stopped {
                view: self.definition.name.clone(),
                why: why.clone(),
            }),
        }
    }

    /// Events that the query cannot evaluate are parked when they are folded: they touch nothing.
    fn touched_by(&self, source: &Source, events: &RecordBatch, keys: &mut Vec<GroupKey>) {
        match self.query.groups(source, events) {
            Ok(found) => keys.extend(found),
            Err(_) if events.num_rows() <= 1 => {}
            Err(_) => {
                let half = events.num_rows() / 2;
                self.touched_by(source, &events.slice(0, half), keys);
                self.touched_by(source, &events.slice(half, events.num_rows() - half), keys);
            }
        }
    }

    /// What the keys of all rows begin with that have these values in the first columns of their key. A value may be NULL.
    pub fn key_beginning(&self, values: &[ScalarValue]) -> Result<Vec<u8>, ViewError> {
        let types = self.query.key_types.get(..values.len()).ok_or_else(|| {
            ViewError::Failed(format!(
                "{} values were given, the key has {}",
                values.len(),
                self.query.key_types.len()
            ))
        })?;
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(values.len());
        for (value, key_type) in values.iter().zip(types) {
            columns.push(value.cast_to(key_type)?.to_array_of_size(1)?);
        }
        let failed = |error: arrow::error::ArrowError| ViewError::Failed(error.to_string());
        let converter = RowConverter::new(key_fields(types)).map_err(failed)?;
        let rows = converter.convert_columns(&canonical(&columns)).map_err(failed)?;
        Ok(rows.row(0).data().to_vec())
    }

    /// The keys of rows in the view's output schema, which show them.
    pub fn keys_of(&self, rows: &RecordBatch) -> Result<Vec<GroupKey>, ViewError> {
        if self.query.is_global() {
            return Ok(vec![GroupKey(Vec::new()); rows.num_rows()]);
        }
        let failed = |error: arrow::error::ArrowError| ViewError::Failed(error.to_string());
        let columns = rows.project(&self.query.key_columns).map_err(failed)?;
        let converter = RowConverter::new(key_fields(&self.query.key_types)).map_err(failed)?;
        let keys = converter
            .convert_columns(&canonical(columns.columns()))
            .map_err(failed)?;
        Ok(keys.iter().map(|key| GroupKey(key.data().to_vec())).collect())
    }
}
