//! What the program says while it runs: to standard error, with colour only on a terminal.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::level_filters::LevelFilter;
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
    let filter = parse(filter.unwrap_or(FILTER_DEFAULT))?;
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

fn parse(text: &str) -> Result<EnvFilter, Failure> {
    let refused = |why: String| {
        let advice = "write a level (error, warn, info, debug, trace, off) or levels by part, as in 'warn,headwater_eventlog=debug'";
        Failure::new(Exit::Usage, format!("--log '{text}': {why}; {advice}"))
    };
    // A word that is no level is taken for the name of a part by itself, and everything else is silenced.
    let is_misspelt = |word: &&str| {
        let is_part = word.starts_with("headwater") || word.contains(['=', '[']);
        !word.is_empty() && !is_part && word.parse::<LevelFilter>().is_err()
    };
    match text.split(',').map(str::trim).find(is_misspelt) {
        Some(word) => Err(refused(format!("'{word}' is no level"))),
        None => EnvFilter::try_new(text).map_err(|why| refused(why.to_string())),
    }
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
        if is_taken_into_account(message, &place) {
            tracing::debug!(place, "a panic that is caught where it comes from: {message}");
            return;
        }
        let trace = std::backtrace::Backtrace::capture();
        tracing::error!(thread = thread.name().unwrap_or("?"), place, %trace, "a bug: panic: {message}");
    }));
}

/// Whether a library panics where another one expects it: a writer of column files that found the disk full is told to give up what it wrote, and panics
/// where it had begun with the end of it; who tells it to catches that, and the error is said as what it is.
fn is_taken_into_account(message: &str, place: &str) -> bool {
    message == "Already shut down" && place.contains("/object_store-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        let check = |text: &str, refused: Option<&str>| match (parse(text), refused) {
            (Ok(_), None) => {}
            (Err(failure), Some(why)) => assert!(failure.to_string().contains(why), "{failure}"),
            (got, refused) => panic!("{text}: {got:?}, expected {refused:?}"),
        };
        for text in [
            "warn",
            "WARN",
            "off",
            "warn,headwater=info",
            "warn, headwater_sql",
            "hyper=debug",
            "",
        ] {
            check(text, None);
        }
        check("inof", Some("'inof' is no level"));
        check("everything", Some("'everything' is no level"));
        check("warning,headwater=info", Some("'warning' is no level"));
        check("headwater=loud", Some("--log 'headwater=loud'"));
    }
    #[test]
    fn a_panic_is_a_bug_unless_it_is_one_that_is_expected() {
        let place = "/registry/object_store-0.13.2/src/buffered.rs:369:41";
        assert!(is_taken_into_account("Already shut down", place));
        assert!(!is_taken_into_account(
            "Already shut down",
            "crates/views/src/follow.rs:1:1"
        ));
        assert!(!is_taken_into_account("index out of bounds", place));
    }
}
