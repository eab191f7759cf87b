//! Numbers as they are written, without a detour through a float.
//!
//! A literal is JSON's number grammar (RFC 8259, section 6): its value is `digits * 10^exponent`, and it fits a column of a scale
//! exactly or not at all. `5`, `5.0` and `50e-1` are the same number; `1.005` does not fit two digits after the point.

/// Why a literal is no value of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberError {
    /// It is not written as JSON writes numbers.
    Syntax,
    /// It has more digits after the point than the column keeps.
    Fraction,
    /// It is too large or too small.
    Range,
}

/// The powers of ten, as far as 128 bits hold them.
const POWERS: [u128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The length of the number literal that `bytes` begins with; 0 where there is none.
#[inline]
pub fn literal_length(bytes: &[u8]) -> usize {
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    at += match bytes.get(at) {
        Some(b'0') => 1,
        Some(b'1'..=b'9') => digits(at),
        _ => return 0,
    };
    if bytes.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return 0,
            count => at += 1 + count,
        }
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        match digits(at) {
            0 => return 0,
            count => at += count,
        }
    }
    at
}

/// The literal's value times `10^scale`, where that is a whole number of at most `precision` digits.
#[inline]
pub fn decimal(literal: &[u8], precision: u8, scale: i8) -> Result<i128, NumberError> {
    if let Some(value) = short_decimal(literal, scale) {
        return within(value, precision);
    }
    if literal.is_empty() || literal_length(literal) != literal.len() {
        return Err(NumberError::Syntax);
    }
    let (is_negative, literal) = match literal.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, literal),
    };
    let (mantissa, exponent) = match literal.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&literal[..at], exponent(&literal[at + 1..])),
        None => (literal, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let fraction_length = point.map_or(0, |at| mantissa.len() - at - 1);
    let mut digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..leading);
    if digits.is_empty() {
        return Ok(0);
    }
    // The value is `digits * 10^shift` in units of the scale.
    let mut shift = exponent
        .saturating_add(i64::from(scale))
        .saturating_sub(fraction_length as i64);
    while shift < 0 && digits.last() == Some(&b'0') {
        digits.pop();
        shift += 1;
    }
    if shift < 0 {
        return Err(NumberError::Fraction);
    }
    if digits.len() as i64 + shift.min(1_000) > 38 {
        return Err(NumberError::Range);
    }
    let value = digits
        .iter()
        .fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    let value = value * 10_i128.pow(shift as u32);
    within(if is_negative { -value } else { value }, precision)
}

/// The literal as a 64-bit integer, where it is one.
pub fn integer(literal: &[u8]) -> Result<i64, NumberError> {
    let value = decimal(literal, 38, 0)?;
    i64::try_from(value).map_err(|_| NumberError::Range)
}

/// The double nearest to the literal.
pub fn double(literal: &str) -> Result<f64, NumberError> {
    if literal.is_empty() || literal_length(literal.as_bytes()) != literal.len() {
        return Err(NumberError::Syntax);
    }
    match literal.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(NumberError::Range),
        Err(_) => Err(NumberError::Syntax),
    }
}

/// The float nearest to the literal, rounded once.
pub fn real(literal: &str) -> Result<f32, NumberError> {
    double(literal)?;
    match literal.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(NumberError::Range),
        Err(_) => Err(NumberError::Syntax),
    }
}

/// The common case, without exponent and within 18 digits: one pass, no memory.
#[inline]
fn short_decimal(literal: &[u8], scale: i8) -> Option<i128> {
    if literal.len() > 19 || scale < 0 {
        return None;
    }
    let (is_negative, digits) = match literal.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, literal),
    };
    let mut value = 0_i64;
    let mut count = 0_usize;
    let mut point = None;
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                count += 1;
            }
            b'.' if point.is_none() && at > 0 && at + 1 < digits.len() => point = Some(at),
            _ => return None,
        }
    }
    let has_leading_zero = digits.first() == Some(&b'0') && count > 1 && point != Some(1);
    if count == 0 || has_leading_zero {
        return None;
    }
    let fraction_length = point.map_or(0, |at| digits.len() - at - 1);
    let missing = usize::from(scale.unsigned_abs()).checked_sub(fraction_length)?;
    if missing > 18 {
        return None;
    }
    let value = i128::from(value) * POWERS[missing] as i128;
    Some(if is_negative { -value } else { value })
}

