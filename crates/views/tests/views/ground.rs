//! The ground that the tests stand on: a log, a catalog and views in one temporary folder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use datafusion::catalog::MemTable;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use headwater_catalog::{
    Catalog, Column, ColumnType, CreateMode, Definition, Format, Shape, StreamDefinition, ViewDefinition, ViewSettings,
};
use headwater_eventlog::{Append, EventLog, LogOptions, Part};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event, Position};
use headwater_views::decode::{StreamDecoder, Upcaster};
use headwater_views::{ListsShown, Past, Selection, Source, View, ViewOptions, ViewSpec, Views};
use tempfile::TempDir;

use crate::breaking;

pub const WAIT: Duration = Duration::from_secs(120);

/// Waits until something holds.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < WAIT, "not within {WAIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Keeps everything in memory until it is closed.
pub const LAZY: ViewOptions = ViewOptions {
    flush_bytes: usize::MAX,
    flush_ms: 3_600_000,
    memory_bytes_max: usize::MAX,
    snapshot_events: 4,
    checkpoint_events: None,
    lists_shown: ListsShown::DEFAULT,
    gather_ms: 1,
};

/// Flushes after every turn and keeps nothing that is clean.
pub const EAGER: ViewOptions = ViewOptions {
    flush_bytes: 0,
    flush_ms: 0,
    memory_bytes_max: 0,
    snapshot_events: 4,
    checkpoint_events: None,
    lists_shown: ListsShown::DEFAULT,
    gather_ms: 1,
};

pub struct Ground {
    pub dir: TempDir,
    pub log: EventLog,
    pub catalog: Catalog,
    pub runtime: tokio::runtime::Runtime,
}

impl Ground {
    /// An empty log with one stream `s` of these columns (`None`: schema-free).
    pub fn new(columns: Option<&[(&str, ColumnType, bool)]>, partitions: u32) -> Ground {
        let dir = tempfile::tempdir().expect("a folder");
        let (log, _) = EventLog::open(Host::real(), &dir.path().join("log"), LogOptions::default()).expect("a new log");
        Ground::over(dir, log, columns, partitions)
    }

    /// The same with a new log; the stores are in the folder.
    pub fn over(dir: TempDir, log: EventLog, columns: Option<&[(&str, ColumnType, bool)]>, partitions: u32) -> Ground {
        let catalog = Catalog::open(log.clone()).expect("a new catalog");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let column =
            |(name, column_type, nullable): &(&str, ColumnType, bool)| Column::new(*name, *column_type, *nullable);
        let stream = StreamDefinition {
            name: "s".to_owned(),
            columns: columns.map(|columns| columns.iter().map(column).collect()),
            key: Vec::new(),
            time: None,
            kind: None,
            tags: Vec::new(),
            partitions,
            format: Format::Json,
            statement: "CREATE STREAM s".to_owned(),
            ..StreamDefinition::default()
        };
        runtime
            .block_on(catalog.define(Definition::Stream(stream), CreateMode::Create, "ann"))
            .expect("a new stream");
        Ground {
            dir,
            log,
            catalog,
            runtime,
        }
    }

