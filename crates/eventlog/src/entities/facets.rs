//! What an event is about, beside its key: asked of whoever knows what the bytes mean.

use headwater_records::Event;

/// Says of each event of one stream its kind and its tags. Asked outside of every lock; it must not block.
pub trait Facets: Send + Sync {
    /// The same number where the same is said of every event. Where it differs from the one that an index was built with, the index is built again.
    fn fingerprint(&self) -> u64;

    /// What an event is about. One that cannot be read has neither kind nor tags.
    fn of(&self, event: &Event) -> EventFacets;

    /// Whether events may have kinds and tags at all, so that they can be asked for.
    fn has_tags(&self) -> bool {
        true
    }

    /// A kind that somebody asks for, as it stands in [`EventFacets`].
    fn kind(&self, written: &str) -> Result<String, NoSuchTerm> {
        Ok(written.to_owned())
    }

    /// A tag that somebody asks for, as it stands in [`EventFacets`].
    fn tag(&self, written: &str) -> Result<String, NoSuchTerm> {
        Ok(written.to_owned())
    }
}

/// Why no event can have a kind or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSuchTerm {
    /// It is of none of the columns that make tags, which are these.
    Undeclared(Vec<String>),
    /// The column has values of another type, which is this.
    Unfit(String),
}

/// What one event is about, beside its own key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFacets {
    /// What happened: one word of those that the stream uses.
    pub kind: Option<String>,
    /// What it happened to, for example `course:c1`.
    pub tags: Vec<String>,
    /// The key that its columns make, where its own is another: whoever wrote it chose that, or gave none. Several where it can be read in several ways.
    pub keys: Vec<String>,
}

impl EventFacets {
    /// Whether its columns make this key, though its own is another.
    pub(crate) fn make(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|made| made.as_bytes() == key)
    }
}
