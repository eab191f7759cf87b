//! What the layers below say, as an error of SQL: state, message, what to do, where.

use std::error::Error;

use datafusion::arrow::error::ArrowError;
use datafusion::common::{Column, DataFusionError, SchemaError, Span, TableReference};
use headwater_catalog::CatalogError;
use headwater_eventlog::{AppendError, QueryError, ReadError};
use headwater_views::{Panicked, ViewError};

use crate::nearest::nearest;
use crate::syntax::Parsed;
use crate::wording::{in_sql, reworded};
use crate::{Place, SqlError, SqlState, parse};

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> SqlError {
        let place = place_of(&error);
        let error = explain(&error);
        match place {
            Some(place) => error.at(place),
            None => error,
        }
    }
}

/// The first place that the query engine noted.
fn place_of(error: &DataFusionError) -> Option<Place> {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => diagnostic.span.map(place).or_else(|| place_of(inner)),
        DataFusionError::Context(_, inner) => place_of(inner),
        DataFusionError::Shared(inner) => place_of(inner),
        DataFusionError::Collection(errors) => errors.first().and_then(place_of),
        _ => None,
    }
}

/// Where the query engine saw something in a statement.
pub(crate) fn place(span: Span) -> Place {
    Place {
        file: String::new(),
        line: span.start.line,
        column: span.start.column,
    }
}

fn explain(error: &DataFusionError) -> SqlError {
    match error {
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => explain(inner),
        DataFusionError::Shared(inner) => explain(inner),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => explain(first),
            None => SqlError::new(SqlState::INTERNAL, "the query failed without a reason"),
        },
        DataFusionError::External(inner) => external(inner.as_ref()),
        DataFusionError::ArrowError(inner, _) => arrow(inner),
        DataFusionError::SchemaError(inner, _) => schema(inner),
        DataFusionError::SQL(inner, _) => reworded(&inner.to_string(), SqlState::SYNTAX),
        DataFusionError::NotImplemented(message) => {
            let error = reworded(message, SqlState::NOT_SUPPORTED);
            match error.state == SqlState::NOT_SUPPORTED && error.hint.is_none() {
                true => error.hint("write the question another way"),
                false => error,
            }
        }
        DataFusionError::ResourcesExhausted(message) => {
            let message = format!(
                "the question needs more memory than questions may use: {}",
                first_line(message)
            );
            SqlError::new(SqlState::OUT_OF_MEMORY, message)
                .hint("ask for fewer rows or groups, or keep the answer in a materialized view")
        }
        DataFusionError::IoError(inner) => SqlError::new(SqlState::IO, inner.to_string()),
        DataFusionError::Internal(message) | DataFusionError::Ffi(message) => reworded(message, SqlState::INTERNAL),
        DataFusionError::ExecutionJoin(inner) => {
            let message = match inner.is_panic() {
                true => "the statement broke off inside of the program; its log says why".to_owned(),
                false => inner.to_string(),
            };
            SqlError::new(SqlState::INTERNAL, message)
        }
        DataFusionError::Execution(message) => by_message(message, SqlState::DATA),
        DataFusionError::Plan(message)
        | DataFusionError::Configuration(message)
        | DataFusionError::Substrait(message) => by_message(message, SqlState::SYNTAX),
        other => reworded(&other.strip_backtrace(), SqlState::INTERNAL),
    }
}

/// An error that went through the query engine: ours unchanged, the engine's own looked into.
fn external(error: &(dyn Error + 'static)) -> SqlError {
    if let Some(own) = error.downcast_ref::<SqlError>() {
        return own.clone();
    }
    if let Some(refusal) = error.downcast_ref::<ViewError>() {
        return refusal.clone().into();
    }
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        return explain(inner);
    }
    if let Some(inner) = error.downcast_ref::<ArrowError>() {
        return arrow(inner);
    }
    reworded(&error.to_string(), SqlState::INTERNAL)
}

fn arrow(error: &ArrowError) -> SqlError {
    match error {
        ArrowError::DivideByZero => {
            SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero").hint("guard it with nullif(divisor, 0)")
        }
        ArrowError::ArithmeticOverflow(message) => reworded(message, SqlState::OUT_OF_RANGE),
        ArrowError::ExternalError(inner) => external(inner.as_ref()),
        ArrowError::MemoryError(message) => SqlError::new(SqlState::OUT_OF_MEMORY, message),
        ArrowError::ParseError(message) => reworded(message, SqlState::INVALID_TEXT),
        ArrowError::CastError(message)
        | ArrowError::InvalidArgumentError(message)
        | ArrowError::ComputeError(message) => match out_of_range(message) {
            true => reworded(message, SqlState::OUT_OF_RANGE),
            false => reworded(message, SqlState::INVALID_TEXT),
        },
        other => reworded(&other.to_string(), SqlState::INTERNAL),
    }
}

fn out_of_range(message: &str) -> bool {
    ["too large", "too small", "out of range", "overflow", "Overflow"]
        .iter()
        .any(|word| message.contains(word))
}

