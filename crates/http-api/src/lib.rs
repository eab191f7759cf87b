//! How does a service or a browser append, command, query, watch, administer?

mod options;

use std::io;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use options::{HttpOptions, HttpState, MetricSource};

/// Answers requests until `shutdown` turns true; open requests are finished, tails are closed.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    options: HttpOptions,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let _ = (listener, state, options, shutdown);
    todo!()
}
