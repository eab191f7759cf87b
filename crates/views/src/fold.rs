//! Folding into one view. Only the threads that follow its streams call what is here.
//!
//! Each stream's thread gathers events in a turn of its own. The end of a turn merges what it gathered into the view's rows, one turn after another:
//! states merge, so that it makes no difference which stream's turn ends first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arrow::record_batch::RecordBatch;
use headwater_catalog::{Shape, ViewDefinition};
use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_stores::{EntryOf, Header, Store};
use parking_lot::{Mutex, RwLock, RwLockUpgradableReadGuard};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::decode::StreamDecoder;
use crate::entries::{EntriesOf, Lists};
use crate::folder::{self, StoreFolder};
use crate::freshness::Freshness;
use crate::gone::{Gone, end_of_all};
use crate::image::Image;
use crate::lake::{Lake, Standing};
use crate::pace::Pace;
use crate::query::{Query, compile};
use crate::resident::Resident;
use crate::row;
use crate::shapes::Edges;
use crate::side_by_side::side_by_side;
use crate::snapshots::Snapshots;
use crate::status::end_of;
use crate::turn::{Changed, Turn};
use crate::{View, ViewError, ViewOptions, ViewSpec};

/// What a view keeps its rows in beside its store, or instead of it.
#[derive(Default)]
pub(crate) struct Kept {
    pub image: Option<Box<dyn Image>>,
    pub lake: Option<Lake>,
}

/// A view that is compiled and not opened yet.
pub(crate) struct Compiled {
    pub query: Query,
    pub edges: Option<Edges>,
    /// By stream.
    pub decoders: BTreeMap<String, Arc<StreamDecoder>>,
    /// Equal where rows are kept alike, and what is kept beside them.
    pub meaning: u64,
    /// That, and which of the view's versions it is.
    pub fingerprint: u64,
}

/// What a view's store keeps beside the position: `built u8, rows u64, parked u64, lacking u64`, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Note {
    is_built: bool,
    rows: u64,
    parked: u64,
    lacking: u64,
}

/// Compiles a view against the streams that it reads.
pub(crate) fn compile_view(spec: &ViewSpec, log: &EventLog) -> Result<Compiled, ViewError> {
    let query = compile(spec)?;
    let edges = Edges::of(spec.definition.shape.as_ref(), &query)?;
    let mut decoders: BTreeMap<String, Arc<StreamDecoder>> = BTreeMap::new();
    let mut meaning = query.fingerprint.clone();
    for stream in query.streams() {
        let Some(decoder) = spec.decoders.iter().find(|decoder| decoder.stream() == stream) else {
            return Err(ViewError::Refused {
                part: format!("'{stream}', which is no stream,"),
                hint: ": a materialized view reads streams; ask questions over views with a plain view (CREATE VIEW name AS SELECT …)".to_owned(),
            });
        };
        let id = log.stream(stream).map_or(0, |info| info.id);
        let reading = decoder.definition().reading;
        meaning.push_str(&format!("\nstream {id:032x} read {reading}"));
        decoders.insert(stream.to_owned(), Arc::new(decoder.clone()));
    }
    // What stands beside the rows follows from the shape: with another one it is made anew. A document has nothing beside them: whatever its rows
    // show is made of their states when they are read.
    let shape = spec.definition.shape.as_ref();
    meaning.push_str(&format!("\nstored as {shape:?}"));
    if shape != Some(&Shape::Document) {
        meaning.push_str(&query.surface);
    }
    let version = spec.definition.version;
    Ok(Compiled {
        fingerprint: folder::fingerprint(&format!("{meaning}\nversion {version}")),
        meaning: folder::fingerprint(&meaning),
        query,
        edges,
        decoders,
    })
}

