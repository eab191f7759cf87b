//! How many events a second a view takes, against decoding them alone: when it is built from the log, and when it follows writers.
//!
//! ```text
//! cargo run --release -p headwater-benchmarks --bin fold_speed [EVENTS] [ACCOUNTS] [MIB] [FILE]
//! ```
//!
//! The events are appended to a real log in a temporary folder first. Decoding reads the log back and makes columns of the JSON; building a view
//! does that, folds, and flushes rows and position to its store; following does the same for as many events again while they are appended. MIB
//! is what the view's rows may take of memory. FILE gets the values of the events, a line each, for other programs.
//!
//! Beside the rate by the clock stands the one by processor time: of the whole process, or, while the process appends too, of the thread that folds.

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::catalog::MemTable;
use datafusion::prelude::SessionContext;
use headwater_benchmarks::{Failure, process_time};
use headwater_catalog::{
    Catalog, Column, ColumnType, CreateMode, Definition, Format, Shape, StreamDefinition, ViewDefinition, ViewSettings,
};
use headwater_eventlog::{Append, EventLog, LogOptions, Part};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event};
use headwater_views::decode::{StreamDecoder, portions};
use headwater_views::{Selection, View, ViewOptions, ViewSpec, Views};

const STREAM: &str = "transactions";
const QUERY: &str = "SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries, \
     max(_timestamp) AS updated_at FROM transactions GROUP BY account";
const EVENTS_PER_BATCH: u64 = 1_000;
const WAIT: Duration = Duration::from_secs(600);

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (events, accounts, mebibytes) = (number(2_000_000)?, number(100_000)?, number(256)?);
    let mut file = arguments.next().map(File::create).transpose()?.map(BufWriter::new);
    let dir = tempfile::tempdir()?;
    let ground = Ground::new(dir.path(), usize::try_from(mebibytes)? * 1024 * 1024)?;
    let mut bank = Bank::new(accounts);
    bank.append(&ground.log, events, file.as_mut().map(|file| file as &mut dyn Write))?;
    drop(file);

    let decoded = Rates::of(events, process_time, || ground.decode_alone())?;
    say(&format!("decode alone   {decoded}"))?;
    ground.build(events, &decoded)?;
    ground.follow(&mut bank, events, &decoded)
}

fn say(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// What everything stands on.
struct Ground {
    dir: PathBuf,
    log: EventLog,
    catalog: Catalog,
    runtime: tokio::runtime::Runtime,
    decoder: StreamDecoder,
    options: ViewOptions,
}

impl Ground {
    fn new(dir: &Path, memory_bytes_max: usize) -> Result<Ground, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (log, _) = EventLog::open(Host::real(), &dir.join("log"), LogOptions::default())?;
        let catalog = Catalog::open(log.clone())?;
        runtime.block_on(catalog.define(Definition::Stream(stream()), CreateMode::Create, "bench"))?;
        Ok(Ground {
            dir: dir.join("views"),
            log,
            catalog,
            runtime,
            decoder: StreamDecoder::new(&stream()),
            options: ViewOptions {
                flush_bytes: 16 * 1024 * 1024,
                memory_bytes_max,
                ..ViewOptions::default()
            },
        })
    }

    /// Reads the log and decodes the columns that the view reads.
    fn decode_alone(&self) -> Result<(), Failure> {
        let schema = self.decoder.schema();
        let projection = [
            schema.index_of("account")?,
            schema.index_of("kind")?,
            schema.index_of("amount")?,
            schema.index_of("_timestamp")?,
        ];
        let mut from = 0;
        loop {
            let batches = self.log.read(STREAM, 0, from, 4 * 1024 * 1024)?;
            let Some(last) = batches.last() else {
                return Ok(());
            };
            for portion in portions(&batches, 8_192) {
                self.decoder.decode(0, portion, from, u64::MAX, Some(&projection));
            }
            from = last.batch.next_offset();
        }
    }

    fn views(&self) -> Views {
        Views::open(self.log.clone(), self.catalog.clone(), &self.dir, self.options.clone())
    }

    /// From the start of a view over a stream that is there to the moment when it has caught up and is flushed.
    fn build(&self, events: u64, decoded: &Rates) -> Result<(), Failure> {
        let spec = self.spec()?;
        let views = self.views();
        forget_peak()?;
        let mut view = None;
        let built = Rates::of(events, process_time, || {
            let started = views.start(spec)?;
            self.catch_up(&started)?;
            views.close();
            view = Some(started);
            Ok(())
        })?;
        say(&format!(
            "built          {built}, {:.2} of decoding alone",
            built.share_of(decoded)
        ))?;
        let view = view.ok_or("there is no view")?;
        say_memory(&view)?;
        check_rows(&view)
    }

    /// The view follows a stream while as many events again are appended.
    fn follow(&self, bank: &mut Bank, events: u64, decoded: &Rates) -> Result<(), Failure> {
        let views = self.views();
        let view = views.start(self.spec()?)?;
        self.catch_up(&view)?;
        forget_peak()?;
        let followed = Rates::of(events, folding_time, || {
            bank.append(&self.log, events, None)?;
            self.catch_up(&view)
        })?;
        say(&format!(
            "followed       {followed}, {:.2} of decoding alone",
            followed.share_of(decoded)
        ))?;
        views.close();
        say_memory(&view)?;
        check_rows(&view)
    }

    /// Waits until a view has folded what is in the log.
    fn catch_up(&self, view: &View) -> Result<(), Failure> {
        let end = self.log.position(STREAM).ok_or("the stream is gone")?;
        Ok(self.runtime.block_on(view.wait_for(&end, WAIT))?)
    }

    fn spec(&self) -> Result<ViewSpec, Failure> {
        let context = SessionContext::new();
        let table = MemTable::try_new(self.decoder.schema(), vec![Vec::new()])?;
        context.register_table(STREAM, Arc::new(table))?;
        let state = context.state();
        let plan = self.runtime.block_on(state.create_logical_plan(QUERY))?;
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
                spelled_out: None,
                statement: String::new(),
                version: 1,
                before: None,
            },
            decoders: vec![self.decoder.clone()],
            plan,
            session: state,
        })
    }
}

