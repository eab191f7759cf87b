//! What of a scan's filters the read does not answer.
//!
//! A filter that was taken as one on the key may come back written otherwise: `a IN (true)` as `a`, `a IN (1, NULL)` as `a = 1 OR NULL`. Where a read
//! does not know it again, it is asked of the rows that were read.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;

/// A read of some columns of a table, of whose rows the filters `rest` let through some. `read` reads columns of it.
pub(super) async fn filtered(
    state: &dyn Session,
    schema: SchemaRef,
    projection: Option<&Vec<usize>>,
    rest: Vec<Expr>,
    read: impl AsyncFnOnce(Option<&Vec<usize>>) -> Result<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(filter) = conjunction(rest) else {
        return read(projection).await;
    };
    let mut columns = projection
        .cloned()
        .unwrap_or_else(|| (0..schema.fields().len()).collect());
    let shown: Vec<usize> = (0..columns.len()).collect();
    for column in filter.column_refs() {
        let column = schema.index_of(&column.name)?;
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let rows = read(Some(&columns)).await?;
    let predicate = state.create_physical_expr(filter, &DFSchema::try_from(rows.schema())?)?;
    let filtered = FilterExecBuilder::new(predicate, rows).apply_projection(Some(shown))?;
    Ok(Arc::new(filtered.build()?))
}
