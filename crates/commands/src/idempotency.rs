//! Which calls were answered already: remembered by their idempotency keys, also over restarts.
//!
//! A call with a key appends, in the same step as its events, one event to [`IDEMPOTENCY_STREAM`]:
//!
//! ```text
//! key    command/idempotency key
//! value  {"command", "key", "arguments": hash, "parts": [{"stream", "partition", "events"}], "order": [[part, place], …]}
//! ```
//!
//! In memory there is of each call no more than where that event stands. The offsets of the call's own events are not in it, because they are given out
//! by that very append: they are found again by what the log keeps of them, the same append time, and the call's name in the header `headwater-call`.
//!
//! Invariants
//! - An answer is repeated from the events in the log, never from a copy.
//! - A key is remembered for its whole time; where there is no room for more keys, calls with new ones are refused.

mod keys;

use std::collections::BTreeMap;

use bytes::Bytes;
use datafusion::common::ScalarValue;
use headwater_catalog::Catalog;
use headwater_eventlog::{EventLog, Keep, Part, ReadError, StoredBatch, StreamError, StreamSettings};
use headwater_records::{Address, Batch, Compression, Event, Header, Position};
use headwater_sql::encode::Packed;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::decide::{Decided, call_header};
use crate::limits::READ_BYTES;
use crate::{AppendedEvent, CommandError, CommandOutcome, CommandsOptions};
use keys::{Entry, Keys};

/// The stream of answered calls.
pub const IDEMPOTENCY_STREAM: &str = "_headwater.idempotency";

/// A call with an idempotency key.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) command: String,
    pub(crate) key: String,
    /// Says whether two calls have the same arguments.
    pub(crate) arguments: u128,
}

/// What the log remembers of an answered call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Answered {
    command: String,
    key: String,
    arguments: String,
    parts: Vec<AnsweredPart>,
    order: Vec<(usize, u64)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct AnsweredPart {
    stream: String,
    partition: u32,
    events: u32,
}

impl Call {
    /// A call; what it says is compared by a hash of the arguments' types and values.
    pub(crate) fn new(command: &str, key: &str, given: &[Option<ScalarValue>]) -> Call {
        let mut text = String::new();
        for value in given {
            let Some(value) = value else {
                text.push('-');
                continue;
            };
            let shown = format!("{}:{value}", value.data_type());
            text.push_str(&format!("{}:{shown};", shown.len()));
        }
        Call::of(command, key, text.as_bytes())
    }

    /// A call that says these bytes.
    pub(crate) fn of(command: &str, key: &str, said: &[u8]) -> Call {
        Call {
            command: command.to_owned(),
            key: key.to_owned(),
            arguments: fnv(said),
        }
    }

    /// What marks the call's events.
    pub(crate) fn header(&self) -> Header {
        call_header(&self.command, &self.key)
    }

    /// By what it is known in memory.
    fn name(&self) -> u128 {
        name(&self.command, &self.key)
    }

    /// The event that remembers the call, for the same append as its events.
    pub(crate) fn part(&self, packed: &[Packed], timestamp_ms: i64) -> Part {
        let value = serde_json::to_vec(&self.answered(packed)).unwrap_or_default();
        let key = Bytes::from(format!("{}/{}", self.command, self.key));
        let event = Event {
            key: Some(key),
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
            timestamp_ms,
        };
        Part {
            stream: IDEMPOTENCY_STREAM.to_owned(),
            partition: 0,
            batch: Batch::encode(&[event], Compression::None, None),
        }
    }

    fn answered(&self, packed: &[Packed]) -> Answered {
        let mut parts: Vec<AnsweredPart> = Vec::new();
        let mut order: Vec<(usize, u64)> = Vec::new();
        for packed in packed {
            let first = parts.len();
            order.extend(packed.places().iter().map(|(part, place)| (first + part, *place)));
            for part in &packed.parts {
                parts.push(AnsweredPart {
                    stream: part.stream.clone(),
                    partition: part.partition,
                    events: part.batch.event_count(),
                });
            }
        }
        Answered {
            command: self.command.clone(),
            key: self.key.clone(),
            arguments: format!("{:032x}", self.arguments),
            parts,
            order,
        }
    }
}

/// The answered calls that are remembered.
pub(crate) struct Memory {
    log: EventLog,
    keys: Mutex<Keys>,
    keys_max: usize,
}

