//! One row of a view, looked up by its whole key: the question that is asked most, answered within microseconds once it is known.
//!
//! ```text
//! SELECT owner, balance FROM balances WHERE account = $1 AND is_open
//!          selects             view           key          filters
//! ```
//!
//! What is compiled is the planner's own logical plan. Whatever it cannot be sure of (a view that was replaced, an expression that fails) is left
//! to the planner, which gives the answer or says what is wrong and where.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::Expr;
use headwater_views::{GroupKey, View, caught};

use super::compile::{analyzed, moments_of};
use super::environment::{Environment, Physical, holds, placed, row, value};
use super::lookup::{fixed, in_row, is_same, row_column, take_apart, told_apart};
use crate::inner::Inner;
use crate::off_thread::off_thread;
use crate::question::{Deadline, parameter_index, through_pipelines};
use crate::syntax::Question;
use crate::tables::ViewTable;
use crate::{Engine, Session, SqlError};

/// A compiled look-up.
pub struct PointRead {
    name: String,
    /// The view, as it was when this was compiled.
    view: Arc<View>,
    key: Vec<KeyPart>,
    key_types: Vec<DataType>,
    /// The parameters, as columns of one row.
    environment: SchemaRef,
    /// What must hold of the row besides its key.
    filters: Vec<Physical>,
    selects: Selects,
    /// The parameters, and behind them the row's columns.
    inside: SchemaRef,
    schema: SchemaRef,
}

/// Where a column of the key comes from.
enum KeyPart {
    /// From a parameter as it is.
    Parameter(usize),
    /// From an expression over the parameters.
    Computed(Physical),
}

/// What is shown of the row.
enum Selects {
    /// These of its columns.
    Columns(Vec<usize>),
    /// The values of these expressions over the parameters and the row.
    Computed(Vec<Physical>),
}

impl Engine {
    /// Compiles a question that looks up one row of a view by its whole key; `None` where it is any other. `types` are those of `$1`, `$2`, …
    pub fn point_read(&self, question: &Question, types: &[DataType]) -> Option<PointRead> {
        // One that cannot be planned is left to say why when it is asked.
        PointRead::compile(&self.inner, question, types).ok().flatten()
    }

    /// The answer, of one row or none; `None` where the question has to be planned.
    pub async fn look_up(
        &self,
        session: &Session,
        point: &PointRead,
        parameters: &[ScalarValue],
    ) -> Result<Option<RecordBatch>, SqlError> {
        if !point.is_current(self) || parameters.len() < point.environment.fields().len() {
            return Ok(None);
        }
        let Ok(key) = caught(|| point.key(parameters)) else {
            return Ok(None);
        };
        let found = match point.find(&self.inner, session, key).await {
            Ok(found) => found,
            // A newer version took the view's place meanwhile: the planner asks that one.
            Err(_) if !point.is_current(self) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(caught(|| point.answer(parameters, found.as_ref())).ok())
    }
}

impl PointRead {
    fn compile(inner: &Inner, question: &Question, types: &[DataType]) -> Result<Option<PointRead>> {
        if !question.rewinds.is_empty() {
            return Ok(None);
        }
        let state = inner.starting();
        let plan = analyzed(inner, &state, question, types)?;
        // The time and the user differ from one asking to the next.
        if moments_of(&plan)?.is_none_or(|moments| !moments.is_empty()) {
            return Ok(None);
        }
        let Some(parts) = take_apart(&plan) else {
            return Ok(None);
        };
        let Some(view) = ViewTable::scanned(parts.scan) else {
            return Ok(None);
        };
        // A list may be long, and reading it takes its time.
        if view.schema().fields().iter().any(|field| field.data_type().is_nested()) {
            return Ok(None);
        }
        let compiling = Compiling::new(&state, &view, types);
        let key_part = |expr: &Expr, key_type: &DataType| compiling.key_part(expr, key_type);
        let Some((key, filters)) = told_apart(&parts.filters, &view, key_part, |expr| compiling.inside(expr))? else {
            return Ok(None);
        };
        let Some(selects) = compiling.selects(parts.selects)? else {
            return Ok(None);
        };
        let rows = view.schema();
        let key_types = view.key_columns().iter().map(|at| rows.field(*at).data_type().clone());
        Ok(Some(PointRead {
            name: view.definition().name.clone(),
            key,
            key_types: key_types.collect(),
            environment: compiling.environment.schema(),
            filters,
            selects,
            inside: compiling.inside.schema(),
            schema: crate::question::shown(plan.schema().inner()),
            view,
        }))
    }

    /// The columns of the answer.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether the view is still the one that it was compiled for. Where it is not, nothing is looked up by it any more.
    pub fn is_current(&self, engine: &Engine) -> bool {
        let now = engine.inner.views.get(&self.name);
        now.is_some_and(|now| Arc::ptr_eq(&now, &self.view))
    }

    /// The row of a key, which is `None` where a part of it is NULL: no row's key equals that.
    async fn find(
        &self,
        inner: &Inner,
        session: &Session,
        key: Option<GroupKey>,
    ) -> Result<Option<RecordBatch>, SqlError> {
        self.wait(inner, session).await?;
        let Some(key) = key else { return Ok(None) };
        // What is in memory is found right here: a hop to another thread costs more. The disk is not waited for on the door's own.
        let keys = [key];
        let found = match self.view.find_resident(&keys)? {
            Some(found) => found,
            None => {
                let view = Arc::clone(&self.view);
                off_thread(move || view.find(&keys)).await?
            }
        };
        Ok(found.rows.into_iter().next().flatten())
    }

