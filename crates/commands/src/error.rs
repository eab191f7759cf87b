//! Why a command appended nothing, each with a code that programs compare.

use headwater_eventlog::AppendError;
use headwater_sql::{SqlError, SqlState};
use tokio::task::JoinError;

/// Why a command appended nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// There is no such command.
    #[error("there is no command '{0}'; SHOW COMMANDS lists them")]
    Unknown(String),
    /// An argument is missing, unknown, or not what the parameter takes.
    #[error("{0}")]
    Arguments(ArgumentFault),
    /// A `REQUIRE` said no.
    #[error("{}", .0.text)]
    Refused(Refused),
    /// The idempotency key was used with other arguments.
    #[error("the idempotency key was used before with other arguments: use a new key for a new request")]
    KeyReused,
    /// A call with this key took effect, and what it appended is not kept any more, so that its answer cannot be given again.
    #[error("a call with this idempotency key took effect, and its events are not kept any more: it is not made again")]
    AnswerGone,
    /// More keys are remembered than there is room for.
    #[error(
        "{0} idempotency keys are remembered, as many as there is room for: ask again when the oldest have had their time, or without a key"
    )]
    KeysFull(usize),
    /// More calls wait than there is room for.
    #[error("{0} calls wait to be decided, as many as there is room for: nothing was appended, try again in a moment")]
    Busy(usize),
    /// It did not get through in time; nothing was appended.
    #[error("the command was not decided within {0} ms; nothing was appended, try again")]
    Late(u64),
    /// A question of the command failed.
    #[error("{0}")]
    Sql(#[from] SqlError),
    /// The log did not take the events.
    #[error("{0}")]
    Append(#[from] AppendError),
    /// The log cannot be read or written.
    #[error("{0}")]
    Log(String),
    /// The program panicked over it.
    #[error("the command broke off inside of the program, which is a fault of the program: its log says where")]
    BrokeOff,
}

/// A `REQUIRE` that said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its ELSE text, with the values in it.
    pub text: String,
    /// Its CODE, where it has one.
    pub code: Option<String>,
}

/// What is wrong with the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ArgumentFault {
    /// What kind of fault it is.
    pub code: &'static str,
    /// The parameter, where it is one's.
    pub parameter: Option<String>,
    /// What happened and what to do.
    pub message: String,
}

impl ArgumentFault {
    /// Something is wrong with the arguments as a whole.
    pub(crate) fn whole(code: &'static str, message: impl Into<String>) -> CommandError {
        CommandError::Arguments(ArgumentFault {
            code,
            parameter: None,
            message: message.into(),
        })
    }

    /// Something is wrong with one argument.
    pub(crate) fn of(code: &'static str, parameter: &str, message: impl Into<String>) -> CommandError {
        CommandError::Arguments(ArgumentFault {
            code,
            parameter: Some(parameter.to_owned()),
            message: message.into(),
        })
    }
}

/// The code of a refusal that has none of its own.
pub const REFUSED_CODE: &str = "refused";

/// The code of an idempotency key that was used before with something else.
pub const KEY_REUSED_CODE: &str = "idempotency_key_reused";

/// The code of a refusal of a command that makes a schedule whose name is taken.
pub const SCHEDULE_EXISTS_CODE: &str = "schedule_exists";

/// The codes of a call whose values do not go through.
pub const UNFIT_CODES: [&str; 6] = [
    "check_failed",
    "missing_value",
    INVALID_VALUE_CODE,
    "out_of_range",
    "division_by_zero",
    "several_rows",
];

const INVALID_VALUE_CODE: &str = "invalid_value";

/// Whether a call is answered with this code for reasons of the program's own: a REQUIRE that had it could not be told from them.
pub(crate) fn is_own_code(code: &str) -> bool {
    let others = [KEY_REUSED_CODE, SCHEDULE_EXISTS_CODE];
    UNFIT_CODES.contains(&code) || others.contains(&code)
}

