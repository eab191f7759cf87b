//! What the query engine says in words of its own, said in those of SQL: with PostgreSQL's states, types as they are written, and nothing about how the
//! engine is made.
//!
//! Invariant: whatever the engine says, no name of its types and none of its kinds of errors comes through.

use datafusion::arrow::datatypes::DataType;

use crate::nearest::nearest;
use crate::type_name::type_name;
use crate::{SqlError, SqlState};

/// invalid_datetime_format
const INVALID_MOMENT: SqlState = SqlState("22007");
/// datetime_field_overflow
const NO_SUCH_MOMENT: SqlState = SqlState("22008");
/// invalid_time_zone_displacement_value
const INVALID_ZONE: SqlState = SqlState("22009");
/// invalid_argument_for_ntile_function
const INVALID_NTILE: SqlState = SqlState("22014");
/// invalid_regular_expression
const INVALID_REGEX: SqlState = SqlState("2201B");
/// cannot_coerce
const CANNOT_COERCE: SqlState = SqlState("42846");
/// invalid_column_reference
const NO_SUCH_POSITION: SqlState = SqlState("42P10");
/// invalid_row_count_in_limit_clause
const INVALID_LIMIT: SqlState = SqlState("2201W");
/// invalid_row_count_in_result_offset_clause
const INVALID_OFFSET: SqlState = SqlState("2201X");
/// invalid_argument_for_power_function
const INVALID_POWER: SqlState = SqlState("2201F");
/// substring_error
const SUBSTRING: SqlState = SqlState("22011");

const LARGER: &str = "cast to a larger type first";
const COERCE: &str = "cast one of them, so that both are of kinds that go together";
const TYPES: &str = "the types are BOOLEAN, SMALLINT, INTEGER, BIGINT, DECIMAL(p, s), REAL, DOUBLE PRECISION, TEXT, BYTEA, DATE, TIME, TIMESTAMP, TIMESTAMPTZ and INTERVAL";

/// One thing that the engine says. `*` in what is heard stands for anything; `{0}`, `{1}`, … in what is said for the first of those, the second, …
struct Rewording {
    heard: &'static str,
    state: SqlState,
    said: &'static str,
    hint: &'static str,
}

const fn say(heard: &'static str, state: SqlState, said: &'static str, hint: &'static str) -> Rewording {
    Rewording {
        heard,
        state,
        said,
        hint,
    }
}

