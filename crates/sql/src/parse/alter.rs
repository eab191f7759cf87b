//! `ALTER STREAM name SET (setting = value, …)` and `RESET (setting, …)`.

use headwater_eventlog::{SETTING_NAMES, StreamSettings};

use super::cursor::Cursor;
use super::source::Source;
use super::{refused, settings};
use crate::statement::Statement;
use crate::{SqlError, SqlState};

/// Reads the whole statement.
pub(super) fn alter(cursor: &mut Cursor, _source: &Source) -> Result<Statement, SqlError> {
    if !cursor.are_words(&["ALTER", "STREAM"]) {
        return Err(refused::statement(cursor));
    }
    cursor.take_words(&["ALTER", "STREAM"]);
    let name = cursor.object_name("the stream's name")?;
    let mut set: Box<StreamSettings> = Box::default();
    let mut reset: Vec<String> = Vec::new();
    if cursor.take_word("SET") {
        cursor.bracketed(|cursor| set_one(cursor, &mut set))?;
    } else if cursor.take_word("RESET") {
        cursor.bracketed(|cursor| {
            reset.push(reset_one(cursor)?);
            Ok(())
        })?;
    } else {
        return Err(cursor
            .expected("SET or RESET")
            .hint("CREATE OR REPLACE puts a new definition in the place of the old one; a stream may get nullable columns at the end"));
    }
    cursor.expect_end()?;
    Ok(Statement::AlterStream { name, set, reset })
}

fn set_one(cursor: &mut Cursor, set: &mut StreamSettings) -> Result<(), SqlError> {
    let start = cursor.clone();
    let option = cursor.name("the name of a setting")?.value;
    let name = settings::setting_name(&option);
    if set.get(name).is_some() {
        return Err(start.error(SqlState::SYNTAX, format!("setting '{option}' is there twice")));
    }
    match settings::set(cursor, &option, set)? {
        true => Ok(()),
        false => Err(refuse(&start, &option)),
    }
}

fn reset_one(cursor: &mut Cursor) -> Result<String, SqlError> {
    let start = cursor.clone();
    let option = cursor.name("the name of a setting")?.value;
    let name = settings::setting_name(&option);
    match SETTING_NAMES.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(refuse(&start, &option)),
    }
}

fn refuse(at: &Cursor, option: &str) -> SqlError {
    let error = at.error(
        SqlState::SYNTAX,
        format!("'{option}' is no setting that can be altered"),
    );
    error.hint(format!("the settings are {}", settings::names()))
}
