//! Following one stream: a thread that reads what is new once, decodes it once, and folds it into every view of the stream.
//!
//! ```text
//!           commit                     turn                                     publish
//! log ───────────────> thread ─> read ─> decode ─> park ─> fold into each view ─────────> readers, waiters
//!                        │                                                        flush: bytes, time ─> store
//! ```
//!
//! Views at the same position share a turn. One that was just made folds on its own until it has caught up, in smaller turns, so that the
//! others keep up. A view of several streams has a thread for each: they meet at the end of a turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use headwater_catalog::Catalog;
use headwater_eventlog::{EventLog, ReadError};
use headwater_records::Position;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::decode::portions;
use crate::parking::Parking;
use crate::share::{Reader, Share};
use crate::{View, ViewOptions};

/// How much is read of one partition at once, when far behind.
const READ_BYTES: usize = 4 * 1024 * 1024;
/// How much one turn reads of all partitions.
const TURN_BYTES: usize = 16 * 1024 * 1024;
/// How much one turn reads while views stand at several positions: nobody waits long for another's history.
const SHARED_TURN_BYTES: usize = 1024 * 1024;
/// How many events are decoded into one Arrow batch.
const DECODE_EVENTS: usize = 8_192;
/// How often a build says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

const RUN: u8 = 0;
const STOP: u8 = 1;
const FLUSH_AND_STOP: u8 = 2;

/// Called when a new version of a view may take the place of the one before it.
pub(crate) type OnBuilt = Arc<dyn Fn(&Arc<View>) + Send + Sync>;

/// A stream being followed.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stream: String,
    members: Mutex<Vec<Arc<View>>>,
    wake: Arc<Notify>,
    mode: AtomicU8,
    /// How many want it to pause.
    pauses: AtomicUsize,
    /// Held during a turn.
    turning: Mutex<()>,
}

/// While it lives, nothing is folded from one stream.
pub struct Paused {
    shared: Arc<Shared>,
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.shared.pauses.fetch_sub(1, Ordering::AcqRel);
        self.shared.wake.notify_one();
    }
}

