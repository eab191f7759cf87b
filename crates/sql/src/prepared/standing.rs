//! Questions on entities of streams, planned once and run again and again.
//!
//! ```text
//! question ── plan, parameters in it ──┬── ready to run ── values, ends of the streams ── rows
//! (made once)                          ├── ready to run ── …                    one for each that is asked at the same time
//! ```
//!
//! It reads streams alone, and of them what their entity indexes find. Every other question is planned when it is asked, and so is this one where it is not
//! what it was: where a stream is defined otherwise, or a value asks for no entity. Both give the same answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::common::collect;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use headwater_catalog::StreamDefinition;
use headwater_eventlog::QueryItem;
use headwater_records::Position;
use headwater_views::{in_order_of_events, simplified};
use parking_lot::Mutex;

use super::Parameters;
use super::bound::{Named, Values, bound};
use super::compile::{NOBODY, moments_of};
use crate::inner::Inner;
use crate::limits::STANDING_IDLE_MAX;
use crate::question::{self, Deadline, Moments, Names, QuestionReads, Stop};
use crate::syntax::Question;
use crate::tables::{StandingScan, StandingScans, StreamTable};
use crate::{Reads, Session, SqlError, StreamRead};

/// A question that is planned once.
pub(super) struct Standing {
    /// Analyzed, with parameters for moments too.
    plan: LogicalPlan,
    /// `$1`, `$2`, …, and behind them the moments.
    parameters: Vec<Named>,
    /// How many of those are moments.
    moments: usize,
    /// What it reads, as that was defined.
    streams: Vec<Arc<StreamDefinition>>,
    /// Plans that nobody runs just now.
    idle: Mutex<Vec<Ready>>,
    /// Whether no such plan can be made of it.
    is_refused: AtomicBool,
}

/// A plan to be run.
struct Ready {
    plan: Arc<dyn ExecutionPlan>,
    values: Arc<Values>,
    scans: Vec<StandingScan>,
    context: Arc<TaskContext>,
    options: Arc<ConfigOptions>,
    stop: Stop,
}

impl Standing {
    /// Makes one of a question; `None` where it reads anything but streams.
    pub(super) fn new(inner: &Inner, question: &Question, types: &[DataType]) -> Option<Standing> {
        if !question.rewinds.is_empty() {
            return None;
        }
        // What fails to plan says why when it is asked.
        Standing::planned(inner, question, types).ok().flatten()
    }

    fn planned(inner: &Inner, question: &Question, types: &[DataType]) -> Result<Option<Standing>> {
        let state = inner.starting();
        let reads = QuestionReads::default();
        let moments = Moments::new(&state, None);
        let given: Vec<Option<DataType>> = types.iter().cloned().map(Some).collect();
        let names = Names::new(inner, &state, &reads, &moments).asked_by(NOBODY);
        let plan = names.plan(question, &question::type_fields(&given))?;
        let Some(streams) = streams_of(inner, &plan)? else {
            return Ok(None);
        };
        let plan = in_order_of_events(plan, &StreamTable::is_scanned)?;
        let plan = state
            .analyzer()
            .execute_and_check(plan, state.config_options(), |_, _| {})?;
        let Some(moments) = moments_of(&plan)? else {
            return Ok(None);
        };
        let numbered = types.iter().enumerate();
        let mut parameters: Vec<Named> = numbered
            .map(|(index, data_type)| (format!("${}", index + 1), data_type.clone()))
            .collect();
        parameters.extend(moments.iter().cloned());
        Ok(Some(Standing {
            plan: with_moments(plan, &moments)?,
            parameters,
            moments: moments.len(),
            streams,
            idle: Mutex::default(),
            is_refused: AtomicBool::new(false),
        }))
    }

    /// Whether plans can be made of it, as far as that was tried.
    pub(super) fn stands(&self) -> bool {
        !self.is_refused.load(Ordering::Relaxed)
    }

