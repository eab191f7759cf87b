//! Values of parameters from a client.

use std::fmt::Display;
use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, IntervalMonthDayNano};
use headwater_sql::encode::array_text::{self, NoArray};
use headwater_sql::encode::interval_text::read as read_interval;
use headwater_sql::{ScalarValue, SessionZone};
use jiff::civil;

use super::array;
use super::format::{BINARY, DAYS_TO_2000, MICROSECONDS_TO_2000};
use super::numeric::Decimal;
use super::types::{PgType, WireType, element_of};

/// Why a parameter's value was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ParameterError {
    /// The SQLSTATE.
    pub state: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// `unknown`: what PostgreSQL calls a literal whose type its place decides.
const UNKNOWN_OID: u32 = 705;

const INVALID_TEXT: &str = "22P02";
const INVALID_BINARY: &str = "22P03";
const INVALID_MOMENT: &str = "22007";

/// The value of a parameter that the client sent as `wire_type`, of `data_type` where the statement says so. A moment's text without a zone is of the
/// session's.
pub(crate) fn scalar(
    wire_type: WireType,
    data_type: Option<&DataType>,
    format: i16,
    value: Option<&[u8]>,
    zone: Option<&SessionZone>,
) -> Result<ScalarValue, ParameterError> {
    // It comes as what it is kept as, whatever the parameter is called.
    let is_called = matches!(wire_type, WireType::One(PgType::Uuid) | WireType::Array(PgType::Uuid));
    let data_type = data_type.filter(|_| !is_called);
    match (wire_type, value) {
        (WireType::One(one), value) => of_one(one, data_type, format, value, zone),
        (WireType::Array(_), None) => Ok(null(wire_type, data_type)),
        (WireType::Array(element), Some(bytes)) => of_array(element, data_type, format, bytes, zone),
    }
}

/// An array with its elements, all of one type: the one that the statement says, else that of the elements.
fn of_array(
    element: PgType,
    data_type: Option<&DataType>,
    format: i16,
    bytes: &[u8],
    zone: Option<&SessionZone>,
) -> Result<ScalarValue, ParameterError> {
    let state = if format == BINARY { INVALID_BINARY } else { INVALID_TEXT };
    let refuse = |why: &dyn Display| ParameterError {
        state,
        why: why.to_string(),
    };
    let mut values: Vec<ScalarValue> = Vec::new();
    let wanted = data_type.and_then(element_of);
    let mut take = |bytes: Option<&[u8]>| of_one(element, wanted, format, bytes, zone).map(|value| values.push(value));
    match format {
        BINARY => {
            let elements = array::from_binary(bytes).map_err(|NoArray(why)| refuse(&why))?;
            elements.into_iter().try_for_each(&mut take)?;
        }
        _ => {
            let text = std::str::from_utf8(bytes).map_err(|_| refuse(&"it is no UTF-8"))?;
            let elements = array_text::from_text(text).map_err(|NoArray(why)| refuse(&why))?;
            let mut elements = elements.iter().map(|element| element.as_deref().map(str::as_bytes));
            elements.try_for_each(&mut take)?;
        }
    }
    let common = wanted.cloned().unwrap_or_else(|| common_type(element, &values));
    let values = values
        .iter()
        .map(|value| value.cast_to(&common).map_err(|why| refuse(&why)));
    let values: Vec<ScalarValue> = values.collect::<Result<_, _>>()?;
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, &common)))
}

/// The type that all elements fit: decimals with as many digits as the longest of them before and behind the point.
fn common_type(element: PgType, values: &[ScalarValue]) -> DataType {
    if element != PgType::Numeric {
        return type_of(WireType::One(element));
    }
    let (mut whole, mut scale) = (1, 0);
    for value in values {
        if let ScalarValue::Decimal128(Some(_), digits, behind) = value {
            whole = whole.max(i16::from(*digits) - i16::from(*behind));
            scale = scale.max(*behind);
        }
    }
    let digits = (whole + i16::from(scale)).clamp(1, i16::from(DECIMAL128_MAX_PRECISION));
    DataType::Decimal128(digits as u8, scale)
}

