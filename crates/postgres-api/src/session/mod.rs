//! One connection: startup, then message after message until it ends.
//!
//! Invariants
//! - An error of a statement is answered and the session goes on; an error of the wire is answered and the connection ends.
//! - Rows leave as they come: never more than a few batches of an answer are in memory.
//! - A question ends with its client: while it is answered, the connection is listened to.

mod again;
mod copy;
mod cursors;
mod extended;
mod progress;
mod run;
mod settings;
mod simple;
mod startup;
mod transaction;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use headwater_sql::syntax::{Parsed, Statement};
use headwater_sql::{Engine, ScalarValue, Session as Asker, SessionZone, SqlError, SqlState};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::cancel::{Sessions, Switch};
use crate::options::PostgresOptions;
use crate::report::{self, IDLE, PROTOCOL, SHUTDOWN};
use crate::wire::output::Report;
use crate::wire::{Input, Message, Output, WireError};
use extended::{Portal, Prepared};
use run::{Answer, writes};
use settings::Settings;
use transaction::Transaction;

/// The engine watches over a statement's time itself and says more; the door gives up a little later, since a step of the query engine
/// may keep its thread for long.
const GRACE: Duration = Duration::from_millis(200);

/// One connection past its startup.
pub(crate) struct Session {
    engine: Engine,
    options: PostgresOptions,
    principal: String,
    input: Input<OwnedReadHalf>,
    output: Output<OwnedWriteHalf>,
    switch: Switch,
    shutdown: watch::Receiver<bool>,
    settings: Settings,
    transaction: Transaction,
    prepared: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Portal>,
    /// When the statement that runs is given up, in case that the engine does not notice itself.
    deadline: Option<Instant>,
    /// After an error in extended messages everything up to the next Sync is read over.
    skipping: bool,
}

