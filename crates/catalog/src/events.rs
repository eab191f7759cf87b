//! Definitions as events of `_headwater.catalog`.
//!
//! ```text
//! key     the name
//! value   the definition as JSON; none (a tombstone): dropped
//! header  change = created | replaced | found | dropped
//! beside  who (the principal) and when, kept by the log
//! ```

use bytes::Bytes;
use headwater_eventlog::{Append, EventLog, Part, ReadError};
use headwater_records::{Batch, Compression, Event, Header};

use crate::{CATALOG_STREAM, CatalogError, Definition};

/// How many bytes of definitions are read at a time.
const READ_BYTES: usize = 1 << 20;

/// What an event did to the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// A new definition.
    Created,
    /// Another definition of the same name went before.
    Replaced,
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
            Change::Found => "found",
            Change::Dropped => "dropped",
        }
    }
}

/// The append that records a change. `definition` is `None` for a drop.
pub(crate) fn append(
    name: &str,
    definition: Option<&Definition>,
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
    let event = Event {
        key: Some(Bytes::copy_from_slice(name.as_bytes())),
        value,
        headers: vec![Header {
            name: "change".to_owned(),
            value: Some(Bytes::from_static(change.word().as_bytes())),
        }],
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

/// Reads every definition event from the beginning: the name, and the definition or `None` for a drop.
pub(crate) fn read_all(log: &EventLog, mut fold: impl FnMut(String, Option<Definition>)) -> Result<(), CatalogError> {
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
                    let (name, definition) = decode(offset, &event)?;
                    fold(name, definition);
                }
            }
            next = stored.batch.next_offset();
        }
    }
    Ok(())
}

fn decode(offset: u64, event: &Event) -> Result<(String, Option<Definition>), CatalogError> {
    let refuse = |why: String| {
        CatalogError::Invalid(format!(
            "{CATALOG_STREAM}/0@{offset} is no definition this program knows: {why}; \
             open the data folder with the version that wrote it, or a newer one"
        ))
    };
    let key = event.key.as_deref().ok_or_else(|| refuse("it has no key".to_owned()))?;
    let name = std::str::from_utf8(key).map_err(|_| refuse("its key is no UTF-8".to_owned()))?;
    match event.value.as_deref() {
        None => Ok((name.to_owned(), None)),
        Some(value) => {
            let definition: Definition = serde_json::from_slice(value).map_err(|error| refuse(error.to_string()))?;
            Ok((name.to_owned(), Some(definition)))
        }
    }
}
