//! A stream as a table: its events up to a position, decoded as they are read.
//!
//! Invariants
//! - The end is fixed before the first event is read: what is appended meanwhile is not seen.
//! - An event whose value does not fit the schema is left out, as a view leaves it out; how many is logged.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableScan, TableSource, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use headwater_catalog::{ColumnType, FoundBy, StreamDefinition, found_by};
use headwater_eventlog::{EventLog, StoredBatch};
use headwater_records::Position;
use headwater_views::decode::{StreamDecoder, portions};

use super::entity::EntityScan;
use super::node::{Node, Read, Start, projected};
use super::order::{Head, next_run};
use super::standing::{StandingScans, StandingStream};
use crate::limits::{SCAN_BATCHES_WAITING, SCAN_BYTES, SCAN_BYTES_MIN, SCAN_EVENTS};
use crate::question::StreamReading;
use crate::{Progress, SqlError};

/// A stream up to a position.
pub(crate) struct StreamTable {
    source: Arc<Source>,
    /// Where it is noted what scans ask for.
    reading: Option<Arc<StreamReading>>,
}

/// What every part of a scan shares.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) log: EventLog,
    pub(super) name: String,
    pub(super) decoder: StreamDecoder,
    pub(super) from: Position,
    pub(super) end: Position,
    /// The columns by whose values the entity index finds events.
    pub(super) found_by: Vec<FoundBy>,
    /// Whether events come in the order in which they were appended, over all partitions: then what is read has the columns that say so.
    pub(super) is_in_order: bool,
    /// Where what is read is counted.
    progress: Arc<Progress>,
}

impl StreamTable {
    /// The stream's events below `end`.
    pub(crate) fn new(log: EventLog, decoder: StreamDecoder, end: Position) -> StreamTable {
        StreamTable::between(log, decoder, Position::new(), end)
    }

    /// The stream's events from `from` on and below `end`.
    pub(crate) fn between(log: EventLog, decoder: StreamDecoder, from: Position, end: Position) -> StreamTable {
        let source = Source {
            log,
            name: decoder.stream().to_owned(),
            found_by: found_by(decoder.definition()),
            decoder,
            from,
            end,
            is_in_order: false,
            progress: Arc::default(),
        };
        StreamTable {
            source: Arc::new(source),
            reading: None,
        }
    }

    /// The events that a question sees, which is told what of them is scanned.
    pub(crate) fn read(log: EventLog, decoder: StreamDecoder, reading: Arc<StreamReading>) -> StreamTable {
        StreamTable {
            reading: Some(Arc::clone(&reading)),
            ..StreamTable::new(log, decoder, reading.end().clone())
        }
    }

    /// Whether a node of a plan scans a stream.
    pub(crate) fn is_scanned(scan: &TableScan) -> bool {
        let provider = source_as_provider(&scan.source);
        provider.is_ok_and(|provider| provider.downcast_ref::<StreamTable>().is_some())
    }

    /// The stream that a node of a plan scans, as one that is read again and again; `None` where it scans anything else, or what a stream was before.
    pub(crate) fn standing(scan: &TableScan, scans: &StandingScans) -> Option<Arc<dyn TableSource>> {
        let provider = source_as_provider(&scan.source).ok()?;
        let table = provider.downcast_ref::<StreamTable>()?;
        table.reading.as_ref()?;
        let standing = StandingStream::new(Arc::clone(&table.source), scans);
        Some(provider_as_source(Arc::new(standing)))
    }

    /// The definition by which a node of a plan reads the stream that it scans.
    pub(crate) fn definition(scan: &TableScan) -> Option<StreamDefinition> {
        let provider = source_as_provider(&scan.source).ok()?;
        let table = provider.downcast_ref::<StreamTable>()?;
        Some(table.source.decoder.definition().clone())
    }

    /// The type of a column of the stream that a node of a plan scans.
    pub(crate) fn column_type(scan: &TableScan, column: &str) -> Option<ColumnType> {
        let provider = source_as_provider(&scan.source).ok()?;
        let table = provider.downcast_ref::<StreamTable>()?;
        let column = table.source.decoder.definition().column(column)?;
        Some(column.column_type)
    }

    /// The same, whose events are counted as they are read.
    pub(crate) fn counted(self, progress: &Arc<Progress>) -> StreamTable {
        StreamTable {
            source: Arc::new(Source {
                progress: Arc::clone(progress),
                ..Arc::unwrap_or_clone(self.source)
            }),
            ..self
        }
    }

