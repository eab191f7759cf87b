//! Statements and what they are read as; faults and what is said of them. One list for each kind of statement.

use datafusion::sql::sqlparser::ast;
use headwater_catalog::{Column, SchemaChange, Shape, ViewSettings};

use super::*;
use crate::syntax::{
    Argument, ConditionTerm, Copy, CopyForm, Insert, InsertCondition, Later, Moment, Name, Parameter, Question,
    RefusalPart, Require, Returned, Show, Step, When,
};

/// A shape, in short.
fn shaped(shape: &Shape) -> String {
    match shape {
        Shape::Search(fields) => {
            let fields = fields.iter().map(|field| format!(" {} {:?}", field.name, field.kind));
            format!("Search{}", fields.collect::<String>())
        }
        Shape::Graph { source, destination } => format!("Graph {source} -> {destination}"),
        Shape::Columnar {
            partitioned_by,
            location,
        } => format!("Columnar {partitioned_by:?} {}", location.as_deref().unwrap_or("-")).replace('"', ""),
        Shape::Document | Shape::Memory => format!("{shape:?}"),
    }
}

/// The settings that are set.
fn kept(settings: &ViewSettings) -> String {
    let named = [
        ("freshness_ms", settings.freshness_ms),
        ("every_ms", settings.every_ms),
        ("memory_bytes", settings.memory_bytes),
        ("checkpoint_events", settings.checkpoint_events),
        ("keep_versions_ms", settings.keep_versions_ms),
    ];
    let set = named
        .iter()
        .filter_map(|(name, value)| Some(format!(" {name} {}", (*value)?)));
    let may_lose = settings.may_lose_events.then(|| " may_lose_events".to_owned());
    set.chain(may_lose).collect()
}

/// A change of a schema, in short.
fn changed(change: &SchemaChange) -> String {
    match change {
        SchemaChange::Add { column, if_not_exists } => format!("add [{column}] if_not_exists={if_not_exists}"),
        SchemaChange::Drop { column, if_exists } => format!("drop {column} if_exists={if_exists}"),
        SchemaChange::Rename { from, to } => format!("rename {from} to {to}"),
        SchemaChange::Widen { column, to } => format!("widen {column} {to}"),
        SchemaChange::Optional { column } => format!("optional {column}"),
        SchemaChange::Upcast(upcasting) => {
            let columns = upcasting.columns.as_ref().map(|columns| {
                let columns: Vec<String> = columns.iter().map(Column::to_string).collect();
                format!(" to [{}]", columns.join(", "))
            });
            format!(
                "upcast {}{} <{}>",
                upcasting.from,
                columns.unwrap_or_default(),
                upcasting.query
            )
        }
    }
}

