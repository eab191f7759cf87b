//! The doors: bound first, so that a taken address is said before anything else happens; opened when everything behind them is ready.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use headwater_commands::CommandsMetrics;
use headwater_http_api::{HttpOptions, HttpState, MetricSource};
use headwater_kafka_api::{Broker, KafkaMetrics, KafkaOptions};
use headwater_postgres_api::PostgresOptions;
use headwater_schedules::Schedules;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::exit::{Exit, Failure, OrExit};
use crate::pieces::Pieces;
use crate::settings::{Door, Settings};

/// Bound addresses that nothing answers yet.
pub struct Bound {
    kafka: Option<TcpListener>,
    postgres: Option<TcpListener>,
    http: Option<TcpListener>,
}

/// Doors that are open.
pub struct Open {
    shutdown: watch::Sender<bool>,
    doors: Vec<JoinHandle<()>>,
}

impl Bound {
    /// Takes the addresses.
    pub async fn bind(settings: &Settings) -> Result<Bound, Failure> {
        Ok(Bound {
            kafka: bind("kafka", settings.kafka).await?,
            postgres: bind("postgres", settings.postgres).await?,
            http: bind("http", settings.http).await?,
        })
    }

    /// A line for each door, for machines: its name and its address.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (name, listener) in [
            ("kafka", &self.kafka),
            ("postgres", &self.postgres),
            ("http", &self.http),
        ] {
            if let Some(address) = listener.as_ref().and_then(|listener| listener.local_addr().ok()) {
                lines.push(format!("{name} {address}"));
            }
        }
        lines
    }

    /// Answers at every door. Runs on the runtime it is called in; questions run on `questions`. `broker`: where there is a Kafka door.
    pub fn open(self, pieces: &Pieces, broker: Option<Broker>, http_options: HttpOptions, questions: &Handle) -> Open {
        let (shutdown, stopping) = watch::channel(false);
        let mut doors: Vec<JoinHandle<()>> = Vec::new();
        let mut metrics: Vec<MetricSource> = schedule_metrics(pieces);
        metrics.extend(command_metrics(pieces));
        if let (Some(listener), Some(broker)) = (self.kafka, broker) {
            metrics.extend(kafka_metrics(&broker));
            doors.push(tokio::spawn(headwater_kafka_api::serve(
                listener,
                broker,
                stopping.clone(),
            )));
        }
        if let Some(listener) = self.postgres {
            let options = PostgresOptions::new(questions.clone());
            metrics.push(postgres_metric(&options));
            let serving = headwater_postgres_api::serve(listener, pieces.engine.clone(), options, stopping.clone());
            doors.push(tokio::spawn(async move { ended("postgres", serving.await) }));
        }
        if let Some(listener) = self.http {
            let state = HttpState {
                engine: pieces.engine.clone(),
                commands: pieces.commands.clone(),
                questions: questions.clone(),
                metrics,
            };
            let serving = headwater_http_api::serve(listener, state, http_options, stopping);
            doors.push(tokio::spawn(async move { ended("http", serving.await) }));
        }
        Open { shutdown, doors }
    }

    /// Whether Kafka clients have a door.
    pub fn has_kafka(&self) -> bool {
        self.kafka.is_some()
    }
}

impl Open {
    /// Takes no more requests, and gives those that are open `patience` to finish.
    pub async fn close(self, patience: Duration) {
        // The doors may have ended already.
        let _ = self.shutdown.send(true);
        let until = tokio::time::Instant::now() + patience;
        for mut door in self.doors {
            if tokio::time::timeout_at(until, &mut door).await.is_err() {
                door.abort();
            }
        }
    }
}

/// The Kafka door's state, from the log (blocking: called outside of a runtime).
pub fn broker(pieces: &Pieces, options: KafkaOptions) -> Result<Broker, Failure> {
    let (log, catalog, schedules) = (pieces.log.clone(), pieces.catalog.clone(), pieces.schedules.clone());
    Broker::new(log, catalog, schedules, options).or_exit(Exit::Damaged)
}

async fn bind(name: &str, door: Door) -> Result<Option<TcpListener>, Failure> {
    let Door::At(address) = door else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(why) => Err(taken(name, address, &why)),
    }
}

