//! Decimal numbers, compared exactly whatever their spelling.

/// A number in one form for all its spellings; any other text as it is.
pub fn canonical(text: &str) -> String {
    match number(text) {
        Some(Number {
            negative,
            digits,
            exponent,
        }) => format!("{}{digits}e{exponent}", if negative { "-" } else { "" }),
        None => text.to_owned(),
    }
}

/// A decimal number, exactly: digits without zeros at either end, times ten to the exponent.
#[derive(Debug, PartialEq, Eq)]
pub struct Number {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// The number that a text is, where it is one.
pub fn number(text: &str) -> Option<Number> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // A text such as 007 is a name, not a number.
    let named = whole.is_empty() || (whole.len() > 1 && whole.starts_with('0'));
    if named || !all_digits(whole) || !all_digits(fraction) || mantissa.ends_with('.') {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let kept = significant.trim_end_matches('0');
    if kept.is_empty() {
        return Some(Number {
            negative: false,
            digits: "0".to_owned(),
            exponent: 0,
        });
    }
    let zeros = (significant.len() - kept.len()) as i64;
    let exponent = i64::from(exponent) - fraction.len() as i64 + zeros;
    Some(Number {
        negative,
        digits: kept.to_owned(),
        exponent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for (one, other, same) in [
            ("20", "20.00", true),
            ("2e1", "20", true),
            ("-0", "0.0", true),
            ("-1", "1", false),
            ("0.1", "0.10", true),
            ("100", "1", false),
            ("12345678901234567890.1", "12345678901234567890.10", true),
            ("12345678901234567890.1", "12345678901234567890.2", false),
            ("007", "7", false),
            ("1.", "1", false),
            ("a", "a", true),
            ("", "NULL", false),
        ] {
            assert_eq!(canonical(one) == canonical(other), same, "{one} {other}");
        }
    }
}
