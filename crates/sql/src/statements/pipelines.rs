//! Pipelines: their columns follow from their query, and they run as the catalog says.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use headwater_catalog::{Column, Definition, PARKED_STREAM, Pipeline, StreamDefinition};
use headwater_views::decode::StreamDecoder;
use headwater_views::{CHANGES_OF, PIPELINES_STREAM, PipelineSpec, PipelineStatus, ViewSpec};

use super::table::Cell;
use crate::encode::Results;
use crate::inner::Inner;
use crate::off_thread::off_thread;
use crate::postgres::quoted;
use crate::question::{
    Moments, Names, QuestionReads, meaning, no_parameters, repeated, sources, table_name, upcast, view_spec,
};
use crate::syntax::{PipelineBegins, PipelineQuery, Question, Statement};
use crate::tables::StreamTable;
use crate::type_name::type_name;
use crate::{SqlError, SqlState};

/// Completes the definition of a stream that a query makes: its columns, what it reads, its partitions, where it begins. What is to be said about it
/// comes back.
pub(super) fn settle(
    inner: &Inner,
    definition: &mut StreamDefinition,
    query: &PipelineQuery,
) -> Result<Option<String>, SqlError> {
    let there = inner.catalog.stream(&definition.name);
    definition.pipeline = Some(Pipeline {
        query: query.text.clone(),
        sources: sources(inner, &query.question)?,
        spelled_out: meaning(
            inner,
            &definition.statement,
            inner.catalog.get(&definition.name).as_deref(),
        )?,
        begins: None,
    });
    let is_same = there
        .as_ref()
        .is_some_and(|there| there.statement == definition.statement);
    let spec = match is_same {
        true => pipeline_spec(inner, definition)?,
        false => spec_of(inner, definition, &query.question)?,
    };
    let checked = inner.views.check_pipeline(&spec)?;
    if checked.sources.iter().any(|source| source == PIPELINES_STREAM) {
        let message =
            format!("a pipeline over '{PIPELINES_STREAM}' would read itself for ever: there it notes how far it is");
        return Err(
            SqlError::new(SqlState::INVALID_DEFINITION, message).hint("SHOW PIPELINES, a question or a view reads it")
        );
    }
    let mut columns = columns(&definition.name, &spec.plan, &checked.output)?;
    if let Some(there) = &there {
        beside(&mut columns, there.columns.as_deref().unwrap_or_default());
    }
    definition.columns = Some(columns);
    Results::new(&inner.log, inner.catalog.schemas(), definition)?;
    if definition.partitions == 0 && there.is_none() {
        let partitions = checked.sources.iter().filter_map(|source| inner.log.stream(source));
        definition.partitions = partitions.map(|info| info.partitions).max().unwrap_or_default();
    }
    let read_it = |source: &String| {
        let below = inner.streams_below(source);
        (checked.sources.iter()).any(|stream| stream == source || below.contains(stream))
    };
    let earlier = there.as_ref().and_then(|there| there.pipeline.as_ref());
    let earlier = earlier.filter(|earlier| earlier.sources.iter().any(read_it));
    let begins = match earlier {
        // It goes on: what was left out stays so.
        Some(earlier) => earlier.begins.clone(),
        None if query.begins == Some(PipelineBegins::Now) => {
            let end = inner.log.position_of_all(checked.sources.iter().map(String::as_str));
            Some(end.to_string())
        }
        None => None,
    };
    if earlier.is_none() {
        inner.views.check_begin(&spec, begins.as_deref())?;
    }
    if let Some(pipeline) = &mut definition.pipeline {
        pipeline.begins = begins;
    }
    let ignored = query.begins.filter(|_| earlier.is_some() && !is_same);
    Ok(ignored.map(|begins| {
        format!(
            "the pipeline '{name}' goes on from where it is: FROM {begins} counts where one is new; CREATE STREAM another_name … FROM {begins} AS … makes one beside it",
            name = definition.name
        )
    }))
}

