//! The ground that the tests stand on: a log with one stream, and views of it that are Delta tables, in one temporary folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use datafusion::catalog::MemTable;
use datafusion::prelude::SessionContext;
use headwater_catalog::{
    Catalog, Column, ColumnType, CreateMode, Definition, Format, Shape, StreamDefinition, ViewDefinition, ViewSettings,
};
use headwater_eventlog::{Append, EventLog, LogOptions, Part};
use headwater_host::Host;
use headwater_lake::DeltaLakes;
use headwater_records::{Batch, Compression, Event};
use headwater_views::decode::StreamDecoder;
use headwater_views::{LakeRows, View, ViewError, ViewOptions, ViewSpec, Views};
use tempfile::TempDir;

/// How long anything may take: a loaded machine is waited for.
pub const WAIT: Duration = Duration::from_secs(120);

/// One row for each event.
pub const HISTORY: &str = "SELECT k, n, n % 3 AS third FROM s";

pub struct Ground {
    pub dir: TempDir,
    pub log: EventLog,
    pub catalog: Catalog,
    pub runtime: tokio::runtime::Runtime,
}

impl Ground {
    /// An empty log with one stream `s (k TEXT, n BIGINT)` of two partitions.
    pub fn new() -> Ground {
        let dir = tempfile::tempdir().expect("a folder");
        let (log, _) = EventLog::open(Host::real(), &dir.path().join("log"), LogOptions::default()).expect("a new log");
        let catalog = Catalog::open(log.clone()).expect("a new catalog");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let stream = StreamDefinition {
            name: "s".to_owned(),
            columns: Some(vec![
                Column::new("k", ColumnType::Text, false),
                Column::new("n", ColumnType::BigInt, false),
            ]),
            partitions: 2,
            format: Format::Json,
            statement: "CREATE STREAM s".to_owned(),
            ..StreamDefinition::default()
        };
        let defined = catalog.define(Definition::Stream(stream), CreateMode::Create, "ann");
        runtime.block_on(defined).expect("a new stream");
        Ground {
            dir,
            log,
            catalog,
            runtime,
        }
    }

    /// The views of this log, as a start of the program opens them.
    pub fn views(&self, lakes: DeltaLakes) -> Views {
        let options = ViewOptions {
            flush_bytes: 1 << 20,
            flush_ms: 20,
            memory_bytes_max: 1 << 24,
            ..ViewOptions::default()
        };
        Views::open(
            self.log.clone(),
            self.catalog.clone(),
            &self.dir.path().join("views"),
            options,
        )
        .with_lakes(Arc::new(lakes))
    }

    /// A view of this query; its definition is in the catalog, so that its folder is not taken for that of a dropped one.
    pub fn spec(&self, name: &str, query: &str, shape: Shape, settings: ViewSettings) -> ViewSpec {
        let definition = ViewDefinition {
            name: name.to_owned(),
            shape: Some(shape),
            settings,
            query: query.to_owned(),
            key: Vec::new(),
            sources: vec!["s".to_owned()],
            spelled_out: None,
            statement: String::new(),
            version: 1,
            before: None,
        };
        let view = Definition::View(definition.clone());
        let defined = self.catalog.define(view, CreateMode::OrReplace, "ann");
        self.runtime.block_on(defined).expect("a new view");
        let decoder = StreamDecoder::new(&self.catalog.stream("s").expect("the stream"));
        let context = SessionContext::new();
        let table = MemTable::try_new(decoder.schema(), vec![Vec::new()]).expect("a table");
        context.register_table("s", Arc::new(table)).expect("a free name");
        let state = context.state();
        let plan = self.runtime.block_on(state.create_logical_plan(query)).expect("a plan");
        let plan = state
            .analyzer()
            .execute_and_check(plan, state.config_options(), |_, _| {})
            .expect("an analyzed plan");
        ViewSpec {
            definition,
            decoders: vec![decoder],
            plan,
            session: state,
        }
    }

