//! Headwater as a child process: its Kafka door alone (`kafka_door`), or the whole program.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;

use super::Broker;

pub fn spawn(program: &Path, folder: tempfile::TempDir) -> anyhow::Result<Broker> {
    let data = folder.path().join("data");
    let mut command = Command::new(program);
    if program.file_name().is_some_and(|name| name == "kafka_door") {
        command.arg("127.0.0.1:0").arg(data);
    } else {
        let application = folder.path().join("app.sql");
        std::fs::write(&application, "")?;
        command.arg("run").arg(application).arg("--data").arg(data);
        command.args(["--kafka", "127.0.0.1:0", "--postgres", "none", "--http", "none"]);
    }
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| {
            format!(
                "{} does not start; build it with cargo build --release -p headwater-benchmarks",
                program.display()
            )
        })?;
    let mut lines = BufReader::new(child.stdout.take().context("its output is read")?).lines();
    let address = loop {
        let line = lines.next().context("the broker ended before it said its address")??;
        if let Some(address) = line.strip_prefix("kafka ") {
            break address.parse()?;
        }
    };
    Ok(Broker {
        child,
        address,
        started,
        folder,
    })
}
