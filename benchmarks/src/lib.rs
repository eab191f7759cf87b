//! Headwater without its doors, for the programs in `bin`, which measure a part of it: opened in a folder, asked, and timed. They allocate as the program does.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use datafusion::common::ScalarValue;
use futures::TryStreamExt as _;
use headwater_catalog::Catalog;
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_sql::syntax::Parsed;
use headwater_sql::{Engine, EngineOptions, Outcome, Session};
use headwater_views::{ViewOptions, Views};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why a program ends.
pub type Failure = Box<dyn Error>;

/// The log, the catalog and the views in a folder.
pub fn open_views(dir: &Path, options: ViewOptions) -> Result<(EventLog, Catalog, Views), Failure> {
    let (log, _) = EventLog::open(Host::real(), &dir.join("log"), LogOptions::default())?;
    let catalog = Catalog::open(log.clone())?;
    let views = Views::open(log.clone(), catalog.clone(), &dir.join("views"), options);
    Ok((log, catalog, views))
}

/// The same with what answers questions over them.
pub fn open(dir: &Path, options: ViewOptions, asked: EngineOptions) -> Result<Engine, Failure> {
    let (log, catalog, views) = open_views(dir, options)?;
    Ok(Engine::new(log, catalog, views, asked))
}

/// How many rows the answer to a question has.
pub async fn rows(
    engine: &Engine,
    session: &Session,
    question: &Parsed,
    values: &[ScalarValue],
) -> Result<usize, Failure> {
    let Outcome::Rows { rows, .. } = engine.execute(session, question, values).await? else {
        return Err("a question gives rows".into());
    };
    let batches: Vec<_> = rows.try_collect().await?;
    Ok(batches.iter().map(|batch| batch.num_rows()).sum())
}

/// What the process has used of the processors; the kernel counts in hundredths of a second.
pub fn process_time() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in brackets may hold anything; user and system time are the 12th and the 13th behind it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Ok(Duration::from_millis(10 * (ticks(11) + ticks(12))))
}