/// The first that fits is taken.
#[rustfmt::skip]
const REWORDINGS: &[Rewording] = &[
    // Values
    say("Can't cast value * to type *", SqlState::OUT_OF_RANGE, "{0} is out of range for type {1}", LARGER),
    say("value of * is out of range *", SqlState::OUT_OF_RANGE, "{0} is out of range for type {1}", LARGER),
    say("* is too large to store in a * of precision *. Max is *", SqlState::OUT_OF_RANGE,
        "numeric field overflow: {0} is too large, {3} is the most", LARGER),
    say("* is too small to store in a * of precision *. Min is *", SqlState::OUT_OF_RANGE,
        "numeric field overflow: {0} is too small, {3} is the least", LARGER),
    say("Cannot cast to *(*, *). Overflowing on *", SqlState::OUT_OF_RANGE,
        "numeric field overflow: {3} does not fit DECIMAL({1},{2})", LARGER),
    say("Cannot cast to *(*, *). Value overflows for output scale", SqlState::OUT_OF_RANGE,
        "numeric field overflow: a value does not fit DECIMAL({1},{2})", LARGER),
    say("Decimal precision * exceeds the maximum supported precision: *", SqlState::OUT_OF_RANGE,
        "value overflows numeric format", "numbers have up to {1} digits"),
    say("Overflow happened on: *", SqlState::OUT_OF_RANGE, "{0} is out of range", LARGER),
    say("Overflow happened on *", SqlState::OUT_OF_RANGE, "{0} is out of range", LARGER),
    say("*Array overflow on *", SqlState::OUT_OF_RANGE, "{1} is out of range", LARGER),
    say("Signed integer overflow in *", SqlState::OUT_OF_RANGE, "{0} is out of range", LARGER),
    say("*Divide by zero*", SqlState::DIVISION_BY_ZERO, "division by zero", "guard it with nullif(divisor, 0)"),
    say("Invalid timezone \"*\": *", INVALID_ZONE, "there is no time zone \"{0}\"", "write it as +02:00, or as Europe/Berlin"),
    say("* value '*' is out of range*", NO_SUCH_MOMENT, "there is no such date: {0} '{1}' is out of range", ""),
    say("Timestamp out of range*", NO_SUCH_MOMENT, "timestamp out of range", ""),
    say("Date part '*' not supported", SqlState::INVALID_PARAMETER, "unit \"{0}\" is not recognized", ""),
    say("Invalid input syntax for type interval: \"*\"", INVALID_MOMENT,
        "invalid input syntax for type INTERVAL: \"{0}\"", "write it as '1 day 2 hours'"),
    say("cannot take square root of a negative number", INVALID_POWER,
        "cannot take square root of a negative number", ""),
    say("zero raised to a negative power is undefined", INVALID_POWER, "zero raised to a negative power is undefined", ""),
    say("factorial of a negative number is undefined", SqlState::OUT_OF_RANGE, "factorial of a negative number is undefined", ""),
    say("Percentile value must be between 0.0 and 1.0 inclusive, * is invalid", SqlState::OUT_OF_RANGE,
        "percentile value {0} is not between 0 and 1", ""),
    say("NTILE requires a positive integer*", INVALID_NTILE, "argument of ntile must be greater than zero", ""),
    say("negative count not allowed: *", SUBSTRING, "negative substring length not allowed", ""),
    say("overlay start position must be at least 1: *", SUBSTRING, "negative substring length not allowed", ""),
    say("field position must not be zero", SqlState::INVALID_PARAMETER, "field position must not be zero", ""),
    say("array_resize: failed to convert size to usize*", SqlState::INVALID_PARAMETER,
        "the size of an array must not be negative", ""),
    say("Failed to decode value using *: *", SqlState::INVALID_PARAMETER, "invalid {0}: {1}", ""),
    say("There is no built-in encoding named '*', *", SqlState::INVALID_PARAMETER,
        "unrecognized encoding: \"{0}\"", "there are hex, base64 and base64pad"),
    say("invalid Unicode scalar value: *", SqlState::TOO_LARGE, "{0} is no character", ""),
    say("regex parse error:*error: *", INVALID_REGEX, "invalid regular expression: {1}", ""),
    say("*it did not answer within *", SqlState::NOT_READY,
        "the storage of the table does not answer: nothing came within {1}", "ask again later"),
    // Counts of rows, and positions in a list
    say("Expected LIMIT to be an integer or null, but got *", SqlState::TYPE_MISMATCH,
        "LIMIT takes a whole number, not {0}", "write a whole number"),
    say("Expected OFFSET to be an integer or null, but got *", SqlState::TYPE_MISMATCH,
        "OFFSET takes a whole number, not {0}", "write a whole number"),
    say("LIMIT must be >= 0, '*' was provided", INVALID_LIMIT, "LIMIT must not be negative", ""),
    say("OFFSET must be >=0, '*' was provided", INVALID_OFFSET, "OFFSET must not be negative", ""),
    say("Order by column out of bounds, specified: *, max: *", NO_SUCH_POSITION,
        "ORDER BY position {0} is not in the select list", "it has {1}"),
    say("Cannot find column with position * in SELECT clause. Valid columns: 1 to *", NO_SUCH_POSITION,
        "GROUP BY position {0} is not in the select list", "it has {1}"),
    say("Scalar subquery returned more than one row", SqlState::CARDINALITY,
        "more than one row returned by a subquery used as an expression", "ask it for one: an aggregate, or LIMIT 1"),
    say("Too many columns! *", SqlState::SYNTAX, "subquery has too many columns", "let it select one"),
    say("Inconsistent data length across values list: *", SqlState::SYNTAX,
        "VALUES lists must all be the same length", ""),
    say("UNION queries have different number of columns*", SqlState::SYNTAX,
        "each UNION query must have the same number of columns", ""),
    say("*column \"*\" must appear in the GROUP BY clause*", SqlState::GROUPING,
        "column \"{1}\" must appear in the GROUP BY clause or be used in an aggregate function", ""),
    // Types
    say("Unsupported SQL type *", SqlState::UNKNOWN_SETTING, "type \"{0}\" does not exist", TYPES),
    say("Unsupported CAST from * to *", CANNOT_COERCE, "cannot cast type {0} to {1}", ""),
    say("Cannot coerce arithmetic expression * to valid types", SqlState::UNKNOWN_FUNCTION,
        "operator does not exist: {0}", COERCE),
    say("Cannot infer common string type for string concat operation *", SqlState::UNKNOWN_FUNCTION,
        "operator does not exist: {0}", COERCE),
    say("Cannot infer common argument type for * operation *", SqlState::UNKNOWN_FUNCTION,
        "operator does not exist: {1}", COERCE),
    say("Cannot get result type for * operation *: *", SqlState::UNKNOWN_FUNCTION,
        "operator does not exist: {1}", COERCE),
    say("Cannot create filter with non-boolean predicate '*' returning *", SqlState::TYPE_MISMATCH,
        "argument of WHERE must be type BOOLEAN, not type {1}", ""),
    say("Cannot access field at argument *: type * is not Struct, Map, or Null", SqlState::UNKNOWN_COLUMN,
        "what stands before the point is a column of type {1}, which has no fields",
        "where a table is meant that has the name of a column here, give it another alias"),
    say("Physical plan does not support logical expression ScalarSubquery*", SqlState::NOT_SUPPORTED,
        "a subquery that depends on the row by anything but = cannot be worked out", "join it in FROM, and GROUP BY the row's key"),
    say("Physical plan does not support logical expression *Subquery*", SqlState::NOT_SUPPORTED,
        "a subquery cannot stand here", "join it in FROM, or ask it in a WITH and filter there"),
    say("Physical plan does not support logical expression *", SqlState::NOT_SUPPORTED,
        "an expression cannot stand where it does", "write it in a SELECT of its own, in FROM or in a WITH"),
    // Functions
    say("*No function matches the given name and argument types '*'*", SqlState::UNKNOWN_FUNCTION,
        "function {1} does not exist", "no function of that name takes such arguments: cast them, or give it as many as it takes"),
    say("*Function '*' failed to match any signature*", SqlState::UNKNOWN_FUNCTION,
        "function {1} of such arguments does not exist", "cast them, or give it as many as it takes"),
    say("*Function '*' user-defined coercion failed with: *", SqlState::UNKNOWN_FUNCTION,
        "function {1} of such arguments does not exist", "cast them, or give it as many as it takes"),
    say("Unsupported ast node *", SqlState::NOT_SUPPORTED, "a part of FROM is not there", "write it with joins and subqueries"),
    say("No functions registered*", SqlState::UNKNOWN_FUNCTION, "there is no such function", ""),
    say("Argument #* must be *, got *", SqlState::TYPE_MISMATCH,
        "argument {0} of a series must be a whole number, or a moment", ""),
    say("Step cannot be zero", SqlState::INVALID_PARAMETER, "step size cannot equal zero", ""),
    say("step can't be 0 for function *", SqlState::INVALID_PARAMETER, "step size cannot equal zero", ""),
];

