//! Recurring schedules: commands that the clock calls, once for each tick.
//!
//! The events of a tick, and the record that the schedule has come to it, are one append: each tick is made once, also over a crash. What a tick reads is
//! what is there when it is made, however late that is; its nominal time is the parameter `tick`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::ScalarValue;
use headwater_catalog::{Definition, ScheduleDefinition};
use headwater_schedules::Tick;
use headwater_sql::parse::parse;
use headwater_sql::syntax::{RecurringSchedule, Statement};
use headwater_sql::{Parameters, Session};
use tokio::time::Instant;

use crate::call::compiled::Compiled;
use crate::commands::Inner;
use crate::decide::Decision;
use crate::{CommandError, Commands};

/// Who makes ticks.
const PRINCIPAL: &str = "_headwater";

/// How long one looks away at most: the clock of a machine may be set, and schedules come and go.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Who looked away for longer was stopped, or the clock was set: what was due meanwhile is what was missed.
const AWAY_US: i64 = 2_000_000;

impl Commands {
    /// Makes one tick of each schedule that has one to be made now; says how many. `since_us`: since when the program looks without a break, for
    /// schedules that pass over what they missed. A tick that fails is tried again the next time; it holds up its own schedule alone.
    pub async fn make_ticks(&self, since_us: i64) -> (usize, Vec<(String, CommandError)>) {
        let (mut made, mut failed) = (0, Vec::new());
        for definition in self.inner.engine.catalog().all() {
            let Definition::Schedule(schedule) = definition.as_ref() else {
                continue;
            };
            match self.inner.make_tick(schedule, since_us).await {
                Ok(is_made) => made += usize::from(is_made),
                Err(error) => failed.push((schedule.name.clone(), error)),
            }
        }
        (made, failed)
    }

    /// When the next tick of all is to be made, microseconds since 1970.
    pub fn next_tick_us(&self, since_us: i64) -> Option<i64> {
        let mut next: Option<i64> = None;
        for definition in self.inner.engine.catalog().all() {
            let Definition::Schedule(schedule) = definition.as_ref() else {
                continue;
            };
            // What cannot be read says so when it is to be made.
            let tick_us = self.inner.next_tick(schedule, since_us).ok().flatten();
            next = next.into_iter().chain(tick_us).min();
        }
        next
    }

    /// Makes ticks whenever they are due, until the log stops.
    pub async fn run_schedules(self) {
        let log = self.inner.engine.log();
        let mut since_us = log.now_us();
        let mut failing: HashSet<String> = HashSet::new();
        while log.stopped().is_none() {
            let (made, failed) = self.make_ticks(since_us).await;
            for (name, error) in &failed {
                if !failing.contains(name) {
                    tracing::warn!(schedule = %name, "a tick could not be made, and is tried again: {error}");
                }
            }
            failing = failed.into_iter().map(|(name, _)| name).collect();
            if made == 0 {
                let before_us = log.now_us();
                tokio::time::sleep(LOOK_EVERY).await;
                let now_us = log.now_us();
                if now_us - before_us > AWAY_US {
                    since_us = now_us;
                }
            }
        }
    }
}

impl Inner {
    fn recurring(&self, definition: &ScheduleDefinition) -> Result<RecurringSchedule, CommandError> {
        let parsed = parse(definition.meaning(), "")?.pop();
        match parsed.map(|parsed| parsed.statement) {
            Some(Statement::CreateSchedule { schedule, .. }) => Ok(*schedule),
            _ => {
                let message = format!(
                    "the definition of the schedule '{}' is no CREATE SCHEDULE",
                    definition.name
                );
                Err(CommandError::Log(message))
            }
        }
    }

    /// Makes the tick that is to be made now, where there is one.
    async fn make_tick(
        self: &Arc<Inner>,
        definition: &ScheduleDefinition,
        since_us: i64,
    ) -> Result<bool, CommandError> {
        let schedule = self.recurring(definition)?;
        let made_us = self.made_us(definition)?;
        let now_us = self.engine.log().now_us();
        let since_us = since_us.max(definition.created_us);
        let due_us = schedule
            .recurrence
            .due(definition.first_us, made_us, schedule.missed, since_us, now_us);
        let Some(tick_us) = due_us else { return Ok(false) };
        let decide_max = self.decide_max();
        let decision = Decision {
            engine: self.engine.clone(),
            commands: Arc::clone(self),
            session: Session {
                principal: PRINCIPAL.to_owned(),
                ..Session::default()
            },
            command: Arc::new(Compiled::new(&self.engine, &schedule.command)?),
            values: Parameters::new(vec![ScalarValue::TimestampMicrosecond(
                Some(tick_us),
                Some("+00:00".into()),
            )]),
            call: None,
            tick: Some(Tick {
                schedule: definition.name.clone(),
                created_us: definition.created_us,
                tick_us,
            }),
            now_us,
            deadline: Instant::now() + decide_max,
            decide_max,
        };
        decision.answer().await?;
        Ok(true)
    }

    fn next_tick(&self, definition: &ScheduleDefinition, since_us: i64) -> Result<Option<i64>, CommandError> {
        let schedule = self.recurring(definition)?;
        let made_us = self.made_us(definition)?;
        let since_us = since_us.max(definition.created_us);
        let recurrence = &schedule.recurrence;
        Ok(recurrence.next_due(definition.first_us, made_us, schedule.missed, since_us))
    }

    /// Up to where its ticks are made.
    fn made_us(&self, definition: &ScheduleDefinition) -> Result<i64, CommandError> {
        let schedules = self.engine.schedules()?;
        let last = schedules.last_tick(&definition.name, definition.created_us);
        let last_us = last.map_err(|error| CommandError::Log(error.to_string()))?;
        Ok(definition.made_us(last_us))
    }
}
