//! Making a stream's index: from one step of the sequencer on everything is put, and what stood there before is read behind it.
//!
//! What stands in runs from before need not be read again: only what follows is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::entities::facets::Facets;
use crate::entities::index::{Cut, EntityIndex, State, Unless};
use crate::entities::indexer::{CLOSED, make_room, publish, write_run};
use crate::entities::postings::Memory;
use crate::entities::query::QueryError;
use crate::entities::run::list::{RunList, entities_dir, index_dir, run_path, sweep};
use crate::entities::run::reader::Run;
use crate::entities::terms::Terms;
use crate::error::ReadError;
use crate::limits::{INDEX_POSTINGS_MAX, INDEX_WAIT_EVENTS};
use crate::read::PartitionReader;
use crate::shared::Shared;
use crate::streams::{Partition, Stream};
use crate::wait::block_on;

/// How much of the log is read at once.
const READ_BYTES: usize = 1 << 20;

/// Why an index does not answer.
pub(crate) enum Unready {
    /// Another is in its place.
    Gone,
    No(QueryError),
}

impl Shared {
    /// Makes the index of a stream as its settings say now, of what stands on the disk, or `afresh`.
    pub(crate) fn index_anew(&self, stream: &Arc<Stream>, afresh: bool) {
        let is_indexed = stream.settings.read().is_indexed();
        let facets = stream.index.facets.lock().clone();
        let fingerprint = facets.as_ref().map(|facets| facets.fingerprint());
        let _folder = self.desk.folders.lock();
        let listed = match is_indexed && !afresh {
            true => RunList::read(self.host.disk.as_ref(), &index_dir(&self.dir, stream.id)),
            false => None,
        };
        // What is on the disk is about more than keys, and what that is may still be said.
        let waits = fingerprint.is_none() && listed.as_ref().is_some_and(|list| list.fingerprint.is_some());
        let ends = self.sequenced_ends(stream);
        let listed = listed.filter(|list| list.fingerprint == fingerprint && is_of(list, &ends));
        let listed = listed.map(|list| self.load(stream, list)).unwrap_or_default();
        let mut made: Option<Arc<EntityIndex>> = None;
        self.sequencer.between(|appended_at_us| {
            // As it is in this step: it may have got partitions.
            let now = self.streams.read().by_id.get(&stream.id).cloned();
            let now = now.unwrap_or_else(|| stream.clone());
            let ends = self.sequenced_ends(&now);
            if is_indexed {
                let cut = Cut { ends, appended_at_us };
                made = Some(Arc::new(self.empty(stream, facets, listed, cut)));
            }
            stream.index.set(made.clone());
            self.indexes.fetch_add(1, Ordering::Relaxed);
        });
        match made {
            Some(index) if !waits => index.begin(),
            Some(_) => {}
            None => self.desk.leave(stream.id),
        }
        self.desk.ring();
    }

    /// Makes the indexes of all streams that have one, when the log was opened; what others left on the disk goes.
    pub(crate) fn index_all(&self) {
        let streams: Vec<Arc<Stream>> = self.streams.read().by_id.values().cloned().collect();
        let mut kept: Vec<u128> = Vec::new();
        for stream in streams.iter().filter(|stream| stream.settings.read().is_indexed()) {
            kept.push(stream.id);
            self.index_anew(stream, false);
        }
        let folders = self.host.disk.list(&entities_dir(&self.dir)).unwrap_or_default();
        for folder in folders {
            let name = folder.file_name().and_then(|name| name.to_str());
            let id = name.and_then(|name| u128::from_str_radix(name, 16).ok());
            if let Some(id) = id.filter(|id| !kept.contains(id)) {
                self.desk.leave(id);
            }
        }
    }

