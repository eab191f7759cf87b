//! How long a two-hop question over real ratings takes: who rated an item well, and what else they rated well.
//!
//! ```text
//! zcat ratings.csv.gz | cargo run --release -p headwater-benchmarks --bin graph_speed [QUESTIONS]
//! ```
//!
//! Standard input is MovieLens' `ratings.csv` (`userId,movieId,rating,timestamp`). The ratings are appended to a real log in a temporary folder and
//! folded into a graph view; then QUESTIONS items (1,000 where it is not said), spread evenly over all that were rated, are asked one after another.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::common::ScalarValue;
use headwater_benchmarks::{Failure, open, rows};
use headwater_eventlog::{Append, EventLog, Part};
use headwater_records::{Batch, Compression, Event};
use headwater_sql::parse::parse;
use headwater_sql::syntax::Parsed;
use headwater_sql::{Engine, EngineOptions, Session};
use headwater_views::ViewOptions;

const APPLICATION: &str =
    "CREATE STREAM ratings (user BIGINT NOT NULL, item BIGINT NOT NULL, stars DOUBLE PRECISION) WITH (partitions = 1);
    CREATE MATERIALIZED VIEW rated STORED AS graph (SOURCE user, DESTINATION item) AS
      SELECT user, item, max(stars) AS stars FROM ratings GROUP BY user, item;
    CREATE PROPERTY GRAPH tastes EDGE TABLES (rated SOURCE user DESTINATION item LABEL rated PROPERTIES (stars))";
const ALSO_LIKED: &str = "SELECT also, count(*) AS people FROM GRAPH_TABLE (tastes
      MATCH (i IS item WHERE i.id = $1)<-[a IS rated WHERE a.stars >= 4]-(u)-[b IS rated WHERE b.stars >= 4]->(j) WHERE j.id <> i.id COLUMNS (j.id AS also))
    GROUP BY also ORDER BY people DESC, also LIMIT 10";
const NEIGHBOURS: &str =
    "SELECT count(*) FROM GRAPH_TABLE (tastes MATCH (i IS item WHERE i.id = $1)<-[]-(u)-[]->(j) COLUMNS (j.id))";
const EVENTS_PER_BATCH: usize = 1_000;
const WAIT: Duration = Duration::from_secs(600);

fn main() -> Result<(), Failure> {
    let questions: usize = std::env::args().nth(1).map_or(Ok(1_000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let engine = engine(dir.path())?;
    for statement in parse(APPLICATION, "")? {
        runtime.block_on(engine.execute(&Session::default(), &statement, &[]))?;
    }
    let items = append(engine.log())?;
    let begun = Instant::now();
    let view = engine.views().get("rated").ok_or("the view is not running")?;
    let end = engine.log().position("ratings").ok_or("there is no stream")?;
    runtime.block_on(view.wait_for(&end, WAIT))?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} edges, {} items, folded in {:.2} s",
        view.row_count(),
        items.len(),
        begun.elapsed().as_secs_f64()
    )?;
    let asked: Vec<i64> = items
        .iter()
        .step_by((items.len() / questions).max(1))
        .copied()
        .collect();
    for (name, question) in [("two hops, counted", NEIGHBOURS), ("also liked, top ten", ALSO_LIKED)] {
        let parsed = parse(question, "")?.pop().ok_or("no question")?;
        let mut times: Vec<Duration> = Vec::with_capacity(asked.len());
        for item in &asked {
            let begun = Instant::now();
            runtime.block_on(ask(&engine, &parsed, *item))?;
            times.push(begun.elapsed());
        }
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        writeln!(
            out,
            "{name}: {} questions, p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
            times.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        )?;
    }
    engine.views().close();
    Ok(())
}

fn engine(dir: &Path) -> Result<Engine, Failure> {
    let options = ViewOptions {
        flush_bytes: 64 << 20,
        ..ViewOptions::default()
    };
    let asked = EngineOptions {
        partitions_default: 1,
        wait_max: WAIT,
        ..EngineOptions::default()
    };
    open(dir, options, asked)
}

/// Appends the ratings on standard input; the items that were rated.
fn append(log: &EventLog) -> Result<BTreeSet<i64>, Failure> {
    let mut items: BTreeSet<i64> = BTreeSet::new();
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS_PER_BATCH);
    for line in std::io::stdin().lock().lines().skip(1) {
        let line = line?;
        let mut fields = line.split(',');
        let (Some(user), Some(item), Some(stars)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(format!("this is no rating: {line}").into());
        };
        items.insert(item.parse()?);
        events.push(Event {
            value: Some(Bytes::from(format!(
                "{{\"user\":{user},\"item\":{item},\"stars\":{stars}}}"
            ))),
            ..Event::default()
        });
        if events.len() == EVENTS_PER_BATCH {
            append_batch(log, &events)?;
            events.clear();
        }
    }
    if !events.is_empty() {
        append_batch(log, &events)?;
    }
    Ok(items)
}

fn append_batch(log: &EventLog, events: &[Event]) -> Result<(), Failure> {
    log.append_blocking(Append {
        parts: vec![Part {
            stream: "ratings".to_owned(),
            partition: 0,
            batch: Batch::encode(events, Compression::None, None),
        }],
        principal: "example".to_owned(),
        condition: None,
    })?;
    Ok(())
}

async fn ask(engine: &Engine, question: &Parsed, item: i64) -> Result<usize, Failure> {
    rows(engine, &Session::default(), question, &[ScalarValue::from(item)]).await
}
