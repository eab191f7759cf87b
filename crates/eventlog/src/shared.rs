//! What the facade, the writer and the keeper share.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_host::Host;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::append::journal::format::Entry;
use crate::append::journal::writer::JournalWriter;
use crate::append::room::Room;
use crate::append::sequencer::Sequencer;
use crate::append::{AppendError, Appended};
use crate::entities::desk::Desk;
use crate::error::StreamError;
use crate::keep::behind::Behind;
use crate::keep::segment::reader::SegmentReader;
use crate::open::folder::Claim;
use crate::options::LogOptions;
use crate::read::damaged::DamagedPlaces;
use crate::read::stretch::Stretches;
use crate::read::taken_back::Lists;
use crate::read::watching::Watchers;
use crate::streams::{Partition, Stream};
use crate::tend::folded::Asked;
use crate::tend::tending::Tending;
use crate::told::LogMetrics;
use crate::wait::block_on;

/// The open log's parts.
pub(crate) struct Shared {
    pub(crate) host: Host,
    pub(crate) dir: PathBuf,
    pub(crate) options: LogOptions,
    /// The most bytes one append may take in a frame.
    pub(crate) append_bytes_max: usize,
    pub(crate) sequencer: Sequencer,
    /// For whoever has a group in hand; `None` where the log cannot be written to.
    pub(crate) journal: Mutex<Option<JournalWriter>>,
    /// Seeds the terms of entity indexes.
    pub(crate) term_key: u64,
    /// Grows with every index that is made: whoever asked all of them asks again.
    pub(crate) indexes: Arc<AtomicU64>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) streams: RwLock<Streams>,
    pub(crate) principals: RwLock<Vec<Arc<str>>>,
    /// Held for writing while the high watermarks of one group move, so that a position never shows half of an append.
    pub(crate) watermarks: RwLock<()>,
    pub(crate) commits: watch::Sender<u64>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) pending: Semaphore,
    pub(crate) behind: Behind,
    pub(crate) room: Room,
    pub(crate) reader: SegmentReader,
    pub(crate) stretches: Stretches,
    pub(crate) damaged: DamagedPlaces,
    /// Which lists of what was taken back are not what was written.
    pub(crate) lists: Lists,
    pub(crate) counters: Counters,
    pub(crate) tending: Tending,
    /// Whose work has to be written before events go.
    pub(crate) folded: Asked,
    /// Creating and dropping streams, one at a time.
    pub(crate) definitions: Mutex<()>,
    pub(crate) producer_ids: Mutex<ProducerIds>,
    /// That the folder is this log's.
    pub(crate) claim: Claim,
}

/// The streams by name and by id.
#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) by_name: BTreeMap<String, Arc<Stream>>,
    pub(crate) by_id: HashMap<u128, Arc<Stream>>,
}

/// The block of producer ids in hand.
pub(crate) struct ProducerIds {
    pub(crate) next: i64,
    pub(crate) reserved: i64,
}

/// What the log counts.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) events: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) flush_us: AtomicU64,
    pub(crate) flush_us_max: AtomicU64,
}

impl Streams {
    pub(crate) fn add(&mut self, stream: Arc<Stream>) {
        self.by_id.insert(stream.id, stream.clone());
        self.by_name.insert(stream.name.to_string(), stream);
    }

    pub(crate) fn find(&self, stream: u128, partition: u32) -> Option<&Arc<Partition>> {
        self.by_id.get(&stream)?.partition(partition)
    }

    pub(crate) fn remove(&mut self, stream: &Stream) {
        self.by_id.remove(&stream.id);
        self.by_name.remove(stream.name.as_ref());
    }
}

impl Counters {
    pub(crate) fn read(&self) -> LogMetrics {
        LogMetrics {
            events: self.events.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            flush_us: self.flush_us.load(Ordering::Relaxed),
            flush_us_max: self.flush_us_max.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    pub(crate) fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.streams.read().by_name.get(name).cloned()
    }

    /// Tells everybody that waits that the set of streams is another, or that there will be no news.
    pub(crate) fn streams_changed(&self) {
        self.commits.send_modify(|commits| *commits += 1);
        self.watchers.tell_all();
    }

    /// Stops all writing: a failed write or flush leaves the disk in a state that only recovery may judge.
    pub(crate) fn stop(&self, why: &str) {
        if self.sequencer.stop(why) {
            tracing::error!("the log stopped writing: {why}");
        }
        self.pending.close();
        self.behind.fail(why);
        self.streams_changed();
    }

    /// Makes entries that are no batches durable, if `still` holds when they are sequenced; says whether it did.
    pub(crate) fn write_entries(&self, entries: Vec<Entry>, still: impl FnOnce() -> bool) -> Result<bool, StreamError> {
        let (reply, outcome) = oneshot::channel();
        if !self.sequencer.submit_entries(entries, reply, still) {
            return Ok(false);
        }
        match self.outcome(block_on(outcome)) {
            Ok(_) => Ok(true),
            Err(AppendError::Stopped { why }) => Err(StreamError::Stopped(why)),
            Err(AppendError::Full { why }) => Err(StreamError::Full(why)),
            Err(other) => Err(StreamError::Stopped(other.to_string())),
        }
    }

    pub(crate) fn outcome(
        &self,
        outcome: Result<Result<Appended, AppendError>, oneshot::error::RecvError>,
    ) -> Result<Appended, AppendError> {
        outcome.unwrap_or_else(|_| {
            let why = self
                .sequencer
                .stopped()
                .unwrap_or_else(|| "its writer ended".to_owned());
            Err(AppendError::Stopped { why })
        })
    }
}
