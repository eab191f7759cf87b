//! Apache Kafka as a child process: one node that is broker and controller.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use super::Broker;
use crate::program::free_address;

pub fn spawn(jars: &Path, folder: tempfile::TempDir, flushed: bool) -> anyhow::Result<Broker> {
    let [address, controller] = [free_address()?, free_address()?];
    let flush = if flushed { "log.flush.interval.messages=1\n" } else { "" };
    let properties = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.bootstrap.servers={controller}\n\
         listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
         inter.broker.listener.name=PLAINTEXT\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         log.segment.delete.delay.ms=1000\n\
         {flush}",
        folder.path().join("data").display()
    );
    let path = folder.path().join("server.properties");
    std::fs::write(&path, properties)?;
    let formatted = java(jars)
        .args(["kafka.tools.StorageTool", "format", "--standalone"])
        .args(["-t", "4L6g3nShT-eMCtK--X86sw", "-c"])
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("java does not start")?;
    ensure!(formatted.success(), "Kafka's data folder was not formatted");
    let started = Instant::now();
    let child = java(jars)
        .args(["-Xms1G", "-Xmx1G", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"])
        .arg("kafka.Kafka")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("java does not start")?;
    Ok(Broker {
        child,
        address,
        started,
        folder,
    })
}

fn java(jars: &Path) -> Command {
    let mut command = Command::new("java");
    command.arg("-cp").arg(jars.join("*"));
    command
}
