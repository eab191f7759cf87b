//! The measured program as a child process.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::machine::Process;

/// A running `headwater run`, ended when dropped.
pub struct Program {
    child: Child,
    pub kafka: SocketAddr,
    pub postgres: SocketAddr,
    pub http: SocketAddr,
}

impl Program {
    /// Starts the application in `folder/app.sql` with its data in `folder/data`; does not wait.
    pub fn spawn(program: &Path, folder: &Path, application: &str) -> anyhow::Result<Program> {
        let path = folder.join("app.sql");
        std::fs::write(&path, application)?;
        let [kafka, postgres, http] = [free_address()?, free_address()?, free_address()?];
        let child = Command::new(program)
            .arg("run")
            .arg(&path)
            .arg("--data")
            .arg(folder.join("data"))
            .args(["--kafka", &kafka.to_string()])
            .args(["--postgres", &postgres.to_string()])
            .args(["--http", &http.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| {
                format!(
                    "{} does not start; build it with cargo build --release",
                    program.display()
                )
            })?;
        Ok(Program {
            child,
            kafka,
            postgres,
            http,
        })
    }

    /// Waits until the door at `address` takes connections.
    pub async fn wait_for(&self, address: SocketAddr) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        bail!("the door at {address} did not open within 30 s")
    }

    /// As the kernel knows it.
    pub fn process(&self) -> Process {
        Process::of(self.child.id())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that was free a moment ago.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
