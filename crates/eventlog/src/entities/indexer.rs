//! The thread that works behind all indexes: it builds what stood in a stream before, writes what is in memory into runs, and makes few runs of many.
//!
//! Nothing of it is in the way of an append, and nothing that fails here stops the log: an index is derived.

use std::sync::Arc;

use crate::entities::build::{build, closed};
use crate::entities::desk::Ending;
use crate::entities::index::{EntityIndex, State, Unless};
use crate::entities::postings::Memory;
use crate::entities::reach::Reach;
use crate::entities::run::blocks::BlockError;
use crate::entities::run::format::Entry;
use crate::entities::run::list::{index_dir, run_path};
use crate::entities::run::merge::{choose, merge};
use crate::entities::run::reader::Run;
use crate::entities::run::writer::RunWriter;
use crate::entities::search::Lookup;
use crate::files::DiskError;
use crate::keep::behind::Task;
use crate::limits::INDEX_POSTINGS_MAX;
use crate::shared::Shared;
use crate::streams::Stream;

/// Why an index is not built.
pub(crate) const CLOSED: &str = "the log was closed";

/// Runs until it is told to end.
pub(crate) fn run(shared: &Arc<Shared>) {
    let ending = loop {
        match shared.desk.wait() {
            Ok(gone) => {
                gone.into_iter().for_each(|stream| remove(shared, stream));
                round(shared);
            }
            Err(ending) => break ending,
        }
    };
    for (stream, index) in indexed(shared) {
        if !index.is_built() {
            // Whoever waits for it is told.
            index
                .state
                .send_replace_unless_gone(State::Failed(closed(&stream.name)));
        } else if ending == Ending::Written && index.is_ahead() {
            warn(&stream, flush(shared, &stream, &index));
        }
    }
}

fn round(shared: &Arc<Shared>) {
    for (stream, index) in indexed(shared) {
        let state = index.state.borrow().clone();
        match state {
            State::Broken => shared.index_anew(&stream, true),
            State::Building { .. } => build(shared, &stream, &index),
            _ => {}
        }
        // A look at all of them for each would take as long as the square of their number.
        if shared.desk.is_over() || index.waiting() >= INDEX_POSTINGS_MAX {
            make_room(shared);
        }
        if index.is_built() {
            warn(&stream, tidy(shared, &stream, &index));
        }
        if shared.desk.is_ending() {
            return;
        }
    }
    make_room(shared);
}

fn indexed(shared: &Shared) -> Vec<(Arc<Stream>, Arc<EntityIndex>)> {
    let streams = shared.streams.read();
    let indexed = streams.by_id.values();
    indexed
        .filter_map(|stream| stream.index.get().map(|index| (stream.clone(), index)))
        .collect()
}

/// Writes what takes too much memory, the largest first.
pub(crate) fn make_room(shared: &Arc<Shared>) {
    let mut waiting: Vec<_> = indexed(shared)
        .into_iter()
        .map(|(stream, index)| (index.waiting(), stream, index))
        .collect();
    waiting.sort_by_key(|(postings, ..)| std::cmp::Reverse(*postings));
    for (postings, stream, index) in waiting {
        let is_due = postings >= INDEX_POSTINGS_MAX || (postings > 0 && shared.desk.is_over());
        if is_due && !shared.desk.is_ending() {
            warn(&stream, flush(shared, &stream, &index));
        }
    }
}

/// Writes what an index has in memory into a run, once it is durable.
fn flush(shared: &Shared, stream: &Stream, index: &Arc<EntityIndex>) -> Result<(), DiskError> {
    let (frozen, to) = index.freeze();
    for (partition, end) in stream.partitions.iter().zip(&to.ends) {
        if !shared.wait_durable(partition, *end) {
            return Ok(());
        }
    }
    let run = write_run(shared, stream, &frozen)?;
    publish(shared, stream, index, || index.thaw(run)).map(drop)
}

/// Writes postings into a run of their own; `None` where there are none.
pub(crate) fn write_run(shared: &Shared, stream: &Stream, memory: &Memory) -> Result<Option<Run>, DiskError> {
    if memory.postings == 0 {
        return Ok(None);
    }
    let (number, mut writer) = begin(shared, stream)?;
    for (term, postings) in memory.sorted() {
        for posting in postings {
            writer.put(&Entry {
                term,
                posting: *posting,
            })?;
        }
    }
    let (blocks, postings) = writer.end()?;
    let path = run_path(&index_dir(&shared.dir, stream.id), number);
    Ok(Some(Run::new(path, number, blocks, postings)))
}