impl View {
    /// Opens a compiled view on its store, which is in `path`, at the position that the store has.
    pub(crate) fn open(
        spec: &ViewSpec,
        compiled: Compiled,
        log: EventLog,
        folder: Arc<StoreFolder>,
        kept: Kept,
        options: &ViewOptions,
    ) -> Result<View, ViewError> {
        let is_in_memory = folder.path().is_none();
        let Kept { image, lake } = kept;
        let store = &folder.store;
        let standing = match &lake {
            Some(lake) if compiled.query.is_per_event => lake.table.standing().unwrap_or_default(),
            _ => Standing {
                position: store.position().unwrap_or_default(),
                note: store.note()?.unwrap_or_default(),
            },
        };
        if let (Some(image), Some(position)) = (&image, store.position()) {
            image.settle(store.reader(), &position)?;
        }
        let note = Note::read(&standing.note);
        let position = standing.position;
        let snapshots = Snapshots::after(store.as_ref())?;
        // Of a view with a KEY the store may hold what deleted rows leave behind.
        let is_complete = note.rows == 0 && (!compiled.query.is_keyed || store.position().is_none());
        let mut resident = Resident::new(position.clone(), note.rows, is_complete, snapshots);
        resident.gone = Gone::in_store(compiled.query.is_keyed && store.position().is_some());
        resident.published = lake.as_ref().map(|lake| lake.table.source());
        if is_in_memory {
            resident.keep_order();
        }
        let target = end_of(&log, &compiled.query);
        let has_entries = compiled.query.has_entries();
        Ok(View {
            definition: spec.definition.clone(),
            said: RwLock::new(Arc::new(spec.definition.clone())),
            query: compiled.query,
            decoders: RwLock::new(compiled.decoders),
            meaning: compiled.meaning,
            fingerprint: compiled.fingerprint,
            log,
            image,
            edges: compiled.edges,
            lake,
            folder,
            resident: RwLock::new(resident),
            folding: Mutex::new(()),
            position: watch::Sender::new(position),
            freshness: Freshness::new(&spec.definition, options),
            stopped: Mutex::new(None),
            target,
            is_next: AtomicBool::new(false),
            is_built: AtomicBool::new(note.is_built),
            is_retired: AtomicBool::new(false),
            is_replaced: AtomicBool::new(false),
            is_frozen: AtomicBool::new(false),
            doubts: AtomicUsize::new(0),
            lacking: AtomicU64::new(note.lacking),
            parked: AtomicU64::new(note.parked),
            folded: AtomicU64::new(0),
            pace: Pace::default(),
            snapshot_events: match is_in_memory || has_entries {
                // A rewind begins at the first event: snapshots would take memory without a bound, and entries have none.
                true => u32::MAX,
                false => options.snapshot_events.max(1),
            },
            is_concentrated: AtomicBool::new(false),
        })
    }

