//! What a statement takes and gives.

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use headwater_catalog::Defined;
use headwater_records::Position;

/// What a statement gives.
pub enum Outcome {
    /// Rows.
    Rows {
        /// Their columns.
        schema: SchemaRef,
        /// The rows.
        rows: SendableRecordBatchStream,
        /// Up to where the log must be folded to see what was written, where something was.
        position: Option<Position>,
        /// Up to where everything was seen of what they are made of, where that is known.
        seen: Option<Position>,
    },
    /// Done, with PostgreSQL's command tag (`INSERT 0 2`, `CREATE STREAM`).
    Done {
        /// The tag.
        tag: String,
        /// Up to where the log must be folded to see what was written, where something was.
        position: Option<Position>,
    },
    /// Done, and there is something to be said of it: PostgreSQL's notices.
    Told {
        /// The tag.
        tag: String,
        /// What is to be said, one thing each.
        notices: Vec<String>,
    },
}

/// What a statement takes and gives, before it runs.
#[derive(Debug, Clone)]
pub struct Described {
    /// The types of `$1`, `$2`, …; `None` where nothing says. What is cast to a uuid is called FixedSizeBinary(16), and given as
    /// what it is kept as, a text.
    pub parameters: Vec<Option<DataType>>,
    /// The columns of the answer; `None` where it gives no rows.
    pub columns: Option<SchemaRef>,
}

/// What [`crate::Engine::apply`] did with one definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// `stream`, `view` or `command`.
    pub noun: &'static str,
    /// Its name.
    pub name: String,
    /// What was done.
    pub defined: Defined,
}
