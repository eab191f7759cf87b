//! What one question reads, and as of when.
//!
//! Invariants
//! - A stream has one end for the whole question, the high watermark when it was first named.
//! - A view is read once for the whole question, so that all of its mentions are answered at one position.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use headwater_eventlog::EventLog;
use headwater_records::Position;
use headwater_views::{GroupKey, Rows, Selection, View};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::{Reads, SqlError, SqlState, ViewRead};

/// The boundary of one question.
#[derive(Default)]
pub(crate) struct Boundary {
    streams: Mutex<BTreeMap<String, Position>>,
    views: Mutex<BTreeMap<String, Arc<ViewReading>>>,
}

/// The one read of a view that answers all of its mentions in a question.
pub(crate) struct ViewReading {
    view: Arc<View>,
    /// What the mentions ask for together; `None` until one asks.
    wanted: Mutex<Option<Selection>>,
    rows: OnceCell<Rows>,
}

impl Boundary {
    /// The end of a stream for this question.
    pub(crate) fn stream_end(&self, log: &EventLog, stream: &str) -> Result<Position, SqlError> {
        let mut streams = self.streams.lock();
        if let Some(end) = streams.get(stream) {
            return Ok(end.clone());
        }
        let end = log.position(stream).ok_or_else(|| {
            SqlError::new(SqlState::UNKNOWN_TABLE, format!("the log holds no stream '{stream}'"))
                .hint("it was dropped just now: ask again")
        })?;
        streams.insert(stream.to_owned(), end.clone());
        Ok(end)
    }

    /// The reading of a view; the same for all of its mentions.
    pub(crate) fn view(&self, view: &Arc<View>) -> Arc<ViewReading> {
        let name = view.definition().name.clone();
        let mut views = self.views.lock();
        let reading = views.entry(name).or_insert_with(|| {
            Arc::new(ViewReading {
                view: Arc::clone(view),
                wanted: Mutex::new(None),
                rows: OnceCell::new(),
            })
        });
        Arc::clone(reading)
    }

    /// The views that are read.
    pub(crate) fn views(&self) -> Vec<Arc<View>> {
        self.views
            .lock()
            .values()
            .map(|reading| Arc::clone(&reading.view))
            .collect()
    }

    /// What was read, once the question has been answered. A view that was named and not read (a branch that was optimized away) is left out.
    pub(crate) fn reads(&self) -> Reads {
        let mut reads = Reads::default();
        for (name, reading) in self.views.lock().iter() {
            let Some(rows) = reading.rows.get() else { continue };
            let keys = match reading.wanted.lock().as_ref() {
                Some(Selection::Keys(keys)) => Some(keys.clone()),
                _ => None,
            };
            reads.views.push(ViewRead {
                view: name.clone(),
                position: rows.position.clone(),
                keys,
                rows: rows.batches.clone(),
            });
        }
        for (name, end) in self.streams.lock().iter() {
            reads.streams.push((name.clone(), end.clone()));
        }
        reads
    }
}

impl ViewReading {
    /// Adds what one mention asks for. Called while the question is planned, before anything is read.
    pub(crate) fn want(&self, selection: &Selection) {
        let mut wanted = self.wanted.lock();
        let together = match (wanted.take(), selection) {
            (None, selection) => selection.clone(),
            (Some(Selection::Keys(mut keys)), Selection::Keys(more)) => {
                let known: HashSet<&GroupKey> = keys.iter().collect();
                let new: Vec<GroupKey> = more.iter().filter(|key| !known.contains(key)).cloned().collect();
                keys.extend(new);
                Selection::Keys(keys)
            }
            _ => Selection::All,
        };
        *wanted = Some(together);
    }

    /// The rows of all mentions, and whether they are exactly those of `selection`.
    pub(crate) async fn rows(&self, selection: &Selection) -> Result<(&Rows, bool)> {
        let rows = self.rows.get_or_try_init(|| self.read()).await?;
        let exact = match (self.wanted.lock().as_ref(), selection) {
            (Some(Selection::Keys(all)), Selection::Keys(own)) => all.len() == own.len(),
            (_, Selection::All) => true,
            _ => false,
        };
        Ok((rows, exact))
    }

    /// The view.
    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    async fn read(&self) -> Result<Rows> {
        let wanted = self.wanted.lock().clone().unwrap_or(Selection::All);
        let view = Arc::clone(&self.view);
        // What is not resident comes from the disk, and a read of everything takes its time: not on the runtime's own threads.
        let read = tokio::task::spawn_blocking(move || view.read(&wanted)).await;
        match read {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(SqlError::from(error).into()),
            Err(join) => Err(DataFusionError::ExecutionJoin(Box::new(join))),
        }
    }
}
