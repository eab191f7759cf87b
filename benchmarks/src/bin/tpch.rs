//! TPC-H over Parquet files with the session that every question runs in: `tpch FOLDER [ROUNDS] [SETTING=VALUE …]`.
//!
//! FOLDER holds `lineitem.parquet` and the other seven tables, as tpchgen-cli writes them; `benchmarks/tpch/run` makes them and runs this beside DuckDB.
//! Settings of the query engine (`execution.parquet.pushdown_filters=true`) are tried out by name, and `only=9` runs one query; the figures are those
//! without any. `plain` runs the queries in the engine's own session as it comes, without what we add to it: what is left of the time then is the engine's.
//! `explain` prints the plans.
//! A line for each query: its number, the best time of the rounds in milliseconds, its rows, and a sum over its answer that both programs print.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::DataFusionError;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use headwater_benchmarks as _;
use headwater_catalog::Catalog;
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;

const QUERIES: &str = include_str!("../../tpch/queries.sql");
const TABLES: [&str; 8] = [
    "customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier",
];
/// As much as the program gives to all questions together by default is little for a warehouse's: this is a machine's.
const MEMORY_BYTES_MAX: usize = 8 << 30;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("tpch FOLDER [ROUNDS] [SETTING=VALUE …]: the folder of the eight Parquet files");
        return ExitCode::from(2);
    };
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let settings: Vec<String> = arguments.collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ran = runtime
        .map_err(of_io)
        .and_then(|runtime| runtime.block_on(run(&folder, rounds, &settings)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn of_io(error: std::io::Error) -> DataFusionError {
    DataFusionError::IoError(error)
}

async fn run(folder: &str, rounds: u32, settings: &[String]) -> Result<(), DataFusionError> {
    let scratch = tempfile::tempdir()?;
    let (log, _) = EventLog::open(Host::real(), scratch.path(), LogOptions::default())
        .map_err(|error| DataFusionError::External(error.to_string().into()))?;
    let catalog = Catalog::open(log).map_err(|error| DataFusionError::External(error.to_string().into()))?;
    let is_asked = |name: &str| settings.iter().any(|setting| setting == name);
    let context = match is_asked("plain") {
        true => SessionContext::new(),
        false => SessionContext::new_with_state(headwater_sql::session_state(MEMORY_BYTES_MAX, &catalog)),
    };
    let mut only: Option<usize> = None;
    for setting in settings {
        let (name, value) = setting.split_once('=').unwrap_or((setting, "true"));
        match name {
            "only" => only = value.parse().ok(),
            "plain" | "explain" => {}
            _ => {
                let statement = format!("SET datafusion.{name} = '{value}'");
                context.sql(&statement).await?.collect().await?;
            }
        }
    }
    for table in TABLES {
        let path = format!("{folder}/{table}.parquet");
        context
            .register_parquet(table, &path, ParquetReadOptions::default())
            .await?;
    }
    let mut total = Duration::ZERO;
    let queries = QUERIES
        .split(';')
        .map(str::trim)
        .filter(|query| query.contains("SELECT"));
    for (index, query) in queries.enumerate() {
        if only.is_some_and(|only| only != index + 1) {
            continue;
        }
        if is_asked("explain") {
            let plan = context
                .sql(&format!("EXPLAIN FORMAT INDENT {query}"))
                .await?
                .collect()
                .await?;
            println!("{}", pretty_format_batches(&plan)?);
        }
        let mut best = Duration::MAX;
        let mut answer: Vec<RecordBatch> = Vec::new();
        for _ in 0..rounds {
            let began = Instant::now();
            answer = context.sql(query).await?.collect().await?;
            best = best.min(began.elapsed());
        }
        total += best;
        let rows: usize = answer.iter().map(RecordBatch::num_rows).sum();
        println!(
            "{} {:.1} {rows} {:.2}",
            index + 1,
            best.as_secs_f64() * 1e3,
            sum_of(&answer)?
        );
    }
    println!("all {:.1}", total.as_secs_f64() * 1e3);
    Ok(())
}

/// The sum of every number in an answer.
fn sum_of(answer: &[RecordBatch]) -> Result<f64, DataFusionError> {
    let mut sum = 0.0;
    for column in answer.iter().flat_map(|batch| batch.columns()) {
        if !column.data_type().is_numeric() {
            continue;
        }
        let numbers: Arc<dyn Array> = cast(column, &DataType::Float64)?;
        sum += numbers.as_primitive::<Float64Type>().iter().flatten().sum::<f64>();
    }
    Ok(sum)
}
