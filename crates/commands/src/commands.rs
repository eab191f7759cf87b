//! Calling a command.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::ScalarValue;
use headwater_records::{Address, Position};
use headwater_sql::{Engine, Session, SqlError};

/// Decides commands. Clones share it.
#[derive(Clone)]
pub struct Commands {
    _inner: Arc<()>,
}

/// Bounds of deciding.
#[derive(Debug, Clone)]
pub struct CommandsOptions {
    /// How long one decision may take, waiting for views and retries included.
    pub decide_max: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency_ttl: Duration,
}

/// The arguments of a call.
#[derive(Debug, Clone)]
pub enum Arguments {
    /// In the order of the parameters.
    Positional(Vec<ScalarValue>),
    /// By name, from JSON.
    Named(serde_json::Map<String, serde_json::Value>),
}

/// One event that a command appended.
#[derive(Debug, Clone, PartialEq)]
pub struct AppendedEvent {
    /// Where it stands.
    pub address: Address,
    /// Its value.
    pub value: serde_json::Value,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandOutcome {
    /// The events, in order.
    pub events: Vec<AppendedEvent>,
    /// The position just after them: what a reader waits for.
    pub position: Position,
    /// When they were appended, microseconds since 1970.
    pub appended_at_us: i64,
    /// Whether this is the answer to an earlier call with the same idempotency key.
    pub repeated: bool,
}

/// Why a command appended nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// There is no such command.
    #[error("there is no command '{0}'; SHOW COMMANDS lists them")]
    Unknown(String),
    /// An argument is missing, unknown or of the wrong type.
    #[error("{0}")]
    Arguments(String),
    /// A `REQUIRE` said no: its ELSE text.
    #[error("{0}")]
    Refused(String),
    /// The idempotency key was used with other arguments.
    #[error("the idempotency key was used before with other arguments: use a new key for a new request")]
    KeyReused,
    /// It did not get through in time; nothing was appended.
    #[error("the command was not decided within {0} ms; nothing was appended, try again")]
    Late(u64),
    /// A question of the command failed.
    #[error("{0}")]
    Sql(#[from] SqlError),
    /// The log did not take the events.
    #[error("{0}")]
    Log(String),
}

impl Commands {
    /// Decides over what the engine knows, and becomes its call handler. Folds the remembered idempotency keys from the log (blocking).
    pub fn open(engine: Engine, options: CommandsOptions) -> Result<Commands, CommandError> {
        let _ = (engine, options);
        todo!()
    }

    /// Calls a command.
    pub async fn call(
        &self,
        session: &Session,
        command: &str,
        arguments: Arguments,
        idempotency_key: Option<&str>,
    ) -> Result<CommandOutcome, CommandError> {
        let _ = (session, command, arguments, idempotency_key);
        todo!()
    }
}
