//! The room that large requests take before they are whole, on all connections together.
//!
//! ```text
//! oldest  [####################]  goes on whatever is taken: so one of them always becomes whole
//!         [############]  [##]    take what is left, portion by portion
//! newest  [ ]  [ ]                wait; what comes free goes to the oldest of those who wait
//! ```
//!
//! Invariants
//! - No more is taken than there is, but by the oldest request, which may become as large as a request may be.
//! - Whoever does not fill a portion in time gives all of it back as soon as others wait: clients that stop in the middle hold nobody up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

/// How often a request that stands still looks whether others wait.
const LOOK: Duration = Duration::from_millis(100);

/// The room of all.
pub(crate) struct FrameRoom {
    portions_max: usize,
    /// How long a portion may take to fill while others wait.
    filling_max: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Portions that are taken.
    taken: usize,
    /// Requests that wait for a portion.
    waiting: usize,
    next_number: u64,
    /// Who takes part, the oldest first.
    shares: BTreeMap<u64, Holding>,
}

#[derive(Default)]
struct Holding {
    portions: usize,
    /// Told when there is one more.
    waits: Option<oneshot::Sender<()>>,
}

/// What one request takes, until it is dropped.
pub(crate) struct Share {
    room: Arc<FrameRoom>,
    number: u64,
    filling_since: Instant,
}

impl FrameRoom {
    pub(crate) fn new(portions_max: usize, filling_max: Duration) -> FrameRoom {
        FrameRoom {
            portions_max,
            filling_max,
            state: Mutex::default(),
        }
    }

    /// A request that begins; it has nothing yet.
    pub(crate) fn begin(self: &Arc<FrameRoom>) -> Share {
        let mut state = self.state.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.shares.insert(number, Holding::default());
        Share {
            room: Arc::clone(self),
            number,
            filling_since: Instant::now(),
        }
    }

    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.state.lock().taken
    }
}

impl Share {
    /// Takes one more portion; waits where there is none.
    pub(crate) async fn more(&mut self) {
        let (waits, told) = oneshot::channel();
        {
            let mut state = self.room.state.lock();
            let state = &mut *state;
            if let Some(holding) = state.shares.get_mut(&self.number) {
                state.waiting += usize::from(holding.waits.replace(waits).is_none());
            }
            state.give(self.room.portions_max);
        }
        // Nobody else ends the wait.
        let _ = told.await;
        self.filling_since = Instant::now();
    }

    /// Resolves when the newest portion was not filled in time and others wait.
    pub(crate) async fn is_in_the_way(&self) {
        sleep_until(self.filling_since + self.room.filling_max).await;
        while self.room.state.lock().waiting == 0 {
            sleep(LOOK).await;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.room.state.lock();
        if let Some(holding) = state.shares.remove(&self.number) {
            state.taken -= holding.portions;
            state.waiting -= usize::from(holding.waits.is_some());
        }
        state.give(self.room.portions_max);
    }
}

impl State {
    /// Gives what is free to those who wait, the oldest first.
    fn give(&mut self, portions_max: usize) {
        for (place, holding) in self.shares.values_mut().enumerate() {
            if self.waiting == 0 || (place > 0 && self.taken >= portions_max) {
                return;
            }
            if let Some(waits) = holding.waits.take() {
                holding.portions += 1;
                self.taken += 1;
                self.waiting -= 1;
                // Whoever does not listen any more is about to give it back.
                let _ = waits.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_secs(60);

    fn room(portions_max: usize, filling_max: Duration) -> Arc<FrameRoom> {
        Arc::new(FrameRoom::new(portions_max, filling_max))
    }

    #[tokio::test]
    async fn only_the_oldest_takes_more_than_there_is() {
        let room = room(2, LONG);
        let (mut oldest, mut second) = (room.begin(), room.begin());
        oldest.more().await;
        second.more().await;
        assert!(timeout(MOMENT, second.more()).await.is_err(), "two are taken");
        oldest.more().await;
        assert_eq!(room.taken(), 3);
        drop(oldest);
        // The second is the oldest now, and what it did not wait for any more was given to it all the same.
        second.more().await;
        second.more().await;
        drop(second);
        assert_eq!((room.taken(), room.state.lock().waiting), (0, 0));
    }

    #[tokio::test]
    async fn what_comes_free_goes_to_the_oldest_of_those_who_wait() {
        let room = room(1, LONG);
        let (mut first, mut second, mut third) = (room.begin(), room.begin(), room.begin());
        first.more().await;
        let mut of_third = std::pin::pin!(third.more());
        assert!(timeout(MOMENT, of_third.as_mut()).await.is_err());
        let mut of_second = Box::pin(second.more());
        assert!(timeout(MOMENT, of_second.as_mut()).await.is_err());
        drop(first);
        timeout(LONG, of_second).await.unwrap();
        assert!(timeout(MOMENT, of_third.as_mut()).await.is_err());
        drop(second);
        timeout(LONG, of_third).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_stands_still_is_in_the_way_only_where_others_wait() {
        let room = room(1, MOMENT);
        let (mut first, mut second) = (room.begin(), room.begin());
        first.more().await;
        assert!(timeout(LOOK * 3, first.is_in_the_way()).await.is_err(), "nobody waits");
        let mut waits = std::pin::pin!(second.more());
        assert!(timeout(MOMENT, waits.as_mut()).await.is_err());
        timeout(LONG, first.is_in_the_way()).await.unwrap();
        drop(first);
        waits.await;
    }
}
