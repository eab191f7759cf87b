//! `CREATE SCHEDULE name …`: a command that the clock calls.
//!
//! ```text
//! name { EVERY 'span' | CRON 'five fields' } [ STARTING [TIMESTAMP] 'moment' ] [ CATCH UP { ALL | LAST | NONE } ]  body of a command
//! ```
//!
//! The body has one parameter, `tick`: the nominal time of what is being made.

use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_catalog::{ColumnType, CreateMode};
use headwater_schedules::{Cron, Missed, Recurrence};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::command;
use super::cursor::Cursor;
use crate::syntax::{Name, Parameter, RecurringSchedule, Statement};
use crate::{SqlError, SqlState};

/// The parameter's name.
const TICK: &str = "tick";

/// Reads from the name on.
pub(super) fn create(cursor: &mut Cursor, mode: CreateMode) -> Result<Statement, SqlError> {
    let name = cursor.new_name("the schedule's name")?;
    let (recurrence, rule) = recurrence(cursor)?;
    let starting_us = match cursor.take_word("STARTING") {
        true => Some(moment(cursor)?),
        false => None,
    };
    let missed = match cursor.take_words(&["CATCH", "UP"]) {
        true => missed(cursor)?,
        false => Missed::All,
    };
    let tick = Parameter {
        name: Name {
            value: TICK.to_owned(),
            span: Span::empty(),
        },
        column_type: ColumnType::TimestampTz,
        nullable: false,
        default: None,
        checks: Vec::new(),
    };
    let schedule = RecurringSchedule {
        command: command::body(cursor, name, vec![tick])?,
        recurrence,
        rule,
        starting_us,
        missed,
    };
    let schedule = Box::new(schedule);
    Ok(Statement::CreateSchedule { schedule, mode })
}

fn recurrence(cursor: &mut Cursor) -> Result<(Recurrence, String), SqlError> {
    let is_every = cursor.take_word("EVERY");
    if !is_every && !cursor.take_word("CRON") {
        return Err(cursor
            .expected("EVERY or CRON")
            .hint("say when: EVERY '1 day', or CRON '0 3 * * *' (minute, hour, day, month, day of the week, in UTC)"));
    }
    let start = cursor.clone();
    let (text, rule, word) = if is_every {
        let text = cursor.text("a span in quotes, such as '1 day'")?;
        (text.clone(), Recurrence::every(&text), "every")
    } else {
        let text = cursor.text("five fields in quotes, such as '0 3 * * *'")?;
        (text.clone(), Cron::parse(&text).map(Recurrence::Cron), "cron")
    };
    let rule = rule.map_err(|why| start.error(SqlState::INVALID_DEFINITION, why))?;
    Ok((rule, format!("{word} {text}")))
}

/// A moment in quotes: RFC 3339, or without a zone, which is UTC.
fn moment(cursor: &mut Cursor) -> Result<i64, SqlError> {
    if !cursor.take_word("TIMESTAMP") {
        cursor.take_word("DATE");
    }
    let start = cursor.clone();
    let text = cursor.text("a moment in quotes, such as '2026-12-31 09:00:00'")?;
    let civil = |text: &str| {
        let at: DateTime = text.parse()?;
        TimeZone::UTC.to_timestamp(at)
    };
    let at = text.parse::<Timestamp>().or_else(|_| civil(&text));
    at.map(Timestamp::as_microsecond).map_err(|_| {
        let error = start.error(SqlState::INVALID_TEXT, format!("'{text}' is no moment in time"));
        error.hint("write it as '2026-12-31 09:00:00'")
    })
}

fn missed(cursor: &mut Cursor) -> Result<Missed, SqlError> {
    for (word, missed) in [("ALL", Missed::All), ("LAST", Missed::Last), ("NONE", Missed::None)] {
        if cursor.take_word(word) {
            return Ok(missed);
        }
    }
    Err(cursor
        .expected("ALL, LAST or NONE")
        .hint("ticks that were missed are made up for: all of them, the last one, or none"))
}
