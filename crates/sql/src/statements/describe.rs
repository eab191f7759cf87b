//! What a statement takes and gives before it runs, and DESCRIBE.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::sql::sqlparser::ast;
use headwater_catalog::{
    Column, CommandDefinition, Definition, Format, ScheduleDefinition, StreamDefinition, ViewDefinition, subject_of,
};
use headwater_eventlog::StreamInfo;

use super::explain::explain_columns;
use super::parked_again;
use super::table::{Cell, answer, moment, schema};
use super::{insert, show, subscribe, versions};
use crate::inner::Inner;
use crate::question::{self, view_columns};
use crate::syntax::{Argument, Later, Parsed, Statement, When};
use crate::type_name::type_name;
use crate::{Described, Outcome, SqlError};

/// What a statement takes and gives. `declared` are the types that the client says its parameters have.
pub(crate) fn describe(inner: &Inner, parsed: &Parsed, declared: &[Option<DataType>]) -> Result<Described, SqlError> {
    let nothing = Described {
        parameters: Vec::new(),
        columns: None,
    };
    match &parsed.statement {
        Statement::Query(question) => question::describe(inner, question, declared),
        Statement::Explain { question, .. } => {
            let described = question::describe(inner, question, declared)?;
            Ok(Described {
                columns: Some(schema(&explain_columns())),
                ..described
            })
        }
        Statement::Insert(insert) => {
            let mut described = insert::describe(inner, insert)?;
            if let Some(later) = &insert.later {
                merge(&mut described.parameters, later_types(later));
            }
            Ok(described)
        }
        Statement::Cancel { name } => Ok(Described {
            parameters: lone_type(name, DataType::Utf8),
            columns: None,
        }),
        Statement::Call { command, arguments, .. } if parked_again::is_meant(inner, &command.value) => Ok(Described {
            parameters: argument_types(arguments, &[("name".to_owned(), DataType::Utf8)]),
            columns: Some(parked_again::columns()),
        }),
        Statement::Call {
            command,
            arguments,
            idempotency_key,
        } => {
            let described = inner.calls()?.describe(&command.value)?;
            let mut parameters = argument_types(arguments, &described.parameters);
            if let Some(key) = idempotency_key {
                merge(&mut parameters, lone_type(key, DataType::Utf8));
            }
            Ok(Described {
                parameters,
                columns: Some(described.columns),
            })
        }
        Statement::ExplainCall { command, arguments, .. } => {
            let described = inner.calls()?.describe(&command.value)?;
            Ok(Described {
                parameters: argument_types(arguments, &described.parameters),
                columns: Some(schema(&explain_columns())),
            })
        }
        Statement::Subscribe(written) => Ok(Described {
            parameters: written
                .from
                .as_ref()
                .map_or_else(Vec::new, |from| lone_type(from, DataType::Utf8)),
            columns: Some(subscribe::described(inner, written)?),
        }),
        Statement::Show(what) => Ok(Described {
            columns: Some(show::columns(what)),
            ..nothing
        }),
        Statement::Describe(_) => Ok(Described {
            columns: Some(schema(&describe_columns())),
            ..nothing
        }),
        _ => Ok(nothing),
    }
}

