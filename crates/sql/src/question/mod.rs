//! From a question to its rows: names, plan, parameters, execution.

mod absent;
mod after;
mod archived;
mod arguments;
mod called;
pub(crate) mod casts_apart;
mod changes;
mod columns;
mod deadline;
mod functions;
mod graph;
mod interrupt;
mod levels;
mod lineage;
mod merged;
mod moment;
mod named_view;
mod names;
mod natural;
mod of_view;
mod origins;
pub(crate) mod outermost;
mod overtaken;
pub(crate) mod parts;
mod provenance;
mod quoted;
mod reads;
mod relations;
mod rewind;
mod search;
mod sources;
mod star;
mod titles;
pub(crate) mod upcast;
mod whole_rows;
mod wildcard;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::{SQLOptions, SessionState};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::sqlparser::ast;

use headwater_views::in_order_of_events;

use crate::inner::Inner;
use crate::syntax::Question;
use crate::tables::StreamTable;
use crate::{Described, Session, SqlError, SqlState};

pub(crate) use after::through_pipelines;
pub(crate) use columns::{column_names, view_columns};
pub(crate) use deadline::Deadline;
pub(crate) use interrupt::{Stop, heeding};
pub(crate) use moment::{BusinessMoment, Moments};
pub(crate) use names::{Names, table_name};
pub(crate) use of_view::{no_parameters, plain_columns, spec_of, view_spec};
pub(crate) use overtaken::{again, begun};
pub(crate) use provenance::origin;
pub(crate) use reads::{LakeReading, QuestionReads, SearchReading, StreamReading, ViewReading};
pub use reads::{Reads, StreamRead, ViewRead};

pub(crate) use relations::constraint;
pub(crate) use rewind::{check_length, check_position, check_whole, length};
pub(crate) use sources::sources;
pub(crate) use star::meaning;
pub(crate) use titles::{repeated, rows_shown, shown};

/// A question ready to run.
pub(crate) struct Planned {
    /// What is to be done.
    pub(crate) plan: LogicalPlan,
    /// The functions and bounds it runs with; its start is `now()`.
    pub(crate) state: SessionState,
    /// What it reads.
    pub(crate) reads: Arc<QuestionReads>,
    stop: Stop,
}

/// Plans a question with the values of its parameters.
pub(crate) fn plan(
    inner: &Inner,
    session: &Session,
    question: &Question,
    parameters: &[ScalarValue],
) -> Result<Planned, SqlError> {
    let state = inner.starting_for(session);
    let reads = Arc::new(QuestionReads::counted(session.progress.as_ref()));
    let plan = {
        let moments = Moments::new(&state, Some(parameters));
        let names = Names::new(inner, &state, &reads, &moments).asked_by(&session.principal);
        let plan = names.plan(question, &parameter_fields(parameters))?;
        only_reads(&plan)?;
        in_order_of_events(with_values(plan, parameters)?, &StreamTable::is_scanned)?
    };
    let stop = Stop::default();
    Ok(Planned {
        plan,
        state,
        reads,
        stop,
    })
}

