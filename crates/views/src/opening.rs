//! Opening a version of a view: its store, and what its shape keeps beside it, as they stand, or anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_catalog::Shape;
use headwater_eventlog::EventLog;

use crate::fold::{Compiled, Kept};
use crate::lake::{Lake, Lakes, Pending, Standing};
use crate::options::ViewOptions;
use crate::rows::checkpoints::{Checkpoints, Maker};
use crate::rows::flush::Note;
use crate::rows::folder::{self, StoreFolder, Stores};
use crate::rows::history::foreign;
use crate::rows::image::ImageSpec;
use crate::{Unkept, View, ViewError, ViewSpec, shapes};

/// With what versions are opened.
pub(crate) struct Opening {
    pub(crate) log: EventLog,
    /// Where stores live; `None`: in memory.
    pub(crate) dir: Option<PathBuf>,
    /// Opens the stores there.
    pub(crate) stores: Arc<dyn Stores>,
    pub(crate) lakes: Option<Arc<dyn Lakes>>,
    /// Writes checkpoints of views.
    pub(crate) maker: Maker,
    pub(crate) options: ViewOptions,
}

impl Opening {
    /// Opens a version at the position that its store has.
    pub(crate) fn open(&self, spec: &ViewSpec, compiled: Compiled) -> Result<Arc<View>, ViewError> {
        let Opened { store, kept, made_anew } = match compiled.query.is_per_event {
            true => self.open_lake(spec, &compiled)?,
            false => self.open_store(spec, &compiled)?,
        };
        let mut view = View::open(spec, compiled, self.log.clone(), Arc::new(store), kept, &self.options)?;
        view.made_anew = made_anew;
        if view.note_built() {
            match view.flush() {
                // It says so, and tries again.
                Ok(()) | Err(ViewError::Full(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Arc::new(view))
    }

    /// Opens a version's store, and what its shape keeps beside it. Where that is less far than the store, or the store did not come out of this log,
    /// both are made anew.
    fn open_store(&self, spec: &ViewSpec, compiled: &Compiled) -> Result<Opened, ViewError> {
        let definition = &spec.definition;
        let fingerprint = compiled.fingerprint;
        let open = || -> Result<_, ViewError> {
            let store = match &self.dir {
                Some(dir) => {
                    let path = folder::of_version(dir, &definition.name, fingerprint);
                    let mut store = match definition.shape == Some(Shape::Memory) {
                        true => StoreFolder::in_memory_beside(path.clone()),
                        false => folder::open_patiently(self.stores.as_ref(), &path, fingerprint)?,
                    };
                    store.checkpoints = compiled
                        .query
                        .keeps_checkpoints()
                        .then(|| self.checkpoints(&path, fingerprint));
                    store
                }
                None => StoreFolder::in_memory(),
            };
            let image = shapes::open(&image_spec(&self.log, spec, compiled, store.path()))?;
            Ok((store, image))
        };
        let (store, image) = open()?;
        let position = store.store.position();
        let is_behind = image
            .as_ref()
            .zip(position.as_ref())
            .is_some_and(|(image, position)| image.position().is_none_or(|reached| !reached.covers(position)));
        let made_anew = match position.zip(store.store.note()?) {
            _ if is_behind => Some("what it keeps beside its rows was less far than they are".to_owned()),
            Some((position, note)) => self.foreign(spec, compiled, &Standing { position, note }, None)?,
            None => None,
        };
        let Some(why) = made_anew else {
            let lake = self.open_merged(spec, compiled, &store)?;
            return Ok(Opened {
                store,
                kept: Kept { image, lake },
                made_anew: None,
            });
        };
        say_made_anew(spec, &why);
        store.remove_when_dropped();
        drop(image);
        drop(store);
        let (store, image) = open()?;
        let lake = self.open_merged(spec, compiled, &store)?;
        Ok(Opened {
            store,
            kept: Kept { image, lake },
            made_anew: Some(why),
        })
    }

    /// Why rows that stand there did not come out of this log, where that is so. An error where they are at a location, which is not ours to clear, or
    /// cannot be made again: nobody is to lose them unasked.
    fn foreign(
        &self,
        spec: &ViewSpec,
        compiled: &Compiled,
        standing: &Standing,
        location: Option<&str>,
    ) -> Result<Option<String>, ViewError> {
        let last = Note::read(&standing.note).last;
        let Some(why) = foreign(&self.log, &standing.position, &last) else {
            return Ok(None);
        };
        let stopped = |way_out: &str| ViewError::Stopped {
            view: spec.definition.name.clone(),
            why: format!("{why}; {way_out}"),
        };
        if let Some(location) = location {
            return Err(stopped(&format!(
                "nothing is written to its table at {location} any more: give the view a LOCATION of its own, or take that table away, DROP the view and CREATE it"
            )));
        }
        if !Unkept::of(&compiled.query, &self.log).is_empty() {
            return Err(stopped(
                "its streams no longer keep all events that it was made of: ALTER MATERIALIZED VIEW … REBUILD makes it anew without those, or restore \
                 the whole data folder",
            ));
        }
        Ok(Some(why))
    }

    fn checkpoints(&self, path: &Path, fingerprint: u64) -> Checkpoints {
        Checkpoints::open(path, fingerprint, self.options.checkpoint_events, self.maker.clone())
    }

    /// Opens the table that a view's rows are merged into, where there is one.
    fn open_merged(
        &self,
        spec: &ViewSpec,
        compiled: &Compiled,
        store: &StoreFolder,
    ) -> Result<Option<Lake>, ViewError> {
        let (Some(Shape::Columnar { .. }), Some(lakes), Some(_)) = (&spec.definition.shape, &self.lakes, store.path())
        else {
            return Ok(None);
        };
        let table = lakes.open(&image_spec(&self.log, spec, compiled, store.path()))?;
        let standing = table.standing();
        if let (Some(standing), Some(location)) = (&standing, location(spec)) {
            self.foreign(spec, compiled, standing, Some(location))?;
        }
        let merged = standing.map(|standing| standing.position);
        // Which rows changed between the last merge and the end of the program, nobody has kept: all are merged again.
        let is_all = merged.is_none() || merged != store.store.position();
        let has_keys = !compiled.query.key_columns.is_empty();
        let pending = Pending::new(has_keys, is_all);
        Ok(Some(Lake::new(table, Some(pending), spec.definition.settings.every_ms)))
    }

    /// Opens the table of a view that has one row for each event. In memory it needs none: all rows wait there. A table that did not come out of this log
    /// is made anew, where it is the view's own.
    fn open_lake(&self, spec: &ViewSpec, compiled: &Compiled) -> Result<Opened, ViewError> {
        let (Some(dir), Some(lakes)) = (&self.dir, &self.lakes) else {
            return Ok(Opened {
                store: StoreFolder::in_memory(),
                kept: Kept::default(),
                made_anew: None,
            });
        };
        let definition = &spec.definition;
        let path = folder::of_version(dir, &definition.name, compiled.fingerprint);
        let open = || -> Result<_, ViewError> {
            let folder = StoreFolder::without_store(path.clone());
            let table = lakes.open(&image_spec(&self.log, spec, compiled, folder.path()))?;
            Ok((folder, table))
        };
        let (mut store, mut table) = open()?;
        let made_anew = match table.standing() {
            Some(standing) => self.foreign(spec, compiled, &standing, location(spec))?,
            None => None,
        };
        if let Some(why) = &made_anew {
            say_made_anew(spec, why);
            store.remove_when_dropped();
            drop(table);
            drop(store);
            (store, table) = open()?;
        }
        let lake = Lake::new(table, None, definition.settings.every_ms);
        let kept = Kept {
            image: None,
            lake: Some(lake),
        };
        Ok(Opened { store, kept, made_anew })
    }
}

/// What a version's rows are kept in.
struct Opened {
    store: StoreFolder,
    kept: Kept,
    /// Why what was there was thrown away, where it was.
    made_anew: Option<String>,
}

/// Where its table lies, where that is a place of its own.
fn location(spec: &ViewSpec) -> Option<&str> {
    match &spec.definition.shape {
        Some(Shape::Columnar { location, .. }) => location.as_deref(),
        _ => None,
    }
}

fn say_made_anew(spec: &ViewSpec, why: &str) {
    tracing::warn!(
        view = spec.definition.name,
        "the view's rows are thrown away and made anew from the log: {why}"
    );
}

/// What a shape is opened with.
pub(crate) fn image_spec<'a>(
    log: &EventLog,
    spec: &'a ViewSpec,
    compiled: &'a Compiled,
    folder: Option<&'a Path>,
) -> ImageSpec<'a> {
    ImageSpec {
        definition: &spec.definition,
        schema: compiled.query.output.clone(),
        key_columns: &compiled.query.key_columns,
        folder,
        log: log.identity(),
        // A table at a place of its own outlives its view: what it belongs to is what it holds, not how often that was built.
        fingerprint: match &spec.definition.shape {
            Some(Shape::Columnar { location: Some(_), .. }) => compiled.meaning,
            _ => compiled.fingerprint,
        },
    }
}