/// What a statement says, in short.
fn rendered(parsed: &Parsed) -> String {
    match &parsed.statement {
        Statement::CreateStream {
            definition,
            settings,
            pipeline,
            mode,
        } => {
            let columns = match &definition.columns {
                None => "any JSON".to_owned(),
                Some(columns) => {
                    let columns: Vec<String> = columns.iter().map(|column| column.to_string()).collect();
                    columns.join(", ")
                }
            };
            let mut text = format!("{mode:?} stream {} [{columns}]", definition.name);
            if !definition.key.is_empty() {
                text.push_str(&format!(" key {}", definition.key.join("+")));
            }
            if let Some(kind) = &definition.kind {
                text.push_str(&format!(" kind {kind}"));
            }
            if !definition.tags.is_empty() {
                text.push_str(&format!(" tags {}", definition.tags.join("+")));
            }
            if let Some(time) = &definition.time {
                text.push_str(&format!(" time {time}"));
            }
            text.push_str(&format!(" /{}", definition.partitions));
            for (name, value) in settings.pairs() {
                text.push_str(&format!(" {name}={value}"));
            }
            if let Some(pipeline) = pipeline {
                if let Some(begins) = pipeline.begins {
                    text.push_str(&format!(" from {begins}"));
                }
                text.push_str(&format!(" as {}", pipeline.text));
            }
            text
        }
        Statement::AlterSchema {
            name,
            if_exists,
            changes,
            ..
        } => {
            let changes: Vec<String> = changes.iter().map(changed).collect();
            let if_exists = if *if_exists { " if exists" } else { "" };
            format!("alter{if_exists} {}: {}", name.value, changes.join(", "))
        }
        Statement::RebuildView { name, if_exists } => format!("rebuild {} if_exists={if_exists}", name.value),
        Statement::AlterStream { name, set, reset, .. } => {
            let set: Vec<String> = set
                .pairs()
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!(
                "alter {} set [{}] reset [{}]",
                name.value,
                set.join(" "),
                reset.join(" ")
            )
        }
        Statement::CreateView {
            name,
            shape,
            key,
            settings,
            question,
            query_text,
            mode,
        } => {
            assert!(question.rewinds.is_empty());
            let kept = kept(settings);
            let shape = shape.as_ref().map_or("plain".to_owned(), shaped);
            format!(
                "{mode:?} view {name} {shape} key [{}]{kept} <{query_text}>",
                key.join(", ")
            )
        }
        Statement::CreateCommand { command, mode } => {
            let parameters: Vec<String> = command.parameters.iter().map(parameter).collect();
            let mut text = format!("{mode:?} command {}({})", command.name.value, parameters.join(", "));
            for step in &command.steps {
                text.push_str(&match step {
                    Step::Let(value) => format!(" let {} = {}", value.name.value, value.value),
                    Step::Require(require) => format!(" require {} else {}", require.condition, said(require)),
                });
            }
            for output in &command.outputs {
                let later = later(output.later.as_deref());
                text.push_str(&format!(
                    " into {}{later} {}",
                    output.stream.value,
                    asked(&output.source)
                ));
            }
            for name in &command.cancels {
                text.push_str(&format!(" cancel {name}"));
            }
            text
        }
        Statement::CreateSchedule { schedule, mode } => {
            let command = &schedule.command;
            let outputs = command.outputs.iter();
            let outputs: Vec<String> = outputs
                .map(|output| format!("into {} {}", output.stream.value, asked(&output.source)))
                .collect();
            format!(
                "{mode:?} schedule {} {} from {:?} {:?} {}",
                command.name.value,
                schedule.rule,
                schedule.starting_us,
                schedule.missed,
                outputs.join(" ")
            )
        }
        Statement::Copy(copy) => {
            let (what, form) = match copy.as_ref() {
                Copy::In { into, form } => {
                    let columns: Vec<&str> = into.columns.iter().map(|column| column.value.as_str()).collect();
                    (format!("in {} [{}]", into.stream.value, columns.join(", ")), form)
                }
                Copy::Out { query, form } => (format!("out <{}>", query.text), form),
            };
            let CopyForm::Lines(lines) = form else {
                return format!("copy {what} binary");
            };
            let kind = if lines.is_csv { "csv" } else { "text" };
            let header = if lines.has_header { " header" } else { "" };
            let special = [lines.delimiter, lines.quote, lines.escape].map(char::from);
            format!("copy {what} {kind}{header} {special:?} null {:?}", lines.null)
        }
        Statement::Insert(insert) => {
            let Insert {
                stream,
                columns,
                later: moment,
                source,
                condition,
                returning,
            } = insert.as_ref();
            let returning: Vec<String> = returning
                .iter()
                .map(|returned| match returned {
                    Returned::All => " returning *".to_owned(),
                    Returned::Column { column, name } => format!(" returning {} as {name}", column.value),
                })
                .collect();
            let columns: Vec<&str> = columns.iter().map(|column| column.value.as_str()).collect();
            let later = later(moment.as_deref());
            let depends = condition.as_ref().map_or_else(String::new, conditional);
            format!(
                "insert {} [{}]{later} {}{depends}{}",
                stream.value,
                columns.join(", "),
                asked(source),
                returning.concat()
            )
        }
        Statement::Query(question) => asked(question),
        Statement::Explain { analyze, question } => format!("explain analyze={analyze} {}", asked(question)),
        Statement::Call {
            command,
            arguments,
            idempotency_key,
        } => {
            let key = idempotency_key.as_ref().map(|key| format!(" key={key}"));
            format!("call {}{}", called(command, arguments), key.unwrap_or_default())
        }
        Statement::ExplainCall {
            command,
            arguments,
            json,
        } => format!("explain call json={json} {}", called(command, arguments)),
        Statement::Cancel { name } => format!("cancel {name}"),
        Statement::Show(Show::Setting(setting)) => format!("show setting {setting}"),
        Statement::Show(show) => format!("show {show:?}"),
        Statement::Describe(name) => format!("describe {}", name.value),
        Statement::Drop { noun, name, if_exists } => format!("drop {noun} {} if_exists={if_exists}", name.value),
        Statement::Subscribe(subscribe) => {
            let filter = subscribe.filter.as_ref().map(|filter| format!(" where {filter}"));
            let from = subscribe.from.as_ref().map(|from| format!(" from {from}"));
            let (filter, from) = (filter.unwrap_or_default(), from.unwrap_or_default());
            format!("subscribe to {}{filter}{from}", subscribe.view.value)
        }
        Statement::Cursor(step) => format!("{step:?}"),
        Statement::Session { tag } => format!("session {tag}"),
        Statement::CreateGraph { graph, mode } => format!("{mode:?} graph {}", graphs::defined(graph)),
    }
}