impl Memory {
    /// Folds what is still to be remembered from the log.
    pub(crate) fn open(log: EventLog, options: &CommandsOptions) -> Result<Memory, CommandError> {
        let ttl_us = i64::try_from(options.idempotency_ttl.as_micros()).unwrap_or(i64::MAX);
        let settings = StreamSettings {
            retention_ms: Some(Keep::AtMost(
                u64::try_from(options.idempotency_ttl.as_millis()).unwrap_or(u64::MAX),
            )),
            ..StreamSettings::default()
        };
        let made = match log.stream(IDEMPOTENCY_STREAM) {
            None => log.create_stream(IDEMPOTENCY_STREAM, 1, settings).map(|_| ()),
            // The time may be another one since the last start.
            Some(info) if info.settings.retention_ms != settings.retention_ms => {
                let altered = log.alter_stream(IDEMPOTENCY_STREAM, |now| {
                    now.retention_ms = settings.retention_ms;
                    Ok(())
                });
                altered.map(|_| ())
            }
            Some(_) => Ok(()),
        };
        match made {
            Ok(()) | Err(StreamError::Exists(_)) => {}
            Err(error) => return Err(CommandError::Log(error.to_string())),
        }
        let memory = Memory {
            log,
            keys: Mutex::new(Keys::new(ttl_us, options.idempotency_keys_max)),
            keys_max: options.idempotency_keys_max,
        };
        memory.fold()?;
        Ok(memory)
    }

    fn fold(&self) -> Result<(), CommandError> {
        let Some(offsets) = self.log.offsets(IDEMPOTENCY_STREAM, 0) else {
            return Ok(());
        };
        let end = offsets.high_watermark;
        let mut keys = self.keys.lock();
        let oldest = self
            .log
            .position_at(IDEMPOTENCY_STREAM, keys.oldest_us(self.log.now_us()));
        let mut next = match oldest {
            Ok(oldest) => oldest.get(IDEMPOTENCY_STREAM, 0),
            // Some of those that are still to be remembered may be gone: the time was made longer.
            Err(ReadError::Expired { .. }) => offsets.start,
            Err(error) => return Err(log_error(error)),
        };
        next = next.max(offsets.start);
        while next < end {
            let stored = self.read(IDEMPOTENCY_STREAM, 0, next)?;
            let Some(last) = stored.last() else { break };
            next = last.batch.next_offset();
            for stored in &stored {
                for (offset, event) in stored.batch.events().map_err(log_error)? {
                    let Some(answered) = answered(&event) else {
                        tracing::warn!(
                            stream = IDEMPOTENCY_STREAM,
                            "an event that remembers no call is left out"
                        );
                        continue;
                    };
                    let arguments = u128::from_str_radix(&answered.arguments, 16).unwrap_or_default();
                    keys.remember(
                        name(&answered.command, &answered.key),
                        Entry {
                            arguments,
                            offset,
                            appended_at_us: stored.appended_at_us,
                        },
                    );
                }
            }
        }
        Ok(())
    }

    fn read(&self, stream: &str, partition: u32, from: u64) -> Result<Vec<StoredBatch>, CommandError> {
        self.log.read(stream, partition, from, READ_BYTES).map_err(log_error)
    }

    /// Whether a call with this key was answered; an error where it was with other arguments, or where there is no room for another key.
    pub(crate) fn knows(&self, call: &Call) -> Result<bool, CommandError> {
        let mut keys = self.keys.lock();
        match keys.find(call.name(), self.log.now_us()) {
            Some(entry) if entry.arguments != call.arguments => Err(CommandError::KeyReused),
            Some(_) => Ok(true),
            None if keys.is_full() => Err(CommandError::KeysFull(self.keys_max)),
            None => Ok(false),
        }
    }

    /// Remembers what was just decided: its event is the last of the append.
    pub(crate) fn decided(&self, call: &Call, decided: &Decided) {
        let Some(offset) = decided.appended.base_offsets.last() else {
            return;
        };
        let entry = Entry {
            arguments: call.arguments,
            offset: *offset,
            appended_at_us: decided.appended.appended_at_us,
        };
        self.keys.lock().remember(call.name(), entry);
    }