    /// The same log, started again, with the first byte of every `marker` on the disk changed.
    pub fn damaged(self, marker: &[u8]) -> Ground {
        let Ground {
            dir,
            log,
            catalog,
            runtime,
        } = self;
        log.close();
        drop((catalog, log));
        let mut folders = vec![dir.path().join("log")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder of the log") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let mut bytes = std::fs::read(&path).expect("a file of the log");
                let found: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(marker)).collect();
                if found.is_empty() {
                    continue;
                }
                found.iter().for_each(|at| bytes[*at] ^= 1);
                std::fs::write(&path, bytes).expect("the file is changed");
            }
        }
        let (log, _) =
            EventLog::open(Host::real(), &dir.path().join("log"), LogOptions::default()).expect("the log opens");
        let catalog = Catalog::open(log.clone()).expect("the catalog opens");
        Ground {
            dir,
            log,
            catalog,
            runtime,
        }
    }

    /// The views of this log, as a start of the program opens them.
    pub fn views(&self, options: &ViewOptions) -> Views {
        Views::open(
            self.log.clone(),
            self.catalog.clone(),
            &self.views_dir(),
            options.clone(),
        )
    }

    pub fn views_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("views")
    }

    /// Writes a view's definition, so that its store is not taken for that of a dropped view.
    pub fn define(&self, name: &str) {
        let view = Definition::View(view_definition(name, "SELECT"));
        self.runtime
            .block_on(self.catalog.define(view, CreateMode::IfNotExists, "ann"))
            .expect("a new view");
    }

    /// How the stream's events are read, by its schema as it is now.
    pub fn decoder(&self) -> StreamDecoder {
        let stream = self.catalog.stream("s").expect("the stream");
        let mut upcasters = Vec::new();
        for (index, schema) in stream.earlier.iter().enumerate() {
            if let Some(upcaster) = &schema.upcaster {
                let version = index as u32 + 1;
                let row = MemTable::try_new(Upcaster::input(&stream, version), vec![Vec::new()]).expect("a table");
                let context = SessionContext::new();
                context.register_table("s", Arc::new(row)).expect("a name that is free");
                let (plan, state) = self.analyzed(&context, &upcaster.query);
                let compiled = Upcaster::compile(&stream, version, &plan, &state).expect("an upcaster");
                upcasters.push(Arc::new(compiled));
            }
        }
        StreamDecoder::with_history(&stream, self.catalog.schemas(), upcasters)
    }

    fn analyzed(&self, context: &SessionContext, query: &str) -> (LogicalPlan, SessionState) {
        let state = context.state();
        let plan = self.runtime.block_on(state.create_logical_plan(query)).expect("a plan");
        let plan = state
            .analyzer()
            .execute_and_check(plan, state.config_options(), |_, _| {})
            .expect("an analyzed plan");
        (plan, state)
    }

    /// What a view of this query is made of.
    pub fn spec(&self, name: &str, query: &str) -> ViewSpec {
        let context = self.context(Vec::new());
        let (plan, state) = self.analyzed(&context, query);
        ViewSpec {
            definition: view_definition(name, query),
            decoders: vec![self.decoder()],
            plan,
            session: state,
        }
    }

    /// A query engine that has the stream as a table of these rows.
    fn context(&self, rows: Vec<RecordBatch>) -> SessionContext {
        let context = SessionContext::new();
        let table = MemTable::try_new(self.decoder().schema(), vec![rows]).expect("a table");
        context
            .register_table("s", Arc::new(table))
            .expect("a name that is free");
        breaking::register(&context);
        context
    }

    /// The events of the stream between two positions, decoded.
    pub fn events(&self, from: &Position, upto: &Position) -> Vec<RecordBatch> {
        let decoder = self.decoder();
        let mut rows = Vec::new();
        for partition in 0..self.log.stream("s").expect("the stream").partitions {
            let (from, upto) = (from.get("s", partition), upto.get("s", partition));
            let batches = self.log.read("s", partition, from, usize::MAX).expect("a readable log");
            rows.push(decoder.decode(partition, &batches, from, upto, None).rows);
        }
        rows
    }

    /// A row as it was at a position, printed.
    pub fn rewound(&self, view: &View, past: Past, at: &Position) -> Vec<String> {
        let events = self.events(&past.from, at);
        let mut rewinding = view.rewinding(past).expect("a beginning");
        for batch in &events {
            let source = Source::Events("s".to_owned());
            rewinding.fold(&source, batch).expect("events that fold");
        }
        let row = rewinding.row().expect("a row, or none");
        printed(&Vec::from_iter(row))
    }

    /// What the query gives over everything that is in the stream.
    pub fn in_batch(&self, query: &str) -> Vec<String> {
        self.in_batch_upto(query, &self.end())
    }

    /// What the query gives over what is in the stream below a position.
    pub fn in_batch_upto(&self, query: &str, upto: &Position) -> Vec<String> {
        let context = self.context(self.events(&Position::new(), upto));
        let answer = self.runtime.block_on(async {
            context
                .sql(query)
                .await
                .expect("a plan")
                .collect()
                .await
                .expect("an answer")
        });
        printed(&answer)
    }

    /// What the query gives over everything that is in the stream, in its own order.
    pub fn in_order(&self, query: &str) -> Vec<String> {
        let context = self.context(self.events(&Position::new(), &self.end()));
        let answer = self.runtime.block_on(async {
            context
                .sql(query)
                .await
                .expect("a plan")
                .collect()
                .await
                .expect("an answer")
        });
        let rows = answer
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(|row| batch.slice(row, 1)));
        rows.map(|row| printed(&[row]).remove(0)).collect()
    }

    /// Appends values to a partition in one batch.
    pub fn append(&self, partition: u32, values: &[&str]) {
        let events: Vec<Event> = values
            .iter()
            .map(|value| Event {
                value: Some(Bytes::copy_from_slice(value.as_bytes())),
                timestamp_ms: 1_700_000_000_000,
                ..Event::default()
            })
            .collect();
        self.append_events(partition, &events);
    }

    pub fn append_events(&self, partition: u32, events: &[Event]) {
        let append = Append {
            parts: vec![Part {
                stream: "s".to_owned(),
                partition,
                batch: Batch::encode(events, Compression::None, None),
            }],
            principal: "ann".to_owned(),
            condition: None,
        };
        self.log.append_blocking(append).expect("a durable append");
    }

    pub fn end(&self) -> Position {
        self.log.position("s").expect("the stream")
    }

    /// Waits until the view has folded everything.
    pub fn catch_up(&self, view: &View) {
        self.runtime
            .block_on(view.wait_for(&self.end(), WAIT))
            .expect("the view catches up");
    }

    /// All rows of a view that has folded everything, printed and sorted.
    pub fn rows(&self, view: &View) -> Vec<String> {
        self.catch_up(view);
        printed(&view.read(&Selection::All).expect("readable rows").batches)
    }
}

