//! GET by key over HTTP, against a bare axum handler that answers bytes of the same shape, in the same run.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use axum::Router;
use axum::http::header;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::figures::Figures;
use crate::produce::{self, BANK_SQL, Producer};
use crate::program::{Program, free_address};

const CONNECTIONS: u64 = 16;
const EVENTS_PER_BATCH: u64 = 1000;
const BARE_BODY: &str =
    r#"{"account":"account-77777","balance":123456.78,"entries":1,"updated_at":"2026-01-01T00:00:00Z"}"#;

/// Fills a view with `rows` accounts, then asks for random ones.
pub async fn run(program: &Path, scratch: &Path, seconds: u64, rows: u64) -> anyhow::Result<()> {
    let time = Duration::from_secs(seconds);
    let bare = bare_handler(time, rows).await?;
    bare.print(&format!("bare axum handler, {CONNECTIONS} connections"), None);

    let folder = tempfile::tempdir_in(scratch)?;
    let running = Program::spawn(program, folder.path(), BANK_SQL)?;
    running.wait_for(running.kafka).await?;
    let mut producer = Producer::connect(running.kafka).await?;
    for first in (0..rows).step_by(EVENTS_PER_BATCH as usize) {
        let events: Vec<_> = (first..rows.min(first + EVENTS_PER_BATCH))
            .map(|row| produce::deposit(row, row + 1))
            .collect();
        producer
            .send(&produce::request(
                "transactions",
                (first / EVENTS_PER_BATCH % 4) as i32,
                &events,
            ))
            .await?;
    }
    running.wait_for(running.http).await?;
    for row in [0, rows / 2, rows - 1] {
        wait_for_row(running.http, row).await?;
    }
    let figures = load(running.http, "/views/balances/account-", rows, time).await?;
    figures.print(
        &format!("GET /views/balances/KEY, {CONNECTIONS} connections"),
        Some(("the bare handler", bare.rate)),
    );
    Ok(())
}

/// The peer: axum alone, in a process of its own as the program is.
pub async fn serve_bare_handler(address: SocketAddr) -> anyhow::Result<()> {
    let answer = || async { ([(header::CONTENT_TYPE, "application/json")], BARE_BODY) };
    let router = Router::new().route("/views/balances/{key}", get(answer));
    axum::serve(tokio::net::TcpListener::bind(address).await?, router).await?;
    Ok(())
}

async fn bare_handler(time: Duration, rows: u64) -> anyhow::Result<Figures> {
    let address = free_address()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["bare-handler", &address.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .context("the bare handler does not start")?;
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() && begun.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let figures = load(address, "/views/balances/account-", rows, time).await;
    child.kill()?;
    child.wait()?;
    figures
}

/// The view is folded behind the acknowledgement: waits until a row of the end is there.
async fn wait_for_row(address: SocketAddr, row: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let mut connection = Connection::open(address).await?;
        match connection.get(&format!("/views/balances/account-{row}")).await {
            Ok(()) => return Ok(()),
            Err(error) if begun.elapsed() > Duration::from_secs(30) => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn load(address: SocketAddr, path: &'static str, rows: u64, time: Duration) -> anyhow::Result<Figures> {
    let mut tasks = Vec::new();
    let begun = Instant::now();
    for client in 0..CONNECTIONS {
        let mut connection = Connection::open(address).await?;
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut row = client * 7919;
            while begun.elapsed() < time {
                // A full-period step through the rows (Knuth, TAOCP 3.2.1): every key, no pattern that a cache likes.
                row = (row
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407))
                    >> 1;
                let one = Instant::now();
                connection.get(&format!("{path}{}", row % rows)).await?;
                latencies.push(one.elapsed());
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(Figures::of(latencies, begun.elapsed()))
}

/// One kept-alive HTTP connection.
struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            answer: Vec::new(),
        })
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<()> {
        self.stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: benchmark\r\n\r\n").as_bytes())
            .await?;
        self.answer.clear();
        let body_at = loop {
            ensure!(
                self.stream.read_buf(&mut self.answer).await? > 0,
                "the connection was closed"
            );
            if let Some(at) = self.answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = String::from_utf8_lossy(&self.answer[..body_at]).to_ascii_lowercase();
        ensure!(
            head.starts_with("http/1.1 200"),
            "answered {}",
            head.lines().next().unwrap_or_default()
        );
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("the answer says its length")?.trim().parse()?;
        while self.answer.len() < body_at + length {
            ensure!(
                self.stream.read_buf(&mut self.answer).await? > 0,
                "the connection was closed"
            );
        }
        Ok(())
    }
}
