//! Ranges over numbers, and the bytes of those that need more than 64 bits.

use std::ops::RangeInclusive;

use super::field::Span;

/// One end of a range as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct End<T> {
    /// What is written.
    pub value: T,
    /// Whether it belongs to the range.
    pub is_included: bool,
}

/// The whole numbers of a range; empty where the first is above the last.
pub(super) fn range(low: Option<&End<Span>>, high: Option<&End<Span>>) -> RangeInclusive<i128> {
    let first = match low {
        None => i128::MIN,
        Some(End {
            value,
            is_included: true,
        }) => value.low,
        // Behind all that the value stands for.
        Some(End {
            value,
            is_included: false,
        }) => value.high.saturating_add(1).max(value.low),
    };
    let last = match high {
        None => i128::MAX,
        Some(End {
            value,
            is_included: true,
        }) => value.high,
        Some(End {
            value,
            is_included: false,
        }) => value.low.saturating_sub(1).min(value.high),
    };
    first..=last
}

/// The part of a range that 64 bits hold; `None` where there is none.
pub(super) fn narrow(range: &RangeInclusive<i128>) -> Option<(i64, i64)> {
    let first = (*range.start()).max(i128::from(i64::MIN));
    let last = (*range.end()).min(i128::from(i64::MAX));
    if first > last {
        return None;
    }
    Some((i64::try_from(first).ok()?, i64::try_from(last).ok()?))
}

/// Bytes in the order of the numbers.
pub(super) fn sortable(value: i128) -> [u8; 16] {
    let flipped = value.cast_unsigned() ^ (1 << 127);
    flipped.to_be_bytes()
}

/// Zero has one sign, and what is no number is not found.
pub(super) fn plain(value: f64) -> Option<f64> {
    match value.is_nan() {
        true => None,
        // The other zero becomes this one.
        false => Some(value + 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(low: Option<(Span, bool)>, high: Option<(Span, bool)>, expected: (i128, i128)) {
        let end = |end: Option<(Span, bool)>| end.map(|(value, is_included)| End { value, is_included });
        let found = range(end(low).as_ref(), end(high).as_ref());
        assert_eq!((*found.start(), *found.end()), expected);
    }

    #[test]
    fn ends_are_in_or_out() {
        let one = Span::of(10);
        // 10.5, in whole numbers; a day of microseconds.
        let between = Span { low: 11, high: 10 };
        let day = Span { low: 100, high: 199 };
        check(Some((one, true)), Some((one, true)), (10, 10));
        check(Some((one, false)), None, (11, i128::MAX));
        check(None, Some((one, false)), (i128::MIN, 9));
        check(Some((between, true)), Some((between, true)), (11, 10));
        check(Some((between, false)), None, (11, i128::MAX));
        check(None, Some((between, false)), (i128::MIN, 10));
        check(Some((day, true)), Some((day, true)), (100, 199));
        check(Some((day, false)), None, (200, i128::MAX));
        check(None, Some((day, false)), (i128::MIN, 99));
        let top = Span::of(i128::MAX);
        check(Some((top, false)), None, (i128::MAX, i128::MAX));
    }

    #[test]
    fn ranges_narrow_to_64_bits() {
        let least = i128::from(i64::MIN);
        assert_eq!(narrow(&(3..=9)), Some((3, 9)));
        assert_eq!(narrow(&(i128::MIN..=i128::MAX)), Some((i64::MIN, i64::MAX)));
        assert_eq!(narrow(&(i128::MIN..=least - 1)), None);
        assert_eq!(narrow(&(i128::MIN..=least)), Some((i64::MIN, i64::MIN)));
        assert_eq!(narrow(&RangeInclusive::new(5, 4)), None);
    }

    #[test]
    fn bytes_stand_in_the_order_of_the_numbers() {
        let numbers = [i128::MIN, -256, -1, 0, 1, 255, 256, i128::MAX];
        let bytes = numbers.map(sortable);
        assert!(bytes.is_sorted());
        assert_eq!((plain(-0.0).map(f64::to_bits), plain(f64::NAN)), (Some(0), None));
    }
}
