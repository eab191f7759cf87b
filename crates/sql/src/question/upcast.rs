//! How a stream's events are read: with its upcasters, worked out once for all questions.
//!
//! An upcaster's query has the event for its one table, called as its stream is; FROM may be left out.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr, TableFactor, TableWithJoins,
};
use headwater_catalog::{Column, ColumnType, StreamDefinition, Upcasting};
use headwater_views::decode::{StreamDecoder, Upcaster};

use super::wildcard::without;
use super::{Moments, Names, QuestionReads, origin};
use crate::inner::Inner;
use crate::nearest::nearest;
use crate::syntax::{Question, Statement};
use crate::{SqlError, SqlState};

/// How the events of a stream are decoded.
pub(crate) fn decoder(inner: &Inner, stream: &StreamDefinition) -> Result<StreamDecoder, SqlError> {
    if stream.earlier.iter().all(|schema| schema.upcaster.is_none()) {
        return Ok(StreamDecoder::with_history(stream, inner.catalog.schemas(), Vec::new()));
    }
    if let Some(known) = inner.decoders.lock().get(&stream.name)
        && known.definition() == stream
    {
        return Ok(known.clone());
    }
    let mut upcasters: Vec<Arc<Upcaster>> = Vec::new();
    for (index, schema) in stream.earlier.iter().enumerate() {
        if let Some(upcaster) = &schema.upcaster {
            upcasters.push(Arc::new(compile(inner, stream, index as u32 + 1, &upcaster.query)?));
        }
    }
    let decoder = StreamDecoder::with_history(stream, inner.catalog.schemas(), upcasters);
    inner.decoders.lock().insert(stream.name.clone(), decoder.clone());
    Ok(decoder)
}

/// The columns that an upcaster gives, where a new schema is to be made of them.
pub(crate) fn columns_given(inner: &Inner, stream: &StreamDefinition, query: &str) -> Result<Vec<Column>, SqlError> {
    let (plan, _) = plan(inner, stream, stream.version(), query)?;
    let mut columns: Vec<Column> = Vec::new();
    for (place, field) in plan.schema().fields().iter().enumerate() {
        let declared = |_: &TableScan, name: &str| stream.column(name).map(|column| column.column_type);
        let Some(column_type) = column_type_of(&plan, place, declared) else {
            let message = format!(
                "the upcaster's column '{}' is {}, which is no type of a column",
                field.name(),
                field.data_type()
            );
            return Err(SqlError::new(SqlState::TYPE_MISMATCH, message).hint("CAST it to one"));
        };
        columns.push(Column::new(field.name(), column_type, field.is_nullable()));
    }
    Ok(columns)
}

/// Refuses an upcaster that works out a column which the version after it does not have: it would be lost without a word. What it only hands on, as
/// `*` does, may be one that the version left out.
pub(crate) fn check_known(inner: &Inner, stream: &StreamDefinition, upcasting: &Upcasting) -> Result<(), SqlError> {
    let (plan, _) = plan(inner, stream, upcasting.from, &upcasting.query)?;
    let next = upcasting.from.saturating_add(1);
    let there = stream.columns_of(next).unwrap_or_default();
    let names: Vec<&str> = there.iter().flat_map(|column| column.names_in(next)).collect();
    for column in plan.schema().columns() {
        let is_handed_on = origin(&plan, &column).is_some_and(|(_, name)| name == column.name);
        if names.contains(&column.name.as_str()) || is_handed_on {
            continue;
        }
        let message = format!(
            "version {next} of stream '{}' has no column '{}', which the upcaster gives",
            stream.name, column.name
        );
        let error = SqlError::new(SqlState::UNKNOWN_COLUMN, message);
        return Err(match nearest(&column.name, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => error.hint(format!("its columns are {}", names.join(", "))),
        });
    }
    Ok(())
}

