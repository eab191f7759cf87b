//! The events of a stream that filters on its columns ask for as a table, found by the stream's entity index.
//!
//! ```text
//! _key = 'x'                     events whose own key is x
//! account = 'x'                  KEY (account): the same, and those with the value and another key of their own
//! shop = 'x' AND number = 7      KEY (shop, number): the same of ["x",7]
//! course = 'x'                   TAGS (course): events with the tag course:x
//! ```
//!
//! Invariants
//! - It gives no event that a scan does not give, and each that the filter lets through, once, in whichever partitions they lie; the filter stays above.
//! - Only columns are asked by that the index promises for the stream's whole history ([`headwater_catalog::found_by`]), and values that have one text.
//! - Where the index does not answer (it is being built) the stream is scanned.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use headwater_catalog::FoundBy;
use headwater_eventlog::{FoundEvent, QueryItem, StoredBatch};
use headwater_records::Retained;
use tokio::sync::mpsc::Sender;

use super::keys::{combinations, key_values, texts};
use super::node::{Read, Start};
use super::stream::Source;
use crate::SqlError;
use crate::encode::json_of;
use crate::limits::{ENTITY_EVENTS_FIRST, SCAN_BATCHES_WAITING, SCAN_EVENTS};

/// The column that shows an event's key.
const KEY_COLUMN: &str = "_key";

/// Before a key that is no text, `_key` shows its bytes in hexadecimal behind this.
const HEX_PREFIX: &str = "\\x";

/// How many items one question to the index has.
const ITEMS_AT_ONCE: usize = 50;

/// What of an event is asked for; first what finds the fewest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Key,
    KeyColumns,
    Tag,
}

/// The events that a filter asks for.
#[derive(Clone)]
pub(super) struct Wanted {
    by: By,
    column: String,
    values: BTreeSet<String>,
}

/// One read of the events that a filter asks for.
#[derive(Clone)]
pub(super) struct EntityScan {
    pub(super) source: Arc<Source>,
    pub(super) wanted: Wanted,
    pub(super) projection: Option<Vec<usize>>,
}

impl Source {
    /// The events that one of the filters asks for, where an index finds them; `None` where all may ask for any.
    pub(super) fn wanted<'a>(&self, filters: impl IntoIterator<Item = &'a Expr>) -> Option<Wanted> {
        let is_indexed = self.log.stream(&self.name)?.settings.is_indexed();
        let filters: Vec<&Expr> = filters.into_iter().collect();
        let by_key = filters.iter().filter_map(|filter| self.by_key(filter));
        let by_columns = self
            .found_by
            .iter()
            .filter_map(|found_by| self.by_columns(&filters, found_by));
        let wanted = by_key.chain(by_columns).min_by_key(|wanted| wanted.by);
        wanted.filter(|_| is_indexed)
    }

    /// Whether a filter may say with others what is wanted.
    pub(super) fn is_part_of_wanted(&self, filter: &Expr) -> bool {
        let mut columns = self.found_by.iter().flat_map(|found_by| &found_by.columns);
        columns.any(|(column, _)| self.values(&[filter], column).is_some())
    }

    fn by_key(&self, filter: &Expr) -> Option<Wanted> {
        let values: BTreeSet<String> = texts(filter, KEY_COLUMN)?.into_iter().collect();
        // Such a text may stand for other bytes than its own.
        let is_exact = values.iter().all(|key| !key.starts_with(HEX_PREFIX));
        is_exact.then(|| Wanted {
            by: By::Key,
            column: KEY_COLUMN.to_owned(),
            values,
        })
    }

    fn by_columns(&self, filters: &[&Expr], found_by: &FoundBy) -> Option<Wanted> {
        let mut all: Vec<Vec<String>> = Vec::with_capacity(found_by.columns.len());
        for (column, _) in &found_by.columns {
            all.push(self.values(filters, column)?);
        }
        let by = if found_by.is_key { By::KeyColumns } else { By::Tag };
        // An event whose key is one value and whose columns are another would be found by two questions.
        let count = all.iter().map(Vec::len).try_fold(1_usize, usize::checked_mul)?;
        let at_once = by == By::Tag || count <= ITEMS_AT_ONCE;
        at_once.then(|| Wanted {
            by,
            column: found_by.name(),
            values: combinations(&all).iter().map(|values| found_by.text(values)).collect(),
        })
    }

    /// The texts of the values that filters let through in a column; `None` where they may let others through, or one has several texts.
    fn values(&self, filters: &[&Expr], column: &str) -> Option<Vec<String>> {
        let schema = self.decoder.schema();
        let data_type = schema.field_with_name(column).ok()?.data_type();
        let values = key_values(filters, column, data_type)?;
        values.into_iter().map(text_of).collect()
    }
}

/// The one text of a value, where it has but one.
fn text_of(value: ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(Some(text)) => Some(text),
        ScalarValue::Int32(_) | ScalarValue::Int64(_) | ScalarValue::Decimal128(..) => json_of(&value).ok(),
        _ => None,
    }
}

