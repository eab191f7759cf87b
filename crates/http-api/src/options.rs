//! What this door stands on, and its bounds. Their reasons stand at the fields; a program sets `hosts`, tests set the others.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use headwater_commands::Commands;
use headwater_sql::Engine;
use tokio::runtime::Handle;

/// What the HTTP door stands on.
#[derive(Clone)]
pub struct HttpState {
    /// Answers questions; knows the log, the catalog and the views.
    pub engine: Engine,
    /// Decides commands.
    pub commands: Commands,
    /// The runtime that questions run on, so that a long scan never delays an append.
    pub questions: Handle,
    /// What else `/metrics` shows: numbers of the other doors.
    pub metrics: Vec<MetricSource>,
}

/// One number for `/metrics` that this door does not know itself.
#[derive(Clone)]
pub struct MetricSource {
    /// The name, `headwater_kafka_connections` for example.
    pub name: &'static str,
    /// What it counts, for `# HELP`.
    pub help: &'static str,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// The number now.
    pub read: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl fmt::Debug for MetricSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricSource")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// How this door is bounded.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// The most connections at once; the next ones wait to be accepted. Each has a descriptor, of which a process has some thousands.
    pub connections_max: usize,
    /// The largest body taken, in bytes; a larger one is refused with 413. It is in memory whole.
    pub body_bytes_max: usize,
    /// A page of events, of a view's rows or of a row's lineage ends early at this many bytes, however many were asked for: it is in memory whole, once
    /// for each request. One at least is on it.
    pub page_bytes_max: usize,
    /// How long a request may take before it is answered with 504. Tails of a stream are not bounded by it.
    pub request_max: Duration,
    /// How long a connection may take to send the head of a request: whoever sends none gives its place to others.
    pub head_max: Duration,
    /// A request that comes within this after the answer before it comes from a client that had nothing else to do: where nobody else asks, it gets a
    /// thread for itself. The time that the runtime takes to wake is in it.
    pub soon_max: Duration,
    /// How long a read waits for a view (`Headwater-After`) unless it says otherwise.
    pub wait_default: Duration,
    /// How often a silent tail sends a comment, so that proxies keep it open.
    pub heartbeat: Duration,
    /// The names, beside `localhost` and addresses, by which a connection to a loopback address may ask: others are refused with 421.
    pub hosts: Arc<[String]>,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            connections_max: 1000,
            body_bytes_max: 16 * 1024 * 1024,
            page_bytes_max: 8 * 1024 * 1024,
            request_max: Duration::from_secs(30),
            head_max: Duration::from_secs(10),
            soon_max: Duration::from_micros(250),
            wait_default: Duration::from_secs(5),
            heartbeat: Duration::from_secs(10),
            hosts: Arc::default(),
        }
    }
}
