//! How far a partition may be compacted, whether it is time, and which segments are written into one. Decides only.

use std::ops::Range;

use crate::keep::segment::Segment;
use crate::streams::settings::StreamSettings;

/// The offset up to which a partition is to be compacted now; `None` where it is not time.
pub(crate) fn dirty_end(
    segments: &[Segment],
    compacted: u64,
    stable: u64,
    settings: &StreamSettings,
    now_us: i64,
) -> Option<u64> {
    let ago = |ms: u64| now_us.saturating_sub(i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX));
    let youngest_us = ago(settings.compaction_lag_ms_min());
    let mut end = None;
    let (mut clean_bytes, mut dirty_bytes) = (0_u64, 0_u64);
    let mut oldest_dirty_us = i64::MAX;
    for (number, segment) in segments.iter().enumerate() {
        let is_written = number + 1 == segments.len() && !segment.closed;
        if is_written || segment.end > stable || segment.appended_at_us_last > youngest_us {
            break;
        }
        if segment.end <= compacted {
            clean_bytes += segment.bytes;
            continue;
        }
        dirty_bytes += segment.bytes;
        oldest_dirty_us = oldest_dirty_us.min(segment.appended_at_us_first);
        end = Some(segment.end);
    }
    let millionths = u128::from(dirty_bytes) * 1_000_000 / u128::from(clean_bytes + dirty_bytes).max(1);
    let is_overdue = settings
        .compaction_lag_ms_max()
        .is_some_and(|ms| oldest_dirty_us <= ago(ms));
    end.filter(|_| is_overdue || millionths >= u128::from(settings.dirty_ratio_min()))
}

/// The runs of segments that become one each: as many as fit into `segment_bytes` and into the offsets that one segment may span.
pub(crate) fn runs(segments: &[Segment], segment_bytes: u64) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (number, segment) in segments.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if bytes + segment.bytes <= segment_bytes => {
                run.end = number + 1;
                bytes += segment.bytes;
            }
            _ => {
                runs.push(number..number + 1);
                bytes = segment.bytes;
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of ten offsets and so many bytes, each appended at one moment.
    fn segments(list: &[(u64, i64)], closed: bool) -> Vec<Segment> {
        let mut made: Vec<Segment> = Vec::new();
        for (number, (bytes, at_ms)) in list.iter().enumerate() {
            let mut segment = Segment::new(number as u64 * 10, 0);
            segment.end = segment.base + 10;
            segment.bytes = *bytes;
            segment.entries = 1;
            segment.appended_at_us_first = at_ms * 1000;
            segment.appended_at_us_last = at_ms * 1000;
            segment.closed = closed || number + 1 < list.len();
            made.push(segment);
        }
        made
    }

    #[test]
    fn how_far_and_whether_it_is_time() {
        let check = |closed: bool, compacted: u64, stable: u64, settings: &[(&str, &str)], expected: Option<u64>| {
            let made = segments(&[(100, 100), (100, 200), (100, 300), (100, 400)], closed);
            let read = StreamSettings::of_pairs(settings.iter().copied()).unwrap();
            let found = dirty_end(&made, compacted, stable, &read, 1_000_000);
            assert_eq!(found, expected, "{closed} {compacted} {stable} {settings:?}");
        };
        check(false, 0, 40, &[], Some(30));
        check(true, 0, 40, &[], Some(40));
        check(true, 0, 29, &[], Some(20));
        check(true, 0, 9, &[], None);
        check(true, 40, 40, &[("dirty_ratio_min", "0")], None);
        check(true, 20, 40, &[], Some(40));
        check(true, 30, 40, &[], None);
        check(true, 30, 40, &[("dirty_ratio_min", "0.25")], Some(40));
        check(true, 30, 40, &[("dirty_ratio_min", "0.26")], None);
        check(true, 30, 40, &[("compaction_lag_ms_max", "600")], Some(40));
        check(true, 30, 40, &[("compaction_lag_ms_max", "601")], None);
        check(true, 0, 40, &[("compaction_lag_ms_min", "600")], Some(40));
        check(true, 0, 40, &[("compaction_lag_ms_min", "601")], Some(30));
        check(true, 0, 40, &[("compaction_lag_ms_min", "901")], None);
        // A segment compacted up to its middle is dirty.
        check(true, 35, 40, &[("dirty_ratio_min", "0.25")], Some(40));
        assert_eq!(dirty_end(&[], 0, 0, &StreamSettings::default(), 0), None);
    }

    #[test]
    fn small_segments_are_put_together() {
        // Each run is said as its first segment and the one behind its last.
        let check = |bytes: &[u64], expected: &[(usize, usize)]| {
            let list: Vec<(u64, i64)> = bytes.iter().map(|bytes| (*bytes, 0)).collect();
            let found = runs(&segments(&list, true), 100);
            let found: Vec<(usize, usize)> = found.iter().map(|run| (run.start, run.end)).collect();
            assert_eq!(found, expected, "{bytes:?}");
        };
        check(&[], &[]);
        check(&[300], &[(0, 1)]);
        check(&[40, 60, 1], &[(0, 2), (2, 3)]);
        check(&[0, 0, 101, 0], &[(0, 2), (2, 3), (3, 4)]);
        check(&[101, 50, 50], &[(0, 1), (1, 3)]);
    }
}
