//! What Headwater does in a second, each figure as a ratio in the same run.
//!
//! One verb for each figure; `benchmarks/run` builds what is measured and runs them all.

mod appends;
mod brokers;
mod chart;
mod client;
mod disk;
mod figures;
mod footprint;
mod goals;
mod latency;
mod machine;
mod many_partitions;
mod produce;
mod program;
mod read_back;
mod reads;
mod soak;
mod start;
mod throughput;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::brokers::{Kind, Programs};
use crate::reads::Load;
use crate::reads::point_read::PointRead;
use crate::reads::prepared::Prepared;

#[derive(Parser)]
#[command(about = "Benchmarks of a release build of Headwater")]
struct Arguments {
    /// The program to measure.
    #[arg(long, default_value = "target/release/headwater")]
    program: PathBuf,
    /// Where data folders are made: put it on the disk that is to be measured.
    #[arg(long, default_value = "target")]
    scratch: PathBuf,
    /// Headwater's Kafka door, for the figures beside Apache Kafka; the whole program can be named too.
    #[arg(long, default_value = "target/release/kafka_door")]
    door: PathBuf,
    /// The folder of Apache Kafka's jars, as `benchmarks/kafka_jars` prints it.
    #[arg(long)]
    kafka_jars: Option<PathBuf>,
    /// Which brokers are measured; all three where none is named.
    #[arg(long = "broker")]
    brokers: Vec<Kind>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Durable appends per second over the Kafka protocol, against the disk's own flushes.
    Appends {
        /// Seconds for each figure.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// GET by key over HTTP, against Redis and a bare axum handler that answers the same bytes.
    PointRead {
        /// Seconds for each figure.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Rows in the view.
        #[arg(long, default_value_t = 100_000)]
        rows: u64,
        /// How many ask at the same time.
        #[arg(long, default_value_t = 50)]
        connections: u64,
        /// Redis' server.
        #[arg(long, default_value = "redis-server")]
        redis: String,
    },
    /// SELECT of one row through a prepared statement, asked by pgbench, against PostgreSQL.
    Prepared {
        /// Seconds for each figure.
        #[arg(long, default_value_t = 8)]
        seconds: u64,
        /// Rows in the view.
        #[arg(long, default_value_t = 100_000)]
        rows: u64,
        /// How many ask at the same time.
        #[arg(long, default_value_t = 16)]
        clients: u32,
    },
    /// Records per second and the broker's processor time for each, beside Apache Kafka.
    Throughput {
        /// Seconds for each cell.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// One cell alone, named as in the table: "1 KiB, 16 KiB, 16".
        #[arg(long)]
        cell: Option<String>,
    },
    /// How long a record takes, alone, end to end and at half load, beside Apache Kafka.
    Latency {
        /// Seconds for each figure.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Reading back what was written, cold and warm, beside Apache Kafka.
    ReadBack {
        /// How much is written, MiB.
        #[arg(long, default_value_t = 2048)]
        mebibytes: u64,
        /// How often it is read, of which the medians count.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Start and memory, beside Apache Kafka.
    Footprint {
        /// Starts, of which the median is shown.
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
    /// Ten thousand partitions in one process.
    ManyPartitions {
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        partitions: u32,
    },
    /// Large batches against a plain loop that writes and flushes.
    Disk {
        /// Seconds for each figure.
        #[arg(long, default_value_t = 8)]
        seconds: u64,
    },
    /// Everything that has a goal beside Apache Kafka, in one run, with a line for each goal.
    Goals {
        /// Milliseconds for each figure.
        #[arg(long, default_value_t = 1500)]
        milliseconds: u64,
    },
    /// A quarter of the top rate with retention on, drawn into a chart.
    Soak {
        /// How long.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// Where the chart goes.
        #[arg(long, default_value = "benchmarks/soak.svg")]
        chart: PathBuf,
    },
    /// Idle memory, and the time from start to the first acknowledged produce on an empty folder.
    Start {
        /// Starts, of which the median is shown.
        #[arg(long, default_value_t = 11)]
        runs: usize,
    },
    /// The bare axum handler of `point-read`, in a process of its own.
    #[command(hide = true)]
    BareHandler {
        /// Where it listens.
        address: SocketAddr,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let programs = Programs {
        headwater: arguments.door,
        kafka_jars: arguments.kafka_jars,
        scratch: arguments.scratch.clone(),
    };
    let kinds = arguments.brokers;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match arguments.verb {
            Verb::Appends { seconds } => appends::run(&arguments.program, &arguments.scratch, seconds).await,
            Verb::PointRead {
                seconds,
                rows,
                connections,
                redis,
            } => {
                let load = Load {
                    connections,
                    rows,
                    time: Duration::from_secs(seconds),
                };
                let what = PointRead {
                    program: &arguments.program,
                    redis: &redis,
                    scratch: &arguments.scratch,
                    load,
                };
                reads::point_read::run(what).await
            }
            Verb::Prepared { seconds, rows, clients } => {
                let what = Prepared {
                    program: &arguments.program,
                    scratch: &arguments.scratch,
                    rows,
                    clients,
                    seconds,
                };
                reads::prepared::run(what).await
            }
            Verb::Throughput { seconds, cell } => {
                throughput::run(&programs, &kinds, Duration::from_secs(seconds), cell.as_deref())
            }
            Verb::Latency { seconds } => latency::run(&programs, &kinds, Duration::from_secs(seconds)),
            Verb::ReadBack { mebibytes, rounds } => read_back::run(&programs, &kinds, mebibytes, rounds).map(|_| ()),
            Verb::Footprint { runs } => footprint::run(&programs, &kinds, runs),
            Verb::ManyPartitions { partitions } => many_partitions::run(&programs, &kinds, partitions),
            Verb::Disk { seconds } => disk::run(&programs, Duration::from_secs(seconds)).map(|_| ()),
            Verb::Goals { milliseconds } => goals::run(&programs, Duration::from_millis(milliseconds)),
            Verb::Soak { seconds, chart } => soak::run(&programs, Duration::from_secs(seconds), &chart),
            Verb::Start { runs } => start::run(&arguments.program, &arguments.scratch, runs).await,
            Verb::BareHandler { address } => reads::point_read::serve_bare_handler(address).await,
        }
    })
}
