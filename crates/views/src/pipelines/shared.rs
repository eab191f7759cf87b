//! What a pipeline's thread shares with those who look at it.

use std::sync::atomic::{AtomicU8, Ordering};

use headwater_records::Position;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

use super::positions::Reached;
use super::status::PipelineStatus;
use crate::pipelines::parked_again::Replayed;

pub(super) const RUN: u8 = 0;
pub(super) const STOP: u8 = 1;
pub(super) const FLUSH_AND_STOP: u8 = 2;

/// What a pipeline's thread shares with those who look at it.
pub(super) struct Shared {
    /// The streams that it reads.
    pub(super) sources: Vec<String>,
    pub(super) mode: AtomicU8,
    pub(super) wake: Notify,
    pub(super) status: Mutex<PipelineStatus>,
    /// Who wants its parked events to be tried again.
    pub(super) replays: Mutex<Vec<oneshot::Sender<Result<Replayed, String>>>>,
    /// Up to where everything that came of the events is there, for those who wait.
    pub(super) position: watch::Sender<Position>,
}

impl Shared {
    /// Resolves when the pipeline is to stop.
    pub(super) async fn stopping(&self) {
        while self.mode.load(Ordering::Acquire) == RUN {
            self.wake.notified().await;
        }
    }

    /// Everything is appended that came of the events below a position.
    pub(super) fn reached(&self, reached: &Reached) {
        self.position.send_if_modified(|position| {
            let is_new = *position != reached.position;
            if is_new {
                *position = reached.position.clone();
            }
            is_new
        });
        let mut status = self.status.lock();
        status.position = reached.position.clone();
        status.events = reached.events;
        status.results = reached.results;
        status.parked = reached.parked;
        status.lacking = reached.lacking;
        status.waiting = None;
    }
}
