//! What is wrong with a statement, where, and what to do.

use std::fmt;

/// A place in a text: file, line and column, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file; empty where the statement came over a wire.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
}

/// A SQLSTATE of five characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlState(pub &'static str);

impl SqlState {
    /// syntax_error
    pub const SYNTAX: SqlState = SqlState("42601");
    /// feature_not_supported
    pub const NOT_SUPPORTED: SqlState = SqlState("0A000");
    /// undefined_table
    pub const UNKNOWN_TABLE: SqlState = SqlState("42P01");
    /// undefined_column
    pub const UNKNOWN_COLUMN: SqlState = SqlState("42703");
    /// undefined_function, also an unknown command
    pub const UNKNOWN_FUNCTION: SqlState = SqlState("42883");
    /// duplicate_table
    pub const EXISTS: SqlState = SqlState("42P07");
    /// dependent_objects_still_exist
    pub const NEEDED: SqlState = SqlState("2BP01");
    /// invalid_object_definition
    pub const INVALID_DEFINITION: SqlState = SqlState("42P17");
    /// datatype_mismatch
    pub const TYPE_MISMATCH: SqlState = SqlState("42804");
    /// not_null_violation
    pub const NOT_NULL: SqlState = SqlState("23502");
    /// numeric_value_out_of_range
    pub const OUT_OF_RANGE: SqlState = SqlState("22003");
    /// invalid_text_representation
    pub const INVALID_TEXT: SqlState = SqlState("22P02");
    /// check_violation: a command's REQUIRE said no
    pub const REFUSED: SqlState = SqlState("23514");
    /// query_canceled: a time limit
    pub const CANCELED: SqlState = SqlState("57014");
    /// disk_full: nothing is appended until there is room
    pub const DISK_FULL: SqlState = SqlState("53100");
    /// io_error: the log stopped writing
    pub const IO: SqlState = SqlState("58030");
    /// system_error: a view that is asked stopped, or did not start
    pub const STOPPED: SqlState = SqlState("58000");
    /// ambiguous_column
    pub const AMBIGUOUS: SqlState = SqlState("42702");
    /// It is there, and something else than what was asked of it.
    pub const WRONG_OBJECT: SqlState = SqlState("42809");
    /// duplicate_column
    pub const DUPLICATE_COLUMN: SqlState = SqlState("42701");
    /// grouping_error
    pub const GROUPING: SqlState = SqlState("42803");
    /// insufficient_privilege: what only the program itself may write
    pub const NOT_ALLOWED: SqlState = SqlState("42501");
    /// division_by_zero
    pub const DIVISION_BY_ZERO: SqlState = SqlState("22012");
    /// data_exception
    pub const DATA: SqlState = SqlState("22000");
    /// cardinality_violation
    pub const CARDINALITY: SqlState = SqlState("21000");
    /// snapshot_too_old: what a question asks for is no longer kept
    pub const EXPIRED: SqlState = SqlState("72000");
    /// An INSERT's condition does not hold: of our own class, as PostgreSQL has none for it.
    pub const CONDITION_FAILED: SqlState = SqlState("HW412");
    /// object_not_in_prerequisite_state: the stream has no entity index, or nothing in it of what is asked
    pub const NOT_INDEXED: SqlState = SqlState("55000");
    /// serialization_failure: something came in between
    pub const CONFLICT: SqlState = SqlState("40001");
    /// out_of_memory
    pub const OUT_OF_MEMORY: SqlState = SqlState("53200");
    /// program_limit_exceeded
    pub const TOO_LARGE: SqlState = SqlState("54000");
    /// statement_too_complex
    pub const TOO_COMPLEX: SqlState = SqlState("54001");
    /// cannot_connect_now, used for a view that is still being built
    pub const NOT_READY: SqlState = SqlState("57P03");
    /// invalid_parameter_value: an argument of a command
    pub const INVALID_PARAMETER: SqlState = SqlState("22023");
    /// undefined_object: a setting
    pub const UNKNOWN_SETTING: SqlState = SqlState("42704");
    /// protocol_violation: as many values as parameters are needed
    pub const PARAMETERS: SqlState = SqlState("08P01");
    /// internal_error
    pub const INTERNAL: SqlState = SqlState("XX000");
}

/// A statement that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// The SQLSTATE.
    pub state: SqlState,
    /// What happened and why.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Of a command's refusal: the word that programs tell it by.
    pub code: Option<Box<str>>,
    /// More about what happened: what came in between.
    pub detail: Option<Box<str>>,
    /// Where; in a box, as a result carries this around.
    pub at: Option<Box<Place>>,
}

impl SqlError {
    /// An error without a place or a hint.
    pub fn new(state: SqlState, message: impl Into<String>) -> SqlError {
        SqlError {
            state,
            message: message.into(),
            hint: None,
            code: None,
            detail: None,
            at: None,
        }
    }

    /// With what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }

    /// With the code of a refusal.
    pub fn code(mut self, code: impl Into<Box<str>>) -> SqlError {
        self.code = Some(code.into());
        self
    }

    /// With more about what happened.
    pub fn detail(mut self, detail: impl Into<Box<str>>) -> SqlError {
        self.detail = Some(detail.into());
        self
    }

    /// Whether a view that did not start for it is tried again: its storage did not answer, or had no room.
    pub(crate) fn is_passing(&self) -> bool {
        [SqlState::NOT_READY, SqlState::DISK_FULL].contains(&self.state)
    }

    /// With a place, where it has none yet.
    pub fn at(mut self, place: Place) -> SqlError {
        self.at.get_or_insert_with(|| Box::new(place));
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            match at.file.is_empty() {
                true => write!(f, "line {}, column {}: ", at.line, at.column)?,
                false => write!(f, "{}:{}:{}: ", at.file, at.line, at.column)?,
            }
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SqlError {}
