//! Appending what is due: the edge, where the decision meets the clock and the log.

use std::time::Duration;

use headwater_eventlog::{Append, AppendError};

use crate::due::{self, Due};
use crate::limits::{DUE_MAX, LOOK_EVERY, LOOK_LEAST, RETRY};
use crate::{SCHEDULES_STREAM, ScheduleError, Schedules};

impl Schedules {
    /// Appends the first of what is due now, a bounded number of schedules; says of how many. 0: nothing is due.
    pub async fn append_due(&self) -> Result<usize, ScheduleError> {
        let _turn = self.inner.turn.lock().await;
        let mut most = DUE_MAX;
        loop {
            let (due, append) = self.next_append(most).await?;
            if due.is_empty() {
                return Ok(0);
            }
            match self.inner.log.append(append).await {
                Ok(_) => {
                    self.inner.fold()?;
                    return Ok(due.len());
                }
                // Somebody cancelled one of them just now.
                Err(AppendError::Conflict { end }) => self.inner.folded_to(&end).await?,
                Err(error @ (AppendError::Full { .. } | AppendError::Stopped { .. })) => return Err(error.into()),
                // One of them cannot be appended: one after another, then.
                Err(_) if due.len() > 1 => most = 1,
                Err(error) => {
                    self.park(&due, &error).await?;
                    return Ok(due.len());
                }
            }
        }
    }

    /// Appends everything that is due now.
    pub async fn append_all_due(&self) -> Result<usize, ScheduleError> {
        let mut all = 0;
        loop {
            match self.append_due().await? {
                0 => return Ok(all),
                some => all += some,
            }
        }
    }

    /// Appends what is due whenever it is, until the log stops. Late ones come first.
    pub async fn run(self) {
        let id = self.inner.log.stream(SCHEDULES_STREAM).map_or(0, |info| info.id);
        let watch = self.inner.log.watch(vec![(id, 0)]);
        let mut failing = false;
        loop {
            let wait = match self.append_due().await {
                Ok(0) => self.until_next(),
                Ok(_) => continue,
                Err(error) if self.inner.log.stopped().is_some() => {
                    tracing::error!("schedules are not appended any more: {error}");
                    return;
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!("what is due is not appended now, and tried again: {error}");
                    }
                    failing = true;
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            failing = false;
            tokio::select! {
                () = watch.news() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// How long nothing is due, at most as long as one looks away.
    fn until_next(&self) -> Duration {
        let Some(next_us) = self.next_us() else {
            return Duration::MAX;
        };
        let wait = next_us.saturating_sub(self.now_us());
        Duration::from_micros(u64::try_from(wait).unwrap_or(0)).clamp(LOOK_LEAST, LOOK_EVERY)
    }

    /// What goes into the next append; the log is read away from the runtime's threads.
    async fn next_append(&self, most: usize) -> Result<(Vec<Due>, Append), ScheduleError> {
        let inner = self.inner.clone();
        let plan = move || {
            let (mut due, known_to) = inner.due(inner.log.now_us(), most)?;
            due.truncate(due::together(&due));
            let spread = inner.next_spread(due.len());
            let append = due::append(&due, known_to, spread);
            Ok((due, append))
        };
        match tokio::task::spawn_blocking(plan).await {
            Ok(planned) => planned,
            Err(error) => Err(ScheduleError::Log(error.to_string())),
        }
    }

    /// Parks the events of one that the log does not take as they are.
    async fn park(&self, due: &[Due], why: &AppendError) -> Result<(), ScheduleError> {
        for due in due {
            tracing::warn!(schedule = %due.schedule.name, "its events were due and are parked: {why}");
            let (_, known_to) = self.inner.due(i64::MIN, 0)?;
            let append = due::append_parked(due, known_to, &why.to_string());
            match self.inner.log.append(append).await {
                Ok(_) => {}
                // It was cancelled just now, or somebody changed it: whoever looks next sees that.
                Err(AppendError::Conflict { end }) => self.inner.folded_to(&end).await?,
                Err(error) => return Err(error.into()),
            }
        }
        self.inner.fold()
    }
}
