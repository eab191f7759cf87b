//! Numbers with an exponent, as PostgreSQL reads a NUMERIC, written out: `1e3` is `1000`, `1.5E-2` is `0.015`.

/// The most digits that are written out: more than any number here has.
const DIGITS_MAX: usize = 400;

/// The number without its exponent; `None`: it has none, or is no number, which whoever reads it says.
pub fn plain(text: &str) -> Option<String> {
    let (number, exponent) = text.trim().split_once(['e', 'E'])?;
    let exponent: i64 = exponent.parse().ok()?;
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let point = (whole.len() as i64).checked_add(exponent)?;
    let zeros = usize::try_from(point.unsigned_abs()).ok()?;
    if zeros > DIGITS_MAX || digits.len() > DIGITS_MAX {
        return None;
    }
    let written = match usize::try_from(point) {
        Ok(point) if point >= digits.len() => format!("{digits}{}", "0".repeat(point - digits.len())),
        Ok(point) if point > 0 => format!("{}.{}", &digits[..point], &digits[point..]),
        _ => format!("0.{}{digits}", "0".repeat(zeros)),
    };
    Some(format!("{sign}{written}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponent_is_written_out() {
        for (text, expected) in [
            ("1e3", Some("1000")),
            ("-1.5E-2", Some("-0.015")),
            ("+12.345e2", Some("1234.5")),
            (" 1E+2 ", Some("100")),
            ("1e0", Some("1")),
            (".5e1", Some("5")),
            ("25e-2", Some("0.25")),
            ("1000", None),
            ("e3", None),
            ("1e", None),
            ("1e3.5", None),
            ("1e99999999", None),
            ("one", None),
        ] {
            assert_eq!(plain(text).as_deref(), expected, "{text}");
        }
    }
}
