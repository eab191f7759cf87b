//! How much of a segment's files counts: what the checkpoint says of it.

/// One closed or growing run of batches on the disk: how much of its files counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The first offset; with the generation also the name of the files.
    pub(crate) base: u64,
    /// How often it was written anew.
    pub(crate) generation: u32,
    /// Whether nothing is written behind its end any more.
    pub(crate) closed: bool,
    /// The offset after the last event.
    pub(crate) end: u64,
    /// Bytes of batches.
    pub(crate) bytes: u64,
    /// Batches, which is entries of the index.
    pub(crate) entries: u64,
    /// When its first batch was appended.
    pub(crate) appended_at_us_first: i64,
    /// When its last batch was appended.
    pub(crate) appended_at_us_last: i64,
    /// The largest timestamp of a writer in it.
    pub(crate) timestamp_ms_max: i64,
    /// Ranges that were taken back and whose markers are in it.
    pub(crate) aborted: u64,
}

impl Segment {
    /// A segment that holds nothing yet.
    pub(crate) fn new(base: u64, generation: u32) -> Segment {
        Segment {
            base,
            generation,
            closed: false,
            end: base,
            bytes: 0,
            entries: 0,
            appended_at_us_first: i64::MAX,
            appended_at_us_last: i64::MIN,
            timestamp_ms_max: i64::MIN,
            aborted: 0,
        }
    }
}
