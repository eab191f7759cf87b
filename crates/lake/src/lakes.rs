//! Opens the tables of views.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use deltalake_core::logstore::LogStoreRef;
use headwater_views::{ImageSpec, LakeTable, Lakes, ViewError};
use object_store::ObjectStore;
use parking_lot::Mutex;

use crate::answering::Silence;
use crate::location::{Decorate, Location};
use crate::location_is_free;
use crate::runtime::Storage;
use crate::spec::TableSpec;
use crate::table::{Table, check_whose};

/// Delta Lake tables, in folders and in buckets.
pub struct DeltaLakes {
    storage: Arc<Storage>,
    decorate: Box<Decorate>,
    /// Where the program keeps its own files, and no view may have its table.
    own: Option<PathBuf>,
    /// Whether the program runs on a copy of another's events, whose tables it leaves alone.
    is_copy: bool,
    /// By storage: who of them did not answer lately.
    silences: Mutex<BTreeMap<String, Silence>>,
}

impl DeltaLakes {
    /// Starts the threads on which tables wait for their storage.
    pub fn start() -> std::io::Result<DeltaLakes> {
        DeltaLakes::over(|store| store)
    }

    /// The same, with something between the tables and their storage.
    pub fn over(
        decorate: impl Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync + 'static,
    ) -> std::io::Result<DeltaLakes> {
        Ok(DeltaLakes {
            storage: Arc::new(Storage::start()?),
            decorate: Box::new(decorate),
            own: None,
            is_copy: false,
            silences: Mutex::default(),
        })
    }

    /// Keeps the tables of views that name their LOCATION out of the program's own folder.
    pub fn apart_from(mut self, own: &Path) -> DeltaLakes {
        self.own = Some(own.to_owned());
        self
    }

    /// Keeps all tables in the folders of their views, also those of views that name a LOCATION: there lies the table of the program whose events these
    /// are a copy of.
    pub fn of_a_copy(mut self, is_copy: bool) -> DeltaLakes {
        self.is_copy = is_copy;
        self
    }

    /// What a view's table is to be, or why it cannot, and the store of the place that it names.
    fn placed(&self, spec: &ImageSpec<'_>) -> Result<(TableSpec, Option<LogStoreRef>), ViewError> {
        let spec = TableSpec::of(spec, self.is_copy)?;
        if !spec.is_named {
            return Ok((spec, None));
        }
        if let Some(own) = &self.own {
            location_is_free::check_apart(&spec.location, own)?;
        }
        let store = spec
            .location
            .open(self.decorate.as_ref(), &self.silence(&spec.location))?;
        self.storage.wait(location_is_free::check(&spec.location, &store))?;
        Ok((spec, Some(store)))
    }

    fn silence(&self, location: &Location) -> Silence {
        self.silences.lock().entry(location.storage()).or_default().clone()
    }

    /// Does what asks storage. Where that did not answer, it says so, and of the same storage at once for a while.
    fn asking<T>(&self, spec: &ImageSpec<'_>, ask: impl FnOnce() -> Result<T, ViewError>) -> Result<T, ViewError> {
        let location = TableSpec::of(spec, self.is_copy)?.location;
        let silence = self.silence(&location);
        let unanswered = || ViewError::Unanswered(format!("the storage of the table at {location} does not answer"));
        if silence.is_recent() {
            return Err(unanswered());
        }
        let begun = Instant::now();
        ask().map_err(|error| match silence.since(begun) {
            true => unanswered(),
            false => error,
        })
    }

    fn open_table(&self, spec: &ImageSpec<'_>) -> Result<Arc<dyn LakeTable>, ViewError> {
        let (spec, store) = self.placed(spec)?;
        let store = match store {
            Some(store) => store,
            None => spec
                .location
                .open(self.decorate.as_ref(), &self.silence(&spec.location))?,
        };
        let table = self.storage.wait(Table::open(Arc::clone(&self.storage), spec, store))?;
        Ok(Arc::new(table))
    }
}

impl Lakes for DeltaLakes {
    fn check(&self, spec: &ImageSpec<'_>) -> Result<(), ViewError> {
        self.asking(spec, || match self.placed(spec)? {
            (spec, Some(store)) => self.storage.wait(check_whose(&spec, store)),
            (_, None) => Ok(()),
        })
    }

    fn open(&self, spec: &ImageSpec<'_>) -> Result<Arc<dyn LakeTable>, ViewError> {
        self.asking(spec, || self.open_table(spec))
    }
}
