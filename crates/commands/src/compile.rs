//! A command ready to be decided: its parameters are placeholders, its conditions one question.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, SetExpr};
use headwater_sql::encode::EventEncoder;
use headwater_sql::parse::parse;
use headwater_sql::statement::{Command, Parameter, Question, Require, Statement};
use headwater_sql::{Engine, Place, SqlError, SqlState};

use crate::limits::CONDITIONS_TOGETHER_MAX;
use crate::parameters::substitute;

/// A compiled command.
pub(crate) struct Compiled {
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
    /// The numbers of all conditions that hold, in one question; `None` where there are none, or too many.
    pub(crate) together: Option<Question>,
    /// Each condition alone (a row where it holds), with the text of its refusal.
    pub(crate) requires: Vec<(Question, String)>,
    /// Each condition as a value: only for checking its type.
    conditions: Vec<Question>,
    pub(crate) outputs: Vec<CompiledOutput>,
    /// The streams below everything that is read.
    pub(crate) reads: Vec<String>,
}

/// One `INTO stream AS query`.
pub(crate) struct CompiledOutput {
    pub(crate) stream: String,
    pub(crate) question: Question,
}

impl Compiled {
    /// The types of the parameters.
    pub(crate) fn types(&self) -> Vec<DataType> {
        self.parameters
            .iter()
            .map(|parameter| parameter.column_type.data_type())
            .collect()
    }

    /// Compiles a command as written.
    pub(crate) fn new(engine: &Engine, command: &Command) -> Result<Compiled, SqlError> {
        let names: Vec<String> = command
            .parameters
            .iter()
            .map(|parameter| parameter.name.value.clone())
            .collect();
        for (index, parameter) in command.parameters.iter().enumerate() {
            if names.iter().take(index).any(|earlier| *earlier == parameter.name.value) {
                let error = SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("the parameter \"{}\" is there twice", parameter.name.value),
                );
                return Err(error.at(place(parameter.name.span.start.line, parameter.name.span.start.column)));
            }
        }
        let columns = |name: &str| engine.column_names(name);
        let mut expressions: Vec<Expr> = Vec::new();
        let mut conditions: Vec<Question> = Vec::new();
        let mut requires: Vec<(Question, String)> = Vec::new();
        for require in &command.requires {
            let mut condition = require.condition.clone();
            substitute(&mut condition, &command.name.value, &names, &columns);
            requires.push((those_that_hold(vec![condition.clone()])?, require.refusal.clone()));
            conditions.push(value_of(condition.clone())?);
            expressions.push(condition);
        }
        let together = match expressions.len() {
            1..=CONDITIONS_TOGETHER_MAX => Some(those_that_hold(expressions)?),
            _ => None,
        };
        let mut outputs: Vec<CompiledOutput> = Vec::new();
        for output in &command.outputs {
            let mut question = output.source.clone();
            substitute(&mut question.query, &command.name.value, &names, &columns);
            outputs.push(CompiledOutput {
                stream: output.stream.value.clone(),
                question,
            });
        }
        let mut reads: Vec<String> = Vec::new();
        for question in conditions.iter().chain(outputs.iter().map(|output| &output.question)) {
            for source in engine.sources_of(question)? {
                reads.extend(engine.streams_below(&source));
            }
        }
        reads.sort();
        reads.dedup();
        let name = command.name.value.clone();
        Ok(Compiled {
            name,
            parameters: command.parameters.clone(),
            together,
            requires,
            conditions,
            outputs,
            reads,
        })
    }
}

/// Checks a command against what it names; the streams and views it needs come back.
pub(crate) fn check(engine: &Engine, command: &Command) -> Result<Vec<String>, SqlError> {
    let compiled = Compiled::new(engine, command)?;
    let types = compiled.types();
    let mut sources: Vec<String> = Vec::new();
    for (question, require) in compiled.conditions.iter().zip(&command.requires) {
        check_condition(engine, question, require, &types)?;
        sources.extend(engine.sources_of(question)?);
    }
    for (output, written) in compiled.outputs.iter().zip(&command.outputs) {
        let at = place(written.stream.span.start.line, written.stream.span.start.column);
        let definition = engine.catalog().stream(&output.stream).ok_or_else(|| {
            let error = SqlError::new(
                SqlState::UNKNOWN_TABLE,
                format!("there is no stream '{}' to append to", output.stream),
            );
            error.hint("CREATE STREAM first").at(at.clone())
        })?;
        let encoder = EventEncoder::new(&definition).map_err(|error| error.at(at.clone()))?;
        let columns = engine.columns_of(&output.question, &types)?;
        assignment(&columns, &encoder.schema(), &output.stream).map_err(|error| error.at(at))?;
        sources.push(output.stream.clone());
        sources.extend(engine.sources_of(&output.question)?);
    }
    sources.sort();
    sources.dedup();
    Ok(sources)
}

