//! What was asked of the log, and what it answered: the world as its clients know it.

use std::collections::{BTreeSet, HashMap};

use headwater_eventlog::{Append, Appended, Part, StreamSettings, Tended};
use headwater_records::{Batch, Compression, Event, Header, Marker, Producer};

use crate::depends::Depends;

/// More than the partitions of all streams together: a marker is named by its append and its part in one number.
pub(crate) const ENDS_MAX: usize = 16;

/// Everything asked and answered in a trial, over all lives of its machine.
#[derive(Default)]
pub struct World {
    pub(crate) streams: Vec<StreamAsked>,
    pub(crate) appends: Vec<AppendAsked>,
    /// The largest high watermark that a reader saw, by stream (its index here) and partition.
    pub(crate) seen: HashMap<(usize, u32), u64>,
    pub(crate) producer: Option<ProducerAsked>,
    pub(crate) transaction: Option<TransactionAsked>,
    /// What a client read, for an append to depend on.
    pub(crate) noted: Option<Depends>,
    /// Conditions are looked at by the client, when it reads, and not by the log: a planted bug.
    pub(crate) checks_early: bool,
    /// The largest producer id ever given out.
    pub(crate) producer_id_max: Option<i64>,
    /// Appends are numbered in the order in which they were asked for last.
    pub(crate) asked: u64,
    /// How many segments compaction wrote anew, and how many starts retention moved.
    pub(crate) tended: Tended,
    /// What happened, in order, for whoever looks into a trial that failed.
    pub(crate) course: Vec<String>,
}

/// Whether something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Asked for, not answered: it may have happened or not; a reading of the log decides that for ever.
    Open,
    /// It happened, and must stay so.
    Done,
    /// It did not happen, and must never have.
    Undone,
}

/// One incarnation of a stream: a later one of the same name is another stream.
pub(crate) struct StreamAsked {
    pub(crate) name: String,
    pub(crate) partitions: u32,
    pub(crate) id: Option<u128>,
    pub(crate) created: Fate,
    pub(crate) dropped: Fate,
    /// What was set last, and what was asked for since then and not answered.
    pub(crate) settings: StreamSettings,
    pub(crate) settings_open: Option<StreamSettings>,
    /// Of each partition, where it starts, and where it was to start since then, which was not answered.
    pub(crate) starts: Vec<(u64, Option<u64>)>,
    /// Retention is at work: a start may be further on than anybody was told.
    pub(crate) is_expiring: bool,
    /// Compaction was at work: what is superseded may be gone.
    pub(crate) was_compacted: bool,
    /// The shortest time that tombstones were ever to be kept for.
    pub(crate) tombstone_ms_min: u64,
}

/// One append.
pub(crate) struct AppendAsked {
    pub(crate) parts: Vec<PartAsked>,
    pub(crate) principal: String,
    pub(crate) fate: Fate,
    /// When it was asked for last: events stand in this order.
    pub(crate) order: u64,
    /// Where it landed, once that is known.
    pub(crate) landed: Option<Landed>,
    /// Whether nobody answered yet.
    pub(crate) is_unanswered: bool,
    /// The earliest and the latest that the clock showed since it was asked for: it jumps.
    pub(crate) clock_us: Option<(i64, i64)>,
    /// What it depends on.
    pub(crate) depends: Option<Depends>,
}

/// Where and when an append landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Landed {
    /// Of each part, the first offset; `None` where its stream was dropped before anybody looked.
    pub(crate) offsets: Vec<Option<u64>>,
    pub(crate) appended_at_us: i64,
}

/// One batch of an append.
pub(crate) struct PartAsked {
    /// The stream, as an index into the world's.
    pub(crate) stream: usize,
    pub(crate) partition: u32,
    pub(crate) values: Vec<String>,
    pub(crate) producer: Option<Producer>,
    pub(crate) kind: Kind,
}

/// What a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events that count.
    Plain,
    /// Events that count once their transaction is committed.
    Transactional,
    /// The end of a transaction; its timestamp names it.
    Ends(Marker, i64),
}

/// The one idempotent producer.
pub(crate) struct ProducerAsked {
    pub(crate) id: i64,
    /// The next sequence in each partition.
    pub(crate) sequences: HashMap<(usize, u32), i32>,
}

/// The one transactional producer, and the transaction that it is in.
pub(crate) struct TransactionAsked {
    pub(crate) id: i64,
    /// Grows with every transaction.
    pub(crate) epoch: i16,
    pub(crate) sequences: HashMap<(usize, u32), i32>,
    /// Where the transaction was written to.
    pub(crate) touched: BTreeSet<(usize, u32)>,
    /// It can only be taken back: something of it was refused, or nobody knows.
    pub(crate) is_doomed: bool,
}

