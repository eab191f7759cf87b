//! What is wrong with a command, said when it is defined.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, Value};
use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_catalog::StreamDefinition;
use headwater_sql::encode::{EventEncoder, assign_value};
use headwater_sql::syntax::{Command, Question};
use headwater_sql::{Engine, SqlError, SqlState};

use crate::call::arguments;
use crate::call::compile::{assignment, check_names, place};
use crate::call::compiled::{Compiled, CompiledRequire, CompiledStep};
use crate::error::is_own_code;

/// Checks a command against what it names; the streams and views it needs come back.
pub(crate) fn check(engine: &Engine, command: &Command) -> Result<Vec<String>, SqlError> {
    let compiled = Compiled::new(engine, command)?;
    for (parameter, written) in compiled.parameters.iter().zip(&command.parameters) {
        if let Some(default) = &parameter.default {
            let checked = arguments::default_value(engine, engine.log().now_us(), parameter, default);
            let value = checked.map_err(|error| error.at(place(&written.name.span)))?;
            if value.is_null() && !parameter.nullable {
                let message = format!(
                    "the parameter '{}' is NOT NULL, and its default is NULL",
                    parameter.name
                );
                return Err(SqlError::new(SqlState::INVALID_DEFINITION, message).at(place(&written.name.span)));
            }
        }
    }
    let mut types = compiled.types();
    for check in &compiled.checks {
        if !engine.sources_of(check.value.question())?.is_empty() {
            return Err(
                SqlError::new(SqlState::INVALID_DEFINITION, "a CHECK looks at the arguments alone")
                    .hint("look at streams and views in a REQUIRE")
                    .at(place(&check.span)),
            );
        }
        check_condition(engine, check.value.question(), "CHECK", &check.span, &types)?;
    }
    for step in &compiled.steps {
        match step {
            CompiledStep::Let(value) => types.push(value.value_type.clone()),
            CompiledStep::Require(require) => {
                check_code(require)?;
                check_condition(engine, require.value.question(), "REQUIRE", &require.span, &types)?;
            }
        }
    }
    let mut sources = compiled.sources(engine)?;
    for (output, written) in compiled.outputs.iter().zip(&command.outputs) {
        let at = place(&written.stream.span);
        let definition = engine.catalog().stream(&output.stream).ok_or_else(|| {
            let error = SqlError::new(
                SqlState::UNKNOWN_TABLE,
                format!("there is no stream '{}' to append to", output.stream),
            );
            error.hint("CREATE STREAM first").at(at.clone())
        })?;
        let encoder =
            EventEncoder::new(&definition, engine.catalog().schemas()).map_err(|error| error.at(at.clone()))?;
        let columns = engine.columns_of(output.question.question(), &types)?;
        let schema = encoder.schema();
        check_names(&written.source.query.body, &schema, &output.stream)?;
        let given = assignment(&columns, &schema, &output.stream).map_err(|error| error.at(at.clone()))?;
        let checked = check_given(&definition, &schema, &given);
        let checked = checked.and_then(|()| {
            let filled = schema.fields().iter().zip(&given);
            for (field, place) in filled.filter_map(|(field, place)| Some((field, (*place)?))) {
                let data_type = columns.field(place).data_type();
                check_value(
                    &definition,
                    field.name(),
                    data_type,
                    &quoted(&written.source.query.body, place),
                )?;
            }
            Ok(())
        });
        checked.map_err(|error| error.at(at))?;
        if let Some(later) = &output.later {
            later.check(engine, &types)?;
        }
        sources.push(output.stream.clone());
    }
    sources.sort();
    sources.dedup();
    Ok(sources)
}

/// Refuses that a column which every event must have gets no value.
fn check_given(definition: &StreamDefinition, schema: &Schema, given: &[Option<usize>]) -> Result<(), SqlError> {
    for (field, _) in schema.fields().iter().zip(given).filter(|(_, given)| given.is_none()) {
        let column = definition.column(field.name());
        if column.is_some_and(|column| !column.nullable && column.default.is_none()) {
            let message = format!(
                "the column '{}' of the stream '{}' may not be NULL, and the query gives it no value",
                field.name(),
                definition.name
            );
            return Err(SqlError::new(SqlState::NOT_NULL, message).hint("select it, or give the column a DEFAULT"));
        }
    }
    Ok(())
}

/// Refuses what a column of the stream does not take: values of a type, and texts in quotes.
fn check_value(
    definition: &StreamDefinition,
    name: &str,
    data_type: &DataType,
    texts: &[&str],
) -> Result<(), SqlError> {
    let Some(column) = definition.column(name) else {
        return Ok(());
    };
    if data_type.is_null() && !column.nullable {
        let message = format!(
            "the column '{name}' of the stream '{}' may not be NULL, and the query gives it nothing else",
            definition.name
        );
        return Err(SqlError::new(SqlState::NOT_NULL, message).hint("give it a value"));
    }
    assign_value(&ScalarValue::try_from(data_type)?, name, column.column_type)?;
    for text in texts {
        assign_value(&ScalarValue::from(*text), name, column.column_type)?;
    }
    Ok(())
}

/// The texts in quotes that a query gives as they are in one of its columns.
fn quoted(body: &SetExpr, place: usize) -> Vec<&str> {
    match body {
        SetExpr::Select(select) => {
            let mut exprs: Vec<&Expr> = Vec::with_capacity(select.projection.len());
            for item in &select.projection {
                match item {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => exprs.push(expr),
                    // What stands behind it has another place.
                    _ => break,
                }
            }
            text_of(exprs.get(place).copied()).into_iter().collect()
        }
        SetExpr::Values(values) => values.rows.iter().filter_map(|row| text_of(row.get(place))).collect(),
        SetExpr::Query(query) => quoted(&query.body, place),
        SetExpr::SetOperation { left, right, .. } => [quoted(left, place), quoted(right, place)].concat(),
        _ => Vec::new(),
    }
}

fn text_of(expr: Option<&Expr>) -> Option<&str> {
    let Some(Expr::Value(value)) = expr else { return None };
    match &value.value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

fn check_code(require: &CompiledRequire) -> Result<(), SqlError> {
    let Some(code) = require.code.as_deref().filter(|code| is_own_code(code)) else {
        return Ok(());
    };
    let message = format!("'{code}' is what the program says of its own, and would not be told from it");
    let error = SqlError::new(SqlState::INVALID_DEFINITION, message).hint("give the refusal another code");
    Err(error.at(place(&require.span)))
}

fn check_condition(
    engine: &Engine,
    question: &Question,
    word: &str,
    span: &Span,
    types: &[DataType],
) -> Result<(), SqlError> {
    let columns = engine
        .columns_of(question, types)
        .map_err(|error| error.at(place(span)))?;
    match columns.fields().first().map(|field| field.data_type()) {
        Some(DataType::Boolean | DataType::Null) => Ok(()),
        _ => {
            let error = SqlError::new(
                SqlState::TYPE_MISMATCH,
                format!("{word} needs a condition that is true or false"),
            );
            Err(error.hint("compare something, such as amount > 0").at(place(span)))
        }
    }
}
