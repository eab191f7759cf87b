//! From a command as it is written to one that is ready to be decided.
//!
//! Invariant: whatever can be wrong with a command itself is said when it is defined ([`crate::call::check`]), not when it is called.

use std::sync::atomic::AtomicUsize;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::sql::sqlparser::ast::{self, Expr, Ident, SelectItem, SetExpr};
use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_sql::parse::parse;
use headwater_sql::syntax::{Command, Later, Let, Parameter, Question, Require, Statement, Step};
use headwater_sql::{Engine, Place, Prepared, SqlError, SqlState};
use parking_lot::Mutex;

use crate::call::arguments;
use crate::call::compiled::{
    Compiled, CompiledCheck, CompiledLater, CompiledLet, CompiledOutput, CompiledParameter, CompiledRequire,
    CompiledStep,
};
use crate::call::parameters::substitute;

/// Puts the placeholders into one command's expressions.
struct Placing<'a> {
    engine: &'a Engine,
    command: &'a str,
    names: Vec<String>,
}

impl Placing<'_> {
    fn in_expression(&self, expression: &Expr) -> Result<Expr, SqlError> {
        let mut placed = expression.clone();
        let columns = |name: &str| self.engine.column_names(name);
        substitute(&mut placed, self.command, &self.names, &columns)?;
        Ok(placed)
    }

    fn in_question(&self, question: &Question) -> Result<Question, SqlError> {
        let mut placed = question.clone();
        let columns = |name: &str| self.engine.column_names(name);
        substitute(&mut placed.query, self.command, &self.names, &columns)?;
        Ok(placed)
    }
}

impl Compiled {
    /// The types of the parameters.
    pub(crate) fn types(&self) -> Vec<DataType> {
        let types = self.parameters.iter();
        types.map(|parameter| parameter.column_type.data_type()).collect()
    }

    /// Compiles a command as written.
    pub(crate) fn new(engine: &Engine, command: &Command) -> Result<Compiled, SqlError> {
        let parameters: Vec<CompiledParameter> = command.parameters.iter().map(CompiledParameter::new).collect();
        let mut placing = Placing {
            engine,
            command: &command.name.value,
            names: parameters.iter().map(|parameter| parameter.name.clone()).collect(),
        };
        let mut types: Vec<DataType> = parameters
            .iter()
            .map(|parameter| parameter.column_type.data_type())
            .collect();
        let mut checks: Vec<CompiledCheck> = Vec::new();
        for parameter in &command.parameters {
            for check in &parameter.checks {
                checks.push(CompiledCheck {
                    parameter: parameter.name.value.clone(),
                    text: check.condition.to_string(),
                    value: engine.prepare(value_of(placing.in_expression(&check.condition)?)?, &types),
                    span: check.span,
                });
            }
        }
        let mut steps: Vec<CompiledStep> = Vec::new();
        for step in &command.steps {
            match step {
                Step::Let(value) => {
                    let compiled = CompiledLet::new(&placing, value, &types)?;
                    types.push(compiled.value_type.clone());
                    placing.names.push(compiled.name.clone());
                    steps.push(CompiledStep::Let(compiled));
                }
                Step::Require(require) => {
                    steps.push(CompiledStep::Require(CompiledRequire::new(&placing, require, &types)?))
                }
            }
        }
        let mut outputs: Vec<CompiledOutput> = Vec::new();
        for output in &command.outputs {
            outputs.push(CompiledOutput {
                stream: output.stream.value.clone(),
                later: match &output.later {
                    Some(later) => Some(CompiledLater::new(&placing, later, &types)?),
                    None => None,
                },
                question: engine.prepare(placing.in_question(&output.source)?, &types),
            });
        }
        let mut cancels: Vec<Prepared> = Vec::new();
        for name in &command.cancels {
            cancels.push(engine.prepare(value_of(placing.in_expression(name)?)?, &types));
        }
        let mut compiled = Compiled {
            name: command.name.value.clone(),
            decoder: arguments::decoder(&command.name.value, &parameters),
            parameters,
            checks,
            steps,
            outputs,
            cancels,
            names: placing.names,
            reads: Vec::new(),
            views: Vec::new(),
            awaited: Vec::new(),
            is_direct: false,
            is_simple: false,
            made_bytes: AtomicUsize::new(0),
            read_whole: Mutex::default(),
        };
        compiled.is_direct = compiled.has_no_plan();
        for source in compiled.sources(engine)? {
            compiled.reads.extend(engine.streams_below(&source));
            compiled.views.extend(engine.views_below(&source));
        }
        for names in [&mut compiled.reads, &mut compiled.views] {
            names.sort();
            names.dedup();
        }
        let is_awaited = |view: &&String| engine.views().next(view).is_some();
        compiled.awaited = compiled.views.iter().filter(is_awaited).cloned().collect();
        compiled.is_simple = compiled.is_direct
            && compiled.cancels.is_empty()
            && compiled.outputs.iter().all(|output| output.later.is_none())
            && compiled.checks.iter().all(|check| check.value.is_direct())
            && compiled.tells_by_rows(engine);
        Ok(compiled)
    }

