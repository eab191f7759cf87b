//! Which of a partition's oldest segments are beyond what its stream keeps. Decides only.
//!
//! Time is the moment of the append: a writer's clock says nothing about how long an event has been here. The last segment goes with the
//! others where all of its events are too old; by bytes it always stays.

use crate::keep::segment::Segment;
use crate::streams::settings::StreamSettings;

/// The offset that should be the partition's start, where segments are to go. `stable`: what lies behind is not decided and stays.
pub(crate) fn new_start(segments: &[Segment], settings: &StreamSettings, stable: u64, now_us: i64) -> Option<u64> {
    let oldest_us = settings
        .retention_ms()
        .map(|ms| now_us.saturating_sub(i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX)));
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut start = None;
    for (number, segment) in segments.iter().enumerate() {
        let is_last = number + 1 == segments.len();
        bytes -= segment.bytes;
        let too_old = oldest_us.is_some_and(|oldest_us| segment.appended_at_us_last < oldest_us);
        let too_much = !is_last && settings.retention_bytes().is_some_and(|most| bytes >= most);
        if !(too_old || too_much) || segment.end > stable {
            break;
        }
        start = Some(segment.end);
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of ten offsets and so many bytes, whose last events came at these milliseconds; now is 1,000.
    fn check(segments: &[(u64, i64)], settings: &[(&str, &str)], stable: u64, expected: Option<u64>) {
        let mut made: Vec<Segment> = Vec::new();
        for (number, (bytes, last_ms)) in segments.iter().enumerate() {
            let mut segment = Segment::new(number as u64 * 10, 0);
            segment.end = segment.base + 10;
            segment.bytes = *bytes;
            segment.entries = 1;
            segment.appended_at_us_last = last_ms * 1000;
            made.push(segment);
        }
        let read = StreamSettings::of_pairs(settings.iter().copied()).unwrap();
        let found = new_start(&made, &read, stable, 1_000_000);
        assert_eq!(found, expected, "{segments:?} {settings:?} {stable}");
    }

    #[test]
    fn the_oldest_go_and_only_they() {
        let four = [(100, 100), (100, 200), (100, 300), (100, 400)];
        check(&four, &[], 40, None);
        check(&[], &[("retention_ms", "0")], 0, None);
        check(&four, &[("retention_ms", "900")], 40, None);
        check(&four, &[("retention_ms", "899")], 40, Some(10));
        check(&four, &[("retention_ms", "650")], 40, Some(30));
        check(&four, &[("retention_ms", "0")], 40, Some(40));
        check(&four, &[("retention_ms", "0")], 25, Some(20));
        check(&four, &[("retention_ms", "forever")], 40, None);
        check(&four, &[("retention_bytes", "300")], 40, Some(10));
        check(&four, &[("retention_bytes", "301")], 40, None);
        check(&four, &[("retention_bytes", "0")], 40, Some(30));
        check(&four, &[("retention_bytes", "0")], 5, None);
        check(
            &four,
            &[("retention_bytes", "250"), ("retention_ms", "750")],
            40,
            Some(20),
        );
        // An old segment behind a young one waits for it: what is kept has no holes.
        check(&[(100, 900), (100, 100)], &[("retention_ms", "500")], 20, None);
    }
}
