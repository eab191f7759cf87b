//! What a decision comes to: the events that it would append, or its refusal.

use datafusion::arrow::record_batch::RecordBatch;
use headwater_catalog::Codec;
use headwater_records::Event;

use crate::error::Refused;

/// What a try comes to.
pub(crate) enum Verdict {
    /// This is to be appended.
    Append(Proposal),
    /// A REQUIRE said no.
    Refused(Refused),
}

/// What a command would do, in one step.
#[derive(Default)]
pub(crate) struct Proposal {
    pub(crate) made: Vec<Made>,
    /// The schedules to be cancelled, where they wait.
    pub(crate) cancelled: Vec<String>,
}

/// When the events of an output are due, and what that is cancelled by.
pub(crate) struct Due {
    pub(crate) due_us: i64,
    pub(crate) name: String,
}

/// The events of one output.
pub(crate) struct Made {
    /// `None`: at once.
    pub(crate) due: Option<Due>,
    pub(crate) stream: String,
    pub(crate) partitions: u32,
    pub(crate) events: Vec<Event>,
    /// The rows that they are, in the stream's columns.
    pub(crate) rows: RecordBatch,
    /// What shows the events' values.
    pub(crate) codec: Codec,
}

impl Made {
    /// What an answer shows of one of its values.
    pub(crate) fn shown(&self, value: &[u8]) -> String {
        let document = self.codec.document(value, self.codec.now());
        document.unwrap_or_else(|| String::from_utf8_lossy(value).into_owned())
    }
}