/// Why a message was not answered as asked.
enum Failure {
    /// The statement failed: the client is told, the session goes on. The text is what the client sent, for the place of the error.
    Statement(Box<SqlError>, Arc<str>),
    /// The connection is over.
    Connection(WireError),
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Failure {
        Failure::Connection(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Connection(WireError::Disconnected(error))
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        Failure::Statement(Box::new(error), Arc::from(""))
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(
    stream: TcpStream,
    engine: Engine,
    options: PostgresOptions,
    sessions: Sessions,
    shutdown: watch::Receiver<bool>,
) -> Result<(), WireError> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let mut input = Input::new(read, options.message_bytes_max);
    let mut output = Output::new(write);
    let begun = timeout(options.startup_max, startup::begin(&mut input, &mut output, &sessions)).await;
    // A connection that says nothing is closed without a word, as PostgreSQL does.
    let Ok(begun) = begun else { return Ok(()) };
    let Some((principal, zone, switch)) = begun? else {
        return Ok(());
    };
    let mut settings = Settings::new(options.statement_max);
    settings.zone = zone;
    let mut session = Session {
        engine,
        options,
        principal,
        input,
        output,
        switch,
        shutdown,
        settings,
        transaction: Transaction::default(),
        prepared: HashMap::new(),
        portals: HashMap::new(),
        deadline: None,
        skipping: false,
    };
    session.run().await
}

/// Tells a client that there is no room for it.
pub(crate) async fn turn_away(stream: TcpStream, sessions: &Sessions, why: &Report) -> Result<(), WireError> {
    let (read, write) = stream.into_split();
    let (mut input, mut output) = (Input::new(read, 0), Output::new(write));
    startup::turn_away(&mut input, &mut output, sessions, why).await
}

impl Session {
    async fn run(&mut self) -> Result<(), WireError> {
        loop {
            let message = match self.next_message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(error @ WireError::Disconnected(_)) => return Err(error),
                Err(error) => {
                    self.output.error(&report::fatal(PROTOCOL, error.to_string()));
                    self.output.flush().await?;
                    return Err(error);
                }
            };
            match message {
                Message::Terminate => return Ok(()),
                // Data that nobody asked for is read over, as PostgreSQL does: what of a COPY that failed is still on its way.
                Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => {}
                Message::Other(kind) => {
                    let text = format!("messages of type '{}' are not taken", char::from(kind).escape_default());
                    self.output.error(&report::fatal(PROTOCOL, text));
                    self.output.flush().await?;
                    return Ok(());
                }
                Message::Query(text) => {
                    self.skipping = false;
                    self.query(text).await?;
                }
                message => self.extended_message(message).await?,
            }
        }
    }

    /// The next message; `None` where the connection ends, after a word about why where the end is ours.
    async fn next_message(&mut self) -> Result<Option<Message>, WireError> {
        // Clients send what belongs to one question together: nothing is to be waited for.
        if let Some(message) = self.input.buffered()? {
            return Ok(Some(message));
        }
        let idle_max = self.options.idle_max;
        let idle = async {
            match idle_max {
                Some(idle_max) => tokio::time::sleep(idle_max).await,
                None => std::future::pending().await,
            }
        };
        let mut shutdown = self.shutdown.clone();
        let farewell = tokio::select! {
            message = self.input.next() => return message,
            () = idle => report::fatal(IDLE, "the connection was silent for too long and is closed"),
            _ = shutdown.wait_for(|stop| *stop) => report::fatal(SHUTDOWN, "the program is stopping: connect again later"),
        };
        self.output.error(&farewell);
        self.output.flush().await?;
        Ok(None)
    }

    async fn extended_message(&mut self, message: Message) -> Result<(), WireError> {
        if let Message::Sync = message {
            self.skipping = false;
            self.end_cursors();
            self.output.ready(self.transaction.status());
            return Ok(self.output.flush().await?);
        }
        if self.skipping {
            return Ok(());
        }
        match self.extended(message).await {
            Ok(()) => Ok(self.output.flush_when_full().await?),
            Err(Failure::Connection(error)) => Err(error),
            Err(Failure::Statement(error, text)) => {
                self.output.error(&report::error(&text, &error));
                self.transaction.failed();
                self.skipping = true;
                Ok(self.output.flush().await?)
            }
        }
    }

    /// Runs one statement. Session statements are answered here; the others by the engine, until the client cancels.
    async fn execute(&mut self, parsed: &Parsed, parameters: Vec<ScalarValue>) -> Result<Answer, Failure> {
        if let Statement::Session { tag } = &parsed.statement {
            return Ok(self.session_statement(tag, &parsed.text)?);
        }
        self.transaction.admit(false)?;
        let writes = writes(&parsed.statement);
        self.switch.reset();
        let asker = self.asker();
        let progress = asker.progress.clone();
        self.deadline = self
            .settings
            .statement_timeout
            // A subscription has no end to be late for.
            .filter(|_| !writes && !matches!(parsed.statement, Statement::Subscribe(_)))
            .map(|max| Instant::now() + max + GRACE);
        let answer = {
            let running = run::run(&self.options.questions, &self.engine, asker, parsed.clone(), parameters);
            let mut running = pin!(running);
            let mut canceled = pin!(self.switch.canceled());
            loop {
                tokio::select! {
                    answer = &mut running => break answer?,
                    // A write that has begun is awaited: whether it happened must be known.
                    () = &mut canceled, if !writes => return Err(canceled_error().into()),
                    gone = self.input.gone(), if !writes => return Err(gone.into()),
                    () = at(self.deadline) => return Err(late_error().into()),
                    () = progress::due(progress.as_ref()) => progress::tell(progress.as_ref(), &mut self.output).await?,
                }
            }
        };
        if writes {
            self.transaction.wrote();
        }
        let position = match &answer {
            Answer::Done { position, .. } => position.clone(),
            Answer::Rows(rows) => rows.position.clone(),
        };
        if let Some(position) = position {
            self.wrote_up_to(&position);
        }
        if matches!(&answer, Answer::Done { tag, .. } if tag == "DROP STREAM") {
            // One that is made anew under the name begins at 0.
            let log = self.engine.log();
            self.settings.after.retain(|stream| log.position(stream).is_some());
        }
        if let Answer::Done { notices, .. } = &answer {
            for notice in notices {
                self.output.notice(&report::notice(notice));
            }
        }
        Ok(answer)
    }

    fn asker(&self) -> Asker {
        Asker {
            principal: self.principal.clone(),
            after: (!self.settings.after.is_empty()).then(|| self.settings.after.clone()),
            timeout: self.settings.statement_timeout,
            now_us: None,
            progress: self.settings.progress.then(Arc::default),
            zone: self.settings.zone.clone(),
        }
    }

    /// Later reads of this session wait until views have got here.
    fn wrote_up_to(&mut self, position: &headwater_records::Position) {
        if self.settings.read_your_writes {
            self.settings.after.advance_all(position);
        }
    }

    fn session_statement(&mut self, tag: &'static str, text: &str) -> Result<Answer, SqlError> {
        self.transaction.admit(Transaction::ends(tag))?;
        let zone = self.settings.zone.clone();
        match tag {
            "SET" => self.settings.set(text)?,
            "RESET" => self.settings.reset(text, self.options.statement_max),
            "DISCARD" | "DISCARD ALL" => {
                self.settings = Settings::new(self.options.statement_max);
                self.prepared.clear();
                self.portals.clear();
            }
            "CLOSE CURSOR ALL" => self.portals.clear(),
            "DEALLOCATE" | "DEALLOCATE ALL" => self.deallocate(text),
            _ => {}
        }
        if self.settings.zone != zone {
            let name = self.settings.zone.as_ref().map_or("UTC", SessionZone::name);
            self.output.parameter_status("TimeZone", name);
        }
        let to_savepoint = text.split_whitespace().any(|word| word.eq_ignore_ascii_case("to"));
        let (tag, notice) = self.transaction.turn(tag, to_savepoint);
        if let Some(notice) = notice {
            self.output.notice(&notice);
        }
        Ok(Answer::Done {
            tag: tag.to_owned(),
            position: None,
            notices: Vec::new(),
        })
    }

    fn deallocate(&mut self, text: &str) {
        let name = text.split_whitespace().last().unwrap_or_default().trim_matches('"');
        match name.eq_ignore_ascii_case("all") {
            true => self.prepared.clear(),
            false => {
                self.prepared.remove(name);
            }
        }
    }
}

fn canceled_error() -> SqlError {
    SqlError::new(SqlState::CANCELED, "the statement was canceled as its client asked")
}

fn late_error() -> SqlError {
    SqlError::new(SqlState::CANCELED, "the statement took longer than its time limit")
        .hint("ask for less, or raise statement_timeout")
}

/// Resolves at the moment, or never where there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