/// What a question takes and gives. `declared` are the types that the client says its parameters have.
pub(crate) fn describe(
    inner: &Inner,
    question: &Question,
    declared: &[Option<DataType>],
) -> Result<Described, SqlError> {
    let state = inner.starting();
    let reads = QuestionReads::default();
    let moments = Moments::new(&state, None);
    let names = Names::new(inner, &state, &reads, &moments);
    let plan = names.plan(question, &type_fields(declared))?;
    only_reads(&plan)?;
    let mut types = plan.get_parameter_types()?;
    for id in limit_parameters(&question.query) {
        types.insert(id, Some(DataType::Int64));
    }
    for (id, data_type) in list_parameters(&plan)?.into_iter().chain(cast_parameters(&plan)?) {
        types.insert(id, Some(data_type));
    }
    for (id, data_type) in moments.parameter_types() {
        types.insert(id, Some(data_type));
    }
    let mut parameters: Vec<Option<DataType>> = Vec::new();
    for (id, data_type) in types {
        let Some(index) = parameter_index(&id) else { continue };
        if parameters.len() <= index {
            parameters.resize(index + 1, None);
        }
        parameters[index] = data_type;
    }
    // Of what is planned away the values are given all the same.
    let named = called::count(&question.query);
    parameters.resize(parameters.len().max(named), None);
    // The columns of the answer are those of parameters whose types are all known: what nobody says is a text, as in PostgreSQL.
    let known: Vec<Option<DataType>> = parameters
        .iter()
        .enumerate()
        .map(|(index, data_type)| {
            let declared = declared.get(index).cloned().flatten();
            declared.or_else(|| data_type.clone()).or(Some(DataType::Utf8))
        })
        .collect();
    let plan = match names.plan(question, &type_fields(&known)) {
        Ok(typed) => typed,
        // A type that was said elsewhere does not fit its place: the values may still.
        Err(_) => plan,
    };
    // Coercion is what gives the columns of the answer their final types; it needs the parameters' types only where they matter.
    let columns = match state
        .analyzer()
        .execute_and_check(plan.clone(), state.config_options(), |_, _| {})
    {
        Ok(analyzed) => Arc::clone(analyzed.schema().inner()),
        Err(_) => Arc::clone(plan.schema().inner()),
    };
    for (index, data_type) in called::parameters(&question.query) {
        if let Some(parameter) = parameters.get_mut(index) {
            *parameter = Some(data_type);
        }
    }
    Ok(Described {
        parameters,
        columns: Some(titles::shown(&columns)),
    })
}

