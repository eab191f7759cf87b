//! SUBSCRIBE TO: a view's rows, and then every change, as rows that do not end.
//!
//! | `_change` | the row |
//! | --- | --- |
//! | `upsert` | is new, or another one than before |
//! | `delete` | is there no more, or no longer among those asked for: its key alone |
//! | `position` | none: everything up to `_position` is told, and `FROM POSITION` goes on from there |
//! | `reset` | none: the view was replaced, and all of its rows come anew |

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::{Filter, LogicalPlan};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use headwater_catalog::Definition;
use headwater_records::{Position, PositionError};
use headwater_views::{RowFilter, Subscription, Told, View};

use super::call::constants;
use crate::inner::Inner;
use crate::off_thread::off_thread;
use crate::parse;
use crate::question::QuestionReads;
use crate::question::{self, Deadline, Moments, Names};
use crate::syntax::{Statement, Subscribe};
use crate::{Outcome, Session, SqlError, SqlState};

const POSITION: &str = "_position";
const CHANGE: &str = "_change";

/// Begins a subscription whose changes are rows.
pub(crate) async fn subscribe(
    inner: &Inner,
    session: &Session,
    subscribe: &Subscribe,
    parameters: &[ScalarValue],
) -> Result<Outcome, SqlError> {
    let from = match &subscribe.from {
        None => None,
        Some(written) => Some(position(inner, written, parameters)?),
    };
    let name = &subscribe.view.value;
    let subscription = begin(inner, name, subscribe.filter.as_deref(), from)?;
    if let Some(after) = &session.after {
        let after = question::through_pipelines(inner, vec![name.clone()], after, &Deadline::new(session)).await?;
        view(inner, name)?.wait_for(&after, inner.options.wait_max).await?;
    }
    let schema = columns(&subscription.schema());
    let rows = futures::stream::unfold(Some(subscription), {
        let schema = Arc::clone(&schema);
        move |subscription| next(subscription, Arc::clone(&schema))
    });
    Ok(Outcome::Rows {
        rows: Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), rows)),
        schema,
        position: None,
        seen: None,
    })
}

/// Begins a subscription. A condition is that of a WHERE over the view.
pub(crate) fn begin(
    inner: &Inner,
    name: &str,
    filter: Option<&str>,
    from: Option<Position>,
) -> Result<Subscription, SqlError> {
    let view = view(inner, name)?;
    let filter = filter.map(|text| row_filter(inner, &view, text)).transpose()?;
    if let Some(from) = &from {
        question::check_position(&inner.log, name, &inner.streams_below(name), from, false)?;
    }
    Ok(inner.views.subscribe(&view, filter, from)?)
}

/// The columns of the answer.
pub(super) fn described(inner: &Inner, subscribe: &Subscribe) -> Result<SchemaRef, SqlError> {
    Ok(columns(&view(inner, &subscribe.view.value)?.schema()))
}

fn columns(rows: &Schema) -> SchemaRef {
    let mut fields = vec![
        Field::new(POSITION, DataType::Utf8, false),
        Field::new(CHANGE, DataType::Utf8, false),
    ];
    let own = rows.fields().iter();
    fields.extend(own.map(|field| field.as_ref().clone().with_nullable(true)));
    Arc::new(Schema::new(fields))
}

fn view(inner: &Inner, name: &str) -> Result<Arc<View>, SqlError> {
    if let Some(view) = inner.views.get(name) {
        return Ok(view);
    }
    let refuse = |state, message: String, hint: &str| Err(SqlError::new(state, message).hint(hint));
    match inner.catalog.get(name).as_deref() {
        Some(Definition::View(view)) if view.shape.is_some() => Err(inner.not_running(name)),
        Some(Definition::View(_)) => refuse(
            SqlState::NOT_SUPPORTED,
            format!("'{name}' is a plain view, computed when it is asked: nobody knows when it changes"),
            "make it a materialized view, or subscribe to those that it reads",
        ),
        Some(other) => refuse(
            SqlState::NOT_SUPPORTED,
            format!("'{name}' is a {}, and views are what one subscribes to", other.noun()),
            "a stream is tailed through HTTP (server-sent events) or read by a Kafka consumer",
        ),
        None => Err(inner.unknown_table(name)),
    }
}

fn position(
    inner: &Inner,
    written: &datafusion::sql::sqlparser::ast::Expr,
    parameters: &[ScalarValue],
) -> Result<Position, SqlError> {
    let value = constants(inner, std::slice::from_ref(written), parameters)?.pop();
    let text = value.as_ref().and_then(|value| value.try_as_str().flatten());
    let text = text.ok_or_else(|| {
        SqlError::new(SqlState::INVALID_TEXT, "a position is a text").hint("write FROM POSITION 'stream/0@42'")
    })?;
    text.parse()
        .map_err(|error: PositionError| SqlError::new(SqlState::INVALID_TEXT, error.to_string()))
}

