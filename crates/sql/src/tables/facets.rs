//! `facets(view, query, field)`: how often each value of a field occurs among the rows that a query finds, the most frequent first.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use headwater_views::search::Query;

use super::node::{Node, Read, Start, of_columns, projected};
use super::searched::{Searched, largest_first, unknown_query};
use crate::off_thread::off_thread;

const COUNT: &str = "count";

/// How often the values of a field occur. `None` for the query: the question is only described, and its parameters are not known.
pub(crate) struct FacetsTable {
    pub(crate) searched: Searched,
    pub(crate) query: Option<Query>,
    /// The place of the field, and its name.
    pub(crate) field: (usize, String),
}

fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("value", DataType::Utf8, false),
        Field::new(COUNT, DataType::Int64, false),
    ]))
}

impl fmt::Debug for FacetsTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FacetsTable({})", self.searched.name())
    }
}

#[async_trait]
impl TableProvider for FacetsTable {
    fn schema(&self) -> SchemaRef {
        columns()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = projected(columns(), projection)?;
        let scan = FacetsScan {
            searched: self.searched.clone(),
            query: self.query.clone().ok_or_else(unknown_query)?,
            field: self.field.clone(),
            projection: projection.cloned(),
            order: largest_first(&schema, COUNT),
            limit,
        };
        Ok(Node::over(scan, schema, self.searched.inputs(state).await?))
    }
}

/// A count of values.
#[derive(Clone)]
struct FacetsScan {
    searched: Searched,
    query: Query,
    field: (usize, String),
    projection: Option<Vec<usize>>,
    order: Option<PhysicalSortExpr>,
    limit: Option<usize>,
}

impl FacetsScan {
    async fn count(self, start: Start) -> Result<RecordBatch> {
        let memory = MemoryConsumer::new("facets").register(start.context.memory_pool());
        let moment = self.searched.moment(&start.inputs, &start.context, &memory).await?;
        let (query, place) = (self.query, self.field.0);
        let mut facets = off_thread(move || moment.facets(&query, place)).await?;
        facets.truncate(self.limit.unwrap_or(usize::MAX));
        let counts = facets
            .iter()
            .map(|(_, count)| i64::try_from(*count).unwrap_or(i64::MAX));
        let counts = Int64Array::from_iter_values(counts);
        let values = StringArray::from_iter_values(facets.iter().map(|(value, _)| value));
        let made: Vec<ArrayRef> = vec![Arc::new(values), Arc::new(counts)];
        of_columns(RecordBatch::try_new(columns(), made)?, self.projection.as_ref())
    }
}

impl Read for FacetsScan {
    const NAME: &'static str = "FacetsScan";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (view, query) = (self.searched.name(), self.query.text());
        write!(f, "view={view}, query={query}, field={}", self.field.1)?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let schema = Arc::clone(&start.schema);
        let counted = futures::stream::once(self.clone().count(start));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }

    fn order(&self) -> Option<PhysicalSortExpr> {
        self.order.clone()
    }

    fn limit(&self) -> Option<usize> {
        self.limit
    }

    fn limit_to(&mut self, limit: Option<usize>) -> bool {
        self.limit = limit;
        true
    }
}
