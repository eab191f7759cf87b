//! Zigzag varints, as the events inside a batch use them: at most 5 bytes for 32 bits, at most 10 for 64.
//!
//! Source: Protocol Buffers' encoding of `sint32` and `sint64`.

use super::BatchError;

const CUT: BatchError = BatchError::Malformed("an event ends in the middle of a number");
const LONG: BatchError = BatchError::Malformed("a number inside is longer than its type");

/// Takes a 64-bit number off the front of `bytes`.
#[inline]
pub(super) fn take_i64(bytes: &mut &[u8]) -> Result<i64, BatchError> {
    // Most numbers inside a batch are small: one byte, or two.
    let all = *bytes;
    match all {
        [first, rest @ ..] if *first < 0x80 => {
            *bytes = rest;
            Ok(unzigzag(u64::from(*first)))
        }
        [first, second, rest @ ..] if *second < 0x80 => {
            *bytes = rest;
            Ok(unzigzag(u64::from(first & 0x7f) | u64::from(*second) << 7))
        }
        _ => take_long(bytes),
    }
}

fn take_long(bytes: &mut &[u8]) -> Result<i64, BatchError> {
    let mut value: u64 = 0;
    for index in 0..10 {
        let (&byte, rest) = bytes.split_first().ok_or(CUT)?;
        *bytes = rest;
        // The tenth byte holds the one bit that is left.
        if index == 9 && byte > 1 {
            return Err(LONG);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok(unzigzag(value));
        }
    }
    Err(LONG)
}

/// Takes a 32-bit number off the front of `bytes`.
#[inline]
pub(super) fn take_i32(bytes: &mut &[u8]) -> Result<i32, BatchError> {
    i32::try_from(take_i64(bytes)?).map_err(|_| LONG)
}

/// Appends a number.
#[inline]
pub(super) fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// How many bytes [`put`] takes for a number.
#[inline]
pub(super) fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[inline]
fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: i64, expected: &[u8]) {
        let mut out: Vec<u8> = Vec::new();
        put(&mut out, value);
        assert_eq!(out, expected, "{value}");
        assert_eq!(size(value), expected.len(), "{value}");
        let mut rest = expected;
        assert_eq!(take_i64(&mut rest), Ok(value));
        assert!(rest.is_empty());
    }

    #[test]
    fn numbers_round_trip_at_every_length() {
        check(0, &[0]);
        check(-1, &[1]);
        check(63, &[0x7e]);
        check(-64, &[0x7f]);
        check(64, &[0x80, 1]);
        check(8191, &[0xfe, 0x7f]);
        check(8192, &[0x80, 0x80, 1]);
        check(i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]);
        check(i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
        check(i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    }

    #[test]
    fn too_short_and_too_long_are_refused() {
        assert_eq!(take_i64(&mut [].as_slice()), Err(CUT));
        assert_eq!(take_i64(&mut [0x80].as_slice()), Err(CUT));
        assert_eq!(take_i64(&mut [0xff; 11].as_slice()), Err(LONG));
        let ten = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(take_i64(&mut ten.as_slice()), Err(LONG));
        let mut beyond: Vec<u8> = Vec::new();
        put(&mut beyond, i64::from(i32::MAX) + 1);
        assert_eq!(take_i32(&mut beyond.as_slice()), Err(LONG));
    }
}
