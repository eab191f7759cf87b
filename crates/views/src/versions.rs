//! Which version of a view is asked, and which one is being built to take its place.
//!
//! ```text
//! CREATE ───────────────> current           being built for the first time: it says so to whoever asks
//! OR REPLACE, REBUILD ──> current   next    the one is asked and goes on, the other is built beside it
//! current stopped ──────> next              it is asked before it is built, as a new view is
//! next is as far ───────> next              in one step, under the registry's lock; the store of the other goes with its last reader
//! another OR REPLACE ───> current   newer   what was being built is given up
//! ```
//!
//! Invariants
//! - There is at most one `next`, and it is the version that the catalog has.
//! - A version takes the place of another when it has folded all that the other has: no reader goes back in time.
//! - A version that stopped takes nobody's place, and one that does has committed that it is built: it is the one that is asked after a crash, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::View;
use crate::fold::Compiled;
use crate::follow::OnBuilt;
use crate::follow::pace::Build;
use crate::view::ViewByName;

/// The versions of all views, by name.
pub(crate) type Registry = Arc<Mutex<BTreeMap<String, Versions>>>;

/// A view: the version that is asked, and the one that is being built to take its place.
pub(crate) struct Versions {
    pub current: Arc<View>,
    pub next: Option<Arc<View>>,
}

/// How the version stands that is to take a view's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuild {
    /// Its number.
    pub version: u32,
    /// How far it is.
    pub build: Build,
    /// What keeps it from getting on, and is tried again and again.
    pub held_up: Option<String>,
    /// Why it stopped, where it did: the version before it goes on.
    pub stopped: Option<String>,
}

impl Versions {
    /// Both of them.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Arc<View>> {
        std::iter::once(&self.current).chain(&self.next)
    }

    /// The version whose rows are those of a definition, whatever its number, unless it stopped or stands still.
    pub(crate) fn holding(&self, compiled: &Compiled) -> Option<&Arc<View>> {
        let holds = |view: &&Arc<View>| {
            let goes_on = view.stopped.lock().is_none() && !view.stands_still();
            view.meaning == compiled.meaning && goes_on && view.can_show(compiled)
        };
        // What is being built is what was said last.
        self.next.iter().chain([&self.current]).find(holds)
    }

    /// The version that is asked. One that stopped has no rows: who asks then waits for the one that is being built in its place. Its store stays, should
    /// that one not be built either.
    pub(crate) fn asked(&mut self) -> &Arc<View> {
        let goes_on = |view: &View| view.stopped.lock().is_none();
        if !goes_on(&self.current)
            && let Some(next) = self.next.take_if(|next| goes_on(next))
        {
            next.is_next.store(false, Ordering::Release);
            let stopped = std::mem::replace(&mut self.current, next);
            stopped.is_replaced.store(true, Ordering::Release);
            rest(&stopped, "a newer version is built in its place");
        }
        &self.current
    }

    /// Gives up what is being built, unless it is this one.
    pub(crate) fn abandon_next_but(&mut self, kept: &Arc<View>) {
        if let Some(abandoned) = self.next.take_if(|next| !Arc::ptr_eq(next, kept)) {
            retire(&abandoned, "another definition took its place before it was built");
        }
    }

    /// How the next version stands.
    pub(crate) fn rebuild(&self) -> Option<Rebuild> {
        let next = self.next.as_ref()?;
        Some(Rebuild {
            version: next.definition.version,
            build: next.build(),
            held_up: next.held_up(),
            stopped: next.stopped(),
        })
    }
}

impl View {
    /// Whether what a definition shows can be made of the states that are kept here: by another view over the same store, which rows in memory do not
    /// have.
    pub(crate) fn can_show(&self, compiled: &Compiled) -> bool {
        self.query.surface == compiled.query.surface || !self.is_in_memory()
    }
}

/// Finds the versions that are asked.
pub(crate) fn by_name(registry: &Registry) -> ViewByName {
    let registry = Arc::clone(registry);
    Arc::new(move |name: &str| {
        registry
            .lock()
            .get_mut(name)
            .map(|versions| Arc::clone(versions.asked()))
    })
}

/// Lets a version that is built take the place of the one before it, once it is at least as far.
pub(crate) fn swap_when_built(registry: &Registry) -> OnBuilt {
    let registry = Arc::clone(registry);
    Arc::new(move |view| {
        let mut registry = registry.lock();
        if view.stopped.lock().is_some() {
            return;
        }
        let Some(versions) = registry.get_mut(&view.definition.name) else {
            return;
        };
        let is_as_far =
            view.streams() != versions.current.streams() || view.position().covers(&versions.current.position());
        if let Some(next) = versions.next.take_if(|next| is_as_far && Arc::ptr_eq(next, view)) {
            next.is_next.store(false, Ordering::Release);
            let replaced = std::mem::replace(&mut versions.current, next);
            tracing::info!(
                view = view.definition.name,
                "version {} is built and asked from now on",
                view.definition.version
            );
            replaced.is_replaced.store(true, Ordering::Release);
            retire(&replaced, "a newer version took its place");
        }
    })
}

/// Whether a version is on its way to being asked, and gets on.
pub(crate) fn is_being_built(view: &View) -> bool {
    let is_on_its_way = view.building().is_some() || view.is_next();
    is_on_its_way && view.stopped.lock().is_none() && !view.stands_still()
}

/// Ends a version for good: its store goes with its last holder.
pub(crate) fn retire(view: &View, why: &str) {
    view.folder.remove_when_dropped();
    rest(view, why);
}

/// Ends a version whose store lives on.
pub(crate) fn rest(view: &View, why: &str) {
    view.is_retired.store(true, Ordering::Release);
    if let Some(lake) = &view.lake {
        lake.retire();
    }
    view.stop(why);
}
