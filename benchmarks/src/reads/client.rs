//! One client for every server that answers one request after another: what is sent, and when the answer is whole, is all that differs.
//!
//! All connections are on one thread, so that the server has the other core: a client that takes two would measure itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::figures::Figures;
use crate::machine::{Process, Spent, Watch};

/// How the answers of a server are told apart.
pub trait Answer {
    /// The length of the answer that begins here, once enough of it is there to know; an error where it is not what was asked for.
    fn length(answer: &[u8]) -> anyhow::Result<Option<usize>>;
}

/// How a server is asked for a row.
pub trait Ask: Answer + Copy + 'static {
    /// Writes the request.
    fn ask(&self, row: u64, request: &mut Vec<u8>);
}

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub connections: u64,
    pub rows: u64,
    pub time: Duration,
}

/// What came of it.
pub struct Measured {
    pub figures: Figures,
    pub spent: Spent,
}

impl Load {
    /// Asks a server for random rows, each connection one after another.
    pub async fn run(self, at: SocketAddr, server: Process, ask: impl Ask + Send) -> anyhow::Result<Measured> {
        let watch = Watch::begin(server)?;
        let thread = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(self.all(at, ask))
        });
        let figures = thread.await??;
        let spent = watch.end()?;
        Ok(Measured { figures, spent })
    }

    async fn all(self, at: SocketAddr, ask: impl Ask) -> anyhow::Result<Figures> {
        let mut connections: Vec<Connection> = Vec::new();
        for _ in 0..self.connections {
            connections.push(Connection::open(at).await?);
        }
        let begun = Instant::now();
        let tasks = tokio::task::LocalSet::new();
        let mut asking = Vec::new();
        for (client, connection) in (0..).zip(connections) {
            asking.push(tasks.spawn_local(self.one(connection, client, begun, ask)));
        }
        tasks.await;
        let mut latencies: Vec<Duration> = Vec::new();
        for asked in asking {
            latencies.extend(asked.await??);
        }
        Ok(Figures::of(latencies, begun.elapsed()))
    }

    async fn one<A: Ask>(
        self,
        mut connection: Connection,
        client: u64,
        begun: Instant,
        ask: A,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut latencies: Vec<Duration> = Vec::new();
        let mut request: Vec<u8> = Vec::new();
        let mut row = client * 7919;
        let mut one = begun;
        while one.duration_since(begun) < self.time {
            // A full-period step through the rows (Knuth, TAOCP 3.2.1): every key, no pattern that a cache likes.
            row = row
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            request.clear();
            ask.ask((row >> 17) % self.rows, &mut request);
            connection.exchange::<A>(&request).await?;
            let now = Instant::now();
            latencies.push(now.duration_since(one));
            one = now;
        }
        Ok(latencies)
    }
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub async fn open(at: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(at)
            .await
            .with_context(|| format!("nobody listens at {at}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            answer: Vec::new(),
        })
    }

    /// Sends a request and reads its answer.
    pub async fn exchange<A: Answer>(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await?;
            ensure!(read > 0, "the connection was closed");
            if A::length(&self.answer)?.is_some_and(|length| self.answer.len() >= length) {
                return Ok(());
            }
        }
    }
}

impl Measured {
    /// Prints a line, and how the server's processor time was spent; `base` is the named peer of the same run.
    pub fn print(&self, what: &str, base: Option<(&str, &Measured)>) {
        self.figures
            .print(what, base.map(|(name, base)| (name, base.figures.rate)));
        println!(
            "{:<44} {:>10.1} µs of the server's processor time for each, {:.1} µs of the client's; the machine {:.0} % busy",
            "",
            self.each(self.spent.broker),
            self.each(self.spent.client),
            self.spent.busy * 100.0,
        );
    }

    fn each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / (self.figures.rate * self.spent.wall.as_secs_f64())
    }
}
