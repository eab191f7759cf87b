//! Opens the tables of views.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use deltalake_core::logstore::LogStoreRef;
use headwater_catalog::Shape;
use headwater_views::{ImageSpec, LakeTable, Lakes, ViewError};
use object_store::ObjectStore;
use parking_lot::Mutex;

use crate::columns;
use crate::limits::{EVERY_MS_MIN, KEEP_VERSIONS, KEEP_VERSIONS_MIN};
use crate::location::{Decorate, Location};
use crate::room;
use crate::runtime::Storage;
use crate::table::Table;

/// Delta Lake tables, in folders and in buckets.
pub struct DeltaLakes {
    storage: Arc<Storage>,
    decorate: Box<Decorate>,
    /// Where the program keeps its own files, and no view may have its table.
    own: Option<PathBuf>,
}

/// What a table is to be.
pub(crate) struct TableSpec {
    /// Names the version of the view: the identifier of its transactions.
    pub(crate) view: String,
    pub(crate) location: Location,
    /// Whether the view names its location.
    pub(crate) is_named: bool,
    /// The view's columns,
    pub(crate) schema: SchemaRef,
    /// and the table's.
    pub(crate) stored: SchemaRef,
    pub(crate) partitioned_by: Vec<String>,
    /// The view's columns that tell its rows apart.
    pub(crate) key_columns: Vec<usize>,
    pub(crate) keep_versions: Mutex<Duration>,
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
        })
    }

    /// Keeps the tables of views that name their LOCATION out of the program's own folder.
    pub fn apart_from(mut self, own: &Path) -> DeltaLakes {
        self.own = Some(own.to_owned());
        self
    }

    /// What a view's table is to be, or why it cannot, and the store of the place that it names.
    fn placed(&self, spec: &ImageSpec<'_>) -> Result<(TableSpec, Option<LogStoreRef>), ViewError> {
        let spec = table_spec(spec)?;
        if !spec.is_named {
            return Ok((spec, None));
        }
        if let Some(own) = &self.own {
            room::check_apart(&spec.location, own)?;
        }
        let store = spec.location.open(self.decorate.as_ref())?;
        self.storage.wait(room::check(&spec.location, &store))?;
        Ok((spec, Some(store)))
    }
}

impl Lakes for DeltaLakes {
    fn check(&self, spec: &ImageSpec<'_>) -> Result<(), ViewError> {
        self.placed(spec).map(|_| ())
    }

    fn open(&self, spec: &ImageSpec<'_>) -> Result<Arc<dyn LakeTable>, ViewError> {
        let (spec, store) = self.placed(spec)?;
        let store = match store {
            Some(store) => store,
            None => spec.location.open(self.decorate.as_ref())?,
        };
        let table = self.storage.wait(Table::open(Arc::clone(&self.storage), spec, store))?;
        Ok(Arc::new(table))
    }
}

/// What a view's table is to be, or why it cannot.
fn table_spec(spec: &ImageSpec<'_>) -> Result<TableSpec, ViewError> {
    let definition = spec.definition;
    let refused = |part: String, hint: &str| ViewError::Unfit {
        part,
        hint: hint.to_owned(),
    };
    let Some(Shape::Columnar {
        partitioned_by,
        location,
    }) = &definition.shape
    else {
        return Err(refused(
            format!("'{}', which is no columnar view,", definition.name),
            "write STORED AS columnar",
        ));
    };
    let stored = columns::stored(&spec.schema)?;
    for column in partitioned_by {
        let Ok(field) = stored.field_with_name(column) else {
            let hint = "name columns of the query; make one with an expression and AS";
            return Err(refused(
                format!("PARTITIONED BY ({column}), which is no column of the view,"),
                hint,
            ));
        };
        if !columns::may_partition(field.data_type()) {
            let hint = "a folder's name needs a value with a text";
            return Err(refused(
                format!("PARTITIONED BY ({column}) of type {}", field.data_type()),
                hint,
            ));
        }
    }
    if partitioned_by.len() >= stored.fields().len() {
        return Err(refused(
            "a table that is partitioned by all of its columns".to_owned(),
            "leave one column for its files",
        ));
    }
    if let Some(every_ms) = definition.settings.every_ms.filter(|ms| *ms < EVERY_MS_MIN) {
        return Err(refused(
            format!("every = {every_ms} ms"),
            "10 ms is the least: each is a commit with files of its own; a question reads what waits, too",
        ));
    }
    let keep_versions = definition
        .settings
        .keep_versions_ms
        .map_or(KEEP_VERSIONS, Duration::from_millis);
    if keep_versions < KEEP_VERSIONS_MIN {
        return Err(ViewError::Unfit {
            part: format!(
                "keep_versions of {keep_versions:?}, under which questions would lose the files that they read,"
            ),
            hint: "keep versions for 1 minute or longer".to_owned(),
        });
    }
    Ok(TableSpec {
        view: format!("headwater/{}/{:016x}", definition.name, spec.fingerprint),
        location: Location::of(location.as_deref(), spec.folder)?,
        is_named: location.is_some(),
        schema: Arc::clone(&spec.schema),
        stored,
        partitioned_by: partitioned_by.clone(),
        key_columns: spec.key_columns.to_vec(),
        keep_versions: Mutex::new(keep_versions),
    })
}
