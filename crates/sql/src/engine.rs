//! The engine: a statement in, rows or a tag out.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::physical_plan::common::collect;
use datafusion::sql::sqlparser::ast;
use headwater_catalog::{Catalog, Definition, StreamDefinition};
use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_schedules::Schedules;
use headwater_views::{Subscription, Views};

use crate::asker::Session;
use crate::calls::CallHandler;
use crate::encode::EventEncoder;
use crate::fault::placed;
use crate::inner::Inner;
use crate::options::EngineOptions;
use crate::outcome::{Applied, Described, Outcome};
use crate::promised::Schemas;
use crate::question::{self, Deadline, Reads};
use crate::syntax::{CopyInto, Parsed, Question, Show, Statement};
use crate::{SqlError, SqlState, statements};

/// Answers statements. Clones share it.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

impl Engine {
    /// An engine over what is running.
    pub fn new(log: EventLog, catalog: Catalog, views: Views, options: EngineOptions) -> Engine {
        Engine {
            inner: Arc::new(Inner::new(log, catalog, views, options)),
        }
    }

    /// Names who runs `CALL`; once, at start.
    pub fn set_call_handler(&self, handler: Arc<dyn CallHandler>) {
        if self.inner.calls.set(handler).is_err() {
            tracing::warn!("a second handler of commands was named: the first one stays");
        }
    }

    /// Names who appends later; once, at start.
    pub fn set_schedules(&self, schedules: Schedules) {
        schedules.set_streams(Arc::new(Schemas::of(&self.inner)));
        if self.inner.schedules.set(schedules).is_err() {
            tracing::warn!("a second keeper of schedules was named: the first one stays");
        }
    }

    /// What is to be appended later.
    pub fn schedules(&self) -> Result<&Schedules, SqlError> {
        self.inner.schedules()
    }

    /// Starts every view that the catalog holds. The names and reasons of those that did not start come back.
    pub fn start_views(&self) -> Vec<(String, SqlError)> {
        let mut failed: Vec<(String, SqlError)> = Vec::new();
        let mut begun: Vec<String> = Vec::new();
        for definition in self.inner.catalog.all() {
            let Definition::View(view) = definition.as_ref() else {
                continue;
            };
            if view.shape.is_none() {
                continue;
            }
            match statements::begin_view(&self.inner, view) {
                Ok(()) => begun.push(view.name.clone()),
                Err(error) => {
                    self.inner.did_not_start(&view.name, &error);
                    failed.push((view.name.clone(), error));
                }
            }
        }
        self.inner.views.settle(&begun);
        failed
    }

    /// The views that are defined and did not start, each with why.
    pub fn views_not_started(&self) -> Vec<(String, String)> {
        let known = self.inner.not_started.lock().clone();
        let is_so = |name: &str| {
            let definition = self.inner.catalog.get(name);
            matches!(definition.as_deref(), Some(Definition::View(_))) && self.inner.views.get(name).is_none()
        };
        let known = known.into_iter().filter(|(name, _)| is_so(name));
        known.map(|(name, why)| (name, why.to_string())).collect()
    }

    /// The pipelines that are defined and do not run, each with why, by the names of their streams.
    pub fn pipelines_not_started(&self) -> Vec<(String, String)> {
        let known = self.inner.not_started.lock().clone();
        let running = self.inner.views.pipelines();
        let is_so = |name: &str| {
            let stream = self.inner.catalog.stream(name);
            stream.is_some_and(|stream| stream.pipeline.is_some()) && running.iter().all(|running| running.name != name)
        };
        let known = known.into_iter().filter(|(name, _)| is_so(name));
        known.map(|(name, why)| (name, why.to_string())).collect()
    }

    /// What is defined and has no definition in an application's file, beside what Kafka's clients made.
    pub fn beside(&self, script: &[Parsed]) -> Vec<Arc<Definition>> {
        statements::beside(&self.inner, script)
    }

