//! When a segment is full: at a size, and some time after its first event came. Decides only.
//!
//! Events go a segment at a time, so a stream that keeps its events for an hour is not cut once a week: what nobody set follows from
//! how long and how much is kept.

use super::extent::Segment;
use crate::append::journal::format::BatchEntry;
use crate::limits::{CUT_BYTES_LEAST, CUT_MS_LEAST, RETENTION_PARTS};
use crate::streams::settings::StreamSettings;

/// Where a stream's segments are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    bytes: u64,
    us: i64,
}

impl Cut {
    /// `segment_bytes` is the log's own size.
    pub(crate) fn of(settings: &StreamSettings, segment_bytes: u64) -> Cut {
        let part = |kept: Option<u64>, least: u64| kept.map_or(u64::MAX, |kept| (kept / RETENTION_PARTS).max(least));
        let bytes = match settings.segment_bytes {
            Some(bytes) => bytes,
            None => segment_bytes.min(part(settings.retention_bytes(), CUT_BYTES_LEAST)),
        };
        let ms = match settings.segment_ms {
            Some(ms) => ms,
            None => settings
                .segment_ms()
                .min(part(settings.retention_ms(), CUT_MS_LEAST))
                .min(settings.compaction_lag_ms_max().unwrap_or(u64::MAX).max(CUT_MS_LEAST)),
        };
        let us = i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        Cut { bytes, us }
    }

    /// Whether this batch begins another segment.
    pub(crate) fn is_full(&self, segment: &Segment, next: &BatchEntry) -> bool {
        let bytes = segment.bytes + next.batch.bytes().len() as u64;
        let is_begun = segment.entries > 0;
        segment.closed || (is_begun && (bytes > self.bytes || self.is_old(segment, next.appended_at_us)))
    }

    /// Whether the segment was begun long enough ago.
    pub(crate) fn is_old(&self, segment: &Segment, now_us: i64) -> bool {
        segment.entries > 0 && now_us.saturating_sub(segment.appended_at_us_first) >= self.us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_set_follows_from_what_is_kept() {
        let check = |settings: &[(&str, &str)], bytes: u64, ms: i64| {
            let settings_read = StreamSettings::of_pairs(settings.iter().copied()).unwrap();
            let expected = Cut { bytes, us: ms * 1000 };
            assert_eq!(Cut::of(&settings_read, 1 << 28), expected, "{settings:?}");
        };
        let week = 604_800_000;
        check(&[], 1 << 28, week);
        check(&[("retention_ms", "3600000")], 1 << 28, 900_000);
        check(&[("retention_ms", "1")], 1 << 28, 1_000);
        check(&[("retention_ms", "1"), ("segment_ms", "7")], 1 << 28, 7);
        check(&[("retention_bytes", "104857600")], 26_214_400, week);
        check(&[("retention_bytes", "0")], 65_536, week);
        check(&[("retention_bytes", "0"), ("segment_bytes", "2048")], 2_048, week);
        check(&[("compaction_lag_ms_max", "60000")], 1 << 28, 60_000);
        check(
            &[("retention_ms", "forever"), ("segment_ms", "9223372036854775")],
            1 << 28,
            i64::MAX / 1000,
        );
    }
}