/// The condition of a WHERE over a view's rows.
fn row_filter(inner: &Inner, view: &View, text: &str) -> Result<RowFilter, SqlError> {
    let quoted = view.definition().name.replace('"', "\"\"");
    check_alone(text, &quoted)?;
    let parsed = parse::parse(&format!("SELECT * FROM \"{quoted}\" WHERE {text}"), "").map_err(unplaced)?;
    let Some(Statement::Query(written)) = parsed.first().map(|parsed| &parsed.statement) else {
        return Err(SqlError::new(SqlState::SYNTAX, "the condition is none"));
    };
    let state = inner.starting();
    let reads = QuestionReads::default();
    let moments = Moments::new(&state, Some(&[]));
    let plan = Names::new(inner, &state, &reads, &moments).plan(written, &[])?;
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})?;
    let filter = filter_of(&plan)?.ok_or_else(|| {
        SqlError::new(SqlState::NOT_SUPPORTED, "the condition is none of a view's rows alone")
            .hint("write one over the view's columns: WHERE balance < 0")
    })?;
    let schema = view.schema();
    let is_key = |name: &str| view.key_columns().iter().any(|at| schema.field(*at).name() == name);
    let is_on_key = filter.predicate.column_refs().iter().all(|column| is_key(&column.name));
    let predicate = headwater_views::physical(&state, &filter.predicate, filter.input.schema())?;
    Ok(RowFilter { predicate, is_on_key })
}

/// Refuses what stands behind a condition: `balance < 0 ORDER BY account`.
fn check_alone(text: &str, quoted: &str) -> Result<(), SqlError> {
    let parsed = parse::parse(&format!("SUBSCRIBE TO \"{quoted}\" WHERE {text}"), "").map_err(unplaced)?;
    match parsed.as_slice() {
        [one] if matches!(&one.statement, Statement::Subscribe(subscribe) if subscribe.from.is_none()) => Ok(()),
        _ => Err(SqlError::new(SqlState::SYNTAX, "something stands behind the condition")
            .hint("write the condition alone: balance < 0")),
    }
}

/// The one filter of a plan over a table.
fn filter_of(plan: &LogicalPlan) -> Result<Option<Filter>, SqlError> {
    let mut found = None;
    plan.apply(|node| {
        if let LogicalPlan::Filter(filter) = node
            && matches!(filter.input.as_ref(), LogicalPlan::TableScan(_))
        {
            found = Some(filter.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// The places of an error are those of the text that was made for it.
fn unplaced(error: SqlError) -> SqlError {
    SqlError { at: None, ..error }
}

type Item = (Result<RecordBatch, DataFusionError>, Option<Subscription>);

/// The next rows; waits until there are some.
async fn next(subscription: Option<Subscription>, schema: SchemaRef) -> Option<Item> {
    let mut subscription = subscription?;
    loop {
        let told = off_thread(move || {
            let told = subscription.tell();
            Ok::<_, SqlError>((subscription, told))
        });
        let told = match told.await {
            Ok((after, told)) => {
                subscription = after;
                told
            }
            Err(error) => return Some((Err(error.into()), None)),
        };
        match told {
            Ok(Some(told)) => {
                let rows = rows(&told, &schema).map_err(DataFusionError::from);
                return Some((rows, Some(subscription)));
            }
            Ok(None) => subscription.news().await,
            Err(error) => return Some((Err(SqlError::from(error).into()), None)),
        }
    }
}

/// What is told, as rows.
fn rows(told: &Told, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
    let position = told.position.to_string();
    let with = |change: &str, rows: usize, own: &[ArrayRef]| {
        let text = |text: &str| Arc::new(StringArray::from(vec![text; rows])) as ArrayRef;
        let mut columns = vec![text(&position), text(change)];
        match own.is_empty() && rows > 0 {
            true => columns.extend(
                schema
                    .fields()
                    .iter()
                    .skip(2)
                    .map(|field| new_null_array(field.data_type(), rows)),
            ),
            false => columns.extend(own.iter().cloned()),
        }
        RecordBatch::try_new(Arc::clone(schema), columns)
    };
    let mut batches = Vec::new();
    if told.is_reset {
        batches.push(with("reset", 1, &[])?);
    }
    for (change, rows) in [("upsert", &told.rows), ("delete", &told.gone)] {
        if rows.num_rows() > 0 {
            batches.push(with(change, rows.num_rows(), rows.columns())?);
        }
    }
    if told.is_whole {
        batches.push(with("position", 1, &[])?);
    }
    concat_batches(schema, &batches)
}
