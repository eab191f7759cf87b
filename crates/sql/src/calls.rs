//! `CALL`, as the engine sees it: what it hands to the crate above, which knows commands.

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;

use crate::{Session, SqlError};

/// What `CALL` says of one argument.
#[derive(Debug, Clone, PartialEq)]
pub struct CallArgument {
    /// The parameter, where it is named.
    pub name: Option<String>,
    /// The value.
    pub value: ScalarValue,
}

/// What a command takes and gives.
#[derive(Debug, Clone)]
pub struct DescribedCall {
    /// Name and type of each parameter, in order.
    pub parameters: Vec<(String, DataType)>,
    /// The columns of the answer.
    pub columns: SchemaRef,
}

/// A call as a statement makes it.
pub struct Call<'a> {
    /// Who calls.
    pub session: &'a Session,
    /// The command.
    pub command: &'a str,
    /// What is said of its arguments.
    pub arguments: Vec<CallArgument>,
    /// What makes a retry the same call.
    pub idempotency_key: Option<String>,
}

/// Runs `CALL`: implemented by the crate above, which knows commands.
#[async_trait]
pub trait CallHandler: Send + Sync {
    /// Calls a command. The rows: one for each event, `stream`, `partition`, `offset`, `event` (its JSON).
    async fn call(&self, call: Call<'_>) -> Result<(SchemaRef, SendableRecordBatchStream), SqlError>;
    /// What a call would do and why, for people line by line or as one JSON document; nothing is appended.
    async fn explain(&self, call: Call<'_>, json: bool) -> Result<String, SqlError>;
    /// A command's parameters and the columns of the answer.
    fn describe(&self, command: &str) -> Result<DescribedCall, SqlError>;
    /// Checks a command's definition against what it names (streams, views, columns, types) without running it.
    async fn check(&self, command: &crate::syntax::Command) -> Result<Vec<String>, SqlError>;
}