/// The engine's message as an error of SQL; `otherwise` is the state of what nobody here has heard yet.
pub(crate) fn reworded(message: &str, otherwise: SqlState) -> SqlError {
    // A series in a SELECT list or FROM goes by a name of ours.
    let message = without_frames(message).replace("_headwater_series", "generate_series");
    if let Some(error) = unreadable(&message).or_else(|| unknown_function(&message)) {
        return error;
    }
    for Rewording {
        heard,
        state,
        said,
        hint,
    } in REWORDINGS
    {
        let Some(parts) = parts(heard, &message) else {
            continue;
        };
        let error = SqlError::new(*state, filled(said, &parts));
        return match hint.is_empty() {
            true => error,
            false => error.hint(filled(hint, &parts)),
        };
    }
    SqlError::new(otherwise, in_sql(&message))
}

/// The state of a text that is no date, time or moment: whether it is written as one, and there is none such, or not.
pub(crate) fn state_of_moment(text: &str) -> SqlState {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | ':' | '.' | ' ' | 'T' | 'Z');
    let is_written = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['-', ':']);
    match is_written && text.chars().all(is_part) {
        true => NO_SUCH_MOMENT,
        false => INVALID_MOMENT,
    }
}

/// A text that is no date, time or moment.
fn no_moment(of: &str, text: &str, hint: &str) -> SqlError {
    let state = state_of_moment(text);
    let message = match state == NO_SUCH_MOMENT {
        true => format!("date/time field value out of range: \"{text}\""),
        false => format!("invalid input syntax for type {of}: \"{text}\""),
    };
    SqlError::new(state, message).hint(hint)
}

