//! How does a PostgreSQL client or BI tool ask?
//!
//! A statement's way: `wire/input` reads a message inside of its bounds, `session` answers it (`simple` for a text of statements, `extended` for
//! prepared ones, `copy` for rows as data), `session/run` asks the engine on the questions' runtime, `values` brings Arrow into PostgreSQL's forms, `wire/output`
//! sends it.
//!
//! Invariants
//! - No byte from a client reaches a panic, an unbounded allocation or an unbounded loop.
//! - Rows leave as they come: never more than a few batches of an answer are in memory.
//! - Every INSERT, CALL and definition is a durable step of its own, also inside of a transaction block, and a ROLLBACK that comes after one says so.

mod cancel;
mod copy;
mod options;
mod report;
mod session;
mod values;
mod wire;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use headwater_sql::Engine;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use options::{PostgresOptions, SERVER_VERSION};

/// How long open connections may take to say goodbye when the program stops.
const FAREWELL_MAX: Duration = Duration::from_millis(700);

/// How long the door waits after it could not accept a connection (out of file descriptors, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection that is refused may take to say what it wants.
const REFUSAL_MAX: Duration = Duration::from_secs(1);

/// How many connections are told at once that they are refused; any more are closed without a word.
const REFUSALS_MAX: usize = 100;

/// Answers connections until `shutdown` turns true.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    options: PostgresOptions,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let sessions = cancel::Sessions::default();
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = shutdown.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("a PostgreSQL connection was not accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let place = Place::take(&options.connections);
        let open = place.0.load(Ordering::Relaxed);
        if open > options.connections_max.saturating_add(REFUSALS_MAX) {
            // Not even room to say why.
            continue;
        }
        if open > options.connections_max {
            connections.spawn(refuse(stream, options.connections_max, sessions.clone(), place));
            continue;
        }
        let connection = session::serve(
            stream,
            engine.clone(),
            options.clone(),
            sessions.clone(),
            shutdown.clone(),
        );
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a PostgreSQL connection ended: {error}");
            }
            drop(place);
        });
    }
    drop(listener);
    let farewell = async { while connections.join_next().await.is_some() {} };
    if timeout(FAREWELL_MAX, farewell).await.is_err() {
        connections.abort_all();
    }
    Ok(())
}

/// A connection's place in the count of open ones.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(count: &Arc<AtomicUsize>) -> Place {
        count.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(count))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says that there are too many connections already, to who says in time what it wants. Who wants to cancel a question is heard.
async fn refuse(stream: TcpStream, max: usize, sessions: cancel::Sessions, place: Place) {
    let text = format!("there are {max} connections already, and no more are taken");
    let why = report::fatal(report::TOO_MANY_CONNECTIONS, text);
    if let Ok(Err(error)) = timeout(REFUSAL_MAX, session::turn_away(stream, &sessions, &why)).await {
        tracing::debug!("a refused PostgreSQL connection ended: {error}");
    }
    drop(place);
}