    /// A turn over its query.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, ViewError> {
        let hasher = self.resident.read().hasher().clone();
        Ok(Turn::new(&self.query, hasher)?)
    }

    /// Ends a turn, in parts, that took all events of a stream from the view's position up to `position`: what it changed becomes visible at once.
    pub(crate) fn end_turn(
        &self,
        mut parts: Vec<Turn<'_>>,
        position: &Position,
        counts: Counts,
    ) -> Result<(), ViewError> {
        let _folding = self.folding.lock();
        let mut changed = {
            let resident = self.resident.read();
            if !resident.is_complete {
                parts.iter_mut().for_each(Turn::look_up_in_order);
            }
            let (rows, store): (&Resident, &dyn Store) = (&resident, self.folder.store.as_ref());
            let stored = |hash, key: &[u8]| -> Result<Option<Cow<'_, [u8]>>, ViewError> {
                match rows.get(hash, key) {
                    Some(value) => Ok(Some(Cow::Borrowed(value))),
                    None if rows.is_complete => Ok(None),
                    None => Ok(store.get(key)?.map(Cow::Owned)),
                }
            };
            let has_entry = |key: &[u8], place: &[u8]| -> Result<bool, ViewError> {
                Ok(rows.entries.has(key, place) || store.entry(key, place)?.is_some())
            };
            let changed = side_by_side(parts, |part| part.finish(stored, has_entry)).into_iter();
            changed.collect::<Result<Vec<Changed>, ViewError>>()?
        };
        let added = changed
            .iter_mut()
            .flat_map(|part| std::mem::take(&mut part.added))
            .collect();
        {
            let mut resident = self.resident.write();
            resident.position.advance_all(position);
            self.parked.fetch_add(counts.parked, Ordering::Relaxed);
            self.lacking.fetch_add(counts.lacking, Ordering::Relaxed);
            let mut value = Vec::new();
            let mut gone: Vec<Vec<u8>> = Vec::new();
            for changed in changed.iter().flat_map(Changed::iter) {
                if !changed.is_there {
                    gone.push(changed.key.to_vec());
                }
                let is_due = changed.age >= self.snapshot_events;
                if is_due {
                    resident.snapshots.keep(changed.key, changed.state);
                }
                row::write(if is_due { 0 } else { changed.age }, changed.state, &mut value);
                resident.put(changed.hash, changed.key, &value, changed.added);
            }
            for (key, place, value) in changed.iter().flat_map(Changed::entries) {
                resident.entries.put(key, place, value);
            }
            let Resident {
                snapshots, position, ..
            } = &mut *resident;
            snapshots.moment(position);
            if !gone.is_empty() {
                resident.gone.note(gone, end_of_all(&self.log, &self.query));
            }
            let folded = self.folded.fetch_add(counts.events, Ordering::Relaxed) + counts.events;
            if !self.is_built.load(Ordering::Acquire) {
                self.pace.note(Instant::now(), folded);
            }
            self.add_rows(&mut resident, added)?;
            if let Some(lake) = &self.lake {
                let changed = changed.iter().flat_map(Changed::iter);
                lake.note_keys(changed.map(|changed| changed.key));
            }
        }
        self.freshness.changed();
        self.position.send_modify(|at| at.advance_all(position));
        Ok(())
    }

    /// Rows of a view that has one for each event: they wait for its table.
    fn add_rows(&self, resident: &mut Resident, added: Vec<RecordBatch>) -> Result<(), ViewError> {
        for rows in added {
            resident.rows += rows.num_rows() as u64;
            let taken = resident.waiting.take(rows);
            taken.map_err(|error| ViewError::Failed(error.to_string()))?;
        }
        let fresh_bytes = resident.waiting.fresh_bytes();
        if fresh_bytes > 0
            && let Some(lake) = &self.lake
        {
            lake.note_rows(fresh_bytes);
        }
        Ok(())
    }

    /// What is kept beside the position. Under the lock of the resident rows, so that it speaks of the same events.
    pub(crate) fn note(&self, resident: &Resident) -> Vec<u8> {
        let note = Note {
            is_built: self.is_built.load(Ordering::Acquire),
            rows: resident.rows,
            parked: self.parked.load(Ordering::Relaxed),
            lacking: self.lacking.load(Ordering::Relaxed),
        };
        note.bytes()
    }

    /// Commits the changed rows and the position in one write, where anything changed.
    pub(crate) fn flush(&self) -> Result<(), ViewError> {
        self.flush_then(|_| ())
    }

    /// Commits, and does a step before any row changes again: the store has all rows then, as of the position given.
    pub(crate) fn flush_then<T>(&self, then: impl FnOnce(&Position) -> T) -> Result<T, ViewError> {
        // Readers go on meanwhile; who would change rows, or commit too, waits.
        let resident = self.resident.upgradable_read();
        if let Some(lake) = &self.lake
            && !self.is_noted_built()
        {
            // Its table is written by a thread of its own.
            lake.commit_now();
        }
        if self.is_per_event() {
            self.freshness.flushed();
            return Ok(then(&resident.position));
        }
        let note = self.note(&resident);
        let store = &self.folder.store;
        let is_same =
            store.position().as_ref() == Some(&resident.position) && store.note()?.is_some_and(|bytes| bytes == note);
        if is_same {
            self.freshness.flushed();
            return Ok(then(&resident.position));
        }
        let begun = Instant::now();
        if let Some(image) = &self.image {
            let entries = EntriesOf {
                pending: &resident.entries,
                store: None,
            };
            let changes = self.changes(resident.dirty(), &Lists::of(entries))?;
            image.commit(&changes, &resident.position)?;
        }
        let (gone, look) = (self.sweepable(&resident)?, self.look_for_places(&resident)?);
        let stays = resident.dirty().filter(|(key, _)| !gone.contains(*key));
        let goes = gone.iter().map(Vec::as_slice);
        let links = match &self.edges {
            Some(edges) if !self.is_in_memory() => {
                let stays = stays.clone().map(|(key, _)| (key, true));
                edges.links(stays.chain(goes.clone().map(|key| (key, false))))?
            }
            _ => Vec::new(),
        };
        let entries: Vec<EntryOf<'_>> = match self.is_in_memory() {
            true => Vec::new(),
            false => resident.entries.to_write().collect(),
        };
        let (snapshots, moments) = resident.snapshots.waiting();
        let header = Header {
            position: &resident.position,
            note: &note,
            snapshots,
            moments,
            links: &links,
            entries: &entries,
        };
        // Rows in memory stay where they are, unless an image is read together with them as of a commit.
        let written = stays.take_while(|_| !self.is_in_memory() || self.image.is_some());
        let written = written.map(|(key, value)| (key, Some(value)));
        store.commit(&mut written.chain(goes.map(|key| (key, None))), header)?;
        if let Some(image) = &self.image {
            image.settle(store.reader(), &resident.position)?;
        }
        self.freshness.flushed();
        self.freshness.took(begun.elapsed());
        let mut resident = RwLockUpgradableReadGuard::upgrade(resident);
        resident.committed();
        self.swept(&mut resident, &gone, look);
        Ok(then(&resident.position))
    }

    /// Keeps to the bounds: flushes where much has changed, drops clean rows where many are resident.
    pub(crate) fn keep_bounds(&self, options: &ViewOptions) -> Result<(), ViewError> {
        if self.is_in_memory() {
            return self.check_memory();
        }
        let (dirty_bytes, bytes) = {
            let resident = self.resident.read();
            (resident.dirty_bytes(), resident.bytes())
        };
        if dirty_bytes >= options.flush_bytes || (bytes > options.resident_bytes_max && dirty_bytes > 0) {
            self.flush()?;
        }
        if bytes > options.resident_bytes_max {
            self.resident.write().evict(options.resident_bytes_max);
        }
        Ok(())
    }

    /// Marks it built when it has got to where its stream ended when it was opened; `true` the first time.
    pub(crate) fn note_built(&self) -> bool {
        if self.is_built.load(Ordering::Acquire) || !self.position.borrow().covers(&self.target) {
            return false;
        }
        !self.is_built.swap(true, Ordering::AcqRel)
    }

    /// Whether its table says that it is built, where it is: in its note, or by having any rows at all.
    fn is_noted_built(&self) -> bool {
        let is_built = self.is_built.load(Ordering::Acquire);
        let noted = self.lake.as_ref().and_then(|lake| lake.table.standing());
        !is_built || noted.is_some_and(|standing| !self.is_per_event() || Note::read(&standing.note).is_built)
    }

    /// Whether its table, where it is to have one, says that it is built: a version is asked only once it would be after a crash, too.
    pub(crate) fn has_its_table(&self) -> bool {
        self.lake.is_none() || self.is_noted_built()
    }

    /// How it decodes a stream; `None` where it does not read it.
    pub(crate) fn decoder(&self, stream: &str) -> Option<Arc<StreamDecoder>> {
        self.decoders.read().get(stream).cloned()
    }

    /// Lets it decode its streams otherwise. What it has folded must be the same rows then; and it folds nothing of them meanwhile.
    pub(crate) fn read_with(&self, decoders: BTreeMap<String, Arc<StreamDecoder>>) {
        *self.decoders.write() = decoders;
    }

    /// Takes a definition on that makes the same rows: its settings are in force from now on.
    pub(crate) fn redefine(&self, definition: &ViewDefinition, options: &ViewOptions) {
        self.freshness.redefine(definition, options);
        if let Some(lake) = &self.lake {
            lake.redefine(&definition.settings);
        }
        *self.said.write() = Arc::new(definition.clone());
    }

    /// Whether it is to take the place of an older version, which is still asked.
    pub(crate) fn is_next(&self) -> bool {
        self.is_next.load(Ordering::Acquire)
    }

    /// Lets it stand still where it is: its stream is read otherwise from here on, and a version that does so is being built. It may be asked meanwhile.
    pub(crate) fn freeze(&self) {
        self.is_frozen.store(true, Ordering::Release);
    }

    /// Stops it: nothing is folded into it or read from it any more.
    pub(crate) fn stop(&self, why: &str) {
        *self.stopped.lock() = Some(why.to_owned());
        self.position.send_modify(|_| {});
    }
}

/// What a turn counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Events taken, those that did not fit included.
    pub events: u64,
    /// Events that did not fit.
    pub parked: u64,
    /// Offsets passed by because they were no longer kept.
    pub lacking: u64,
}

impl Note {
    fn read(bytes: &[u8]) -> Note {
        let number = |at: usize| {
            bytes
                .get(at..at + 8)
                .and_then(|bytes| bytes.try_into().ok())
                .map_or(0, u64::from_le_bytes)
        };
        Note {
            is_built: bytes.first() == Some(&1),
            rows: number(1),
            parked: number(9),
            lacking: number(17),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.is_built)];
        bytes.extend_from_slice(&self.rows.to_le_bytes());
        bytes.extend_from_slice(&self.parked.to_le_bytes());
        bytes.extend_from_slice(&self.lacking.to_le_bytes());
        bytes
    }
}
