//! The brokers that are measured, each as a child process: Headwater, and Apache Kafka as it comes and with a flush for every append.

mod headwater;
mod kafka;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::client::Connection;
use crate::machine::Process;

/// Which broker, and how it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Kind {
    /// Headwater, which flushes before it acknowledges.
    Headwater,
    /// Apache Kafka as it comes: it acknowledges from memory.
    Kafka,
    /// Apache Kafka with `flush.messages=1`: it flushes before it acknowledges.
    KafkaFlushed,
}

impl Kind {
    /// Every kind, in the order in which they are measured.
    pub const ALL: [Kind; 3] = [Kind::Headwater, Kind::Kafka, Kind::KafkaFlushed];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Headwater => "Headwater",
            Kind::Kafka => "Kafka",
            Kind::KafkaFlushed => "Kafka, flushed",
        }
    }
}

/// Where the brokers are found.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Headwater's Kafka door, or the whole program.
    pub headwater: PathBuf,
    /// The folder of Apache Kafka's jars; `None`: it is not to be had here.
    pub kafka_jars: Option<PathBuf>,
    /// Where data folders are made.
    pub scratch: PathBuf,
}

/// A running broker; it is ended, and its data removed, when this is dropped.
pub struct Broker {
    child: Child,
    pub address: SocketAddr,
    pub started: Instant,
    folder: tempfile::TempDir,
}

impl Programs {
    /// The kinds among `asked` that can be started here; says which cannot.
    pub fn there(&self, asked: &[Kind]) -> Vec<Kind> {
        let asked = if asked.is_empty() { &Kind::ALL } else { asked };
        let mut there: Vec<Kind> = Vec::new();
        for kind in asked {
            if *kind != Kind::Headwater && self.kafka_jars.is_none() {
                println!(
                    "SKIPPED {}: its jars are not there (benchmarks/kafka_jars)",
                    kind.name()
                );
            } else {
                there.push(*kind);
            }
        }
        there
    }

    /// Starts a broker on an empty folder; does not wait for it.
    pub fn spawn(&self, kind: Kind) -> anyhow::Result<Broker> {
        let folder = tempfile::tempdir_in(&self.scratch)?;
        match kind {
            Kind::Headwater => headwater::spawn(&self.headwater, folder),
            Kind::Kafka | Kind::KafkaFlushed => {
                let jars = self.kafka_jars.as_deref().context("Kafka's jars are there")?;
                kafka::spawn(jars, folder, kind == Kind::KafkaFlushed)
            }
        }
    }

    /// Starts a broker and waits until it answers.
    pub fn start(&self, kind: Kind) -> anyhow::Result<Broker> {
        let broker = self.spawn(kind)?;
        broker.wait()?;
        Ok(broker)
    }
}

impl Broker {
    /// Waits until it answers requests.
    pub fn wait(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if let Ok(mut connection) = Connection::open(self.address)
                && connection.create_topic("ready", 1).is_ok()
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        bail!("the broker at {} did not answer within 60 s", self.address)
    }

    /// Its process, as the kernel counts it.
    pub fn process(&self) -> Process {
        Process::of(self.child.id())
    }

    /// Where its data is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
