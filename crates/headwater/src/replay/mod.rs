//! `headwater replay`: the history of a program up to a moment, with its whole application, in a folder of its own.
//!
//! ```text
//! log of a stopped program, or a running one by HTTP ─> history (a consistent cut, in the order of appending) ─> copy (same offsets, times, principals, bytes) ─> target log
//!                                                                       └─> app.sql: the definitions as they were then
//! ```
//!
//! The copy is marked ([`marker`]): a program that runs on it does nothing of its own accord, so that what happened once does not happen again.

mod copy;
mod marker;
mod script;
mod source;

use std::fs;
use std::path::Path;

use headwater_catalog::{Catalog, INTERNAL_PREFIX};
use headwater_eventlog::{EventLog, LogOptions, Until};
use headwater_host::Host;
use headwater_host::simulated::SimulatedClock;
use indicatif::HumanCount;

use crate::announce::say;
use crate::arguments;
use crate::exit::{Exit, Failure, OrExit};
use crate::moment;
use crate::pieces::{LOG_FOLDER, cannot_open};
pub use marker::{NEVER, Replayed};
use source::History;

/// The application as it was then, in the target folder.
const APPLICATION: &str = "app.sql";

/// Runs `headwater replay`.
pub fn run(options: &arguments::Replay) -> Result<(), Failure> {
    let until = parse(&options.until)?;
    let target = &options.into;
    check_empty(target)?;
    let (history, from) = match &options.from {
        Some(address) => (
            History::of_program(address, &until, options.with_gaps)?,
            format!("the program at {address}"),
        ),
        None => {
            check_outside(target, &options.data)?;
            (
                History::of_folder(&options.data, &until, options.with_gaps)?,
                options.data.display().to_string(),
            )
        }
    };
    if history.head.streams.is_empty() {
        history.close();
        let why = format!("--until '{}': nothing had been appended by then", options.until);
        return Err(Failure::new(Exit::Usage, why));
    }
    let was_there = target.exists();
    let replayed = replay(history, from, target);
    if replayed.is_err() {
        clear(target, was_there);
    }
    replayed
}

/// Takes away what a copy that failed left, so that the next try finds what this one found. What stays says of itself that it was broken off.
fn clear(target: &Path, was_there: bool) {
    let cleared = match was_there {
        false => fs::remove_dir_all(target),
        true => fs::remove_dir_all(target.join(LOG_FOLDER)).and_then(|()| {
            // Written last, or not at all.
            let _ = fs::remove_file(target.join(APPLICATION));
            Replayed::remove(target)
        }),
    };
    if let Err(why) = cleared.or_else(|why| match why.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(why),
    }) {
        tracing::warn!("what was copied into {} stays there: {why}", target.display());
    }
}

fn replay(mut history: History, from: String, target: &Path) -> Result<(), Failure> {
    let marker = Replayed {
        from,
        until_us: history.head.moment_us,
        finished: false,
    };
    fs::create_dir_all(target).or_exit(Exit::Usage)?;
    marker.write(target)?;
    let clock = SimulatedClock::default();
    // Append times are those of the batches: the copy's clock is set to them.
    let host = Host {
        clock: std::sync::Arc::new(clock.clone()),
        ..Host::real()
    };
    let log_options = LogOptions {
        tend_every: NEVER,
        ..LogOptions::default()
    };
    let (copy, _) = EventLog::open(host, &target.join(LOG_FOLDER), log_options).map_err(cannot_open)?;
    let copied = copy_and_define(&mut history, &copy, &clock, target);
    copy.close();
    history.close();
    copied?;
    Replayed {
        finished: true,
        ..marker
    }
    .write(target)?;
    let shown = target.display();
    say(&format!(
        "run it beside the live one: headwater run {shown} --data {shown} --kafka 127.0.0.1:0 --postgres 127.0.0.1:0 --http 127.0.0.1:0"
    ));
    Ok(())
}