/// The columns that a query's results have as a stream's.
fn columns(stream: &str, plan: &LogicalPlan, results: &Schema) -> Result<Vec<Column>, SqlError> {
    if let Some(repeated) = repeated(results) {
        let message = format!("the stream '{stream}' would have two columns '{repeated}'");
        return Err(
            SqlError::new(SqlState::DUPLICATE_COLUMN, message).hint("give each of them a name of its own with AS")
        );
    }
    let mut columns: Vec<Column> = Vec::new();
    for (place, field) in results.fields().iter().enumerate() {
        let Some(column_type) = upcast::column_type_of(plan, place, StreamTable::column_type) else {
            let message = format!(
                "the column '{}' of the stream '{stream}' would be {}, which is no type of a stream's column",
                field.name(),
                type_name(field.data_type())
            );
            return Err(SqlError::new(SqlState::TYPE_MISMATCH, message).hint("CAST it to one, or leave it out"));
        };
        if headwater_views::decode::SYSTEM_COLUMNS.contains(&field.name().as_str()) {
            let message = format!(
                "a column cannot be called '{}': every stream has a column of that name already",
                field.name()
            );
            return Err(SqlError::new(SqlState::INVALID_DEFINITION, message).hint("give it a name of its own with AS"));
        }
        columns.push(Column::new(field.name(), column_type, field.is_nullable()));
    }
    Ok(columns)
}

/// Lets columns go on that are there: what may be NULL stays so, and what comes behind them may be, as the older events are without it.
fn beside(columns: &mut [Column], there: &[Column]) {
    for (index, column) in columns.iter_mut().enumerate() {
        column.nullable |= there.get(index).is_none_or(|there| there.nullable);
    }
}

/// What to do about a pipeline whose query gives more than the columns of its stream hold, as its source was altered; `None` where they hold it.
pub(super) fn outgrown(inner: &Inner, name: &str) -> Result<Option<String>, SqlError> {
    let Some(definition) = inner.catalog.stream(name) else {
        return Ok(None);
    };
    let spec = pipeline_spec(inner, &definition)?;
    let checked = inner.views.check_pipeline(&spec)?;
    let mut given = columns(name, &spec.plan, &checked.output)?;
    let there = definition.columns.as_deref().unwrap_or_default();
    beside(&mut given, there);
    let differs = |(given, there): &(&Column, &Column)| {
        given.column_type != there.column_type || given.nullable != there.nullable
    };
    let outgrown: Vec<String> = (given.iter().zip(there).filter(differs))
        .map(|(given, there)| format!("'{there}' where its query gives '{given}'"))
        .collect();
    Ok((!outgrown.is_empty()).then(|| {
        format!(
            "the pipeline '{name}' goes on, and parks what does not fit its columns: it has {}; CREATE OR REPLACE STREAM {} AS … with its query takes the \
             columns on, and CALL replay_parked('{name}') then what was parked",
            outgrown.join(", "),
            quoted(name)
        )
    }))
}

/// What it takes to run a pipeline from its definition.
fn pipeline_spec(inner: &Inner, definition: &StreamDefinition) -> Result<PipelineSpec, SqlError> {
    let parsed = inner.parsed(definition.meaning())?;
    let Statement::CreateStream {
        pipeline: Some(query), ..
    } = &parsed.statement
    else {
        let message = format!("the definition of the stream '{}' has no query", definition.name);
        return Err(SqlError::new(SqlState::INTERNAL, message).hint("CREATE OR REPLACE it"));
    };
    spec_of(inner, definition, &query.question)
}

