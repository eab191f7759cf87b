//! How does a PostgreSQL client or BI tool ask?

mod options;

use std::io;

use headwater_sql::Engine;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use options::{PostgresOptions, SERVER_VERSION};

/// Answers connections until `shutdown` turns true.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    options: PostgresOptions,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let _ = (listener, engine, options, shutdown);
    todo!()
}
