//! `GET /metrics`: what the program counts, in Prometheus' text format, version 0.0.4.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use headwater_eventlog::LogMetrics;
use headwater_views::{Build, PipelineStatus, ViewStatus};

use crate::door::Door;
use crate::options::MetricSource;

/// Answers with every number.
pub(crate) async fn show(State(door): State<Arc<Door>>) -> Response {
    let engine = &door.state.engine;
    let statuses: Vec<ViewStatus> = engine.views().all().iter().map(|view| view.status()).collect();
    let pipelines = engine.views().pipelines();
    let connections = Connections {
        open: door.connections.load(Ordering::Relaxed),
        alone: door.alone.load(Ordering::Relaxed),
    };
    let log = engine.log();
    let writing = Writing {
        counted: log.metrics(),
        stopped: log.stopped().is_some(),
        full_us: log.full().map(|full| log.now_us().saturating_sub(full.since_us)),
        damaged: log.damaged().len(),
        clock_behind_us: log.clock_behind_us(),
    };
    let text = exposition(
        &writing,
        &statuses,
        &engine.views().builds(),
        &pipelines,
        &connections,
        &door.state.metrics,
    );
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}

/// The connections of this door.
struct Connections {
    open: usize,
    /// How often one got a thread for itself.
    alone: u64,
}

/// How the log writes.
struct Writing {
    counted: LogMetrics,
    stopped: bool,
    /// How long appends have been refused because the disk is full.
    full_us: Option<i64>,
    /// Places that readers could not read.
    damaged: usize,
    clock_behind_us: i64,
}

fn exposition(
    writing: &Writing,
    views: &[ViewStatus],
    builds: &[(String, Build)],
    pipelines: &[PipelineStatus],
    connections: &Connections,
    sources: &[MetricSource],
) -> String {
    let mut text = String::new();
    expose_one(&mut text, writing, &OF_THE_LOG);
    expose_one(&mut text, connections, &OF_CONNECTIONS);
    expose(&mut text, "view", views, |view| &view.name, &OF_VIEWS);
    expose(&mut text, "view", builds, |(view, _)| view, &OF_BUILDS);
    expose(
        &mut text,
        "pipeline",
        pipelines,
        |pipeline| &pipeline.name,
        &OF_PIPELINES,
    );
    for source in sources {
        head(&mut text, source.name, source.kind, source.help);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {}", source.name, (source.read)());
    }
    text
}

