//! What asks a graph, as a table: a pattern, or an algorithm over the whole of it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::common::collect;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use headwater_views::ViewReader;
use tokio::sync::mpsc::Sender;

use super::model::{EdgeAccess, Graph, Rows, VertexAccess};
use super::plan::{StepKind, Traversal};
use super::rows::{EdgeRows, VertexRows, joined};
use super::traverse::{Answer, Tables, Traverser};
use crate::tables::{Node, Read, Start, projected};

/// How many batches of the answer may wait for their reader.
const BATCHES_WAITING: usize = 2;

/// What is asked of a graph.
pub(crate) trait Work: Send + Sync {
    /// The graph.
    fn graph(&self) -> &Graph;
    /// The columns of the answer.
    fn schema(&self) -> SchemaRef;
    /// What EXPLAIN shows of it.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    /// Answers: some of the columns, whose schema this is. Blocks on the disk.
    fn run(&self, tables: &Tables, columns: &[usize], schema: SchemaRef, answer: &mut dyn Answer) -> Result<()>;
}

/// What is asked of a graph in one question.
pub(crate) struct GraphTable {
    work: Arc<dyn Work>,
}

impl GraphTable {
    pub(crate) fn new(work: impl Work + 'static) -> GraphTable {
        GraphTable { work: Arc::new(work) }
    }
}

impl Work for Traversal {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        described(self, f)
    }

    fn run(&self, tables: &Tables, columns: &[usize], schema: SchemaRef, answer: &mut dyn Answer) -> Result<()> {
        Traverser::new(self, tables, columns, schema, answer).follow()
    }
}

impl fmt::Debug for GraphTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GraphTable({})", self.work.graph().name)
    }
}

/// The tables of a graph that are read whole, in order.
fn read_whole(graph: &Graph) -> Vec<&Rows> {
    let vertices = graph.vertices.iter().filter_map(|table| match &table.access {
        VertexAccess::All(rows) => Some(rows),
        VertexAccess::Key(_) | VertexAccess::Implied => None,
    });
    let edges = graph.edges.iter().filter_map(|table| match &table.access {
        EdgeAccess::All(rows) => Some(rows),
        EdgeAccess::Ends { .. } => None,
    });
    vertices.chain(edges).collect()
}

#[async_trait]
impl TableProvider for GraphTable {
    fn schema(&self) -> SchemaRef {
        self.work.schema()
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
        let mut whole: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        for rows in read_whole(self.work.graph()) {
            whole.push(rows.table.scan(state, None, &[], None).await?);
        }
        let columns: Vec<usize> = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.schema().fields().len()).collect(),
        };
        let schema = projected(self.schema(), projection)?;
        let scan = GraphScan {
            work: Arc::clone(&self.work),
            columns,
            limit,
        };
        Ok(Node::over(scan, schema, whole))
    }
}

/// Asks a graph. What it reads are the tables that are read whole.
#[derive(Clone)]
struct GraphScan {
    work: Arc<dyn Work>,
    columns: Vec<usize>,
    limit: Option<usize>,
}

/// The steps of a pattern.
fn described(traversal: &Traversal, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Traversal {
        graph,
        variables,
        steps,
        ..
    } = traversal;
    let name = |variable: usize| variables[variable].name.as_deref().unwrap_or("()");
    write!(f, "graph={}", graph.name)?;
    let mut hops: Vec<String> = Vec::new();
    for step in steps {
        match &step.kind {
            StepKind::Begin { variable, keys } => {
                let by = match keys {
                    Some(keys) => {
                        let keys: usize = keys.iter().map(|(_, keys)| keys.len()).sum();
                        format!("by key ({keys})")
                    }
                    None => "all".to_owned(),
                };
                write!(f, ", start={} {by}", name(*variable))?;
            }
            StepKind::Hop(hop) => {
                let repeats = hop.repeats.map_or(String::new(), |repeats| match repeats.max {
                    Some(max) => format!("{{{},{max}}}", repeats.min),
                    None => format!("{{{},}}", repeats.min),
                });
                let shortest = if hop.is_shortest { "shortest " } else { "" };
                let mut tables: Vec<&str> = hop
                    .ends
                    .iter()
                    .map(|(table, _)| graph.edges[*table].name.as_str())
                    .collect();
                tables.dedup();
                hops.push(format!(
                    "{shortest}{} -{}{repeats}- {}",
                    name(hop.from),
                    tables.join("|"),
                    name(hop.to)
                ));
            }
        }
    }
    write!(f, ", hops={}", hops.len())?;
    if !hops.is_empty() {
        write!(f, " [{}]", hops.join(", "))?;
    }
    Ok(())
}

impl Read for GraphScan {
    const NAME: &'static str = "GraphScan";