impl CommandError {
    /// The word that programs tell it by; `docs/http.md` lists them.
    pub fn code(&self) -> &str {
        match self {
            CommandError::Unknown(_) => "unknown_command",
            CommandError::Arguments(fault) => fault.code,
            CommandError::Refused(refused) => refused.code.as_deref().unwrap_or(REFUSED_CODE),
            CommandError::KeyReused => KEY_REUSED_CODE,
            CommandError::AnswerGone => "answer_gone",
            CommandError::KeysFull(_) => "idempotency_keys_full",
            CommandError::Busy(_) => "too_many_calls",
            CommandError::Late(_) => "not_decided_in_time",
            CommandError::Sql(error) => sql_code(error.state),
            CommandError::Append(AppendError::Full { .. }) => "disk_full",
            CommandError::Append(AppendError::TooLarge { .. }) => "too_large",
            CommandError::Append(_) | CommandError::Log(_) => "log_unavailable",
            CommandError::BrokeOff => "internal",
        }
    }
}

/// What a question's SQLSTATE means to who called a command.
fn sql_code(state: SqlState) -> &'static str {
    const CODES: [(SqlState, &str); 12] = [
        (SqlState::DIVISION_BY_ZERO, "division_by_zero"),
        (SqlState::OUT_OF_RANGE, "out_of_range"),
        (SqlState::INVALID_TEXT, INVALID_VALUE_CODE),
        (SqlState::NOT_NULL, "missing_value"),
        (SqlState::CARDINALITY, "several_rows"),
        (SqlState::NOT_READY, "view_building"),
        (SqlState::CANCELED, "not_decided_in_time"),
        (SqlState::TOO_LARGE, "too_large"),
        (SqlState::OUT_OF_MEMORY, "out_of_memory"),
        (SqlState::IO, "log_unavailable"),
        (SqlState::STOPPED, "view_stopped"),
        (SqlState::INTERNAL, "internal"),
    ];
    let known = CODES.iter().find(|(known, _)| *known == state);
    // Of the classes of cardinality, data and constraints: the values are at fault, and not the definition.
    let is_of_values = ["21", "22", "23"].iter().any(|class| state.0.starts_with(class));
    match known {
        Some((_, code)) => code,
        None if is_of_values => INVALID_VALUE_CODE,
        None => "definition_failed",
    }
}

impl From<JoinError> for CommandError {
    /// Its task ended without an outcome: it panicked, or the program is stopping.
    fn from(join: JoinError) -> CommandError {
        match join.is_panic() {
            true => CommandError::BrokeOff,
            false => CommandError::Log(join.to_string()),
        }
    }
}

impl From<CommandError> for SqlError {
    fn from(error: CommandError) -> SqlError {
        let message = error.to_string();
        let code = error.code().to_owned();
        let state = match error {
            CommandError::Unknown(_) => SqlState::UNKNOWN_FUNCTION,
            CommandError::Arguments(_) | CommandError::KeyReused => SqlState::INVALID_PARAMETER,
            CommandError::Refused(_) => SqlState::REFUSED,
            CommandError::AnswerGone => SqlState::EXPIRED,
            CommandError::Late(_) => SqlState::CANCELED,
            CommandError::KeysFull(_) | CommandError::Busy(_) => SqlState::OUT_OF_MEMORY,
            CommandError::Sql(error) => return error,
            CommandError::Append(error) => return error.into(),
            CommandError::Log(_) => SqlState::IO,
            CommandError::BrokeOff => SqlState::INTERNAL,
        };
        SqlError::new(state, message).code(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_the_values_has_a_code_of_them() {
        for state in [
            "21000", "22000", "22003", "22012", "22023", "22030", "22P02", "23502", "23514",
        ] {
            let code = sql_code(SqlState(state));
            assert!(UNFIT_CODES.contains(&code), "{state}: {code}");
        }
        for (state, code) in [
            ("42883", "definition_failed"),
            ("57P03", "view_building"),
            ("54000", "too_large"),
        ] {
            assert_eq!(sql_code(SqlState(state)), code);
        }
    }
}