/// The names of columns, each once: those of a table alone, where there are any.
fn columns_of<'a>(table: Option<&TableReference>, columns: &'a [Column]) -> Vec<&'a str> {
    let is_own = |column: &&Column| table.is_some() && column.relation.as_ref() == table;
    let own: Vec<&Column> = columns.iter().filter(is_own).collect();
    let columns = if own.is_empty() { columns.iter().collect() } else { own };
    let mut names: Vec<&str> = Vec::new();
    for column in columns {
        if !names.contains(&column.name.as_str()) {
            names.push(&column.name);
        }
    }
    names
}

fn schema(error: &SchemaError) -> SqlError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let error = match &field.relation {
                Some(relation) => format!("column \"{}\" of \"{relation}\" does not exist", field.name),
                None => format!("column \"{}\" does not exist", field.name),
            };
            let names = columns_of(field.relation.as_ref(), valid_fields);
            let error = SqlError::new(SqlState::UNKNOWN_COLUMN, error);
            match (nearest(&field.name, names.iter().copied()), names.is_empty()) {
                (Some(near), _) => error.hint(format!("did you mean \"{near}\"?")),
                (None, false) => error.hint(format!("there are {}", names.join(", "))),
                (None, true) => error,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            let message = format!("column \"{}\" is ambiguous: several tables have it", field.name);
            SqlError::new(SqlState::AMBIGUOUS, message).hint("write the table's name before it")
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            let message = format!("column \"{name}\" is there twice");
            SqlError::new(SqlState::DUPLICATE_COLUMN, message).hint("give one of them another name with AS")
        }
    }
}

/// The query engine's planner speaks in texts; of those that are not reworded these are the ones whose state matters to a client.
fn by_message(message: &str, otherwise: SqlState) -> SqlError {
    const STATES: [(&str, SqlState); 8] = [
        ("does not support", SqlState::NOT_SUPPORTED),
        ("not implemented", SqlState::NOT_SUPPORTED),
        ("must appear in the GROUP BY", SqlState::GROUPING),
        ("could not be resolved from available columns", SqlState::GROUPING),
        ("in GROUP BY clause", SqlState::GROUPING),
        ("cannot be coerced", SqlState::TYPE_MISMATCH),
        ("duplicate", SqlState::DUPLICATE_COLUMN),
        ("Ambiguous reference", SqlState::AMBIGUOUS),
    ];
    let known = STATES
        .iter()
        .find(|(part, _)| message.contains(part))
        .map(|(_, state)| *state);
    let state = match known {
        Some(state) => state,
        None if out_of_range(message) => SqlState::OUT_OF_RANGE,
        None => otherwise,
    };
    reworded(message, state)
}

/// The first paragraph: what follows are the query engine's own lists.
fn first_line(message: &str) -> String {
    message
        .split("\n\nbacktrace")
        .next()
        .unwrap_or_default()
        .trim()
        .replace('\n', " ")
}

/// An error of ours on its way through the query engine.
impl From<SqlError> for DataFusionError {
    fn from(error: SqlError) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}

impl From<ViewError> for SqlError {
    fn from(error: ViewError) -> SqlError {
        let message = error.to_string();
        match error {
            ViewError::Refused { .. } | ViewError::Pipeline { .. } => {
                SqlError::new(SqlState::INVALID_DEFINITION, in_sql(&message))
            }
            ViewError::Late { .. } => SqlError::new(SqlState::CANCELED, message).hint("ask again, or wait longer"),
            ViewError::Building { .. } | ViewError::Outdated { .. } => {
                SqlError::new(SqlState::NOT_READY, message).hint("SHOW VIEWS says how far it is")
            }
            ViewError::Replaced { .. } => SqlError::new(SqlState::CONFLICT, message).hint("ask again"),
            ViewError::Stopped { .. } => {
                SqlError::new(SqlState::STOPPED, message).hint("SHOW VIEWS lists what stopped, and why")
            }
            ViewError::Unfit { part, hint } => {
                let message = in_sql(&format!("{part} is not possible"));
                SqlError::new(SqlState::INVALID_DEFINITION, message).hint(hint)
            }
            ViewError::Asked(message) => SqlError::new(SqlState::TOO_LARGE, message),
            ViewError::Row { row, view, error } => {
                let why = explain(&error);
                let message = format!("{row} of the view '{view}' cannot be worked out: {}", why.message);
                SqlError { message, ..why }
            }
            ViewError::Unanswered(_) => {
                SqlError::new(SqlState::NOT_READY, message).hint("it is tried again; ask again later")
            }
            ViewError::Full(_) => SqlError::new(SqlState::DISK_FULL, message),
            ViewError::BrokeOff(_) | ViewError::Failed(_) => reworded(&message, SqlState::INTERNAL),
        }
    }
}

impl From<Panicked> for SqlError {
    fn from(panicked: Panicked) -> SqlError {
        SqlError::new(SqlState::INTERNAL, panicked.to_string())
    }
}