impl World {
    /// Writes down what happened.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.course.push(what.into());
    }

    /// The clock shows this.
    pub(crate) fn tick(&mut self, now_us: i64) {
        for asked in &mut self.appends {
            let (first, last) = asked.clock_us.unwrap_or((now_us, now_us));
            asked.clock_us = Some((first.min(now_us), last.max(now_us)));
        }
    }

    /// The streams that are there, or may be.
    pub(crate) fn live(&self) -> Vec<usize> {
        let there = |stream: &&StreamAsked| stream.created == Fate::Done && stream.dropped == Fate::Undone;
        let numbered = self.streams.iter().enumerate();
        numbered
            .filter(|(_, stream)| there(stream))
            .map(|(index, _)| index)
            .collect()
    }

    /// The append as the log takes it.
    pub(crate) fn append(&self, index: usize) -> Append {
        let asked = &self.appends[index];
        let parts = asked.parts.iter().map(|part| Part {
            stream: self.streams[part.stream].name.clone(),
            partition: part.partition,
            batch: part.batch(),
        });
        Append {
            parts: parts.collect(),
            principal: asked.principal.clone(),
            condition: asked
                .depends
                .as_ref()
                .filter(|_| !self.checks_early)
                .map(|depends| depends.condition(&self.streams[depends.stream].name)),
        }
    }

    /// Writes an answer down.
    pub(crate) fn answered(&mut self, index: usize, answer: &Appended) -> Result<(), String> {
        let landed = Landed {
            offsets: answer.base_offsets.iter().map(|offset| Some(*offset)).collect(),
            appended_at_us: answer.appended_at_us,
        };
        let asked = &mut self.appends[index];
        if let (Fate::Done, Some(before)) = (asked.fate, &asked.landed)
            && !before.agrees(&landed)
        {
            return Err(format!(
                "append {index} landed at {before:?}, its retry was answered {landed:?}"
            ));
        }
        if asked.fate == Fate::Done && !answer.duplicate {
            return Err(format!("append {index} is in the log and its retry was taken again"));
        }
        self.course
            .push(format!("append {index}: acknowledged at {:?}", landed.offsets));
        let asked = &mut self.appends[index];
        asked.fate = Fate::Done;
        asked.is_unanswered = false;
        asked.landed = Some(landed);
        Ok(())
    }
}

/// The key that an event's name says it has.
pub(crate) fn key(value: &str) -> Option<&str> {
    value.split('/').nth(3)
}

/// Whether an event's name says that it has no value: then the name stands in a header.
pub(crate) fn is_tombstone(value: &str) -> bool {
    value.ends_with("/tombstone")
}

impl StreamAsked {
    /// Tombstones may be kept for so long from now on.
    pub(crate) fn keeps_tombstones(&mut self, settings: &StreamSettings) {
        self.tombstone_ms_min = self.tombstone_ms_min.min(settings.tombstone_ms());
    }
}

impl AppendAsked {
    /// Whether so much time can have gone by since it was asked for that its tombstones need not be there. Compaction notes the second
    /// in which it met one first.
    pub(crate) fn may_be_over(&self, tombstone_ms: u64) -> bool {
        let (first, last) = self.clock_us.unwrap_or_default();
        let gone_by_ms = (last - first) / 1_000 + 1_000;
        u64::try_from(gone_by_ms).is_ok_and(|gone_by_ms| gone_by_ms >= tombstone_ms)
    }

    /// Whether it is part of a transaction, or its end.
    pub(crate) fn is_transactional(&self) -> bool {
        self.parts.iter().any(|part| part.kind != Kind::Plain)
    }

    /// Whether its producer may send it again without a second effect.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.parts
            .iter()
            .all(|part| part.kind == Kind::Plain && part.producer.is_some())
    }
}

impl Landed {
    /// Whether two that know a part each say the same.
    pub(crate) fn agrees(&self, other: &Landed) -> bool {
        let same = |(one, other): (&Option<u64>, &Option<u64>)| one.is_none() || other.is_none() || one == other;
        self.appended_at_us == other.appended_at_us && self.offsets.iter().zip(&other.offsets).all(same)
    }
}

impl PartAsked {
    fn batch(&self) -> Batch {
        if let (Kind::Ends(marker, name), Some(producer)) = (self.kind, self.producer) {
            return Batch::encode_marker(marker, producer.id, producer.epoch, name);
        }
        let mut events: Vec<Event> = Vec::new();
        for value in &self.values {
            let key = key(value).map(|key| key.to_owned().into());
            let (value, headers) = match is_tombstone(value) {
                true => (
                    None,
                    vec![Header {
                        name: "name".into(),
                        value: Some(value.clone().into()),
                    }],
                ),
                false => (Some(value.clone().into()), Vec::new()),
            };
            events.push(Event {
                key,
                value,
                headers,
                timestamp_ms: 1_000,
            });
        }
        match (self.kind, self.producer) {
            (Kind::Transactional, Some(producer)) => Batch::encode_transactional(&events, Compression::None, producer),
            (_, producer) => Batch::encode(&events, Compression::None, producer),
        }
    }
}