fn parameter(parameter: &Parameter) -> String {
    let mut text = format!("{} {}", parameter.name.value, parameter.column_type);
    if !parameter.nullable {
        text.push_str(" NOT NULL");
    }
    if let Some(default) = &parameter.default {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    for check in &parameter.checks {
        text.push_str(&format!(" CHECK ({})", check.condition));
    }
    text
}

fn said(require: &Require) -> String {
    let parts = require.refusal.parts.iter().map(|part| match part {
        RefusalPart::Plain(text) => text.clone(),
        RefusalPart::Value(name) => format!("[{name}]"),
    });
    let code = require.code.as_ref().map(|code| format!(" code {code}"));
    format!("<{}>{}", parts.collect::<String>(), code.unwrap_or_default())
}

fn called(command: &Name, arguments: &[Argument]) -> String {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| match &argument.name {
            Some(name) => format!("{} => {}", name.value, argument.value),
            None => argument.value.to_string(),
        })
        .collect();
    format!("{}({})", command.value, arguments.join(", "))
}

fn later(later: Option<&Later>) -> String {
    let Some(Later { when, name, .. }) = later else {
        return String::new();
    };
    let when = match when {
        When::At(expr) => format!(" at {expr}"),
        When::After(expr) => format!(" after {expr}"),
    };
    let name = name.as_ref().map_or(String::new(), |name| format!(" named {name}"));
    format!("{when}{name}")
}

fn conditional(condition: &InsertCondition) -> String {
    let or_none = |value: &Option<ast::Expr>| value.as_ref().map_or_else(|| "none".to_owned(), ast::Expr::to_string);
    let mut text = String::new();
    for term in &condition.terms {
        match term {
            ConditionTerm::Version(version) => text.push_str(&format!(" if version {}", or_none(version))),
            ConditionTerm::NotExists { stream, filter } => {
                text.push_str(&format!(" if none of {} {}", stream.value, or_none(filter)));
            }
        }
    }
    if condition.after.is_some() {
        text.push_str(&format!(" after {}", or_none(&condition.after)));
    }
    text
}

fn asked(question: &Question) -> String {
    let mut text = format!("<{}>", question.query);
    for rewind in &question.rewinds {
        let (kind, moment) = match &rewind.to {
            Moment::SystemTime(moment) => ("system", moment),
            Moment::Position(moment) => ("position", moment),
            Moment::BusinessTime(moment) => ("business", moment),
        };
        let (start, end) = (rewind.table.start, rewind.table.end);
        text.push_str(&format!(
            " {kind}@{}:{}-{} {moment}",
            start.line, start.column, end.column
        ));
    }
    text
}

/// Reads a text and compares what its statements say, one a line.
fn check(text: &str, expected: &str) {
    match parse(text, "") {
        Ok(statements) => {
            let found: Vec<String> = statements.iter().map(rendered).collect();
            assert_eq!(found.join("\n"), expected, "{text}");
        }
        Err(error) => panic!("{text}: {error}"),
    }
}

mod bounds;
mod definitions;
mod faults;
mod graphs;
mod questions;