impl From<CatalogError> for SqlError {
    fn from(error: CatalogError) -> SqlError {
        let state = match &error {
            CatalogError::Exists { .. } | CatalogError::OfAnotherKind { .. } => SqlState::EXISTS,
            CatalogError::Unknown { noun: "command", .. } => SqlState::UNKNOWN_FUNCTION,
            CatalogError::Unknown { .. } => SqlState::UNKNOWN_TABLE,
            CatalogError::UnknownColumn { .. } => SqlState::UNKNOWN_COLUMN,
            CatalogError::ColumnExists { .. } => SqlState::DUPLICATE_COLUMN,
            CatalogError::Needed { .. } => SqlState::NEEDED,
            CatalogError::Invalid(_) => SqlState::INVALID_DEFINITION,
            CatalogError::Full(_) => SqlState::DISK_FULL,
            CatalogError::Log(_) => SqlState::IO,
        };
        SqlError::new(state, error.to_string())
    }
}

impl From<ReadError> for SqlError {
    fn from(error: ReadError) -> SqlError {
        let state = match &error {
            ReadError::Expired { .. } => {
                let expired = SqlError::new(SqlState::EXPIRED, error.to_string());
                return expired.hint("ask for a later moment, or keep events longer");
            }
            ReadError::Unknown { .. } => SqlState::UNKNOWN_TABLE,
            ReadError::OutOfRange { .. } => SqlState::EXPIRED,
            ReadError::Short { .. } => SqlState::DISK_FULL,
            ReadError::Damaged { .. } => return SqlError::new(SqlState::IO, error.to_string()).code("damaged"),
            _ => SqlState::IO,
        };
        SqlError::new(state, error.to_string())
    }
}

impl From<AppendError> for SqlError {
    fn from(error: AppendError) -> SqlError {
        let state = match &error {
            AppendError::Condition(error) => return error.into(),
            AppendError::ConditionFailed(_) => {
                return SqlError::new(SqlState::CONDITION_FAILED, error.to_string())
                    .hint("nothing was appended: read what came, and decide again")
                    .code("condition_failed");
            }
            AppendError::Unknown { .. } => SqlState::UNKNOWN_TABLE,
            AppendError::Keyless { .. } => SqlState::NOT_NULL,
            AppendError::TooLarge { .. } => SqlState::TOO_LARGE,
            AppendError::Conflict { .. } => SqlState::CONFLICT,
            AppendError::Full { .. } => SqlState::DISK_FULL,
            _ => SqlState::IO,
        };
        SqlError::new(state, error.to_string())
    }
}

impl From<&QueryError> for SqlError {
    fn from(error: &QueryError) -> SqlError {
        let state = match error {
            QueryError::UnknownStream { .. } => SqlState::UNKNOWN_TABLE,
            QueryError::UnknownPartition { .. }
            | QueryError::Beyond { .. }
            | QueryError::UnknownTag { .. }
            | QueryError::UnfitTerm { .. } => SqlState::INVALID_PARAMETER,
            QueryError::NotIndexed { .. } | QueryError::NoFacets { .. } | QueryError::NowhereIndexed { .. } => {
                SqlState::NOT_INDEXED
            }
            QueryError::Gone { .. } => SqlState::EXPIRED,
            QueryError::TooLarge(_) => SqlState::TOO_LARGE,
            QueryError::Building { .. } => SqlState::NOT_READY,
            QueryError::Unreadable(_) => SqlState::IO,
        };
        SqlError::new(state, error.to_string()).code(error.code())
    }
}

/// The states of errors that name what is wrong, beside those of values: functions, operators and types.
const NAMING: [SqlState; 4] = [
    SqlState::UNKNOWN_FUNCTION,
    SqlState::TYPE_MISMATCH,
    SqlState::UNKNOWN_SETTING,
    SqlState("42846"),
];

/// The error with its place in the text that the statement came from. Where the fault is not the statement's (limits, the disk), no place is added.
pub(crate) fn placed(mut error: SqlError, parsed: &Parsed) -> SqlError {
    match &mut error.at {
        Some(at) => {
            if at.file.is_empty() {
                at.file.clone_from(&parsed.place.file);
            }
        }
        None => {
            let class = error.state.0.get(..2).unwrap_or_default();
            if !matches!(class, "53" | "54" | "55" | "57" | "58" | "40" | "HW" | "XX" | "08")
                && error.state != SqlState::REFUSED
            {
                let names_its_fault = class == "22" || NAMING.contains(&error.state);
                let pointed = names_its_fault.then(|| parse::pointed(&parsed.text, &parsed.place, &error.message));
                error.at = Some(Box::new(pointed.flatten().unwrap_or_else(|| parsed.place.clone())));
            }
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_stopped_is_not_the_log() {
        let (view, why) = ("v".to_owned(), "it takes too much memory".to_owned());
        let error = SqlError::from(ViewError::Stopped { view, why });
        assert_eq!((error.state, error.state.0), (SqlState::STOPPED, "58000"));
    }

    #[test]
    fn our_own_errors_come_through_the_engine_unchanged() {
        let own = SqlError::new(SqlState::NOT_NULL, "no").hint("do");
        let wrapped = DataFusionError::External(Box::new(own.clone())).context("while planning");
        assert_eq!(SqlError::from(wrapped), own);
        let nested = DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(own.clone()))), None);
        assert_eq!(SqlError::from(nested), own);
    }
}