fn taken(name: &str, address: SocketAddr, why: &io::Error) -> Failure {
    let exit = if why.kind() == io::ErrorKind::AddrInUse {
        Exit::Taken
    } else {
        Exit::Usage
    };
    let advice = format!(
        "stop what is there, or name another address with --{name} (port 0 takes a free one, none opens no door)"
    );
    Failure::new(
        exit,
        format!("the {name} door cannot be opened at {address}: {why}; {advice}"),
    )
}

fn ended(name: &str, result: io::Result<()>) {
    if let Err(why) = result {
        tracing::error!("the {name} door ended: {why}; restart the program to open it again");
    }
}

fn command_metrics(pieces: &Pieces) -> impl Iterator<Item = MetricSource> {
    /// A name, what it counts, and where that stands.
    type Source = (&'static str, &'static str, fn(&CommandsMetrics) -> u64);
    let source = |(name, help, number): Source| {
        let commands = pieces.commands.clone();
        MetricSource {
            name,
            help,
            kind: "counter",
            read: Arc::new(move || number(&commands.metrics()) as f64),
        }
    };
    let sources: [Source; 4] = [
        (
            "headwater_calls_together_total",
            "Calls of commands that were decided together.",
            |metrics| metrics.together,
        ),
        (
            "headwater_calls_appends_total",
            "Appends that calls decided together shared.",
            |metrics| metrics.appends,
        ),
        (
            "headwater_calls_outrun_total",
            "Appends of calls that somebody came before: they were decided anew.",
            |metrics| metrics.outrun,
        ),
        (
            "headwater_calls_alone_total",
            "Calls of commands that were decided one by one.",
            |metrics| metrics.alone,
        ),
    ];
    sources.map(source).into_iter()
}

fn schedule_metrics(pieces: &Pieces) -> Vec<MetricSource> {
    let source = |name, help, number: fn(&Schedules) -> f64| {
        let schedules = pieces.schedules.clone();
        MetricSource {
            name,
            help,
            kind: "gauge",
            read: Arc::new(move || number(&schedules)),
        }
    };
    vec![
        source(
            "headwater_schedules_pending",
            "Schedules whose events are to be appended later.",
            |schedules| schedules.pending() as f64,
        ),
        source(
            "headwater_schedules_late_seconds",
            "How long the first of them has been due.",
            |schedules| {
                let next_us = schedules.next_us().unwrap_or(i64::MAX);
                schedules.now_us().saturating_sub(next_us).max(0) as f64 / 1e6
            },
        ),
    ]
}

fn postgres_metric(options: &PostgresOptions) -> MetricSource {
    let connections = Arc::clone(&options.connections);
    MetricSource {
        name: "headwater_postgres_connections",
        help: "Open connections of PostgreSQL clients.",
        kind: "gauge",
        read: Arc::new(move || connections.load(Ordering::Relaxed) as f64),
    }
}

fn kafka_metrics(broker: &Broker) -> Vec<MetricSource> {
    let source = |name, help, kind, number: fn(KafkaMetrics) -> u64| {
        let broker = broker.clone();
        MetricSource {
            name,
            help,
            kind,
            read: Arc::new(move || number(broker.metrics()) as f64),
        }
    };
    vec![
        source(
            "headwater_kafka_connections",
            "Open connections of Kafka clients.",
            "gauge",
            |now| now.connections,
        ),
        source(
            "headwater_kafka_requests_total",
            "Requests of Kafka clients answered.",
            "counter",
            |now| now.requests,
        ),
        source(
            "headwater_kafka_refused_total",
            "Requests, frames and connections of Kafka clients refused because they were malformed or broke a limit.",
            "counter",
            |now| now.refused,
        ),
        source(
            "headwater_kafka_events_in_total",
            "Events appended by Kafka clients.",
            "counter",
            |now| now.events_in,
        ),
        source(
            "headwater_kafka_bytes_in_total",
            "Bytes of batches appended by Kafka clients.",
            "counter",
            |now| now.bytes_in,
        ),
        source(
            "headwater_kafka_bytes_out_total",
            "Bytes of batches sent to Kafka clients.",
            "counter",
            |now| now.bytes_out,
        ),
    ]
}
