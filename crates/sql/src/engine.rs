//! The engine: a statement in, rows or a tag out.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use headwater_catalog::Catalog;
use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_views::{GroupKey, Views};

use crate::SqlError;
use crate::statement::{Parsed, Question};

/// Answers statements. Clones share it.
#[derive(Clone)]
pub struct Engine {
    _inner: Arc<()>,
}

/// Bounds of the engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The most memory of all questions together, in bytes.
    pub memory_bytes_max: usize,
    /// The partitions of a new stream that does not say.
    pub partitions_default: u32,
    /// How long a read waits for a view (`after`) unless the session says otherwise.
    pub wait_max: Duration,
}

/// Who asks, and how.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Written beside every event this session appends.
    pub principal: String,
    /// Views are read only once they have got here.
    pub after: Option<Position>,
    /// How long the statement may take.
    pub timeout: Option<Duration>,
}

/// What a statement gives.
pub enum Outcome {
    /// Rows.
    Rows {
        /// Their columns.
        schema: SchemaRef,
        /// The rows.
        rows: SendableRecordBatchStream,
    },
    /// Done, with PostgreSQL's command tag (`INSERT 0 2`, `CREATE STREAM`).
    Done {
        /// The tag.
        tag: String,
        /// Up to where the log must be folded to see what was written, where something was.
        position: Option<Position>,
    },
}

/// What a statement takes and gives, before it runs.
#[derive(Debug, Clone)]
pub struct Described {
    /// The types of `$1`, `$2`, …; `None` where nothing says.
    pub parameters: Vec<Option<DataType>>,
    /// The columns of the answer; `None` where it gives no rows.
    pub columns: Option<SchemaRef>,
}

/// Runs `CALL`: implemented by the crate above, which knows commands.
#[async_trait]
pub trait CallHandler: Send + Sync {
    /// Calls a command with arguments in the order of its parameters. The rows: one for each event, `stream`, `partition`, `offset`, `event` (its JSON).
    async fn call(&self, session: &Session, command: &str, arguments: Vec<ScalarValue>) -> Result<(SchemaRef, SendableRecordBatchStream), SqlError>;
    /// The types of a command's parameters and the columns of the answer.
    fn describe(&self, command: &str) -> Result<Described, SqlError>;
    /// Checks a command's definition against what it names (streams, views, columns, types) without running it.
    async fn check(&self, command: &crate::statement::Command) -> Result<Vec<String>, SqlError>;
}

/// What a question read: the boundary of a command's decision.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    /// Each view read, up to where it stood, and the keys read; `None`: the whole view.
    pub views: Vec<(String, Position, Option<Vec<GroupKey>>)>,
    /// Each stream read, up to where.
    pub streams: Vec<(String, Position)>,
}

impl Engine {
    /// An engine over what is running.
    pub fn new(log: EventLog, catalog: Catalog, views: Views, options: EngineOptions) -> Engine {
        let _ = (log, catalog, views, options);
        todo!()
    }

    /// Names who runs `CALL`; once, at start.
    pub fn set_call_handler(&self, handler: Arc<dyn CallHandler>) {
        let _ = handler;
        todo!()
    }

    /// Starts every view that the catalog holds. The names and reasons of those that did not start come back.
    pub fn start_views(&self) -> Vec<(String, SqlError)> {
        todo!()
    }

    /// What is defined.
    pub fn catalog(&self) -> &Catalog {
        todo!()
    }

    /// The log.
    pub fn log(&self) -> &EventLog {
        todo!()
    }

    /// The running views.
    pub fn views(&self) -> &Views {
        todo!()
    }

    /// What a statement takes and gives.
    pub async fn describe(&self, session: &Session, parsed: &Parsed) -> Result<Described, SqlError> {
        let _ = (session, parsed);
        todo!()
    }

    /// Runs one statement. `parameters` are the values of `$1`, `$2`, …
    pub async fn execute(&self, session: &Session, parsed: &Parsed, parameters: &[ScalarValue]) -> Result<Outcome, SqlError> {
        let _ = (session, parsed, parameters);
        todo!()
    }

    /// Answers a question and says what it read, for a decision that must not be overtaken.
    pub async fn ask(
        &self,
        session: &Session,
        question: &Question,
        parameters: &[ScalarValue],
    ) -> Result<(SchemaRef, Vec<arrow::record_batch::RecordBatch>, Reads), SqlError> {
        let _ = (session, question, parameters);
        todo!()
    }
}
