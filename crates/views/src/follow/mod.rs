//! Following one stream: what is new is read once, decoded once, and folded into every view of the stream.
//!
//! ```text
//!           commit                      turn                                       publish
//! log ───────────────> lane ─> read ─> decode ─> park ─> fold into each view ──────────────> readers, waiters
//!                        │     │                                                    flush: bytes, time ─> store
//!                        │     └─ a moment later, where nobody waits: what gathered meanwhile is one turn
//!         lane "fold":   views that are up to date
//!         lane "build":  views that are far behind, until they are not
//! ```
//!
//! A lane is a thread. Views that are being built, or come back after a long time, have one of their own, so that they take large turns and those
//! that are up to date wait for nobody. What a turn reads, and who takes it, says [`crate::follow::reading`]; what can be done by several threads at once
//! is ([`crate::follow::side_by_side`]). A view of several streams has lanes of each: they meet at the end of a turn.
//!
//! Invariant: a view is in one lane of a stream at a time, so that each event is folded into it once.

pub(crate) mod decoded;
pub(crate) mod hurry;
pub(crate) mod lag;
pub(crate) mod log_room;
pub(crate) mod pace;
pub(crate) mod parking;
pub(crate) mod reading;
pub(crate) mod side_by_side;
pub(crate) mod swelling;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use headwater_catalog::Catalog;
use headwater_eventlog::{EventLog, Watch};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::fold::share::Share;
use crate::follow::parking::Parking;
use crate::follow::reading::{Course, Unreadable};
use crate::follow::side_by_side::{cores, on_threads};
use crate::follow::swelling::Swelling;
use crate::limits::UP_TO_DATE_EVENTS;
use crate::{Panicked, View, ViewError, ViewOptions, caught};

/// How much a turn takes, slice by slice: the more events a turn has, the more of them meet in one group, and a group's stored state is merged and
/// written once a turn.
const TURN_BYTES: usize = 32 * 1024 * 1024;
/// How much it takes of views that are being built, for which nobody waits.
const BUILD_TURN_BYTES: usize = 4 * TURN_BYTES;
/// How much a turn holds in memory of it for one view,
const TURN_MEMORY: usize = 16 * 1024 * 1024;
/// and for all of them: with more, it ends.
const TURN_MEMORY_OF_ALL: usize = 4 * TURN_MEMORY;
/// How much of a slice there is for each core: it is in memory whole, as it was read and decoded, and small enough that cores wait for each other
/// often, and large enough that they do not wait long.
const SLICE_BYTES: usize = 2 * 1024 * 1024;
/// How often a build says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

const RUN: u8 = 0;
const STOP: u8 = 1;
const FLUSH_AND_STOP: u8 = 2;

/// Called when a new version of a view may take the place of the one before it.
pub(crate) type OnBuilt = Arc<dyn Fn(&Arc<View>) + Send + Sync>;

/// A stream being followed.
pub(crate) struct Follower {
    following: Arc<Following>,
}

/// What the lanes of a stream share.
struct Following {
    stream: String,
    log: EventLog,
    parking: Mutex<Parking>,
    options: ViewOptions,
    on_built: OnBuilt,
    mode: AtomicU8,
    /// How many begin views that are to be built together: of any stream.
    held: Arc<AtomicUsize>,
    /// How many want it to pause.
    pauses: AtomicUsize,
    fold: Lane,
    build: Lane,
}

/// Some views of a stream, and the thread that folds into them.
#[derive(Default)]
struct Lane {
    members: Mutex<Vec<Arc<View>>>,
    wake: Arc<Notify>,
    /// Held during a turn and the commits that are due behind it.
    turning: Mutex<()>,
    /// Begun with the first member.
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fold,
    Build,
}

/// While it lives, nothing is folded from one stream.
pub struct Paused {
    following: Arc<Following>,
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.following.pauses.fetch_sub(1, Ordering::AcqRel);
        self.following.wake();
    }
}

impl Follower {
    /// Follows a stream, once it has a view.
    pub(crate) fn new(
        log: EventLog,
        catalog: Catalog,
        stream: &str,
        options: ViewOptions,
        on_built: OnBuilt,
        held: Arc<AtomicUsize>,
    ) -> Follower {
        let following = Following {
            stream: stream.to_owned(),
            parking: Mutex::new(Parking::new(log.clone(), catalog, stream)),
            log,
            options,
            on_built,
            mode: AtomicU8::new(RUN),
            held,
            pauses: AtomicUsize::new(0),
            fold: Lane::default(),
            build: Lane::default(),
        };
        Follower {
            following: Arc::new(following),
        }
    }

