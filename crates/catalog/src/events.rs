//! Definitions as events of `_headwater.catalog`.
//!
//! ```text
//! key     the name
//! value   the definition as JSON; none (a tombstone): dropped
//! header  change = created | replaced | altered | found | dropped
//! header  settings, of a new stream alone: JSON, what its partitions are created with; from then on the log keeps them
//! beside  who (the principal) and when, kept by the log
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use headwater_eventlog::{Append, EventLog, Part, ReadError, StreamSettings};
use headwater_records::{Batch, Compression, Event, Header};

use crate::{CATALOG_STREAM, CatalogError, Definition};

/// How many bytes of definitions are read at a time.
const READ_BYTES: usize = 1 << 20;

const SETTINGS_HEADER: &str = "settings";

/// What an event did to the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// A new definition.
    Created,
    /// Another definition of the same name went before.
    Replaced,
    /// A stream's schema was changed.
    Altered,
    /// The log held a stream that nobody had defined.
    Found,
    /// The definition is gone.
    Dropped,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Change::Created => "created",
            Change::Replaced => "replaced",
            Change::Altered => "altered",
            Change::Found => "found",
            Change::Dropped => "dropped",
        }
    }
}

/// A definition as it was read: its name, the definition or `None` for a drop, and what a new stream's partitions are created with.
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) definition: Option<Definition>,
    pub(crate) settings: StreamSettings,
}

/// The append that records a change. `definition` is `None` for a drop.
pub(crate) fn append(
    name: &str,
    definition: Option<&Definition>,
    settings: &StreamSettings,
    change: Change,
    principal: &str,
) -> Result<Append, CatalogError> {
    let value = match definition {
        Some(definition) => {
            let json = serde_json::to_vec(definition).map_err(|error| CatalogError::Log(error.to_string()))?;
            Some(Bytes::from(json))
        }
        None => None,
    };
    let header = |name: &str, value: Vec<u8>| Header {
        name: name.to_owned(),
        value: Some(Bytes::from(value)),
    };
    let mut headers: Vec<Header> = vec![header("change", change.word().into())];
    if *settings != StreamSettings::default() {
        let pairs: BTreeMap<String, String> = settings.pairs().into_iter().collect();
        let json = serde_json::to_vec(&pairs).map_err(|error| CatalogError::Log(error.to_string()))?;
        headers.push(header(SETTINGS_HEADER, json));
    }
    let event = Event {
        key: Some(Bytes::copy_from_slice(name.as_bytes())),
        value,
        headers,
        // No writer's clock stands behind a definition: when it was made is the log's append time.
        timestamp_ms: -1,
    };
    Ok(Append {
        parts: vec![Part {
            stream: CATALOG_STREAM.to_owned(),
            partition: 0,
            batch: Batch::encode(&[event], Compression::None, None),
        }],
        principal: principal.to_owned(),
        condition: None,
    })
}

/// Reads every definition event from the beginning.
pub(crate) fn read_all(log: &EventLog, mut fold: impl FnMut(Found)) -> Result<(), CatalogError> {
    let unreadable = |error: ReadError| CatalogError::Log(format!("the definitions could not be read: {error}"));
    let Some(offsets) = log.offsets(CATALOG_STREAM, 0) else {
        return Ok(());
    };
    let mut next = offsets.start;
    while next < offsets.high_watermark {
        let batches = log.read(CATALOG_STREAM, 0, next, READ_BYTES).map_err(unreadable)?;
        if batches.is_empty() {
            break;
        }
        for stored in batches {
            let events = stored.batch.events().map_err(|error| {
                CatalogError::Log(format!(
                    "the definitions at {CATALOG_STREAM}/0@{next} could not be decoded: {error}"
                ))
            })?;
            for (offset, event) in events {
                if offset >= next {
                    fold(decode(offset, &event)?);
                }
            }
            next = stored.batch.next_offset();
        }
    }
    Ok(())
}

fn decode(offset: u64, event: &Event) -> Result<Found, CatalogError> {
    let refuse = |why: String| {
        CatalogError::Invalid(format!(
            "{CATALOG_STREAM}/0@{offset} is no definition this program knows: {why}; \
             open the data folder with the version that wrote it, or a newer one"
        ))
    };
    let key = event.key.as_deref().ok_or_else(|| refuse("it has no key".to_owned()))?;
    let name = std::str::from_utf8(key).map_err(|_| refuse("its key is no UTF-8".to_owned()))?;
    let definition: Option<Definition> = match event.value.as_deref() {
        None => None,
        Some(value) => Some(serde_json::from_slice(value).map_err(|error| refuse(error.to_string()))?),
    };
    let mut settings = StreamSettings::default();
    let written = event.headers.iter().find(|header| header.name == SETTINGS_HEADER);
    if let Some(json) = written.and_then(|header| header.value.as_deref()) {
        let pairs: BTreeMap<String, String> =
            serde_json::from_slice(json).map_err(|error| refuse(error.to_string()))?;
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        settings = StreamSettings::of_pairs(pairs).map_err(|error| refuse(error.to_string()))?;
    }
    Ok(Found {
        name: name.to_owned(),
        definition,
        settings,
    })
}