    /// Whether it stands on the views as they are now.
    pub(crate) fn is_current(&self, engine: &Engine) -> bool {
        let is_awaited = |view: &String| engine.views().next(view).is_some();
        self.awaited.iter().all(is_awaited) && self.questions().all(|question| question.is_current(engine))
    }

    /// What a decision asks, in order.
    pub(crate) fn questions(&self) -> impl Iterator<Item = &Prepared> {
        let of_steps = self.steps.iter().map(|step| match step {
            CompiledStep::Let(value) => &value.question,
            CompiledStep::Require(require) => &require.holds,
        });
        of_steps.chain(self.outputs.iter().map(|output| &output.question))
    }

    /// Whether the rows that its events are say what they change of the views that it reads. Where only the events do, as of a view that
    /// reads their offsets, nothing is foreseen.
    fn tells_by_rows(&self, engine: &Engine) -> bool {
        let tells = |name: &String| {
            let view = engine.views().get(name);
            let mut outputs = self.outputs.iter();
            view.is_some_and(|view| outputs.all(|output| view.is_told_by_rows(&output.stream)))
        };
        self.views.iter().all(tells)
    }

    fn has_no_plan(&self) -> bool {
        let of_outputs = self.outputs.iter().filter_map(|output| output.later.as_ref());
        let of_schedules = of_outputs.flat_map(|later| [&later.due].into_iter().chain(&later.name));
        let mut all = self.questions().chain(of_schedules).chain(&self.cancels);
        all.all(Prepared::is_direct)
    }

    /// The streams and views that are read.
    pub(crate) fn sources(&self, engine: &Engine) -> Result<Vec<String>, SqlError> {
        let mut sources: Vec<String> = Vec::new();
        for step in &self.steps {
            let question = match step {
                CompiledStep::Let(value) => &value.question,
                CompiledStep::Require(require) => &require.value,
            };
            sources.extend(engine.sources_of(question.question())?);
        }
        for output in &self.outputs {
            sources.extend(engine.sources_of(output.question.question())?);
            if let Some(later) = &output.later {
                let questions = [&later.due].into_iter().chain(&later.name);
                for question in questions {
                    sources.extend(engine.sources_of(question.question())?);
                }
            }
        }
        for name in &self.cancels {
            sources.extend(engine.sources_of(name.question())?);
        }
        Ok(sources)
    }
}

impl CompiledParameter {
    fn new(parameter: &Parameter) -> CompiledParameter {
        CompiledParameter {
            name: parameter.name.value.clone(),
            column_type: parameter.column_type,
            nullable: parameter.nullable,
            default: parameter.default.clone(),
        }
    }
}

impl CompiledLet {
    fn new(placing: &Placing<'_>, value: &Let, types: &[DataType]) -> Result<CompiledLet, SqlError> {
        let question = match subquery(&value.value) {
            Some(query) => placing.in_question(&Question {
                query: Box::new(query.clone()),
                rewinds: Vec::new(),
            })?,
            None => value_of(placing.in_expression(&value.value)?)?,
        };
        let at = || place(&value.name.span);
        let columns = placing
            .engine
            .columns_of(&question, types)
            .map_err(|error| error.at(at()))?;
        let [column] = columns.fields().as_ref() else {
            let message = format!(
                "LET {} is one value, and the query gives {} columns",
                value.name.value,
                columns.fields().len()
            );
            return Err(SqlError::new(SqlState::SYNTAX, message)
                .hint("select one column, and give others a LET of their own")
                .at(at()));
        };
        Ok(CompiledLet {
            name: value.name.value.clone(),
            text: value.value.to_string(),
            value_type: column.data_type().clone(),
            question: placing.engine.prepare(question, types),
        })
    }
}

impl CompiledRequire {
    fn new(placing: &Placing<'_>, require: &Require, types: &[DataType]) -> Result<CompiledRequire, SqlError> {
        let prepare = |question: Question| placing.engine.prepare(question, types);
        let condition = placing.in_expression(&require.condition)?;
        Ok(CompiledRequire {
            text: require.condition.to_string(),
            holds: prepare(row_where(condition.clone())?),
            value: prepare(value_of(condition)?),
            refusal: require.refusal.clone(),
            code: require.code.clone(),
            span: require.span,
        })
    }
}

