//! Numbers as they are written: those that the query engine's decimals do not hold are floats, and those that floats do not hold either are an error at
//! their place.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, LimitClause, Query, Value, ValueWithSpan,
};

use crate::postgres::ast::text;
use crate::{Place, SqlError, SqlState};

/// The digits of the widest decimal.
const DIGITS_MAX: i64 = 76;

/// What a number is instead, where the engine's decimals do not hold it.
pub(super) fn literal(value: &ValueWithSpan) -> Result<Option<Expr>, SqlError> {
    let Value::Number(written, _) = &value.value else {
        return Ok(None);
    };
    let written = written.replace('_', "");
    match decimal(&written) {
        Some(Decimal::AsWritten) => return Ok(None),
        Some(Decimal::Whole(digits)) => {
            let precision = ExactNumberInfo::PrecisionAndScale(digits.len() as u64, 0);
            return Ok(Some(cast(&digits, DataType::Decimal(precision))));
        }
        None => {}
    }
    let has_exponent = written.contains(['e', 'E']);
    let float: f64 = written.parse().unwrap_or(f64::INFINITY);
    // Without an exponent somebody means each of the digits.
    if !has_exponent || !float.is_finite() || float == 0.0 {
        let error = SqlError::new(SqlState::OUT_OF_RANGE, "value overflows numeric format");
        let hint = format!(
            "numbers have up to {DIGITS_MAX} digits; those with an exponent are DOUBLE PRECISION beyond that, up to 1.8e308"
        );
        return Err(error.hint(hint).at(place(value)));
    }
    Ok(Some(cast(&written, DataType::Double(ExactNumberInfo::None))))
}

fn cast(written: &str, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(text(written)),
        data_type,
        array: false,
        format: None,
    }
}

/// A number that the engine's decimals hold.
enum Decimal {
    /// The engine reads it itself, as a decimal or as a whole number.
    AsWritten,
    /// Its exponent makes a whole number of it: the engine would keep the zeros as an exponent, which some of its functions do not know.
    Whole(String),
}

fn decimal(written: &str) -> Option<Decimal> {
    let (number, exponent) = written.split_once(['e', 'E']).unwrap_or((written, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let exponent = exponent.parse::<i64>().ok()?;
    let scale = (fraction.len() as i64).saturating_sub(exponent);
    let zeros = scale.min(0).saturating_neg();
    if (digits.len() as i64).saturating_add(zeros).max(scale) > DIGITS_MAX {
        return None;
    }
    Some(match zeros {
        0 => Decimal::AsWritten,
        _ if digits.is_empty() => Decimal::Whole("0".to_owned()),
        zeros => Decimal::Whole(format!("{digits}{}", "0".repeat(zeros as usize))),
    })
}

/// Refuses a number behind LIMIT or OFFSET that counts no rows.
pub(super) fn counts(query: &Query) -> Result<(), SqlError> {
    let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause else {
        return Ok(());
    };
    let offset = offset.as_ref().map(|offset| &offset.value);
    for (clause, expr) in [("LIMIT", limit.as_ref()), ("OFFSET", offset)] {
        let Some(Expr::Value(value)) = expr else { continue };
        let Value::Number(written, _) = &value.value else {
            continue;
        };
        let written = written.replace('_', "");
        if written.parse::<i64>().is_ok() {
            continue;
        }
        let error = match written.bytes().all(|byte| byte.is_ascii_digit()) {
            true => SqlError::new(SqlState::OUT_OF_RANGE, format!("{clause} {written} is out of range"))
                .hint(format!("{} is the most", i64::MAX)),
            false => SqlError::new(
                SqlState::TYPE_MISMATCH,
                format!("{clause} {written} is no number of rows"),
            )
            .hint("write a whole number"),
        };
        return Err(error.at(place(value)));
    }
    Ok(())
}

fn place(value: &ValueWithSpan) -> Place {
    Place {
        file: String::new(),
        line: value.span.start.line.max(1),
        column: value.span.start.column.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a number: itself, a float, or nothing.
    fn check(written: &str, expected: Result<&str, ()>) {
        let value = Value::Number(written.to_owned(), false).with_empty_span();
        let came = literal(&value).map(|expr| expr.map_or_else(|| written.to_owned(), |expr| expr.to_string()));
        assert_eq!(came.map_err(|_| ()), expected.map(str::to_owned), "{written}");
    }

    #[test]
    fn numbers_beyond_decimals_are_floats_and_beyond_those_errors() {
        for plain in ["0", "1.5", "1E-76", "1.5e1", "1_000.5e0", "0.000e-70"] {
            check(plain, Ok(plain));
        }
        check("1e5", Ok("CAST('100000' AS DECIMAL(6,0))"));
        check("1_000.5e3", Ok("CAST('1000500' AS DECIMAL(7,0))"));
        check("0e9", Ok("CAST('0' AS DECIMAL(1,0))"));
        let widest = format!("CAST('1{}' AS DECIMAL(76,0))", "0".repeat(75));
        check("1e75", Ok(&widest));
        check("1e76", Ok("CAST('1e76' AS DOUBLE)"));
        check(&"9".repeat(76), Ok(&"9".repeat(76)));
        check(&"9".repeat(77), Err(()));
        check("1e300", Ok("CAST('1e300' AS DOUBLE)"));
        check("1e-77", Ok("CAST('1e-77' AS DOUBLE)"));
        check("1e999", Err(()));
        check("1e-999", Err(()));
        check("1e99999999999999999999999", Err(()));
    }
}
