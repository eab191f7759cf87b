//! What time does to transactions: one that takes too long is aborted and its producer fenced; an id that nobody uses is forgotten.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use headwater_eventlog::Append;
use kafka_protocol::ResponseError;

use super::{Entry, Transactions, append};
use crate::KafkaOptions;
use crate::groups::Offsets;

/// Who the program itself is.
const PRINCIPAL: &str = "headwater";

impl Transactions {
    /// Lets time pass for the transactions, for as long as the door is open.
    pub(crate) async fn run_timers(&self, offsets: &Offsets, options: &KafkaOptions) {
        let expiration_ms = options.transactional_id_expiration.as_millis() as i64;
        let interval_ms = options.transactional_ids_check_interval.as_millis() as i64;
        let mut look_ms = 0;
        loop {
            let due_ms = self.abort_late(offsets).await;
            let now_ms = self.now_ms();
            if now_ms >= look_ms {
                self.forget_unused(expiration_ms).await;
                look_ms = now_ms + interval_ms;
            }
            let wake_ms = due_ms.map_or(look_ms, |due_ms| due_ms.min(look_ms));
            let wait = Duration::from_millis(wake_ms.saturating_sub(now_ms).max(1).cast_unsigned());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.timer.notified() => {}
            }
        }
    }

    /// Aborts what is over time; when the next one will be.
    async fn abort_late(&self, offsets: &Offsets) -> Option<i64> {
        let open: Vec<Arc<Entry>> = self.open.lock().values().cloned().collect();
        let mut next_ms: Option<i64> = None;
        for entry in open {
            let due_ms = entry.now().ok().and_then(|now| now.due_ms());
            if due_ms.is_some_and(|due_ms| due_ms > self.now_ms()) {
                next_ms = next_ms.min(due_ms).or(due_ms);
                continue;
            }
            let _alone = entry.gate.write().await;
            let step = entry.now().ok().and_then(|now| now.time_out(self.now_ms()));
            if step.is_none() {
                continue;
            }
            tracing::info!(
                id = entry.id,
                "a transaction took too long: it is aborted, its producer fenced"
            );
            if let Err(code) = self.carry_out(offsets, &entry, step, PRINCIPAL).await {
                tracing::error!(
                    id = entry.id,
                    ?code,
                    "a transaction that took too long could not be aborted"
                );
                // The log stopped, most likely: not again at once.
                next_ms = Some(self.now_ms() + 1_000);
            }
        }
        next_ms
    }

    /// Forgets ids that were not used for so long.
    async fn forget_unused(&self, expiration_ms: i64) {
        let entries: Vec<Arc<Entry>> = self.entries.lock().values().cloned().collect();
        for entry in entries {
            let _alone = entry.gate.write().await;
            let unused = match entry.now() {
                Ok(now) => now.open().is_none() && self.now_ms() - now.updated_ms >= expiration_ms,
                // Its first step was refused: nothing is known of it.
                Err(_) => true,
            };
            if !unused {
                continue;
            }
            if entry.now().is_ok()
                && let Err(code) = self.write_forgotten(&entry).await
            {
                tracing::error!(
                    id = entry.id,
                    ?code,
                    "an unused transactional id could not be forgotten"
                );
                return;
            }
            entry.is_gone.store(true, Ordering::Release);
            *entry.state.lock() = None;
            self.entries.lock().remove(&entry.id);
        }
    }

    async fn write_forgotten(&self, entry: &Entry) -> Result<(), ResponseError> {
        let append = Append {
            parts: vec![append::event_part(&entry.id, None)?],
            principal: PRINCIPAL.to_owned(),
            condition: None,
        };
        let written = self.log.append(append).await;
        written.map(|_| ()).map_err(|_| ResponseError::KafkaStorageError)
    }
}
