//! The running pipelines: who runs, and how each stands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use headwater_eventlog::EventLog;
use headwater_records::{Position, PositionError};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use super::changes::Changes;
use super::columns::{CHANGE_COLUMN, OFFSET, TIMESTAMP};
use super::compile::compile;
use super::flow::{Flow, Reads};
use super::made;
use super::positions::Positions;
use super::refuse::refused;
use super::results::Waiting;
use super::runner::{Runner, Source};
use super::seed::{self, Seed};
use super::shared::{FLUSH_AND_STOP, RUN, STOP, Shared};
use super::spec::{PipelineColumns, PipelineSpec};
use super::status::PipelineStatus;
use crate::decode::StreamDecoder;
use crate::fold::{Compiled, Kept, compile_view};
use crate::follow::lag;
use crate::pipelines::parked_again::Replayed;
use crate::rows::folder::{self, Documents, StoreFolder, Stores};
use crate::unkept::Unkept;
use crate::view::ViewByName;
use crate::{View, ViewError, ViewOptions, ViewSpec};

/// The folder beside those of views: no view's folder has this name.
const FOLDER: &str = "~changes";

/// All pipelines that run.
pub(crate) struct Pipelines {
    log: EventLog,
    /// Where the folds of those that read a view's changes keep their rows; `None`: in memory.
    dir: Option<PathBuf>,
    /// Opens what they keep them in.
    stores: Arc<dyn Stores>,
    options: ViewOptions,
    views: ViewByName,
    positions: Arc<Positions>,
    /// Whether none is run.
    is_held: AtomicBool,
    /// By the name of their streams.
    running: Mutex<BTreeMap<String, Running>>,
}

/// Where a pipeline begins.
struct Begins<'a> {
    /// Whether it has read nothing yet.
    is_new: bool,
    /// The streams of which it has read nothing yet.
    streams: Vec<&'a str>,
}

