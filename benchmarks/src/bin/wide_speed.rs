//! What a long list costs: adding an element to a row that has many against one that has one, and reading a page of it.
//!
//! ```text
//! cargo run --release -p headwater-benchmarks --bin wide_speed [ELEMENTS] [ROUNDS]
//! ```
//!
//! Both rows take their events in turn, one event an append. The rows are committed after every turn, and an event is taken when the one before it
//! is committed, so that a round is everything: the append, the fold, the commit.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::catalog::MemTable;
use datafusion::prelude::SessionContext;
use headwater_benchmarks::Failure;
use headwater_catalog::{
    Catalog, Column, ColumnType, CreateMode, Definition, Format, Shape, StreamDefinition, ViewDefinition, ViewSettings,
};
use headwater_eventlog::{Append, EventLog, LogOptions, Part as Batches};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event};
use headwater_views::decode::StreamDecoder;
use headwater_views::{Ask, Part, Selection, Shown, View, ViewOptions, ViewSpec, Views, as_folded};

const STREAM: &str = "ratings";
const QUERY: &str = "SELECT item, count(*) AS ratings, avg(stars) AS average, array_agg(named_struct('who', who, 'stars', stars)) AS entries \
     FROM ratings GROUP BY item";
const WAIT: Duration = Duration::from_secs(600);

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let elements: usize = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(2_000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (log, _) = EventLog::open(Host::real(), &dir.path().join("log"), LogOptions::default())?;
    let catalog = Catalog::open(log.clone())?;
    runtime.block_on(catalog.define(Definition::Stream(stream()), CreateMode::Create, "bench"))?;
    let long: Vec<String> = vec!["long".to_owned(); elements];
    long.chunks(1_000).try_for_each(|items| append(&log, items))?;
    let short: Vec<String> = (0..rounds).map(|round| format!("short-{round:06}")).collect();
    short.chunks(1_000).try_for_each(|items| append(&log, items))?;

    // Committed after every turn; nothing that is clean stays in memory.
    let options = ViewOptions {
        flush_bytes: 0,
        flush_ms: 0,
        memory_bytes_max: 0,
        ..ViewOptions::default()
    };
    let views = Views::open(log.clone(), catalog, &dir.path().join("views"), options);
    let view = views.start(spec(&runtime)?)?;
    let wait = || -> Result<(), Failure> {
        let end = log.position(STREAM).ok_or("the stream is gone")?;
        Ok(runtime.block_on(view.wait_for(&end, WAIT))?)
    };
    wait()?;
    let mut times: [Vec<Duration>; 2] = [Vec::with_capacity(rounds), Vec::with_capacity(rounds)];
    for item in &short {
        for (times, item) in times.iter_mut().zip(["long", item]) {
            let begun = Instant::now();
            append(&log, &[item.to_owned()])?;
            wait()?;
            times.push(begun.elapsed());
        }
    }
    let mut out = std::io::stdout();
    let [to_long, to_short] = times.map(median);
    writeln!(
        out,
        "one more for a row of {elements}: {to_long:.0?}, for a row of one: {to_short:.0?}, ratio {:.2}",
        to_long.as_secs_f64() / to_short.as_secs_f64()
    )?;
    for (what, item, part) in [
        ("first 20", "long", Part::Page { from: 1, to: 20 }),
        ("last 20", "long", Part::Page { from: -20, to: -1 }),
        ("20 in the middle", "long", middle(elements)),
        ("length", "long", Part::Length),
        ("all", "long", Part::Whole),
        ("all of a row of two", "short-000000", Part::Whole),
    ] {
        let rounds = if what == "all" { 20 } else { rounds };
        writeln!(out, "{what}: {:.1?}", reading(&view, item, part, rounds)?)?;
    }
    views.close();
    Ok(())
}

fn middle(elements: usize) -> Part {
    let from = elements as i64 / 2;
    Part::Page { from, to: from + 19 }
}

/// How long a read of a part of a list takes.
fn reading(view: &View, item: &str, part: Part, rounds: usize) -> Result<Duration, Failure> {
    let ask = Ask {
        columns: Some(vec![Shown { column: 3, part }]),
        ..Ask::all_of(Selection::Keys(vec![view.key(&[item.into()])?]))
    };
    let mut times: Vec<Duration> = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = Instant::now();
        view.ask(&ask)?;
        times.push(begun.elapsed());
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn stream() -> StreamDefinition {
    let column = |name: &str, column_type| Column::new(name, column_type, false);
    StreamDefinition {
        name: STREAM.to_owned(),
        columns: Some(vec![
            column("item", ColumnType::Text),
            column("who", ColumnType::Text),
            column("stars", ColumnType::Decimal(2, 1)),
        ]),
        key: vec!["item".to_owned()],
        partitions: 1,
        format: Format::Json,
        ..StreamDefinition::default()
    }
}

/// Appends a rating of each item, in one batch.
fn append(log: &EventLog, items: &[String]) -> Result<(), Failure> {
    let event = |item: &String| Event {
        key: Some(Bytes::from(item.clone())),
        value: Some(Bytes::from(format!(
            "{{\"item\":\"{item}\",\"who\":\"somebody\",\"stars\":4.5}}"
        ))),
        timestamp_ms: 1_700_000_000_000,
        ..Event::default()
    };
    let events: Vec<Event> = items.iter().map(event).collect();
    log.append_blocking(Append {
        parts: vec![Batches {
            stream: STREAM.to_owned(),
            partition: 0,
            batch: Batch::encode(&events, Compression::None, None),
        }],
        principal: "bench".to_owned(),
        condition: None,
    })?;
    Ok(())
}

fn spec(runtime: &tokio::runtime::Runtime) -> Result<ViewSpec, Failure> {
    let decoder = StreamDecoder::new(&stream());
    let context = SessionContext::new();
    context.register_table(STREAM, Arc::new(MemTable::try_new(decoder.schema(), vec![Vec::new()])?))?;
    let state = context.state();
    let definition = ViewDefinition {
        name: "item_ratings".to_owned(),
        shape: Some(Shape::Document),
        settings: ViewSettings::default(),
        query: QUERY.to_owned(),
        key: Vec::new(),
        sources: vec![STREAM.to_owned()],
        spelled_out: None,
        statement: String::new(),
        version: 1,
        before: None,
    };
    let plan = runtime.block_on(state.create_logical_plan(QUERY))?;
    Ok(ViewSpec {
        plan: as_folded(plan, &definition, &state, &|_| Ok(None))?,
        definition,
        decoders: vec![decoder],
        session: state,
    })
}
