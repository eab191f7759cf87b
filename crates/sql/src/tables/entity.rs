//! The events of some keys of a stream as a table, found by the stream's entity index.
//!
//! Invariants
//! - It gives what a scan of the stream gives for these keys, in whichever partitions their events lie, in the order of appending key by key.
//! - Where the index does not answer (it is being built) the stream is scanned; the filter above the scan stays.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use headwater_eventlog::{Direction, EntityPage, StoredBatch};
use headwater_records::{Address, Version};
use tokio::sync::mpsc::Sender;

use super::keys::texts;
use super::node::Read;
use super::stream::Source;
use crate::SqlError;
use crate::limits::{SCAN_BATCHES_WAITING, SCAN_EVENTS};

/// The column that shows an event's key.
const KEY_COLUMN: &str = "_key";

/// Before a key that is no text, `_key` shows its bytes in hexadecimal behind this.
const HEX_PREFIX: &str = "\\x";

/// One read of the events of some keys.
#[derive(Clone)]
pub(super) struct EntityScan {
    pub(super) source: Arc<Source>,
    pub(super) keys: BTreeSet<String>,
    pub(super) projection: Option<Vec<usize>>,
}

impl Source {
    /// The keys whose events a filter asks for, where an index finds them; `None` where it may ask for others.
    pub(super) fn keys(&self, filter: &Expr) -> Option<BTreeSet<String>> {
        let keys: BTreeSet<String> = texts(filter, KEY_COLUMN)?.into_iter().collect();
        // Such a text may stand for other bytes than its own.
        let is_exact = keys.iter().all(|key| !key.starts_with(HEX_PREFIX));
        let is_indexed = self.log.stream(&self.name)?.settings.is_indexed();
        (is_exact && is_indexed).then_some(keys)
    }
}

impl Read for EntityScan {
    const NAME: &'static str = "EntityScan";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("'{key}'")).collect();
        write!(f, "stream={}, keys=[{}]", self.source.name, keys.join(", "))?;
        write!(f, ", up to={}", self.source.end)
    }

    fn rows(
        &self,
        _partition: usize,
        schema: SchemaRef,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let mut rows = RecordBatchReceiverStreamBuilder::new(schema, SCAN_BATCHES_WAITING);
        let reading = Reading {
            source: Arc::clone(&self.source),
            projection: self.projection.clone(),
            send: rows.tx(),
        };
        let keys = self.keys.clone();
        // The log reads and the decoder works without yielding: not on the runtime's own threads.
        rows.spawn_blocking(move || reading.run(keys));
        Ok(rows.build())
    }
}

/// A read under way.
struct Reading {
    source: Arc<Source>,
    projection: Option<Vec<usize>>,
    send: Sender<Result<RecordBatch>>,
}

impl Reading {
    fn run(&self, keys: BTreeSet<String>) -> Result<()> {
        for (number, key) in keys.iter().enumerate() {
            let mut from: Option<Version> = None;
            loop {
                let source = &self.source;
                let page = source
                    .log
                    .entity(&source.name, key.as_bytes(), from, SCAN_EVENTS, Direction::Forward);
                let page = match page {
                    Ok(page) => page,
                    Err(error) if number == 0 && from.is_none() => {
                        tracing::debug!(stream = %source.name, "scanned, since its entity index does not answer: {error}");
                        return self.scan();
                    }
                    Err(error) => return Err(SqlError::new(crate::SqlState::IO, error.to_string()).into()),
                };
                if !self.give(&page)? {
                    return Ok(());
                }
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Hands over the events of a page that the question sees; `false` where nobody waits for more.
    fn give(&self, page: &EntityPage) -> Result<bool> {
        let mut stored: Option<(u32, StoredBatch)> = None;
        for event in &page.events {
            let Address { partition, offset, .. } = event.address;
            let source = &self.source;
            let span = source.from.get(&source.name, partition)..source.end.get(&source.name, partition);
            if !span.contains(&offset) {
                continue;
            }
            let is_here = |(number, stored): &(u32, StoredBatch)| {
                let batch = &stored.batch;
                *number == partition && (batch.base_offset()..batch.next_offset()).contains(&offset)
            };
            if !stored.as_ref().is_some_and(is_here) {
                let read = source.log.read(&source.name, partition, offset, 0);
                let first = read.map_err(SqlError::from)?.into_iter().next();
                stored = first.map(|first| (partition, first));
            }
            let Some((_, batch)) = &stored else { continue };
            let decoded = source.decoder.decode(
                partition,
                std::slice::from_ref(batch),
                offset,
                offset + 1,
                self.projection.as_deref(),
            );
            if decoded.rows.num_rows() > 0 && self.send.blocking_send(Ok(decoded.rows)).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The whole stream.
    fn scan(&self) -> Result<()> {
        let partitions: Vec<u32> = self.source.end.of(&self.source.name).iter().map(|at| at.1).collect();
        for partition in partitions {
            let mut scan = self.source.partition(partition, self.projection.as_deref());
            while let Some(batch) = scan.next()? {
                if self.send.blocking_send(Ok(batch)).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
