//! The built program as a child process, and the clients that the tests ask it with.
//!
//! Every test file uses a part of this.
#![expect(
    dead_code,
    reason = "each test file is a crate of its own and uses a part of this harness"
)]

pub mod dice;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// How long the program may take to open its doors, a debug build on a busy machine included.
const START_MAX: Duration = Duration::from_secs(180);

/// How long something may take to come by itself.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect(what);
}

/// A running `headwater run`. Killed (as by `kill -9`) when dropped.
pub struct Program {
    child: Child,
    pub kafka: SocketAddr,
    pub postgres: SocketAddr,
    pub http: SocketAddr,
}

/// The program, without the variables that are meant for the tests and are none of its settings.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEADWATER_") {
            command.env_remove(name);
        }
    }
    command
}

impl Program {
    /// Starts the application on free ports, at an address of its own: nobody is given them while it is down.
    pub fn start(application: &Path, data: &Path) -> Program {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        let [.., high, low] = std::process::id().to_be_bytes();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let free = SocketAddr::from(([127, high, low, number], 0));
        Program::start_at(application, data, [free; 3])
    }

    /// Starts the application at these addresses: Kafka, PostgreSQL, HTTP.
    pub fn start_at(application: &Path, data: &Path, doors: [SocketAddr; 3]) -> Program {
        let [kafka, postgres, http] = doors.map(|address| address.to_string());
        let mut child = command()
            .arg("run")
            .arg(application)
            .arg("--data")
            .arg(data)
            .args(["--kafka", &kafka, "--postgres", &postgres, "--http", &http])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("standard output is piped");
        let (lines_in, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens once the doors are known; the pipe is still read so that the program never blocks on it.
                let _ = lines_in.send(line);
            }
        });
        let mut found: [Option<SocketAddr>; 3] = [None; 3];
        loop {
            let line = lines
                .recv_timeout(START_MAX)
                .expect("the program says where its doors are and that it is ready");
            for (door, name) in found.iter_mut().zip(["kafka ", "postgres ", "http "]) {
                if let Some(address) = line.strip_prefix(name) {
                    *door = Some(address.trim().parse().expect("a door's line is an address"));
                }
            }
            if line.starts_with("ready") {
                break;
            }
        }
        let [Some(kafka), Some(postgres), Some(http)] = found else {
            panic!("a door's line is missing: {found:?}")
        };
        Program {
            child,
            kafka,
            postgres,
            http,
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its doors are: Kafka, PostgreSQL, HTTP.
    pub fn doors(&self) -> [SocketAddr; 3] {
        [self.kafka, self.postgres, self.http]
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().expect("the program can be killed");
        self.child.wait().expect("the program ends");
    }

    /// Stops it for a while, as a machine does that sleeps.
    pub fn stand_still(&self, time: Duration) {
        let id = self.child.id().to_string();
        for signal in ["-STOP", "-CONT"] {
            let told = Command::new("kill").args([signal, &id]).status();
            assert!(told.expect("kill(1) starts").success(), "the program hears {signal}");
            if signal == "-STOP" {
                std::thread::sleep(time);
            }
        }
    }

    /// Asks it to stop as a service manager does (SIGTERM): how it ended, and how long that took.
    pub fn terminate(mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let id = self.child.id().to_string();
        let told = Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .expect("kill(1) starts");
        assert!(told.success(), "the program is told to stop");
        (self.child.wait().expect("the program ends"), began.elapsed())
    }

    /// Runs statements through the PostgreSQL door; rows of texts.
    pub async fn sql(&self, statements: &str) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&as_config(self.postgres), NoTls).await?;
        let connection = tokio::spawn(connection);
        let messages = client.simple_query(statements).await;
        drop(client);
        connection.await.expect("the connection's task ends")?;
        let mut rows: Vec<Vec<Option<String>>> = Vec::new();
        for message in messages? {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push(
                    (0..row.len())
                        .map(|column| row.get(column).map(str::to_owned))
                        .collect(),
                );
            }
        }
        Ok(rows)
    }

    /// The first column of the first row, as a number.
    pub async fn number(&self, question: &str) -> i64 {
        let rows = self.sql(question).await.expect("the question is answered");
        rows[0][0].as_deref().expect("a value").parse().expect("a number")
    }

    /// Asks until the first column of the first row is this number.
    pub async fn until_number(&self, question: &str, expected: i64) {
        until(question, async || self.number(question).await == expected).await;
    }

    /// One HTTP request on a connection of its own: status and body.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).expect("the HTTP door is open");
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).expect("the request is sent");
        stream.write_all(body).expect("the body is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the answer comes");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("a status");
        let body = match head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            true => unchunk(body),
            false => body.to_owned(),
        };
        (status, body)
    }

    /// A librdkafka client's configuration for this program.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka.to_string());
        config
    }
}

/// How a PostgreSQL client is told to come in by this door.
pub fn as_config(postgres: SocketAddr) -> String {
    format!("host={} port={} user=test dbname=test", postgres.ip(), postgres.port())
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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

/// One line of the real bank's ledger.
#[derive(Debug, Clone)]
pub struct Entry {
    pub seq: u64,
    pub account: String,
    pub date: String,
    pub json: String,
    pub balance_printed: f64,
}

/// The folder of data that is shared between projects and never shipped, where it is there.
pub fn shared_data() -> Option<PathBuf> {
    let folder = match std::env::var_os("HEADWATER_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let data = folder.join("data");
    data.is_dir().then_some(data)
}

/// The bank's ledger, entry by entry; `None`, with a line that says so, where the file is not there.
pub fn ledger() -> Option<Vec<Entry>> {
    let Some(path) = shared_data()
        .map(|data| data.join("bank/ledger.csv.gz"))
        .filter(|path| path.is_file())
    else {
        eprintln!(
            "SKIPPED: the bank's ledger is not on this machine (set HEADWATER_SHARED to the folder that holds data/bank)"
        );
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(path).expect("the ledger opens"))
        .read_to_string(&mut text)
        .expect("the ledger is readable");
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [seq, account, date, kind, operation, amount, balance, symbol] = fields[..] else {
            panic!("eight fields in {line}");
        };
        let json = format!(
            r#"{{"seq":{seq},"account":"{account}","booked_on":"{date}","kind":"{kind}","operation":"{operation}","amount":{amount},"balance_printed":{balance},"symbol":"{symbol}"}}"#
        );
        entries.push(Entry {
            seq: seq.parse().expect("a number"),
            account: account.to_owned(),
            date: date.to_owned(),
            json,
            balance_printed: balance.parse().expect("a number"),
        });
    }
    Some(entries)
}

/// The application that the ledger is loaded into.
pub const LEDGER_SQL: &str = "\
CREATE STREAM IF NOT EXISTS ledger (
  seq             BIGINT NOT NULL,
  account         TEXT NOT NULL,
  booked_on       DATE NOT NULL,
  kind            TEXT NOT NULL,
  operation       TEXT,
  amount          DECIMAL(18,2) NOT NULL,
  balance_printed DECIMAL(18,2) NOT NULL,
  symbol          TEXT
) KEY (account) TIME (booked_on) WITH (partitions = 4);

CREATE MATERIALIZED VIEW IF NOT EXISTS balances STORED AS document AS
SELECT account, sum(amount) AS balance, count(*) AS entries, max(booked_on) AS last_booked_on
FROM ledger GROUP BY account;
";

/// Writes an application of one file into a folder.
pub fn application(folder: &Path, sql: &str) -> PathBuf {
    let path = folder.join("app.sql");
    fs::write(&path, sql).expect("the application is written");
    path
}
