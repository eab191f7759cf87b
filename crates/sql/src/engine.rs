//! The engine: a statement in, rows or a tag out.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::temporal_conversions::timestamp_us_to_datetime;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionState;
use datafusion::physical_plan::common::collect;
use datafusion::sql::sqlparser::ast;
use headwater_catalog::{Catalog, Definition};
use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_schedules::Schedules;
use headwater_views::decode::StreamDecoder;
use headwater_views::{GroupKey, Subscription, View, Views};
use parking_lot::Mutex;

use crate::calls::{Call, CallHandler};
use crate::encode::Encoders;
use crate::fault::{nearest, placed};
use crate::options::EngineOptions;
use crate::question::{self, Deadline};
use crate::statement::{Parsed, Question, Show, Statement};
use crate::{Progress, SqlError, SqlState, parse, session, statements};

/// Answers statements. Clones share it.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones share.
pub(crate) struct Inner {
    pub(crate) log: EventLog,
    pub(crate) catalog: Catalog,
    pub(crate) views: Views,
    pub(crate) options: EngineOptions,
    /// Functions, bounds and memory; cloned for each question.
    pub(crate) state: SessionState,
    calls: OnceLock<Arc<dyn CallHandler>>,
    schedules: OnceLock<Schedules>,
    /// Counts appends without a key: they take turns over the partitions.
    spread: AtomicU32,
    /// How streams with upcasters are decoded, by name.
    pub(crate) decoders: Mutex<HashMap<String, StreamDecoder>>,
    /// Held by whoever changes a definition that others are planned by, from the look at it until all of them know.
    pub(crate) defining: tokio::sync::Mutex<()>,
    /// Definitions by their text, parsed.
    parsed: Mutex<HashMap<String, Arc<Parsed>>>,
    pub(crate) encoders: Encoders,
}

/// Who asks, and how.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Written beside every event this session appends.
    pub principal: String,
    /// Views are read only once they have got here.
    pub after: Option<Position>,
    /// How long the statement may take.
    pub timeout: Option<Duration>,
    /// Where a question counts the events that it reads, for whoever watches.
    pub progress: Option<Arc<Progress>>,
}

/// What a statement gives.
pub enum Outcome {
    /// Rows.
    Rows {
        /// Their columns.
        schema: SchemaRef,
        /// The rows.
        rows: SendableRecordBatchStream,
    },
    /// Done, with PostgreSQL's command tag (`INSERT 0 2`, `CREATE STREAM`).
    Done {
        /// The tag.
        tag: String,
        /// Up to where the log must be folded to see what was written, where something was.
        position: Option<Position>,
    },
    /// Done, and there is something to be said of it: PostgreSQL's notices.
    Told {
        /// The tag.
        tag: String,
        /// What is to be said, one thing each.
        notices: Vec<String>,
    },
}

/// What a statement takes and gives, before it runs.
#[derive(Debug, Clone)]
pub struct Described {
    /// The types of `$1`, `$2`, …; `None` where nothing says.
    pub parameters: Vec<Option<DataType>>,
    /// The columns of the answer; `None` where it gives no rows.
    pub columns: Option<SchemaRef>,
}

/// What a question read: the boundary of a command's decision.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    /// Each view read.
    pub views: Vec<ViewRead>,
    /// Each stream read, up to where.
    pub streams: Vec<(String, Position)>,
}

/// What a question read of one view.
#[derive(Debug, Clone)]
pub struct ViewRead {
    /// The view, as it was when it was read: another version may have its name by now.
    pub view: Arc<View>,
    /// Where it stood.
    pub position: Position,
    /// The keys looked up; `None`: the whole view was read.
    pub keys: Option<Vec<GroupKey>>,
    /// The rows found.
    pub rows: Vec<arrow::record_batch::RecordBatch>,
}