/// A pipeline and its thread.
struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Pipelines {
    /// `dir` is where views live.
    pub(crate) fn new(log: EventLog, views: ViewByName, dir: Option<&Path>, options: ViewOptions) -> Pipelines {
        Pipelines {
            dir: dir.map(|dir| dir.join(FOLDER)),
            stores: Arc::new(Documents),
            options,
            positions: Arc::new(Positions::new(log.clone())),
            is_held: AtomicBool::new(false),
            log,
            views,
            running: Mutex::default(),
        }
    }

    /// With other stores than those on the disk. Before any pipeline is started.
    pub(crate) fn set_stores(&mut self, stores: Arc<dyn Stores>) {
        self.stores = stores;
    }

    /// Only compiles: the error that [`Pipelines::start`] would give, and what comes of the query.
    pub(crate) fn check(&self, spec: &PipelineSpec) -> Result<PipelineColumns, ViewError> {
        let flow = self.compile(spec)?;
        Ok(PipelineColumns {
            sources: self.streams_of(spec, &flow)?,
            output: flow.output,
        })
    }

    /// Whether a new pipeline can begin where its definition says.
    pub(crate) fn check_begin(&self, spec: &PipelineSpec, begins: Option<&str>) -> Result<(), ViewError> {
        match &self.compile(spec)?.source {
            Reads::Changes(name) => match (self.views)(name) {
                Some(view) => self.check_whole_from(name, &view, &view.streams(), &position(begins)?),
                None => Ok(()),
            },
            Reads::Stream(_) => Ok(()),
        }
    }

    /// Runs a pipeline from where it has come to; a stream that it has not read yet, from where its definition says. One of its name that runs is
    /// stopped before.
    pub(crate) fn start(&self, spec: PipelineSpec) -> Result<(), ViewError> {
        let flow = self.compile(&spec)?;
        if self.is_held() {
            return Ok(());
        }
        let name = spec.stream.name.clone();
        self.stop(&name);
        let Some(info) = self.log.stream(&name) else {
            return Err(ViewError::Failed(format!("the log holds no stream '{name}'")));
        };
        let mut reached = self
            .positions
            .of(info.id)
            .map_err(ViewError::Failed)?
            .unwrap_or_default();
        let streams = self.streams_of(&spec, &flow)?;
        if let Some(position) =
            made::beyond(&self.log, &name, &streams, &reached.position).map_err(ViewError::Failed)?
        {
            tracing::warn!(
                pipeline = name,
                "the position of a pipeline is older than its newest results, as after a repair of the log: it goes on behind them, at {position}"
            );
            reached.position = position;
        }
        let (read, new): (Vec<&str>, Vec<&str>) =
            (streams.iter().map(String::as_str)).partition(|stream| reached.position.names(stream));
        let first = begins(&spec)?;
        for stream in &new {
            reached.position.advance_all(&first.of(stream));
            // It is noted that it was begun with, whether anything came of it or not.
            reached.position.advance(stream, 0, 0);
        }
        let begins = Begins {
            is_new: read.is_empty(),
            streams: new,
        };
        let source = self.source(&spec, &flow, &mut reached.position, begins)?;
        let shared = Arc::new(Shared {
            sources: streams.clone(),
            mode: AtomicU8::new(RUN),
            wake: Notify::new(),
            status: Mutex::new(PipelineStatus {
                name: name.clone(),
                ..PipelineStatus::default()
            }),
            replays: Mutex::default(),
            position: watch::Sender::new(Position::new()),
        });
        shared.reached(&reached);
        let runner = Runner {
            log: self.log.clone(),
            has_tombstones: !spec.stream.key.is_empty() && flow.output.index_of(CHANGE_COLUMN).is_err(),
            source,
            spec,
            flow,
            stream_id: info.id,
            views: Arc::clone(&self.views),
            positions: Arc::clone(&self.positions),
            shared: Arc::clone(&shared),
            noted: reached.position.clone(),
            reached,
            waiting: Waiting::default(),
            noted_at: Instant::now(),
            first_partition: 0,
        };
        let failed = |error: std::io::Error| {
            ViewError::Failed(format!("no thread for the pipeline '{name}' was to be had: {error}"))
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name(format!("pipe {name}"))
            .spawn(move || run(&runtime, runner))
            .map_err(failed)?;
        let running = Running {
            shared,
            thread: Some(thread),
        };
        self.running.lock().insert(name, running);
        Ok(())
    }

    /// From now on none is run: nothing is to be appended by itself.
    pub(crate) fn hold(&self) {
        self.is_held.store(true, Ordering::Release);
        self.close();
    }

    /// Whether none is run.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Acquire)
    }

    /// Stops a pipeline where it is; `false` where none of that name runs. Blocks for as long as it takes to append.
    pub(crate) fn stop(&self, name: &str) -> bool {
        let running = self.running.lock().remove(name);
        running.map(|mut running| running.end(FLUSH_AND_STOP)).is_some()
    }

    /// The pipelines that read a stream.
    pub(crate) fn over(&self, stream: &str) -> Vec<String> {
        let reads = |(_, sources): &(String, Vec<String>)| sources.iter().any(|source| source == stream);
        let over = self.sources().into_iter().filter(reads);
        over.map(|(name, _)| name).collect()
    }

    /// Waits until a pipeline has appended what comes of everything below a position (of its sources). One that does not run, or stopped, is not waited for.
    pub(crate) async fn wait_for(&self, name: &str, position: &Position, timeout: Duration) -> Result<(), ViewError> {
        let shared = self.running.lock().get(name).map(|running| Arc::clone(&running.shared));
        let Some(shared) = shared else { return Ok(()) };
        let mut wanted = position.clone();
        wanted.retain(|stream| shared.sources.iter().any(|source| source == stream));
        let mut at = shared.position.subscribe();
        let reached = async {
            while !at.borrow_and_update().covers(&wanted) && shared.status.lock().stopped.is_none() {
                // The sender is shared with this.
                let _ = at.changed().await;
            }
        };
        let waited = tokio::time::timeout(timeout, reached).await;
        waited.map_err(|_| ViewError::Late {
            view: name.to_owned(),
            at: shared.position.borrow().clone(),
            wanted: wanted.clone(),
            waited_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Has a pipeline try the events again that it parked.
    pub(crate) async fn replay(&self, name: &str) -> Result<Replayed, ViewError> {
        let failed = |why: String| ViewError::Failed(format!("nothing was replayed by the pipeline '{name}': {why}"));
        let shared = self.running.lock().get(name).map(|running| Arc::clone(&running.shared));
        let shared = shared.ok_or_else(|| failed("it does not run".to_owned()))?;
        if let Some(why) = &shared.status.lock().stopped {
            return Err(failed(format!("it stopped: {why}")));
        }
        let (answer, answered) = oneshot::channel();
        shared.replays.lock().push(answer);
        shared.wake.notify_one();
        let replayed = answered
            .await
            .unwrap_or_else(|_| Err("it stopped meanwhile".to_owned()));
        replayed.map_err(failed)
    }

    /// Each with the streams that it reads.
    pub(crate) fn sources(&self) -> Vec<(String, Vec<String>)> {
        let running = self.running.lock();
        let sources = |(name, running): (&String, &Running)| (name.clone(), running.shared.sources.clone());
        running.iter().map(sources).collect()
    }

    /// How each stands.
    pub(crate) fn statuses(&self) -> Vec<PipelineStatus> {
        let shared: Vec<Arc<Shared>> = self
            .running
            .lock()
            .values()
            .map(|running| Arc::clone(&running.shared))
            .collect();
        shared.iter().map(|shared| self.status(shared)).collect()
    }

    fn status(&self, shared: &Shared) -> PipelineStatus {
        let mut status = shared.status.lock().clone();
        let end = self.log.position_of_all(shared.sources.iter().map(String::as_str));
        let lag = lag::of(&self.log, &end, &status.position);
        (status.lag_events, status.lag_seconds) = (lag.events, lag.seconds);
        status
    }

    /// Stops all of them, noting how far they have come.
    pub(crate) fn close(&self) {
        let running = std::mem::take(&mut *self.running.lock());
        for (_, mut running) in running {
            running.end(FLUSH_AND_STOP);
        }
    }

    /// The streams whose events a pipeline takes, by name.
    fn streams_of(&self, spec: &PipelineSpec, flow: &Flow) -> Result<Vec<String>, ViewError> {
        match &flow.source {
            Reads::Stream(name) => Ok(vec![name.clone()]),
            Reads::Changes(view) => {
                let query = compile_view(changes_of(spec)?, &self.log)?.query;
                if query.is_per_event {
                    return Err(refused(
                        format!("CHANGES OF '{view}', which has a row for each event that never changes,"),
                        "read its stream's events: FROM stream",
                    ));
                }
                if !query.lists.is_empty() {
                    return Err(refused(
                        format!("CHANGES OF '{view}', whose rows hold lists that grow,"),
                        "each change would be told with the whole list: read the stream's events (FROM stream), or the changes of a view without \
                         the list",
                    ));
                }
                Ok(query.streams().into_iter().map(str::to_owned).collect())
            }
        }
    }

    /// What a pipeline reads from a position on; for the changes of a view, its fold is opened.
    fn source(
        &self,
        spec: &PipelineSpec,
        flow: &Flow,
        from: &mut Position,
        begins: Begins<'_>,
    ) -> Result<Source, ViewError> {
        match &flow.source {
            Reads::Stream(name) => {
                let decoder = spec.decoders.iter().find(|decoder| decoder.stream() == name);
                let decoder = decoder
                    .cloned()
                    .ok_or_else(|| ViewError::Failed(format!("'{name}' is no stream")))?;
                Ok(Source::Stream {
                    name: name.clone(),
                    projection: projection(&decoder, flow)?,
                    decoder: Box::new(decoder),
                })
            }
            Reads::Changes(name) => {
                let asked = (self.views)(name);
                if let Some(view) = &asked {
                    self.check_whole_from(name, view, &begins.streams, from)?;
                }
                let mut fold = self.fold(spec, None)?;
                if !from.covers(&fold.position()) || fold.is_foreign() {
                    // Left over from an earlier pipeline of this name, or from another log.
                    fold = self.fold_anew(fold, spec, None)?;
                }
                // Another version of the view, or one that is without them, has no more than what is kept either.
                let has_more = |view: &Arc<View>| view.meaning == fold.meaning && view.unkept_events(&self.log) > 0;
                if let Some(lacking) = seed::lacking(&fold, &self.log, from)
                    && asked.as_ref().is_none_or(has_more)
                {
                    let seed = match asked.as_deref() {
                        Some(view) if begins.is_new => Seed::now(view)?,
                        Some(view) => Seed::written(view, from)?,
                        None => None,
                    };
                    let unknown = |lacking: &str| {
                        ViewError::Failed(format!(
                            "the changes of '{name}' cannot be told: its rows are not known as they were at {from}, as {lacking} is no longer kept; \
                             a new pipeline goes on from the rows that the view has"
                        ))
                    };
                    let seed = seed.ok_or_else(|| unknown(&lacking))?;
                    let position = seed.position.clone();
                    fold = self.fold_anew(fold, spec, Some(seed))?;
                    match seed::lacking(&fold, &self.log, from) {
                        // What the view folded meanwhile was before it begins.
                        _ if begins.is_new => from.advance_all(&position),
                        Some(lacking) => return Err(unknown(&lacking)),
                        None => {}
                    }
                }
                Changes::new(fold, self.fold_options()).map(|changes| Source::Changes(Box::new(changes)))
            }
        }
    }

    /// A pipeline that is to begin, with these of its view's streams, where events stand that are no longer kept would tell changes of rows that nobody has.
    fn check_whole_from(&self, name: &str, view: &View, streams: &[&str], from: &Position) -> Result<(), ViewError> {
        let begins_within = |unkept: &Unkept| {
            if !streams.contains(&unkept.stream.as_str()) {
                return false;
            }
            let first = from.get(&unkept.stream, unkept.partition);
            first < unkept.upto.min(view.position().get(&unkept.stream, unkept.partition))
        };
        let is_within = Unkept::of(&view.query, &self.log).iter().any(begins_within);
        match view.unkept_events(&self.log) {
            events @ 1.. if is_within => Err(refused(
                format!(
                    "the beginning of CHANGES OF '{name}', where {events} events that went into its rows are no longer kept,"
                ),
                "let it begin now: CREATE STREAM … FROM NOW AS …",
            )),
            _ => Ok(()),
        }
    }

    /// The fold of another store, in the place of one that is of no use.
    fn fold_anew(&self, fold: View, spec: &PipelineSpec, seed: Option<Seed>) -> Result<View, ViewError> {
        fold.folder.remove_when_dropped();
        drop(fold);
        self.fold(spec, seed)
    }

    fn fold(&self, spec: &PipelineSpec, seed: Option<Seed>) -> Result<View, ViewError> {
        let view = changes_of(spec)?;
        let compiled = compile_view(view, &self.log)?;
        // Its states are its own, whichever version of the view is asked.
        let compiled = Compiled {
            fingerprint: compiled.meaning,
            ..compiled
        };
        let store = self.store(&spec.stream.name, compiled.fingerprint)?;
        if let Some(seed) = seed {
            seed.plant(&store)?;
        }
        View::open(
            view,
            compiled,
            self.log.clone(),
            Arc::new(store),
            Kept::default(),
            &self.fold_options(),
        )
    }

    fn fold_options(&self) -> ViewOptions {
        ViewOptions {
            // Nobody rewinds these rows.
            snapshot_events: u32::MAX,
            ..self.options.clone()
        }
    }

    /// The store of a pipeline's own fold.
    fn store(&self, pipeline: &str, fingerprint: u64) -> Result<StoreFolder, ViewError> {
        let Some(dir) = &self.dir else {
            return Ok(StoreFolder::in_memory());
        };
        folder::remove_other_versions(dir, pipeline, &[fingerprint]);
        let path = folder::of_version(dir, pipeline, fingerprint);
        folder::open_patiently(self.stores.as_ref(), &path, fingerprint)
    }

    fn compile(&self, spec: &PipelineSpec) -> Result<Flow, ViewError> {
        let is_stream = |name: &str| spec.decoders.iter().any(|decoder| decoder.stream() == name);
        compile(&spec.plan, &spec.session, &self.views, &is_stream)
    }
}

impl Running {
    fn end(&mut self, mode: u8) {
        self.shared.mode.store(mode, Ordering::Release);
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    /// Ends without noting anything: what was not appended is made again.
    fn drop(&mut self) {
        self.end(STOP);
    }
}

fn run(runtime: &tokio::runtime::Runtime, runner: Runner) {
    let shared = Arc::clone(&runner.shared);
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(runner.run())));
    if ran.is_err() {
        shared.status.lock().stopped = Some("it panicked; its log line says where".to_owned());
    }
    shared.replays.lock().clear();
    // Whoever waits looks whether it stopped.
    shared.position.send_modify(|_| {});
}

/// Where the definition lets a pipeline begin.
fn begins(spec: &PipelineSpec) -> Result<Position, ViewError> {
    let pipeline = spec.stream.pipeline.as_ref();
    position(pipeline.and_then(|pipeline| pipeline.begins.as_deref()))
}

/// A position as a definition has it; without one, the beginning.
fn position(text: Option<&str>) -> Result<Position, ViewError> {
    let position = text.map(|text| {
        text.parse()
            .map_err(|error: PositionError| ViewError::Failed(error.to_string()))
    });
    Ok(position.transpose()?.unwrap_or_default())
}

/// What it takes to fold the view whose changes are read.
fn changes_of(spec: &PipelineSpec) -> Result<&ViewSpec, ViewError> {
    spec.changes
        .as_ref()
        .ok_or_else(|| ViewError::Failed("nothing is known of the view whose changes are read".to_owned()))
}

/// The columns that are decoded: those that the query reads, and those by which an event is found again and dated.
fn projection(decoder: &StreamDecoder, flow: &Flow) -> Result<Vec<usize>, ViewError> {
    let schema = decoder.schema();
    let mut columns: Vec<usize> = Vec::new();
    for name in flow.columns.iter().map(String::as_str).chain([OFFSET, TIMESTAMP]) {
        let index = schema
            .index_of(name)
            .map_err(|error| ViewError::Failed(error.to_string()))?;
        if !columns.contains(&index) {
            columns.push(index);
        }
    }
    Ok(columns)
}
