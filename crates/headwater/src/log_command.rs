//! `headwater log`: the log of a stopped program, looked at and mended.

use std::path::{Path, PathBuf};

use headwater_eventlog::{LogOptions, Progress, Verified};
use headwater_host::Host;
use indicatif::{BinaryBytes, HumanCount, ProgressBar, ProgressStyle};

use crate::announce::say;
use crate::data_folder;
use crate::exit::{Exit, Failure, OrExit};
use crate::pieces::{LOG_FOLDER, cannot_open};

/// What a repair that gave up events leaves as it is.
const VIEWS_KEEP: &str = "views keep what they folded of the events that are lost; ALTER MATERIALIZED VIEW … REBUILD makes one anew without them";

/// Runs `headwater log verify`: reads everything and changes nothing.
pub fn verify(data: &Path) -> Result<(), Failure> {
    let verified = read(data)?;
    report(&verified);
    match verified.damage.len() {
        0 => Ok(()),
        places => Err(Failure::new(
            Exit::Damaged,
            format!("{places} damaged places; everything else is whole"),
        )),
    }
}

/// Runs `headwater log repair`: says what would be cut out; with `--yes` does it.
pub fn repair(data: &Path, yes: bool) -> Result<(), Failure> {
    let verified = read(data)?;
    report(&verified);
    if verified.damage.is_empty() {
        say("nothing is damaged: nothing to repair");
        return Ok(());
    }
    let side = side_folder(data);
    if !yes {
        return Err(Failure::new(
            Exit::Damaged,
            format!(
                "{} damaged places, nothing was changed. If there is no copy to restore from, run this again with --yes: every file that changes is \
                 copied to {} first, what is lost is cut out, and everything that is whole stays",
                verified.damage.len(),
                side.display()
            ),
        ));
    }
    let bar = bar()?;
    let options = LogOptions::default();
    let repaired = headwater_eventlog::repair(&Host::real(), &data.join(LOG_FOLDER), &side, &options, |read| {
        show(&bar, read);
    });
    bar.finish_and_clear();
    let repaired = repaired.map_err(cannot_open)?.unwrap_or_default();
    for copy in &repaired.copies {
        say(&format!("copied    {}", copy.display()));
    }
    // A repair is believed no more than anything else.
    let left = read(data)?.damage;
    for damage in &left {
        say(&format!("DAMAGE    {damage}"));
    }
    match left.len() {
        0 => {
            say(&format!(
                "repaired: {} damaged places; the log is whole, without what is named lost above",
                repaired.damage.len()
            ));
            if repaired.damage.iter().any(|damage| !damage.lost.is_empty()) {
                say(VIEWS_KEEP);
            }
            Ok(())
        }
        places => Err(Failure::new(
            Exit::Damaged,
            format!("{places} places are damaged still: restore the folder from a copy"),
        )),
    }
}

fn read(data: &Path) -> Result<Verified, Failure> {
    data_folder::look(data)?;
    let bar = bar()?;
    let verified = headwater_eventlog::verify(&Host::real(), &data.join(LOG_FOLDER), |read| show(&bar, read));
    bar.finish_and_clear();
    verified.map_err(cannot_open)?.ok_or_else(|| {
        let why = format!(
            "there is no log in {}: name the data folder with --data",
            data.display()
        );
        Failure::new(Exit::Usage, why)
    })
}

fn report(verified: &Verified) {
    for stream in &verified.streams {
        let state = match stream.damaged {
            0 => "whole",
            _ => "DAMAGED",
        };
        say(&format!(
            "{}: {} partitions, {} events in {} batches, {}: {state}",
            stream.name,
            stream.partitions,
            HumanCount(stream.events),
            HumanCount(stream.batches),
            BinaryBytes(stream.bytes)
        ));
    }
    if verified.journal_batches > 0 {
        say(&format!(
            "journal: {} batches in {} frames go into segments at the next start",
            HumanCount(verified.journal_batches),
            HumanCount(verified.frames)
        ));
    }
    if verified.tail_bytes > 0 {
        say(&format!(
            "journal: {} of an unfinished write are cut off at the next start; they were never acknowledged",
            BinaryBytes(verified.tail_bytes)
        ));
    }
    for path in &verified.strange {
        say(&format!(
            "strange   {}: it belongs to nothing, and is left alone",
            path.display()
        ));
    }
    for damage in &verified.damage {
        say(&format!("DAMAGE    {damage}"));
    }
}

/// Where a repair puts its copies: beside the log, under a name that is free.
fn side_folder(data: &Path) -> PathBuf {
    let numbered = (1..).map(|number: u32| data.join(format!("log-before-repair-{number}")));
    let mut free = numbered.filter(|path| !path.exists());
    free.next().unwrap_or_else(|| data.join("log-before-repair"))
}

fn bar() -> Result<ProgressBar, Failure> {
    let style = "{bar:40} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(style).or_exit(Exit::Failed)?;
    Ok(ProgressBar::new(0).with_style(style))
}

fn show(bar: &ProgressBar, read: Progress) {
    bar.set_length(read.of);
    bar.set_position(read.bytes);
}
