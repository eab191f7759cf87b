//! All running views: who folds what, and which version of a view is asked.

mod starting;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use headwater_catalog::{Catalog, Definition, Shape};
use headwater_eventlog::{EventLog, Folded};
use headwater_records::Position;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::fold::compile_view;
use crate::follow::pace::Build;
use crate::follow::{Follower, Paused};
use crate::lake::Lakes;
use crate::opening::{Opening, image_spec};
use crate::pipelines::Pipelines;
use crate::rows::checkpoints::Maker;
use crate::rows::folder::{self, Documents, Stores};
use crate::shapes;
use crate::versions::{Rebuild, Registry, Versions, by_name, is_being_built, retire};
use crate::{
    PipelineColumns, PipelineSpec, PipelineStatus, Replayed, RowFilter, Subscription, Unkept, View, ViewError,
    ViewOptions, ViewSpec,
};

/// How long [`Views::start`] waits for a new view to catch up: a small one is whole when it returns.
const BUILD_WAIT: Duration = Duration::from_secs(1);

/// The running views. Clones share them; when the last one goes, folding ends without a flush ([`Views::close`] flushes).
#[derive(Clone)]
pub struct Views {
    inner: Arc<Inner>,
}

struct Inner {
    opening: Opening,
    catalog: Catalog,
    versions: Registry,
    pipelines: Pipelines,
    /// By stream.
    followers: Mutex<BTreeMap<String, Follower>>,
    /// Only one view is started at a time.
    starting: Mutex<()>,
    /// How many [`Together`] there are.
    held: Arc<AtomicUsize>,
}

/// While it lives, views that are begun are not built: then all of them at once, so that each stream is read and decoded once for all of its views.
pub struct Together {
    inner: Arc<Inner>,
}

impl Drop for Together {
    fn drop(&mut self) {
        self.inner.held.fetch_sub(1, Ordering::AcqRel);
        self.inner.followers.lock().values().for_each(Follower::wake);
    }
}

/// What became of a view whose stream's schema changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// Its rows are what they would be: it goes on.
    GoesOn,
    /// It is built anew beside the version that is asked.
    Rebuilt,
}

impl Views {
    /// Views whose stores live under `dir` (`DIR/<view>/`).
    pub fn open(log: EventLog, catalog: Catalog, dir: &Path, options: ViewOptions) -> Views {
        let definitions = catalog.all();
        let defined = definitions
            .iter()
            .filter(|definition| matches!(&***definition, Definition::View(_)));
        folder::remove_other_views(dir, &defined.map(|definition| definition.name()).collect::<Vec<&str>>());
        Views::over(log, catalog, Some(dir.to_owned()), options)
    }

    /// Views whose rows live in memory alone, folded from the whole log by whoever opens it next.
    pub fn in_memory(log: EventLog, catalog: Catalog, options: ViewOptions) -> Views {
        Views::over(log, catalog, None, options)
    }

    fn over(log: EventLog, catalog: Catalog, dir: Option<PathBuf>, options: ViewOptions) -> Views {
        let versions: Registry = Registry::default();
        let by_name = by_name(&versions);
        Views {
            inner: Arc::new(Inner {
                pipelines: Pipelines::new(log.clone(), by_name, dir.as_deref(), options.clone()),
                opening: Opening {
                    log,
                    dir,
                    stores: Arc::new(Documents),
                    lakes: None,
                    maker: Maker::default(),
                    options,
                },
                catalog,
                versions,
                followers: Mutex::default(),
                starting: Mutex::default(),
                held: Arc::default(),
            }),
        }
    }