    /// The same, whose events come in the order in which they were appended.
    pub(crate) fn in_order(self) -> StreamTable {
        StreamTable {
            source: Arc::new(Source {
                is_in_order: true,
                ..Arc::unwrap_or_clone(self.source)
            }),
            ..self
        }
    }
}

impl fmt::Debug for StreamTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamTable({})", self.source.name)
    }
}

#[async_trait]
impl TableProvider for StreamTable {
    fn schema(&self) -> SchemaRef {
        self.source.decoder.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let source = &self.source;
        let is_found = source.wanted(filters.iter().copied()).is_some();
        let is_of_use = |filter: &&Expr| source.wanted([*filter]).is_some() || source.is_part_of_wanted(filter);
        let pushed = filters.iter().map(|filter| match is_found && is_of_use(filter) {
            // The filter stays above the scan, which saves the reading of what it would not let through.
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        });
        Ok(pushed.collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = projected(self.schema(), projection)?;
        let (source, projection) = (Arc::clone(&self.source), projection.cloned());
        let wanted = source.wanted(filters);
        if let Some(reading) = &self.reading {
            reading.scans(wanted.as_ref().map(|wanted| wanted.items(&source.name)));
        }
        if let Some(wanted) = wanted {
            let scan = EntityScan {
                source,
                wanted,
                projection,
            };
            return Ok(Node::leaf(scan, schema, 1));
        }
        let partitions = source.partitions();
        let lanes = match source.is_in_order {
            true => 1,
            false => partitions.len().min(state.config().target_partitions()).max(1),
        };
        let mut shares: Vec<Vec<u32>> = vec![Vec::new(); lanes];
        for (index, partition) in partitions.into_iter().enumerate() {
            shares[index % lanes].push(partition);
        }
        let scan = StreamScan {
            source,
            projection,
            limit,
            shares,
        };
        Ok(Node::leaf(scan, schema, lanes))
    }
}

/// One read of a stream, several partitions side by side.
#[derive(Clone)]
struct StreamScan {
    source: Arc<Source>,
    projection: Option<Vec<usize>>,
    /// More rows than this are not asked for, of each share.
    limit: Option<usize>,
    /// Which of the stream's partitions are read one after another in each partition of the plan.
    shares: Vec<Vec<u32>>,
}

impl Read for StreamScan {
    const NAME: &'static str = "StreamScan";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream={}", self.source.name)?;
        if !self.source.from.is_empty() {
            write!(f, ", from={}", self.source.from)?;
        }
        write!(f, ", up to={}", self.source.end)?;
        if let Some(columns) = &self.projection {
            let schema = self.source.decoder.schema();
            let columns: Vec<&str> = columns
                .iter()
                .map(|column| schema.field(*column).name().as_str())
                .collect();
            write!(f, ", columns=[{}]", columns.join(", "))?;
        }
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let source = Arc::clone(&self.source);
        let projection = self.projection.clone();
        let share = self.shares.get(start.partition).cloned().unwrap_or_default();
        let mut left = self.limit.unwrap_or(usize::MAX);
        source.expect(&share);
        let mut rows = RecordBatchReceiverStreamBuilder::new(start.schema, SCAN_BATCHES_WAITING);
        let send = rows.tx();
        // The log reads and the decoder works without yielding: not on the runtime's own threads.
        rows.spawn_blocking(move || {
            // Nobody may wait for more.
            let takes = |rows| send.blocking_send(Ok(rows)).is_ok();
            if source.is_in_order {
                return source.in_order(&share, projection.as_deref(), takes);
            }
            for partition in share {
                let mut scan = source.partition(partition, projection.as_deref());
                while left > 0
                    && let Some(batch) = scan.next()?
                {
                    left = left.saturating_sub(batch.num_rows());
                    if !takes(batch) {
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        Ok(rows.build())
    }
}

impl Source {
    /// The same up to another position.
    pub(super) fn upto(&self, end: &Position) -> Source {
        Source {
            end: end.clone(),
            ..self.clone()
        }
    }

    /// The partitions that have events to be read.
    pub(super) fn partitions(&self) -> Vec<u32> {
        let ends = self.end.of(&self.name);
        let has_events = |(name, partition, end): &(&str, u32, u64)| *end > self.from.get(name, *partition);
        ends.iter()
            .filter(has_events)
            .map(|(_, partition, _)| partition)
            .collect()
    }

    /// Counts what is about to be read of these partitions as what there is to read.
    pub(super) fn expect(&self, partitions: &[u32]) {
        for partition in partitions {
            let scan = self.partition(*partition, None);
            self.progress.expect(scan.end.saturating_sub(scan.next));
        }
    }

    /// Hands the events of these partitions over in the order in which they were appended, for as long as somebody `takes` them.
    pub(super) fn in_order(
        &self,
        partitions: &[u32],
        projection: Option<&[usize]>,
        mut takes: impl FnMut(RecordBatch) -> bool,
    ) -> Result<()> {
        let scan = |partition: &u32| {
            let mut scan = self.partition(*partition, projection);
            scan.bytes = bytes_of_each(partitions.len());
            scan
        };
        let mut scans: Vec<PartitionScan<'_>> = partitions.iter().map(scan).collect();
        let mut heads: Vec<Option<Head>> = Vec::with_capacity(scans.len());
        for scan in &mut scans {
            heads.push(scan.next()?.and_then(|rows| Head::new(rows, 0)));
        }
        while let Some((index, run)) = next_run(&mut heads, SCAN_EVENTS)? {
            if heads[index].is_none() {
                heads[index] = scans[index].next()?.and_then(|rows| Head::new(rows, 0));
            }
            if !takes(run) {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn partition<'a>(&'a self, partition: u32, projection: Option<&'a [usize]>) -> PartitionScan<'a> {
        let start = self
            .log
            .offsets(&self.name, partition)
            .map_or(0, |offsets| offsets.start);
        PartitionScan {
            source: self,
            partition,
            next: start.max(self.from.get(&self.name, partition)),
            end: self.end.get(&self.name, partition),
            projection,
            bytes: SCAN_BYTES,
            unfit: 0,
            waiting: Vec::new(),
        }
    }
}

/// How many bytes of each of so many partitions are read at once that are read side by side: all of those are in memory together.
fn bytes_of_each(partitions: usize) -> usize {
    (SCAN_BYTES / partitions.max(1)).max(SCAN_BYTES_MIN)
}

/// Where the scan of one partition stands.
pub(super) struct PartitionScan<'a> {
    source: &'a Source,
    partition: u32,
    next: u64,
    end: u64,
    projection: Option<&'a [usize]>,
    /// How much is read from the log at once.
    bytes: usize,
    unfit: usize,
    /// Read and not decoded yet.
    waiting: Vec<StoredBatch>,
}

impl PartitionScan<'_> {
    /// The next rows; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.next < self.end {
            let source = self.source;
            if self.waiting.is_empty() {
                self.waiting = source
                    .log
                    .read(&source.name, self.partition, self.next, self.bytes)
                    .map_err(SqlError::from)?;
            }
            // A little at a time: compressed batches can be far larger than they look.
            let Some(portion) = portions(&self.waiting, SCAN_EVENTS).next() else {
                break;
            };
            let upto = portion
                .last()
                .map_or(self.end, |last| last.batch.next_offset())
                .min(self.end);
            let decoded = source
                .decoder
                .decode(self.partition, portion, self.next, upto, self.projection);
            let taken = portion.len();
            self.waiting.drain(..taken);
            source.progress.took(upto.saturating_sub(self.next));
            self.next = upto;
            self.unfit += decoded.parked.len();
            if decoded.rows.num_rows() > 0 {
                return Ok(Some(decoded.rows));
            }
        }
        if self.unfit > 0 {
            tracing::debug!(stream = %self.source.name, partition = self.partition, events = self.unfit, "left out: they do not fit the stream's columns");
            self.unfit = 0;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_share_what_is_read_at_once_as_far_as_a_read_is_worth_it() {
        let most = SCAN_BYTES / SCAN_BYTES_MIN;
        for (partitions, expected) in [
            (1, SCAN_BYTES),
            (2, SCAN_BYTES / 2),
            (most - 1, SCAN_BYTES / (most - 1)),
            (most, SCAN_BYTES_MIN),
            (most + 1, SCAN_BYTES_MIN),
            (10_000, SCAN_BYTES_MIN),
        ] {
            assert_eq!(bytes_of_each(partitions), expected, "{partitions}");
        }
    }
}