    /// Folds into this view, too.
    pub(crate) fn add(&self, view: Arc<View>) -> std::io::Result<()> {
        for lane in self.following.lanes() {
            view.hurry.add(Arc::clone(&lane.wake));
            if let Some(lake) = &view.lake {
                lake.start(&view, Arc::clone(&lane.wake))?;
            }
        }
        let kind = match self.following.is_up_to_date(&view) {
            true => Kind::Fold,
            false => Kind::Build,
        };
        self.following.take_in(kind, view)
    }

    /// Ends the turns and the commits under way and begins none until what comes back goes: what a reader asks for is committed still. Blocks for as
    /// long as a turn and a commit take.
    pub(crate) fn pause(&self) -> Paused {
        let paused = Paused {
            following: Arc::clone(&self.following),
        };
        self.following.pauses.fetch_add(1, Ordering::AcqRel);
        for lane in self.following.lanes() {
            drop(lane.turning.lock());
        }
        paused
    }

    /// Looks at the views' marks again.
    pub(crate) fn wake(&self) {
        self.following.wake();
    }

    /// Flushes every view and ends.
    pub(crate) fn close(self) {
        self.end(FLUSH_AND_STOP);
    }

    fn end(&self, mode: u8) {
        let following = &self.following;
        following.mode.store(mode, Ordering::Release);
        following.wake();
        for lane in following.lanes() {
            let thread = lane.thread.lock().take();
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        }
        for lane in following.lanes() {
            let members = std::mem::take(&mut *lane.members.lock());
            if mode == FLUSH_AND_STOP {
                members
                    .iter()
                    .filter(|view| is_folded(view))
                    .for_each(|view| flush(view));
            }
        }
    }
}

impl Drop for Follower {
    /// Ends without a flush: what was not committed is folded again from the log.
    fn drop(&mut self) {
        self.end(STOP);
    }
}

impl Following {
    fn lanes(&self) -> [&Lane; 2] {
        [&self.fold, &self.build]
    }

    fn lane(&self, kind: Kind) -> &Lane {
        match kind {
            Kind::Fold => &self.fold,
            Kind::Build => &self.build,
        }
    }

    fn is_paused(&self) -> bool {
        self.pauses.load(Ordering::Acquire) > 0
    }

    /// Whether a lane's next turn waits for somebody.
    fn is_held_up(&self, kind: Kind) -> bool {
        self.is_paused() || (kind == Kind::Build && self.held.load(Ordering::Acquire) > 0)
    }

    /// Whether nobody waits for the end of a turn.
    fn goes_on(&self) -> bool {
        self.mode.load(Ordering::Acquire) == RUN && !self.is_paused()
    }

    fn wake(&self) {
        self.lanes().iter().for_each(|lane| lane.wake.notify_one());
    }

    /// The partitions that the stream has now.
    fn partitions(&self) -> Vec<(u128, u32)> {
        let info = self.log.stream(&self.stream);
        info.map_or_else(Vec::new, |info| {
            (0..info.partitions).map(|partition| (info.id, partition)).collect()
        })
    }

    /// Whether a view has folded about all there is.
    fn is_up_to_date(&self, view: &View) -> bool {
        let end = self.log.position(&self.stream).unwrap_or_default();
        reading::behind(&self.stream, view, &end, &self.log) <= UP_TO_DATE_EVENTS
    }

    /// Folds into this view in a lane, from whichever thread.
    fn take_in(self: &Arc<Following>, kind: Kind, view: Arc<View>) -> std::io::Result<()> {
        let lane = self.lane(kind);
        lane.members.lock().push(view);
        let mut thread = lane.thread.lock();
        if thread.is_none() && self.mode.load(Ordering::Acquire) == RUN {
            *thread = Some(self.begin(kind)?);
        }
        lane.wake.notify_one();
        Ok(())
    }

    fn begin(self: &Arc<Following>, kind: Kind) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let word = match kind {
            Kind::Fold => "fold",
            Kind::Build => "build",
        };
        let mut thread = Thread::new(Arc::clone(self), kind);
        std::thread::Builder::new()
            .name(format!("{word} {}", self.stream))
            .spawn(move || runtime.block_on(thread.run()))
    }

    /// Lets those go into the other lane that belong there. Between turns, on the lane's own thread.
    fn hand_over(self: &Arc<Following>, kind: Kind) {
        let lane = self.lane(kind);
        let members = lane.members();
        let (moving, there): (Vec<Arc<View>>, Kind) = match kind {
            Kind::Build => {
                let is_up_to_date = |view: &Arc<View>| self.is_up_to_date(view);
                (members.into_iter().filter(is_up_to_date).collect(), Kind::Fold)
            }
            // Who is far behind the others would be waited for.
            Kind::Fold => {
                let ready = members.into_iter().filter(|view| !view.is_full()).collect();
                (reading::stragglers(&self.stream, ready, &self.log), Kind::Build)
            }
        };
        for view in moving {
            lane.members.lock().retain(|member| !Arc::ptr_eq(member, &view));
            if let Err(error) = self.take_in(there, Arc::clone(&view)) {
                stop(&view, &format!("no thread to fold it was to be had: {error}"));
            }
        }
    }
}

