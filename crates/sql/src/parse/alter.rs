//! `ALTER STREAM [IF EXISTS] name …`: its settings (`SET (…)`, `RESET (…)`), or its schema; `ALTER MATERIALIZED VIEW [IF EXISTS] name REBUILD`.

use headwater_eventlog::{SETTING_NAMES, StreamSettings};

use super::cursor::Cursor;
use super::source::Source;
use super::{alter_schema, refused, settings};
use crate::syntax::{Name, Statement};
use crate::{SqlError, SqlState};

/// Reads the whole statement.
pub(super) fn alter(cursor: &mut Cursor, source: &Source) -> Result<Statement, SqlError> {
    if cursor.are_words(&["ALTER", "TABLE"]) {
        return Err(cursor
            .error(SqlState::NOT_SUPPORTED, "there are streams instead of tables")
            .hint("write ALTER STREAM"));
    }
    if cursor.are_words(&["ALTER", "VIEW"]) {
        return Err(cursor
            .error(
                SqlState::NOT_SUPPORTED,
                "nothing of a plain view can be altered: it is computed when it is asked",
            )
            .hint("CREATE OR REPLACE VIEW it, or write ALTER MATERIALIZED VIEW name REBUILD where it is one"));
    }
    if cursor.take_words(&["ALTER", "MATERIALIZED", "VIEW"]) {
        return alter_view(cursor);
    }
    if !cursor.are_words(&["ALTER", "STREAM"]) {
        return Err(refused::statement(cursor));
    }
    cursor.take_words(&["ALTER", "STREAM"]);
    let if_exists = cursor.take_words(&["IF", "EXISTS"]);
    let name = cursor.object_name("the stream's name")?;
    let is_setting = cursor.is_word("SET") || cursor.is_word("RESET");
    match is_setting {
        true => alter_settings(cursor, name, if_exists),
        false => alter_schema::alter(cursor, source, name, if_exists),
    }
}

/// Reads from IF EXISTS on.
fn alter_view(cursor: &mut Cursor) -> Result<Statement, SqlError> {
    let if_exists = cursor.take_words(&["IF", "EXISTS"]);
    let name = cursor.object_name("the view's name")?;
    if !cursor.take_word("REBUILD") {
        return Err(cursor
            .expected("REBUILD")
            .hint("a view's query, shape and settings change with CREATE OR REPLACE MATERIALIZED VIEW"));
    }
    cursor.expect_end()?;
    Ok(Statement::RebuildView { name, if_exists })
}

fn alter_settings(cursor: &mut Cursor, name: Name, if_exists: bool) -> Result<Statement, SqlError> {
    let mut set: Box<StreamSettings> = Box::default();
    let mut reset: Vec<String> = Vec::new();
    let mut refused: Option<Box<SqlError>> = None;
    if cursor.take_word("SET") {
        cursor.bracketed(|cursor| set_one(cursor, &mut set, &mut refused))?;
    } else if cursor.take_word("RESET") {
        cursor.bracketed(|cursor| {
            reset.push(reset_one(cursor)?);
            Ok(())
        })?;
    }
    cursor.expect_end()?;
    Ok(Statement::AlterStream {
        name,
        if_exists,
        set,
        reset,
        refused,
    })
}

/// Reads one setting. A value that it cannot have is told once it is known that there is such a stream.
fn set_one(cursor: &mut Cursor, set: &mut StreamSettings, refused: &mut Option<Box<SqlError>>) -> Result<(), SqlError> {
    let start = cursor.clone();
    let option = cursor.name("the name of a setting")?.value;
    let name = settings::setting_name(&option);
    if set.get(name).is_some() {
        return Err(start.error(SqlState::SYNTAX, format!("setting '{option}' is there twice")));
    }
    match settings::set(cursor, &option, set) {
        Ok(true) => Ok(()),
        Ok(false) => Err(refuse(&start, &option)),
        Err(error) if error.state == SqlState::INVALID_DEFINITION => {
            refused.get_or_insert(Box::new(error));
            Ok(())
        }
        Err(error) => Err(error),
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
