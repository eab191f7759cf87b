//! `headwater run`: the application's pieces start, its doors open, and it runs until it is told to stop.

use std::time::{Duration, Instant};

use headwater_eventlog::EventLog;
use headwater_sql::Engine;
use tokio::runtime::{Builder, Runtime};

use crate::announce::{self, say};
use crate::application::Application;
use crate::arguments;
use crate::data_folder;
use crate::definitions;
use crate::doors::{self, Bound};
use crate::environment;
use crate::exit::{Exit, Failure, OrExit};
use crate::pieces::Pieces;
use crate::rehearsal::rehearse;
use crate::replay::{self, Replayed};
use crate::settings::Settings;
use crate::stop::StopSignals;
use crate::{limits, progress, trace};

/// How often it is looked whether the log still writes.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked whether storage answers that did not.
const LATE: Duration = Duration::from_secs(5);

/// Runs the application until it is told to stop.
pub fn run(options: &arguments::Run, log: Option<&str>) -> Result<(), Failure> {
    let began = Instant::now();
    environment::check()?;
    let application = Application::read(&options.application)?;
    let settings = Settings::read(options, log, &application.folder)?;
    trace::start(settings.log.as_deref())?;
    // Before the data folder is touched: what is no SQL ends here.
    let script = definitions::read(&application)?;
    // Two runtimes: a long scan on the one never delays an append at the doors on the other.
    let doors = runtime("doors")?;
    let questions = runtime("questions")?;
    let signals = doors.block_on(async { StopSignals::catch() })?;

    data_folder::make(&settings.data)?;
    let replayed = Replayed::of(&settings.data)?;
    let mut options = settings.pieces.clone();
    options.is_copy = replayed.is_some();
    if replayed.is_some() {
        options.log.tend_every = replay::NEVER;
    }
    let (pieces, recovery) = Pieces::open(&settings.data, doors.handle(), options)?;
    if replayed.is_some() {
        pieces.views.hold_pipelines();
    }
    let bound = doors.block_on(Bound::bind(&settings))?;
    for line in bound.lines() {
        say(&line);
    }
    for line in replayed.iter().map(Replayed::line) {
        say(&line);
    }
    for line in announce::recovery(&settings.data, &recovery) {
        say(&line);
    }
    for damage in &recovery.damage {
        tracing::error!("damage: {damage}; reading there fails, everything else is whole");
    }
    trace::quietly(|| rehearse(&pieces, &script, &questions))?;
    questions.block_on(definitions::start(&pieces, &script))?;
    for line in announce::definitions(&pieces.catalog) {
        say(&line);
    }
    if let Some(line) = announce::beside(&pieces.engine.beside(&script), &application.file) {
        say(&line);
    }
    if replayed.is_none() {
        questions.spawn(pieces.schedules.clone().run());
        questions.spawn(pieces.commands.clone().run_schedules());
    }
    let broker = if bound.has_kafka() {
        Some(doors::broker(&pieces, settings.kafka_options.clone())?)
    } else {
        None
    };
    let open = doors.block_on(async { bound.open(&pieces, broker, settings.http_options.clone(), questions.handle()) });
    say(&format!("ready in {} ms", began.elapsed().as_millis()));
    progress::follow(pieces.views.clone());
    questions.spawn(start_late_views(pieces.engine.clone()));
    survey(pieces.log.clone());

    let signal = doors.block_on(async {
        let watching = tokio::spawn(watch(pieces.log.clone()));
        let signal = signals.first().await;
        // From here on the log is closed on purpose.
        watching.abort();
        signal
    });
    tracing::info!("{signal}: stopping");
    let stopped = pieces.log.stopped();
    doors.block_on(open.close(limits::STOP_REQUESTS_MAX));
    questions.shutdown_background();
    pieces.close();
    doors.shutdown_background();
    match stopped {
        Some(why) => Err(Failure::new(
            Exit::Damaged,
            format!("the log had stopped writing: {why}"),
        )),
        None => Ok(()),
    }
}

/// Starts views whose storage did not answer at the start, or had no room, once it does.
async fn start_late_views(engine: Engine) {
    loop {
        tokio::time::sleep(LATE).await;
        let engine = engine.clone();
        for view in tokio::task::spawn_blocking(move || engine.start_late_views())
            .await
            .unwrap_or_default()
        {
            tracing::info!("the view '{view}' starts now: its storage is there");
        }
    }
}

/// Looks for missing segments behind a start that does not wait for it: with many of them that takes a while.
fn survey(log: EventLog) {
    let surveyor = move || {
        for damage in log.survey() {
            say(&format!("DAMAGE    {damage}"));
            tracing::error!("damage: {damage}");
        }
    };
    if let Err(why) = std::thread::Builder::new().name("survey".to_owned()).spawn(surveyor) {
        tracing::warn!("nobody looks for missing segments: {why}");
    }
}

fn runtime(name: &'static str) -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .thread_name(name)
        .thread_stack_size(limits::STATEMENT_STACK_BYTES)
        .enable_all()
        .build()
        .or_exit(Exit::Failed)
}

/// Says it, once, when the log stops writing, and each time that the clock is found to be behind, at the start or later. The program goes on
/// answering questions.
async fn watch(log: EventLog) {
    let mut is_behind = false;
    loop {
        let said = announce::clock(log.clock_behind_us());
        let was_behind = std::mem::replace(&mut is_behind, said.is_some());
        if let Some(what) = said.filter(|_| !was_behind) {
            tracing::warn!("the clock: {what}");
        }
        if let Some(why) = log.stopped() {
            tracing::error!(
                "the log stopped writing: {why}; questions are still answered, restart when the cause is mended"
            );
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
}