impl Engine {
    /// An engine over what is running.
    pub fn new(log: EventLog, catalog: Catalog, views: Views, options: EngineOptions) -> Engine {
        let state = session::state(options.memory_bytes_max, &catalog);
        let inner = Inner {
            log,
            catalog,
            views,
            options,
            state,
            calls: OnceLock::new(),
            schedules: OnceLock::new(),
            spread: AtomicU32::new(0),
            decoders: Mutex::default(),
            defining: tokio::sync::Mutex::default(),
            parsed: Mutex::default(),
            encoders: Encoders::default(),
        };
        Engine { inner: Arc::new(inner) }
    }

    /// Names who runs `CALL`; once, at start.
    pub fn set_call_handler(&self, handler: Arc<dyn CallHandler>) {
        if self.inner.calls.set(handler).is_err() {
            tracing::warn!("a second handler of commands was named: the first one stays");
        }
    }

    /// Names who appends later; once, at start.
    pub fn set_schedules(&self, schedules: Schedules) {
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
                Err(error) => failed.push((view.name.clone(), error)),
            }
        }
        self.inner.views.settle(&begun);
        failed
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
        statements::sources(&self.inner, question)
    }

    /// The next partition's turn for events without a key.
    pub fn next_spread(&self) -> u32 {
        self.inner.spread.fetch_add(1, Ordering::Relaxed)
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
            Statement::Insert(insert) => statements::insert(self, session, insert, parameters, &deadline).await,
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
            Statement::Call { command, arguments } if statements::is_replay(inner, &command.value) => {
                statements::replay_parked(inner, session, arguments, parameters).await
            }
            Statement::Call { command, arguments } => {
                let arguments = statements::call_arguments(inner, arguments, parameters)?;
                let call = Call {
                    session,
                    command: &command.value,
                    arguments,
                };
                let (schema, rows) = inner.calls()?.call(call).await?;
                Ok(Outcome::Rows { schema, rows })
            }
            Statement::ExplainCall {
                command,
                arguments,
                json,
            } => {
                let arguments = statements::call_arguments(inner, arguments, parameters)?;
                let call = Call {
                    session,
                    command: &command.value,
                    arguments,
                };
                let text = inner.calls()?.explain(call, *json).await?;
                statements::explained(&text)
            }
            Statement::Subscribe(subscribe) => statements::subscribe(inner, session, subscribe, parameters).await,
            Statement::Show(Show::Schedules) => statements::show_schedules(inner).await,
            Statement::Show(show) => statements::show(inner, show),
            Statement::Describe(name) => statements::describe_name(inner, &name.value),
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
            let names = statements::sources(&self.inner, question).unwrap_or_default();
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
        Ok(Outcome::Rows { schema, rows })
    }

    /// Answers a question and says what it read, for a decision that must not be overtaken.
    pub async fn ask(
        &self,
        session: &Session,
        question: &Question,
        parameters: &[ScalarValue],
    ) -> Result<(SchemaRef, Vec<arrow::record_batch::RecordBatch>, Reads), SqlError> {
        let deadline = Deadline::new(session);
        question::again(|| self.ask_once(session, question, parameters, &deadline)).await
    }

    async fn ask_once(
        &self,
        session: &Session,
        question: &Question,
        parameters: &[ScalarValue],
        deadline: &Deadline,
    ) -> Result<(SchemaRef, Vec<arrow::record_batch::RecordBatch>, Reads), SqlError> {
        let planned = question::plan(&self.inner, session, question, parameters)?;
        let physical = planned.physical(&self.inner, session, deadline).await?;
        let (schema, rows) = planned.run(physical, deadline)?;
        let rows = collect(rows).await?;
        Ok((schema, rows, planned.boundary.reads()))
    }

    /// The columns of a question's answer, for parameters of these types, without asking it.
    pub fn columns_of(&self, question: &Question, types: &[DataType]) -> Result<SchemaRef, SqlError> {
        question::columns(&self.inner, question, types)
    }

    /// The streams and views that a question names; an unknown one is an error.
    pub fn sources_of(&self, question: &Question) -> Result<Vec<String>, SqlError> {
        statements::sources(&self.inner, question)
    }

    /// The names of the columns of a stream (its system columns too) or view; empty where there is none.
    pub fn column_names(&self, name: &str) -> Vec<String> {
        statements::column_names(&self.inner, name)
    }

    /// The values of constant expressions, such as `5.00` or `current_date`.
    pub fn constants(&self, expressions: &[ast::Expr]) -> Result<Vec<ScalarValue>, SqlError> {
        statements::constants(&self.inner, expressions, &[])
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

/// What [`Engine::apply`] did with one definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// `stream`, `view` or `command`.
    pub noun: &'static str,
    /// Its name.
    pub name: String,
    /// What was done.
    pub defined: headwater_catalog::Defined,
}

