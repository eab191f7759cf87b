//! Redis as a peer: the server with nothing but its memory, and its protocol's GET and SET.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::client::{Answer, Ask, Connection};
use super::peer::Peer;
use crate::program::free_address;

/// Keys that are this and a number.
#[derive(Debug, Clone, Copy)]
pub struct Get(pub &'static str);

impl Ask for Get {
    fn ask(&self, row: u64, request: &mut Vec<u8>) {
        let row = row.to_string();
        let length = self.0.len() + row.len();
        request.extend_from_slice(format!("*2\r\n$3\r\nGET\r\n${length}\r\n{}{row}\r\n", self.0).as_bytes());
    }
}

impl Answer for Get {
    fn length(answer: &[u8]) -> anyhow::Result<Option<usize>> {
        let Some(end) = answer.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let line = std::str::from_utf8(&answer[..end])?.trim_end();
        let length = line.strip_prefix('$').with_context(|| format!("answered {line}"))?;
        ensure!(length != "-1", "there is no such key");
        Ok(Some(end + 1 + length.parse::<usize>()? + 2))
    }
}

/// A key was given its value.
struct Set;

impl Answer for Set {
    fn length(answer: &[u8]) -> anyhow::Result<Option<usize>> {
        ensure!(answer.starts_with(b"+"), "answered {}", String::from_utf8_lossy(answer));
        Ok(answer.ends_with(b"\n").then_some(answer.len()))
    }
}

/// Starts Redis without persistence; `None` where it is not installed.
pub fn start(program: &str) -> anyhow::Result<Option<Peer>> {
    let at = free_address()?;
    let child = Command::new(program)
        .args(["--bind", "127.0.0.1", "--port", &at.port().to_string()])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    match child {
        Ok(child) => Ok(Some(Peer::new(child, at))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("redis-server does not start"),
    }
}

/// Gives every key its value.
pub async fn fill(at: SocketAddr, prefix: &str, rows: u64, value: &[u8]) -> anyhow::Result<()> {
    let mut connection = Connection::open(at).await?;
    for row in 0..rows {
        let key = format!("{prefix}{row}");
        let mut request = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n", key.len(), value.len()).into_bytes();
        request.extend_from_slice(value);
        request.extend_from_slice(b"\r\n");
        connection.exchange::<Set>(&request).await?;
    }
    Ok(())
}
