//! Which calls were answered already: remembered by their idempotency keys, also over restarts.
//!
//! A call with a key appends, in the same step as its events, one event to [`IDEMPOTENCY_STREAM`]:
//!
//! ```text
//! key    command/idempotency key
//! value  {"command", "key", "arguments": hash, "parts": [{"stream", "partition", "events"}], "order": [[part, place], …]}
//! ```
//!
//! `parts` says how many events it has in which partition, `order` of each of its events the part, and its place among the call's own there: others may
//! stand between them, of calls that were decided together with it.
//!
//! In memory there is of each call no more than where that event stands. The offsets of the call's own events are not in it, because they are given out
//! by that very append: they are found again by what the log keeps of them, the same append time, and the call's name in the header `headwater-call`.
//!
//! Invariants
//! - An answer is repeated from the events in the log, never from a copy.
//! - A key is remembered for its whole time; where there is no room for more keys, calls with new ones are refused.

mod keys;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use headwater_catalog::Catalog;
use headwater_eventlog::{EventLog, Keep, Part, ReadError, StoredBatch, StreamError, StreamSettings};
use headwater_records::{Address, Event, Header};
use headwater_sql::encode::{Packed, pack};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::commands::Inner;
use crate::decide::outcome::outcome_of;
use crate::limits::READ_BYTES;
use crate::{CommandError, CommandOutcome, CommandsOptions};
use keys::{Entry, Keys};

/// The stream of answered calls.
pub const IDEMPOTENCY_STREAM: &str = "_headwater.idempotency";

/// A call with an idempotency key.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) command: String,
    pub(crate) key: String,
    /// Says whether two calls say the same.
    pub(crate) arguments: u128,
}

/// What the log remembers of an answered call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Answered {
    command: String,
    key: String,
    arguments: String,
    parts: Vec<AnsweredPart>,
    order: Vec<(usize, usize)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct AnsweredPart {
    stream: String,
    partition: u32,
    events: usize,
}

impl Call {
    /// A call that says these bytes: a repetition says the same, whatever its command takes by then.
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

    /// The event that remembers the call, for the same append as its events. `homes`: of each of these in order its stream and partition.
    pub(crate) fn event<'a>(&self, homes: impl IntoIterator<Item = (&'a str, u32)>, timestamp_ms: i64) -> Event {
        let value = serde_json::to_vec(&self.answered(homes)).unwrap_or_default();
        Event {
            key: Some(Bytes::from(format!("{}/{}", self.command, self.key))),
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
            timestamp_ms,
        }
    }

    /// That event by itself, for an append of these.
    pub(crate) fn part(&self, packed: &[Packed], timestamp_ms: i64) -> Vec<Part> {
        let event = self.event(packed.iter().flat_map(Packed::homes), timestamp_ms);
        pack_events(vec![event]).parts
    }

    fn answered<'a>(&self, homes: impl IntoIterator<Item = (&'a str, u32)>) -> Answered {
        let mut answered = Answered {
            command: self.command.clone(),
            key: self.key.clone(),
            arguments: format!("{:032x}", self.arguments),
            parts: Vec::new(),
            order: Vec::new(),
        };
        let mut known: BTreeMap<(&str, u32), usize> = BTreeMap::new();
        for (stream, partition) in homes {
            let parts = &mut answered.parts;
            let place = *known.entry((stream, partition)).or_insert_with(|| {
                parts.push(AnsweredPart {
                    stream: stream.to_owned(),
                    partition,
                    events: 0,
                });
                parts.len() - 1
            });
            let part = &mut parts[place];
            answered.order.push((place, part.events));
            part.events += 1;
        }
        answered
    }
}

/// Events that remember calls, ready to be appended.
pub(crate) fn pack_events(events: Vec<Event>) -> Packed {
    pack(IDEMPOTENCY_STREAM, 1, events, 0)
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

    /// Remembers what was just decided: where the event stands that says so, and when it was appended.
    pub(crate) fn decided(&self, call: &Call, offset: u64, appended_at_us: i64) {
        let entry = Entry {
            arguments: call.arguments,
            offset,
            appended_at_us,
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
            return Err(CommandError::AnswerGone);
        };
        let mut parts: Vec<Vec<(u64, Event)>> = Vec::with_capacity(answered.parts.len());
        for part in &answered.parts {
            parts.push(self.events(part, call, entry.appended_at_us)?);
        }
        let mut landed: Vec<(Address, &[u8])> = Vec::new();
        for (part, place) in &answered.order {
            let (Some(found), Some(at)) = (parts.get(*part), answered.parts.get(*part)) else {
                continue;
            };
            let Some((offset, event)) = found.get(*place) else {
                continue;
            };
            let address = Address {
                stream: at.stream.clone(),
                partition: at.partition,
                offset: *offset,
            };
            landed.push((address, event.value.as_deref().unwrap_or_default()));
        }
        Ok(Some(CommandOutcome {
            repeated: true,
            ..outcome_of(catalog, entry.appended_at_us, landed)
        }))
    }

    /// The events of one part of an answered call, each with its offset.
    fn events(&self, part: &AnsweredPart, call: &Call, appended_at_us: i64) -> Result<Vec<(u64, Event)>, CommandError> {
        let before = self.log.position_at(&part.stream, appended_at_us.saturating_sub(1));
        let before = before.map_err(no_longer_there)?;
        let header = call.header();
        let mut next = before.get(&part.stream, part.partition);
        let mut found: Vec<(u64, Event)> = Vec::with_capacity(part.events);
        while found.len() < part.events {
            let read = self.log.read(&part.stream, part.partition, next, READ_BYTES);
            let stored = read.map_err(no_longer_there)?;
            let of_append = stored.iter().filter(|stored| stored.appended_at_us == appended_at_us);
            for stored in of_append {
                let events = stored.batch.events().map_err(log_error)?;
                found.extend(events.into_iter().filter(|(_, event)| event.headers.contains(&header)));
            }
            match stored.last() {
                Some(last) if last.appended_at_us <= appended_at_us => next = last.batch.next_offset(),
                _ => break,
            }
        }
        match found.len() == part.events {
            true => Ok(found),
            false => Err(CommandError::AnswerGone),
        }
    }
}

impl Inner {
    /// The answer to an earlier call with the same key; the log is read away from the runtime's threads.
    pub(crate) async fn repeated(self: &Arc<Inner>, call: &Call) -> Result<Option<CommandOutcome>, CommandError> {
        if !self.memory().knows(call)? {
            return Ok(None);
        }
        let (inner, call) = (Arc::clone(self), call.clone());
        tokio::task::spawn_blocking(move || inner.memory().repeat(inner.engine.catalog(), &call)).await?
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

/// FNV-1a, 128 bits (Fowler, Noll, Vo): kept in the log, so it must be the same in every version of the program.
fn fnv(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes
        .iter()
        .fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

/// Why the events of a call cannot be read.
fn no_longer_there(error: ReadError) -> CommandError {
    match error {
        ReadError::Expired { .. } | ReadError::OutOfRange { .. } | ReadError::Unknown { .. } => {
            CommandError::AnswerGone
        }
        error => log_error(error),
    }
}

fn log_error(error: impl std::fmt::Display) -> CommandError {
    CommandError::Log(error.to_string())
}

/// The header by which the events of a call with an idempotency key are found again.
fn call_header(command: &str, key: &str) -> Header {
    Header {
        name: "headwater-call".to_owned(),
        value: Some(Bytes::from(format!("{command}/{key}"))),
    }
}
