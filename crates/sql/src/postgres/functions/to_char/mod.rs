//! `to_char` with PostgreSQL's patterns: `to_char(at, 'YYYY-MM-DD HH24:MI')`, `to_char(price, 'FM999,990.00')`.
//!
//! Source: PostgreSQL documentation, "Data Type Formatting Functions".

mod moment;
mod number;

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use moment::Moment;

/// The function, in the place of the engine's own, whose patterns are those of strftime.
pub(crate) fn to_char() -> ScalarUDF {
    ScalarUDF::from(ToChar {
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToChar {
    signature: Signature,
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        "to_char"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [of, pattern] = types else {
            return plan_err!("to_char takes a value and a pattern: to_char(at, 'YYYY-MM-DD')");
        };
        if !pattern.is_string() && !pattern.is_null() {
            return plan_err!("the pattern of to_char is a text: to_char(at, 'YYYY-MM-DD')");
        }
        let of = match of {
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Null => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            DataType::Interval(_) | DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            decimal if decimal.is_decimal() => decimal.clone(),
            whole if whole.is_integer() => DataType::Int64,
            float if float.is_floating() => DataType::Float64,
            other => return plan_err!("to_char takes a moment, an interval or a number, not {other}"),
        };
        Ok(vec![of, DataType::Utf8])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let [of, pattern] = args.args.as_slice() else {
            return plan_err!("to_char takes a value and a pattern");
        };
        let written = written(&of.to_array(rows)?, &pattern.to_array(rows)?)?;
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&written, 0)?)),
            false => Ok(ColumnarValue::Array(Arc::new(written))),
        }
    }
}

/// Each value by its pattern.
fn written(of: &ArrayRef, patterns: &ArrayRef) -> Result<StringArray> {
    let patterns = cast(patterns, &DataType::Utf8)?;
    let patterns = patterns.as_string::<i32>();
    let mut texts: Vec<Option<String>> = Vec::with_capacity(of.len());
    for row in 0..of.len() {
        if of.is_null(row) || patterns.is_null(row) {
            texts.push(None);
            continue;
        }
        let pattern = patterns.value(row);
        texts.push(Some(match of.data_type() {
            DataType::Timestamp(..) => {
                let micros = of.as_primitive::<TimestampMicrosecondType>().value(row);
                Moment::at(micros).written(pattern)?
            }
            DataType::Interval(_) => {
                let interval = of.as_primitive::<IntervalMonthDayNanoType>().value(row);
                Moment::within(interval).written(pattern)?
            }
            _ => number::written(&digits(of, row), pattern)?,
        }));
    }
    Ok(StringArray::from(texts))
}

/// A number as it is written without an exponent.
fn digits(of: &ArrayRef, row: usize) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match of.data_type() {
        DataType::Decimal128(..) => write!(text, "{}", of.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Decimal256(..) => write!(text, "{}", of.as_primitive::<Decimal256Type>().value_as_string(row)),
        DataType::Int64 => write!(text, "{}", of.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => write!(text, "{}", of.as_primitive::<Float64Type>().value(row)),
        other => write!(text, "{other}"),
    };
    text
}