fn of_one(
    pg_type: PgType,
    data_type: Option<&DataType>,
    format: i16,
    value: Option<&[u8]>,
    zone: Option<&SessionZone>,
) -> Result<ScalarValue, ParameterError> {
    match (value, format) {
        (None, _) => Ok(null(WireType::One(pg_type), data_type)),
        (Some(bytes), BINARY) => from_binary(pg_type, bytes),
        (Some(bytes), _) => {
            let text = std::str::from_utf8(bytes).map_err(|_| ParameterError {
                state: INVALID_TEXT,
                why: "it is no UTF-8".to_owned(),
            })?;
            let in_zone = zone.filter(|_| pg_type == PgType::TimestampTz);
            let written = in_zone.and_then(|zone| zone.written_out(text));
            from_text(pg_type, written.as_deref().unwrap_or(text))
        }
    }
}

/// The type of the values of a parameter that the client declares by this object id; `None` where it leaves the type open.
pub(crate) fn declared_type(oid: u32) -> Option<DataType> {
    match oid {
        0 | UNKNOWN_OID => None,
        oid => Some(type_of(WireType::declared(oid)?)),
    }
}

/// The type of the values that come as `wire_type`; decimals come with as many digits as they have.
pub(crate) fn type_of(wire_type: WireType) -> DataType {
    null(wire_type, None).data_type()
}

fn null(wire_type: WireType, data_type: Option<&DataType>) -> ScalarValue {
    if let Some(null) = data_type.and_then(|data_type| ScalarValue::try_from(data_type).ok()) {
        return null;
    }
    match wire_type {
        WireType::One(one) => null_of(one),
        WireType::Array(element) => ScalarValue::new_null_list(null_of(element).data_type(), true, 1),
    }
}

fn null_of(pg_type: PgType) -> ScalarValue {
    match pg_type {
        PgType::Bool => ScalarValue::Boolean(None),
        PgType::Int2 => ScalarValue::Int16(None),
        PgType::Int4 => ScalarValue::Int32(None),
        PgType::Int8 => ScalarValue::Int64(None),
        PgType::Oid => ScalarValue::UInt32(None),
        PgType::Float4 => ScalarValue::Float32(None),
        PgType::Float8 => ScalarValue::Float64(None),
        PgType::Numeric => ScalarValue::Decimal128(None, 38, 10),
        PgType::Bytea => ScalarValue::Binary(None),
        PgType::Date => ScalarValue::Date32(None),
        PgType::Time => ScalarValue::Time64Microsecond(None),
        PgType::Timestamp => ScalarValue::TimestampMicrosecond(None, None),
        PgType::TimestampTz => moment(None),
        PgType::Interval => ScalarValue::IntervalMonthDayNano(None),
        PgType::Text | PgType::Json | PgType::Uuid => ScalarValue::Utf8(None),
    }
}

fn moment(microseconds: Option<i64>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(microseconds, Some(Arc::from("+00:00")))
}

fn decimal(decimal: Decimal) -> ScalarValue {
    ScalarValue::Decimal128(Some(decimal.unscaled), decimal.precision(), decimal.scale as i8)
}

