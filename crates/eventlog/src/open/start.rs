//! From what recovery found to an open log: streams in memory, a journal file in the writer's hands, two threads.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use headwater_host::Host;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, watch};

use crate::append::journal::format::payload_bytes_max;
use crate::append::journal::reader::Frame;
use crate::append::journal::writer::{JournalFile, JournalWriter, SPARE};
use crate::append::room::{Room, Writing};
use crate::append::sequencer::Sequencer;
use crate::append::writer;
use crate::entities::desk::Desk;
use crate::entities::indexer;
use crate::error::OpenError;
use crate::keep::behind::{Behind, DurableGroup, Found};
use crate::keep::image::Image;
use crate::keep::keeper::{Keeper, lay_spare_aside};
use crate::keep::segment::reader::SegmentReader;
use crate::keep::segment::writer::SegmentWriter;
use crate::limits::{COMPANY_MAX, GROUP_BYTES_MAX};
use crate::open::recovery::{Described, Journal, Recovered};
use crate::options::LogOptions;
use crate::read::damaged::DamagedPlaces;
use crate::read::stored::StoredBatch;
use crate::read::stretch::Stretches;
use crate::read::taken_back::Lists;
use crate::shared::{Counters, ProducerIds, Shared, Streams};
use crate::streams::Stream;
use crate::streams::transactions::Turn;
use crate::tend;
use crate::tend::folded::Asked;
use crate::tend::tending::Tending;
use crate::threads::Threads;

/// Builds the log in memory from what the disk held, and starts its threads.
pub(crate) fn start(host: Host, dir: &Path, options: LogOptions, recovered: Recovered) -> Result<Threads, OpenError> {
    let Recovered {
        claim,
        described,
        journal,
        ..
    } = recovered;
    let mut streams = Streams::default();
    for (id, stream) in &described.image.streams {
        streams.add(Arc::new(Stream::new(*id, stream, &described.image.producers)));
    }
    keep_in_memory(&streams, &described);
    let Described {
        mut image,
        mut checkpoint,
        frames,
        is_uneven,
        ..
    } = described;
    let silent_max_us = i64::try_from(options.producer_silent_max.as_micros()).unwrap_or(i64::MAX);
    image.producers.expire_after(silent_max_us);
    checkpoint.producers.expire_after(silent_max_us);
    let again = is_uneven || !frames.is_empty();
    let (journal, found) = match journal {
        Ok(journal) => {
            let (writer, found) = go_on(journal, frames, &image);
            (writer.ok_or_else(|| "it has no journal file".to_owned()), found)
        }
        Err(why) => (Err(why), Found::default()),
    };
    let (journal, damage) = match journal {
        Ok(journal) => (Some(journal), None),
        Err(why) => (None, Some(why)),
    };
    let append_bytes_max = payload_bytes_max(options.journal_bytes);
    let group_bytes_max = GROUP_BYTES_MAX.min(append_bytes_max);
    let shared = Arc::new(Shared {
        sequencer: Sequencer::new(
            image.producers.clone(),
            &image.principals,
            image.appended_at_us,
            group_bytes_max,
            COMPANY_MAX,
        ),
        journal: Mutex::new(journal),
        term_key: image.key,
        indexes: Arc::default(),
        desk: Arc::new(Desk::new(host.disk.clone(), options.entity_memory_bytes)),
        streams: RwLock::new(streams),
        // The keeper adds those of the frames that it takes.
        principals: RwLock::new(match damage {
            None => checkpoint.principals.clone(),
            Some(_) => image.principals.clone(),
        }),
        watermarks: RwLock::new(()),
        commits: watch::Sender::new(0),
        watchers: Arc::default(),
        pending: Semaphore::new(options.pending_bytes_max),
        behind: Behind::new(found),
        room: Room::new(host.clone(), dir, options.journal_bytes),
        reader: SegmentReader::new(host.disk.clone(), dir),
        stretches: Stretches::default(),
        damaged: DamagedPlaces::default(),
        lists: Lists::default(),
        counters: Counters::default(),
        tending: Tending::default(),
        folded: Asked::default(),
        definitions: Mutex::new(()),
        producer_ids: Mutex::new(ProducerIds {
            next: image.next_producer_id,
            reserved: image.next_producer_id,
        }),
        append_bytes_max,
        dir: dir.to_owned(),
        options,
        host,
        claim,
    });
    let threads = Threads {
        shared: shared.clone(),
        writer: Mutex::new(None),
        keeper: Mutex::new(None),
        tender: Mutex::new(None),
        indexer: Mutex::new(None),
    };
    let for_indexer = shared.clone();
    *threads.indexer.lock() = Some(spawn(dir, "log-indexer", move || indexer::run(&for_indexer))?);
    match damage {
        None => {
            match lay_spare_aside(&shared) {
                Ok(()) => shared.room.suffices(Writing::Behind),
                Err(error) if error.is_shortage() => {
                    shared.room.ran_out(Writing::Behind, &error);
                }
                Err(error) => return Err(error.into()),
            }
            let segments = SegmentWriter::new(shared.host.disk.clone(), dir);
            let keeper = Keeper::new(checkpoint, segments, again);
            let (for_writer, for_keeper) = (shared.clone(), shared.clone());
            *threads.writer.lock() = Some(spawn(dir, "log-writer", move || writer::run(&for_writer))?);
            let for_tender = shared.clone();
            *threads.tender.lock() = Some(spawn(dir, "log-tender", move || tend::run(&for_tender))?);
            *threads.keeper.lock() = Some(spawn(dir, "log-keeper", move || keeper.run(&for_keeper))?);
        }
        Some(why) => shared.stop(&why),
    }
    Ok(threads)
}

/// The journal in the writer's hands, and what the keeper is to take from it.
fn go_on(journal: Journal, frames: Vec<Frame>, image: &Image) -> (Option<JournalWriter>, Found) {
    let mut found = Found {
        made: journal.made,
        lacks_spare: true,
        ..Found::default()
    };
    for frame in frames {
        found.groups.push_back(DurableGroup {
            sequence: frame.sequence,
            entries: frame.entries,
            bytes: frame.bytes as usize,
        });
    }
    let mut current: Option<(JournalFile, u64)> = None;
    for (file, state) in journal.files {
        found.lacks_spare &= file.number != SPARE;
        match (journal.end, state.last_sequence) {
            (Some((number, place)), _) if number == file.number => current = Some((file, place)),
            (_, Some(last_sequence)) => found.full.push((file, last_sequence)),
            (_, None) if file.number == SPARE => found.spare = Some(file),
            (_, None) => found.free.push(file),
        }
    }
    found.free.sort_unstable_by_key(|file| file.length);
    let first = || found.free.pop().map(|file| (file, 0));
    let current = current.or_else(first);
    let writer = current.map(|(file, place)| JournalWriter::new(file, place, image.next_sequence, image.key));
    (writer, found)
}

/// Puts batches that are in no segment where readers find them.
fn keep_in_memory(streams: &Streams, described: &Described) {
    let image = &described.image;
    for entry in described.batches() {
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
            batch: entry.batch.clone(),
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
        .map_err(|said| OpenError::Disk {
            path: dir.display().to_string(),
            said,
        })
}