fn compile(inner: &Inner, stream: &StreamDefinition, version: u32, query: &str) -> Result<Upcaster, SqlError> {
    let (plan, state) = plan(inner, stream, version, query)?;
    Upcaster::compile(stream, version, &plan, &state).map_err(|error| {
        let error = SqlError::from(error);
        let message = format!(
            "the upcaster of stream '{}' from version {version}: {}",
            stream.name, error.message
        );
        SqlError {
            message,
            state: SqlState::INVALID_DEFINITION,
            ..error
        }
    })
}

/// The analyzed plan of an upcaster's query over one row of a version.
fn plan(
    inner: &Inner,
    stream: &StreamDefinition,
    version: u32,
    query: &str,
) -> Result<(LogicalPlan, SessionState), SqlError> {
    let parsed = inner.parsed(query)?;
    let Statement::Query(question) = &parsed.statement else {
        return Err(SqlError::new(SqlState::SYNTAX, "an upcaster is a SELECT"));
    };
    let row = Upcaster::input(stream, version);
    let mut question = question.clone();
    over_the_event(&mut question, &stream.name, &row);
    let mut state = inner.state.clone();
    state.mark_start_execution();
    let plan = {
        let reads = QuestionReads::default();
        let moments = Moments::new(&state, Some(&[]));
        let table = provider_as_source(Arc::new(EmptyTable::new(row)));
        Names::new(inner, &state, &reads, &moments)
            .over_row(&stream.name, table)
            .plan(&question, &[])?
    };
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})?;
    Ok((plan, state))
}

/// Gives a SELECT its FROM, and leaves the event's whole value out of its `*`.
fn over_the_event(question: &mut Question, stream: &str, row: &SchemaRef) {
    let Query { body, .. } = question.query.as_mut();
    let SetExpr::Select(select) = body.as_mut() else { return };
    if select.from.is_empty() {
        let name = Ident::with_quote('"', stream);
        select.from.push(TableWithJoins {
            relation: TableFactor::Table {
                name: ObjectName(vec![ObjectNamePart::Identifier(name)]),
                alias: None,
                args: None,
                with_hints: Vec::new(),
                version: None,
                with_ordinality: false,
                partitions: Vec::new(),
                json_path: None,
                sample: None,
                index_hints: Vec::new(),
            },
            joins: Vec::new(),
        });
    }
    let value = row
        .field(row.fields().len() - headwater_views::decode::SYSTEM_COLUMNS.len() - 1)
        .name();
    for item in &mut select.projection {
        if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item {
            *options = without(std::mem::take(options), std::iter::once(value.as_str()));
        }
    }
}

/// The type of a column of a plan, where it is to be a stream's: JSON that is handed on stays JSON. `declared` says which type a column of a scan has.
pub(crate) fn column_type_of(
    plan: &LogicalPlan,
    place: usize,
    declared: impl Fn(&TableScan, &str) -> Option<ColumnType>,
) -> Option<ColumnType> {
    let worked_out = column_type(plan.schema().field(place).data_type())?;
    let column = plan.schema().columns().swap_remove(place);
    let declared = origin(plan, &column).and_then(|(scan, name)| declared(scan, &name));
    Some(match (worked_out, declared) {
        (ColumnType::Text, Some(ColumnType::Json)) => ColumnType::Json,
        (worked_out, _) => worked_out,
    })
}

/// The column type of an Arrow type.
fn column_type(data_type: &DataType) -> Option<ColumnType> {
    Some(match data_type {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => ColumnType::Integer,
        DataType::Int64 | DataType::UInt32 => ColumnType::BigInt,
        DataType::UInt64 => ColumnType::Decimal(20, 0),
        DataType::Float32 => ColumnType::Real,
        DataType::Float64 => ColumnType::Double,
        DataType::Decimal128(precision, scale) if *scale >= 0 => ColumnType::Decimal(*precision, *scale),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnType::Text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => ColumnType::Bytes,
        DataType::Date32 => ColumnType::Date,
        DataType::Timestamp(_, None) => ColumnType::Timestamp,
        DataType::Timestamp(_, Some(_)) => ColumnType::TimestampTz,
        _ => return None,
    })
}
