//! How a view begins: as the one that runs already, in the place of one whose states it shares, or anew beside the one before.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Inner;
use crate::fold::{Compiled, Kept, compile_view};
use crate::follow::{Follower, Paused};
use crate::rows::folder;
use crate::versions::{Versions, rest, retire, swap_when_built};
use crate::{View, ViewError, ViewSpec};

impl Inner {
    /// Starts a version of a view: one that runs already and is the same goes on, another is opened; until it is built the one `before` is asked.
    pub(super) fn start_version(&self, spec: &ViewSpec, before: Option<&ViewSpec>) -> Result<Arc<View>, ViewError> {
        let compiled = compile_view(spec, &self.opening.log)?;
        if let Some(running) = self.holding(spec, &compiled) {
            return self.take_on(&running, spec, compiled);
        }
        // What cannot be read any more as it was is not asked any more.
        let before = before.and_then(|before| Some((compile_view(before, &self.opening.log).ok()?, before)));
        let name = &spec.definition.name;
        let mut keep = vec![compiled.fingerprint];
        keep.extend(before.iter().map(|(before, _)| before.fingerprint));
        if let Some(running) = self.versions.lock().get(name) {
            keep.extend(running.each().map(|view| view.fingerprint));
        }
        if let Some(dir) = &self.opening.dir {
            folder::remove_other_versions(dir, name, &keep);
        }
        let view = self.opening.open(spec, compiled)?;
        let mut opened = vec![view.clone()];
        if let Some((compiled, before)) = before
            && let Some(before) = self.open_before(&view, before, compiled)?
        {
            opened.push(before.clone());
            self.versions.lock().entry(name.clone()).or_insert(Versions {
                current: before,
                next: None,
            });
        }
        {
            let mut versions = self.versions.lock();
            match versions.get_mut(name) {
                Some(running) => {
                    view.is_next.store(true, Ordering::Release);
                    running.abandon_next_but(&view);
                    running.next = Some(view.clone());
                }
                None => {
                    let first = Versions {
                        current: view.clone(),
                        next: None,
                    };
                    versions.insert(name.clone(), first);
                }
            }
        }
        for view in &opened {
            for stream in view.streams() {
                self.follow(stream, view)?;
            }
        }
        Ok(view)
    }

    /// The running version that a definition is of. What was being built instead of it is given up.
    fn holding(&self, spec: &ViewSpec, compiled: &Compiled) -> Option<Arc<View>> {
        let mut versions = self.versions.lock();
        let running = versions.get_mut(&spec.definition.name)?;
        let is_same = |view: &&Arc<View>| {
            // One that stopped, and has its store still, opens with the program.
            let is_there = view.stopped.lock().is_none() || !view.is_in_memory();
            let is_same = view.fingerprint == compiled.fingerprint && !view.stands_still();
            is_same && is_there && view.can_show(compiled)
        };
        let holding = running.each().find(is_same).cloned()?;
        running.abandon_next_but(&holding);
        Some(holding)
    }

    /// Lets a running version take a definition on that has its rows.
    fn take_on(&self, running: &Arc<View>, spec: &ViewSpec, compiled: Compiled) -> Result<Arc<View>, ViewError> {
        if running.query.surface != compiled.query.surface {
            return self.succeed(running, spec, compiled);
        }
        running.redefine(&spec.definition, &self.opening.options);
        Ok(Arc::clone(running))
    }

    /// Puts a view in the place of one whose states it shares and shows otherwise: over the same store, at the same position, in one step.
    fn succeed(&self, running: &Arc<View>, spec: &ViewSpec, compiled: Compiled) -> Result<Arc<View>, ViewError> {
        let paused: Vec<Paused> = {
            let followers = self.followers.lock();
            let streams = running.streams().into_iter();
            streams
                .filter_map(|stream| followers.get(stream))
                .map(Follower::pause)
                .collect()
        };
        match running.flush() {
            // What one that stopped had not committed is folded again by the one that takes its place.
            Ok(()) | Err(ViewError::Stopped { .. }) => {}
            Err(error) => return Err(error),
        }
        let folder = Arc::clone(&running.folder);
        let view = View::open(
            spec,
            compiled,
            self.opening.log.clone(),
            folder,
            Kept::default(),
            &self.opening.options,
        )?;
        let view = Arc::new(view);
        {
            let mut versions = self.versions.lock();
            if let Some(versions) = versions.get_mut(&spec.definition.name) {
                let is_next = versions.next.as_ref().is_some_and(|next| Arc::ptr_eq(next, running));
                view.is_next.store(is_next, Ordering::Release);
                match is_next {
                    true => versions.next = Some(view.clone()),
                    false => versions.current = view.clone(),
                }
            }
            running.is_replaced.store(true, Ordering::Release);
            rest(running, "a newer version took its place");
        }
        for stream in view.streams() {
            self.follow(stream, &view)?;
        }
        drop(paused);
        Ok(view)
    }

    /// Opens the version that is asked until another is built, after a start in between. `None`, and its folder goes: the other is built, or this one
    /// never was, or is not whole any more.
    fn open_before(&self, next: &View, spec: &ViewSpec, compiled: Compiled) -> Result<Option<Arc<View>>, ViewError> {
        let is_running = self.versions.lock().contains_key(&spec.definition.name);
        let folder = self
            .opening
            .dir
            .as_ref()
            .map(|dir| folder::of_version(dir, &spec.definition.name, compiled.fingerprint));
        let (false, Some(folder)) = (is_running, folder) else {
            return Ok(None);
        };
        let is_wanted =
            next.building().is_some() && next.fingerprint != compiled.fingerprint && folder::is_there(&folder);
        if is_wanted {
            let before = match self.opening.open(spec, compiled) {
                Err(ViewError::Stopped { .. }) => {
                    // It did not come out of this log: the new version is there to take its place.
                    folder::remove_version(&folder);
                    return Ok(None);
                }
                opened => opened?,
            };
            if before.building().is_none() && before.is_built.load(Ordering::Acquire) {
                return Ok(Some(before));
            }
            retire(&before, "it is not whole");
        } else if next.fingerprint != compiled.fingerprint {
            folder::remove_version(&folder);
        }
        Ok(None)
    }

    fn follow(&self, stream: &str, view: &Arc<View>) -> Result<(), ViewError> {
        let mut followers = self.followers.lock();
        if !followers.contains_key(stream) {
            let follower = Follower::new(
                self.opening.log.clone(),
                self.catalog.clone(),
                stream,
                self.opening.options.clone(),
                swap_when_built(&self.versions),
                Arc::clone(&self.held),
            );
            followers.insert(stream.to_owned(), follower);
        }
        let Some(follower) = followers.get(stream) else {
            return Ok(());
        };
        let name = view.definition.name.clone();
        let added = follower.add(Arc::clone(view));
        added.map_err(|error| ViewError::Failed(format!("no thread to keep '{name}' was to be had: {error}")))
    }
}
