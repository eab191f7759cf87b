//! Nexmark's queries as views and pipelines, one after another: `nexmark < EVENTS`, which `benchmarks/nexmark/run` makes.
//!
//! The events are appended to a real log first. A query is measured from its statement until everything that it defines has taken the whole log; what
//! the language refuses is printed with the reason, and its other form stands beside it. A query reads the streams that it names: a bid is nothing to
//! one that joins auctions with persons, so each rate counts the events that were read.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_benchmarks::{Failure, open, process_time, rows};
use headwater_eventlog::{Append, EventLog, Part};
use headwater_records::{Batch, Compression, Event};
use headwater_sql::parse::parse;
use headwater_sql::{Engine, EngineOptions, Session};
use headwater_views::ViewOptions;

const STREAMS: &str = include_str!("../../nexmark/streams.sql");
const QUERIES: &str = include_str!("../../nexmark/queries.sql");
const EVENTS_PER_BATCH: usize = 1_000;
const WAIT: Duration = Duration::from_secs(600);
/// How often it is looked whether a pipeline is at the end.
const LOOK_EVERY: Duration = Duration::from_millis(2);

fn main() -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(execute(&engine, STREAMS))?;
    append(engine.log())?;
    runtime.block_on(run(&engine))?;
    engine.views().close();
    Ok(())
}

fn engine(dir: &Path) -> Result<Engine, Failure> {
    let asked = EngineOptions {
        memory_bytes_max: 1 << 30,
        partitions_default: 1,
        wait_max: WAIT,
        ..EngineOptions::default()
    };
    let engine = open(dir, ViewOptions::default(), asked)?;
    engine.start_views();
    engine.start_pipelines();
    Ok(engine)
}

async fn run(engine: &Engine) -> Result<(), Failure> {
    caught_up(engine).await?;
    let sections = QUERIES.split("\n-- q").skip(1);
    for section in sections {
        let (title, statements) = section.split_once('\n').ok_or("a query without a text")?;
        let line = match measure(engine, statements).await {
            Ok(measured) => measured,
            Err(error) => format!("refused: {error}"),
        };
        writeln!(std::io::stdout(), "q{title}: {line}")?;
    }
    Ok(())
}

async fn execute(engine: &Engine, statements: &str) -> Result<(), Failure> {
    for statement in parse(statements, "")? {
        engine.execute(&Session::default(), &statement, &[]).await?;
    }
    Ok(())
}

/// Defines what a query consists of, and says how long it took to get to the end of the log, and what is in it then.
async fn measure(engine: &Engine, statements: &str) -> Result<String, Failure> {
    let there = names(engine);
    let (begun, before) = (Instant::now(), process_time()?);
    execute(engine, statements).await?;
    caught_up(engine).await?;
    let (wall, processor) = (begun.elapsed(), process_time()?.saturating_sub(before));
    let mut parts: Vec<String> = Vec::new();
    let events = events_read(engine, &there);
    if events > 0 {
        let rate = |time: Duration| events as f64 / time.as_secs_f64() / 1e3;
        parts.push(format!(
            "{events} events, {:.0} thousand/s, {:.0} thousand a processor second",
            rate(wall),
            rate(processor)
        ));
    }
    for pipeline in engine
        .views()
        .pipelines()
        .iter()
        .filter(|new| !there.contains(&new.name))
    {
        parts.push(format!("{} results", pipeline.results));
    }
    for view in engine
        .views()
        .all()
        .iter()
        .filter(|new| !there.contains(&new.definition().name))
    {
        parts.push(format!("{} rows", view.status().rows));
    }
    if let Some(view) = statements
        .split("CREATE VIEW ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
    {
        let begun = Instant::now();
        let rows = ask(engine, &format!("SELECT * FROM {view}")).await?;
        parts.push(format!(
            "asked in {:.0} ms: {rows} rows",
            begun.elapsed().as_secs_f64() * 1e3
        ));
    }
    Ok(parts.join("; "))
}

/// The views and pipelines that there are.
fn names(engine: &Engine) -> BTreeSet<String> {
    let views = engine.views().all();
    let mut names: BTreeSet<String> = views.iter().map(|view| view.definition().name.clone()).collect();
    names.extend(engine.views().pipelines().into_iter().map(|pipeline| pipeline.name));
    names
}

/// How many events the views and pipelines took that were not there before.
fn events_read(engine: &Engine, before: &BTreeSet<String>) -> u64 {
    let views = engine.views().all();
    let new_views = views.iter().filter(|view| !before.contains(&view.definition().name));
    let pipelines = engine.views().pipelines();
    let new_pipelines = pipelines.iter().filter(|pipeline| !before.contains(&pipeline.name));
    new_views.map(|view| view.events_folded()).sum::<u64>() + new_pipelines.map(|pipeline| pipeline.events).sum::<u64>()
}

/// Waits until pipelines, and then views, have taken all that there is.
async fn caught_up(engine: &Engine) -> Result<(), Failure> {
    loop {
        let pipelines = engine.views().pipelines();
        if let Some(why) = pipelines.iter().find_map(|pipeline| pipeline.stopped.as_ref()) {
            return Err(why.clone().into());
        }
        if pipelines.iter().all(|pipeline| pipeline.lag_events == 0) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for view in engine.views().all() {
        for stream in view.streams() {
            let end = engine.log().position(stream).ok_or("a stream is gone")?;
            view.wait_for(&end, WAIT).await?;
        }
    }
    Ok(())
}

async fn ask(engine: &Engine, question: &str) -> Result<usize, Failure> {
    let question = parse(question, "")?.pop().ok_or("no question")?;
    rows(engine, &Session::default(), &question, &[]).await
}

/// Appends the events on standard input, each to the stream that its line names.
fn append(log: &EventLog) -> Result<(), Failure> {
    let mut waiting: Vec<(String, Vec<Event>)> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut parts = line.splitn(3, '\t');
        let (Some(stream), Some(key), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("this is no event: {line}").into());
        };
        let at = waiting.iter().position(|(name, _)| name == stream);
        let at = at.unwrap_or_else(|| {
            waiting.push((stream.to_owned(), Vec::new()));
            waiting.len() - 1
        });
        let events = &mut waiting[at].1;
        events.push(Event {
            key: Some(Bytes::from(key.to_owned())),
            value: Some(Bytes::from(value.to_owned())),
            ..Event::default()
        });
        if events.len() == EVENTS_PER_BATCH {
            append_batch(log, stream, events)?;
            events.clear();
        }
    }
    for (stream, events) in waiting.iter().filter(|(_, events)| !events.is_empty()) {
        append_batch(log, stream, events)?;
    }
    Ok(())
}

fn append_batch(log: &EventLog, stream: &str, events: &[Event]) -> Result<(), Failure> {
    log.append_blocking(Append {
        parts: vec![Part {
            stream: stream.to_owned(),
            partition: 0,
            batch: Batch::encode(events, Compression::None, None),
        }],
        principal: "nexmark".to_owned(),
        condition: None,
    })?;
    Ok(())
}
