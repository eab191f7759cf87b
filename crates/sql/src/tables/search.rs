//! `search(view, query)`: the rows that a query finds, the best first, each with its score and a snippet.
//!
//! Invariants
//! - All searches of a view in one question look into one moment of it: index and rows as of one commit.
//! - A limit reaches the index: no more hits than asked for are kept, and no more rows read.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use headwater_views::ViewError;
use headwater_views::search::{FOUND_ROWS_AT_ONCE, Hit, Query, SearchMoment, found_schema, scores};

use super::node::{Node, Read, Start, projected};
use super::searched::{Searched, largest_first, unknown_query};
use crate::limits::HITS_UNRESERVED_MAX;
use crate::off_thread::off_thread;

/// How snippets are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnippetOptions {
    /// The place of the field that they are of; `None`: of whichever shows most.
    pub(crate) field: Option<usize>,
    pub(crate) chars_max: usize,
}

/// What a query finds. `None` for the query: the question is only described, and its parameters are not known.
pub(crate) struct SearchTable {
    searched: Searched,
    query: Option<Query>,
    snippets: SnippetOptions,
    /// The columns of the view, score and snippet.
    columns: SchemaRef,
}

impl SearchTable {
    pub(crate) fn new(searched: Searched, query: Option<Query>, snippets: SnippetOptions) -> SearchTable {
        let columns = found_schema(searched.view());
        SearchTable {
            searched,
            query,
            snippets,
            columns,
        }
    }
}

impl fmt::Debug for SearchTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SearchTable({})", self.searched.name())
    }
}

#[async_trait]
impl TableProvider for SearchTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
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
        let schema = projected(self.schema(), projection)?;
        let all = || (0..self.columns.fields().len()).collect();
        let score = self.columns.field(self.columns.fields().len() - 2).name();
        let scan = SearchScan {
            searched: self.searched.clone(),
            query: self.query.clone().ok_or_else(unknown_query)?,
            snippets: self.snippets,
            wanted: projection.cloned().unwrap_or_else(all),
            order: largest_first(&schema, score),
            schema: Arc::clone(&schema),
            limit,
        };
        Ok(Node::over(scan, schema, self.searched.inputs(state).await?))
    }
}

/// A search in a plan.
#[derive(Clone)]
struct SearchScan {
    searched: Searched,
    query: Query,
    snippets: SnippetOptions,
    /// Which of the view's columns, the score and the snippet.
    wanted: Vec<usize>,
    order: Option<PhysicalSortExpr>,
    schema: SchemaRef,
    limit: Option<usize>,
}

/// Where the reading of what was found stands.
struct Found {
    scan: Arc<SearchScan>,
    moment: Arc<SearchMoment>,
    hits: Arc<[Hit]>,
    at: usize,
    /// Holds what the hits take.
    _memory: MemoryReservation,
}

impl SearchScan {
    async fn find(self, start: Start) -> Result<Found> {
        let memory = MemoryConsumer::new("search").register(start.context.memory_pool());
        let moment = self.searched.moment(&start.inputs, &start.context, &memory).await?;
        let limit = self.limit;
        if limit.is_none_or(|limit| limit > HITS_UNRESERVED_MAX) {
            let (moment, query) = (Arc::clone(&moment), self.query.clone());
            let count = off_thread(move || moment.count(&query)).await?;
            let hits = usize::try_from(count)
                .unwrap_or(usize::MAX)
                .min(limit.unwrap_or(usize::MAX));
            // Once while they are gathered, once while they are sorted.
            memory.try_grow(2 * hits.saturating_mul(size_of::<Hit>()))?;
        }
        let (index, query) = (Arc::clone(&moment), self.query.clone());
        let hits = off_thread(move || index.find(&query, limit)).await?;
        Ok(Found {
            scan: Arc::new(self),
            moment,
            hits: hits.into(),
            at: 0,
            _memory: memory,
        })
    }

    /// The rows of some hits.
    fn read(&self, moment: &SearchMoment, hits: &[Hit]) -> Result<RecordBatch, ViewError> {
        let view = self.searched.view();
        let score = view.schema().fields().len();
        let needs_rows = self.wanted.iter().any(|column| *column != score);
        let rows = match needs_rows {
            true => Some(moment.rows(view, hits)?),
            false => None,
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.wanted.len());
        for column in &self.wanted {
            columns.push(match &rows {
                Some(rows) if *column < score => Arc::clone(rows.column(*column)),
                Some(rows) if *column > score => {
                    let SnippetOptions { field, chars_max } = self.snippets;
                    moment.snippets(view, &self.query, field, chars_max).of(rows)?
                }
                _ => scores(hits),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(hits.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| ViewError::Failed(error.to_string()))
    }
}

impl Found {
    async fn next(mut self) -> Result<Option<(RecordBatch, Found)>> {
        let from = self.at;
        let to = self.hits.len().min(from + FOUND_ROWS_AT_ONCE);
        if from == to {
            return Ok(None);
        }
        let (scan, moment, hits) = (Arc::clone(&self.scan), Arc::clone(&self.moment), Arc::clone(&self.hits));
        let rows = off_thread(move || scan.read(&moment, &hits[from..to])).await?;
        self.at = to;
        Ok(Some((rows, self)))
    }
}

impl Read for SearchScan {
    const NAME: &'static str = "SearchScan";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let (view, query) = (self.searched.name(), self.query.text());
        write!(f, "view={view}, query={query}")?;
        if let Some(limit) = self.limit {
            write!(f, ", limit={limit}")?;
        }
        write!(f, ", columns=[{}]", columns.join(", "))
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let schema = Arc::clone(&start.schema);
        let found = futures::stream::once(self.clone().find(start));
        let rows = found.map_ok(|found| futures::stream::try_unfold(found, Found::next));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            rows.try_flatten().boxed(),
        )))
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