    /// Waits until the view has all that it had before, and what the session wants it to have.
    async fn wait(&self, inner: &Inner, session: &Session) -> Result<(), SqlError> {
        let deadline = Deadline::new(session);
        let wait_max = || deadline.left().unwrap_or(inner.options.wait_max);
        self.view.caught_up(wait_max()).await?;
        if let Some(after) = &session.after {
            let after = through_pipelines(inner, vec![self.name.clone()], after, &deadline).await?;
            self.view.wait_for(&after, wait_max()).await?;
        }
        Ok(())
    }

    /// The key; `None` where a part of it is NULL.
    fn key(&self, parameters: &[ScalarValue]) -> Result<Option<GroupKey>> {
        let mut environment: Option<RecordBatch> = None;
        let mut values: Vec<ScalarValue> = Vec::with_capacity(self.key.len());
        for (part, data_type) in self.key.iter().zip(&self.key_types) {
            let found = match part {
                KeyPart::Parameter(at) => parameters.get(*at).cloned().unwrap_or(ScalarValue::Null),
                KeyPart::Computed(expr) => {
                    if environment.is_none() {
                        environment = Some(row(&self.environment, self.parameters(parameters)?)?);
                    }
                    environment
                        .as_ref()
                        .map_or(Ok(ScalarValue::Null), |row| value(expr, row))?
                }
            };
            if found.is_null() {
                return Ok(None);
            }
            values.push(as_type(&found, data_type)?);
        }
        Ok(Some(self.view.key(&values).map_err(SqlError::from)?))
    }

    /// The parameters as columns.
    fn parameters(&self, parameters: &[ScalarValue]) -> Result<Vec<ArrayRef>> {
        let fields = self.environment.fields().iter();
        let columns = fields.zip(parameters);
        columns
            .map(|(field, parameter)| as_type(parameter, field.data_type())?.to_array())
            .collect()
    }

    /// What the question shows of the row.
    fn answer(&self, parameters: &[ScalarValue], found: Option<&RecordBatch>) -> Result<RecordBatch> {
        let nothing = || RecordBatch::new_empty(Arc::clone(&self.schema));
        let Some(found) = found.filter(|found| found.num_rows() == 1) else {
            return Ok(nothing());
        };
        let columns = match (&self.selects, self.filters.as_slice()) {
            (Selects::Columns(places), []) => places.iter().map(|place| Arc::clone(found.column(*place))).collect(),
            (selects, filters) => {
                let mut inside = self.parameters(parameters)?;
                inside.extend(found.columns().iter().cloned());
                let inside = row(&self.inside, inside)?;
                for filter in filters {
                    if !holds(filter, &inside)? {
                        return Ok(nothing());
                    }
                }
                match selects {
                    Selects::Columns(places) => places.iter().map(|place| Arc::clone(found.column(*place))).collect(),
                    Selects::Computed(exprs) => self.computed(exprs, &inside)?,
                }
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            columns,
            &options,
        )?)
    }

    fn computed(&self, exprs: &[Physical], inside: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(exprs.len());
        for (expr, field) in exprs.iter().zip(self.schema.fields()) {
            let column = expr.evaluate(inside)?.into_array(1)?;
            columns.push(match column.data_type() == field.data_type() {
                true => column,
                false => cast(&column, field.data_type())?,
            });
        }
        Ok(columns)
    }
}

/// A value as one of a type that it is of but for its layout. Any other cast may round, and then what is equal before is not equal behind it.
fn as_type(value: &ScalarValue, data_type: &DataType) -> Result<ScalarValue> {
    let given = value.data_type();
    match given == *data_type {
        true => Ok(value.clone()),
        false if value.is_null() || is_same(&given, data_type) => value.cast_to(data_type),
        false => plan_err!("a {given} was given for a {data_type}"),
    }
}

/// What expressions are compiled with.
struct Compiling<'a> {
    state: &'a SessionState,
    view: &'a View,
    types: &'a [DataType],
    /// The parameters.
    environment: Environment,
    /// The parameters, and behind them the row's columns.
    inside: Environment,
}

impl<'a> Compiling<'a> {
    fn new(state: &'a SessionState, view: &'a View, types: &'a [DataType]) -> Compiling<'a> {
        let environment = Environment::new(types);
        let mut inside = environment.clone();
        for field in view.schema().fields() {
            inside.add(row_column(field.name()), field.data_type().clone());
        }
        Compiling {
            state,
            view,
            types,
            environment,
            inside,
        }
    }

    /// What a column of the key is compared with, where equal values have equal keys.
    fn key_part(&self, expr: &Expr, key_type: &DataType) -> Result<Option<KeyPart>> {
        if let Expr::Placeholder(placeholder) = expr
            && let Some(at) = parameter_index(&placeholder.id)
            && self.types.get(at).is_some_and(|given| is_same(given, key_type))
        {
            return Ok(Some(KeyPart::Parameter(at)));
        }
        let expr = fixed(self.state, &self.environment, expr, key_type)?;
        Ok(expr.map(KeyPart::Computed))
    }

    /// An expression over the parameters and the row.
    fn inside(&self, expr: &Expr) -> Result<Option<Physical>> {
        let expr = placed(expr, in_row)?;
        expr.map(|expr| self.inside.physical(self.state, expr)).transpose()
    }

    fn selects(&self, exprs: &[Expr]) -> Result<Option<Selects>> {
        let rows = self.view.schema();
        let column = |expr: &Expr| match expr.clone().unalias() {
            Expr::Column(column) => rows.index_of(&column.name).ok(),
            _ => None,
        };
        if let Some(places) = exprs.iter().map(column).collect::<Option<Vec<usize>>>() {
            return Ok(Some(Selects::Columns(places)));
        }
        let computed = exprs.iter().map(|expr| self.inside(expr));
        let computed = computed.collect::<Result<Option<Vec<Physical>>>>()?;
        Ok(computed.map(Selects::Computed))
    }
}