    /// The answer to an earlier call with the same key; blocking, it reads the log.
    pub(crate) fn repeat(&self, catalog: &Catalog, call: &Call) -> Result<Option<CommandOutcome>, CommandError> {
        let Some(entry) = self.keys.lock().find(call.name(), self.log.now_us()) else {
            return Ok(None);
        };
        let stored = self.read(IDEMPOTENCY_STREAM, 0, entry.offset)?;
        let batch = stored
            .first()
            .filter(|stored| stored.batch.base_offset() <= entry.offset);
        let events = batch
            .map(|stored| stored.batch.events().map_err(log_error))
            .transpose()?;
        let event = events.into_iter().flatten().find(|(offset, _)| *offset == entry.offset);
        let Some(answered) = event.and_then(|(_, event)| answered(&event)) else {
            return Err(gone(call));
        };
        let mut parts: Vec<(u64, Vec<Event>)> = Vec::new();
        // Several parts may be in one partition: each stands behind the one before.
        let mut behind: BTreeMap<(&str, u32), u64> = BTreeMap::new();
        for part in &answered.parts {
            let place = (part.stream.as_str(), part.partition);
            let from = behind.get(&place).copied().unwrap_or_default();
            let (base, events) = self.events(part, call, entry.appended_at_us, from)?;
            behind.insert(place, base + events.len() as u64);
            parts.push((base, events));
        }
        let mut events: Vec<AppendedEvent> = Vec::new();
        let mut position = Position::new();
        for (part, place) in &answered.order {
            let (Some((base, found)), Some(at)) = (parts.get(*part), answered.parts.get(*part)) else {
                continue;
            };
            let Some(event) = found.get(*place as usize) else {
                continue;
            };
            let address = Address {
                stream: at.stream.clone(),
                partition: at.partition,
                offset: base + place,
            };
            position.advance(&address.stream, address.partition, address.offset + 1);
            let value = event.value.as_deref().unwrap_or_default();
            events.push(AppendedEvent::new(catalog, address, entry.appended_at_us, value));
        }
        Ok(Some(CommandOutcome {
            events,
            position,
            appended_at_us: entry.appended_at_us,
            repeated: true,
        }))
    }

    /// The events of one part of an answered call, which are not below an offset, and the offset of the first.
    fn events(
        &self,
        part: &AnsweredPart,
        call: &Call,
        appended_at_us: i64,
        from: u64,
    ) -> Result<(u64, Vec<Event>), CommandError> {
        let before = self.log.position_at(&part.stream, appended_at_us.saturating_sub(1));
        let before = before.map_err(|error| match error {
            ReadError::Expired { .. } => gone(call),
            error => log_error(error),
        })?;
        let mut next = before.get(&part.stream, part.partition).max(from);
        loop {
            let stored = self.read(&part.stream, part.partition, next)?;
            let Some(last) = stored.last() else { break };
            for stored in &stored {
                if stored.appended_at_us > appended_at_us {
                    return Err(gone(call));
                }
                if let Some(events) = marked(stored, part, call, appended_at_us)? {
                    return Ok((stored.batch.base_offset(), events));
                }
            }
            next = last.batch.next_offset();
        }
        Err(gone(call))
    }
}

fn answered(event: &Event) -> Option<Answered> {
    event
        .value
        .as_ref()
        .and_then(|value| serde_json::from_slice(value).ok())
}

fn name(command: &str, key: &str) -> u128 {
    fnv(format!("{command}/{key}").as_bytes())
}

/// The events of a batch where it is the one that the call appended.
fn marked(
    stored: &StoredBatch,
    part: &AnsweredPart,
    call: &Call,
    appended_at_us: i64,
) -> Result<Option<Vec<Event>>, CommandError> {
    if stored.appended_at_us != appended_at_us || stored.batch.event_count() != part.events {
        return Ok(None);
    }
    let header = call.header();
    let mut events: Vec<Event> = Vec::new();
    for (_, event) in stored.batch.events().map_err(log_error)? {
        if !event.headers.contains(&header) {
            return Ok(None);
        }
        events.push(event);
    }
    Ok(Some(events))
}

/// FNV-1a, 128 bits (Fowler, Noll, Vo): kept in the log, so it must be the same in every version of the program.
fn fnv(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes
        .iter()
        .fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

fn gone(call: &Call) -> CommandError {
    CommandError::Log(format!(
        "the events of the earlier call '{}' with this idempotency key are not in the log any more",
        call.command
    ))
}

fn log_error(error: impl std::fmt::Display) -> CommandError {
    CommandError::Log(error.to_string())
}
