//! A server that was started to be measured against; it is ended when it is dropped.

use std::net::SocketAddr;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::machine::Process;

/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(30);

pub struct Peer {
    child: Child,
    pub at: SocketAddr,
}

impl Peer {
    pub fn new(child: Child, at: SocketAddr) -> Peer {
        Peer { child, at }
    }

    pub fn process(&self) -> Process {
        Process::of(self.child.id())
    }

    /// Waits until it takes connections.
    pub async fn listens(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(self.at).await.is_err() {
            ensure!(
                begun.elapsed() < START_MAX,
                "nobody listens at {} after {START_MAX:?}",
                self.at
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
