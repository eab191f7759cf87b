//! A command ready to be decided: its parameters and LETs are placeholders `$1`, `$2`, … of questions.
//!
//! Invariant: whatever can be wrong with a command itself is said when it is defined ([`check`]), not when it is called.

use std::sync::atomic::AtomicUsize;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::sql::sqlparser::ast::{self, Expr, Ident, SelectItem, SetExpr};
use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_catalog::ColumnType;
use headwater_sql::encode::EventEncoder;
use headwater_sql::parse::parse;
use headwater_sql::statement::{Command, Later, Let, Parameter, Question, Refusal, Require, Statement, Step, When};
use headwater_sql::{Engine, Place, Prepared, SqlError, SqlState};
use headwater_views::decode::StreamDecoder;

use crate::arguments;
use crate::parameters::substitute;

/// A compiled command.
pub(crate) struct Compiled {
    pub(crate) name: String,
    pub(crate) parameters: Vec<CompiledParameter>,
    /// Reads arguments from JSON.
    pub(crate) decoder: StreamDecoder,
    pub(crate) checks: Vec<CompiledCheck>,
    pub(crate) steps: Vec<CompiledStep>,
    pub(crate) outputs: Vec<CompiledOutput>,
    /// The names of the schedules that are cancelled.
    pub(crate) cancels: Vec<Prepared>,
    /// The names of all values: those of the parameters, then those of the LETs.
    pub(crate) names: Vec<String>,
    /// The streams below everything that is read.
    pub(crate) reads: Vec<String>,
    /// The materialized views among what is read, themselves and below plain views.
    pub(crate) views: Vec<String>,
    /// Whether all of it is worked out without a plan: within microseconds, on rows found by their keys.
    pub(crate) is_direct: bool,
    /// Whether it does nothing besides, such as a schedule, and rows alone say what its events change: then many calls are decided together.
    pub(crate) is_simple: bool,
    /// The most bytes of events that a call of it was seen to make, where calls were decided together.
    pub(crate) made_bytes: AtomicUsize,
}

/// A parameter.
pub(crate) struct CompiledParameter {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    pub(crate) nullable: bool,
    pub(crate) default: Option<Expr>,
}

/// `CHECK (condition)` of a parameter.
pub(crate) struct CompiledCheck {
    pub(crate) parameter: String,
    pub(crate) text: String,
    /// The condition as a value.
    pub(crate) value: Prepared,
    span: Span,
}

/// One step of a decision.
pub(crate) enum CompiledStep {
    Let(CompiledLet),
    Require(CompiledRequire),
}

/// `LET name = value`
pub(crate) struct CompiledLet {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Gives one column; no row is NULL.
    pub(crate) question: Prepared,
    pub(crate) value_type: DataType,
}

/// `REQUIRE condition ELSE …`
pub(crate) struct CompiledRequire {
    pub(crate) text: String,
    /// A row where the condition holds: as a filter, it may be any that SQL has, `EXISTS` and `IN (SELECT …)` too.
    pub(crate) holds: Prepared,
    /// The condition as a value: for its type, and to tell NULL from false.
    pub(crate) value: Prepared,
    pub(crate) refusal: Refusal,
    pub(crate) code: Option<String>,
    span: Span,
}

/// `AT moment` or `AFTER span`
pub(crate) struct CompiledLater {
    pub(crate) when: When,
    /// The moment or the span.
    pub(crate) due: Prepared,
    /// What it is cancelled by.
    pub(crate) name: Option<Prepared>,
    span: Span,
}

/// One `INTO stream AS query`.
pub(crate) struct CompiledOutput {
    pub(crate) stream: String,
    pub(crate) later: Option<CompiledLater>,
    pub(crate) question: Prepared,
}

/// Puts the placeholders into one command's expressions.
struct Placing<'a> {
    engine: &'a Engine,
    command: &'a str,
    names: Vec<String>,
}

impl Placing<'_> {
    fn in_expression(&self, expression: &Expr) -> Expr {
        let mut placed = expression.clone();
        let columns = |name: &str| self.engine.column_names(name);
        substitute(&mut placed, self.command, &self.names, &columns);
        placed
    }

    fn in_question(&self, question: &Question) -> Question {
        let mut placed = question.clone();
        let columns = |name: &str| self.engine.column_names(name);
        substitute(&mut placed.query, self.command, &self.names, &columns);
        placed
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
                    value: engine.prepare(value_of(placing.in_expression(&check.condition))?, &types),
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
                question: engine.prepare(placing.in_question(&output.source), &types),
            });
        }
        let mut cancels: Vec<Prepared> = Vec::new();
        for name in &command.cancels {
            cancels.push(engine.prepare(value_of(placing.in_expression(name))?, &types));
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
            is_direct: false,
            is_simple: false,
            made_bytes: AtomicUsize::new(0),
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
        compiled.is_simple = compiled.is_direct
            && compiled.cancels.is_empty()
            && compiled.outputs.iter().all(|output| output.later.is_none())
            && compiled.checks.iter().all(|check| check.value.is_direct())
            && compiled.tells_by_rows(engine);
        Ok(compiled)
    }

    /// Whether it stands on the views as they are now.
    pub(crate) fn is_current(&self, engine: &Engine) -> bool {
        self.questions().all(|question| question.is_current(engine))
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
    fn sources(&self, engine: &Engine) -> Result<Vec<String>, SqlError> {
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
            }),
            None => value_of(placing.in_expression(&value.value))?,
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
        let condition = placing.in_expression(&require.condition);
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
            let question = value_of(placing.in_expression(expression))?;
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
    fn check(&self, engine: &Engine, types: &[DataType]) -> Result<(), SqlError> {
        let columns = engine
            .columns_of(self.due.question(), types)
            .map_err(|error| error.at(place(&self.span)))?;
        let given = columns.fields().first().map(|field| field.data_type().clone());
        match given {
            Some(given) if !self.when.takes(&given) => {
                let error = SqlError::new(SqlState::TYPE_MISMATCH, self.when.wanted());
                Err(error.at(place(&self.span)))
            }
            _ => Ok(()),
        }
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

/// Checks a command against what it names; the streams and views it needs come back.
pub(crate) fn check(engine: &Engine, command: &Command) -> Result<Vec<String>, SqlError> {
    let compiled = Compiled::new(engine, command)?;
    for (parameter, written) in compiled.parameters.iter().zip(&command.parameters) {
        if let Some(default) = &parameter.default {
            let checked = arguments::default_value(engine, parameter, default);
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
        assignment(&columns, &encoder.schema(), &output.stream).map_err(|error| error.at(at))?;
        if let Some(later) = &output.later {
            later.check(engine, &types)?;
        }
        sources.push(output.stream.clone());
    }
    sources.sort();
    sources.dedup();
    Ok(sources)
}

fn check_condition(
    engine: &Engine,
    question: &Question,
    word: &str,
    span: &Span,
    types: &[DataType],
) -> Result<(), SqlError> {
    let columns = engine.columns_of(question, types)?;
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
        let names: Vec<&str> = stream_columns
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let message = format!("the query gives {given} columns, and the stream '{stream}' has {wanted}");
        return Err(SqlError::new(SqlState::SYNTAX, message).hint(format!("its columns are {}", names.join(", "))));
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

fn place(span: &Span) -> Place {
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