    /// `graph=shop, start=a by key (1), hops=2 [a -bought- i, i -bought- b], columns=[also]`
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.work.describe(f)?;
        let whole: Vec<&str> = read_whole(self.work.graph())
            .into_iter()
            .map(|rows| rows.view.as_str())
            .collect();
        if !whole.is_empty() {
            write!(f, ", read whole=[{}]", whole.join(", "))?;
        }
        let schema = self.work.schema();
        let columns: Vec<&str> = self
            .columns
            .iter()
            .map(|column| schema.field(*column).name().as_str())
            .collect();
        write!(f, ", columns=[{}]", columns.join(", "))?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let Start {
            schema,
            context,
            inputs: whole,
            ..
        } = start;
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&schema), BATCHES_WAITING);
        let rows = stream.tx();
        let (work, columns) = (Arc::clone(&self.work), self.columns.clone());
        let left = self.limit.unwrap_or(usize::MAX);
        stream.spawn(async move {
            let held = MemoryConsumer::new("GraphScan").register(context.memory_pool());
            let opened = Opened::open(work.graph(), whole, context, held).await?;
            // Looking edges up blocks on the disk: not on the runtime's own threads.
            let followed = tokio::task::spawn_blocking(move || {
                let (tables, held) = opened.tables(work.graph())?;
                let mut answer = Sending {
                    rows,
                    held,
                    kept: 0,
                    left,
                };
                answer.kept = answer.held.size();
                work.run(&tables, &columns, schema, &mut answer)
            });
            followed
                .await
                .map_err(|join| DataFusionError::ExecutionJoin(Box::new(join)))?
        });
        Ok(stream.build())
    }
}

/// What a traversal begins with: the rows of tables that are read whole, and readers of the others.
struct Opened {
    vertices: Vec<OpenTable>,
    edges: Vec<OpenTable>,
    held: MemoryReservation,
}

enum OpenTable {
    Reader(Arc<ViewReader>),
    Whole(RecordBatch),
    Nothing,
}

impl Opened {
    async fn open(
        graph: &Graph,
        whole: Vec<Arc<dyn ExecutionPlan>>,
        context: Arc<TaskContext>,
        held: MemoryReservation,
    ) -> Result<Opened> {
        let mut whole = whole.into_iter();
        let (mut vertices, mut edges): (Vec<OpenTable>, Vec<OpenTable>) = (Vec::new(), Vec::new());
        for table in &graph.vertices {
            vertices.push(match &table.access {
                VertexAccess::Key(reading) => OpenTable::Reader(reading.reader().await?),
                VertexAccess::All(_) => next_whole(&mut whole, &context, &held).await?,
                VertexAccess::Implied => OpenTable::Nothing,
            });
        }
        for table in &graph.edges {
            edges.push(match &table.access {
                EdgeAccess::Ends { reading, .. } => OpenTable::Reader(reading.reader().await?),
                EdgeAccess::All(_) => next_whole(&mut whole, &context, &held).await?,
            });
        }
        Ok(Opened { vertices, edges, held })
    }

    /// The tables, ready to be followed. Takes a while where they were read whole.
    fn tables(self, graph: &Graph) -> Result<(Tables, MemoryReservation)> {
        let mut tables = Tables {
            vertices: Vec::new(),
            edges: Vec::new(),
        };
        for (opened, table) in self.vertices.into_iter().zip(&graph.vertices) {
            tables.vertices.push(match opened {
                OpenTable::Reader(reader) => VertexRows::by_key(&table.key_type, reader)?,
                OpenTable::Whole(rows) => {
                    let key = rows.schema().index_of(&table.key)?;
                    VertexRows::kept(&table.name, &table.key_type, rows, key)?
                }
                OpenTable::Nothing => VertexRows::implied(&table.key_type)?,
            });
        }
        for (opened, table) in self.edges.into_iter().zip(&graph.edges) {
            tables.edges.push(match (opened, &table.access) {
                (OpenTable::Reader(reader), EdgeAccess::Ends { is_turned, .. }) => EdgeRows::Ends {
                    reader,
                    is_turned: *is_turned,
                },
                (OpenTable::Whole(rows), _) => EdgeRows::kept(rows, table.source_column, table.destination_column)?,
                _ => {
                    return Err(DataFusionError::Internal(
                        "edges that nothing was opened for".to_owned(),
                    ));
                }
            });
        }
        Ok((tables, self.held))
    }
}

async fn next_whole(
    plans: &mut impl Iterator<Item = Arc<dyn ExecutionPlan>>,
    context: &Arc<TaskContext>,
    held: &MemoryReservation,
) -> Result<OpenTable> {
    let plan = plans
        .next()
        .ok_or_else(|| DataFusionError::Internal("a table of a graph has no plan".to_owned()))?;
    let schema = plan.schema();
    let batches = collect(plan.execute(0, Arc::clone(context))?).await?;
    let rows = joined(&batches, &schema)?;
    // The rows, and the tables by which they are found.
    held.try_grow(rows.get_array_memory_size() * 2)?;
    Ok(OpenTable::Whole(rows))
}

/// Hands the answer on.
struct Sending {
    rows: Sender<Result<RecordBatch>>,
    held: MemoryReservation,
    /// What is held besides what the traversal holds.
    kept: usize,
    /// How many rows are still wanted.
    left: usize,
}

impl Answer for Sending {
    fn is_wanted(&self) -> bool {
        self.left > 0 && !self.rows.is_closed()
    }

    fn take(&mut self, rows: RecordBatch) -> Result<bool> {
        let rows = rows.slice(0, rows.num_rows().min(self.left));
        self.left -= rows.num_rows();
        let is_taken = self.rows.blocking_send(Ok(rows)).is_ok();
        Ok(is_taken && self.left > 0)
    }

    fn holds(&mut self, bytes: usize) -> Result<()> {
        self.held.try_resize(self.kept + bytes)
    }
}
