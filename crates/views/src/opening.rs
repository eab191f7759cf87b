//! Opening a version of a view: its store, and what its shape keeps beside it, as they stand, or anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_catalog::Shape;
use headwater_eventlog::EventLog;

use crate::checkpoints::{Checkpoints, Maker};
use crate::fold::{Compiled, Kept};
use crate::folder::{self, StoreFolder, Stores};
use crate::image::ImageSpec;
use crate::lake::{Lake, Lakes, Pending};
use crate::options::ViewOptions;
use crate::{View, ViewError, ViewSpec, shapes};

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
        let (store, kept) = match compiled.query.is_per_event {
            true => self.open_lake(spec, &compiled)?,
            false => self.open_store(spec, &compiled)?,
        };
        let view = View::open(spec, compiled, self.log.clone(), Arc::new(store), kept, &self.options)?;
        if view.note_built() {
            view.flush()?;
        }
        Ok(Arc::new(view))
    }

    /// Opens a version's store, and what its shape keeps beside it. Where that is less far than the store both are made anew.
    fn open_store(&self, spec: &ViewSpec, compiled: &Compiled) -> Result<(StoreFolder, Kept), ViewError> {
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
            let image = shapes::open(&image_spec(spec, compiled, store.path()))?;
            Ok((store, image))
        };
        let (store, image) = open()?;
        let position = store.store.position();
        let is_behind = image
            .as_ref()
            .zip(position)
            .is_some_and(|(image, position)| image.position().is_none_or(|reached| !reached.covers(&position)));
        if !is_behind {
            let lake = self.open_merged(spec, compiled, &store)?;
            return Ok((store, Kept { image, lake }));
        }
        tracing::warn!(
            "what the view '{}' keeps beside its rows is less far than they are: both are made anew",
            definition.name
        );
        store.remove_when_dropped();
        drop(image);
        drop(store);
        let (store, image) = open()?;
        Ok((store, Kept { image, lake: None }))
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
        let table = lakes.open(&image_spec(spec, compiled, store.path()))?;
        let merged = table.standing().map(|standing| standing.position);
        // Which rows changed between the last merge and the end of the program, nobody has kept: all are merged again.
        let is_all = merged.is_none() || merged != store.store.position();
        let has_keys = !compiled.query.key_columns.is_empty();
        let pending = Pending::new(has_keys, is_all);
        Ok(Some(Lake::new(table, Some(pending), spec.definition.settings.every_ms)))
    }

    /// Opens the table of a view that has one row for each event. In memory it needs none: all rows wait there.
    fn open_lake(&self, spec: &ViewSpec, compiled: &Compiled) -> Result<(StoreFolder, Kept), ViewError> {
        let (Some(dir), Some(lakes)) = (&self.dir, &self.lakes) else {
            return Ok((StoreFolder::in_memory(), Kept::default()));
        };
        let definition = &spec.definition;
        let folder = StoreFolder::without_store(folder::of_version(dir, &definition.name, compiled.fingerprint));
        let table = lakes.open(&image_spec(spec, compiled, folder.path()))?;
        let lake = Lake::new(table, None, definition.settings.every_ms);
        let kept = Kept {
            image: None,
            lake: Some(lake),
        };
        Ok((folder, kept))
    }
}

/// What a shape is opened with.
pub(crate) fn image_spec<'a>(spec: &'a ViewSpec, compiled: &'a Compiled, folder: Option<&'a Path>) -> ImageSpec<'a> {
    ImageSpec {
        definition: &spec.definition,
        schema: compiled.query.output.clone(),
        key_columns: &compiled.query.key_columns,
        folder,
        // A table at a place of its own outlives its view: what it belongs to is what it holds, not how often that was built.
        fingerprint: match &spec.definition.shape {
            Some(Shape::Columnar { location: Some(_), .. }) => compiled.meaning,
            _ => compiled.fingerprint,
        },
    }
}
