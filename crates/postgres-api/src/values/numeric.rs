//! Decimals: PostgreSQL's binary numeric to and from digits.
//!
//! A binary numeric is `count: u16, weight: i16, sign: u16, scale: u16`, then `count` digits of base 10,000: the value is the sum of
//! `digit[i] * 10000^(weight - i)`.

use bytes::{BufMut, BytesMut};

const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xC000;

/// The most digits that a decimal of 128 bits holds.
const DIGITS_MAX: usize = 38;

/// A decimal number: `digits * 10^-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// The number without its point.
    pub unscaled: i128,
    /// How many digits stand behind the point.
    pub scale: u8,
}

impl Decimal {
    /// The precision that holds it: at least 1 and at least its scale.
    pub(crate) fn precision(self) -> u8 {
        let digits = self.unscaled.unsigned_abs().checked_ilog10().unwrap_or(0) as u8 + 1;
        digits.max(self.scale)
    }

    /// Reads `-12.50`, `1e3`. `Err` holds why it is none.
    pub(crate) fn from_text(text: &str) -> Result<Decimal, &'static str> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (
                mantissa,
                exponent.parse::<i32>().map_err(|_| "its exponent is no number")?,
            ),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if (whole.is_empty() && fraction.is_empty())
            || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit())
        {
            return Err("it is no decimal number");
        }
        let digits = format!("{whole}{fraction}");
        let scale = fraction.len() as i64 - i64::from(exponent);
        Decimal::from_digits(negative, digits.trim_start_matches('0'), scale)
    }

    /// Reads the binary form.
    pub(crate) fn from_binary(bytes: &[u8]) -> Result<Decimal, &'static str> {
        let mut words = bytes.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
        let mut word = || words.next().ok_or("it ends too early");
        let (count, weight, sign, scale) = (word()?, word()? as i16, word()?, word()?);
        if sign >= NOT_A_NUMBER {
            return Err("NaN and infinities have no place in a DECIMAL");
        }
        let mut digits = String::new();
        for _ in 0..count {
            let digit = word()?;
            if digit > 9999 {
                return Err("a digit is above 9999");
            }
            digits.push_str(&format!("{digit:04}"));
        }
        // The scale that the digits carry, and the scale that is meant: zeros are added or taken at the end.
        let carried = (i64::from(count) - 1 - i64::from(weight)) * 4;
        let meant = i64::from(scale);
        match meant - carried {
            missing @ 0.. => digits.push_str(&"0".repeat(missing.min(DIGITS_MAX as i64) as usize)),
            surplus => {
                let kept = digits.len().saturating_sub(surplus.unsigned_abs() as usize);
                if digits
                    .get(kept..)
                    .is_some_and(|cut| cut.bytes().any(|digit| digit != b'0'))
                {
                    return Err("it has more digits than its scale says");
                }
                digits.truncate(kept);
            }
        }
        Decimal::from_digits(sign & NEGATIVE != 0, digits.trim_start_matches('0'), meant)
    }

    fn from_digits(negative: bool, digits: &str, scale: i64) -> Result<Decimal, &'static str> {
        const TOO_LONG: &str = "it has more than 38 digits";
        let mut digits = digits.to_owned();
        let mut scale = scale;
        if scale < 0 && !digits.is_empty() {
            let zeros = usize::try_from(-scale)
                .ok()
                .filter(|zeros| *zeros <= DIGITS_MAX)
                .ok_or(TOO_LONG)?;
            digits.push_str(&"0".repeat(zeros));
        }
        scale = scale.max(0);
        if digits.len() > DIGITS_MAX || scale > DIGITS_MAX as i64 {
            return Err(TOO_LONG);
        }
        let unscaled: i128 = if digits.is_empty() {
            0
        } else {
            digits.parse().map_err(|_| TOO_LONG)?
        };
        Ok(Decimal {
            unscaled: if negative { -unscaled } else { unscaled },
            scale: scale as u8,
        })
    }
}

/// Writes the binary form of a number given as a plain text (`-12.50`, no exponent).
pub(crate) fn put_binary(buffer: &mut BytesMut, text: &str) {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut padded = "0".repeat((4 - whole.len() % 4) % 4);
    padded.push_str(whole);
    let whole_digits = padded.len() / 4;
    padded.push_str(fraction);
    padded.push_str(&"0".repeat((4 - fraction.len() % 4) % 4));
    let mut digits: Vec<u16> = padded
        .as_bytes()
        .chunks(4)
        .map(|chunk| {
            chunk
                .iter()
                .fold(0, |digit, byte| digit * 10 + u16::from(byte.saturating_sub(b'0')))
        })
        .collect();
    let leading = digits.iter().take_while(|digit| **digit == 0).count();
    digits.drain(..leading);
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let weight = match digits.is_empty() {
        true => 0,
        false => whole_digits as i16 - 1 - leading as i16,
    };
    buffer.put_u16(digits.len() as u16);
    buffer.put_i16(weight);
    buffer.put_u16(if negative && !digits.is_empty() { NEGATIVE } else { 0 });
    buffer.put_u16(fraction.len() as u16);
    for digit in digits {
        buffer.put_u16(digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(i128, u8), &str>) {
        match (Decimal::from_text(text), expected) {
            (Ok(decimal), Ok((unscaled, scale))) => {
                assert_eq!(decimal, Decimal { unscaled, scale }, "{text}");
            }
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{text}: {why}"),
            (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn texts_are_read_exactly() {
        check("0", Ok((0, 0)));
        check("-12.50", Ok((-1250, 2)));
        check("1e3", Ok((1000, 0)));
        check("1.5E-3", Ok((15, 4)));
        check(
            "99999999999999999999999999999999999999",
            Ok((99_999_999_999_999_999_999_999_999_999_999_999_999, 0)),
        );
        check("999999999999999999999999999999999999999", Err("more than 38"));
        check("1e39", Err("more than 38"));
        check("1e2000000000", Err("more than 38"));
        check("NaN", Err("no decimal number"));
        check("", Err("no decimal number"));
        check("1.2.3", Err("no decimal number"));
    }

    #[test]
    fn binary_round_trips() {
        for text in [
            "0",
            "0.00",
            "1",
            "-1.00",
            "10000",
            "9999.9999",
            "100.05",
            "-0.0001",
            "0.00001",
            "12345678901234567890.12",
        ] {
            let mut buffer = BytesMut::new();
            put_binary(&mut buffer, text);
            assert_eq!(Decimal::from_binary(&buffer), Decimal::from_text(text), "{text}");
        }
    }

    #[test]
    fn binary_is_as_postgres_sends_it() {
        // SELECT numeric_send(12345.678): two whole groups, one and a half behind the point.
        let mut buffer = BytesMut::new();
        put_binary(&mut buffer, "12345.678");
        assert_eq!(&buffer[..], b"\0\x03\0\x01\0\0\0\x03\0\x01\x09\x29\x1a\x7c");
        for (bytes, why) in [
            (&b"\0\x01\0\0\xc0\0\0\0"[..], "NaN"),
            (b"\xff\xff\0\0\0\0\0\0", "ends too early"),
            (b"\0\x01\0\0\0\0\0\0\xff\xff", "above 9999"),
            (b"\0\x01\x7f\xff\0\0\0\0\0\x01", "more than 38"),
            (b"", "ends too early"),
        ] {
            assert!(Decimal::from_binary(bytes).unwrap_err().contains(why), "{bytes:?}");
        }
    }
}
