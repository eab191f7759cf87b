//! What the clones of an engine share: what runs below it, and what is known of definitions by their names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::temporal_conversions::timestamp_us_to_datetime;
use datafusion::execution::context::SessionState;
use headwater_catalog::{Catalog, Definition, StreamDefinition};
use headwater_eventlog::EventLog;
use headwater_schedules::Schedules;
use headwater_views::Views;
use headwater_views::decode::StreamDecoder;
use parking_lot::Mutex;

use crate::altering::Altering;
use crate::calls::CallHandler;
use crate::encode::Encoders;
use crate::nearest::nearest;
use crate::options::EngineOptions;
use crate::session_zone::ZoneOption;
use crate::syntax::Parsed;
use crate::{Session, SqlError, SqlState, parse, session};

/// What the clones share.
pub(crate) struct Inner {
    pub(crate) log: EventLog,
    pub(crate) catalog: Catalog,
    pub(crate) views: Views,
    /// Why views and pipelines did not start that are defined, by name.
    pub(crate) not_started: Mutex<BTreeMap<String, SqlError>>,
    pub(crate) options: EngineOptions,
    /// Functions, bounds and memory; cloned for each question.
    pub(crate) state: SessionState,
    pub(crate) calls: OnceLock<Arc<dyn CallHandler>>,
    pub(crate) schedules: OnceLock<Schedules>,
    /// Counts appends without a key: they take turns over the partitions.
    pub(crate) spread: AtomicU32,
    /// How streams with upcasters are decoded, by name.
    pub(crate) decoders: Mutex<HashMap<String, StreamDecoder>>,
    /// Held by whoever changes a definition that others are planned by, from the look at it until all of them know.
    pub(crate) defining: tokio::sync::Mutex<()>,
    /// The streams of which that is so just now.
    pub(crate) altering: Altering,
    /// Definitions by their text, parsed.
    pub(crate) parsed: Mutex<HashMap<String, Arc<Parsed>>>,
    pub(crate) encoders: Encoders,
}

impl Inner {
    /// What is known over what is running.
    pub(crate) fn new(log: EventLog, catalog: Catalog, views: Views, options: EngineOptions) -> Inner {
        let state = session::state(options.memory_bytes_max, &catalog);
        Inner {
            log,
            catalog,
            views,
            not_started: Mutex::default(),
            options,
            state,
            calls: OnceLock::new(),
            schedules: OnceLock::new(),
            spread: AtomicU32::new(0),
            decoders: Mutex::default(),
            defining: tokio::sync::Mutex::default(),
            altering: Altering::default(),
            parsed: Mutex::default(),
            encoders: Encoders::default(),
        }
    }

    /// The same where a stream is defined so already.
    pub(crate) fn supposing(&self, stream: &StreamDefinition) -> Inner {
        let catalog = self.catalog.supposing(Definition::Stream(stream.clone()));
        Inner::new(self.log.clone(), catalog, self.views.clone(), self.options.clone())
    }

    /// Who runs commands.
    pub(crate) fn calls(&self) -> Result<&Arc<dyn CallHandler>, SqlError> {
        self.calls.get().ok_or_else(|| {
            SqlError::new(SqlState::NOT_SUPPORTED, "commands are not running here")
                .hint("start the program with `headwater run`")
        })
    }

    /// Keeps in mind why a view or a pipeline did not start.
    pub(crate) fn did_not_start(&self, name: &str, why: &SqlError) {
        self.not_started.lock().insert(name.to_owned(), why.clone());
    }

    /// The error of a view that is asked and does not run.
    pub(crate) fn not_running(&self, name: &str) -> SqlError {
        let message = match self.not_started.lock().get(name) {
            // It is on its way.
            Some(why) if why.is_passing() => {
                let message = format!("the view '{name}' has not started yet: {}", why.message);
                return SqlError::new(SqlState::NOT_READY, message).hint("it is tried again; ask again later");
            }
            Some(why) => format!("the view '{name}' did not start: {why}"),
            None => format!("the view '{name}' is not running"),
        };
        SqlError::new(SqlState::STOPPED, message)
            .hint("SHOW VIEWS lists it; it starts with the program once the cause is mended")
    }

    /// What a statement that begins now is planned and run with. The log's clock says what `now()` is.
    pub(crate) fn starting(&self) -> SessionState {
        self.starting_at(self.log.now_us())
    }

    /// The same for one whose `now()` is this moment, microseconds since 1970.
    pub(crate) fn starting_at(&self, now_us: i64) -> SessionState {
        let mut state = self.state.clone();
        state.mark_start_execution();
        let now = timestamp_us_to_datetime(now_us).map(|now| now.and_utc());
        state.execution_props_mut().query_execution_start_time = now;
        state
    }

    /// The same for a session: it says by which clock moments are shown, and may say which `now()` is.
    pub(crate) fn starting_for(&self, session: &Session) -> SessionState {
        let mut state = self.starting_at(session.now_us.unwrap_or_else(|| self.log.now_us()));
        if session.zone.is_some() {
            let options = state.config_mut().options_mut();
            options.extensions.insert(ZoneOption(session.zone.clone()));
        }
        state
    }

    /// Who appends later.
    pub(crate) fn schedules(&self) -> Result<&Schedules, SqlError> {
        self.schedules.get().ok_or_else(|| {
            SqlError::new(SqlState::NOT_SUPPORTED, "nothing is appended later here")
                .hint("start the program with `headwater run`")
        })
    }

    /// The next partition's turn for events without a key.
    pub(crate) fn next_spread(&self) -> u32 {
        self.spread.fetch_add(1, Ordering::Relaxed)
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
    pub(crate) fn views_below(&self, name: &str) -> Vec<String> {
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
