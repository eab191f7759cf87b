//! Definitions as events of `_headwater.catalog`.
//!
//! ```text
//! key     the name
//! value   the definition as JSON; of a stream that is altered what becomes otherwise ([`Alteration`]); none (a tombstone): dropped
//! header  change = created | replaced | altered | found | dropped
//! header  settings, of a new stream alone: JSON, what its partitions are created with; from then on the log keeps them
//! beside  who (the principal) and when, kept by the log
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use headwater_eventlog::{Append, EventLog, Part, ReadError, StreamSettings};
use headwater_records::{Batch, Compression, Event, Header};

use crate::alteration::Alteration;
use crate::{CATALOG_STREAM, CatalogError, Definition};

/// How many bytes of definitions are read at a time.
const READ_BYTES: usize = 1 << 20;

const SETTINGS_HEADER: &str = "settings";

const CHANGE_HEADER: &str = "change";

/// What an event does to the catalog.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    /// A new definition.
    Created(&'a Definition),
    /// Another definition of the same name went before, which was no stream's.
    Replaced(&'a Definition),
    /// A stream that is there was changed.
    Altered(Alteration),
    /// The log held a stream that nobody had defined.
    Found(&'a Definition),
    /// The definition is gone.
    Dropped,
}

impl<'a> Change<'a> {
    /// What makes a definition of the one that had its name, where one had.
    pub(crate) fn into(new: &'a Definition, old: Option<&Definition>) -> Change<'a> {
        match (new, old) {
            (_, None) => Change::Created(new),
            (Definition::Stream(new), Some(Definition::Stream(old))) => Change::Altered(Alteration::between(old, new)),
            (_, Some(_)) => Change::Replaced(new),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Change::Created(_) => "created",
            Change::Replaced(_) => "replaced",
            Change::Altered(_) => ALTERED,
            Change::Found(_) => "found",
            Change::Dropped => "dropped",
        }
    }

    fn value(&self) -> Result<Option<Bytes>, CatalogError> {
        let json = match self {
            Change::Created(definition) | Change::Replaced(definition) | Change::Found(definition) => {
                serde_json::to_vec(definition)
            }
            Change::Altered(alteration) => serde_json::to_vec(alteration),
            Change::Dropped => return Ok(None),
        };
        let json = json.map_err(|error| CatalogError::Log(error.to_string()))?;
        Ok(Some(Bytes::from(json)))
    }
}

/// What the header of an alteration says.
const ALTERED: &str = "altered";

/// What an event was found to say of a name.
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) said: Said,
    /// What a new stream's partitions are created with.
    pub(crate) settings: StreamSettings,
}

pub(crate) enum Said {
    Defined(Definition),
    Altered(Alteration),
    Dropped,
}

/// The append that records a change.
pub(crate) fn append(
    name: &str,
    change: &Change<'_>,
    settings: &StreamSettings,
    principal: &str,
) -> Result<Append, CatalogError> {
    let value = change.value()?;
    let header = |name: &str, value: Vec<u8>| Header {
        name: name.to_owned(),
        value: Some(Bytes::from(value)),
    };
    let mut headers: Vec<Header> = vec![header(CHANGE_HEADER, change.word().into())];
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

/// Reads every definition event from the beginning. `fold` says why one cannot follow on those before it.
pub(crate) fn read_all(log: &EventLog, mut fold: impl FnMut(Found) -> Result<(), String>) -> Result<(), CatalogError> {
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
                    decode(&event)
                        .and_then(&mut fold)
                        .map_err(|why| refused(offset, &why))?;
                }
            }
            next = stored.batch.next_offset();
        }
    }
    Ok(())
}

fn refused(offset: u64, why: &str) -> CatalogError {
    CatalogError::Invalid(format!(
        "{CATALOG_STREAM}/0@{offset} is no definition this program knows: {why}; \
         open the data folder with the version that wrote it, or a newer one"
    ))
}

fn decode(event: &Event) -> Result<Found, String> {
    let key = event.key.as_deref().ok_or("it has no key")?;
    let name = std::str::from_utf8(key).map_err(|_| "its key is no UTF-8")?;
    let why = |error: serde_json::Error| error.to_string();
    let said = match event.value.as_deref() {
        None => Said::Dropped,
        Some(value) if header(event, CHANGE_HEADER) == Some(ALTERED.as_bytes()) => {
            Said::Altered(serde_json::from_slice(value).map_err(why)?)
        }
        Some(value) => Said::Defined(serde_json::from_slice(value).map_err(why)?),
    };
    let mut settings = StreamSettings::default();
    if let Some(json) = header(event, SETTINGS_HEADER) {
        let pairs: BTreeMap<String, String> = serde_json::from_slice(json).map_err(why)?;
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        settings = StreamSettings::of_pairs(pairs).map_err(|error| error.to_string())?;
    }
    Ok(Found {
        name: name.to_owned(),
        said,
        settings,
    })
}

fn header<'a>(event: &'a Event, name: &str) -> Option<&'a [u8]> {
    let found = event.headers.iter().find(|header| header.name == name)?;
    found.value.as_deref()
}