fn begin(shared: &Shared, stream: &Stream) -> Result<(u64, RunWriter), DiskError> {
    let disk = shared.host.disk.as_ref();
    let folder = index_dir(&shared.dir, stream.id);
    shared.claim.check(disk)?;
    disk.create_dir_all(&folder)
        .map_err(|source| DiskError::new(&folder, source))?;
    // A name that no run had before, whoever reads those still.
    let number = shared.host.dice.roll();
    Ok((number, RunWriter::begin(disk, &run_path(&folder, number))?))
}

/// Changes which runs an index has, and writes down which count; `false` where another index is in its place, whose folder it is now.
pub(crate) fn publish(
    shared: &Shared,
    stream: &Stream,
    index: &Arc<EntityIndex>,
    change: impl FnOnce(),
) -> Result<bool, DiskError> {
    let _folder = shared.desk.folders.lock();
    if !stream.index.holds(Some(index)) {
        return Ok(false);
    }
    change();
    let disk = shared.host.disk.as_ref();
    let folder = index_dir(&shared.dir, stream.id);
    shared.claim.check(disk)?;
    disk.create_dir_all(&folder)
        .map_err(|source| DiskError::new(&folder, source))?;
    index.list().write(disk, &folder)?;
    Ok(true)
}

/// Makes few runs of many, and rids them of what is gone where that is much.
fn tidy(shared: &Arc<Shared>, stream: &Arc<Stream>, index: &Arc<EntityIndex>) -> Result<(), DiskError> {
    let gone = stream
        .partitions
        .iter()
        .map(|partition| partition.start().offset + partition.compacted().offset);
    if index.is_to_be_cleaned(gone.sum()) {
        join(shared, stream, index, &index.runs())?;
    }
    loop {
        let chosen = choose(&index.runs());
        if chosen.is_empty() || !join(shared, stream, index, &chosen)? {
            return Ok(());
        }
    }
}

/// Makes one run of some; says whether it came to the end.
fn join(
    shared: &Arc<Shared>,
    stream: &Arc<Stream>,
    index: &Arc<EntityIndex>,
    old: &[Arc<Run>],
) -> Result<bool, DiskError> {
    let (number, mut writer) = begin(shared, stream)?;
    let path = run_path(&index_dir(&shared.dir, stream.id), number);
    let reach = Reach::disk();
    let mut lookup = Lookup::of_stream(shared, &reach, stream);
    let mut is_rid = false;
    let stays = |entry: &Entry| {
        let stays = lookup.stays(&entry.posting);
        is_rid |= !stays;
        stays
    };
    let go_on = || {
        make_room(shared);
        !shared.desk.is_ending() && !matches!(*index.state.borrow(), State::Gone)
    };
    match merge(shared.desk.blocks.reading(&reach), old, &mut writer, stays, go_on) {
        Ok(true) => {}
        Ok(false) => {
            let _ = shared.host.disk.remove_file(&path);
            return Ok(false);
        }
        Err(BlockError::Disk(error)) if error.source.kind() != std::io::ErrorKind::NotFound => {
            let _ = shared.host.disk.remove_file(&path);
            return Err(error);
        }
        Err(error) => {
            let _ = shared.host.disk.remove_file(&path);
            index.broken(&error);
            return Ok(false);
        }
    }
    // What compaction took away is back after a crash for as long as no checkpoint names the segments without it.
    if is_rid && !shared.behind.ask(Task::Remove) {
        let _ = shared.host.disk.remove_file(&path);
        return Ok(false);
    }
    let (blocks, postings) = writer.end()?;
    let new = (postings > 0).then(|| Run::new(path.clone(), number, blocks, postings));
    let is_empty = new.is_none();
    let is_listed = publish(shared, stream, index, || index.replace(old, new))?;
    let gone = old.iter().map(|run| &run.path).filter(|_| is_listed);
    for path in gone.chain([&path].into_iter().filter(|_| is_empty)) {
        shared.desk.blocks.forget(path);
        // One that stays is swept up at the next start.
        let _ = shared.host.disk.remove_file(path);
    }
    Ok(is_listed)
}

/// Removes what an index that went left on the disk.
fn remove(shared: &Shared, stream: u128) {
    let _folder = shared.desk.folders.lock();
    let is_there = shared.streams.read().by_id.get(&stream).cloned();
    if is_there.is_some_and(|stream| stream.index.get().is_some()) {
        return;
    }
    let folder = index_dir(&shared.dir, stream);
    shared.desk.blocks.forget(&folder);
    // Where it cannot be removed, the next start tries again.
    let _ = shared.host.disk.remove_dir_all(&folder);
}

fn warn(stream: &Stream, done: Result<(), DiskError>) {
    if let Err(error) = done {
        tracing::warn!("the entity index of {} waits in memory: {error}", stream.name);
    }
}
