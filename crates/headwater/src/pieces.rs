//! The pieces behind the doors, opened in the order in which events flow: log, catalog, views, questions, schedules, commands.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use headwater_catalog::Catalog;
use headwater_commands::{Commands, CommandsOptions};
use headwater_eventlog::{EventLog, LogOptions, OpenError, Recovery};
use headwater_host::Host;
use headwater_lake::DeltaLakes;
use headwater_schedules::{Schedules, SchedulesOptions};
use headwater_sql::{Engine, EngineOptions};
use headwater_views::{ViewOptions, Views};
use tokio::runtime::Handle;

use crate::exit::{Exit, Failure, OrExit};
use crate::limits;

/// The log's folder in the data folder: the truth.
pub const LOG_FOLDER: &str = "log";
/// The stores' folder in the data folder: derived, may be deleted while the program is stopped.
const VIEWS_FOLDER: &str = "views";

/// Everything behind the doors.
#[derive(Clone)]
pub struct Pieces {
    /// The system of record.
    pub log: EventLog,
    /// What is defined.
    pub catalog: Catalog,
    /// What is kept up to date.
    pub views: Views,
    /// Who answers statements.
    pub engine: Engine,
    /// What is appended later.
    pub schedules: Schedules,
    /// Who decides commands.
    pub commands: Commands,
}

/// How the pieces are opened.
#[derive(Default, Debug, Clone)]
pub struct PiecesOptions {
    /// How the log is laid out and bounded.
    pub log: LogOptions,
    /// How views are kept.
    pub views: ViewOptions,
    /// How much may wait for its moment.
    pub schedules: SchedulesOptions,
    /// How questions are answered.
    pub questions: EngineOptions,
    /// How commands are decided.
    pub commands: CommandsOptions,
    /// Whether the events are a copy of another program's, whose tables are left alone.
    pub is_copy: bool,
}

impl Pieces {
    /// Opens everything in the data folder, creating what is missing; commands are decided on the runtime. Blocking: called outside of a runtime.
    pub fn open(data: &Path, runtime: &Handle, options: PiecesOptions) -> Result<(Pieces, Recovery), Failure> {
        let (log, recovery) = open_log(data, options.log.clone())?;
        let catalog = Catalog::open(log.clone()).map_err(unreadable)?;
        let lakes = DeltaLakes::start()
            .context("no threads for tables were to be had")
            .or_exit(Exit::Usage)?
            .apart_from(data)
            .of_a_copy(options.is_copy);
        let views = Views::open(
            log.clone(),
            catalog.clone(),
            &data.join(VIEWS_FOLDER),
            options.views.clone(),
        );
        let views = views.with_lakes(Arc::new(lakes));
        Ok((Pieces::over(log, catalog, views, runtime, options)?, recovery))
    }

    /// Everything over a log on a host whose disk is memory; views keep their rows in memory too. Blocking: called outside of a runtime.
    pub fn in_memory(log: EventLog, runtime: &Handle, options: PiecesOptions) -> Result<Pieces, Failure> {
        let catalog = Catalog::open(log.clone()).or_exit(Exit::Damaged)?;
        let views = Views::in_memory(log.clone(), catalog.clone(), options.views.clone());
        Pieces::over(log, catalog, views, runtime, options)
    }

    /// Who asks and who decides, over what is open.
    fn over(
        log: EventLog,
        catalog: Catalog,
        views: Views,
        runtime: &Handle,
        options: PiecesOptions,
    ) -> Result<Pieces, Failure> {
        let engine = Engine::new(log.clone(), catalog.clone(), views.clone(), options.questions);
        let schedules = Schedules::open(log.clone(), options.schedules).map_err(unreadable)?;
        engine.set_schedules(schedules.clone());
        let commands = Commands::open(engine.clone(), runtime.clone(), options.commands).map_err(unreadable)?;
        Ok(Pieces {
            log,
            catalog,
            views,
            engine,
            schedules,
            commands,
        })
    }

    /// Closes everything, in the order in which events flow backwards. The views get a bounded time: what they do not write is folded again.
    pub fn close(&self) {
        let views = self.views.clone();
        let (closed, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            views.close();
            // Nobody waits any more when it took too long.
            let _ = closed.send(());
        });
        if wait.recv_timeout(limits::STOP_VIEWS_MAX).is_err() {
            tracing::info!("the views did not finish writing in time; the next start folds the rest again");
        }
        self.log.close();
    }
}

/// How the program ends when one of its own streams cannot be read.
fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::Damaged,
        format!(
            "{error}; 'headwater log verify' names every damaged place, 'headwater log repair' goes on without what is lost"
        ),
    )
}

/// Opens the log alone.
fn open_log(data: &Path, options: LogOptions) -> Result<(EventLog, Recovery), Failure> {
    EventLog::open(Host::real(), &data.join(LOG_FOLDER), options).map_err(cannot_open)
}

/// Opens the log alone, on a host whose disk is memory.
pub fn log_in_memory(host: Host, data: &Path, options: LogOptions) -> Result<EventLog, Failure> {
    let (log, _) = EventLog::open(host, &data.join(LOG_FOLDER), options).map_err(cannot_open)?;
    Ok(log)
}

/// How the program ends when the log cannot be opened.
pub fn cannot_open(error: OpenError) -> Failure {
    let exit = match &error {
        OpenError::InUse(_) | OpenError::Newer { .. } => Exit::Taken,
        OpenError::Damaged { .. } => Exit::Damaged,
        OpenError::Disk { .. } => Exit::Usage,
    };
    Failure {
        exit,
        why: error.into(),
    }
}