    /// Gives a stream that nobody appends to yet its index.
    pub(crate) fn index_new(&self, stream: &Stream) {
        if stream.settings.read().is_indexed() {
            let index = self.empty(stream, None, Default::default(), Cut::default());
            index.state.send_replace(State::Built);
            stream.index.set(Some(Arc::new(index)));
            self.indexes.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn empty(
        &self,
        stream: &Stream,
        facets: Option<Arc<dyn Facets>>,
        listed: (Vec<u64>, Vec<Arc<Run>>),
        cut: Cut,
    ) -> EntityIndex {
        let terms = Terms::new(self.term_key, facets);
        EntityIndex::new(terms, stream.name.clone(), self.desk.clone(), listed, cut)
    }

    fn load(&self, stream: &Stream, list: RunList) -> (Vec<u64>, Vec<Arc<Run>>) {
        let folder = index_dir(&self.dir, stream.id);
        sweep(self.host.disk.as_ref(), &folder, &list);
        let runs = list.runs.into_iter().map(|(number, blocks, postings)| {
            let path = run_path(&folder, number);
            Arc::new(Run::new(path, number, blocks, postings))
        });
        (list.covered, runs.collect())
    }

    /// Waits until a partition is durable up to an offset; `false` where the log stopped before.
    pub(crate) fn wait_durable(&self, partition: &Partition, end: u64) -> bool {
        let mut commits = self.commits.subscribe();
        loop {
            commits.borrow_and_update();
            if partition.high_watermark() >= end {
                return true;
            }
            if self.sequencer.stopped().is_some() || block_on(commits.changed()).is_err() {
                return partition.high_watermark() >= end;
            }
        }
    }
}

/// Whether a list can be of a stream that ends here.
fn is_of(list: &RunList, ends: &[u64]) -> bool {
    list.covered.len() <= ends.len() && list.covered.iter().zip(ends).all(|(covered, end)| covered <= end)
}

impl EntityIndex {
    /// Has it built.
    fn begin(&self) {
        let of: u64 = self.gaps().iter().map(|(from, to)| to.saturating_sub(*from)).sum();
        self.state.send_replace_unless_gone(State::Building { left: of, of });
    }

    /// Waits until it answers, where that is not long.
    pub(crate) async fn ready(&self, stream: &Stream) -> Result<(), Unready> {
        let mut states = self.state.subscribe();
        loop {
            let state = states.borrow_and_update().clone();
            if self.is_ending() && !matches!(state, State::Built | State::Gone) {
                return Err(Unready::No(QueryError::Unreadable(closed(&stream.name))));
            }
            match state {
                State::Built => return Ok(()),
                State::Gone => return Err(Unready::Gone),
                State::Building { left, of } if left > INDEX_WAIT_EVENTS => {
                    return Err(Unready::No(QueryError::Building {
                        stream: stream.name.to_string(),
                        percent: ((of - left) * 100 / of.max(1)) as u8,
                    }));
                }
                State::Failed(error) => {
                    // It is tried again, for whoever asks next.
                    self.begin();
                    self.ring();
                    return Err(Unready::No(error.into()));
                }
                State::Waiting => {
                    self.begin();
                    self.ring();
                    continue;
                }
                State::Building { .. } | State::Broken => {}
            }
            if states.changed().await.is_err() {
                return Err(Unready::Gone);
            }
        }
    }
}

/// Nothing is built any more.
pub(crate) fn closed(stream: &str) -> ReadError {
    ReadError::Disk {
        stream: stream.to_owned(),
        partition: 0,
        why: CLOSED.to_owned(),
    }
}

/// Reads what stood in a stream before its index was made.
pub(crate) fn build(shared: &Arc<Shared>, stream: &Arc<Stream>, index: &Arc<EntityIndex>) {
    let built = Build {
        shared,
        stream,
        index,
        rest: Memory::default(),
    };
    match built.run() {
        Ok(()) => {}
        Err(error) => {
            // A log that is being closed begins again where this left off.
            if !shared.desk.is_ending() {
                tracing::warn!("the entity index of {} was not built: {error}", stream.name);
            }
            index.state.send_replace_unless_gone(State::Failed(error));
        }
    }
}

struct Build<'a> {
    shared: &'a Arc<Shared>,
    stream: &'a Arc<Stream>,
    index: &'a Arc<EntityIndex>,
    /// What was read and is in no run yet.
    rest: Memory,
}

impl Build<'_> {
    fn run(mut self) -> Result<(), ReadError> {
        let gaps = self.index.gaps();
        let of: u64 = gaps.iter().map(|(from, to)| to.saturating_sub(*from)).sum();
        let mut covered: Vec<u64> = gaps.iter().map(|(from, _)| *from).collect();
        let mut left = of;
        for (number, (from, to)) in gaps.iter().enumerate() {
            let Some(partition) = self.stream.partitions.get(number) else {
                continue;
            };
            if !self.shared.wait_durable(partition, *to) {
                return Err(self.failed(&"the log stopped"));
            }
            let reader = PartitionReader {
                shared: self.shared,
                partition: partition.clone(),
                stream: &self.stream.name,
            };
            let mut at = *from;
            while at < *to {
                if self.shared.desk.is_ending() {
                    return Err(self.failed(&CLOSED));
                }
                if matches!(*self.index.state.borrow(), State::Gone) {
                    return Ok(());
                }
                let before = at;
                at = self.read(&reader, at, *to)?;
                left = left.saturating_sub(at - before);
                self.index.state.send_replace_unless_gone(State::Building { left, of });
                covered[number] = at;
                if self.rest.postings >= INDEX_POSTINGS_MAX {
                    self.write(&covered)?;
                    make_room(self.shared);
                }
            }
        }
        if let Some(rest) = self.index.finish(std::mem::take(&mut self.rest)) {
            self.rest = rest;
            self.write(&covered)?;
            self.index.finish(Memory::default());
        }
        Ok(())
    }

    /// Reads some batches; says where the next ones begin.
    fn read(&mut self, reader: &PartitionReader<'_>, at: u64, to: u64) -> Result<u64, ReadError> {
        let start = reader.partition.start().offset;
        if at < start {
            return Ok(start.min(to));
        }
        let batches = match reader.read(at, to, READ_BYTES) {
            Ok(batches) => batches,
            // A deletion came in between.
            Err(_) if at < reader.partition.start().offset => return Ok(at),
            Err(error) => return Err(error),
        };
        let mut next = to;
        for stored in batches {
            let terms = self.index.terms.of_batch(&stored.batch);
            let base = stored.batch.base_offset();
            self.rest
                .put_batch(reader.partition.number, base, stored.appended_at_us, &terms);
            next = stored.batch.next_offset();
        }
        Ok(next.min(to))
    }

    fn write(&mut self, covered: &[u64]) -> Result<(), ReadError> {
        let rest = std::mem::take(&mut self.rest);
        let run = write_run(self.shared, self.stream, &rest).map_err(|error| self.failed(&error))?;
        let count = || {
            if let Some(run) = run {
                self.index.add_built(run, covered.to_vec());
            }
        };
        publish(self.shared, self.stream, self.index, count)
            .map(drop)
            .map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &impl ToString) -> ReadError {
        ReadError::Disk {
            stream: self.stream.name.to_string(),
            partition: 0,
            why: error.to_string(),
        }
    }
}