/// The parameters of which nobody says the type and in which a value is looked for, as in `account = ANY($1)`: lists of what is looked for.
fn list_parameters(plan: &LogicalPlan) -> Result<Vec<(String, DataType)>, SqlError> {
    let mut found: Vec<(String, DataType)> = Vec::new();
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|inner| {
                if let Expr::ScalarFunction(function) = inner
                    && function.name() == "array_has"
                    && let [Expr::Placeholder(list), sought] = function.args.as_slice()
                    && list.field.is_none()
                    && let Ok(sought) = sought.get_type(&schema)
                {
                    found.push((list.id.clone(), DataType::new_list(sought, true)));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// The parameters of which nobody says the type and that are cast to one, as in `$1::timestamptz`: it is theirs.
fn cast_parameters(plan: &LogicalPlan) -> Result<Vec<(String, DataType)>, SqlError> {
    let mut found: Vec<(String, DataType)> = Vec::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|inner| {
                if let Expr::Cast(cast) = inner
                    && let Expr::Placeholder(parameter) = cast.expr.as_ref()
                    && parameter.field.is_none()
                {
                    found.push((parameter.id.clone(), cast.field.data_type().clone()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// The parameters that stand behind LIMIT and OFFSET.
fn limit_parameters(query: &ast::Query) -> Vec<String> {
    let Some(ast::LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause else {
        return Vec::new();
    };
    let mut ids: Vec<String> = Vec::new();
    for expr in limit.iter().chain(offset.iter().map(|offset| &offset.value)) {
        if let ast::Expr::Value(value) = expr
            && let ast::Value::Placeholder(id) = &value.value
        {
            ids.push(id.clone());
        }
    }
    ids
}

/// The columns of a question's answer, for parameters of these types. What fails whatever their values are is an error.
pub(crate) fn columns(inner: &Inner, question: &Question, types: &[DataType]) -> Result<SchemaRef, SqlError> {
    let state = inner.starting();
    let reads = QuestionReads::default();
    let moments = Moments::new(&state, None);
    let types: Vec<Option<DataType>> = types.iter().cloned().map(Some).collect();
    let names = Names::new(inner, &state, &reads, &moments).checking();
    let plan = names.plan(question, &type_fields(&types))?;
    only_reads(&plan)?;
    let analyzed = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})?;
    quoted::check_readable(&state, &analyzed)?;
    Ok(Arc::clone(analyzed.schema().inner()))
}

/// When a question started: what `now()` says in it, milliseconds since 1970.
pub(crate) fn started_ms(state: &SessionState) -> i64 {
    state
        .execution_props()
        .query_execution_start_time
        .map_or(0, |start| start.timestamp_millis())
}

/// The most `$n` that a statement may have: what PostgreSQL's protocol can count.
const PARAMETERS_MAX: usize = 65_535;

/// The place of `$1`, `$2`, … among the parameters, from 0.
pub(crate) fn parameter_index(id: &str) -> Option<usize> {
    let number: usize = id.strip_prefix('$')?.parse().ok()?;
    number.checked_sub(1).filter(|index| *index < PARAMETERS_MAX)
}

/// The fields of parameters whose values are known. An untyped NULL takes whatever type its place asks for.
pub(crate) fn parameter_fields(parameters: &[ScalarValue]) -> Vec<Option<FieldRef>> {
    let types: Vec<Option<DataType>> = parameters
        .iter()
        .map(|value| Some(value.data_type()).filter(|data_type| *data_type != DataType::Null))
        .collect();
    type_fields(&types)
}

/// The fields of parameters of these types.
pub(crate) fn type_fields(types: &[Option<DataType>]) -> Vec<Option<FieldRef>> {
    let named = types.iter().enumerate().map(|(index, data_type)| {
        let data_type = data_type.clone()?;
        Some(Arc::new(Field::new(format!("${}", index + 1), data_type, true)))
    });
    named.collect()
}

/// Puts the values of the parameters into the plan.
pub(crate) fn with_values(plan: LogicalPlan, parameters: &[ScalarValue]) -> Result<LogicalPlan, SqlError> {
    for id in plan.get_parameter_names()? {
        if parameter_index(&id).is_none_or(|index| index >= parameters.len()) {
            let message = format!("there is no value for parameter {id}: {} were given", parameters.len());
            return Err(SqlError::new(SqlState::PARAMETERS, message).hint("give one value for each of $1, $2, …"));
        }
    }
    if parameters.is_empty() {
        return Ok(plan);
    }
    Ok(plan.replace_params_with_values(&ParamValues::from(parameters.to_vec()))?)
}

/// Questions never write, whatever they are made of.
fn only_reads(plan: &LogicalPlan) -> Result<(), SqlError> {
    let options = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    options.verify_plan(plan).map_err(|_| {
        SqlError::new(SqlState::NOT_SUPPORTED, "a question can only read")
            .hint("INSERT INTO a stream is a statement of its own")
    })
}

impl Planned {
    /// Waits for the views where the session wants them to have got somewhere, and makes the physical plan.
    pub(crate) async fn physical(
        &self,
        inner: &Inner,
        session: &Session,
        deadline: &Deadline,
    ) -> Result<Arc<dyn ExecutionPlan>, SqlError> {
        // Before there is a plan: which files are read is decided by it.
        for view in self.reads.views() {
            let wait_max = || deadline.left().unwrap_or(inner.options.wait_max);
            view.caught_up(wait_max()).await?;
            if let Some(after) = &session.after {
                view.wait_for(after, wait_max()).await?;
            }
        }
        for reading in self.reads.searches() {
            let wait_max = || deadline.left().unwrap_or(inner.options.wait_max);
            reading.look(session.after.as_ref(), wait_max).await?;
        }
        let physical = deadline
            .of(async { Ok(self.state.create_physical_plan(&self.plan).await?) })
            .await?;
        let physical = heeding(physical, &self.stop)?;
        Ok(physical)
    }

    /// Runs a physical plan of this question.
    pub(crate) fn run(
        &self,
        physical: Arc<dyn ExecutionPlan>,
        deadline: &Deadline,
    ) -> Result<(SchemaRef, SendableRecordBatchStream), SqlError> {
        let stop = interrupt::may_be_long(&physical).then(|| self.stop.clone());
        let rows = rows_shown(execute_stream(physical, self.state.task_ctx())?);
        Ok((rows.schema(), deadline.bound(rows, stop)))
    }
}