    /// Starts the views whose storage did not answer, or had no room, where that is over; says which. Blocks for as long as that takes.
    pub fn start_late_views(&self) -> Vec<String> {
        let known = self.inner.not_started.lock().clone();
        let late = known.into_iter().filter(|(_, why)| why.is_passing());
        let mut started: Vec<String> = Vec::new();
        for (name, _) in late {
            // Nobody defines it otherwise meanwhile.
            let _defining = self.inner.defining.blocking_lock();
            let definition = self.inner.catalog.get(&name);
            let begun = match definition.as_deref() {
                Some(Definition::View(view)) if view.shape.is_some() && self.inner.views.get(&name).is_none() => {
                    statements::begin_view(&self.inner, view)
                }
                Some(Definition::Stream(_)) => continue,
                // It was dropped, or defined anew, and started by that.
                _ => Ok(()),
            };
            match begun {
                Ok(()) => {
                    self.inner.not_started.lock().remove(&name);
                    started.push(name);
                }
                Err(error) => self.inner.did_not_start(&name, &error),
            }
        }
        started
    }

    /// Starts every pipeline that the catalog holds; the views are to run already. The names and reasons of those that did not start come back.
    pub fn start_pipelines(&self) -> Vec<(String, SqlError)> {
        statements::start_pipelines(&self.inner)
    }

    /// What is defined.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// The log.
    pub fn log(&self) -> &EventLog {
        &self.inner.log
    }

    /// The running views.
    pub fn views(&self) -> &Views {
        &self.inner.views
    }

    /// Whether events of a stream are read as they were when it was defined so.
    pub fn reads_as_defined(&self, stream: &StreamDefinition) -> bool {
        let name = &stream.name;
        let now = self.inner.catalog.stream(name);
        now.is_some_and(|now| std::ptr::eq(now.as_ref(), stream) || *now == *stream) && !self.inner.altering.holds(name)
    }

    /// Waits until a stream is defined as it will be, where it is being defined otherwise.
    pub async fn settled(&self, stream: &str) {
        if self.inner.altering.holds(stream) {
            self.inner.altering.over(stream).await;
        }
    }

    /// The streams below a stream or view, through all views.
    pub fn streams_below(&self, name: &str) -> Vec<String> {
        self.inner.streams_below(name)
    }

    /// The materialized views that a question about a view reads: itself, or those below where it is a plain one.
    pub fn views_below(&self, name: &str) -> Vec<String> {
        self.inner.views_below(name)
    }

    /// A position, and behind it where the streams end that pipelines made of what is below it, as far as `name` reads them. Waits until the
    /// pipelines have got there.
    pub async fn through_pipelines(&self, name: &str, after: &Position, wait: Duration) -> Result<Position, SqlError> {
        let deadline = Deadline::new(&Session {
            timeout: Some(wait),
            ..Session::default()
        });
        question::through_pipelines(&self.inner, vec![name.to_owned()], after, &deadline).await
    }

    /// Follows a view: all rows that meet a condition, the text of a WHERE, or what changed since a position, and then every change.
    pub fn subscribe(
        &self,
        view: &str,
        filter: Option<&str>,
        from: Option<Position>,
    ) -> Result<Subscription, SqlError> {
        statements::begin_subscription(&self.inner, view, filter, from)
    }

    /// The streams and views that a question names, each of them defined.
    pub fn sources(&self, question: &Question) -> Result<Vec<String>, SqlError> {
        question::sources(&self.inner, question)
    }

    /// What makes events of a stream as it is defined; an error where it may not be written to.
    pub fn encoder(&self, definition: &Arc<StreamDefinition>) -> Result<Arc<EventEncoder>, SqlError> {
        self.inner.encoders.of(definition, self.catalog().schemas())
    }

    /// The next partition's turn for events without a key.
    pub fn next_spread(&self) -> u32 {
        self.inner.next_spread()
    }

    /// What a statement takes and gives. `declared` are the types that the client says its parameters have, where it says so.
    pub async fn describe(
        &self,
        session: &Session,
        parsed: &Parsed,
        declared: &[Option<DataType>],
    ) -> Result<Described, SqlError> {
        let deadline = Deadline::new(session);
        deadline
            .of(async { statements::describe(&self.inner, parsed, declared) })
            .await
            .map_err(|error| placed(error, parsed))
    }

    /// Runs one statement. `parameters` are the values of `$1`, `$2`, …
    pub async fn execute(
        &self,
        session: &Session,
        parsed: &Parsed,
        parameters: &[ScalarValue],
    ) -> Result<Outcome, SqlError> {
        let run = self.run(session, parsed, parameters);
        run.await.map_err(|error| placed(error, parsed))
    }

