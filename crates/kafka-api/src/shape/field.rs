//! What a body is made of.

/// What stands at one place of a body.
#[derive(Debug)]
pub(crate) enum Shape {
    /// So many bytes.
    Fixed(usize),
    /// A string with its length before it; it may be absent.
    Text,
    /// Bytes with their length before them; they may be absent.
    Blob,
    /// A count, and so many of these; it may be absent.
    Array(&'static Shape),
    /// One byte: 1 where this follows, any other where nothing does.
    Optional(&'static Shape),
    /// Fields one after another, then, in flexible versions, the tagged ones, of which these are known.
    Struct(&'static [Field], &'static [(u32, Shape)]),
}

/// One field of a struct, in the versions that have it.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) since: i16,
    pub(crate) until: i16,
    pub(crate) shape: Shape,
}
