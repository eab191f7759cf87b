//! Moments as people write them.

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::temporal_conversions::timestamp_us_to_datetime;

/// `2025-01-31`, `2025-01-31 09:30:00` or `2025-01-31T09:30:00+01:00`, in UTC where there is no zone: microseconds since 1970.
pub fn parse(text: &str) -> Option<i64> {
    string_to_timestamp_nanos(text)
        .ok()
        .map(|nanos| nanos.div_euclid(1_000))
}

/// A moment, to the microsecond.
pub fn shown(moment_us: i64) -> String {
    match timestamp_us_to_datetime(moment_us) {
        Some(moment) => format!("{} UTC", moment.format("%Y-%m-%d %H:%M:%S%.6f")),
        None => "the beginning".to_owned(),
    }
}
