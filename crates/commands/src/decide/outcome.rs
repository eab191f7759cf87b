//! What a command did: the answer to its call.

use headwater_catalog::Catalog;
use headwater_records::{Address, Position};

/// What a command did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CommandOutcome {
    /// The events, in order.
    pub events: Vec<AppendedEvent>,
    /// The position just after them: what a reader waits for. It names nothing where there are none.
    pub position: Position,
    /// When they were appended, microseconds since 1970; `None` where there are none.
    pub appended_at_us: Option<i64>,
    /// Whether this is the answer to an earlier call with the same idempotency key.
    pub repeated: bool,
}

/// One event that a command appended.
#[derive(Debug, Clone, PartialEq)]
pub struct AppendedEvent {
    /// Where it stands.
    pub address: Address,
    /// Its value as JSON, exact to the last digit: as it stands in the log, or what its stream's format makes of it.
    pub json: String,
}

impl AppendedEvent {
    pub(crate) fn new(catalog: &Catalog, address: Address, appended_at_us: i64, value: &[u8]) -> AppendedEvent {
        // An event without a value, such as the end of a schedule, is null.
        let json = match catalog.document(&address, appended_at_us, value) {
            Some(document) => document,
            None if value.is_empty() => "null".to_owned(),
            None => String::from_utf8_lossy(value).into_owned(),
        };
        AppendedEvent { address, json }
    }
}

/// The answer to a call whose events stand here, with these values.
pub(crate) fn outcome_of<'a>(
    catalog: &Catalog,
    appended_at_us: i64,
    landed: impl IntoIterator<Item = (Address, &'a [u8])>,
) -> CommandOutcome {
    let mut events: Vec<AppendedEvent> = Vec::new();
    let mut position = Position::new();
    for (address, value) in landed {
        position.advance(&address.stream, address.partition, address.offset + 1);
        events.push(AppendedEvent::new(catalog, address, appended_at_us, value));
    }
    CommandOutcome {
        appended_at_us: (!events.is_empty()).then_some(appended_at_us),
        events,
        position,
        repeated: false,
    }
}