    /// With tables of column files. Before any view is started.
    pub fn with_lakes(mut self, lakes: Arc<dyn Lakes>) -> Views {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.opening.lakes = Some(lakes);
        }
        self
    }

    /// With other stores than those on the disk. Before any view is started.
    pub fn with_stores(mut self, stores: Arc<dyn Stores>) -> Views {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.pipelines.set_stores(Arc::clone(&stores));
            inner.opening.stores = stores;
        }
        self
    }

    /// Compiles a view (refusing, with the part named, what cannot be kept exact event by event), opens its store and folds from its position on.
    /// A view of the same name that runs takes the definition on where its rows are the same; otherwise the new one is built beside it and takes
    /// its place when it has caught up. Waits a moment for a new view to catch up; one that has more to fold goes on in the background
    /// ([`ViewError::Building`]).
    pub fn start(&self, spec: ViewSpec) -> Result<Arc<View>, ViewError> {
        let name = spec.definition.name.clone();
        let view = self.begin(spec, None)?;
        self.settle(&[name]);
        Ok(view)
    }

    /// The same, and waits for nothing. `before`: the definition whose place this one takes; after a start in between its rows are asked until those
    /// of this one are built.
    pub fn begin(&self, spec: ViewSpec, before: Option<ViewSpec>) -> Result<Arc<View>, ViewError> {
        let _starting = self.inner.starting.lock();
        let inner: Weak<dyn Folded> = Arc::<Inner>::downgrade(&self.inner);
        self.inner.opening.log.before_events_go(inner);
        self.inner.start_version(&spec, before.as_ref())
    }

    /// Begins to build nothing until what comes back goes.
    pub fn together(&self) -> Together {
        self.inner.held.fetch_add(1, Ordering::AcqRel);
        Together {
            inner: Arc::clone(&self.inner),
        }
    }

    /// Only compiles: the error that [`Views::start`] would give, and the output schema.
    pub fn check(&self, spec: &ViewSpec) -> Result<arrow::datatypes::SchemaRef, ViewError> {
        let compiled = compile_view(spec, &self.inner.opening.log)?;
        if let (Some(Shape::Columnar { .. }), Some(lakes)) = (&spec.definition.shape, &self.inner.opening.lakes) {
            lakes.check(&image_spec(&self.inner.opening.log, spec, &compiled, None))?;
        }
        shapes::check(&spec.definition, &compiled.query)?;
        Ok(compiled.query.output.clone())
    }

    /// What a view would be without that is built from its streams as they are now.
    pub fn unkept(&self, spec: &ViewSpec) -> Result<Vec<Unkept>, ViewError> {
        let log = &self.inner.opening.log;
        Ok(Unkept::of(&compile_view(spec, log)?.query, log))
    }

    /// How many events went into the rows of a view, at most, that a version of this definition would be without, as its streams no longer keep them. None
    /// where the rows are those of the definition already.
    pub fn losses(&self, spec: &ViewSpec) -> Result<u64, ViewError> {
        let log = &self.inner.opening.log;
        let compiled = compile_view(spec, log)?;
        let versions = self.inner.versions.lock();
        let Some(running) = versions.get(&spec.definition.name) else {
            return Ok(0);
        };
        if running.each().any(|view| view.fingerprint == compiled.fingerprint) {
            return Ok(0);
        }
        Ok(running.current.unkept_events(log))
    }

    /// The same where the view goes.
    pub fn losses_without(&self, name: &str) -> u64 {
        let versions = self.inner.versions.lock();
        let running = versions.get(name);
        running.map_or(0, |running| running.current.unkept_events(&self.inner.opening.log))
    }

    /// Stops folding a stream until what comes back goes; `None` where nobody folds it. Blocks for as long as a turn takes.
    pub fn pause(&self, stream: &str) -> Option<Paused> {
        self.inner.followers.lock().get(stream).map(Follower::pause)
    }

    /// Brings a view to the schema that its stream has now. Called while the stream is paused, from before the schema changed until all of its
    /// views were brought along. Where the rows it has are what they would be, it goes on; else it stands still, and is built anew beside.
    pub fn follow_schema(&self, spec: &ViewSpec) -> Result<Followed, ViewError> {
        let _starting = self.inner.starting.lock();
        let compiled = compile_view(spec, &self.inner.opening.log)?;
        let mut followed = Followed::Rebuilt;
        let mut has_version = false;
        if let Some(running) = self.inner.versions.lock().get(&spec.definition.name) {
            for view in running.each() {
                if view.fingerprint != compiled.fingerprint {
                    view.freeze();
                    continue;
                }
                view.read_with(compiled.decoders.clone());
                has_version = true;
                if Arc::ptr_eq(view, &running.current) {
                    followed = Followed::GoesOn;
                }
            }
        }
        if !has_version {
            self.inner.start_version(spec, None)?;
        }
        Ok(followed)
    }

    /// Lets a view stand still: it cannot read its stream any more, and is about to be replaced.
    pub fn freeze(&self, name: &str) {
        if let Some(running) = self.inner.versions.lock().get(name) {
            running.each().for_each(|view| view.freeze());
        }
    }

    /// Ends a view that cannot read its stream any more: what it has folded is committed, and whoever asks is told why. Blocks on its disk.
    pub fn stop(&self, name: &str, why: &str) {
        let versions: Vec<Arc<View>> = match self.inner.versions.lock().get(name) {
            Some(running) => running.each().cloned().collect(),
            None => Vec::new(),
        };
        for view in versions {
            view.freeze();
            if let Some(lake) = &view.lake {
                lake.close();
            }
            if let Err(error) = view.flush() {
                tracing::warn!(view = name, "what it folded last was not committed: {error}");
            }
            view.stop(why);
            view.forget();
        }
    }

    /// Waits a moment for what is being built of these views: small ones are whole when this returns. Blocks, but not for what is held up
    /// ([`Views::together`]).
    pub fn settle(&self, names: &[String]) {
        let begun = Instant::now();
        let is_held = || self.inner.held.load(Ordering::Acquire) > 0;
        let is_waiting = |name: &String| {
            let versions = self.inner.versions.lock();
            versions
                .get(name)
                .is_some_and(|running| running.each().any(|view| is_being_built(view)))
        };
        while !is_held() && names.iter().any(is_waiting) && begun.elapsed() < BUILD_WAIT {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until no checkpoint of any view is being written.
    pub fn settle_checkpoints(&self) {
        self.inner.opening.maker.settle();
    }

    /// How the version stands that is being built to take a view's place, where there is one.
    pub fn rebuilding(&self, name: &str) -> Option<Rebuild> {
        self.inner.versions.lock().get(name)?.rebuild()
    }

    /// What is being built: the names of views, and how far each is. One that stopped is not.
    pub fn builds(&self) -> Vec<(String, Build)> {
        let versions = self.inner.versions();
        let builds = versions.iter().filter(|view| is_being_built(view));
        // Of a view's versions the newest counts.
        let by_view: BTreeMap<String, Build> = builds
            .map(|view| (view.definition.name.clone(), view.build()))
            .collect();
        by_view.into_iter().collect()
    }

    /// The version among those that run whose rows are those of a definition: with its number nothing need be built. `None`: there is none, or
    /// it stopped.
    pub fn version_holding(&self, spec: &ViewSpec) -> Result<Option<u32>, ViewError> {
        let compiled = compile_view(spec, &self.inner.opening.log)?;
        let versions = self.inner.versions.lock();
        let holding = versions
            .get(&spec.definition.name)
            .and_then(|running| running.holding(&compiled));
        Ok(holding.map(|view| view.definition.version))
    }

    /// Stops a view and removes its store.
    pub fn remove(&self, name: &str) {
        let _starting = self.inner.starting.lock();
        let Some(versions) = self.inner.versions.lock().remove(name) else {
            // One that did not start has a folder all the same.
            if let Some(dir) = &self.inner.opening.dir {
                folder::remove_version(&folder::of_view(dir, name));
            }
            return;
        };
        for view in [Some(versions.current), versions.next].into_iter().flatten() {
            retire(&view, "it was dropped");
        }
        for follower in self.inner.followers.lock().values() {
            follower.wake();
        }
    }

    /// One running view.
    pub fn get(&self, name: &str) -> Option<Arc<View>> {
        let mut versions = self.inner.versions.lock();
        versions.get_mut(name).map(|versions| Arc::clone(versions.asked()))
    }

    /// The version of a view that is being built to take the place of the one that is asked.
    pub fn next(&self, name: &str) -> Option<Arc<View>> {
        let versions = self.inner.versions.lock();
        versions.get(name).and_then(|versions| versions.next.clone())
    }

    /// The version of a view that is as it is defined, whether it is asked already or is being built.
    pub fn defined(&self, name: &str) -> Option<Arc<View>> {
        self.next(name).or_else(|| self.get(name))
    }

    /// All running views, by name.
    pub fn all(&self) -> Vec<Arc<View>> {
        let mut versions = self.inner.versions.lock();
        versions
            .values_mut()
            .map(|versions| Arc::clone(versions.asked()))
            .collect()
    }

    /// All versions of all views: those that are asked, and those that are being built.
    pub(crate) fn versions(&self) -> Vec<Arc<View>> {
        self.inner.versions()
    }

    /// Follows a view: all of its rows, or what changed since a position, and then every change.
    pub fn subscribe(
        &self,
        view: &Arc<View>,
        filter: Option<RowFilter>,
        from: Option<Position>,
    ) -> Result<Subscription, ViewError> {
        Subscription::new(by_name(&self.inner.versions), Arc::clone(view), filter, from)
    }

    /// Runs no pipeline from now on: where nothing is to be appended by itself.
    pub fn hold_pipelines(&self) {
        self.inner.pipelines.hold();
    }

    /// Whether none is run.
    pub fn holds_pipelines(&self) -> bool {
        self.inner.pipelines.is_held()
    }

    /// Only compiles a pipeline: the error that [`Views::start_pipeline`] would give, and what comes of its query.
    pub fn check_pipeline(&self, spec: &PipelineSpec) -> Result<PipelineColumns, ViewError> {
        self.inner.pipelines.check(spec)
    }

    /// Whether a new pipeline can begin where its definition says: what the changes of a view are told of has to be known there.
    pub fn check_begin(&self, spec: &PipelineSpec, begins: Option<&str>) -> Result<(), ViewError> {
        self.inner.pipelines.check_begin(spec, begins)
    }

    /// Runs a pipeline from where it has come to. One of its name that runs is stopped before. Blocks for as long as that takes.
    pub fn start_pipeline(&self, spec: PipelineSpec) -> Result<(), ViewError> {
        self.inner.pipelines.start(spec)
    }

    /// Stops a pipeline where it is; `false` where none of that name runs. Blocks for as long as an append takes.
    pub fn stop_pipeline(&self, name: &str) -> bool {
        self.inner.pipelines.stop(name)
    }

    /// Waits until a pipeline has appended what comes of everything below a position. One that does not run is not waited for.
    pub async fn pipeline_reaches(&self, name: &str, position: &Position, timeout: Duration) -> Result<(), ViewError> {
        self.inner.pipelines.wait_for(name, position, timeout).await
    }

    /// Has a pipeline try the events again that it parked.
    pub async fn replay_pipeline(&self, name: &str) -> Result<Replayed, ViewError> {
        self.inner.pipelines.replay(name).await
    }

    /// The running pipelines that read a stream.
    pub fn pipelines_over(&self, stream: &str) -> Vec<String> {
        self.inner.pipelines.over(stream)
    }

    /// The running pipelines, each with the streams that it reads.
    pub fn pipeline_sources(&self) -> Vec<(String, Vec<String>)> {
        self.inner.pipelines.sources()
    }

    /// How each pipeline stands.
    pub fn pipelines(&self) -> Vec<PipelineStatus> {
        self.inner.pipelines.statuses()
    }

    /// Flushes every view and stops folding; pipelines stop first.
    pub fn close(&self) {
        self.inner.pipelines.close();
        let followers = std::mem::take(&mut *self.inner.followers.lock());
        for follower in followers.into_values() {
            follower.close();
        }
        self.inner.opening.maker.stop();
        for view in self.inner.versions() {
            if let Some(lake) = &view.lake {
                lake.close();
            }
        }
    }
}

impl Drop for Inner {
    /// Nothing is written to any table once this is gone: whoever opens the views next is the only one.
    fn drop(&mut self) {
        self.followers.lock().clear();
        self.opening.maker.stop();
        for view in self.versions() {
            if let Some(lake) = &view.lake {
                lake.stop();
            }
        }
    }
}

impl Inner {
    /// All versions of all views.
    fn versions(&self) -> Vec<Arc<View>> {
        let versions = self.versions.lock();
        versions.values().flat_map(Versions::each).cloned().collect()
    }
}
