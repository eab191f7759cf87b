//! CREATE SCHEDULE, and what SHOW SCHEDULES says of one.

use headwater_catalog::{CatalogError, CreateMode, Defined, Definition, INTERNAL_PREFIX, ScheduleDefinition};
use headwater_schedules::{Missed, Schedules};

use super::table::{Cell, moment};
use crate::inner::Inner;
use crate::question::meaning;
use crate::syntax::{RecurringSchedule, Statement};
use crate::{Outcome, Session, SqlError, SqlState};

/// CREATE SCHEDULE.
pub(crate) async fn create_schedule(
    inner: &Inner,
    session: &Session,
    schedule: &RecurringSchedule,
    mode: CreateMode,
    text: &str,
) -> Result<Outcome, SqlError> {
    define_schedule(inner, session, schedule, mode, text).await?;
    Ok(Outcome::Done {
        tag: "CREATE SCHEDULE".to_owned(),
        position: None,
    })
}

/// Checks a schedule against what it names and writes its definition. One that replaces another goes on where that has come to; where its ticks are
/// others, from now on: those that the new rule has in the past were never missed.
pub(super) async fn define_schedule(
    inner: &Inner,
    session: &Session,
    schedule: &RecurringSchedule,
    mode: CreateMode,
    text: &str,
) -> Result<Defined, SqlError> {
    let name = &schedule.command.name.value;
    if name.starts_with(INTERNAL_PREFIX) {
        let message = format!("names that begin with '{INTERNAL_PREFIX}' are the program's own");
        return Err(SqlError::new(SqlState::NOT_ALLOWED, message));
    }
    let existing = inner.catalog.get(name);
    let before = match (existing.as_deref(), mode) {
        (Some(Definition::Schedule(_)), CreateMode::IfNotExists) => return Ok(Defined::Unchanged),
        (Some(Definition::Schedule(there)), CreateMode::OrReplace) if there.statement == text => {
            return Ok(Defined::Unchanged);
        }
        (Some(Definition::Schedule(there)), CreateMode::OrReplace) => Some(there),
        (Some(other), _) => {
            return Err(CatalogError::taken(other, "schedule").into());
        }
        (None, _) => None,
    };
    let now_us = inner.log.now_us();
    let first_us = schedule.starting_us.unwrap_or(now_us);
    let (created_us, first_us, from_us) = match before {
        None => (now_us, first_us, first_us),
        Some(there) => match told(inner, there)? {
            Some(old) if is_same_rule(&old, schedule) => {
                let from_us = match catches_up_on_more(&old, schedule) {
                    true => now_us,
                    false => there.from_us,
                };
                (there.created_us, there.first_us, from_us)
            }
            _ => (there.created_us, first_us, now_us),
        },
    };
    let definition = ScheduleDefinition {
        name: name.clone(),
        created_us,
        first_us,
        from_us,
        sources: inner.calls()?.check(&schedule.command).await?,
        spelled_out: meaning(inner, text, inner.catalog.get(name).as_deref())?,
        statement: text.to_owned(),
    };
    Ok(inner
        .catalog
        .define(Definition::Schedule(definition), mode, &session.principal)
        .await?)
}

/// A schedule as its statement tells it.
fn told(inner: &Inner, definition: &ScheduleDefinition) -> Result<Option<RecurringSchedule>, SqlError> {
    let parsed = inner.parsed(definition.meaning())?;
    Ok(match &parsed.statement {
        Statement::CreateSchedule { schedule, .. } => Some(RecurringSchedule::clone(schedule)),
        _ => None,
    })
}

/// Whether the ticks come at the same moments.
fn is_same_rule(old: &RecurringSchedule, new: &RecurringSchedule) -> bool {
    old.recurrence == new.recurrence && old.starting_us == new.starting_us
}

/// Whether ticks that were passed over would be made now.
fn catches_up_on_more(old: &RecurringSchedule, new: &RecurringSchedule) -> bool {
    old.missed == Missed::None && new.missed != Missed::None
}

/// The rows of SHOW SCHEDULES for the recurring ones.
pub(super) fn rows(inner: &Inner, schedules: &Schedules) -> Result<Vec<Vec<Cell>>, SqlError> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for definition in inner.catalog.all() {
        let Definition::Schedule(definition) = definition.as_ref() else {
            continue;
        };
        let Some(schedule) = told(inner, definition)? else {
            continue;
        };
        let made_us = definition.made_us(schedules.last_tick(&definition.name, definition.created_us)?);
        let made_us = match schedule.missed {
            // Those that were missed are none of its.
            Missed::None => made_us.max(inner.log.now_us().saturating_sub(1)),
            Missed::All | Missed::Last => made_us,
        };
        let next_us = schedule.recurrence.next_after(definition.first_us, made_us);
        let outputs = schedule.command.outputs.iter();
        let mut streams: Vec<&str> = outputs.map(|output| output.stream.value.as_str()).collect();
        streams.dedup();
        rows.push(vec![
            Cell::text(&definition.name),
            Cell::Text(next_us.map(moment)),
            Cell::text(&schedule.rule),
            Cell::text(streams.join(", ")),
            Cell::Whole(None),
            Cell::text(moment(definition.created_us)),
            Cell::Text(None),
        ]);
    }
    Ok(rows)
}
