//! Everything that the log holds, read as it stands and as a consumer of what is committed reads it.

use std::collections::{BTreeMap, HashMap};

use headwater_eventlog::{EventLog, ReadError, StoredBatch, StreamSettings};
use headwater_records::{Event, Marker, Version};

use crate::depends::read_index;
use crate::world::{ENDS_MAX, is_tombstone, key};

/// How many bytes are asked for at once: little, so that reads begin and end in the middle.
const READ_BYTES: usize = 700;

/// What the log holds, by stream name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub(crate) streams: BTreeMap<String, StreamRead>,
}

/// One stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamRead {
    pub(crate) id: u128,
    pub(crate) settings: StreamSettings,
    pub(crate) partitions: Vec<PartitionRead>,
    /// What its entity index says of every key and tag, where it has one.
    pub(crate) index: Option<Vec<Vec<Version>>>,
}

/// One partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct PartitionRead {
    pub(crate) start: u64,
    pub(crate) high_watermark: u64,
    pub(crate) stable: u64,
    pub(crate) end: u64,
    /// Everything that stands in it.
    pub(crate) events: Vec<EventRead>,
    /// Offsets and values of what counts.
    pub(crate) committed: Vec<(u64, String)>,
}

/// One event, or the end of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventRead {
    pub(crate) offset: u64,
    pub(crate) value: String,
    pub(crate) appended_at_us: i64,
    pub(crate) principal: String,
    /// Of a transaction: whose, and how it ended where this is its end.
    pub(crate) transaction: Option<(i64, Option<Marker>)>,
}

impl Reading {
    pub(crate) fn of(log: &EventLog) -> Result<Reading, String> {
        let mut reading = Reading::default();
        for info in log.streams() {
            let mut partitions: Vec<PartitionRead> = Vec::new();
            for number in 0..info.partitions {
                partitions.push(read_partition(log, &info.name, number)?);
            }
            let index = match info.settings.is_indexed() {
                true => Some(read_index(log, &info.name)?),
                false => None,
            };
            let stream = StreamRead {
                index,
                id: info.id,
                settings: StreamSettings::clone(&info.settings),
                partitions,
            };
            reading.streams.insert(info.name, stream);
        }
        Ok(reading)
    }
}

impl PartitionRead {
    /// Whether nothing was taken out of its middle.
    pub(crate) fn is_dense(&self) -> bool {
        self.events.len() as u64 == self.end - self.start
    }

    /// What counts, worked out from everything that stands in the partition: the last stable offset, and the offsets and values below it that are
    /// neither taken back nor ends of transactions.
    /// `gone`: ends of transactions that compaction took away, in order.
    pub(crate) fn decided(&self, gone: &[(u64, i64, Marker)]) -> (u64, Vec<(u64, String)>) {
        let mut gone = gone.iter().peekable();
        let mut open: HashMap<i64, Vec<u64>> = HashMap::new();
        let mut passed: Vec<u64> = Vec::new();
        for event in &self.events {
            while let Some((_, producer, marker)) = gone.next_if(|(offset, ..)| *offset < event.offset) {
                let ended = open.remove(producer).unwrap_or_default();
                if *marker == Marker::Aborted {
                    passed.extend(ended);
                }
            }
            match event.transaction {
                None => {}
                Some((producer, None)) => open.entry(producer).or_default().push(event.offset),
                Some((producer, Some(marker))) => {
                    let ended = open.remove(&producer).unwrap_or_default();
                    if marker == Marker::Aborted {
                        passed.extend(ended);
                    }
                    passed.push(event.offset);
                }
            }
        }
        for (_, producer, marker) in gone {
            let ended = open.remove(producer).unwrap_or_default();
            if *marker == Marker::Aborted {
                passed.extend(ended);
            }
        }
        let firsts = open.values().filter_map(|offsets| offsets.first().copied());
        let stable = firsts.min().unwrap_or(self.high_watermark);
        let counts = |event: &&EventRead| event.offset < stable && !passed.contains(&event.offset);
        let committed = self.events.iter().filter(counts);
        (
            stable,
            committed.map(|event| (event.offset, event.value.clone())).collect(),
        )
    }
}

fn read_partition(log: &EventLog, stream: &str, number: u32) -> Result<PartitionRead, String> {
    let offsets = log
        .offsets(stream, number)
        .ok_or_else(|| format!("{stream}/{number} has no offsets"))?;
    let mut read = PartitionRead {
        start: offsets.start,
        high_watermark: offsets.high_watermark,
        stable: offsets.stable,
        end: offsets.end,
        ..PartitionRead::default()
    };
    let stored = |at| log.read_stored(stream, number, at, u64::MAX, READ_BYTES);
    each(offsets.start, stored, |stored| {
        // The end of a transaction is one event to the log; its timestamp is its name.
        if let Some(marker) = stored.batch.marker() {
            let name = stored.batch.timestamp_ms_base();
            let value = format!("{}/{}/end", name / ENDS_MAX as i64, name % ENDS_MAX as i64);
            read.events
                .push(event_read(stored, stored.batch.base_offset(), value, Some(marker)));
        }
        for (offset, event) in stored.batch.events().map_err(|error| error.to_string())? {
            if offset >= offsets.start {
                read.events.push(event_read(stored, offset, text(&event), None));
            }
        }
        Ok(())
    })?;
    let committed = |at| log.read(stream, number, at, READ_BYTES);
    each(offsets.start, committed, |stored| {
        for (offset, event) in stored.batch.events().map_err(|error| error.to_string())? {
            if offset >= offsets.start {
                read.committed.push((offset, text(&event)));
            }
        }
        Ok(())
    })?;
    Ok(read)
}

/// Every batch from the one that holds an offset on.
fn each(
    start: u64,
    read: impl Fn(u64) -> Result<Vec<StoredBatch>, ReadError>,
    mut take: impl FnMut(&StoredBatch) -> Result<(), String>,
) -> Result<(), String> {
    let mut at = start;
    loop {
        let batches = read(at).map_err(|error| error.to_string())?;
        if batches.is_empty() {
            return Ok(());
        }
        for stored in batches {
            // Reading on from the middle of a batch gives that batch again.
            if stored.batch.next_offset() > at {
                take(&stored)?;
            }
            at = at.max(stored.batch.next_offset());
        }
    }
}

fn event_read(stored: &StoredBatch, offset: u64, value: String, marker: Option<Marker>) -> EventRead {
    let producer = stored.batch.producer().filter(|_| stored.batch.is_transactional());
    EventRead {
        offset,
        value,
        appended_at_us: stored.appended_at_us,
        principal: stored.principal.to_string(),
        transaction: producer.map(|producer| (producer.id, marker)),
    }
}

/// The event's name, which says its key; a tombstone's stands in a header.
fn text(event: &Event) -> String {
    let header = || event.headers.first().and_then(|header| header.value.as_deref());
    let name = String::from_utf8_lossy(event.value.as_deref().or_else(header).unwrap_or_default()).into_owned();
    match key(&name).map(str::as_bytes) == event.key.as_deref() && is_tombstone(&name) == event.value.is_none() {
        true => name,
        false => format!("key {:?}, value {:?}: {name}", event.key, event.value),
    }
}
