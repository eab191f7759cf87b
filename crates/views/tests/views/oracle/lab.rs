//! Plans, made once: of the views, and of what they are in batch. A plan in batch reads whatever stands in the tables when it runs.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::MemTable;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::TableReference;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use headwater_catalog::{ViewDefinition, ViewSettings};
use headwater_records::Position;
use headwater_views::decode::StreamDecoder;
use headwater_views::{Tombstones, ViewSpec, as_folded};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Runtime;

use super::bugs::Bug;
use super::events::{STREAMS, Stream};
use super::pipes::{PIPES, Pipe};
use super::prefix::{Appended, Part};
use super::queries::{Asked, Kind};
use super::watch::Watch;

/// A table of the plans in batch.
struct Table {
    schema: SchemaRef,
    rows: RwLock<RecordBatch>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

impl PartitionStream for Table {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = vec![self.rows.read().clone()];
        Box::pin(MemoryStream::try_new(rows, Arc::clone(&self.schema), None).expect("rows of the table"))
    }
}

/// A view's plan, as it is folded.
#[derive(Clone)]
pub struct Planned {
    pub plan: LogicalPlan,
    pub session: SessionState,
}

/// All plans.
pub struct Lab {
    pub runtime: Runtime,
    pub watch: Watch,
    context: SessionContext,
    task: Arc<TaskContext>,
    /// The tables in batch: of each stream its events and its tombstones.
    tables: Vec<(usize, Part, Arc<Table>)>,
    in_batch: Mutex<HashMap<String, Arc<dyn ExecutionPlan>>>,
    views: Mutex<HashMap<(&'static str, &'static [&'static str]), Planned>>,
    pipes: Mutex<HashMap<&'static str, Planned>>,
}

/// What a stream's tombstones are called as a table.
fn tombstones(stream: &str) -> String {
    format!("tombstones_{stream}")
}

impl Lab {
    pub fn new() -> Lab {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        // One partition, and nothing that a plan remembers from one run to the next.
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false);
        let context = SessionContext::new_with_config(config);
        let mut tables = Vec::new();
        for (index, stream) in STREAMS.iter().enumerate() {
            let decoder = StreamDecoder::new(&stream.definition());
            for (part, name, schema) in [
                (Part::Events, stream.name.to_owned(), decoder.schema()),
                (
                    Part::Tombstones,
                    tombstones(stream.name),
                    decoder.of_tombstones().schema(),
                ),
            ] {
                let table = Arc::new(Table {
                    rows: RwLock::new(RecordBatch::new_empty(Arc::clone(&schema))),
                    schema: Arc::clone(&schema),
                });
                let provider = StreamingTable::try_new(schema, vec![Arc::clone(&table) as _]).expect("a table");
                context
                    .register_table(name.as_str(), Arc::new(provider))
                    .expect("a free name");
                tables.push((index, part, table));
            }
        }
        Lab {
            runtime,
            watch: Watch::begin(),
            task: context.task_ctx(),
            context,
            tables,
            in_batch: Mutex::default(),
            views: Mutex::default(),
            pipes: Mutex::default(),
        }
    }

    /// From now on plans in batch read what is to be read of the streams up to a position.
    pub fn stand_at(&self, appended: &Appended, upto: &Position, bug: Option<Bug>) {
        for (stream, part, table) in &self.tables {
            *table.rows.write() = appended.rows(*stream, *part, &table.schema, upto, bug);
        }
    }

    /// What a query gives.
    pub fn in_batch(&self, query: &str) -> Result<Vec<RecordBatch>, String> {
        let failed = |error: DataFusionError| format!("{query} in batch: {error}");
        let planned = self.in_batch.lock().get(query).cloned();
        let plan = match planned {
            Some(plan) => plan,
            None => {
                let planning = async { self.context.sql(query).await?.create_physical_plan().await };
                let plan = self.runtime.block_on(planning).map_err(failed)?;
                self.in_batch.lock().insert(query.to_owned(), Arc::clone(&plan));
                plan
            }
        };
        let plan = reset_plan_states(plan).map_err(failed)?;
        self.runtime
            .block_on(collect(plan, Arc::clone(&self.task)))
            .map_err(failed)
    }

    /// What it takes to run a view.
    pub fn view(&self, name: &str, asked: &Asked, kind: Kind) -> ViewSpec {
        let planned = self.planned(asked);
        let streams = STREAMS.iter().map(Stream::definition);
        let piped = PIPES.iter().map(Pipe::definition);
        let definitions = streams.chain(piped);
        ViewSpec {
            definition: definition(name, asked, kind),
            decoders: definitions.map(|definition| StreamDecoder::new(&definition)).collect(),
            plan: planned.plan,
            session: planned.session,
        }
    }

    /// A view's plan.
    pub fn planned(&self, asked: &Asked) -> Planned {
        let mut views = self.views.lock();
        let planned = views
            .entry((asked.query, asked.key))
            .or_insert_with(|| self.plan(asked));
        planned.clone()
    }

    fn plan(&self, asked: &Asked) -> Planned {
        let context = SessionContext::new();
        let streams = STREAMS.iter().map(Stream::definition);
        for stream in streams.chain(PIPES.iter().map(Pipe::definition)) {
            let decoder = StreamDecoder::new(&stream);
            for (name, schema) in [
                (stream.name.clone(), decoder.schema()),
                (tombstones(&stream.name), decoder.of_tombstones().schema()),
            ] {
                let table = MemTable::try_new(schema, vec![Vec::new()]).expect("a table");
                context
                    .register_table(name.as_str(), Arc::new(table))
                    .expect("a free name");
            }
        }
        let state = context.state();
        let planning = state.create_logical_plan(asked.query);
        let plan = self.runtime.block_on(planning).expect("a plan");
        let of_stream = |stream: &str| {
            let table = self
                .runtime
                .block_on(context.table_provider(tombstones(stream).as_str()))?;
            Ok(Some(Tombstones {
                table: provider_as_source(table),
                are_rows: stream == "f",
            }))
        };
        let plan =
            as_folded(plan, &definition("", asked, Kind::Document), &state, &of_stream).expect("a plan that folds");
        analyzed(plan, state)
    }

    /// A pipeline's plan, over a table of this name and schema.
    pub fn piped(&self, query: &'static str, name: &str, schema: SchemaRef) -> Planned {
        let mut pipes = self.pipes.lock();
        pipes
            .entry(query)
            .or_insert_with(|| self.plan_over(query, name, schema))
            .clone()
    }

    fn plan_over(&self, query: &str, name: &str, schema: SchemaRef) -> Planned {
        let context = SessionContext::new();
        let table = MemTable::try_new(schema, vec![Vec::new()]).expect("a table");
        let name = TableReference::bare(name);
        context.register_table(name, Arc::new(table)).expect("a free name");
        let state = context.state();
        let plan = self.runtime.block_on(state.create_logical_plan(query)).expect("a plan");
        analyzed(plan, state)
    }
}

fn analyzed(plan: LogicalPlan, session: SessionState) -> Planned {
    let plan = session
        .analyzer()
        .execute_and_check(plan, session.config_options(), |_, _| {})
        .expect("an analyzed plan");
    Planned { plan, session }
}

fn definition(name: &str, asked: &Asked, kind: Kind) -> ViewDefinition {
    ViewDefinition {
        name: name.to_owned(),
        shape: Some(kind.shape()),
        settings: ViewSettings {
            // Merges come in the middle of a history.
            every_ms: Some(5),
            ..ViewSettings::default()
        },
        query: asked.query.to_owned(),
        key: asked.key.iter().map(|column| (*column).to_owned()).collect(),
        sources: Vec::new(),
        spelled_out: None,
        statement: statement(name, asked, kind),
        version: 1,
        before: None,
    }
}

/// Tells a view's definition from others of its name.
pub fn statement(name: &str, asked: &Asked, kind: Kind) -> String {
    let Asked { key, query, .. } = asked;
    format!("CREATE MATERIALIZED VIEW {name} STORED AS {kind:?} KEY {key:?} AS {query}")
}
