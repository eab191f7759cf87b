//! Everything below SQL in a scratch folder, and statements in, text out.

use std::path::Path;
use std::time::Duration;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::ScalarValue;
use futures::TryStreamExt;
use headwater_catalog::Catalog;
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_records::Position;
use headwater_schedules::{Schedules, SchedulesOptions};
use headwater_sql::parse::parse;
use headwater_sql::{Engine, EngineOptions, Outcome, Session, SqlError};
use headwater_views::{ViewOptions, Views};

/// An engine over a scratch folder.
pub struct Scratch {
    pub engine: Engine,
    pub log: EventLog,
    views: Views,
    /// Everything that was written so far: reads wait for it.
    pub written: Position,
    /// What the last statement that had something to say said.
    pub notices: Vec<String>,
}

impl Scratch {
    pub fn open(folder: &Path) -> Scratch {
        let scratch = Scratch::open_with_failures(folder);
        let mut failed = scratch.engine.start_views();
        failed.extend(scratch.engine.start_pipelines());
        assert!(failed.is_empty(), "{failed:?}");
        scratch
    }

    /// Opens without a look at which views start.
    pub fn open_with_failures(folder: &Path) -> Scratch {
        Scratch::open_over(folder, |views| views)
    }

    /// Opens with views that have more than they need.
    pub fn open_over(folder: &Path, equip: impl FnOnce(Views) -> Views) -> Scratch {
        let (log, _) = EventLog::open(Host::real(), &folder.join("log"), LogOptions::default()).expect("the log opens");
        let catalog = Catalog::open(log.clone()).expect("the catalog opens");
        let options = ViewOptions {
            flush_bytes: 1 << 20,
            flush_ms: 50,
            memory_bytes_max: 1 << 24,
            snapshot_events: 4,
            ..ViewOptions::default()
        };
        let views = equip(Views::open(
            log.clone(),
            catalog.clone(),
            &folder.join("views"),
            options,
        ));
        let options = EngineOptions {
            memory_bytes_max: 64 << 20,
            partitions_default: 2,
            graph_edges_max: 100_000,
            rewind_events_max: 10_000,
            wait_max: Duration::from_secs(120),
        };
        let engine = Engine::new(log.clone(), catalog, views.clone(), options);
        let schedules = Schedules::open(log.clone(), SchedulesOptions::default()).expect("the schedules open");
        engine.set_schedules(schedules);
        engine.start_views();
        Scratch {
            engine,
            log,
            views,
            written: Position::new(),
            notices: Vec::new(),
        }
    }

    pub fn close(self) {
        self.views.close();
        self.log.close();
    }

    pub fn session(&self) -> Session {
        Session {
            principal: "test".to_owned(),
            after: Some(self.written.clone()),
            timeout: Some(Duration::from_secs(120)),
            ..Session::default()
        }
    }

    /// Runs a text of statements; the answer of the last one as text.
    pub async fn run(&mut self, text: &str, parameters: &[ScalarValue]) -> String {
        let parsed = match parse(text, "") {
            Ok(parsed) => parsed,
            Err(error) => return format!("{}: {error}", error.state.0),
        };
        let mut answer = String::new();
        for statement in &parsed {
            let outcome = self.engine.execute(&self.session(), statement, parameters).await;
            answer = match self.text(outcome).await {
                Ok(text) => text,
                Err(error) => return format!("{}: {error}", error.state.0),
            };
        }
        answer
    }

    async fn text(&mut self, outcome: Result<Outcome, SqlError>) -> Result<String, SqlError> {
        match outcome? {
            Outcome::Told { tag, notices } => {
                self.notices = notices;
                Ok(tag)
            }
            Outcome::Done { tag, position } => {
                if let Some(position) = position {
                    self.written.advance_all(&position);
                }
                Ok(tag)
            }
            Outcome::Rows { rows, .. } => {
                let batches: Vec<RecordBatch> = rows.try_collect().await?;
                Ok(lines(&batches))
            }
        }
    }
}

/// Rows as lines of values with `|` between them.
fn lines(batches: &[RecordBatch]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| {
                match column.logical_nulls().is_some_and(|nulls| nulls.is_null(row)) {
                    true => "NULL".to_owned(),
                    false => array_value_to_string(column, row).expect("a value prints"),
                }
            });
            lines.push(values.collect::<Vec<String>>().join("|"));
        }
    }
    lines.join("\n")
}

/// Statement, then what it answers. An answer that begins with `~` need only be part of what comes.
pub async fn check(scratch: &mut Scratch, cases: &[(&str, &str)]) {
    let mut wrong: Vec<String> = Vec::new();
    for (statement, expected) in cases {
        let answer = scratch.run(statement, &[]).await;
        let same = match expected.strip_prefix('~') {
            Some(part) => answer.contains(part),
            None => answer == *expected,
        };
        if !same {
            wrong.push(format!("{statement}\n  expected {expected}\n  came     {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