impl CompiledLater {
    fn new(placing: &Placing<'_>, later: &Later, types: &[DataType]) -> Result<CompiledLater, SqlError> {
        let prepare = |expression: &Expr| -> Result<Prepared, SqlError> {
            let question = value_of(placing.in_expression(expression)?)?;
            Ok(placing.engine.prepare(question, types))
        };
        Ok(CompiledLater {
            when: later.when.clone(),
            due: prepare(later.when.expr())?,
            name: later.name.as_ref().map(prepare).transpose()?,
            span: later.span,
        })
    }

    /// What can be no moment, or no span, is said when the command is defined.
    pub(crate) fn check(&self, engine: &Engine, types: &[DataType]) -> Result<(), SqlError> {
        let columns = engine
            .columns_of(self.due.question(), types)
            .map_err(|error| error.at(place(&self.span)))?;
        let given = columns.fields().first().map(|field| field.data_type().clone());
        match given {
            Some(given) if !self.when.takes(&given) => {
                let error = SqlError::new(SqlState::TYPE_MISMATCH, self.when.wanted());
                return Err(error.at(place(&self.span)));
            }
            _ => {}
        }
        // What hangs on an argument is seen when there is one.
        let constant = engine.constants(std::slice::from_ref(self.when.expr()));
        if let Some(value) = constant.ok().and_then(|values| values.into_iter().next()) {
            let due = self.when.due_us(&value, engine.log().now_us());
            due.map_err(|error| error.at(place(&self.span)))?;
        }
        Ok(())
    }
}

/// The query of `(SELECT …)`.
fn subquery(expression: &Expr) -> Option<&ast::Query> {
    match expression {
        Expr::Subquery(query) => Some(query),
        Expr::Nested(inner) => subquery(inner),
        _ => None,
    }
}

/// Which column of a query each column of a stream is filled from: by name where all names are the stream's, else in order. In order, none may go into
/// another column than the one that it is called like: then a name is misspelled.
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
        let message = format!("the query gives {given} columns, and the stream '{stream}' has {wanted}");
        return Err(
            SqlError::new(SqlState::SYNTAX, message).hint(format!("its columns are {}", names_of(stream_columns)))
        );
    }
    for (index, field) in columns.fields().iter().enumerate() {
        if stream_columns.index_of(field.name()).is_ok_and(|own| own != index) {
            let unknown = columns
                .fields()
                .iter()
                .find(|field| stream_columns.index_of(field.name()).is_err());
            let message = format!(
                "the value '{}' would go into the column '{}' of the stream '{stream}': values go by their names only where each of them has a column, \
                 and '{}' has none",
                field.name(),
                stream_columns.field(index).name(),
                unknown.map_or("", |field| field.name())
            );
            let hint = "name all of them with AS, or give them in the order of the stream's columns";
            return Err(SqlError::new(SqlState::UNKNOWN_COLUMN, message).hint(hint));
        }
    }
    Ok((0..wanted).map(|index| (index < given).then_some(index)).collect())
}

/// Refuses a name that a query gives a value by AS where the stream has no such column: it is misspelled, and in order the value would go into another.
pub(crate) fn check_names(body: &SetExpr, stream_columns: &Schema, stream: &str) -> Result<(), SqlError> {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::Query(query) => return check_names(&query.body, stream_columns, stream),
        // The first query names the columns of all.
        SetExpr::SetOperation { left, .. } => return check_names(left, stream_columns, stream),
        _ => return Ok(()),
    };
    for item in &select.projection {
        if let SelectItem::ExprWithAlias { alias, .. } = item
            && stream_columns.index_of(&alias.value).is_err()
        {
            let message = format!("the stream '{stream}' has no column '{}'", alias.value);
            let hint = format!(
                "its columns are {}; without AS values go in their order",
                names_of(stream_columns)
            );
            return Err(SqlError::new(SqlState::UNKNOWN_COLUMN, message)
                .hint(hint)
                .at(place(&alias.span)));
        }
    }
    Ok(())
}

fn names_of(columns: &Schema) -> String {
    let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
    names.join(", ")
}

pub(crate) fn place(span: &Span) -> Place {
    Place {
        file: String::new(),
        line: span.start.line,
        column: span.start.column,
    }
}

/// `SELECT 1 AS held WHERE condition`
fn row_where(condition: Expr) -> Result<Question, SqlError> {
    let mut question = question_of("SELECT 1 AS held WHERE true")?;
    if let SetExpr::Select(select) = question.query.body.as_mut() {
        select.selection = Some(condition);
    }
    Ok(question)
}

/// `SELECT expression AS held`
fn value_of(expression: Expr) -> Result<Question, SqlError> {
    let mut question = question_of("SELECT 1")?;
    if let SetExpr::Select(select) = question.query.body.as_mut() {
        select.projection = vec![SelectItem::ExprWithAlias {
            expr: expression,
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
            "a command's expressions make no question",
        )),
    }
}