impl Lane {
    /// The views to fold into. Those that stopped, stand still, were dropped or were replaced leave.
    fn members(&self) -> Vec<Arc<View>> {
        let mut members = self.members.lock();
        members.retain(|view| is_folded(view));
        members.clone()
    }
}

/// Whether a view is one to fold into, and did not stop, or come to stand still.
fn is_folded(view: &View) -> bool {
    let is_over = view.is_retired.load(Ordering::Acquire) || view.is_frozen.load(Ordering::Acquire);
    !is_over && view.stopped.lock().is_none()
}

/// A lane's thread.
struct Thread {
    following: Arc<Following>,
    kind: Kind,
    /// The stream's partitions, and what tells of appends to them: to no other stream's, as there are many.
    partitions: Vec<(u128, u32)>,
    watch: Watch,
    /// When the last event was appended that was read of each partition.
    reached: Vec<i64>,
    /// How much larger events are than what is read.
    swelling: Swelling,
    /// Whether the last turn ended before the stream did.
    was_cut: bool,
    /// Whether the views stood at several places in the last turn.
    was_spread: bool,
    progress_at: Option<Instant>,
}

impl Thread {
    fn new(following: Arc<Following>, kind: Kind) -> Thread {
        let partitions = following.partitions();
        Thread {
            watch: following.log.watch(partitions.clone()),
            partitions,
            following,
            kind,
            reached: Vec::new(),
            swelling: Swelling::default(),
            was_cut: false,
            was_spread: false,
            progress_at: None,
        }
    }

    async fn run(&mut self) {
        while self.following.mode.load(Ordering::Acquire) == RUN {
            self.look();
            match self.round_unless_paused() {
                true => self.gather().await,
                false => self.wait().await,
            }
        }
    }

    /// What is appended from here on is news.
    fn look(&mut self) {
        let partitions = self.following.partitions();
        if partitions != self.partitions {
            self.watch = self.following.log.watch(partitions.clone());
            self.partitions = partitions;
        }
        self.watch.look();
    }

    /// Lets events gather behind a turn, where it left none and nobody waits for them.
    async fn gather(&self) {
        let members = self.lane().members();
        let goes_on = self.kind == Kind::Build || self.was_cut || members.iter().any(|view| view.is_awaited());
        if !goes_on {
            let gathered = Duration::from_millis(self.following.options.gather_ms);
            // Woken or not, what has come is looked at next.
            let _ = timeout(gathered, self.lane().wake.notified()).await;
        }
    }

    fn lane(&self) -> &Lane {
        self.following.lane(self.kind)
    }

    fn round_unless_paused(&mut self) -> bool {
        let following = Arc::clone(&self.following);
        let _turning = following.lane(self.kind).turning.lock();
        if following.is_held_up(self.kind) {
            return false;
        }
        let progressed = self.round();
        self.flush_when_due();
        progressed
    }

    /// One turn. `true`: something was folded.
    fn round(&mut self) -> bool {
        if self.was_spread || self.kind == Kind::Build {
            self.following.hand_over(self.kind);
        }
        let members = self.lane().members();
        let ready: Vec<Arc<View>> = members.iter().filter(|view| !view.is_full()).cloned().collect();
        let turn = caught(|| -> Result<_, Panicked> { Ok(self.turn(&ready)) });
        let progressed = match turn {
            Ok(Ok(events)) => events > 0,
            Ok(Err(Unreadable { why, takers })) => {
                for view in takers.iter().map(|place| &ready[*place]) {
                    match &why {
                        ViewError::Full(why) => view.wait_for_log(&self.following.stream, why),
                        why => stop(view, &why.to_string()),
                    }
                }
                !takers.is_empty()
            }
            Err(why) => {
                ready.iter().for_each(|view| stop(view, &why.to_string()));
                true
            }
        };
        for view in &members {
            if view.note_built() {
                flush(view);
            }
            // It may have stopped in the turn, or at its commit: then the version before it stays the one that is asked.
            if view.is_next() && is_folded(view) {
                match view.is_known_built() {
                    Ok(true) => (self.following.on_built)(view),
                    Ok(false) => {}
                    Err(error) => stop(view, &error.to_string()),
                }
            }
        }
        self.say_progress(&members);
        progressed
    }

