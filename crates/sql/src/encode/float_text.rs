//! Floats as PostgreSQL writes them: the fewest digits that are read as the same number, with an exponent where it is far from one.

use std::fmt::{Display, LowerExp, Write};

/// Writes `0.1`, `1e+20`, `1e-05`, `Infinity`, `NaN`.
pub fn put_float<F: Copy + Display + LowerExp + Into<f64>>(text: &mut String, float: F) {
    let value: f64 = float.into();
    let magnitude = value.abs();
    if value.is_nan() {
        text.push_str("NaN");
    } else if value.is_infinite() {
        text.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else if magnitude == 0.0 || (1e-4..1e15).contains(&magnitude) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{float}");
    } else {
        let written = format!("{float:e}");
        let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        let _ = write!(text, "{digits}e{sign}{exponent:0>2}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_in_postgres() {
        let check = |float: f64, expected: &str| {
            let mut text = String::new();
            put_float(&mut text, float);
            assert_eq!(text, expected);
        };
        check(0.1, "0.1");
        check(1.0, "1");
        check(-0.0, "-0");
        check(100_000_000_000_000.0, "100000000000000");
        check(1e15, "1e+15");
        check(-1.234_567_890_123_456_8e17, "-1.2345678901234568e+17");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(1e100, "1e+100");
        check(f64::NAN, "NaN");
        check(f64::NEG_INFINITY, "-Infinity");
        let mut text = String::new();
        put_float(&mut text, 0.1_f32);
        assert_eq!(text, "0.1");
    }
}