impl Follower {
    /// Starts to follow a stream.
    pub(crate) fn start(
        log: EventLog,
        catalog: Catalog,
        stream: &str,
        options: ViewOptions,
        on_built: OnBuilt,
    ) -> std::io::Result<Follower> {
        let shared = Arc::new(Shared {
            stream: stream.to_owned(),
            members: Mutex::new(Vec::new()),
            wake: Arc::default(),
            mode: AtomicU8::new(RUN),
            pauses: AtomicUsize::new(0),
            turning: Mutex::new(()),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let mut following = Following {
            parking: Parking::new(log.clone(), catalog, stream),
            commits: log.commits(),
            shared: shared.clone(),
            log,
            options,
            on_built,
            first_partition: 0,
            progress_at: None,
        };
        let thread = std::thread::Builder::new()
            .name(format!("fold {stream}"))
            .spawn(move || runtime.block_on(following.run()))?;
        Ok(Follower {
            shared,
            thread: Some(thread),
        })
    }

    /// Folds into this view, too.
    pub(crate) fn add(&self, view: Arc<View>) -> std::io::Result<()> {
        if let Some(lake) = &view.lake {
            lake.start(&view, Arc::clone(&self.shared.wake))?;
        }
        self.shared.members.lock().push(view);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Ends the turn under way and begins none until what comes back goes. Blocks for as long as a turn takes.
    pub(crate) fn pause(&self) -> Paused {
        self.shared.pauses.fetch_add(1, Ordering::AcqRel);
        let paused = Paused {
            shared: Arc::clone(&self.shared),
        };
        drop(self.shared.turning.lock());
        paused
    }

    /// Looks at the views' marks again.
    pub(crate) fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// Flushes every view and ends.
    pub(crate) fn close(mut self) {
        self.end(FLUSH_AND_STOP);
    }

    fn end(&mut self, mode: u8) {
        self.shared.mode.store(mode, Ordering::Release);
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Follower {
    /// Ends without a flush: what was not committed is folded again from the log.
    fn drop(&mut self) {
        self.end(STOP);
    }
}

/// The thread's own.
struct Following {
    log: EventLog,
    parking: Parking,
    commits: watch::Receiver<u64>,
    shared: Arc<Shared>,
    options: ViewOptions,
    on_built: OnBuilt,
    /// The partition that the next turn begins with, so that none is starved.
    first_partition: u32,
    progress_at: Option<Instant>,
}

impl Following {
    async fn run(&mut self) {
        loop {
            let mode = self.shared.mode.load(Ordering::Acquire);
            if mode != RUN {
                if mode == FLUSH_AND_STOP {
                    self.flush_all();
                }
                self.shared.members.lock().clear();
                return;
            }
            self.commits.borrow_and_update();
            let progressed = self.round_unless_paused();
            self.flush_when_due();
            if !progressed {
                self.wait().await;
            }
        }
    }

    fn round_unless_paused(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let _turning = shared.turning.lock();
        shared.pauses.load(Ordering::Acquire) == 0 && self.round()
    }

    /// One turn for every group of views that stand at the same position. `true`: something was folded.
    fn round(&mut self) -> bool {
        let members = self.members();
        let ready: Vec<Arc<View>> = members.iter().filter(|view| !view.is_full()).cloned().collect();
        let groups = groups(&ready, &self.shared.stream);
        let turn_bytes = if groups.len() > 1 {
            SHARED_TURN_BYTES
        } else {
            TURN_BYTES
        };
        let mut progressed = false;
        for group in &groups {
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn(group, turn_bytes)));
            match turn {
                Ok(Ok(events)) => progressed |= events > 0,
                Ok(Err(why)) => group.iter().for_each(|view| stop(view, &why)),
                Err(_) => group
                    .iter()
                    .for_each(|view| stop(view, "folding panicked; its log line says where")),
            }
        }
        for view in &members {
            if view.note_built() {
                flush(view);
            }
            if view.is_next.load(Ordering::Acquire) && view.building().is_none() {
                (self.on_built)(view);
            }
        }
        self.say_progress(&members);
        progressed
    }

    /// The views to fold into. Those that stopped, stand still, were dropped or were replaced leave.
    fn members(&self) -> Vec<Arc<View>> {
        let mut members = self.shared.members.lock();
        let is_over = |view: &View| view.is_retired.load(Ordering::Acquire) || view.is_frozen.load(Ordering::Acquire);
        members.retain(|view| !is_over(view) && view.stopped.lock().is_none());
        members.clone()
    }

    /// Reads on from where the views of a group stand, and folds it into all of them. The number of events; an error concerns all views.
    fn turn(&mut self, group: &[Arc<View>], turn_bytes: usize) -> Result<u64, String> {
        let Some(first) = group.first() else {
            return Ok(0);
        };
        let stream = self.shared.stream.clone();
        let Some(partitions) = self.log.stream(&stream).map(|info| info.partitions) else {
            return Err(format!("there is no stream '{stream}' any more"));
        };
        let offsets = first.offsets(&stream);
        let reader = Reader::of(group, &stream)?;
        let mut shares: Vec<Share<'_>> = group.iter().map(|view| Share::new(view, &stream)).collect();
        let mut position = Position::new();
        let (mut bytes, mut events) = (0, 0);
        for step in 0..partitions {
            let partition = (self.first_partition + step) % partitions;
            if bytes >= turn_bytes {
                self.first_partition = partition;
                break;
            }
            let stands = offsets.get(&partition).copied().unwrap_or(0);
            let Some(kept) = self.log.offsets(&stream, partition) else {
                continue;
            };
            // What a view had not folded before it went, it lacks.
            let from = stands.max(kept.start);
            let batches = match self.log.read(&stream, partition, from, READ_BYTES.min(turn_bytes)) {
                Ok(batches) => batches,
                // Deleted meanwhile: the next turn begins where the stream does then.
                Err(ReadError::OutOfRange { .. }) => continue,
                Err(error) => return Err(error.to_string()),
            };
            if from > stands {
                say_lacking(group, &stream, partition, stands, from);
                shares.iter_mut().for_each(|share| share.lacks(from - stands));
            }
            let Some(last) = batches.last() else {
                // Nothing is left up to where everything is decided: the views stand there.
                if stands < kept.stable {
                    events += kept.stable - stands;
                    position.set(&stream, partition, kept.stable.max(from));
                }
                continue;
            };
            bytes += batches.iter().map(|stored| stored.batch.bytes().len()).sum::<usize>();
            events += last.batch.next_offset() - from;
            for portion in portions(&batches, DECODE_EVENTS) {
                let events = reader.decode(partition, portion, from);
                self.parking.park(&events.parked)?;
                for share in &mut shares {
                    share.take(&events, &position, &mut self.parking)?;
                }
            }
            position.set(&stream, partition, last.batch.next_offset());
        }
        if events > 0 {
            for (view, share) in group.iter().zip(shares) {
                if let Err(error) = share.finish(events, &position, &self.options) {
                    stop(view, &error.to_string());
                }
            }
        }
        Ok(events)
    }

    fn flush_when_due(&self) {
        let now = Instant::now();
        for view in self.members() {
            if view.freshness.due().is_some_and(|due| due <= now) {
                flush(&view);
            }
        }
    }

    fn flush_all(&self) {
        for view in self.members() {
            flush(&view);
        }
    }

    /// Waits for a commit, a change of the views, or the time to flush.
    async fn wait(&mut self) {
        let members = self.members();
        let due = members.iter().filter_map(|view| view.freshness.due()).min();
        drop(members);
        let flush_due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let committed = async {
            if self.commits.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = committed => {}
            () = self.shared.wake.notified() => {}
            () = flush_due => {}
        }
    }

    fn say_progress(&mut self, members: &[Arc<View>]) {
        if !members.iter().any(|view| view.building().is_some()) {
            self.progress_at = None;
            return;
        }
        let begun = *self.progress_at.get_or_insert_with(Instant::now);
        if begun.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.progress_at = Some(Instant::now());
        for view in members {
            if let Some((folded, total)) = view.building() {
                tracing::info!(
                    view = view.definition.name,
                    "building: {folded} of {total} events folded"
                );
            }
        }
    }
}

/// Says which events went before these views had folded them.
fn say_lacking(group: &[Arc<View>], stream: &str, partition: u32, from: u64, to: u64) {
    for view in group {
        tracing::warn!(
            view = view.definition.name,
            "offsets {from}..{to} of {stream}/{partition} are no longer kept: the view is without them"
        );
    }
}

/// The views by where they stand in a stream (and by how they read it).
fn groups(members: &[Arc<View>], stream: &str) -> Vec<Vec<Arc<View>>> {
    let mut groups: Vec<Vec<Arc<View>>> = Vec::new();
    for view in members {
        let shares = |group: &&mut Vec<Arc<View>>| {
            group.first().is_some_and(|other| {
                other.offsets(stream) == view.offsets(stream) && other.decoder(stream) == view.decoder(stream)
            })
        };
        match groups.iter_mut().find(shares) {
            Some(group) => group.push(view.clone()),
            None => groups.push(vec![view.clone()]),
        }
    }
    groups
}

fn flush(view: &View) {
    if let Err(error) = view.flush() {
        stop(view, &error.to_string());
    }
}

fn stop(view: &View, why: &str) {
    tracing::error!(view = view.definition.name, "the view stopped: {why}");
    view.stop(why);
    view.forget();
}