    async fn run(&self, session: &Session, parsed: &Parsed, parameters: &[ScalarValue]) -> Result<Outcome, SqlError> {
        let inner = &self.inner;
        let deadline = Deadline::new(session);
        match &parsed.statement {
            Statement::Query(question) => self.rows(session, question, parameters, &deadline).await,
            Statement::Explain { analyze, question } => {
                statements::explain(inner, session, *analyze, question, parameters, &deadline).await
            }
            Statement::Insert(insert) => statements::insert(inner, session, insert, parameters, &deadline).await,
            Statement::Cancel { name } => statements::cancel(inner, session, name, parameters).await,
            Statement::CreateStream {
                definition,
                settings,
                pipeline,
                mode,
            } => {
                let stream = statements::Declaration {
                    definition,
                    settings,
                    pipeline: pipeline.as_deref(),
                    mode: *mode,
                    text: &parsed.text,
                };
                statements::create_stream(inner, session, stream).await
            }
            Statement::AlterStream {
                name,
                if_exists,
                set,
                reset,
                refused,
            } => {
                let settings = statements::Settings { set, reset, refused };
                statements::alter_stream(inner, session, &name.value, *if_exists, settings).await
            }
            Statement::RebuildView { name, if_exists } => {
                statements::rebuild_view(inner, session, &name.value, *if_exists).await
            }
            Statement::AlterSchema { .. } => statements::alter_schema(inner, session, &parsed.statement).await,
            Statement::CreateView { .. } => statements::create_view(inner, session, parsed).await,
            Statement::CreateCommand { command, mode } => {
                statements::create_command(inner, session, command, *mode, &parsed.text).await
            }
            Statement::CreateSchedule { schedule, mode } => {
                statements::create_schedule(inner, session, schedule, *mode, &parsed.text).await
            }
            Statement::CreateGraph { graph, mode } => {
                statements::create_graph(inner, session, graph, *mode, &parsed.text).await
            }
            Statement::Drop { noun, name, if_exists } => {
                statements::drop(inner, session, noun, &name.value, *if_exists).await
            }
            Statement::Call {
                command,
                arguments,
                idempotency_key,
            } => {
                let key = idempotency_key.as_ref();
                statements::call(inner, session, command, arguments, key, parameters).await
            }
            Statement::ExplainCall {
                command,
                arguments,
                json,
            } => statements::explain_call(inner, session, command, arguments, *json, parameters).await,
            Statement::Subscribe(subscribe) => statements::subscribe(inner, session, subscribe, parameters).await,
            Statement::Show(Show::Schedules) => statements::show_schedules(inner).await,
            Statement::Show(show) => statements::show(inner, session, show),
            Statement::Describe(name) => statements::describe_name(inner, &name.value),
            Statement::Copy(_) => {
                let message = "COPY carries its rows over a PostgreSQL connection, and here is none";
                let error = SqlError::new(SqlState::NOT_SUPPORTED, message);
                Err(error.hint("append JSON lines to /streams/{stream}/events, and read an answer as text/csv"))
            }
            Statement::Cursor(_) => {
                let error = SqlError::new(SqlState::NOT_SUPPORTED, "a cursor is a session's own, and here is none");
                Err(error.hint("ask as a PostgreSQL client, or read the answer as it comes"))
            }
            Statement::Session { tag } => Ok(Outcome::Done {
                tag: (*tag).to_owned(),
                position: None,
            }),
        }
    }

    async fn rows(
        &self,
        session: &Session,
        question: &Question,
        parameters: &[ScalarValue],
        deadline: &Deadline,
    ) -> Result<Outcome, SqlError> {
        let mut session = session.clone();
        if let Some(after) = &session.after {
            // An unknown name is said where it is planned.
            let names = question::sources(&self.inner, question).unwrap_or_default();
            session.after = Some(question::through_pipelines(&self.inner, names, after, deadline).await?);
        }
        let session = &session;
        question::again(|| self.begin(session, question, parameters, deadline)).await
    }

