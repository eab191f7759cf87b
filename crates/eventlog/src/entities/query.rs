//! What can be asked of entity indexes, what is answered, and why it is not.

use std::sync::Arc;

use bytes::Bytes;
use headwater_records::{Address, Event, Position, Version};

use crate::entities::facets::EventFacets;
use crate::error::ReadError;

/// Events that have all of this in common. A query is a list of items: an event matches it where it matches one of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct QueryItem {
    /// The stream; `None`: every stream that has an entity index.
    pub stream: Option<String>,
    /// The event is of one of these kinds; none: of any kind, or of no kind.
    pub kinds: Vec<String>,
    /// The event is of the entity of this key: its own is this, or its columns make this; `None`: any, or none.
    pub key: Option<Bytes>,
    /// The event's own key is this, whatever its columns say; `None`: any, or none.
    pub own_key: Option<Bytes>,
    /// The event has all of these tags.
    pub tags: Vec<String>,
}

impl QueryItem {
    /// Whether an event of a stream with this key and these facets has all of it.
    pub fn matches(&self, stream: &str, key: Option<&[u8]>, facets: &EventFacets) -> bool {
        let in_stream = self.stream.as_deref().is_none_or(|wanted| wanted == stream);
        let is_own = |wanted: &Bytes| key == Some(wanted.as_ref());
        let of_entity = self
            .key
            .as_ref()
            .is_none_or(|wanted| is_own(wanted) || facets.make(wanted));
        let has_own = self.own_key.as_ref().is_none_or(is_own);
        let is_kind = |kind: &String| self.kinds.contains(kind);
        let of_kind = self.kinds.is_empty() || facets.kind.as_ref().is_some_and(is_kind);
        in_stream && of_entity && has_own && of_kind && self.tags.iter().all(|tag| facets.tags.contains(tag))
    }
}

/// In which order events are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The oldest first.
    Forward,
    /// The newest first.
    Backward,
}

/// One event that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEvent {
    /// Where it stands.
    pub address: Address,
    /// When it was appended, microseconds since 1970.
    pub appended_at_us: i64,
    /// By whom.
    pub principal: Arc<str>,
    /// The event.
    pub event: Event,
}

/// Some of an entity's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityPage {
    /// The events, in the order asked for.
    pub events: Vec<FoundEvent>,
    /// The entity's version: its last event, on whichever page that is; `None` where it has no events.
    pub version: Option<Version>,
    /// Where the next page begins; `None` where this is the last.
    pub next: Option<Version>,
}

/// Some of the events that match a query, in the order in which they were appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// The events.
    pub events: Vec<FoundEvent>,
    /// Every event below that matches was given, here or on a page before.
    pub position: Position,
    /// Whether there are more.
    pub more: bool,
    /// Where what is kept begins, of the partitions that have lost their first events: whether one of those matched nobody knows any more.
    pub gone_before: Position,
}

/// Why something was not asked. Nothing was appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// There is no such stream.
    #[error("there is no stream '{stream}'")]
    UnknownStream {
        /// The stream.
        stream: String,
    },
    /// The stream has fewer partitions.
    #[error("stream '{stream}' has {partitions} partition(s), there is none with the number {partition}")]
    UnknownPartition {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// The stream has no entity index.
    #[error(
        "stream '{stream}' has no entity index, so that the events of one key cannot be found: one of yours gets it by ALTER STREAM {stream} SET (entities = 'indexed')"
    )]
    NotIndexed {
        /// The stream.
        stream: String,
    },
    /// Kinds or tags of a stream that has none.
    #[error("stream '{stream}' declares no {what}, so that its events have none: declare them, or ask by key")]
    NoFacets {
        /// The stream.
        stream: String,
        /// What it does not declare.
        what: &'static str,
    },
    /// A tag that no event can have: it would match nothing for ever, and most likely it is misspelt.
    #[error(
        "no event can have the tag '{tag}': a tag is column:value, of a column that the stream declares in TAGS, and {declared}"
    )]
    UnknownTag {
        /// The tag.
        tag: String,
        /// What is declared, in words.
        declared: String,
    },
    /// A kind or a tag whose value does not fit its column: it would match nothing for ever, too.
    #[error("no event can have the {what} '{term}': the column is {column_type}")]
    UnfitTerm {
        /// Kind, or tag.
        what: &'static str,
        /// What was asked for.
        term: String,
        /// The column's type.
        column_type: String,
    },
    /// An item that speaks of every stream speaks of none.
    #[error(
        "no stream that has an entity index declares {what}, so that no event could ever match: declare it, or ALTER STREAM … SET (entities = 'indexed')"
    )]
    NowhereIndexed {
        /// What none declares.
        what: &'static str,
    },
    /// The position is beyond the end.
    #[error("{stream}/{partition} ends at {end}: there is no position {offset} yet")]
    Beyond {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
        /// The offset asked about.
        offset: u64,
        /// The next offset to be given out.
        end: u64,
    },
    /// Events behind the position are no longer kept: nobody can say whether they matched.
    #[error(
        "{stream}/{partition} no longer keeps every event from {offset} on, but from {kept_from} on: read again, and decide on that"
    )]
    Gone {
        /// The stream.
        stream: String,
        /// The partition.
        partition: u32,
        /// The offset asked about.
        offset: u64,
        /// From here on every event is kept.
        kept_from: u64,
    },
    /// More is asked than is answered.
    #[error("{0}")]
    TooLarge(String),
    /// The index is being built: it is new, was missing, or what it is about changed.
    #[error("the entity index of stream '{stream}' is being built, {percent} % are done: try again later")]
    Building {
        /// The stream.
        stream: String,
        /// How far it is.
        percent: u8,
    },
    /// The log or the index cannot be read.
    #[error("it cannot be looked up: {0}")]
    Unreadable(#[from] ReadError),
}

impl QueryError {
    /// One word for machines; it never changes.
    pub fn code(&self) -> &'static str {
        match self {
            QueryError::UnknownStream { .. } => "unknown_stream",
            QueryError::UnknownPartition { .. } => "unknown_partition",
            QueryError::NotIndexed { .. } | QueryError::NowhereIndexed { .. } => "not_indexed",
            QueryError::NoFacets { .. } => "no_facets",
            QueryError::UnknownTag { .. } => "unknown_tag",
            QueryError::UnfitTerm { .. } => "unfit_term",
            QueryError::Beyond { .. } => "position_beyond_end",
            QueryError::Gone { .. } => "position_gone",
            QueryError::TooLarge(_) => "query_too_large",
            QueryError::Building { .. } => "index_building",
            QueryError::Unreadable(_) => "unreadable",
        }
    }
}
