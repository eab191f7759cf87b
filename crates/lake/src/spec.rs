//! What a view's table is to be.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use headwater_catalog::Shape;
use headwater_views::{ImageSpec, ViewError};
use parking_lot::Mutex;

use crate::columns;
use crate::limits::{EVERY_MS_MIN, KEEP_VERSIONS, KEEP_VERSIONS_MIN};
use crate::location::Location;

/// What a table is to be.
pub(crate) struct TableSpec {
    /// Names the version of the view: the identifier of its transactions.
    pub(crate) view: String,
    /// The view's own name.
    pub(crate) name: String,
    /// The log that it is made of.
    pub(crate) log: String,
    /// The folder of the version of the view, where there is one.
    pub(crate) folder: Option<PathBuf>,
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

impl TableSpec {
    /// Of a view, or why it can be no table. `is_copy`: it lies in the view's folder, also where the view names a place: that is another program's.
    pub(crate) fn of(spec: &ImageSpec<'_>, is_copy: bool) -> Result<TableSpec, ViewError> {
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
            name: definition.name.clone(),
            log: format!("{:016x}", spec.log),
            folder: spec.folder.map(Path::to_owned),
            location: Location::of(location.as_deref().filter(|_| !is_copy), spec.folder)?,
            is_named: location.is_some() && !is_copy,
            schema: Arc::clone(&spec.schema),
            stored,
            partitioned_by: partitioned_by.clone(),
            key_columns: spec.key_columns.to_vec(),
            keep_versions: Mutex::new(keep_versions),
        })
    }
}