/// A text that is no value of a type.
fn unreadable(message: &str) -> Option<SqlError> {
    const MOMENT: &str = "write it as 2025-12-31T23:59:59Z";
    if let Some(parts) = parts("Error parsing timestamp from '*' using format '*': *", message)
        && let [text, ..] = parts.as_slice()
    {
        return Some(no_moment("TIMESTAMP", text, "write it as the pattern says"));
    }
    if let Some(parts) = parts("Error parsing timestamp from '*': *", message)
        && let [text, _] = parts.as_slice()
    {
        return Some(no_moment("TIMESTAMP", text, MOMENT));
    }
    let parts = parts("Cannot cast string '*' to value of * type", message)
        .or_else(|| parts("Cannot cast value '*' to value of * type", message))?;
    let [value, of] = parts.as_slice() else { return None };
    let data_type: DataType = of.parse().ok()?;
    let digits = value.trim().trim_start_matches(['-', '+']);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if data_type.is_integer() && is_whole {
        let message = format!("value \"{value}\" is out of range for type {}", type_name(&data_type));
        return Some(SqlError::new(SqlState::OUT_OF_RANGE, message).hint(LARGER));
    }
    // Texts become decimals by way of the widest.
    let name = match data_type.is_decimal() {
        true => "DECIMAL".to_owned(),
        false => type_name(&data_type),
    };
    let message = format!("invalid input syntax for type {name}: \"{value}\"");
    Some(match data_type {
        DataType::Date32 | DataType::Date64 => no_moment("DATE", value, "write it as 2025-12-31"),
        DataType::Time32(_) | DataType::Time64(_) => no_moment("TIME", value, "write it as 23:59:59"),
        DataType::Timestamp(..) => no_moment("TIMESTAMP", value, MOMENT),
        _ => SqlError::new(SqlState::INVALID_TEXT, message),
    })
}

/// A name that no function has. The engine's own suggestion may be far from it.
fn unknown_function(message: &str) -> Option<SqlError> {
    let parts = parts("Invalid function '*'.*", message)?;
    let [name, rest] = parts.as_slice() else { return None };
    let error = SqlError::new(SqlState::UNKNOWN_FUNCTION, format!("function {name} does not exist"));
    let suggested = rest.split('\'').nth(1);
    Some(match suggested.and_then(|near| nearest(name, std::iter::once(near))) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error,
    })
}

/// What stands for each `*` of a pattern, where a text fits it.
fn parts<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut fixed = pattern.split('*');
    let mut rest = text.strip_prefix(fixed.next()?)?;
    let fixed: Vec<&str> = fixed.collect();
    let mut parts: Vec<&str> = Vec::with_capacity(fixed.len());
    for (place, next) in fixed.iter().enumerate() {
        let is_last = place + 1 == fixed.len();
        let (part, behind) = match (is_last, next.is_empty()) {
            (true, true) => (rest, ""),
            (true, false) => (rest.strip_suffix(next)?, ""),
            (false, _) => rest.split_once(next)?,
        };
        parts.push(part);
        rest = behind;
    }
    rest.is_empty().then_some(parts)
}

/// What is said, with the parts in their places.
fn filled(said: &str, parts: &[&str]) -> String {
    let mut filled = said.to_owned();
    for (place, part) in parts.iter().enumerate() {
        filled = filled.replace(&format!("{{{place}}}"), &in_sql(part));
    }
    filled
}

/// The engine's kinds of errors, which it writes before what it has to say.
const FRAMES: [&str; 21] = [
    "sql parser error: ",
    "Error during planning: ",
    "Execution error: ",
    "Internal error: ",
    "Arrow error: ",
    "External error: ",
    "Schema error: ",
    "Optimizer error: ",
    "Configuration error: ",
    "Substrait error: ",
    "Resources exhausted: ",
    "Parquet error: ",
    "Object Store error: ",
    "IO error: ",
    "This feature is not implemented: ",
    "Invalid argument error: ",
    "Compute error: ",
    "Cast error: ",
    "Parser error: ",
    "Json error: ",
    "Not yet implemented: ",
];

fn without_frames(message: &str) -> String {
    let message = message.split("\n\nbacktrace").next().unwrap_or_default();
    let message = message
        .split("This issue was likely caused by")
        .next()
        .unwrap_or_default();
    let mut message = message.trim().replace('\n', " ");
    for frame in FRAMES {
        message = message.replace(frame, "");
    }
    message.replace("DataFusion", "the query engine").trim().to_owned()
}

/// A message with types as SQL writes them.
pub(crate) fn in_sql(message: &str) -> String {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut said = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(is_of_name) {
        said.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let written = &rest[..end + arguments(&rest[end..])];
        let (taken, name) = match (is_type(&rest[..end]), written.parse::<DataType>()) {
            (true, Ok(data_type)) => (written.len(), type_name(&data_type)),
            _ => (end, rest[..end].to_owned()),
        };
        said.push_str(&name);
        rest = &rest[taken..];
    }
    said.push_str(rest);
    said
}