/// The types of the parameters that say when, and under which name.
fn later_types(later: &Later) -> Vec<Option<DataType>> {
    let when = match &later.when {
        When::At(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        When::After(_) => DataType::Utf8,
    };
    let mut types = lone_type(later.when.expr(), when);
    if let Some(name) = &later.name {
        merge(&mut types, lone_type(name, DataType::Utf8));
    }
    types
}

/// The types of the parameters in an expression, where it is a parameter and nothing else.
fn lone_type(expr: &ast::Expr, wanted: DataType) -> Vec<Option<DataType>> {
    let mut types: Vec<Option<DataType>> = Vec::new();
    if let ast::Expr::Value(value) = expr
        && let ast::Value::Placeholder(id) = &value.value
        && let Some(index) = question::parameter_index(id)
    {
        types.resize(index + 1, None);
        types[index] = Some(wanted);
    }
    types
}

/// Adds what is known of more parameters.
fn merge(types: &mut Vec<Option<DataType>>, more: Vec<Option<DataType>>) {
    types.resize(types.len().max(more.len()), None);
    for (known, more) in types.iter_mut().zip(more) {
        *known = known.take().or(more);
    }
}

/// The types of the parameters among the arguments of a call: an argument that is a parameter has the type the command asks for.
fn argument_types(arguments: &[Argument], parameters: &[(String, DataType)]) -> Vec<Option<DataType>> {
    let mut types: Vec<Option<DataType>> = Vec::new();
    for (place, argument) in arguments.iter().enumerate() {
        let wanted = match &argument.name {
            None => parameters.get(place),
            Some(name) => parameters.iter().find(|(known, _)| *known == name.value),
        };
        if let ast::Expr::Value(value) = &argument.value
            && let ast::Value::Placeholder(id) = &value.value
            && let Some(index) = question::parameter_index(id)
        {
            if types.len() <= index {
                types.resize(index + 1, None);
            }
            types[index] = wanted.map(|(_, wanted)| wanted.clone());
        }
    }
    types
}

fn describe_columns() -> [(&'static str, DataType); 4] {
    [
        ("column", DataType::Utf8),
        ("type", DataType::Utf8),
        ("nullable", DataType::Utf8),
        ("role", DataType::Utf8),
    ]
}

/// The columns of a stream or view, or the parameters of a command.
pub(crate) fn describe_name(inner: &Inner, name: &str) -> Result<Outcome, SqlError> {
    let rows = match inner.catalog.stream(name) {
        Some(stream) => stream_rows(inner, &stream),
        None => match inner.catalog.get(name).as_deref() {
            Some(Definition::View(view)) => view_rows(inner, view)?,
            Some(Definition::Graph(graph)) => super::graph::rows(inner, graph)?,
            Some(Definition::Schedule(schedule)) => schedule_rows(inner, schedule)?,
            Some(Definition::Command(command)) => command_rows(inner, command)?,
            _ => return Err(inner.unknown_table(name)),
        },
    };
    answer(schema(&describe_columns()), rows)
}

fn row(column: &str, kind: String, is_nullable: bool, role: &str) -> Vec<Cell> {
    let nullable = if is_nullable { "yes" } else { "no" };
    vec![
        Cell::text(column),
        Cell::text(kind),
        Cell::text(nullable),
        Cell::text(role),
    ]
}

/// The columns of a stream, then its versions, its format and its settings.
fn stream_rows(inner: &Inner, stream: &StreamDefinition) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = match &stream.columns {
        None => vec![row("value", "JSON".to_owned(), false, "schema-free")],
        Some(columns) => columns.iter().map(|column| column_row(stream, column)).collect(),
    };
    if let Some(info) = inner.log.stream(&stream.name) {
        rows.extend(versions::rows(stream));
        rows.push(format_row(stream));
        rows.extend(setting_rows(inner, &info));
    }
    rows
}

fn column_row(stream: &StreamDefinition, column: &Column) -> Vec<Cell> {
    let key = stream.key.contains(&column.name).then_some("key");
    let kind = (stream.kind.as_ref() == Some(&column.name)).then_some("kind");
    let tag = stream.tags.contains(&column.name).then_some("tag");
    let time = (stream.time.as_ref() == Some(&column.name)).then_some("time");
    let named = [key, kind, tag, time].into_iter().flatten().map(str::to_owned);
    let role: Vec<String> = named.chain(versions::said_of(column)).collect();
    row(
        &column.name,
        column.column_type.to_string(),
        column.nullable,
        &role.join(", "),
    )
}

fn view_rows(inner: &Inner, view: &ViewDefinition) -> Result<Vec<Vec<Cell>>, SqlError> {
    let (columns, key) = view_columns(inner, &view.name)?;
    let rows = columns.fields().iter().enumerate().map(|(index, field)| {
        let role = if key.contains(&index) { "key" } else { "" };
        row(field.name(), type_name(field.data_type()), field.is_nullable(), role)
    });
    Ok(rows.collect())
}

fn schedule_rows(inner: &Inner, definition: &ScheduleDefinition) -> Result<Vec<Vec<Cell>>, SqlError> {
    let parsed = inner.parsed(&definition.statement)?;
    let Statement::CreateSchedule { schedule, .. } = &parsed.statement else {
        return Ok(Vec::new());
    };
    let missed = format!("{:?}", schedule.missed).to_lowercase();
    Ok(vec![
        row("rule", schedule.rule.clone(), false, "schedule"),
        row("starting", moment(definition.first_us), false, "schedule"),
        row("catch up", missed, false, "schedule"),
    ])
}

fn command_rows(inner: &Inner, definition: &CommandDefinition) -> Result<Vec<Vec<Cell>>, SqlError> {
    let parsed = inner.parsed(&definition.statement)?;
    let Statement::CreateCommand { command, .. } = &parsed.statement else {
        return Ok(Vec::new());
    };
    let rows = command.parameters.iter().map(|parameter| {
        let default = parameter.default.as_ref().map(|value| format!(", default {value}"));
        let checks = parameter.checks.iter();
        let checks: String = checks.map(|check| format!(", check ({})", check.condition)).collect();
        let role = format!("parameter{}{checks}", default.unwrap_or_default());
        row(
            &parameter.name.value,
            parameter.column_type.to_string(),
            parameter.nullable,
            &role,
        )
    });
    Ok(rows.collect())
}

/// How the values of a stream are written.
fn format_row(stream: &StreamDefinition) -> Vec<Cell> {
    let format = match stream.format {
        Format::Csv { delimiter } => format!("csv, fields between '{delimiter}'"),
        format @ (Format::Avro | Format::Protobuf) => {
            format!("{format}, by the subject '{}'", subject_of(&stream.name))
        }
        format => format.to_string(),
    };
    vec![
        Cell::text("format"),
        Cell::text(format),
        Cell::text(""),
        Cell::text("setting"),
    ]
}

/// How the log keeps a stream: each setting with its value, and whether somebody set it.
fn setting_rows(inner: &Inner, info: &StreamInfo) -> Vec<Vec<Cell>> {
    let row = |name: &str, value: String, is_set: bool| {
        let role = if is_set { "setting" } else { "setting, default" };
        vec![Cell::text(name), Cell::text(value), Cell::text(""), Cell::text(role)]
    };
    let options = inner.log.options();
    let mut rows = vec![row("partitions", info.partitions.to_string(), true)];
    for (name, value, is_set) in info.settings.in_force(options.segment_bytes, options.batch_bytes_max) {
        rows.push(row(name, value, is_set));
    }
    for (name, value) in &info.settings.labels {
        rows.push(row(&format!("label.{name}"), value.clone(), true));
    }
    rows
}