fn view_definition(name: &str, query: &str) -> ViewDefinition {
    ViewDefinition {
        name: name.to_owned(),
        shape: Some(Shape::Document),
        settings: ViewSettings::default(),
        query: query.to_owned(),
        key: Vec::new(),
        sources: vec!["s".to_owned()],
        spelled_out: None,
        statement: format!("CREATE MATERIALIZED VIEW {name} STORED AS document AS {query}"),
        version: 1,
        before: None,
    }
}

/// Rows as text, sorted; compare them with [`assert_same`].
pub fn printed(batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = in_their_order(batches);
    rows.sort();
    rows
}

/// Rows as text.
pub fn in_their_order(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows: Vec<String> = Vec::new();
    for batch in batches {
        let formatters: Vec<ArrayFormatter> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).expect("it prints"))
            .collect();
        let cell = |column: &dyn Array, formatter: &ArrayFormatter<'_>, row: usize| match column.data_type() {
            DataType::Float64 if column.is_valid(row) => float(column.as_primitive::<Float64Type>().value(row)),
            _ => formatter.value(row).to_string(),
        };
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().zip(&formatters);
            let cells = cells.map(|(column, formatter)| cell(column, formatter, row));
            rows.push(cells.collect::<Vec<String>>().join(" | "));
        }
    }
    rows
}

/// What cancels out in a sum leaves a residue.
fn float(value: f64) -> String {
    const RESIDUE: f64 = 1e-9;
    let value = if value.abs() < RESIDUE { 0.0 } else { value };
    format!("{value:.16e}")
}

/// Printed rows are the same, their floats as far as the order in which they were added lets them be.
pub fn assert_same(found: &[String], expected: &[String], what: &str) {
    if let Some(difference) = difference(found, expected) {
        panic!("{what}\n{difference}");
    }
}

/// Where printed rows are not the same: what of each is not among the other.
pub fn difference(found: &[String], expected: &[String]) -> Option<String> {
    let cell = |(found, expected): (&str, &str)| {
        let floats = (found.contains('e') && expected.contains('e'))
            .then(|| found.parse::<f64>().ok().zip(expected.parse::<f64>().ok()))
            .flatten();
        found == expected || floats.is_some_and(|(found, expected)| (found - expected).abs() <= 1e-7 * expected.abs())
    };
    let row = |(found, expected): (&String, &String)| {
        found == expected
            || (found.split(" | ").count() == expected.split(" | ").count()
                && found.split(" | ").zip(expected.split(" | ")).all(cell))
    };
    if found.len() == expected.len() && found.iter().zip(expected).all(row) {
        return None;
    }
    let only = |of: &[String], other: &[String]| {
        of.iter()
            .filter(|row| !other.contains(row))
            .cloned()
            .collect::<Vec<String>>()
    };
    Some(format!(
        "{} rows were found and {} expected\n   found alone: {:#?}\nexpected alone: {:#?}",
        found.len(),
        expected.len(),
        only(found, expected),
        only(expected, found)
    ))
}
