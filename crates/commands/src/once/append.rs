//! Appends that clients made themselves: once for each idempotency key, remembered like calls of commands.

use std::sync::Arc;

use headwater_eventlog::{Append, Condition, Part};
use headwater_records::{Address, Event};
use headwater_sql::encode::{Packed, pack};

use crate::commands::{Commands, Inner};
use crate::decide::Decided;
use crate::decide::locks::Lock;
use crate::error::CommandError;
use crate::once::idempotency::Call;

/// What stands where a call has its command: no command can have this name.
pub(crate) const APPENDS: &str = "/append";

/// Events of one stream.
#[derive(Debug, Clone)]
pub struct StreamEvents {
    /// The stream.
    pub stream: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// Where all of them go; `None`: where their keys say.
    pub partition: Option<u32>,
    /// The events.
    pub events: Vec<Event>,
}

/// An append that a client made.
pub struct ClientAppend {
    /// The events, stream by stream.
    pub streams: Vec<StreamEvents>,
    /// What must hold. A repeated append is answered before it is looked at.
    pub condition: Option<Condition>,
    /// By what it is known where it comes again.
    pub once: Option<Once>,
}

/// An idempotency key, and what it stands for.
#[derive(Debug, Clone)]
pub struct Once {
    /// The key.
    pub key: String,
    /// What the request says: the same key with something else in it is refused.
    pub said: Vec<u8>,
}

/// Where a client's events stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Landed {
    /// Of each event, stream by stream.
    pub addresses: Vec<Address>,
    /// When they were appended, microseconds since 1970.
    pub appended_at_us: i64,
    /// Whether this is the answer to an earlier append with the same idempotency key.
    pub repeated: bool,
}

impl Commands {
    /// Appends all of it or nothing. The key must have been checked (see [`crate::limits::IDEMPOTENCY_KEY_BYTES_MAX`]).
    pub async fn append(&self, principal: &str, append: ClientAppend) -> Result<Landed, CommandError> {
        let inner = Arc::clone(&self.inner);
        let principal = principal.to_owned();
        match append.once {
            None => inner.append_now(&principal, append, None).await,
            // A client that goes away must not leave an append behind that nobody remembers.
            Some(_) => {
                let appending = tokio::spawn(async move { inner.append_once(&principal, append).await });
                appending.await?
            }
        }
    }
}

impl Commands {
    /// Where the events of an earlier append with this key stand, for whoever finds that they would not be taken any more.
    pub async fn landed(&self, once: &Once) -> Result<Option<Landed>, CommandError> {
        self.inner.landed(&Call::of(APPENDS, &once.key, &once.said)).await
    }
}

impl Inner {
    async fn append_once(self: &Arc<Inner>, principal: &str, append: ClientAppend) -> Result<Landed, CommandError> {
        let Some(once) = append.once.clone() else {
            return self.append_now(principal, append, None).await;
        };
        let call = Call::of(APPENDS, &once.key, &once.said);
        // Held until it is answered: a second one with the same key waits, and then finds the answer.
        let _turn = self
            .locks()
            .take([Lock::Call(call.command.clone(), call.key.clone())])
            .await;
        if let Some(landed) = self.landed(&call).await? {
            return Ok(landed);
        }
        self.append_now(principal, append, Some(&call)).await
    }

    /// The answer to an earlier append with the same key.
    async fn landed(self: &Arc<Inner>, call: &Call) -> Result<Option<Landed>, CommandError> {
        let outcome = self.repeated(call).await?;
        Ok(outcome.map(|outcome| Landed {
            addresses: outcome.events.into_iter().map(|event| event.address).collect(),
            // An append of a client has events.
            appended_at_us: outcome.appended_at_us.unwrap_or_default(),
            repeated: true,
        }))
    }

    async fn append_now(
        &self,
        principal: &str,
        append: ClientAppend,
        call: Option<&Call>,
    ) -> Result<Landed, CommandError> {
        let spread = self.engine.next_spread();
        let mut packed: Vec<Packed> = Vec::with_capacity(append.streams.len());
        for mut made in append.streams {
            if let Some(call) = call {
                for event in &mut made.events {
                    event.headers.push(call.header());
                }
            }
            packed.push(made.packed(spread));
        }
        let mut parts: Vec<Part> = packed.iter().flat_map(|packed| packed.parts.clone()).collect();
        if let Some(call) = call {
            parts.extend(call.part(&packed, self.engine.now_ms()));
        }
        let appended = self.engine.log().append(Append {
            parts,
            principal: principal.to_owned(),
            condition: append.condition,
        });
        let appended = appended.await?;
        let decided = Decided { packed, appended };
        if let Some(call) = call {
            self.memory()
                .decided(call, decided.last_offset(), decided.appended.appended_at_us);
        }
        let mut addresses: Vec<Address> = Vec::new();
        let mut first_part = 0;
        for packed in &decided.packed {
            addresses.extend(packed.addresses(&decided.appended, first_part));
            first_part += packed.parts.len();
        }
        Ok(Landed {
            addresses,
            appended_at_us: decided.appended.appended_at_us,
            repeated: false,
        })
    }
}

impl StreamEvents {
    fn packed(self, spread: u32) -> Packed {
        match self.partition {
            None => pack(&self.stream, self.partitions, self.events, spread),
            Some(partition) => {
                let mut packed = pack(&self.stream, 1, self.events, 0);
                for part in &mut packed.parts {
                    part.partition = partition;
                }
                packed
            }
        }
    }
}
