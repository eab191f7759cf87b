//! Calling a command.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_catalog::Definition;
use headwater_records::Position;
use headwater_sql::parse::parse;
use headwater_sql::syntax::Statement;
use headwater_sql::{Engine, Parameters, Session, SqlError, SqlState};
use headwater_views::View;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::call::arguments::{self, Arguments};
use crate::call::call_handler::Handler;
use crate::call::compiled::Compiled;
use crate::decide::Decision;
use crate::decide::explain::{Explanation, ProposedEvent};
use crate::decide::lately::Lately;
use crate::decide::locks::Locks;
use crate::decide::outcome::CommandOutcome;
use crate::error::{ArgumentFault, CommandError};
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::metrics::{CommandsMetrics, Counters};
use crate::once::idempotency::{Call, Memory};
use crate::options::CommandsOptions;
use crate::together::Together;

/// Decides commands. Clones share it.
#[derive(Clone)]
pub struct Commands {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones share.
pub(crate) struct Inner {
    pub(crate) engine: Engine,
    /// Where calls are decided together, whoever calls.
    pub(crate) runtime: Handle,
    options: CommandsOptions,
    locks: Locks,
    memory: Memory,
    /// Compiled commands by name, and the state of the catalog they were compiled for.
    compiled: Mutex<(u64, HashMap<String, Arc<Compiled>>)>,
    /// What is known of the newest events of views that are decided on, by their names.
    lately: Mutex<HashMap<(String, String), Arc<Lately>>>,
    pub(crate) together: Together,
    pub(crate) counters: Counters,
}

impl Commands {
    /// Decides over what the engine knows, and becomes its call handler. Folds the remembered idempotency keys from the log (blocking). `runtime`: where calls that
    /// come at the same time are decided together; one that no long question holds up.
    pub fn open(engine: Engine, runtime: Handle, options: CommandsOptions) -> Result<Commands, CommandError> {
        let memory = Memory::open(engine.log().clone(), &options)?;
        let inner = Arc::new(Inner {
            engine: engine.clone(),
            runtime,
            together: Together::new(options.waiting_calls_max),
            options,
            locks: Locks::default(),
            memory,
            compiled: Mutex::default(),
            lately: Mutex::default(),
            counters: Counters::default(),
        });
        engine.set_call_handler(Arc::new(Handler {
            commands: Arc::downgrade(&inner),
        }));
        Ok(Commands { inner })
    }

    /// Calls a command; what takes plans is done on the runtime of the caller.
    pub async fn call(
        &self,
        session: &Session,
        command: &str,
        arguments: Arguments,
        idempotency_key: Option<&str>,
    ) -> Result<CommandOutcome, CommandError> {
        let runtime = Handle::current();
        self.call_on(&runtime, session, command, arguments, idempotency_key)
            .await
    }

    /// Calls a command; what takes plans is done on this runtime. Where the caller goes away, what is on its way into the log gets there, and is
    /// remembered by its idempotency key.
    pub async fn call_on(
        &self,
        runtime: &Handle,
        session: &Session,
        command: &str,
        arguments: Arguments,
        idempotency_key: Option<&str>,
    ) -> Result<CommandOutcome, CommandError> {
        let call = match idempotency_key {
            Some(key) => Some(call_of(command, key, &arguments)?),
            None => None,
        };
        // What is done is answered, whatever has become of the command since.
        if let Some(call) = &call
            && let Some(answer) = self.inner.repeated(call).await?
        {
            return Ok(answer);
        }
        if self.is_quick(command) {
            let decision = self.inner.decision(session, command, arguments, call)?;
            return match decision.command.is_simple {
                true => self.inner.decide_together(decision).await,
                false => decide_by_itself(runtime, decision).await,
            };
        }
        let (inner, session, command) = (Arc::clone(&self.inner), session.clone(), command.to_owned());
        let decided = runtime.spawn(async move {
            let decision = inner.decision(&session, &command, arguments, call)?;
            // The first calls of a command come at once, too.
            match decision.command.is_simple {
                true => inner.decide_together(decision).await,
                false => decision.answer().await,
            }
        });
        decided.await?
    }

    /// Whether a command is decided within microseconds: it is compiled, and needs no plan.
    pub fn is_quick(&self, command: &str) -> bool {
        let compiled = self.inner.compiled.lock();
        let is_now = compiled.0 == *self.inner.engine.catalog().changes().borrow();
        is_now && compiled.1.get(command).is_some_and(|command| command.is_direct)
    }

    /// How calls were decided.
    pub fn metrics(&self) -> CommandsMetrics {
        self.inner.counters.read()
    }

    /// What a call would do and why; nothing is appended.
    pub async fn explain(
        &self,
        session: &Session,
        command: &str,
        arguments: Arguments,
    ) -> Result<Explanation, CommandError> {
        self.inner.explain(session, command, arguments).await
    }

