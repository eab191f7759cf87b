//! Appends that clients made themselves and that are to come later: promised once for each idempotency key.

use std::sync::Arc;

use headwater_eventlog::{Append, AppendError, Condition};
use headwater_records::Position;
use headwater_schedules::{SCHEDULES_STREAM, Schedule, ScheduleError};
use headwater_sql::encode::{Packed, pack};

use crate::Once;
use crate::commands::{Commands, Inner};
use crate::decide::Decided;
use crate::decide::locks::Lock;
use crate::decide::outcome::CommandOutcome;
use crate::error::CommandError;
use crate::once::append::APPENDS;
use crate::once::idempotency::Call;

/// What was promised.
#[derive(Debug, Clone, PartialEq)]
pub struct Promised {
    /// What is appended, and when.
    pub schedule: Schedule,
    /// Behind the record of it.
    pub position: Position,
    /// Whether this is the answer to an earlier request with the same idempotency key, whatever became of its schedule.
    pub repeated: bool,
}

/// Why nothing was promised.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PromiseError {
    /// The schedule cannot be made.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The idempotency key does not let it.
    #[error(transparent)]
    Call(#[from] CommandError),
}

impl Commands {
    /// Promises that events are appended later; durable when this returns. The key must have been checked (see [`crate::limits::IDEMPOTENCY_KEY_BYTES_MAX`]).
    pub async fn promise(
        &self,
        principal: &str,
        schedule: Schedule,
        once: Option<Once>,
    ) -> Result<Promised, PromiseError> {
        let inner = Arc::clone(&self.inner);
        let Some(once) = once else {
            let schedules = inner.engine.schedules().map_err(CommandError::from)?;
            let position = schedules.make(std::slice::from_ref(&schedule), principal).await?;
            return Ok(Promised {
                schedule,
                position,
                repeated: false,
            });
        };
        let principal = principal.to_owned();
        // A client that goes away must not leave a schedule behind that nobody remembers.
        let promising = tokio::spawn(async move { inner.promise_once(&principal, schedule, &once).await });
        promising.await.map_err(CommandError::from)?
    }
}

impl Inner {
    async fn promise_once(
        self: &Arc<Inner>,
        principal: &str,
        schedule: Schedule,
        once: &Once,
    ) -> Result<Promised, PromiseError> {
        // A key of an append is one key, whenever the events are appended.
        let call = Call::of(APPENDS, &once.key, &once.said);
        let _turn = self
            .locks()
            .take([Lock::Call(call.command.clone(), call.key.clone())])
            .await;
        if let Some(outcome) = self.repeated(&call).await? {
            return Ok(repeated(&outcome)?);
        }
        let schedules = self.engine.schedules().map_err(CommandError::from)?;
        loop {
            let mut changes = schedules.changes(std::slice::from_ref(&schedule), &[])?;
            changes.mark(&call.header());
            let packed: Vec<Packed> = vec![pack(SCHEDULES_STREAM, 1, changes.records().to_vec(), 0)];
            let mut parts: Vec<_> = packed.iter().flat_map(|packed| packed.parts.clone()).collect();
            parts.extend(call.part(&packed, self.engine.now_ms()));
            let appended = self.engine.log().append(Append {
                parts,
                principal: principal.to_owned(),
                condition: Some(Condition::Guard(Box::new(changes.condition()))),
            });
            match appended.await {
                Ok(appended) => {
                    let decided = Decided { packed, appended };
                    let appended_at_us = decided.appended.appended_at_us;
                    self.memory().decided(&call, decided.last_offset(), appended_at_us);
                    return Ok(Promised {
                        position: position_of(&decided),
                        schedule,
                        repeated: false,
                    });
                }
                // Somebody made or cancelled one of this name meanwhile.
                Err(AppendError::Conflict { end }) => schedules.caught_up(&end).await?,
                Err(error) => return Err(CommandError::from(error).into()),
            }
        }
    }
}

/// Just behind what was appended of schedules.
fn position_of(decided: &Decided) -> Position {
    let mut position = Position::new();
    let packed = decided.packed.iter();
    for address in packed.flat_map(|packed| packed.addresses(&decided.appended, 0)) {
        position.advance(&address.stream, address.partition, address.offset + 1);
    }
    position
}

/// What an earlier request with the same key promised, as its record says it.
fn repeated(outcome: &CommandOutcome) -> Result<Promised, CommandError> {
    let record = outcome.events.first().ok_or(CommandError::AnswerGone)?;
    let schedule = Schedule::of_record(record.json.as_bytes()).map_err(CommandError::Log)?;
    Ok(Promised {
        schedule,
        position: outcome.position.clone(),
        repeated: true,
    })
}
