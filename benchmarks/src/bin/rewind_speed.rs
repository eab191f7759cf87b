//! How long it takes to tell what views were, and where a row came from.
//!
//! ```text
//! cargo run --release -p headwater-benchmarks --bin rewind_speed [EVENTS] [ACCOUNTS]
//! ```
//!
//! Each view stands there twice, one of them without checkpoints: what all rows were at 95 of 100 events is asked of both.
//!
//! Events (2,000,000 where it is not said) of some accounts (100,000) go into a real log in a temporary folder; every second one is of the same account, so that one
//! row has half of them. Each question is asked five times, and the middle one counts.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_benchmarks::{Failure, open_views, rows};
use headwater_eventlog::{Append, EventLog, Part};
use headwater_lake::DeltaLakes;
use headwater_records::{Batch, Compression, Event};
use headwater_sql::parse::parse;
use headwater_sql::{Engine, EngineOptions, Session};
use headwater_views::ViewOptions;

const APPLICATION: &str = "
    CREATE STREAM s (account TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL) KEY (account) WITH (partitions = 4, entities = 'indexed');
    CREATE MATERIALIZED VIEW balances STORED AS document AS SELECT account, sum(amount) AS balance, count(*) AS entries FROM s GROUP BY account;
    CREATE MATERIALIZED VIEW balances_without STORED AS document WITH (checkpoints = 'none') AS SELECT account, sum(amount) AS balance, count(*) AS entries FROM s GROUP BY account;
    CREATE MATERIALIZED VIEW newest_without STORED AS document KEY (account) WITH (checkpoints = 'none') AS SELECT account, amount FROM s;
    CREATE MATERIALIZED VIEW newest STORED AS document KEY (account) AS SELECT account, amount FROM s;
    CREATE MATERIALIZED VIEW history STORED AS columnar WITH (every = '1 second') AS SELECT account, amount FROM s";
const EVENTS_PER_BATCH: usize = 1_000;
const PARTITIONS: usize = 4;
const WAIT: Duration = Duration::from_secs(600);
const ROUNDS: usize = 5;

