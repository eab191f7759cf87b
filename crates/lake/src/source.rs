//! The rows of one version of a table, for questions: only the files that a filter leaves are read, and of them only the columns that are asked for.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use deltalake_core::DeltaTable;
use deltalake_core::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake_core::kernel::Remove;

use crate::typed_scan::Told;

/// One version of a table, with the columns of its view.
pub(crate) struct Source {
    delta: DeltaTable,
    scan: DeltaScanNext,
}

impl Source {
    /// The table as it is known; `schema`: the view's columns, whose types may be others than the table's.
    pub(crate) fn new(delta: &DeltaTable, schema: &SchemaRef) -> Result<Source> {
        let config = DeltaScanConfig::new()
            .with_wrap_partition_values(false)
            .with_schema(Arc::clone(schema));
        let snapshot = delta.snapshot().map_err(DataFusionError::from)?.snapshot().clone();
        Ok(Source {
            delta: delta.clone(),
            scan: DeltaScanNext::new(snapshot, config)?,
        })
    }

    /// The table, at this version.
    pub(crate) fn delta(&self) -> &DeltaTable {
        &self.delta
    }

    /// One of its files; `file`: as a commit would take it out.
    pub(crate) fn of_file(delta: &DeltaTable, schema: &SchemaRef, file: &Remove) -> Result<Source> {
        let Source { delta, scan } = Source::new(delta, schema)?;
        let scan = scan.with_file_paths([path_in_commits(file)?]);
        Ok(Source { delta, scan })
    }
}

/// A file's path as commits have it, which is how a scan takes it: an address in the table, where a `%` of the path is written `%25`. The file itself
/// has the path without that, and a folder's name has such signs for all but letters, digits and a few others of its value.
fn path_in_commits(file: &Remove) -> Result<String> {
    let failed = |error| DataFusionError::External(Box::new(error));
    let written = serde_json::to_value(file).map_err(failed)?;
    match &written["path"] {
        serde_json::Value::String(path) => Ok(path.clone()),
        _ => internal_err!("a file of a table has no path"),
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.delta.table_url())
    }
}

#[async_trait]
impl TableProvider for Source {
    fn schema(&self) -> SchemaRef {
        self.scan.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.scan.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // Where the files are is a part of the session: told once for each table.
        self.delta.update_datafusion_session(state)?;
        let scan = self.scan.scan(state, projection, filters, limit).await?;
        Ok(Told::over(scan))
    }
}
