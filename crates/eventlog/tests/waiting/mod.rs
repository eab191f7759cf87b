//! Waiting for what comes by itself.

use std::time::{Duration, Instant};

/// Waits until something holds. The deadline is for a test that would never end.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