#[inline]
fn within(value: i128, precision: u8) -> Result<i128, NumberError> {
    let bound = POWERS.get(usize::from(precision)).copied().unwrap_or(u128::MAX);
    if value.unsigned_abs() < bound {
        Ok(value)
    } else {
        Err(NumberError::Range)
    }
}

/// An exponent's value; one beyond any number's reach stops growing.
fn exponent(text: &[u8]) -> i64 {
    let (is_negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let value = digits.iter().fold(0_i64, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(1_000_000_000)
    });
    if is_negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_exactly_or_not_at_all() {
        let check = |literal: &str, expected: Result<i128, NumberError>| {
            assert_eq!(decimal(literal.as_bytes(), 18, 2), expected, "{literal}");
        };
        check("0", Ok(0));
        check("-0", Ok(0));
        check("0.00", Ok(0));
        check("100", Ok(10_000));
        check("100.5", Ok(10_050));
        check("-0.01", Ok(-1));
        check("1.500", Ok(150));
        check("1e2", Ok(10_000));
        check("1E+2", Ok(10_000));
        check("12345e-3", Err(NumberError::Fraction));
        check("12340e-3", Ok(1_234));
        check("1.005", Err(NumberError::Fraction));
        check("0.1000000000000000055511151231257827", Err(NumberError::Fraction));
        check("9999999999999999.99", Ok(999_999_999_999_999_999));
        check("10000000000000000", Err(NumberError::Range));
        check("1e16", Err(NumberError::Range));
        check("1e999999999999999999999", Err(NumberError::Range));
        check("1e-999999999999999999999", Err(NumberError::Fraction));
        check("0e999999999999999999999", Ok(0));
        check(&format!("{}1", "9".repeat(400)), Err(NumberError::Range));
        check(&format!("1.{}", "0".repeat(400)), Ok(100));
        for wrong in [
            "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x1", "NaN", "1 ", " 1", "1,5", "--1", "1.2.3",
        ] {
            check(wrong, Err(NumberError::Syntax));
        }
        assert_eq!(
            decimal(b"99999999999999999999999999999999999999", 38, 0),
            Ok(10_i128.pow(38) - 1)
        );
        assert_eq!(decimal(b"0.00000000000000000000000000000000000001", 38, 38), Ok(1));
        assert_eq!(decimal(b"1", 38, 38), Err(NumberError::Range));
    }

    #[test]
    fn integers_are_whole() {
        let check = |literal: &str, expected: Result<i64, NumberError>| {
            assert_eq!(integer(literal.as_bytes()), expected, "{literal}");
        };
        check("9007199254740993", Ok(9_007_199_254_740_993));
        check("9223372036854775807", Ok(i64::MAX));
        check("-9223372036854775808", Ok(i64::MIN));
        check("9223372036854775808", Err(NumberError::Range));
        check("-9223372036854775809", Err(NumberError::Range));
        check("5.0", Ok(5));
        check("5.5", Err(NumberError::Fraction));
    }

    #[test]
    fn floats_are_the_nearest() {
        assert_eq!(double("0.1"), Ok(0.1));
        assert_eq!(double("1e308"), Ok(1e308));
        assert_eq!(double("1e309"), Err(NumberError::Range));
        assert_eq!(double("inf"), Err(NumberError::Syntax));
        assert_eq!(real("3.4e38"), Ok(3.4e38));
        assert_eq!(real("3.5e38"), Err(NumberError::Range));
        assert_eq!(real("7.038531e-26"), Ok(7.038_531e-26));
    }
}