fn from_binary(pg_type: PgType, bytes: &[u8]) -> Result<ScalarValue, ParameterError> {
    let refuse = |why: String| ParameterError {
        state: INVALID_BINARY,
        why,
    };
    let value = match pg_type {
        PgType::Bool => ScalarValue::Boolean(Some(u8::from_be_bytes(fixed(bytes)?) != 0)),
        PgType::Int2 => ScalarValue::Int16(Some(i16::from_be_bytes(fixed(bytes)?))),
        PgType::Int4 => ScalarValue::Int32(Some(i32::from_be_bytes(fixed(bytes)?))),
        PgType::Oid => ScalarValue::UInt32(Some(u32::from_be_bytes(fixed(bytes)?))),
        PgType::Uuid => ScalarValue::Utf8(Some(uuid(u128::from_be_bytes(fixed(bytes)?)))),
        PgType::Int8 => ScalarValue::Int64(Some(i64::from_be_bytes(fixed(bytes)?))),
        PgType::Float4 => ScalarValue::Float32(Some(f32::from_be_bytes(fixed(bytes)?))),
        PgType::Float8 => ScalarValue::Float64(Some(f64::from_be_bytes(fixed(bytes)?))),
        PgType::Numeric => decimal(Decimal::from_binary(bytes).map_err(|why| refuse(why.to_owned()))?),
        PgType::Bytea => ScalarValue::Binary(Some(bytes.to_vec())),
        PgType::Date => {
            let days = i32::from_be_bytes(fixed(bytes)?).checked_add(DAYS_TO_2000);
            ScalarValue::Date32(Some(days.ok_or_else(|| refuse("the date is out of range".to_owned()))?))
        }
        PgType::Time => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(fixed(bytes)?))),
        PgType::Timestamp | PgType::TimestampTz => {
            let microseconds = i64::from_be_bytes(fixed(bytes)?).checked_add(MICROSECONDS_TO_2000);
            let microseconds = microseconds.ok_or_else(|| refuse("the timestamp is out of range".to_owned()))?;
            match pg_type {
                PgType::Timestamp => ScalarValue::TimestampMicrosecond(Some(microseconds), None),
                _ => moment(Some(microseconds)),
            }
        }
        PgType::Text | PgType::Json => {
            let text = String::from_utf8(bytes.to_vec()).map_err(|_| refuse("it is no UTF-8".to_owned()))?;
            ScalarValue::Utf8(Some(text))
        }
        PgType::Interval => {
            let [time, days, months] = parts_of_interval(bytes)?;
            interval(months, days, time).ok_or_else(|| refuse("the interval is out of range".to_owned()))?
        }
    };
    Ok(value)
}

/// Microseconds, days and months, one behind the other.
fn parts_of_interval(bytes: &[u8]) -> Result<[i64; 3], ParameterError> {
    let all: [u8; 16] = fixed(bytes)?;
    let (time, dates) = all.split_at(8);
    let (days, months) = dates.split_at(4);
    Ok([
        i64::from_be_bytes(fixed(time)?),
        i64::from(i32::from_be_bytes(fixed(days)?)),
        i64::from(i32::from_be_bytes(fixed(months)?)),
    ])
}

/// `None`: it has no room for that.
fn interval(months: i64, days: i64, microseconds: i64) -> Option<ScalarValue> {
    let (months, days) = (i32::try_from(months).ok()?, i32::try_from(days).ok()?);
    let interval = IntervalMonthDayNano::new(months, days, microseconds.checked_mul(1000)?);
    Some(ScalarValue::IntervalMonthDayNano(Some(interval)))
}

/// As PostgreSQL writes it.
fn uuid(number: u128) -> String {
    let digits = format!("{number:032x}");
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    parts.join("-")
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], ParameterError> {
    let why = || format!("it has {} bytes where {N} are expected", bytes.len());
    bytes.try_into().map_err(|_| ParameterError {
        state: INVALID_BINARY,
        why: why(),
    })
}

