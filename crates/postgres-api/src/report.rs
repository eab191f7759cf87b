//! What a client is told when something goes wrong.

use headwater_sql::{Place, SqlError, SqlState};

use crate::wire::output::Report;

/// in_failed_sql_transaction
pub(crate) const FAILED_TRANSACTION: SqlState = SqlState("25P02");
/// protocol_violation
pub(crate) const PROTOCOL: SqlState = SqlState("08P01");
/// invalid_sql_statement_name
pub(crate) const UNKNOWN_STATEMENT: SqlState = SqlState("26000");
/// invalid_cursor_name
pub(crate) const UNKNOWN_PORTAL: SqlState = SqlState("34000");
/// duplicate_prepared_statement
pub(crate) const STATEMENT_EXISTS: SqlState = SqlState("42P05");
/// duplicate_cursor
pub(crate) const CURSOR_EXISTS: SqlState = SqlState("42P03");
/// no_active_sql_transaction
pub(crate) const NO_TRANSACTION: SqlState = SqlState("25P01");
/// program_limit_exceeded
pub(crate) const LIMIT: SqlState = SqlState("54000");
/// too_many_connections
pub(crate) const TOO_MANY_CONNECTIONS: SqlState = SqlState("53300");
/// admin_shutdown
pub(crate) const SHUTDOWN: SqlState = SqlState("57P01");
/// idle_session_timeout
pub(crate) const IDLE: SqlState = SqlState("57P05");
/// invalid_parameter_value
pub(crate) const INVALID_SETTING: SqlState = SqlState("22023");

/// What PostgreSQL says of a prepared statement whose columns have changed, and the routine of it that says so: drivers know both, and prepare the statement again.
pub(crate) const OTHER_COLUMNS: &str = "cached plan must not change result type";
const OTHER_COLUMNS_ROUTINE: &str = "RevalidateCachedQuery";

/// What psql's `\d` and tools that look around are told.
const OWN_CATALOG_HINT: &str = "of PostgreSQL\'s own catalog only what clients ask most is there: SHOW TABLES, SHOW VIEWS and DESCRIBE name say what is defined";

/// The error of a statement, placed in the text that the client sent.
pub(crate) fn error(text: &str, error: &SqlError) -> Report {
    let own_catalog = error.state == SqlState::UNKNOWN_TABLE
        && ["'pg_", "'information_schema.", "\"pg_", "\"information_schema."]
            .iter()
            .any(|name| error.message.contains(name));
    let hint = match own_catalog {
        true => Some(OWN_CATALOG_HINT.to_owned()),
        false => error.hint.clone(),
    };
    Report {
        severity: "ERROR",
        state: error.state.0.to_owned(),
        message: error.message.clone(),
        hint,
        detail: match (&error.detail, &error.code) {
            (Some(detail), _) => Some(detail.to_string()),
            (None, code) => code.as_ref().map(|code| format!("The code of the refusal is {code}.")),
        },
        constraint: error.code.as_deref().map(str::to_owned),
        position: error.at.as_ref().and_then(|place| character(text, place)),
    }
}

/// The routine that drivers look for.
pub(crate) fn routine(report: &Report) -> Option<&'static str> {
    (report.message == OTHER_COLUMNS).then_some(OTHER_COLUMNS_ROUTINE)
}

/// An error that ends the connection.
pub(crate) fn fatal(state: SqlState, message: impl Into<String>) -> Report {
    Report {
        severity: "FATAL",
        state: state.0.to_owned(),
        message: message.into(),
        hint: None,
        detail: None,
        constraint: None,
        position: None,
    }
}

/// What is worth knowing beside an answer.
pub(crate) fn notice(message: &str) -> Report {
    Report {
        severity: "NOTICE",
        ..warning("00000", message, None)
    }
}

/// A warning beside an answer.
pub(crate) fn warning(state: &str, message: &str, hint: Option<&str>) -> Report {
    Report {
        severity: "WARNING",
        state: state.to_owned(),
        message: message.to_owned(),
        hint: hint.map(str::to_owned),
        detail: None,
        constraint: None,
        position: None,
    }
}

/// The number of the character at a line and column, all from 1; `None` where the place is not in the text.
fn character(text: &str, place: &Place) -> Option<u64> {
    if !place.file.is_empty() || place.line == 0 || place.column == 0 {
        return None;
    }
    let mut before: u64 = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let characters = line.chars().count() as u64;
        if index as u64 + 1 == place.line {
            return (place.column <= characters + 1).then_some(before + place.column);
        }
        before += characters;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_the_own_catalog_is_told_what_to_ask_instead() {
        for (name, told) in [
            ("pg_catalog.pg_nothing", true),
            ("information_schema.nothing", true),
            ("nowhere", false),
        ] {
            let unknown = SqlError::new(SqlState::UNKNOWN_TABLE, format!("there is no stream or view '{name}'"));
            assert_eq!(
                error("", &unknown).hint.as_deref() == Some(OWN_CATALOG_HINT),
                told,
                "{name}"
            );
        }
    }

    #[test]
    fn places_become_characters() {
        let text = "SELECT 1;\nSELECT 'é', x\nFROM t";
        for (line, column, expected) in [
            (1, 1, Some(1)),
            (2, 8, Some(18)),
            (2, 13, Some(23)),
            (3, 6, Some(30)),
            (3, 7, Some(31)),
            (3, 8, None),
            (4, 1, None),
            (0, 1, None),
        ] {
            let place = Place {
                file: String::new(),
                line,
                column,
            };
            assert_eq!(character(text, &place), expected, "{line}:{column}");
        }
    }
}
