//! Which calls were answered already: remembered by their idempotency keys, also over restarts.
//!
//! A call with a key appends, in the same step as its events, one event to [`IDEMPOTENCY_STREAM`]:
//!
//! ```text
//! key    command/idempotency key
//! value  {"command", "key", "arguments": hash, "parts": [{"stream", "partition", "events"}], "order": [[part, place], …]}
//! ```
//!
//! The offsets are not in it, because they are given out by that very append. After a restart the events are found again by what
//! the log keeps of them: the same append time, and the call's name in the header `headwater-call`.
//!
//! Invariant: an answer is repeated from the events in the log, never from a copy.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use datafusion::common::ScalarValue;
use headwater_eventlog::{EventLog, Part, ReadError, StoredBatch, StreamError, StreamSettings};
use headwater_records::{Address, Batch, Compression, Event, Header, Position};
use headwater_sql::encode::Packed;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::decide::{Decided, call_header};
use crate::limits::{IDEMPOTENCY_KEYS_MAX, READ_BYTES};
use crate::{AppendedEvent, CommandError, CommandOutcome};

/// The stream of answered calls.
pub const IDEMPOTENCY_STREAM: &str = "_headwater.idempotency";

/// A call with an idempotency key.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) command: String,
    pub(crate) key: String,
    /// Says whether two calls have the same arguments.
    pub(crate) arguments: String,
}

/// What is remembered of an answered call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Answered {
    command: String,
    key: String,
    arguments: String,
    parts: Vec<AnsweredPart>,
    order: Vec<(usize, u64)>,
    #[serde(skip)]
    appended_at_us: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct AnsweredPart {
    stream: String,
    partition: u32,
    events: u32,
    /// Known for calls of this run; looked for in the log otherwise.
    #[serde(skip)]
    base_offset: Option<u64>,
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
        Call {
            command: command.to_owned(),
            key: key.to_owned(),
            arguments: format!("{:032x}", fnv(text.as_bytes())),
        }
    }

    /// What marks the call's events.
    pub(crate) fn header(&self) -> Header {
        call_header(&self.command, &self.key)
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
                    base_offset: None,
                });
            }
        }
        Answered {
            command: self.command.clone(),
            key: self.key.clone(),
            arguments: self.arguments.clone(),
            parts,
            order,
            appended_at_us: 0,
        }
    }
}

/// The answered calls that are remembered.
pub(crate) struct Memory {
    log: EventLog,
    ttl_us: i64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answered: HashMap<(String, String), Answered>,
    /// The same, by age.
    by_age: VecDeque<(i64, (String, String))>,
}

impl Memory {
    /// Folds what is still to be remembered from the log.
    pub(crate) fn open(log: EventLog, ttl: Duration) -> Result<Memory, CommandError> {
        if log.stream(IDEMPOTENCY_STREAM).is_none() {
            match log.create_stream(IDEMPOTENCY_STREAM, 1, StreamSettings::default()) {
                Ok(_) | Err(StreamError::Exists(_)) => {}
                Err(error) => return Err(CommandError::Log(error.to_string())),
            }
        }
        let ttl_us = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
        let memory = Memory {
            log,
            ttl_us,
            state: Mutex::default(),
        };
        memory.fold()?;
        Ok(memory)
    }

    fn fold(&self) -> Result<(), CommandError> {
        let end = self
            .log
            .offsets(IDEMPOTENCY_STREAM, 0)
            .map_or(0, |offsets| offsets.high_watermark);
        let Some(last) = end.checked_sub(1) else { return Ok(()) };
        let newest_us = self
            .read(IDEMPOTENCY_STREAM, 0, last)?
            .last()
            .map_or(0, |stored| stored.appended_at_us);
        let oldest = self
            .log
            .position_at(IDEMPOTENCY_STREAM, newest_us.saturating_sub(self.ttl_us));
        let mut next = oldest.map_err(log_error)?.get(IDEMPOTENCY_STREAM, 0);
        while next < end {
            let stored = self.read(IDEMPOTENCY_STREAM, 0, next)?;
            let Some(last) = stored.last() else { break };
            next = last.batch.next_offset();
            for stored in &stored {
                for (_, event) in stored.batch.events().map_err(log_error)? {
                    let answered: Option<Answered> = event
                        .value
                        .as_ref()
                        .and_then(|value| serde_json::from_slice(value).ok());
                    match answered {
                        Some(answered) => self.remember(Answered {
                            appended_at_us: stored.appended_at_us,
                            ..answered
                        }),
                        None => tracing::warn!(
                            stream = IDEMPOTENCY_STREAM,
                            "an event that remembers no call is left out"
                        ),
                    }
                }
            }
        }
        Ok(())
    }

    fn read(&self, stream: &str, partition: u32, from: u64) -> Result<Vec<StoredBatch>, CommandError> {
        self.log.read(stream, partition, from, READ_BYTES).map_err(log_error)
    }

    /// Remembers an answered call, and forgets those that are too old.
    fn remember(&self, answered: Answered) {
        let mut state = self.state.lock();
        let now_us = answered.appended_at_us;
        let name = (answered.command.clone(), answered.key.clone());
        state.by_age.push_back((now_us, name.clone()));
        state.answered.insert(name, answered);
        while let Some((then_us, _)) = state.by_age.front()
            && (now_us.saturating_sub(*then_us) > self.ttl_us || state.by_age.len() > IDEMPOTENCY_KEYS_MAX)
        {
            let Some((then_us, name)) = state.by_age.pop_front() else {
                break;
            };
            if state
                .answered
                .get(&name)
                .is_some_and(|answered| answered.appended_at_us == then_us)
            {
                state.answered.remove(&name);
            }
        }
    }

    /// Remembers what was just decided.
    pub(crate) fn decided(&self, call: &Call, decided: &Decided) {
        let mut answered = call.answered(&decided.packed);
        answered.appended_at_us = decided.appended.appended_at_us;
        for (part, base) in answered.parts.iter_mut().zip(&decided.appended.base_offsets) {
            part.base_offset = Some(*base);
        }
        self.remember(answered);
    }

    /// The answer to an earlier call with the same key; blocking, it reads the log.
    pub(crate) fn repeat(&self, call: &Call) -> Result<Option<CommandOutcome>, CommandError> {
        let name = (call.command.clone(), call.key.clone());
        let Some(answered) = self.state.lock().answered.get(&name).cloned() else {
            return Ok(None);
        };
        if answered.arguments != call.arguments {
            return Err(CommandError::KeyReused);
        }
        let mut parts: Vec<(u64, Vec<Event>)> = Vec::new();
        for part in &answered.parts {
            parts.push(self.events(part, call, answered.appended_at_us)?);
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
            events.push(AppendedEvent::new(address, event.value.as_deref().unwrap_or_default()));
        }
        Ok(Some(CommandOutcome {
            events,
            position,
            appended_at_us: answered.appended_at_us,
            repeated: true,
        }))
    }

    /// The events of one part of an answered call, and the offset of the first.
    fn events(&self, part: &AnsweredPart, call: &Call, appended_at_us: i64) -> Result<(u64, Vec<Event>), CommandError> {
        let from = match part.base_offset {
            Some(base) => base,
            None => {
                let before = self.log.position_at(&part.stream, appended_at_us.saturating_sub(1));
                let before = before.map_err(|error| match error {
                    ReadError::Expired { .. } => gone(call),
                    error => log_error(error),
                })?;
                before.get(&part.stream, part.partition)
            }
        };
        let mut next = from;
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