    /// The answer, and what was read; `None` where the question has to be planned.
    pub(super) async fn ask(
        &self,
        inner: &Inner,
        session: &Session,
        parameters: &Parameters,
    ) -> Result<Option<(SchemaRef, Vec<RecordBatch>, Reads)>, SqlError> {
        if !self.is_current(inner) || session.zone.is_some() || !self.stands() {
            return Ok(None);
        }
        let Some(values) = self.values(inner, session, parameters)? else {
            return Ok(None);
        };
        let idle = self.idle.lock().pop();
        let ready = match idle {
            Some(ready) => ready,
            None => match self.ready(inner).await {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::debug!("a question is planned each time that it is asked: {error}");
                    self.is_refused.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
            },
        };
        let Some(reads) = self.begin(inner, &ready, values)? else {
            self.put_back(ready);
            return Ok(None);
        };
        let (schema, rows) = Deadline::new(session).of(ready.run()).await?;
        self.put_back(ready);
        Ok(Some((schema, rows, reads)))
    }

    /// Whether the streams are still defined as they were.
    fn is_current(&self, inner: &Inner) -> bool {
        let is_same = |stream: &Arc<StreamDefinition>| {
            let now = inner.catalog.stream(&stream.name);
            now.is_some_and(|now| Arc::ptr_eq(&now, stream))
        };
        self.streams.iter().all(is_same)
    }

    fn put_back(&self, ready: Ready) {
        let mut idle = self.idle.lock();
        if idle.len() < STANDING_IDLE_MAX {
            idle.push(ready);
        }
    }

    /// The values of all parameters, each of its type; `None` where some are missing.
    fn values(
        &self,
        inner: &Inner,
        session: &Session,
        parameters: &Parameters,
    ) -> Result<Option<Vec<ScalarValue>>, SqlError> {
        let own = self.parameters.len() - self.moments;
        let Some(given) = parameters.values().get(..own) else {
            return Ok(None);
        };
        let now_us = session.now_us.unwrap_or_else(|| inner.log.now_us());
        let now = ScalarValue::TimestampMicrosecond(Some(now_us), Some("+00:00".into()));
        let all = given.iter().chain(std::iter::repeat_n(&now, self.moments));
        let mut values: Vec<ScalarValue> = Vec::with_capacity(self.parameters.len());
        for (value, (_, data_type)) in all.zip(&self.parameters) {
            values.push(match value.data_type() == *data_type {
                true => value.clone(),
                false => value.cast_to(data_type)?,
            });
        }
        Ok(Some(values))
    }

    /// Makes a plan that can be run.
    async fn ready(&self, inner: &Inner) -> Result<Ready> {
        let mut state = inner.starting();
        let options = state.config_mut().options_mut();
        // What an entity has is little, and what a join has found out in one run says nothing in the next.
        options.execution.target_partitions = 1;
        options.optimizer.enable_dynamic_filter_pushdown = false;
        options.optimizer.enable_join_dynamic_filter_pushdown = false;
        options.optimizer.enable_topk_dynamic_filter_pushdown = false;
        options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
        let scans = StandingScans::default();
        let mut count = 0;
        let standing = self.plan.clone().transform_up_with_subqueries(|node| {
            let LogicalPlan::TableScan(scan) = node else {
                return Ok(Transformed::no(node));
            };
            let Some(source) = StreamTable::standing(&scan, &scans) else {
                return exec_err!("{} is not read again and again", scan.table_name);
            };
            count += 1;
            Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
        })?;
        let optimized = state.optimizer().optimize(standing.data, &state, |_, _| {})?;
        let values = Arc::new(Values::default());
        let plan = bound(optimized, &self.parameters, &values)?;
        let plan = state.query_planner().create_physical_plan(&plan, &state).await?;
        let scans = scans.all();
        // What no scan says it reads may be read whole.
        if scans.len() != count {
            return exec_err!("of {count} scans {} are planned", scans.len());
        }
        let stop = Stop::default();
        Ok(Ready {
            plan: question::heeding(plan, &stop)?,
            values,
            scans,
            context: state.task_ctx(),
            options: Arc::clone(state.config_options()),
            stop,
        })
    }