/// Whether a word is the beginning of one of the engine's types.
fn is_type(word: &str) -> bool {
    const TYPES: [&str; 20] = [
        "Boolean",
        "Float16",
        "Float32",
        "Float64",
        "Utf8",
        "LargeUtf8",
        "Utf8View",
        "Binary",
        "LargeBinary",
        "BinaryView",
        "Date32",
        "Date64",
        "Decimal128",
        "Decimal256",
        "Time32",
        "Time64",
        "Timestamp",
        "Interval",
        "Duration",
        "List",
    ];
    let is_integer = ["Int", "UInt"].iter().any(|kind| {
        let bits = word.strip_prefix(kind);
        bits.is_some_and(|bits| matches!(bits, "8" | "16" | "32" | "64"))
    });
    is_integer || TYPES.contains(&word)
}

/// How long the brackets are that a text begins with; 0 where it begins with none.
fn arguments(text: &str) -> usize {
    let mut depth = 0;
    for (place, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return if c == ')' { place + 1 } else { 0 };
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of the engine, and what is said instead.
    fn check(heard: &str, state: &str, said: &str) {
        let error = reworded(heard, SqlState::SYNTAX);
        assert_eq!((error.state.0, error.message.as_str()), (state, said), "{heard}");
    }

    #[test]
    fn what_the_engine_says_is_said_in_words_of_sql() {
        check("Arrow error: Divide by zero error", "22012", "division by zero");
        check(
            "Internal error: array_resize: failed to convert size to usize.\nThis issue was likely caused by a bug in DataFusion's code.",
            "22023",
            "the size of an array must not be negative",
        );
        check(
            "Can't cast value 300000000000 to type Int32",
            "22003",
            "300000000000 is out of range for type INTEGER",
        );
        check(
            "Cannot cast string 'abc' to value of Int32 type",
            "22P02",
            "invalid input syntax for type INTEGER: \"abc\"",
        );
        check(
            "Cannot cast string '300000000000' to value of Int32 type",
            "22003",
            "value \"300000000000\" is out of range for type INTEGER",
        );
        check(
            "Cannot cast string 'x' to value of Decimal128(38, 10) type",
            "22P02",
            "invalid input syntax for type DECIMAL: \"x\"",
        );
        check(
            "Cannot cast string 'x' to value of Date32 type",
            "22007",
            "invalid input syntax for type DATE: \"x\"",
        );
        check(
            "Execution error: Function 'sum' user-defined coercion failed with: Error during planning: sum is of numbers, not of Utf8. \
             No function matches the given name and argument types 'sum(Utf8)'. You might need to add explicit type casts.\n\tCandidate functions:\n\tsum(UserDefined)",
            "42883",
            "function sum(TEXT) does not exist",
        );
        check(
            "Invalid function 'nosuch'. Did you mean 'cosh'?",
            "42883",
            "function nosuch does not exist",
        );
        check(
            "Parquet error: Failed to fetch metadata for file one/x.parquet: Generic the storage error: it did not answer within 10s",
            "57P03",
            "the storage of the table does not answer: nothing came within 10s",
        );
        check(
            "regex parse error:\n    (\n    ^\nerror: unclosed group",
            "2201B",
            "invalid regular expression: unclosed group",
        );
        check(
            "Cannot coerce arithmetic expression Decimal128(30, 0) + Timestamp(Microsecond, Some(\"+00:00\")) to valid types",
            "42883",
            "operator does not exist: DECIMAL(30,0) + TIMESTAMPTZ",
        );
    }

    #[test]
    fn what_nobody_has_heard_yet_is_without_the_engines_names_all_the_same() {
        check(
            "Internal error: Optimizer error: a List(Int64) and (Utf8View, Int8) of DataFusion.\nThis issue was likely caused by a bug in DataFusion's code.",
            "42601",
            "a BIGINT[] and (TEXT, SMALLINT) of the query engine.",
        );
        check("Interval (of a kind) é", "42601", "Interval (of a kind) é");
    }

    #[test]
    fn a_pattern_fits_a_whole_text() {
        let check = |pattern: &str, text: &str, expected: Option<Vec<&str>>| {
            assert_eq!(parts(pattern, text), expected, "{pattern} {text}");
        };
        check("a * b", "a x b", Some(vec!["x"]));
        check("a * b", "a x b c", None);
        check("*b*", "abbc", Some(vec!["a", "bc"]));
        check("a", "a", Some(Vec::new()));
        check("a", "ab", None);
        check("* to *", "é to ü to ö", Some(vec!["é", "ü to ö"]));
    }
}