    /// Starts a view that commits every few milliseconds.
    pub fn start(&self, views: &Views, name: &str, query: &str, shape: Shape) -> Result<Arc<View>, ViewError> {
        let settings = ViewSettings {
            every_ms: Some(10),
            ..ViewSettings::default()
        };
        views.start(self.spec(name, query, shape, settings))
    }

    /// Appends events with these numbers, each to the partition of its number.
    pub fn append(&self, numbers: std::ops::Range<i64>) {
        for partition in 0..2_u32 {
            let own = numbers.clone().filter(|number| number % 2 == i64::from(partition));
            let events: Vec<Event> = own.map(event).collect();
            if events.is_empty() {
                continue;
            }
            let part = Part {
                stream: "s".to_owned(),
                partition,
                batch: Batch::encode(&events, Compression::None, None),
            };
            let append = Append {
                parts: vec![part],
                principal: "ann".to_owned(),
                condition: None,
            };
            self.log.append_blocking(append).expect("a durable append");
        }
    }

    /// Waits until a view has folded everything.
    pub fn folded(&self, view: &View) {
        let end = self.log.position("s").expect("the stream");
        self.runtime
            .block_on(view.wait_for(&end, WAIT))
            .expect("a view that gets there");
    }

    /// Waits until nothing of a view waits in memory.
    pub fn committed(&self, view: &View) {
        self.folded(view);
        self.until("the table has all rows", || {
            view.lake_rows().expect("rows").waiting.is_empty()
        });
    }

    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < WAIT, "not within {WAIT:?}: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What a query over a view's rows gives, under the name `t`.
    pub fn ask(&self, rows: &LakeRows, query: &str) -> Vec<String> {
        let batches = self.runtime.block_on(async {
            let context = SessionContext::new();
            let waiting = MemTable::try_new(rows.schema.clone(), vec![rows.waiting.clone()]).expect("a table");
            let waiting = context.read_table(Arc::new(waiting)).expect("rows that wait");
            let all = match &rows.table {
                Some(table) => {
                    let table = context.read_table(Arc::clone(table)).expect("rows of the table");
                    table.union(waiting).expect("rows with the same columns")
                }
                None => waiting,
            };
            context.register_table("t", all.into_view()).expect("a free name");
            context.sql(query).await.expect("a plan").collect().await.expect("rows")
        });
        printed(&batches)
    }

    /// What is in the table of a view, as of its last commit.
    pub fn read_table(&self, view: &View) -> LakeRows {
        LakeRows {
            table: view.lake_source(),
            waiting: Vec::new(),
            schema: view.schema(),
            position: view.position(),
        }
    }

    /// How many rows a view has, how many different ones, and their sum, read as of one position.
    pub fn totals(&self, view: &View) -> (LakeRows, Vec<String>) {
        let rows = view.lake_rows().expect("rows");
        let totals = self.ask(&rows, "SELECT count(*), count(DISTINCT n), sum(n) FROM t");
        (rows, totals)
    }

    /// The folder of a view's table.
    pub fn table_folder(&self, name: &str) -> PathBuf {
        let versions = std::fs::read_dir(self.dir.path().join("views").join(name)).expect("the view's folder");
        let version = versions.flatten().next().expect("a version");
        version.path().join("table")
    }
}

/// What [`Ground::totals`] gives for the numbers from 0 on.
pub fn totals_of(events: i64) -> Vec<String> {
    match events {
        0 => vec!["0 0 ".to_owned()],
        _ => vec![format!("{events} {events} {}", events * (events - 1) / 2)],
    }
}

pub fn columnar(partitioned_by: &[&str]) -> Shape {
    Shape::Columnar {
        partitioned_by: partitioned_by.iter().map(|column| (*column).to_owned()).collect(),
        location: None,
    }
}

fn event(number: i64) -> Event {
    Event {
        value: Some(Bytes::from(format!(r#"{{"k":"k{}","n":{number}}}"#, number % 10))),
        timestamp_ms: 1_700_000_000_000 + number,
        ..Event::default()
    }
}

pub fn printed(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cell = |column: &ArrayRef| array_value_to_string(column, row).expect("a value with a text");
            lines.push(batch.columns().iter().map(cell).collect::<Vec<_>>().join(" "));
        }
    }
    lines
}