impl Inner {
    /// Who runs commands.
    pub(crate) fn calls(&self) -> Result<&Arc<dyn CallHandler>, SqlError> {
        self.calls.get().ok_or_else(|| {
            SqlError::new(SqlState::NOT_SUPPORTED, "commands are not running here")
                .hint("start the program with `headwater run`")
        })
    }

    /// What a statement that begins now is planned and run with. The log's clock says what `now()` is.
    pub(crate) fn starting(&self) -> SessionState {
        let mut state = self.state.clone();
        state.mark_start_execution();
        let now = timestamp_us_to_datetime(self.log.now_us()).map(|now| now.and_utc());
        state.execution_props_mut().query_execution_start_time = now;
        state
    }

    /// Who appends later.
    pub(crate) fn schedules(&self) -> Result<&Schedules, SqlError> {
        self.schedules.get().ok_or_else(|| {
            SqlError::new(SqlState::NOT_SUPPORTED, "nothing is appended later here")
                .hint("start the program with `headwater run`")
        })
    }

    /// A definition's statement, parsed once for all questions.
    pub(crate) fn parsed(&self, text: &str) -> Result<Arc<Parsed>, SqlError> {
        /// More definitions than this are parsed again rather than remembered.
        const REMEMBERED_MAX: usize = 1_000;
        if let Some(parsed) = self.parsed.lock().get(text) {
            return Ok(Arc::clone(parsed));
        }
        let parsed = parse::parse(text, "")?.into_iter().next().ok_or_else(|| {
            SqlError::new(SqlState::INTERNAL, "a definition in the catalog is empty")
                .hint("DROP it and create it again")
        })?;
        let parsed = Arc::new(parsed);
        let mut remembered = self.parsed.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(text.to_owned(), Arc::clone(&parsed));
        Ok(parsed)
    }

    /// The streams below a stream or view, through all views.
    pub(crate) fn streams_below(&self, name: &str) -> Vec<String> {
        let mut streams: BTreeSet<String> = BTreeSet::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<String> = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if self.catalog.stream(&name).is_some() {
                streams.insert(name);
            } else if let Some(definition) = self.catalog.get(&name) {
                open.extend(definition.sources().iter().cloned());
            }
        }
        streams.into_iter().collect()
    }

    /// The materialized views that a question about a view reads.
    fn views_below(&self, name: &str) -> Vec<String> {
        let mut views: BTreeSet<String> = BTreeSet::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<String> = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            match self.catalog.get(&name).as_deref() {
                Some(Definition::View(view)) if view.shape.is_some() => {
                    views.insert(name);
                }
                Some(Definition::View(view)) => open.extend(view.sources.iter().cloned()),
                Some(Definition::Graph(graph)) => open.extend(graph.sources.iter().cloned()),
                _ => {}
            }
        }
        views.into_iter().collect()
    }

    /// There is no such table; perhaps another was meant.
    pub(crate) fn unknown_table(&self, name: &str) -> SqlError {
        let definitions = self.catalog.all();
        let names = definitions
            .iter()
            .filter(|definition| !matches!(definition.noun(), "command" | "schedule" | "property graph"))
            .map(|definition| definition.name());
        let error = SqlError::new(SqlState::UNKNOWN_TABLE, format!("there is no stream or view '{name}'"));
        match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => error.hint("SHOW TABLES lists them"),
        }
    }
}