/// How many events a second a step took.
struct Rates {
    events: u64,
    wall: Duration,
    processor: Duration,
}

impl Rates {
    /// Takes a step over so many events. `processor_time`: what is counted to it.
    fn of(
        events: u64,
        processor_time: fn() -> Result<Duration, Failure>,
        step: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Rates, Failure> {
        let (begun, before) = (Instant::now(), processor_time()?);
        step()?;
        Ok(Rates {
            events,
            wall: begun.elapsed(),
            processor: processor_time()?.saturating_sub(before),
        })
    }

    /// By processor time, how much of another rate this one is.
    fn share_of(&self, other: &Rates) -> f64 {
        other.processor.as_secs_f64() / self.processor.as_secs_f64()
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |time: Duration| self.events as f64 / time.as_secs_f64() / 1e6;
        let (wall, processor) = (rate(self.wall), rate(self.processor));
        write!(f, "{wall:.2} M events/s, {processor:.2} M a processor second")
    }
}

/// What the threads that fold have used; the kernel counts in nanoseconds.
fn folding_time() -> Result<Duration, Failure> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // A thread may have ended meanwhile.
        let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        if name.starts_with("fold ") {
            let schedule = std::fs::read_to_string(task.join("schedstat"))?;
            nanoseconds += schedule.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The most memory that the process had is counted anew.
fn forget_peak() -> Result<(), Failure> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

/// What the kernel says of the process's memory, and the view of its rows'.
fn say_memory(view: &View) -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = kib.unwrap_or_default().trim().trim_end_matches(" kB").parse()?;
    let view = view.status();
    say(&format!(
        "  memory       {} rows, {} MiB of them resident; the process {} MiB at most",
        view.rows,
        view.resident_bytes >> 20,
        kib >> 10
    ))
}

/// That every account has its row.
fn check_rows(view: &View) -> Result<(), Failure> {
    let read = view.read(&Selection::All)?;
    let rows: usize = read.batches.iter().map(|batch| batch.num_rows()).sum();
    match view.status().rows {
        counted if counted == rows as u64 => Ok(()),
        counted => Err(format!("{rows} rows were read, {counted} were counted").into()),
    }
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

/// Who has accounts there: deposits and withdrawals, in any order.
struct Bank {
    accounts: u64,
    events: u64,
    random: u64,
}

impl Bank {
    fn new(accounts: u64) -> Bank {
        Bank {
            accounts,
            events: 0,
            random: 7,
        }
    }

    /// Any sequence without a pattern will do: a multiplicative generator (Knuth, MMIX).
    fn roll(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn event(&mut self) -> Event {
        // At first every account has its turn, not one after another; a prime number of steps comes by all of them.
        let account = match self.events {
            turn if turn < self.accounts => turn * 7_919 % self.accounts,
            _ => self.roll(self.accounts),
        };
        let account = format!("account-{account:06}");
        let kind = if self.roll(2) == 0 { "deposit" } else { "withdrawal" };
        let cents = self.roll(1_000_000);
        let value = format!(
            "{{\"account\":\"{account}\",\"kind\":\"{kind}\",\"amount\":{}.{:02},\"teller\":\"ann\"}}",
            cents / 100,
            cents % 100
        );
        self.events += 1;
        Event {
            key: Some(Bytes::from(account)),
            value: Some(Bytes::from(value)),
            timestamp_ms: 1_700_000_000_000 + self.events as i64,
            ..Event::default()
        }
    }

    fn append(&mut self, log: &EventLog, events: u64, mut file: Option<&mut dyn Write>) -> Result<(), Failure> {
        let mut left = events;
        while left > 0 {
            let count = EVENTS_PER_BATCH.min(left);
            let batch: Vec<Event> = (0..count).map(|_| self.event()).collect();
            if let Some(file) = &mut file {
                for event in &batch {
                    file.write_all(event.value.as_deref().unwrap_or_default())?;
                    file.write_all(b"\n")?;
                }
            }
            log.append_blocking(Append {
                parts: vec![Part {
                    stream: STREAM.to_owned(),
                    partition: 0,
                    batch: Batch::encode(&batch, Compression::None, None),
                }],
                principal: "bench".to_owned(),
                condition: None,
            })?;
            left -= count;
        }
        Ok(())
    }
}
