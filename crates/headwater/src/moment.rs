//! Moments as people write them.

use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::temporal_conversions::timestamp_us_to_datetime;

/// `2025-01-31`, `2025-01-31 09:30`, `2025-01-31 09:30:00` or `2025-01-31T09:30:00+01:00`, in UTC where there is no zone: microseconds since 1970.
pub fn parse(text: &str) -> Option<i64> {
    let utc: Tz = "+00:00".parse().ok()?;
    let read = |text: &str| string_to_datetime(&utc, text).ok();
    let moment = read(text).or_else(|| read(&format!("{text}:00")));
    moment.map(|moment| moment.timestamp_micros())
}

/// A moment, to the microsecond.
pub fn shown(moment_us: i64) -> String {
    match timestamp_us_to_datetime(moment_us) {
        Some(moment) => format!("{} UTC", moment.format("%Y-%m-%d %H:%M:%S%.6f")),
        None => "the beginning".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;
        for (text, expected) in [
            ("1970-01-02", Some(DAY_US)),
            ("1970-01-02 00:00", Some(DAY_US)),
            ("1970-01-02T00:00:00.5", Some(DAY_US + 500_000)),
            ("1970-01-02 01:00:00+01:00", Some(DAY_US)),
            // Beyond what nanoseconds count.
            ("2999-01-01", Some(375_835 * DAY_US)),
            ("1970-01-02 25:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