    /// What a call would append, as of the position that comes with it; a refusal is an error, as it would be of the call. Nothing is appended.
    pub async fn try_out(
        &self,
        session: &Session,
        command: &str,
        arguments: Arguments,
    ) -> Result<(Vec<ProposedEvent>, Position), CommandError> {
        self.inner.try_out(session, command, arguments).await
    }
}

impl Inner {
    pub(crate) async fn explain(
        self: &Arc<Inner>,
        session: &Session,
        command: &str,
        arguments: Arguments,
    ) -> Result<Explanation, CommandError> {
        self.decision(session, command, arguments, None)?.explain().await
    }

    async fn try_out(
        self: &Arc<Inner>,
        session: &Session,
        command: &str,
        arguments: Arguments,
    ) -> Result<(Vec<ProposedEvent>, Position), CommandError> {
        self.decision(session, command, arguments, None)?.try_out().await
    }

    fn decision(
        self: &Arc<Inner>,
        session: &Session,
        command: &str,
        arguments: Arguments,
        call: Option<Call>,
    ) -> Result<Decision, CommandError> {
        let timeout = session.timeout.unwrap_or(self.options.decide_max);
        let decide_max = timeout.min(self.options.decide_max);
        let deadline = Instant::now() + decide_max;
        let now_us = self.engine.log().now_us();
        let compiled = self.compiled(command)?;
        let given = arguments::given(&compiled, &arguments)?;
        Ok(Decision {
            engine: self.engine.clone(),
            commands: Arc::clone(self),
            session: session.clone(),
            values: Parameters::new(arguments::values(&self.engine, now_us, &compiled, &given)?),
            command: compiled,
            call,
            tick: None,
            now_us,
            deadline,
            decide_max,
        })
    }

    /// How long one decision may take.
    pub(crate) fn decide_max(&self) -> Duration {
        self.options.decide_max
    }

    /// What calls wait for.
    pub(crate) fn locks(&self) -> &Locks {
        &self.locks
    }

    /// What is known of the newest events of a stream that a view reads.
    pub(crate) fn lately(&self, view: &Arc<View>, stream: &str) -> Arc<Lately> {
        let mut lately = self.lately.lock();
        let of = (view.definition().name.clone(), stream.to_owned());
        match lately.get(&of) {
            Some(known) if Arc::ptr_eq(&known.view, view) => Arc::clone(known),
            // There is none yet, or the view was built anew.
            _ => {
                let fresh = Arc::new(Lately::new(Arc::clone(view), stream));
                lately.insert(of, Arc::clone(&fresh));
                fresh
            }
        }
    }

    /// The views over a stream that are decided on, with what is known of its newest events.
    pub(crate) fn decided_on(&self, stream: &str) -> Vec<Arc<Lately>> {
        let mut lately = self.lately.lock();
        // Versions that were replaced are not asked any more.
        lately.retain(|(view, _), known| {
            let now = self.engine.views().get(view);
            now.is_some_and(|now| Arc::ptr_eq(&now, &known.view))
        });
        let of_stream = lately.values().filter(|known| known.stream() == stream);
        of_stream.cloned().collect()
    }

    /// The calls that were answered.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The command, compiled for the catalog as it stands.
    pub(crate) fn compiled(&self, name: &str) -> Result<Arc<Compiled>, CommandError> {
        let version = *self.engine.catalog().changes().borrow();
        {
            let mut compiled = self.compiled.lock();
            if compiled.0 != version {
                *compiled = (version, HashMap::new());
            }
            let known = compiled.1.get(name);
            if let Some(known) = known.filter(|known| known.is_current(&self.engine)) {
                return Ok(Arc::clone(known));
            }
        }
        let definition = self.engine.catalog().get(name);
        let Some(Definition::Command(definition)) = definition.as_deref() else {
            return Err(CommandError::Unknown(name.to_owned()));
        };
        let parsed = parse(definition.meaning(), "")?;
        let Some(Statement::CreateCommand { command, .. }) = parsed.first().map(|parsed| &parsed.statement) else {
            let message = format!("the definition of the command '{name}' is no CREATE COMMAND");
            return Err(SqlError::new(SqlState::INTERNAL, message)
                .hint("CREATE OR REPLACE it")
                .into());
        };
        let compiled = Arc::new(Compiled::new(&self.engine, command)?);
        let mut known = self.compiled.lock();
        if known.0 == version {
            known.1.insert(name.to_owned(), Arc::clone(&compiled));
        }
        Ok(compiled)
    }
}

fn call_of(command: &str, key: &str, arguments: &Arguments) -> Result<Call, CommandError> {
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        let bytes = key.len();
        let message =
            format!("an idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes, this one has {bytes}: use a UUID");
        return Err(ArgumentFault::whole("malformed_idempotency_key", message));
    }
    Ok(Call::of(command, key, &arguments::said(command, arguments)?))
}

/// Decides a call by itself, on this runtime.
async fn decide_by_itself(runtime: &Handle, decision: Decision) -> Result<CommandOutcome, CommandError> {
    let decided = runtime.spawn(async move { decision.answer().await });
    decided.await?
}