/// A number that each of several things has: its name, its kind, what it is, and how it is read.
type Family<T> = (&'static str, &'static str, &'static str, fn(&T) -> f64);

/// How the log writes.
const OF_THE_LOG: [Family<Writing>; 10] = [
    (
        "headwater_log_events_total",
        "counter",
        "Events appended since start.",
        |writing| writing.counted.events as f64,
    ),
    (
        "headwater_log_bytes_total",
        "counter",
        "Bytes of batches appended since start.",
        |writing| writing.counted.bytes as f64,
    ),
    (
        "headwater_log_commits_total",
        "counter",
        "Group commits since start.",
        |writing| writing.counted.commits as f64,
    ),
    (
        "headwater_log_flush_seconds_total",
        "counter",
        "Time spent flushing since start.",
        |writing| writing.counted.flush_us as f64 / 1e6,
    ),
    (
        "headwater_log_flush_seconds_max",
        "gauge",
        "The longest flush since start.",
        |writing| writing.counted.flush_us_max as f64 / 1e6,
    ),
    (
        "headwater_log_stopped",
        "gauge",
        "1 once the log stopped writing.",
        |writing| f64::from(u8::from(writing.stopped)),
    ),
    (
        "headwater_log_full",
        "gauge",
        "1 while appends are refused because the disk is full.",
        |writing| f64::from(u8::from(writing.full_us.is_some())),
    ),
    (
        "headwater_log_full_seconds",
        "gauge",
        "How long they have been.",
        |writing| writing.full_us.unwrap_or_default().max(0) as f64 / 1e6,
    ),
    (
        "headwater_log_damaged_places",
        "gauge",
        "Damaged places of the log that readers met since the start.",
        |writing| writing.damaged as f64,
    ),
    (
        "headwater_clock_behind_seconds",
        "gauge",
        "How far the clock is behind the last append: append times stand still until it has caught up.",
        |writing| writing.clock_behind_us as f64 / 1e6,
    ),
];

/// How many ask this door.
const OF_CONNECTIONS: [Family<Connections>; 2] = [
    (
        "headwater_http_connections",
        "gauge",
        "Open HTTP connections.",
        |connections| connections.open as f64,
    ),
    (
        "headwater_http_alone_total",
        "counter",
        "How often a client that was alone got a thread for itself.",
        |connections| connections.alone as f64,
    ),
];

/// How each view stands.
const OF_VIEWS: [Family<ViewStatus>; 8] = [
    (
        "headwater_view_lag_events",
        "gauge",
        "Events a view has not folded yet.",
        |view| view.lag_events as f64,
    ),
    (
        "headwater_view_lag_seconds",
        "gauge",
        "Age of the oldest event a view has not folded yet.",
        |view| view.lag_seconds,
    ),
    (
        "headwater_view_rows",
        "gauge",
        "Rows of a view, as far as known.",
        |view| view.rows as f64,
    ),
    (
        "headwater_view_resident_bytes",
        "gauge",
        "Bytes of a view's resident rows.",
        |view| view.resident_bytes as f64,
    ),
    (
        "headwater_view_store_bytes",
        "gauge",
        "Bytes of a view's store on disk.",
        |view| view.store_bytes as f64,
    ),
    (
        "headwater_view_parked_total",
        "counter",
        "Events that did not fit the schema, since the view began.",
        |view| view.parked as f64,
    ),
    (
        "headwater_view_held_up",
        "gauge",
        "1 where a view's table could not be written, and is tried again.",
        |view| f64::from(u8::from(view.held_up.is_some())),
    ),
    ("headwater_view_stopped", "gauge", "1 where a view stopped.", |view| {
        f64::from(u8::from(view.stopped.is_some()))
    }),
];

/// Views and versions of views that are being built.
const OF_BUILDS: [Family<(String, Build)>; 3] = [
    (
        "headwater_view_build_events",
        "gauge",
        "Events folded of those that the building of a view takes.",
        |(_, build)| build.folded as f64,
    ),
    (
        "headwater_view_build_events_expected",
        "gauge",
        "Events that the building of a view takes.",
        |(_, build)| build.events as f64,
    ),
    (
        "headwater_view_build_events_per_second",
        "gauge",
        "Events folded in a second while a view is built, over the last seconds.",
        |(_, build)| build.events_per_second.unwrap_or_default(),
    ),
];

/// How each pipeline stands.
const OF_PIPELINES: [Family<PipelineStatus>; 7] = [
    (
        "headwater_pipeline_lag_events",
        "gauge",
        "Events a pipeline has not taken yet.",
        |pipeline| pipeline.lag_events as f64,
    ),
    (
        "headwater_pipeline_lag_seconds",
        "gauge",
        "Age of the oldest event a pipeline has not taken yet.",
        |pipeline| pipeline.lag_seconds,
    ),
    (
        "headwater_pipeline_events_total",
        "counter",
        "Events taken, since the pipeline began.",
        |pipeline| pipeline.events as f64,
    ),
    (
        "headwater_pipeline_results_total",
        "counter",
        "Results appended, since the pipeline began.",
        |pipeline| pipeline.results as f64,
    ),
    (
        "headwater_pipeline_parked",
        "gauge",
        "Events that could not be taken, and were not replayed.",
        |pipeline| pipeline.parked as f64,
    ),
    (
        "headwater_pipeline_waiting",
        "gauge",
        "1 where a pipeline waits for a view or for room on the disk.",
        |pipeline| f64::from(u8::from(pipeline.waiting.is_some())),
    ),
    (
        "headwater_pipeline_stopped",
        "gauge",
        "1 where a pipeline stopped.",
        |pipeline| f64::from(u8::from(pipeline.stopped.is_some())),
    ),
];

/// The numbers of each of several things, which `label` and their name tell apart; of none, nothing.
fn expose<T>(text: &mut String, label: &str, things: &[T], name_of: fn(&T) -> &str, families: &[Family<T>]) {
    if things.is_empty() {
        return;
    }
    for (name, kind, help, number) in families {
        head(text, name, kind, help);
        for thing in things {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{name}{{{label}=\"{}\"}} {}",
                escape(name_of(thing)),
                number(thing)
            );
        }
    }
}

/// The numbers of what there is once.
fn expose_one<T>(text: &mut String, thing: &T, families: &[Family<T>]) {
    for (name, kind, help, number) in families {
        head(text, name, kind, help);
        let _ = writeln!(text, "{name} {}", number(thing));
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use headwater_records::Position;

    use super::*;

    #[test]
    fn every_number_has_help_and_type() {
        let log = LogMetrics {
            events: 3,
            bytes: 300,
            commits: 2,
            flush_us: 1_500,
            flush_us_max: 1_000,
        };
        let view = ViewStatus {
            name: "a\"b".into(),
            position: Position::new(),
            lag_events: 5,
            lag_seconds: 0.25,
            rows: 1,
            resident_bytes: 2,
            store_bytes: 3,
            lacking: 0,
            parked: 4,
            made_anew: None,
            building: None,
            held_up: None,
            left_out: None,
            stopped: None,
        };
        let source = MetricSource {
            name: "headwater_kafka_connections",
            help: "Open.",
            kind: "gauge",
            read: Arc::new(|| 7.0),
        };
        let pipeline = PipelineStatus {
            name: "p".into(),
            results: 8,
            waiting: Some("the disk is full".into()),
            ..PipelineStatus::default()
        };
        let build = Build {
            folded: 5,
            events: 9,
            events_per_second: None,
        };
        let writing = Writing {
            counted: log,
            stopped: false,
            full_us: Some(2_500_000),
            damaged: 3,
            clock_behind_us: 1_500_000,
        };
        let connections = Connections { open: 2, alone: 4 };
        let builds = [("v".into(), build)];
        let text = exposition(&writing, &[view], &builds, &[pipeline], &connections, &[source]);
        for line in [
            "headwater_log_events_total 3",
            "headwater_log_flush_seconds_total 0.0015",
            "headwater_log_stopped 0",
            "headwater_log_full 1",
            "headwater_log_full_seconds 2.5",
            "headwater_log_damaged_places 3",
            "headwater_clock_behind_seconds 1.5",
            "headwater_view_lag_seconds{view=\"a\\\"b\"} 0.25",
            "headwater_http_connections 2",
            "headwater_http_alone_total 4",
            "headwater_kafka_connections 7",
            "headwater_view_build_events_expected{view=\"v\"} 9",
            "headwater_pipeline_results_total{pipeline=\"p\"} 8",
            "headwater_pipeline_waiting{pipeline=\"p\"} 1",
            "# TYPE headwater_kafka_connections gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(
                text.contains(&format!("# HELP {name} ")) && text.contains(&format!("# TYPE {name} ")),
                "{name}"
            );
        }
    }
}
