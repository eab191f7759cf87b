//! CANCEL and SHOW SCHEDULES.

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast;
use headwater_schedules::{Schedules, Waiting};

use super::call::constants;
use super::recurring;
use super::show::columns;
use super::table::{Cell, answer, moment};
use crate::inner::Inner;
use crate::later::schedule_name;
use crate::limits::SCHEDULES_SHOWN_MAX;
use crate::off_thread::off_thread;
use crate::syntax::{Later, Show};
use crate::{Outcome, Session, SqlError, SqlState};

/// CANCEL: the tag says whether something waited under the name.
pub(crate) async fn cancel(
    inner: &Inner,
    session: &Session,
    name: &ast::Expr,
    parameters: &[ScalarValue],
) -> Result<Outcome, SqlError> {
    let name = schedule_name(&constant(inner, name, parameters)?)?;
    let cancelled = inner.schedules()?.cancel(&name, &session.principal).await?;
    let tag = format!("CANCEL {}", u8::from(cancelled));
    Ok(match cancelled {
        true => Outcome::Done { tag, position: None },
        false => Outcome::Told {
            tag,
            notices: vec![format!(
                "nothing waits under the name '{name}': it was appended or cancelled before, or there never was such a schedule"
            )],
        },
    })
}

/// When the rows of an INSERT are due, and the name they are cancelled by.
pub(super) fn due(inner: &Inner, later: &Later, parameters: &[ScalarValue]) -> Result<(i64, String), SqlError> {
    let value = constant(inner, later.when.expr(), parameters)?;
    let due_us = later.when.due_us(&value, inner.log.now_us())?;
    let name = match &later.name {
        Some(name) => schedule_name(&constant(inner, name, parameters)?)?,
        None => headwater_schedules::Schedule::new_name(),
    };
    Ok((due_us, name))
}

fn constant(inner: &Inner, expr: &ast::Expr, parameters: &[ScalarValue]) -> Result<ScalarValue, SqlError> {
    let mut values = constants(inner, std::slice::from_ref(expr), parameters)?;
    values
        .pop()
        .ok_or_else(|| SqlError::new(SqlState::INTERNAL, "an expression has no value"))
}

/// SHOW SCHEDULES: the recurring ones, then the first that are due. The log is read away from the runtime's threads.
pub(crate) async fn show(inner: &Inner) -> Result<Outcome, SqlError> {
    let schedules: Schedules = inner.schedules()?.clone();
    let listed = off_thread(move || schedules.list(None, SCHEDULES_SHOWN_MAX)).await?;
    let mut rows = recurring::rows(inner, inner.schedules()?)?;
    rows.extend(listed.iter().map(row));
    answer(columns(&Show::Schedules), rows)
}

fn row(waiting: &Waiting) -> Vec<Cell> {
    let schedule = &waiting.schedule;
    vec![
        Cell::text(&schedule.name),
        Cell::text(moment(schedule.due_us)),
        Cell::Text(None),
        Cell::text(&schedule.stream),
        Cell::whole(schedule.events.len() as u64),
        Cell::text(moment(waiting.made_at_us)),
        Cell::text(&waiting.principal),
    ]
}
