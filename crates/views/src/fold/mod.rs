//! Folding into one view. Only the threads that follow its streams call what is here.
//!
//! Each stream's thread gathers events in a turn of its own. The end of a turn merges what it gathered into the view's rows, one turn after another:
//! states merge, so that it makes no difference which stream's turn ends first.

pub(crate) mod careful;
pub(crate) mod foresee;
pub(crate) mod keyed;
pub(crate) mod lateral;
pub(crate) mod parked_again;
pub(crate) mod parts;
pub(crate) mod share;
pub(crate) mod stage;
pub(crate) mod touching;
pub(crate) mod turn;
pub(crate) mod unnest;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arrow::record_batch::RecordBatch;
use headwater_catalog::{Shape, ViewDefinition};
use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_stores::Store;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::decode::StreamDecoder;
use crate::fold::turn::{Changed, Turn};
use crate::follow::hurry::Hurry;
use crate::follow::log_room::LogRoom;
use crate::follow::pace::Pace;
use crate::follow::side_by_side::side_by_side;
use crate::lake::{Lake, Standing};
use crate::query::Query;
use crate::rows::flush::Note;
use crate::rows::folder::{self, StoreFolder};
use crate::rows::freshness::Freshness;
use crate::rows::gone::{Gone, end_of_all};
use crate::rows::image::Image;
use crate::rows::left_out::LeftOut;
use crate::rows::resident::Resident;
use crate::rows::row;
use crate::rows::snapshots::Snapshots;
use crate::rows::texts::Texts;
use crate::shapes::Edges;
use crate::status::end_of;
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

/// Compiles a view against the streams that it reads.
pub(crate) fn compile_view(spec: &ViewSpec, log: &EventLog) -> Result<Compiled, ViewError> {
    let mut query = Query::compile(spec)?;
    query.partition_by(spec.definition.shape.as_ref());
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
        resident.texts = Texts::new(options.texts_bytes_max(&spec.definition));
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
            left_out: LeftOut::default(),
            folder,
            resident: Arc::new(RwLock::new(resident)),
            folding: Mutex::new(()),
            position: watch::Sender::new(position),
            hurry: Hurry::default(),
            freshness: Freshness::new(&spec.definition, options),
            stopped: Mutex::new(None),
            last_folded: Mutex::new(note.last),
            made_anew: None,
            held_up: Mutex::new(None),
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
            lists_shown: options.lists_shown,
            log_room: LogRoom::default(),
            doubtful: Mutex::new(Position::new()),
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
            resident.is_whole = false;
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
            resident.advance(position);
            let Resident {
                snapshots, position, ..
            } = &mut *resident;
            snapshots.moment(position);
            if let Some(newest) = changed.iter().filter_map(|part| part.newest_gone).max() {
                resident.gone.note(gone, newest, end_of_all(&self.log, &self.query));
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
            resident.is_whole = true;
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

    /// Marks it built when it has got to where its stream ended when it was opened; `true` the first time.
    pub(crate) fn note_built(&self) -> bool {
        if self.is_built.load(Ordering::Acquire) || !self.position.borrow().covers(&self.target) {
            return false;
        }
        !self.is_built.swap(true, Ordering::AcqRel)
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

    /// Stops it: nothing is folded into it or read from it any more. `false`: it had stopped already, and says why it did then.
    pub(crate) fn stop(&self, why: &str) -> bool {
        let is_first = {
            let mut stopped = self.stopped.lock();
            let is_first = stopped.is_none();
            stopped.get_or_insert_with(|| why.to_owned());
            is_first
        };
        self.position.send_modify(|_| {});
        is_first
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