    /// Reads on from where the views stand that are furthest behind, slice by slice, and folds that into them. The number of events.
    fn turn(&mut self, views: &[Arc<View>]) -> Result<u64, Unreadable> {
        let Following {
            stream,
            log,
            parking,
            options,
            ..
        } = &*self.following;
        if views.is_empty() {
            // Nobody is there, or all wait for room: nothing is to be read for them.
            self.was_spread = false;
            return Ok(0);
        }
        let mut course = Course::begin(log, stream, views, &mut self.reached, self.was_cut)?;
        self.was_spread = course.is_spread;
        let mut shares: Vec<Share<'_>> = Vec::new();
        let mut threads = 1;
        while takes_more(self.goes_far(), course.bytes, shares.iter().map(Share::memory)) {
            let slice = course.next(&mut self.reached, &self.swelling, SLICE_BYTES * cores())?;
            self.was_cut = !slice.stretches.is_empty();
            if !self.was_cut {
                break;
            }
            let portions = decoded::decode(stream, &slice, views)?;
            let decoded = portions.iter().map(|events| events.rows.get_array_memory_size()).sum();
            self.swelling.learn(slice.batches(), decoded);
            for events in &portions {
                let parked = parking.lock().park(&events.parked);
                parked.map_err(|why| slice.unreadable(why))?;
            }
            threads = threads.max(slice.threads());
            if shares.is_empty() {
                let own = if portions.len() > 1 { threads / views.len() } else { 1 };
                shares.extend(views.iter().map(|view| Share::new(view, stream, own)));
            }
            let is_taker = |(place, _): &(usize, &mut Share<'_>)| slice.is_for(*place);
            let takers: Vec<(usize, &mut Share<'_>)> = shares.iter_mut().enumerate().filter(is_taker).collect();
            on_threads(slice.threads(), takers, |(place, share)| {
                share.take_slice(place, &slice, &portions, parking)
            });
        }
        let ended = on_threads(threads, shares, |share| (share.view(), share.finish(options)));
        for (view, outcome) in ended {
            if let Err(why) = outcome {
                stop(view, &why);
            }
        }
        Ok(course.events)
    }

    /// Whether nobody waits for the end of a turn: neither for its rows, nor for the thread.
    fn goes_far(&self) -> bool {
        self.kind == Kind::Build && self.following.goes_on()
    }

    fn flush_when_due(&self) {
        let now = Instant::now();
        for view in self.lane().members() {
            if view.freshness.due().is_some_and(|due| due <= now) {
                flush(&view);
            }
        }
    }

    /// Waits for a commit, a change of the views, or the time to flush.
    async fn wait(&mut self) {
        let lane = self.following.lane(self.kind);
        let members = lane.members();
        let is_idle = members.is_empty();
        // Whoever holds it up wakes the lane in the end.
        let due = match self.following.is_held_up(self.kind) {
            true => None,
            false => {
                let stream = &self.following.stream;
                let due = |view: &Arc<View>| [view.freshness.due(), view.log_room.due(stream)];
                members.iter().flat_map(due).flatten().min()
            }
        };
        drop(members);
        let flush_due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let committed = async {
            match is_idle {
                true => std::future::pending().await,
                false => self.watch.news().await,
            }
        };
        tokio::select! {
            () = committed => {}
            () = lane.wake.notified() => {}
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
        for view in members.iter().filter(|view| view.building().is_some()) {
            let build = view.build();
            let (folded, events) = (build.folded, build.events);
            let rate = build.events_per_second.unwrap_or_default().round();
            tracing::info!(
                view = view.definition.name,
                "building: {folded} of {events} events folded, {rate} a second"
            );
        }
    }
}

/// Whether a turn goes on that has taken so many bytes, and holds so much memory of them for each view.
fn takes_more(goes_far: bool, bytes: usize, mut held: impl Iterator<Item = usize>) -> bool {
    let bytes_max = if goes_far { BUILD_TURN_BYTES } else { TURN_BYTES };
    let mut all = 0;
    let has_room = |memory| {
        all += memory;
        memory < TURN_MEMORY && all < TURN_MEMORY_OF_ALL
    };
    bytes < bytes_max && held.all(has_room)
}

fn flush(view: &View) {
    match caught(|| view.flush()) {
        // Where the disk is full it stands still, and the same is tried again.
        Ok(()) | Err(ViewError::Full(_)) => {}
        // It stopped, or another took its place, meanwhile.
        Err(_) if !is_folded(view) => {}
        Err(error) => stop(view, &error.to_string()),
    }
}

fn stop(view: &View, why: &str) {
    // A newer version took its place in the middle of a turn: it ends by that, and nothing is wrong with it.
    if view.is_replaced.load(Ordering::Acquire) {
        return;
    }
    if view.stop(why) {
        tracing::error!(view = view.definition.name, "the view stopped: {why}");
    }
    view.forget();
}

#[cfg(test)]
mod tests;