    /// Says what the next run of a plan reads, and with which values.
    fn begin(&self, inner: &Inner, ready: &Ready, values: Vec<ScalarValue>) -> Result<Option<Reads>, SqlError> {
        let mut read: BTreeMap<&str, (Position, Vec<QueryItem>)> = BTreeMap::new();
        for scan in &ready.scans {
            let stream = scan.stream();
            if !read.contains_key(stream) {
                let Some(end) = inner.log.position(stream) else {
                    return Ok(None);
                };
                read.insert(stream, (end, Vec::new()));
            }
            let Some((end, items)) = read.get_mut(stream) else {
                return Ok(None);
            };
            let given = |filter: Expr, schema: &DFSchema| self.given(&ready.options, filter, schema, &values);
            match scan.begins(end, given)? {
                Some(wanted) => items.extend(wanted),
                None => return Ok(None),
            }
        }
        ready.values.set(values);
        let definition = |stream: &str| self.streams.iter().find(|definition| definition.name == stream);
        let streams = read.into_iter().map(|(stream, (position, items))| StreamRead {
            definition: definition(stream).cloned(),
            stream: stream.to_owned(),
            position,
            items: Some(items),
        });
        Ok(Some(Reads {
            views: Vec::new(),
            streams: streams.collect(),
        }))
    }

    /// A filter with values in the place of its parameters, as the optimizer writes it.
    fn given(
        &self,
        options: &Arc<ConfigOptions>,
        filter: Expr,
        schema: &DFSchema,
        values: &[ScalarValue],
    ) -> Result<Expr> {
        let filter = filter.transform_up(|part| {
            let Expr::Placeholder(placeholder) = &part else {
                return Ok(Transformed::no(part));
            };
            let place = self.parameters.iter().position(|(name, _)| *name == placeholder.id);
            match place.and_then(|place| values.get(place)) {
                Some(value) => Ok(Transformed::yes(Expr::Literal(value.clone(), None))),
                None => exec_err!("{} has no value", placeholder.id),
            }
        })?;
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(options))
            .build();
        simplified(&ExprSimplifier::new(context), filter.data)
    }
}

impl Ready {
    async fn run(&self) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        // Whoever does not wait for the end leaves a plan that heeds it, and is not put back.
        let running = self.stop.running();
        let rows = question::rows_shown(execute_stream(plan, Arc::clone(&self.context))?);
        let schema = rows.schema();
        let rows = collect(rows).await?;
        running.has_ended();
        Ok((schema, rows))
    }
}

/// The definitions of the streams that a plan reads; `None` where it reads none, or anything else.
fn streams_of(inner: &Inner, plan: &LogicalPlan) -> Result<Option<Vec<Arc<StreamDefinition>>>> {
    let mut streams: Vec<Arc<StreamDefinition>> = Vec::new();
    let mut are_all = true;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let definition = StreamTable::definition(scan).and_then(|read| {
                let now = inner.catalog.stream(&read.name)?;
                (*now == read).then_some(now)
            });
            are_all &= definition.is_some();
            streams.extend(definition);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(Some(streams).filter(|streams| are_all && !streams.is_empty()))
}

/// The plan with parameters for its moments, which are others in each run.
fn with_moments(plan: LogicalPlan, moments: &[Named]) -> Result<LogicalPlan> {
    let in_expr = |expr: Expr| {
        expr.transform_up(|part| {
            let moment = match &part {
                Expr::ScalarFunction(function) if function.args.is_empty() => {
                    moments.iter().find(|(name, _)| name == function.name())
                }
                _ => None,
            };
            let Some((name, data_type)) = moment else {
                return Ok(Transformed::no(part));
            };
            let field = Arc::new(Field::new(name, data_type.clone(), true));
            let parameter = Placeholder::new_with_field(name.clone(), Some(field));
            Ok(Transformed::yes(Expr::Placeholder(parameter)))
        })
    };
    let with = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(in_expr(expr)?.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(with.data)
}
