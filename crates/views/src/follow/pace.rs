//! How fast a view is being built, and when it will be there.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// So much of the past says how fast it goes now.
const WINDOW: Duration = Duration::from_secs(10);
/// So far apart are the moments that are kept of it.
const APART: Duration = Duration::from_millis(100);
/// Before so much of it is known, nothing is said.
const KNOWN_MIN: Duration = Duration::from_millis(300);

/// How far the building of a view is. Events that its streams no longer keep do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Build {
    /// Events folded.
    pub folded: u64,
    /// Events to fold, those included.
    pub events: u64,
    /// Events folded in a second, over the last seconds; `None`: it is too early to say, or it stands still.
    pub events_per_second: Option<f64>,
}

impl Build {
    /// How long it takes from now on, if it goes on as it does.
    pub fn left(&self) -> Option<Duration> {
        let per_second = self.events_per_second?;
        let seconds = self.events.saturating_sub(self.folded) as f64 / per_second;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// What was folded lately.
#[derive(Default)]
pub(crate) struct Pace {
    /// Moments, and the events folded up to each.
    moments: Mutex<VecDeque<(Instant, u64)>>,
}

impl Pace {
    /// So many events are folded now.
    pub(crate) fn note(&self, now: Instant, folded: u64) {
        let mut moments = self.moments.lock();
        let before_last = moments.len().checked_sub(2).and_then(|place| moments.get(place));
        if before_last.is_some_and(|(before, _)| now - *before < APART) {
            moments.pop_back();
        }
        moments.push_back((now, folded));
        while moments.len() > 2 && moments.front().is_some_and(|(first, _)| now - *first > WINDOW) {
            moments.pop_front();
        }
    }

    /// Events in a second.
    pub(crate) fn per_second(&self, now: Instant) -> Option<f64> {
        let moments = self.moments.lock();
        let ((first, from), (_, upto)) = (moments.front()?, moments.back()?);
        let time = now - *first;
        let is_known = time >= KNOWN_MIN && upto > from;
        is_known.then(|| (upto - from) as f64 / time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seconds_say_how_fast_it_goes() {
        let pace = Pace::default();
        let (mut now, mut folded) = (Instant::now(), 0);
        pace.note(now, folded);
        assert_eq!(pace.per_second(now), None);
        for (seconds, per_second, expected) in [(1, 50, 50), (1, 150, 100), (30, 700, 700)] {
            for _ in 0..seconds * 1_000 / 10 {
                now += Duration::from_millis(10);
                folded += per_second;
                pace.note(now, folded / 100);
            }
            let found = pace.per_second(now).expect("it is known");
            assert!((found - f64::from(expected)).abs() < 5.0, "{found} is not {expected}");
        }
        let later = pace.per_second(now + WINDOW).expect("it is known");
        assert!(later < 400.0, "who stands still gets slower: {later}");
    }

    #[test]
    fn what_is_left_takes_as_long_as_it_goes_now() {
        let check = |folded, events_per_second, expected: Option<u64>| {
            let build = Build {
                folded,
                events: 1_000,
                events_per_second,
            };
            assert_eq!(build.left(), expected.map(Duration::from_secs));
        };
        check(400, Some(100.0), Some(6));
        check(400, None, None);
        check(2_000, Some(100.0), Some(0));
    }
}
