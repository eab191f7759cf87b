//! How many events a second one core keeps a view up to date with, against decoding them alone.
//!
//! ```text
//! cargo run --release -p headwater-views --example fold_speed [EVENTS] [ACCOUNTS]
//! ```
//!
//! The events are appended to a real log in a temporary folder first; what is measured is everything after: reading the log back, decoding the
//! JSON, folding it into the view, and flushing the rows and the position to its store.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::catalog::MemTable;
use datafusion::prelude::SessionContext;
use headwater_catalog::{
    Catalog, Column, ColumnType, CreateMode, Definition, Format, Shape, StreamDefinition, ViewDefinition, ViewSettings,
};
use headwater_eventlog::{Append, EventLog, LogOptions, Part};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event};
use headwater_views::decode::{StreamDecoder, portions};
use headwater_views::{Selection, ViewOptions, ViewSpec, Views};

const STREAM: &str = "transactions";
const QUERY: &str = "SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries, \
     max(_timestamp) AS updated_at FROM transactions GROUP BY account";
const EVENTS_PER_BATCH: u64 = 1_000;
const WAIT: Duration = Duration::from_secs(600);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let events: u64 = arguments.next().map_or(Ok(2_000_000), |text| text.parse())?;
    let accounts: u64 = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (log, _) = EventLog::open(Host::real(), &dir.path().join("log"), LogOptions::default())?;
    let catalog = Catalog::open(log.clone())?;
    runtime.block_on(catalog.define(Definition::Stream(stream()), CreateMode::Create, "bench"))?;
    let decoder = StreamDecoder::new(&stream());
    append(&log, events, accounts)?;

    let mut out = std::io::stdout();
    let decode = decode_alone(&log, &decoder)?;
    writeln!(out, "decode alone  {:.2} M events/s", rate(events, decode))?;
    let spec = spec(&runtime, &decoder)?;
    let upkeep = keep_up(&log, &catalog, dir.path(), &runtime, spec)?;
    writeln!(
        out,
        "view upkeep   {:.2} M events/s, {:.2} of decoding alone",
        rate(events, upkeep),
        decode.as_secs_f64() / upkeep.as_secs_f64()
    )?;
    Ok(())
}

fn rate(events: u64, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64() / 1e6
}

fn stream() -> StreamDefinition {
    let column = |name: &str, column_type, nullable| Column::new(name, column_type, nullable);
    StreamDefinition {
        name: STREAM.to_owned(),
        columns: Some(vec![
            column("account", ColumnType::Text, false),
            column("kind", ColumnType::Text, false),
            column("amount", ColumnType::Decimal(18, 2), false),
            column("teller", ColumnType::Text, true),
        ]),
        key: vec!["account".to_owned()],
        time: None,
        kind: None,
        tags: Vec::new(),
        partitions: 1,
        format: Format::Json,
        statement: String::new(),
        ..StreamDefinition::default()
    }
}

fn append(log: &EventLog, events: u64, accounts: u64) -> Result<(), Box<dyn Error>> {
    // Any sequence without a pattern will do: a multiplicative generator (Knuth, MMIX).
    let mut state = 7_u64;
    let mut roll = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut appended = 0;
    while appended < events {
        let count = EVENTS_PER_BATCH.min(events - appended);
        let batch: Vec<Event> = (0..count)
            .map(|at| {
                let account = format!("account-{:06}", roll(accounts));
                let kind = if roll(2) == 0 { "deposit" } else { "withdrawal" };
                let cents = roll(1_000_000);
                let value = format!(
                    "{{\"account\":\"{account}\",\"kind\":\"{kind}\",\"amount\":{}.{:02},\"teller\":\"ann\"}}",
                    cents / 100,
                    cents % 100
                );
                Event {
                    key: Some(Bytes::from(account)),
                    value: Some(Bytes::from(value)),
                    timestamp_ms: 1_700_000_000_000 + (appended + at) as i64,
                    ..Event::default()
                }
            })
            .collect();
        log.append_blocking(Append {
            parts: vec![Part {
                stream: STREAM.to_owned(),
                partition: 0,
                batch: Batch::encode(&batch, Compression::None, None),
            }],
            principal: "bench".to_owned(),
            condition: None,
        })?;
        appended += count;
    }
    Ok(())
}

/// Reads the log and decodes the columns that the view reads.
fn decode_alone(log: &EventLog, decoder: &StreamDecoder) -> Result<Duration, Box<dyn Error>> {
    let schema = decoder.schema();
    let projection = [
        schema.index_of("account")?,
        schema.index_of("kind")?,
        schema.index_of("amount")?,
        schema.index_of("_timestamp")?,
    ];
    let begun = Instant::now();
    let mut from = 0;
    loop {
        let batches = log.read(STREAM, 0, from, 4 * 1024 * 1024)?;
        let Some(last) = batches.last() else {
            return Ok(begun.elapsed());
        };
        for portion in portions(&batches, 8_192) {
            decoder.decode(0, portion, from, u64::MAX, Some(&projection));
        }
        from = last.batch.next_offset();
    }
}

fn spec(runtime: &tokio::runtime::Runtime, decoder: &StreamDecoder) -> Result<ViewSpec, Box<dyn Error>> {
    let context = SessionContext::new();
    context.register_table(STREAM, Arc::new(MemTable::try_new(decoder.schema(), vec![Vec::new()])?))?;
    let state = context.state();
    let plan = runtime.block_on(state.create_logical_plan(QUERY))?;
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})?;
    Ok(ViewSpec {
        definition: ViewDefinition {
            name: "balances".to_owned(),
            shape: Some(Shape::Document),
            settings: ViewSettings::default(),
            query: QUERY.to_owned(),
            key: Vec::new(),
            sources: vec![STREAM.to_owned()],
            statement: String::new(),
            version: 1,
            before: None,
        },
        decoders: vec![decoder.clone()],
        plan,
        session: state,
    })
}

/// From the start of a view over a stream that is there to the moment when it has caught up and is flushed.
fn keep_up(
    log: &EventLog,
    catalog: &Catalog,
    dir: &Path,
    runtime: &tokio::runtime::Runtime,
    spec: ViewSpec,
) -> Result<Duration, Box<dyn Error>> {
    let options = ViewOptions {
        flush_bytes: 64 * 1024 * 1024,
        flush_ms: 1_000,
        resident_bytes_max: 256 * 1024 * 1024,
        snapshot_events: 512,
    };
    let views = Views::open(log.clone(), catalog.clone(), &dir.join("views"), options);
    let begun = Instant::now();
    let view = views.start(spec)?;
    let end = log.position(STREAM).ok_or("the stream is gone")?;
    runtime.block_on(view.wait_for(&end, WAIT))?;
    views.close();
    let time = begun.elapsed();
    let rows: usize = view
        .read(&Selection::All)?
        .batches
        .iter()
        .map(|batch| batch.num_rows())
        .sum();
    if rows as u64 != view.status().rows {
        return Err(format!("{rows} rows were read, {} were counted", view.status().rows).into());
    }
    Ok(time)
}