fn from_text(pg_type: PgType, text: &str) -> Result<ScalarValue, ParameterError> {
    let trimmed = text.trim();
    let value = match pg_type {
        PgType::Bool => ScalarValue::Boolean(Some(truth(trimmed)?)),
        PgType::Int2 => ScalarValue::Int16(Some(number(trimmed)?)),
        PgType::Int4 => ScalarValue::Int32(Some(number(trimmed)?)),
        PgType::Int8 => ScalarValue::Int64(Some(number(trimmed)?)),
        PgType::Float4 => ScalarValue::Float32(Some(number(trimmed)?)),
        PgType::Float8 => ScalarValue::Float64(Some(number(trimmed)?)),
        PgType::Numeric => {
            let invalid = |why: &str| ParameterError {
                state: INVALID_TEXT,
                why: format!("{}: {why}", shown(text)),
            };
            decimal(Decimal::from_text(trimmed).map_err(invalid)?)
        }
        PgType::Bytea => ScalarValue::Binary(Some(bytes_from_hex(trimmed)?)),
        PgType::Date => {
            // Some drivers write a zone behind the day, which a date has none of.
            let day = trimmed.split_once(" +").or_else(|| trimmed.split_once(" -"));
            let date: civil::Date = parse(day.map_or(trimmed, |(day, _)| day), "date")?;
            ScalarValue::Date32(Some(days(date)))
        }
        PgType::Time => {
            let time: civil::Time = parse(trimmed, "time")?;
            ScalarValue::Time64Microsecond(Some(microseconds(civil::date(1970, 1, 1).to_datetime(time))))
        }
        PgType::Timestamp => ScalarValue::TimestampMicrosecond(Some(microseconds(parse(trimmed, "timestamp")?)), None),
        PgType::TimestampTz => moment(Some(instant(trimmed)?)),
        PgType::Text | PgType::Json => ScalarValue::Utf8(Some(text.to_owned())),
        PgType::Oid => ScalarValue::UInt32(Some(number(trimmed)?)),
        PgType::Uuid => {
            let digits = trimmed
                .strip_prefix('{')
                .and_then(|text| text.strip_suffix('}'))
                .unwrap_or(trimmed);
            let digits = digits.replace('-', "");
            let is_one = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let number = u128::from_str_radix(&digits, 16).ok().filter(|_| is_one);
            let number = number.ok_or_else(|| invalid_text(format!("{} is no uuid", shown(text))))?;
            ScalarValue::Utf8(Some(uuid(number)))
        }
        PgType::Interval => {
            let read =
                read_interval(trimmed).and_then(|(months, days, time)| interval(months.into(), days.into(), time));
            read.ok_or_else(|| invalid_text(format!("{} is no interval: write '1 day 02:03:04'", shown(text))))?
        }
    };
    Ok(value)
}

fn invalid_text(why: String) -> ParameterError {
    ParameterError {
        state: INVALID_TEXT,
        why,
    }
}

fn shown(text: &str) -> String {
    format!("'{}'", text.chars().take(100).collect::<String>())
}

fn truth(text: &str) -> Result<bool, ParameterError> {
    match text.to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => Ok(true),
        "f" | "false" | "n" | "no" | "off" | "0" => Ok(false),
        _ => Err(ParameterError {
            state: INVALID_TEXT,
            why: format!("{} is neither true nor false", shown(text)),
        }),
    }
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, ParameterError> {
    text.parse().map_err(|error| ParameterError {
        state: INVALID_TEXT,
        why: format!("{}: {error}", shown(text)),
    })
}

fn parse<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, ParameterError> {
    text.parse().map_err(|_| ParameterError {
        state: INVALID_MOMENT,
        why: format!("{} is no {what}: write it as in ISO 8601", shown(text)),
    })
}

fn days(date: civil::Date) -> i32 {
    (microseconds(date.to_datetime(civil::Time::midnight())) / 86_400_000_000) as i32
}

fn microseconds(at: civil::DateTime) -> i64 {
    let since = at.duration_since(civil::date(1970, 1, 1).to_datetime(civil::Time::midnight()));
    // Years -9999 to 9999 fit into 64 bits by far.
    since.as_micros() as i64
}

/// A moment: with an offset, or in UTC where it has none (the session's time zone is UTC).
fn instant(text: &str) -> Result<i64, ParameterError> {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => Ok(moment.as_microsecond()),
        Err(_) => Ok(microseconds(parse(text, "timestamp")?)),
    }
}

