//! From what recovery found to an open log: streams in memory, a journal file in the writer's hands, two threads.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use headwater_host::Host;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, watch};

use crate::behind::Behind;
use crate::image::Image;
use crate::journal::format::{BatchEntry, payload_bytes_max};
use crate::journal::writer::{JournalFile, JournalWriter};
use crate::keeper::Keeper;
use crate::limits::{FIRST_JOURNAL_BYTES, GROUP_BYTES_MAX};
use crate::log::{EventLog, Threads};
use crate::recovery::Recovered;
use crate::room::{Room, Writing};
use crate::segment::reader::SegmentReader;
use crate::sequencer::Sequencer;
use crate::shared::{Counters, ProducerIds, Shared, Streams};
use crate::streams::Stream;
use crate::tend::{self, Tending};
use crate::transactions::Turn;
use crate::types::{LogOptions, OpenError, StoredBatch};
use crate::watching::Watchers;
use crate::writer;

/// Builds the log in memory from what the disk held, and starts its threads.
pub(crate) fn start(host: Host, dir: &Path, options: LogOptions, recovered: Recovered) -> Result<EventLog, OpenError> {
    let Recovered {
        lock,
        image,
        segments,
        journal_files,
        unwritten,
        journal_damage,
        ..
    } = recovered;
    let disk = host.disk.as_ref();
    let mut files: Vec<JournalFile> = Vec::new();
    if journal_damage.is_none() {
        if journal_files.is_empty() {
            let length = FIRST_JOURNAL_BYTES.min(options.journal_bytes);
            files.push(JournalFile::prepare(disk, dir, 0, length)?);
        }
        for number in &journal_files {
            files.push(JournalFile::prepare(disk, dir, *number, 0)?);
        }
    }
    let made = journal_files.iter().max().map_or(1, |number| number + 1);
    let mut streams = Streams::default();
    for (id, stream) in &image.streams {
        streams.add(Arc::new(Stream::new(*id, stream, &image.producers)));
    }
    keep_in_memory(&streams, &image, unwritten);
    let append_bytes_max = payload_bytes_max(options.journal_bytes);
    let group_bytes_max = GROUP_BYTES_MAX.min(append_bytes_max);
    let shared = Arc::new(Shared {
        sequencer: Sequencer::new(
            image.producers.clone(),
            &image.principals,
            image.appended_at_us,
            group_bytes_max,
        ),
        streams: RwLock::new(streams),
        principals: RwLock::new(image.principals.clone()),
        watermarks: RwLock::new(()),
        commits: watch::Sender::new(0),
        watchers: Watchers::default(),
        pending: Semaphore::new(options.pending_bytes_max),
        behind: Behind::new(made),
        room: Room::new(host.disk.clone(), dir, options.journal_bytes),
        reader: SegmentReader::new(host.disk.clone(), dir),
        counters: Counters::default(),
        tending: Tending::default(),
        definitions: Mutex::new(()),
        producer_ids: Mutex::new(ProducerIds {
            next: image.next_producer_id,
            reserved: image.next_producer_id,
        }),
        append_bytes_max,
        dir: dir.to_owned(),
        options,
        host,
        _lock: lock,
    });
    let threads = Arc::new(Threads {
        shared: shared.clone(),
        writer: Mutex::new(None),
        keeper: Mutex::new(None),
        tender: Mutex::new(None),
    });
    match (journal_damage, files.pop()) {
        (None, Some(current)) => {
            for file in files {
                shared.behind.add_free(file);
            }
            shared.room.suffices(Writing::Behind);
            let journal = JournalWriter::new(current, image.next_sequence, image.key);
            let keeper = Keeper::new(image, segments);
            let (for_writer, for_keeper) = (shared.clone(), shared.clone());
            *threads.writer.lock() = Some(spawn(dir, "log-writer", move || writer::run(&for_writer, journal))?);
            let for_tender = shared.clone();
            *threads.tender.lock() = Some(spawn(dir, "log-tender", move || tend::run(&for_tender))?);
            *threads.keeper.lock() = Some(spawn(dir, "log-keeper", move || keeper.run(&for_keeper))?);
        }
        (damage, _) => shared.stop(&damage.unwrap_or_default()),
    }
    Ok(EventLog { shared, threads })
}

/// Puts batches that are in no segment where readers find them: a damaged journal is read, and nothing is written.
fn keep_in_memory(streams: &Streams, image: &Image, unwritten: Vec<BatchEntry>) {
    for entry in unwritten {
        let Some(partition) = streams.find(entry.stream, entry.partition) else {
            continue;
        };
        let principal = image
            .principals
            .get(entry.principal as usize)
            .cloned()
            .unwrap_or_else(|| Arc::from("?"));
        let mut tail = partition.tail.lock();
        tail.end = entry.batch.next_offset();
        partition.set_high_watermark(tail.end);
        tail.batches.push_back(StoredBatch {
            batch: entry.batch,
            appended_at_us: entry.appended_at_us,
            principal,
        });
    }
    for ((stream, number), ranges) in &image.aborted {
        for range in ranges {
            if let Some(partition) = streams.find(*stream, *number) {
                let range = *range;
                partition.transactions.turn(Turn::Ends { aborted: true, range });
            }
        }
    }
}

fn spawn(dir: &Path, name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| OpenError::Disk {
            path: dir.display().to_string(),
            source,
        })
}
