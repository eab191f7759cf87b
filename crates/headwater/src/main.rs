//! Which pieces start, in which order, with which configuration? The program: command line, settings, start, stop.
//!
//! ```text
//! main -> arguments -> run   -> application, settings, pieces, definitions, doors, announce, progress, stop
//!                      check -> scratch (pieces over an empty log), definitions
//!                      test  -> scratch, one for each test
//!                      sql, explain_command -> the PostgreSQL door of a running program
//!                      replay -> one log into another
//!                      log_command -> the log alone
//! ```
//!
//! Invariants
//! - What goes wrong ends the program with a text that says what to do, and an exit code that means something ([`exit::Exit`]).
//! - Nothing answers at a door before everything behind it is ready.

mod announce;
mod application;
mod arguments;
mod check;
mod data_folder;
mod definitions;
mod doors;
mod environment;
mod exit;
mod explain_command;
mod limits;
mod log_command;
mod moment;
mod pieces;
mod progress;
mod rehearsal;
mod replay;
mod run;
mod scratch;
mod settings;
mod sql;
mod stop;
mod test;
mod text_file;
mod trace;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Log, Verb};
use exit::{Exit, Failure};

/// What one thread allocates another frees, for each append, call and answer: the system's allocator takes a quarter of their time for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    trace::panics();
    match carry_out(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where it cannot be written the exit status says it.
            let _ = writeln!(std::io::stderr(), "error: {failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn carry_out(arguments: &Arguments) -> Result<(), Failure> {
    let log = arguments.log.as_deref();
    if !matches!(arguments.verb, Verb::Run(_)) {
        trace::start(log.or(Some("warn")))?;
    }
    match &arguments.verb {
        Verb::Run(options) => run::run(options, log),
        Verb::Check { application } => check::run(application),
        Verb::Test(options) => test::run(options),
        Verb::Replay(options) => replay::run(options),
        Verb::Sql(options) => sql::run(options),
        Verb::ExplainCommand(options) => explain_command::run(options),
        Verb::Log(Log::Verify { data }) => log_command::verify(data),
        Verb::Log(Log::Repair { data, yes }) => log_command::repair(data, *yes),
        Verb::Prove { .. } => Err(not_there("headwater prove", "nothing proves a log to others yet")),
        Verb::Verify { .. } => Err(not_there(
            "headwater verify",
            "'headwater log verify' checks every batch of a log of your own",
        )),
    }
}

fn not_there(verb: &str, instead: &str) -> Failure {
    Failure::new(Exit::Usage, format!("'{verb}' is not there yet: {instead}"))
}