/// `\x` and hexadecimal digits: the form that drivers write.
fn bytes_from_hex(text: &str) -> Result<Vec<u8>, ParameterError> {
    let refuse = || ParameterError {
        state: INVALID_TEXT,
        why: "a bytea is written as \\x and hexadecimal digits".to_owned(),
    };
    let digits = text.strip_prefix("\\x").ok_or_else(refuse)?.as_bytes();
    if digits.len() % 2 != 0 {
        return Err(refuse());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    digits
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::super::TEXT;
    use super::*;

    /// In UTC.
    fn scalar(
        wire_type: WireType,
        data_type: Option<&DataType>,
        format: i16,
        value: Option<&[u8]>,
    ) -> Result<ScalarValue, ParameterError> {
        super::scalar(wire_type, data_type, format, value, None)
    }

    fn check(pg_type: PgType, text: &str, expected: Result<ScalarValue, &str>) {
        match (
            scalar(WireType::One(pg_type), None, TEXT, Some(text.as_bytes())),
            expected,
        ) {
            (Ok(value), Ok(expected)) => assert_eq!(value, expected, "{text}"),
            (Err(error), Err(state)) => assert_eq!(error.state, state, "{text}: {}", error.why),
            (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn texts_become_values() {
        check(PgType::Bool, "on", Ok(ScalarValue::Boolean(Some(true))));
        check(PgType::Bool, "maybe", Err("22P02"));
        check(PgType::Int2, "32767", Ok(ScalarValue::Int16(Some(32767))));
        check(PgType::Int2, "32768", Err("22P02"));
        check(
            PgType::Numeric,
            "-100.05",
            Ok(ScalarValue::Decimal128(Some(-10_005), 5, 2)),
        );
        check(PgType::Numeric, "0.001", Ok(ScalarValue::Decimal128(Some(1), 3, 3)));
        check(PgType::Numeric, "x", Err("22P02"));
        check(PgType::Bytea, "\\x00fF", Ok(ScalarValue::Binary(Some(vec![0, 255]))));
        check(PgType::Bytea, "\\x0", Err("22P02"));
        check(PgType::Date, "1969-12-31", Ok(ScalarValue::Date32(Some(-1))));
        check(PgType::Date, "1969-12-31 +00", Ok(ScalarValue::Date32(Some(-1))));
        check(PgType::Date, "1969-02-30", Err("22007"));
        check(
            PgType::Timestamp,
            "1970-01-01 00:00:01.5",
            Ok(ScalarValue::TimestampMicrosecond(Some(1_500_000), None)),
        );
        check(PgType::TimestampTz, "1970-01-01 01:00:00+01", Ok(moment(Some(0))));
        check(PgType::TimestampTz, "1970-01-01 01:00:00+01:00", Ok(moment(Some(0))));
        check(PgType::TimestampTz, "1970-01-01T00:00:00Z", Ok(moment(Some(0))));
        let berlin = SessionZone::named("Europe/Berlin").expect("a zone");
        let (of_text, sent) = (WireType::One(PgType::TimestampTz), Some(&b"1970-01-01 01:00"[..]));
        assert_eq!(
            super::scalar(of_text, None, TEXT, sent, berlin.as_ref()),
            Ok(moment(Some(0)))
        );
        check(PgType::TimestampTz, "1970-01-01 00:00:00", Ok(moment(Some(0))));
        check(
            PgType::Text,
            " as it is ",
            Ok(ScalarValue::Utf8(Some(" as it is ".to_owned()))),
        );
        check(
            PgType::Interval,
            "1 day 02:00:00",
            Ok(interval(0, 1, 7_200_000_000).expect("an interval")),
        );
        check(PgType::Interval, "soon", Err("22P02"));
        let one = "550e8400-e29b-41d4-a716-446655440000";
        for written in [
            one,
            "550E8400E29B41D4A716446655440000",
            "{550e8400-e29b-41d4-a716-446655440000}",
        ] {
            check(PgType::Uuid, written, Ok(ScalarValue::Utf8(Some(one.to_owned()))));
        }
        check(PgType::Uuid, "550e8400", Err("22P02"));
        check(PgType::Oid, "4294967295", Ok(ScalarValue::UInt32(Some(u32::MAX))));
    }

    #[test]
    fn binary_values_have_the_length_of_their_type() {
        assert_eq!(
            scalar(WireType::One(PgType::Int4), None, BINARY, Some(&[0, 0, 0, 7])),
            Ok(ScalarValue::Int32(Some(7)))
        );
        assert_eq!(
            scalar(WireType::One(PgType::Int4), None, BINARY, Some(&[0, 0, 7]))
                .unwrap_err()
                .state,
            "22P03"
        );
        assert_eq!(
            scalar(WireType::One(PgType::Date), None, BINARY, Some(&[0; 4])),
            Ok(ScalarValue::Date32(Some(10_957)))
        );
        assert_eq!(
            scalar(WireType::One(PgType::Date), None, BINARY, Some(&i32::MAX.to_be_bytes()))
                .unwrap_err()
                .state,
            "22P03"
        );
        assert_eq!(
            scalar(WireType::One(PgType::Text), None, BINARY, Some(b"\xff"))
                .unwrap_err()
                .state,
            "22P03"
        );
        assert_eq!(
            scalar(
                WireType::One(PgType::Uuid),
                Some(&DataType::FixedSizeBinary(16)),
                BINARY,
                Some(&5_u128.to_be_bytes())
            ),
            Ok(ScalarValue::Utf8(Some(
                "00000000-0000-0000-0000-000000000005".to_owned()
            )))
        );
        let interval_sent = [&7_200_000_000_i64.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 2]].concat();
        assert_eq!(
            scalar(WireType::One(PgType::Interval), None, BINARY, Some(&interval_sent)),
            Ok(interval(2, 1, 7_200_000_000).expect("an interval"))
        );
        assert_eq!(
            scalar(WireType::One(PgType::Int8), None, BINARY, None),
            Ok(ScalarValue::Int64(None))
        );
        let typed = scalar(
            WireType::One(PgType::Text),
            Some(&DataType::Decimal128(18, 2)),
            TEXT,
            None,
        );
        assert_eq!(typed, Ok(ScalarValue::Decimal128(None, 18, 2)));
    }

    #[test]
    fn arrays_become_lists_of_one_type() {
        let array = |element: PgType, format: i16, bytes: &[u8]| {
            scalar(WireType::Array(element), None, format, Some(bytes))
                .map(|value| format!("{value}: {}", value.data_type()))
        };
        for (element, text, expected) in [
            (PgType::Int8, "{1,NULL,-2}", "[1, , -2]: List(Int64)"),
            (PgType::Text, r#"{"a b",c}"#, "[a b, c]: List(Utf8)"),
            (
                PgType::Numeric,
                "{1.5,200,NULL,0.001}",
                "[1.500, 200.000, , 0.001]: List(Decimal128(6, 3))",
            ),
            (PgType::Numeric, "{}", "[]: List(Decimal128(1, 0))"),
        ] {
            assert_eq!(array(element, TEXT, text.as_bytes()).as_deref(), Ok(expected), "{text}");
        }
        let two = [1, 1, 23, 2, 1, 4, 7, -1].map(i32::to_be_bytes).concat();
        assert_eq!(array(PgType::Int4, BINARY, &two).as_deref(), Ok("[7, ]: List(Int32)"));
        for (element, format, bytes, state) in [
            (PgType::Int8, TEXT, &b"{1,x}"[..], "22P02"),
            (PgType::Int8, TEXT, b"1", "22P02"),
            (PgType::Int4, BINARY, &two[..two.len() - 1], "22P03"),
            (PgType::Int8, BINARY, &[0; 3], "22P03"),
        ] {
            assert_eq!(
                array(element, format, bytes).expect_err("no array").state,
                state,
                "{bytes:?}"
            );
        }
        let typed = DataType::new_list(DataType::Decimal128(18, 2), true);
        let value = scalar(WireType::Array(PgType::Numeric), Some(&typed), TEXT, Some(b"{1.5}"));
        assert_eq!(value.map(|value| value.data_type()), Ok(typed));
    }
}