impl Wanted {
    /// The question that finds them: what matches one of its items.
    pub(super) fn items(&self, stream: &str) -> Vec<QueryItem> {
        let item = QueryItem {
            stream: Some(stream.to_owned()),
            ..QueryItem::default()
        };
        let items = self.values.iter().map(|value| match self.by {
            By::Key => QueryItem {
                own_key: Some(value.clone().into()),
                ..item.clone()
            },
            By::KeyColumns => QueryItem {
                key: Some(value.clone().into()),
                ..item.clone()
            },
            By::Tag => QueryItem {
                tags: vec![format!("{}:{value}", self.column)],
                ..item.clone()
            },
        });
        items.collect()
    }
}

impl Read for EntityScan {
    const NAME: &'static str = "EntityScan";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wanted { by, column, values } = &self.wanted;
        let values: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
        let what = if *by == By::Key { "keys" } else { column };
        write!(f, "stream={}, {what}=[{}]", self.source.name, values.join(", "))?;
        write!(f, ", up to={}", self.source.end)
    }

    fn rows(&self, start: Start) -> Result<SendableRecordBatchStream> {
        let mut rows = RecordBatchReceiverStreamBuilder::new(start.schema, SCAN_BATCHES_WAITING);
        let reading = Reading {
            source: Arc::clone(&self.source),
            projection: self.projection.clone(),
            send: rows.tx(),
        };
        let items = self.wanted.items(&self.source.name);
        // The log reads and the decoder works without yielding: not on the runtime's own threads.
        rows.spawn_blocking(move || reading.run(&items));
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
    fn run(&self, items: &[QueryItem]) -> Result<()> {
        let source = &self.source;
        let mut is_begun = false;
        for items in items.chunks(ITEMS_AT_ONCE) {
            let mut after = source.from.clone();
            // Who wants the first few waits for few.
            let mut most = ENTITY_EVENTS_FIRST;
            loop {
                let page = match source.log.matching(items, Some(&after), most) {
                    Ok(page) => page,
                    Err(error) if !is_begun => {
                        tracing::debug!(stream = %source.name, "scanned, since its entity index does not answer: {error}");
                        return self.scan();
                    }
                    Err(error) => return Err(SqlError::new(crate::SqlState::IO, error.to_string()).into()),
                };
                is_begun = true;
                if !self.give(&page.events)? {
                    return Ok(());
                }
                if !page.more || page.position.covers(&source.end) {
                    break;
                }
                after = page.position;
                most = most.saturating_mul(2).min(SCAN_EVENTS);
            }
        }
        Ok(())
    }

    /// Hands over the events of a page that the question sees; `false` where nobody waits for more.
    fn give(&self, events: &[FoundEvent]) -> Result<bool> {
        let source = &self.source;
        let mut places = events
            .iter()
            .map(|event| (event.address.partition, event.address.offset))
            .peekable();
        while let Some((partition, offset)) = places.next() {
            let span = source.from.get(&source.name, partition)..source.end.get(&source.name, partition);
            if !span.contains(&offset) {
                continue;
            }
            let read = source.log.read(&source.name, partition, offset, 0);
            let Some(stored) = read.map_err(SqlError::from)?.into_iter().next() else {
                continue;
            };
            // A batch is decoded once for all of its events that are wanted.
            let mut wanted = BTreeSet::from([offset]);
            let is_beside = |(number, offset): &(u32, u64)| {
                *number == partition && (stored.batch.base_offset()..stored.batch.next_offset()).contains(offset)
            };
            while let Some((_, offset)) = places.next_if(is_beside) {
                wanted.extend(span.contains(&offset).then_some(offset));
            }
            if !self.give_some(partition, stored, &wanted)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hands over some events of a batch.
    fn give_some(&self, partition: u32, stored: StoredBatch, wanted: &BTreeSet<u64>) -> Result<bool> {
        let (Some(first), Some(last)) = (wanted.first().copied(), wanted.last().copied()) else {
            return Ok(true);
        };
        let batch = match stored.batch.retain(|event| wanted.contains(&event.offset)) {
            Ok(Retained::Some(batch)) => batch,
            // One that cannot be read is parked as ever.
            Ok(Retained::All | Retained::None) | Err(_) => stored.batch.clone(),
        };
        let stored = StoredBatch { batch, ..stored };
        let decoder = &self.source.decoder;
        let decoded = decoder.decode(partition, &[stored], first, last + 1, self.projection.as_deref());
        Ok(decoded.rows.num_rows() == 0 || self.send.blocking_send(Ok(decoded.rows)).is_ok())
    }

    /// The whole stream.
    fn scan(&self) -> Result<()> {
        let partitions = self.source.partitions();
        self.source.expect(&partitions);
        if self.source.is_in_order {
            let takes = |rows| self.send.blocking_send(Ok(rows)).is_ok();
            return self.source.in_order(&partitions, self.projection.as_deref(), takes);
        }
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
