//! Latencies, their percentiles, and how a figure is printed.

use std::time::Duration;

/// What a run of one load gave.
pub struct Figures {
    /// Operations per second.
    pub rate: f64,
    /// The median latency.
    pub p50: Duration,
    /// The latency that 99 of 100 stay below.
    pub p99: Duration,
}

impl Figures {
    /// From every operation's latency and the time they took together.
    pub fn of(mut latencies: Vec<Duration>, wall: Duration) -> Figures {
        latencies.sort_unstable();
        let percentile = |percent: usize| {
            let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
            latencies.get(index).copied().unwrap_or_default()
        };
        Figures {
            rate: latencies.len() as f64 / wall.as_secs_f64(),
            p50: percentile(50),
            p99: percentile(99),
        }
    }

    /// Prints one line; `base` is the named peer's rate or the physical limit of the same run.
    pub fn print(&self, what: &str, base: Option<(&str, f64)>) {
        let ratio = base
            .map(|(name, rate)| format!("   {:.2} x {name}", self.rate / rate))
            .unwrap_or_default();
        println!(
            "{what:<44} {:>10.0}/s   p50 {:>6.3} ms   p99 {:>6.3} ms{ratio}",
            self.rate,
            self.p50.as_secs_f64() * 1e3,
            self.p99.as_secs_f64() * 1e3,
        );
    }
}
