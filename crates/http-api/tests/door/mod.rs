//! A door over real pieces in a scratch folder, and requests as bytes.

use std::time::Duration;

use headwater_catalog::Catalog;
use headwater_commands::{Commands, CommandsOptions};
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_http_api::{HttpOptions, HttpState, serve};
use headwater_schedules::{Schedules, SchedulesOptions};
use headwater_sql::{Engine, EngineOptions};
use headwater_views::{ViewOptions, Views};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

/// An open door.
pub struct Door {
    pub port: u16,
    pub shutdown: watch::Sender<bool>,
    pub serving: JoinHandle<()>,
    pub engine: Engine,
    _folder: TempDir,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl Door {
    pub async fn open(change: impl FnOnce(&mut HttpOptions)) -> Door {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().to_owned();
        let (engine, commands) = spawn_blocking(move || {
            let (log, _) =
                EventLog::open(Host::real(), &path.join("log"), LogOptions::default()).expect("the log opens");
            let catalog = Catalog::open(log.clone()).expect("the catalog opens");
            let options = ViewOptions {
                flush_bytes: 1 << 20,
                flush_ms: 200,
                memory_bytes_max: 1 << 24,
                snapshot_events: 4,
                ..ViewOptions::default()
            };
            let views = Views::open(log.clone(), catalog.clone(), &path.join("views"), options);
            let options = EngineOptions {
                memory_bytes_max: 1 << 28,
                partitions_default: 2,
                wait_max: Duration::from_secs(120),
                ..EngineOptions::default()
            };
            let engine = Engine::new(log.clone(), catalog, views, options);
            let schedules = Schedules::open(log, SchedulesOptions::default()).expect("the schedules open");
            engine.set_schedules(schedules);
            let options = CommandsOptions {
                decide_max: Duration::from_secs(120),
                idempotency_ttl: Duration::from_secs(60),
                ..CommandsOptions::default()
            };
            let commands = Commands::open(engine.clone(), Handle::current(), options).expect("the commands open");
            (engine, commands)
        })
        .await
        .expect("the pieces open");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let mut options = HttpOptions::default();
        change(&mut options);
        let state = HttpState {
            engine: engine.clone(),
            commands,
            questions: Handle::current(),
            metrics: Vec::new(),
        };
        let (shutdown, stopping) = watch::channel(false);
        let serving = serve(listener, state, options, stopping);
        let serving = tokio::spawn(async move { serving.await.expect("the door serves") });
        Door {
            port,
            shutdown,
            serving,
            engine,
            _folder: folder,
        }
    }

    /// Sends bytes and reads what comes until the connection ends.
    pub async fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        // The door may refuse, and close, before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        let body = match head.contains("transfer-encoding: chunked") {
            true => unchunk(body),
            false => body.to_owned(),
        };
        Answer {
            status,
            head: head.to_owned(),
            body,
        }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port))
            .await
            .expect("the door is open")
    }

    /// One request; headers as `name: value` lines.
    pub async fn request(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        self.send(format!("{head}\r\n{body}").as_bytes()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "").await
    }

    /// Statements, one request for each line that ends with `;`.
    pub async fn sql(&self, text: &str) -> Answer {
        let answer = self.request("POST", "/sql", &["Content-Type: text/plain"], text).await;
        assert_eq!(answer.status, 200, "{text}: {answer:?}");
        answer
    }

    /// Stops everything, so that the folder can go.
    pub async fn close(self) {
        self.shutdown.send_replace(true);
        self.serving.await.expect("the door stops");
        let engine = self.engine;
        spawn_blocking(move || {
            engine.views().close();
            engine.log().close();
        })
        .await
        .expect("the pieces close");
    }
}

/// Status, the problem's code (or nothing) and a part of the body.
pub async fn check(door: &Door, method: &str, path: &str, headers: &[&str], body: &str, expected: (u16, &str, &str)) {
    let answer = door.request(method, path, headers, body).await;
    let code = match answer.header("content-type") {
        Some("application/problem+json") => {
            let problem = answer.json();
            assert_eq!(problem["status"], answer.status, "{answer:?}");
            let class = problem["type"].as_str().unwrap_or_default();
            assert!(class.starts_with("urn:headwater:problem:"), "{answer:?}");
            problem["code"].as_str().unwrap_or("?").to_owned()
        }
        _ => String::new(),
    };
    assert_eq!(
        (answer.status, code.as_str()),
        (expected.0, expected.1),
        "{method} {path}: {answer:?}"
    );
    assert!(answer.body.contains(expected.2), "{method} {path}: {answer:?}");
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).expect("a chunk's length");
        if length == 0 {
            break;
        }
        whole.push_str(&rest[..length]);
        body = &rest[length + 2..];
    }
    whole
}