fn spec_of(inner: &Inner, definition: &StreamDefinition, question: &Question) -> Result<PipelineSpec, SqlError> {
    let session = inner.starting();
    let plan = {
        let reads = QuestionReads::default();
        let moments = Moments::new(&session, Some(&[]));
        let plan = Names::new(inner, &session, &reads, &moments)
            .piping()
            .plan(question, &[])?;
        no_parameters(&plan)?;
        session
            .analyzer()
            .execute_and_check(plan, session.config_options(), |_, _| {})?
    };
    let mut decoders: Vec<StreamDecoder> = Vec::new();
    for source in definition.pipeline.iter().flat_map(|pipeline| &pipeline.sources) {
        for stream in inner.streams_below(source) {
            if let Some(stream) = inner.catalog.stream(&stream) {
                decoders.push(upcast::decoder(inner, &stream)?);
            }
        }
    }
    Ok(PipelineSpec {
        stream: definition.clone(),
        changes: changes(inner, &plan)?,
        records_parked: !definition
            .pipeline
            .iter()
            .any(|pipeline| comes_of(inner, pipeline, &|stream| stream == PARKED_STREAM)),
        decoders,
        plan,
        session,
        encoder: Arc::new(Results::new(&inner.log, inner.catalog.schemas(), definition)?),
    })
}

/// Whether a pipeline's events come of those of such a stream, through whatever pipelines.
pub(super) fn comes_of(inner: &Inner, pipeline: &Pipeline, is_such: &dyn Fn(&str) -> bool) -> bool {
    let is_stream = |name: &&String| inner.catalog.stream(name).is_some();
    // Of several names the stream is its source, and views are what it joins; else it reads the changes of one.
    let sources: Vec<String> = match pipeline.sources.iter().find(is_stream) {
        Some(source) => vec![source.clone()],
        None => pipeline
            .sources
            .iter()
            .flat_map(|view| inner.streams_below(view))
            .collect(),
    };
    sources.iter().any(|source| {
        let made_by = inner.catalog.stream(source).and_then(|stream| stream.pipeline.clone());
        is_such(source) || made_by.is_some_and(|pipeline| comes_of(inner, &pipeline, is_such))
    })
}

/// What it takes to fold the view whose changes a plan begins with, where it does.
fn changes(inner: &Inner, plan: &LogicalPlan) -> Result<Option<ViewSpec>, SqlError> {
    let mut found: Option<String> = None;
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let name = table_name(&scan.table_name);
            found = found
                .take()
                .or_else(|| name.strip_prefix(CHANGES_OF).map(str::to_owned));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some(name) = found else { return Ok(None) };
    match inner.catalog.get(&name).as_deref() {
        Some(Definition::View(view)) => view_spec(inner, view).map(Some),
        _ => Err(inner.unknown_table(&name)),
    }
}

/// Brings the pipelines that read a view to what it is now; what became of those that cannot read it any more is said.
pub(super) async fn follow_view(inner: &Inner, view: &str) -> Vec<String> {
    let mut notices: Vec<String> = Vec::new();
    for definition in inner.catalog.all() {
        let reads = |pipeline: &Pipeline| pipeline.sources.iter().any(|source| source == view);
        if let Definition::Stream(stream) = definition.as_ref()
            && stream.pipeline.as_ref().is_some_and(reads)
        {
            notices.extend(bring_along(inner, &stream.name).await);
        }
    }
    notices
}

/// Lets a pipeline follow what it reads, which was altered. One whose query cannot read it any more stands still, until it is written anew, and why is said:
/// the change is made, and stays.
pub(super) async fn bring_along(inner: &Inner, name: &str) -> Option<String> {
    let error = follow(inner, name).await.err()?;
    let (views, stopping) = (inner.views.clone(), name.to_owned());
    let stopped = off_thread(move || {
        views.stop_pipeline(&stopping);
        Ok::<_, SqlError>(())
    });
    if let Err(error) = stopped.await {
        tracing::warn!("the pipeline '{name}' was not stopped: {error}");
    }
    let notice = format!(
        "the pipeline '{name}' stands still until it is written anew: {}",
        error.message
    );
    tracing::info!("{notice}");
    Some(notice)
}