fn check_condition(
    engine: &Engine,
    question: &Question,
    require: &Require,
    types: &[DataType],
) -> Result<(), SqlError> {
    let columns = engine.columns_of(question, types)?;
    match columns.fields().first().map(|field| field.data_type()) {
        Some(DataType::Boolean | DataType::Null) => Ok(()),
        _ => {
            let error = SqlError::new(
                SqlState::TYPE_MISMATCH,
                "REQUIRE needs a condition that is true or false",
            );
            Err(error
                .hint("compare something: REQUIRE amount > 0 ELSE '…'")
                .at(place(require.span.start.line, require.span.start.column)))
        }
    }
}

/// Which column of a query each column of a stream is filled from: by name where all names are the stream's, else in order.
pub(crate) fn assignment(
    columns: &Schema,
    stream_columns: &Schema,
    stream: &str,
) -> Result<Vec<Option<usize>>, SqlError> {
    let given = columns.fields().len();
    let wanted = stream_columns.fields().len();
    let by_name = columns
        .fields()
        .iter()
        .all(|field| stream_columns.index_of(field.name()).is_ok());
    if by_name {
        return Ok(stream_columns
            .fields()
            .iter()
            .map(|field| columns.index_of(field.name()).ok())
            .collect());
    }
    if given > wanted {
        let names: Vec<&str> = stream_columns
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let message = format!("the query gives {given} columns, and the stream '{stream}' has {wanted}");
        return Err(SqlError::new(SqlState::SYNTAX, message).hint(format!("its columns are {}", names.join(", "))));
    }
    Ok((0..wanted).map(|index| (index < given).then_some(index)).collect())
}

fn place(line: u64, column: u64) -> Place {
    Place {
        file: String::new(),
        line,
        column,
    }
}

/// `SELECT 1 AS held WHERE condition UNION ALL SELECT 2 WHERE …`: as a filter, a condition may be any that SQL has, `EXISTS` and `IN (SELECT …)` too.
fn those_that_hold(conditions: Vec<Expr>) -> Result<Question, SqlError> {
    let mut text = String::new();
    for number in 1..=conditions.len() {
        let union = if number == 1 { "" } else { " UNION ALL " };
        text.push_str(&format!("{union}SELECT {number} AS held WHERE true"));
    }
    let mut question = question_of(&text)?;
    let mut conditions = conditions.into_iter();
    filter_by(&mut question.query.body, &mut conditions);
    Ok(question)
}

/// Puts the conditions into the SELECTs of a union, from left to right.
fn filter_by(body: &mut SetExpr, conditions: &mut impl Iterator<Item = Expr>) {
    match body {
        SetExpr::Select(select) => select.selection = conditions.next(),
        SetExpr::SetOperation { left, right, .. } => {
            filter_by(left, conditions);
            filter_by(right, conditions);
        }
        _ => {}
    }
}

/// `SELECT condition AS held`
fn value_of(condition: Expr) -> Result<Question, SqlError> {
    let mut question = question_of("SELECT 1")?;
    if let SetExpr::Select(select) = question.query.body.as_mut() {
        select.projection = vec![SelectItem::ExprWithAlias {
            expr: condition,
            alias: Ident::new("held"),
        }];
    }
    Ok(question)
}

fn question_of(text: &str) -> Result<Question, SqlError> {
    match parse(text, "")?.into_iter().next().map(|parsed| parsed.statement) {
        Some(Statement::Query(question)) => Ok(question),
        _ => Err(SqlError::new(
            SqlState::INTERNAL,
            "a command's conditions make no question",
        )),
    }
}
