//! A rate over the last ten seconds, counted second by second, and how long to be silent to get back to a limit.
//!
//! The rule is Kafka's (its `Rate` with eleven samples of a second): less than ten seconds count as ten, so that a first burst is no offence.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What is looked back on, beside the second that runs.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

const SAMPLE: Duration = Duration::from_secs(1);
const SAMPLES: usize = 11;

pub(super) struct Rate {
    /// Beginning and count, the oldest first. At most [`SAMPLES`].
    samples: VecDeque<(Instant, f64)>,
    begun: Instant,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Rate {
        Rate {
            samples: VecDeque::new(),
            begun: now,
        }
    }

    pub(super) fn count(&mut self, amount: f64, now: Instant) {
        self.forget_old(now);
        match self.samples.back_mut() {
            Some((begun, sum)) if now.duration_since(*begun) < SAMPLE => *sum += amount,
            _ => self.samples.push_back((now, amount)),
        }
    }

    /// How long nothing may be counted until the rate is at the limit again.
    pub(super) fn over(&mut self, limit: f64, now: Instant) -> Duration {
        self.forget_old(now);
        let oldest = self.samples.front().map_or(self.begun, |(begun, _)| *begun);
        let window = now.duration_since(oldest).max(WINDOW).as_secs_f64();
        let sum: f64 = self.samples.iter().map(|(_, sum)| sum).sum();
        let over = sum / window - limit;
        if over <= 0.0 || limit <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(over / limit * window).unwrap_or(Duration::MAX)
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((begun, _)) = self.samples.front() {
            if now.duration_since(*begun) < SAMPLE * SAMPLES as u32 {
                break;
            }
            self.samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_taken_and_paid_for() {
        let began = Instant::now();
        let mut rate = Rate::new(began);
        let mut check = |after_ms: u64, amount: f64, expected_ms: u64| {
            let now = began + Duration::from_millis(after_ms);
            rate.count(amount, now);
            assert_eq!(rate.over(100.0, now).as_millis() as u64, expected_ms, "{after_ms}");
        };
        // 100 a second over ten seconds.
        check(0, 1_000.0, 0);
        check(100, 500.0, 5_000);
        check(5_000, 0.0, 5_000);
        // Eleven seconds after it began, the burst is forgotten.
        check(11_000, 0.0, 0);
        check(11_100, 1_100.0, 1_000);
    }

    #[test]
    fn memory_is_bounded() {
        let began = Instant::now();
        let mut rate = Rate::new(began);
        for step in 0..1_000_u64 {
            rate.count(1.0, began + Duration::from_millis(100 * step));
            assert!(rate.samples.len() <= SAMPLES);
        }
    }
}
