//! Reading one row by its key: over HTTP beside Redis, and through a prepared statement beside PostgreSQL.

mod client;
mod http;
mod peer;
pub mod point_read;
mod postgres;
pub mod prepared;
mod redis;

use std::time::{Duration, Instant};

use anyhow::ensure;
use headwater_records::Event;

use self::client::Connection;
pub use self::client::Load;
use crate::produce::{self, Producer};
use crate::program::Program;

const EVENTS_PER_BATCH: u64 = 1000;
/// How long a view may take to fold what was appended.
const FOLD_MAX: Duration = Duration::from_secs(60);

/// Appends one event for each row to a stream of four partitions, and waits until its view answers the last ones of each.
async fn fill(
    running: &Program,
    stream: &str,
    rows: u64,
    event: impl Fn(u64) -> Event,
    address: impl Fn(u64) -> String,
) -> anyhow::Result<()> {
    running.wait_for(running.kafka).await?;
    let mut producer = Producer::connect(running.kafka).await?;
    for first in (0..rows).step_by(EVENTS_PER_BATCH as usize) {
        let events: Vec<_> = (first..rows.min(first + EVENTS_PER_BATCH)).map(&event).collect();
        let partition = (first / EVENTS_PER_BATCH % 4) as i32;
        producer.send(&produce::request(stream, partition, &events)).await?;
    }
    running.wait_for(running.http).await?;
    let mut connection = Connection::open(running.http).await?;
    for row in [0, rows / 2]
        .into_iter()
        .chain(rows.saturating_sub(4 * EVENTS_PER_BATCH)..rows)
    {
        let request = http::Get::request(&address(row));
        let begun = Instant::now();
        // The view is folded behind the acknowledgement.
        while let Err(error) = connection.exchange::<http::Get>(&request).await {
            ensure!(
                begun.elapsed() < FOLD_MAX,
                "{} is not there after {FOLD_MAX:?}: {error}",
                address(row)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            connection = Connection::open(running.http).await?;
        }
    }
    Ok(())
}
