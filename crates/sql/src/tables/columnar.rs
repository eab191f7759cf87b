//! A materialized view that is a table of column files: what is in the files, and what waits in memory, as of one position.
//!
//! Filters, columns and limits are pushed into the files, of which partitions and statistics leave out those that cannot matter; several are read
//! side by side.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use headwater_views::View;

use crate::SqlError;
use crate::question::{LakeReading, QuestionReads};

/// Such a view in one question.
pub(crate) struct ColumnarTable {
    reading: Arc<LakeReading>,
}

impl ColumnarTable {
    /// The view as this question reads it.
    pub(crate) fn new(view: &Arc<View>, reads: &QuestionReads) -> ColumnarTable {
        ColumnarTable {
            reading: reads.lake(view),
        }
    }
}

impl fmt::Debug for ColumnarTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ColumnarTable({})", self.reading.view().definition().name)
    }
}

#[async_trait]
impl TableProvider for ColumnarTable {
    fn schema(&self) -> SchemaRef {
        self.reading.view().schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // The rows that wait are not filtered below.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.reading.rows().map_err(SqlError::from)?;
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if let Some(table) = &rows.table {
            parts.push(
                table
                    .scan(state, projection, &pushed(table.as_ref(), filters)?, limit)
                    .await?,
            );
        }
        if !rows.waiting.is_empty() || parts.is_empty() {
            let waiting = MemTable::try_new(Arc::clone(&rows.schema), vec![rows.waiting.clone()])?;
            parts.push(waiting.scan(state, projection, &[], limit).await?);
        }
        united(parts)
    }
}

/// The rows of a table's parts, of which there is at least one.
pub(super) fn united(mut parts: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
    match parts.len() {
        1 => Ok(parts.remove(0)),
        _ => UnionExec::try_new(parts),
    }
}

/// The filters that a table can make use of.
pub(super) fn pushed(table: &dyn TableProvider, filters: &[Expr]) -> Result<Vec<Expr>> {
    let known = table.supports_filters_pushdown(&filters.iter().collect::<Vec<&Expr>>())?;
    let useful = filters.iter().zip(known);
    let useful = useful.filter(|(_, pushed)| *pushed != TableProviderFilterPushDown::Unsupported);
    Ok(useful.map(|(filter, _)| filter.clone()).collect())
}