    /// Begins to answer a question.
    async fn begin(
        &self,
        session: &Session,
        question: &Question,
        parameters: &[ScalarValue],
        deadline: &Deadline,
    ) -> Result<Outcome, SqlError> {
        let planned = question::plan(&self.inner, session, question, parameters)?;
        let physical = planned.physical(&self.inner, session, deadline).await?;
        let (schema, rows) = planned.run(physical, deadline)?;
        let rows = question::begun(rows).await?;
        // What is rewound was seen as it was then.
        let seen = match question.rewinds.is_empty() {
            true => planned.reads.seen(&self.inner.log),
            false => None,
        };
        Ok(Outcome::Rows {
            schema,
            rows,
            position: None,
            seen,
        })
    }

    /// The columns that the rows of a COPY have.
    pub fn copied_columns(&self, into: &CopyInto) -> Result<Vec<FieldRef>, SqlError> {
        statements::copied_columns(&self.inner, into)
    }

    /// Appends rows, as many values in each column, of its type or as texts: all of them at once or none. Says how many, and up to where the log must be folded to see them.
    pub async fn copy_in(
        &self,
        session: &Session,
        into: &CopyInto,
        columns: &[ArrayRef],
    ) -> Result<(usize, Option<Position>), SqlError> {
        statements::copy_in(&self.inner, session, into, columns).await
    }

    /// Answers a question and says what it read, for a decision that must not be overtaken.
    pub async fn ask(
        &self,
        session: &Session,
        question: &Question,
        parameters: &[ScalarValue],
    ) -> Result<(SchemaRef, Vec<RecordBatch>, Reads), SqlError> {
        let deadline = Deadline::new(session);
        question::again(|| self.ask_once(session, question, parameters, &deadline)).await
    }

    async fn ask_once(
        &self,
        session: &Session,
        question: &Question,
        parameters: &[ScalarValue],
        deadline: &Deadline,
    ) -> Result<(SchemaRef, Vec<RecordBatch>, Reads), SqlError> {
        let planned = question::plan(&self.inner, session, question, parameters)?;
        let physical = planned.physical(&self.inner, session, deadline).await?;
        let (schema, rows) = planned.run(physical, deadline)?;
        let rows = collect(rows).await?;
        Ok((schema, rows, planned.reads.noted()))
    }

    /// The columns of a question's answer, for parameters of these types, without asking it.
    pub fn columns_of(&self, question: &Question, types: &[DataType]) -> Result<SchemaRef, SqlError> {
        question::columns(&self.inner, question, types)
    }

    /// The streams and views that a question names; an unknown one is an error.
    pub fn sources_of(&self, question: &Question) -> Result<Vec<String>, SqlError> {
        question::sources(&self.inner, question)
    }

    /// The names of the columns of a stream (its system columns too) or view; empty where there is none.
    pub fn column_names(&self, name: &str) -> Vec<String> {
        question::column_names(&self.inner, name)
    }

    /// The values of constant expressions, such as `5.00` or `current_date`.
    pub fn constants(&self, expressions: &[ast::Expr]) -> Result<Vec<ScalarValue>, SqlError> {
        self.constants_at(self.inner.log.now_us(), expressions)
    }

    /// The same where `now()` is this moment, microseconds since 1970.
    pub fn constants_at(&self, now_us: i64, expressions: &[ast::Expr]) -> Result<Vec<ScalarValue>, SqlError> {
        statements::constants_at(&self.inner, now_us, expressions, &[])
    }

    /// The moment that a statement begins now has, as `now()` would say it: milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.inner.log.now_us() / 1_000
    }

    /// Applies the statements of an application's file, in order: what is missing is created, what is the same is left,
    /// views and commands that changed are replaced, and a stream whose change its events could not bear is refused.
    /// Only definitions belong into such a file.
    pub async fn apply(&self, session: &Session, script: &[Parsed]) -> Result<Vec<Applied>, SqlError> {
        let mut applied: Vec<Applied> = Vec::new();
        for index in 0..script.len() {
            applied.extend(self.apply_one(session, script, index).await?);
        }
        Ok(applied)
    }

    /// Applies one statement of an application's file.
    pub async fn apply_one(
        &self,
        session: &Session,
        script: &[Parsed],
        index: usize,
    ) -> Result<Option<Applied>, SqlError> {
        let applied = statements::apply(&self.inner, session, script, index).await;
        applied.map_err(|error| match script.get(index) {
            Some(parsed) => placed(error, parsed),
            None => error,
        })
    }
}
