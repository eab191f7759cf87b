//! What the program says while it runs: to standard error, with colour only on a terminal.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

use crate::exit::{Exit, Failure};

/// What is said where nothing else was asked for.
const FILTER_DEFAULT: &str = "warn,headwater=info";

/// Whether what goes well is kept to itself now.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Does something of which only what goes wrong is said.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    IS_QUIET.store(true, Ordering::Relaxed);
    let done = work();
    IS_QUIET.store(false, Ordering::Relaxed);
    done
}

/// Starts tracing with a filter; once.
pub fn start(filter: Option<&str>) -> Result<(), Failure> {
    let text = filter.unwrap_or(FILTER_DEFAULT);
    let filter = EnvFilter::try_new(text).map_err(|why| {
        let advice =
            "write a level (error, warn, info, debug, trace) or levels by part, as in 'warn,headwater_eventlog=debug'";
        Failure::new(Exit::Usage, format!("--log '{text}': {why}; {advice}"))
    })?;
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr.with_filter(is_said))
        .with_ansi(colour)
        // Where standard error cannot be written, a word about that cannot be either.
        .log_internal_errors(false)
        .init();
    Ok(())
}

fn is_said(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::WARN || !IS_QUIET.load(Ordering::Relaxed)
}

/// Sends panics to the trace, with the thread's name. The thread unwinds as always: the task or the connection it worked for ends with an
/// error, and a piece that cannot go on stops itself and says so.
pub fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let message = panic.payload_as_str().unwrap_or("without a message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let trace = std::backtrace::Backtrace::capture();
        tracing::error!(thread = thread.name().unwrap_or("?"), place, %trace, "a bug: panic: {message}");
    }));
}