fn main() -> Result<(), Failure> {
    let number = |place: usize, default: usize| {
        let text = std::env::args().nth(place);
        text.map_or(Ok(default), |text| text.replace('_', "").parse::<usize>())
    };
    let (events, accounts) = (number(1, 2_000_000)?, number(2, 100_000)?);
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = engine(dir.path())?;
    for statement in parse(APPLICATION, "")? {
        runtime.block_on(engine.execute(&Session::default(), &statement, &[]))?;
    }
    append(engine.log(), events, accounts)?;
    let end = engine.log().position("s").ok_or("there is no stream")?;
    for view in engine.views().all() {
        runtime.block_on(view.wait_for(&end, WAIT))?;
    }
    // The table of column files has all of it a little later.
    std::thread::sleep(Duration::from_secs(3));
    engine.views().settle_checkpoints();
    let at = |hundredth: u64| {
        let partition = |partition| format!("{partition}@{}", end.get("s", partition as u32) * hundredth / 100);
        let partitions: Vec<String> = (0..PARTITIONS).map(partition).collect();
        format!("FOR SYSTEM_TIME AS OF POSITION 's/{}'", partitions.join(","))
    };
    let (half, late) = (at(50), at(95));
    let now = "FOR SYSTEM_TIME AS OF now()";
    let middle = format!("after => 's/0@{}'", end.get("s", 0) / 2);
    for (what, question) in [
        (
            "decode half of the events",
            format!("SELECT sum(length(account)), max(amount) FROM s {half}"),
        ),
        (
            "the query over half of the stream",
            format!(
                "SELECT count(*), sum(b) FROM (SELECT account, sum(amount) AS b, count(*) AS n FROM s {half} GROUP BY account) AS u"
            ),
        ),
        (
            "all rows, at half",
            format!("SELECT count(*), sum(balance) FROM balances {half}"),
        ),
        (
            "all rows, at 95 %",
            format!("SELECT count(*), sum(balance) FROM balances {late}"),
        ),
        (
            "the same without checkpoints",
            format!("SELECT count(*), sum(balance) FROM balances_without {late}"),
        ),
        (
            "all newest rows, at 95 %",
            format!("SELECT count(*), sum(amount) FROM newest {late}"),
        ),
        (
            "the same without checkpoints",
            format!("SELECT count(*), sum(amount) FROM newest_without {late}"),
        ),
        (
            "all rows, now",
            "SELECT count(*), sum(balance) FROM balances".to_owned(),
        ),
        (
            "all newest rows, at half",
            format!("SELECT count(*), sum(amount) FROM newest {half}"),
        ),
        (
            "one row of few events, at half",
            format!("SELECT balance FROM balances {half} WHERE account = 'a7'"),
        ),
        (
            "the row of half of all events, at half",
            format!("SELECT balance FROM balances {half} WHERE account = 'hot'"),
        ),
        (
            "the newest row of these, at half",
            format!("SELECT amount FROM newest {half} WHERE account = 'hot'"),
        ),
        (
            "its first 100 steps",
            "SELECT * FROM lineage('balances', 'hot') LIMIT 100".to_owned(),
        ),
        (
            "100 steps from the middle of it",
            format!("SELECT * FROM lineage('balances', 'hot', {middle}) LIMIT 100"),
        ),
        (
            "a table of column files, now",
            "SELECT count(*), sum(amount) FROM history".to_owned(),
        ),
        (
            "the same as of now",
            format!("SELECT count(*), sum(amount) FROM history {now}"),
        ),
        (
            "the same, at half",
            format!("SELECT count(*), sum(amount) FROM history {half}"),
        ),
    ] {
        let mut times: Vec<Duration> = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            runtime.block_on(ask(&engine, &question))?;
            times.push(begun.elapsed());
        }
        times.sort();
        writeln!(
            std::io::stdout(),
            "{what}: {:.1} ms",
            times[ROUNDS / 2].as_secs_f64() * 1e3
        )?;
    }
    engine.views().close();
    Ok(())
}

fn engine(dir: &Path) -> Result<Engine, Failure> {
    let (log, catalog, views) = open_views(dir, ViewOptions::default())?;
    let views = views.with_lakes(Arc::new(DeltaLakes::start()?));
    let options = EngineOptions {
        partitions_default: 1,
        wait_max: WAIT,
        ..EngineOptions::default()
    };
    Ok(Engine::new(log, catalog, views, options))
}

/// Appends the events, in turns to the partitions.
fn append(log: &EventLog, events: usize, accounts: usize) -> Result<(), Failure> {
    for first in (0..events).step_by(EVENTS_PER_BATCH) {
        let batch = (first..events.min(first + EVENTS_PER_BATCH)).map(|number| {
            let account = match number % 2 {
                0 => "hot".to_owned(),
                _ => format!("a{}", (number * 7_919) % accounts),
            };
            let value = format!("{{\"account\":\"{account}\",\"amount\":{}.25}}", number % 1_000);
            Event {
                key: Some(Bytes::from(account)),
                value: Some(Bytes::from(value)),
                ..Event::default()
            }
        });
        let batch: Vec<Event> = batch.collect();
        log.append_blocking(Append {
            parts: vec![Part {
                stream: "s".to_owned(),
                partition: u32::try_from((first / EVENTS_PER_BATCH) % PARTITIONS)?,
                batch: Batch::encode(&batch, Compression::None, None),
            }],
            principal: "example".to_owned(),
            condition: None,
        })?;
    }
    Ok(())
}

async fn ask(engine: &Engine, question: &str) -> Result<usize, Failure> {
    let question = parse(question, "")?.pop().ok_or("no question")?;
    rows(engine, &Session::default(), &question, &[]).await
}
