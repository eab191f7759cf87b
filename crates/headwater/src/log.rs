//! `headwater log`: the log of a stopped program, looked at.

use std::path::Path;

use headwater_eventlog::{EventLog, LogOptions, StreamInfo};
use indicatif::{BinaryBytes, HumanCount};

use crate::announce::{self, say};
use crate::exit::{Exit, Failure};
use crate::pieces::{self, LOG_FOLDER};

/// How much is read at once.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What reading a stream found.
#[derive(Default)]
struct Found {
    events: u64,
    batches: u64,
    bytes: u64,
    damage: Vec<String>,
}

/// Runs `headwater log verify`: reads every batch of every stream, which checks its CRC.
pub fn verify(data: &Path) -> Result<(), Failure> {
    if !data.join(LOG_FOLDER).is_dir() {
        let why = format!(
            "there is no log in {}: name the data folder with --data",
            data.display()
        );
        return Err(Failure::new(Exit::Usage, why));
    }
    let (log, recovery) = pieces::open_log(data, LogOptions::default())?;
    for line in announce::recovery(data, &recovery) {
        say(&line);
    }
    let mut damaged = recovery.damage.len();
    for stream in log.streams() {
        let found = read(&log, &stream);
        damaged += found.damage.len();
        let Found {
            events,
            batches,
            bytes,
            damage,
        } = found;
        let state = if damage.is_empty() { "whole" } else { "DAMAGED" };
        say(&format!(
            "{}: {} partitions, {} events in {} batches, {}: {state}",
            stream.name,
            stream.partitions,
            HumanCount(events),
            HumanCount(batches),
            BinaryBytes(bytes)
        ));
        for damage in damage {
            say(&format!("  {damage}"));
        }
    }
    log.close();
    match damaged {
        0 => Ok(()),
        places => Err(Failure::new(
            Exit::Damaged,
            format!("{places} damaged places; everything else is whole"),
        )),
    }
}

fn read(log: &EventLog, stream: &StreamInfo) -> Found {
    let mut found = Found::default();
    for partition in 0..stream.partitions {
        let Some(offsets) = log.offsets(&stream.name, partition) else {
            continue;
        };
        let mut next = offsets.start;
        while next < offsets.high_watermark {
            match log.read_stored(&stream.name, partition, next, u64::MAX, READ_BYTES) {
                Ok(batches) if batches.is_empty() => {
                    found.damage.push(format!(
                        "{}/{partition}@{next}: nothing below the high watermark",
                        stream.name
                    ));
                    break;
                }
                Ok(batches) => {
                    for stored in &batches {
                        found.events += u64::from(stored.batch.event_count());
                        found.batches += 1;
                        found.bytes += stored.batch.bytes().len() as u64;
                        next = stored.batch.next_offset();
                    }
                }
                Err(why) => {
                    found.damage.push(why.to_string());
                    break;
                }
            }
        }
    }
    found
}
