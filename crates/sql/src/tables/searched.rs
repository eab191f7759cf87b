//! What a table function over a search view looks into: the view as it is, or its rows as they were.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;
use headwater_views::View;
use headwater_views::search::SearchMoment;

use crate::off_thread::off_thread;
use crate::question::SearchReading;
use crate::{SqlError, SqlState};

/// Where a search looks.
#[derive(Clone)]
pub(crate) enum Searched {
    /// Into the view as it is.
    Now(Arc<SearchReading>),
    /// Into the view's rows as they were, given by this plan.
    Then(Arc<View>, Box<LogicalPlan>),
}

impl Searched {
    pub(crate) fn view(&self) -> &Arc<View> {
        match self {
            Searched::Now(reading) => reading.view(),
            Searched::Then(view, _) => view,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.view().definition().name
    }

    /// The plan of the rows to look into, where they are not the view's newest.
    pub(super) async fn inputs(&self, state: &dyn Session) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        Ok(match self {
            Searched::Now(_) => Vec::new(),
            Searched::Then(_, plan) => vec![state.create_physical_plan(plan).await?],
        })
    }

    /// What is looked into.
    pub(super) async fn moment(
        &self,
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &Arc<TaskContext>,
        memory: &MemoryReservation,
    ) -> Result<Arc<SearchMoment>> {
        let (view, input) = match (self, inputs) {
            (Searched::Now(reading), _) => return Ok(reading.moment()?),
            (Searched::Then(view, _), [input]) => (Arc::clone(view), input),
            (Searched::Then(..), _) => {
                return Err(SqlError::new(SqlState::INTERNAL, "a rewound search has no rows").into());
            }
        };
        let mut rows = input.execute(0, Arc::clone(context))?;
        let mut batches: Vec<RecordBatch> = Vec::new();
        while let Some(batch) = rows.try_next().await? {
            // The rows, and an index over them.
            memory.try_grow(2 * batch.get_array_memory_size())?;
            batches.push(batch);
        }
        Ok(off_thread(move || view.searchable_of(&batches).map(Arc::new)).await?)
    }
}

/// The text of the query is a parameter, and the question is only described.
pub(super) fn unknown_query() -> DataFusionError {
    SqlError::new(SqlState::PARAMETERS, "the text of the query is not known").into()
}

/// The largest first, where the column is among those read.
pub(super) fn largest_first(schema: &Schema, column: &str) -> Option<PhysicalSortExpr> {
    let (at, _) = schema.column_with_name(column)?;
    let options = SortOptions {
        descending: true,
        nulls_first: true,
    };
    Some(PhysicalSortExpr::new(Arc::new(Column::new(column, at)), options))
}