fn copy_and_define(
    history: &mut History,
    copy: &EventLog,
    clock: &SimulatedClock,
    target: &Path,
) -> Result<(), Failure> {
    let copied = copy::all(history, copy, clock)?;
    say(&format!(
        "copied {} events of {} streams up to {}",
        HumanCount(copied.events),
        copied.streams,
        moment::shown(history.head.moment_us)
    ));
    for stream in &history.head.left_out {
        say(&match stream.starts_with(INTERNAL_PREFIX) {
            true => format!(
                "left out  {stream}: it keeps the newest of each key alone, and what it held then cannot be told"
            ),
            false => format!("left out  {stream}: nothing is left of what it had then, if it had anything"),
        });
    }
    for stream in &history.head.with_gaps {
        say(&format!(
            "with gaps {stream}: some of its events of that time are gone, and what is made of it lacks them"
        ));
    }
    let catalog = Catalog::open(copy.clone()).or_exit(Exit::Damaged)?;
    for definition in catalog.all() {
        let name = definition.name();
        if definition.noun() == "stream" && !history.has_stream(name) {
            say(&format!(
                "empty     {name}: it was dropped since, and its events with it"
            ));
        }
    }
    let script = script::of(&catalog);
    fs::write(target.join(APPLICATION), script).or_exit(Exit::Usage)
}

/// A time, or a position where there is an `@` in it.
fn parse(text: &str) -> Result<Until, Failure> {
    let refuse = |why: String| Failure::new(Exit::Usage, format!("--until '{text}': {why}"));
    let advice =
        "write a time (2025-01-31 09:30:00, in UTC unless it has a zone) or a position (transactions/0@42,1@17)";
    if text.contains('@') {
        return match text.parse() {
            Ok(position) => Ok(Until::Position(position)),
            Err(why) => Err(refuse(format!("{why}; {advice}"))),
        };
    }
    match moment::parse(text) {
        Some(moment_us) => Ok(Until::Time(moment_us)),
        None => Err(refuse(format!("it is neither a time nor a position; {advice}"))),
    }
}

fn check_empty(target: &Path) -> Result<(), Failure> {
    match fs::read_dir(target).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(Failure::new(
            Exit::Usage,
            format!(
                "{} is not empty, and nothing is written over: name a folder that is not there yet with --into",
                target.display()
            ),
        )),
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(Exit::Usage, format!("--into {}: {why}", target.display())))
        }
        _ => Ok(()),
    }
}

/// Refuses a target in the folder that is copied, whose files would lie among the log's own.
fn check_outside(target: &Path, data: &Path) -> Result<(), Failure> {
    // The target is not there yet: the nearest folder above it that is says where it will be.
    let target = std::path::absolute(target).or_exit(Exit::Usage)?;
    let above = target.ancestors().find_map(|folder| folder.canonicalize().ok());
    match (above, data.canonicalize()) {
        (Some(above), Ok(data)) if above.starts_with(&data) => Err(Failure::new(
            Exit::Usage,
            format!(
                "--into {}: it lies in the data folder {} that is copied; name a folder outside of it",
                target.display(),
                data.display()
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_lies_outside_of_what_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("log")).unwrap();
        let check = |target: &str, is_outside: bool| {
            let checked = check_outside(&folder.path().join(target), &data);
            assert_eq!(checked.is_ok(), is_outside, "{target}");
        };
        check("then", true);
        check("data-then/deep/er", true);
        check("data", false);
        check("data/then", false);
        check("data/log/x/y", false);
    }

    #[test]
    fn until_is_a_time_or_a_position() {
        assert_eq!(parse("1970-01-02").unwrap(), Until::Time(86_400_000_000));
        assert_eq!(parse("s/0@3").unwrap(), Until::Position("s/0@3".parse().unwrap()));
        for wrong in ["yesterday", "", "s@3", "s/0@x"] {
            let failure = parse(wrong).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.to_string().contains("write a time"), "{failure}");
        }
    }
}