/// Brings what runs under a name to what the catalog says of it now: a pipeline runs, anything else does not. Why it does not run is kept in mind.
pub(super) async fn follow(inner: &Inner, name: &str) -> Result<(), SqlError> {
    let followed = run_as_defined(inner, name).await;
    match &followed {
        Ok(()) => {
            inner.not_started.lock().remove(name);
        }
        Err(why) => inner.did_not_start(name, why),
    }
    followed
}

async fn run_as_defined(inner: &Inner, name: &str) -> Result<(), SqlError> {
    let definition = inner.catalog.stream(name).filter(|stream| stream.pipeline.is_some());
    let spec = definition
        .map(|definition| pipeline_spec(inner, &definition))
        .transpose()?;
    let (views, name) = (inner.views.clone(), name.to_owned());
    off_thread(move || match spec {
        Some(spec) => views.start_pipeline(spec),
        None => {
            views.stop_pipeline(&name);
            Ok(())
        }
    })
    .await
}

/// Stops the pipelines that read a stream, until they are told to follow the catalog again. Their names come back.
pub(super) async fn rest(inner: &Inner, stream: &str) -> Result<Vec<String>, SqlError> {
    let (views, stream) = (inner.views.clone(), stream.to_owned());
    off_thread(move || {
        let over = views.pipelines_over(&stream);
        for pipeline in &over {
            views.stop_pipeline(pipeline);
        }
        Ok::<_, SqlError>(over)
    })
    .await
}

/// Starts every pipeline of the catalog. The names and reasons of those that did not start come back.
pub(crate) fn start_pipelines(inner: &Inner) -> Vec<(String, SqlError)> {
    let mut failed: Vec<(String, SqlError)> = Vec::new();
    for definition in inner.catalog.all() {
        let Definition::Stream(stream) = definition.as_ref() else {
            continue;
        };
        if stream.pipeline.is_none() {
            continue;
        }
        let started = pipeline_spec(inner, stream).and_then(|spec| Ok(inner.views.start_pipeline(spec)?));
        if let Err(error) = started {
            inner.did_not_start(&stream.name, &error);
            failed.push((stream.name.clone(), error));
        }
    }
    failed
}

/// What SHOW PIPELINES says of a stream, where a query makes it.
pub(super) fn shown(inner: &Inner, stream: &StreamDefinition) -> Option<Vec<Cell>> {
    let pipeline = stream.pipeline.as_ref()?;
    let mut row = vec![Cell::text(&stream.name), Cell::text(pipeline.sources.join(", "))];
    let Some(status) = inner
        .views
        .pipelines()
        .into_iter()
        .find(|status| status.name == stream.name)
    else {
        let known = inner.not_started.lock().get(&stream.name).map(SqlError::to_string);
        row.push(Cell::text(match (inner.views.holds_pipelines(), known) {
            (true, _) => {
                "held: in a copy of headwater replay no pipeline runs, as its results are there already".to_owned()
            }
            (false, Some(why)) => format!("not running: {why}"),
            (false, None) => "not running".to_owned(),
        }));
        return Some(row);
    };
    row.extend([
        Cell::text(state(&status)),
        Cell::text(status.position.to_string()),
        Cell::whole(status.lag_events),
        Cell::Fraction(Some(status.lag_seconds)),
        Cell::whole(status.events),
        Cell::whole(status.results),
        Cell::whole(status.parked),
    ]);
    Some(row)
}

fn state(status: &PipelineStatus) -> String {
    match (&status.stopped, &status.waiting) {
        (Some(why), _) => format!("stopped: {why}"),
        (None, Some(why)) => format!("waiting: {why}"),
        (None, None) if status.lacking > 0 => {
            format!("running, without {} events that were no longer kept", status.lacking)
        }
        (None, None) => "running".to_owned(),
    }
}
