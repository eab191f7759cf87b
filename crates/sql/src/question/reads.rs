//! What one question reads, and as of when.
//!
//! Invariants
//! - A stream has one end for the whole question, the high watermark when it was first named.
//! - A view is read once for the whole question, so that all of its mentions are answered at one position.
//! - Of a stream no event that a scan could give is outside of what is noted of it: a scan says what its filters ask for when it is planned, and
//!   whoever reads a stream in any other way may read all of it. So may a question that names it and plans no scan.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use headwater_catalog::StreamDefinition;
use headwater_eventlog::{EventLog, QueryItem};
use headwater_records::Position;
use headwater_views::search::SearchMoment;
use headwater_views::{Ask, GroupKey, LakeRows, Rows, Selection, View, ViewError, ViewReader};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::off_thread::off_thread;
use crate::{Progress, SqlError, SqlState};

/// What a question read: what a command decides on.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    /// Each view read.
    pub views: Vec<ViewRead>,
    /// Each stream read.
    pub streams: Vec<StreamRead>,
}

/// What a question read of one stream.
#[derive(Debug, Clone)]
pub struct StreamRead {
    /// The stream.
    pub stream: String,
    /// Up to where.
    pub position: Position,
    /// How it was defined then, where it was read as a table.
    pub definition: Option<Arc<StreamDefinition>>,
    /// What every event has that may be among those read, as the stream's entity index knows it; `None`: any event may be.
    pub items: Option<Vec<QueryItem>>,
}

/// What a question read of one view.
#[derive(Debug, Clone)]
pub struct ViewRead {
    /// The view, as it was when it was read: another version may have its name by now.
    pub view: Arc<View>,
    /// Where it stood.
    pub position: Position,
    /// The keys looked up; `None`: the whole view was read.
    pub keys: Option<Vec<GroupKey>>,
    /// The rows found.
    pub rows: Vec<RecordBatch>,
}

/// What one question reads, as it is read.
#[derive(Default)]
pub(crate) struct QuestionReads {
    streams: Mutex<BTreeMap<String, Arc<StreamReading>>>,
    views: Mutex<BTreeMap<String, Arc<ViewReading>>>,
    lakes: Mutex<BTreeMap<String, Arc<LakeReading>>>,
    searches: Mutex<BTreeMap<String, Arc<SearchReading>>>,
    progress: Arc<Progress>,
}

/// The events of a stream that a question sees, and which of them its scans ask for.
pub(crate) struct StreamReading {
    end: Position,
    scanned: Mutex<Scanned>,
}

/// What is scanned of a stream.
#[derive(Default)]
struct Scanned {
    definition: Option<Arc<StreamDefinition>>,
    /// Whether somebody reads it otherwise than by scans that say here what they ask for.
    is_whole: bool,
    /// What the scans ask for, together; `None` until one is planned.
    items: Option<BTreeSet<QueryItem>>,
}

impl StreamReading {
    /// Up to where it is read.
    pub(crate) fn end(&self) -> &Position {
        &self.end
    }

    /// A scan asks for the events that match one of these; `None`: for any.
    pub(crate) fn scans(&self, items: Option<Vec<QueryItem>>) {
        let mut scanned = self.scanned.lock();
        match items {
            Some(items) => scanned.items.get_or_insert_default().extend(items),
            None => scanned.is_whole = true,
        }
    }

    fn read(&self, stream: &str) -> StreamRead {
        let scanned = self.scanned.lock();
        let items = scanned.items.as_ref().filter(|_| !scanned.is_whole);
        StreamRead {
            stream: stream.to_owned(),
            position: self.end.clone(),
            definition: scanned.definition.clone(),
            items: items.map(|items| items.iter().cloned().collect()),
        }
    }
}

/// The one read of a view that answers all of its mentions in a question.
pub(crate) struct ViewReading {
    view: Arc<View>,
    wanted: Mutex<Mentions>,
    /// What was read, and what was asked for then.
    rows: OnceCell<(Ask, Rows)>,
    /// Whether it is read several times: then all of its rows are held as of one position.
    is_held: AtomicBool,
    reader: OnceCell<Arc<ViewReader>>,
}

/// What the mentions of a view ask for.
#[derive(Default)]
struct Mentions {
    count: usize,
    /// All of it together; `None` until one asks.
    selection: Option<Selection>,
}

/// The one read of a view that is a table of column files.
pub(crate) struct LakeReading {
    view: Arc<View>,
    rows: OnceLock<LakeRows>,
}

/// The moment of a search view that answers all searches of it in a question.
pub(crate) struct SearchReading {
    view: Arc<View>,
    moment: OnceCell<Arc<SearchMoment>>,
}

impl SearchReading {
    /// The view.
    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Fixes the moment, which has everything below `after`.
    pub(crate) async fn look(&self, after: Option<&Position>, wait_max: impl Fn() -> Duration) -> Result<(), SqlError> {
        self.view.caught_up(wait_max()).await?;
        if let Some(after) = after {
            self.view.wait_for(after, wait_max()).await?;
        }
        let (view, after) = (Arc::clone(&self.view), after.cloned());
        let moment = off_thread(move || view.searchable(after.as_ref())).await?;
        // Another one may have looked meanwhile: then that is the moment.
        self.moment.get_or_init(async || moment).await;
        Ok(())
    }

    /// The moment.
    pub(crate) fn moment(&self) -> Result<Arc<SearchMoment>, SqlError> {
        let moment = self.moment.get().map(Arc::clone);
        moment.ok_or_else(|| SqlError::new(SqlState::INTERNAL, "a search was not prepared"))
    }
}

impl QuestionReads {
    /// The same, whose events are counted where somebody watches.
    pub(crate) fn counted(progress: Option<&Arc<Progress>>) -> QuestionReads {
        let progress = progress.map(Arc::clone).unwrap_or_default();
        progress.begin();
        QuestionReads {
            progress,
            ..QuestionReads::default()
        }
    }

    /// How far the question is with the events that it reads.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The end of a stream for this question, which may read any of its events.
    pub(crate) fn stream_end(&self, log: &EventLog, stream: &str) -> Result<Position, SqlError> {
        let reading = self.reading(log, stream)?;
        reading.scans(None);
        Ok(reading.end.clone())
    }

    /// The reading of a stream as a table, as it is defined; the same for all of its mentions.
    pub(crate) fn stream(
        &self,
        log: &EventLog,
        stream: &Arc<StreamDefinition>,
    ) -> Result<Arc<StreamReading>, SqlError> {
        let reading = self.reading(log, &stream.name)?;
        // Of two definitions the first counts: by now it is not the one.
        reading
            .scanned
            .lock()
            .definition
            .get_or_insert_with(|| Arc::clone(stream));
        Ok(reading)
    }

    fn reading(&self, log: &EventLog, stream: &str) -> Result<Arc<StreamReading>, SqlError> {
        let mut streams = self.streams.lock();
        if let Some(reading) = streams.get(stream) {
            return Ok(Arc::clone(reading));
        }
        let end = log.position(stream).ok_or_else(|| {
            SqlError::new(SqlState::UNKNOWN_TABLE, format!("the log holds no stream '{stream}'"))
                .hint("it was dropped just now: ask again")
        })?;
        let reading = Arc::new(StreamReading {
            end,
            scanned: Mutex::default(),
        });
        streams.insert(stream.to_owned(), Arc::clone(&reading));
        Ok(reading)
    }

    /// The reading of a view; the same for all of its mentions.
    pub(crate) fn view(&self, view: &Arc<View>) -> Arc<ViewReading> {
        let name = view.definition().name.clone();
        let mut views = self.views.lock();
        let reading = views.entry(name).or_insert_with(|| {
            Arc::new(ViewReading {
                view: Arc::clone(view),
                wanted: Mutex::default(),
                rows: OnceCell::new(),
                is_held: AtomicBool::new(false),
                reader: OnceCell::new(),
            })
        });
        Arc::clone(reading)
    }

    /// The reading of a view that is read again and again; its other mentions are answered as of the same position.
    pub(crate) fn held(&self, view: &Arc<View>) -> Arc<ViewReading> {
        let reading = self.view(view);
        reading.is_held.store(true, Ordering::Release);
        reading
    }

    /// The reading of a view that is a table of column files; the same for all of its mentions.
    pub(crate) fn lake(&self, view: &Arc<View>) -> Arc<LakeReading> {
        let name = view.definition().name.clone();
        let mut lakes = self.lakes.lock();
        let reading = lakes.entry(name).or_insert_with(|| {
            Arc::new(LakeReading {
                view: Arc::clone(view),
                rows: OnceLock::new(),
            })
        });
        Arc::clone(reading)
    }

    /// The views that are read.
    pub(crate) fn views(&self) -> Vec<Arc<View>> {
        let mut views: Vec<Arc<View>> = Vec::new();
        views.extend(self.views.lock().values().map(|reading| Arc::clone(&reading.view)));
        views.extend(self.lakes.lock().values().map(|reading| Arc::clone(&reading.view)));
        views
    }

    /// The search of a view; the same for all searches of it.
    pub(crate) fn search(&self, view: &Arc<View>) -> Arc<SearchReading> {
        let name = view.definition().name.clone();
        let mut searches = self.searches.lock();
        let reading = searches.entry(name).or_insert_with(|| {
            Arc::new(SearchReading {
                view: Arc::clone(view),
                moment: OnceCell::new(),
            })
        });
        Arc::clone(reading)
    }

    /// The views that are searched.
    pub(crate) fn searches(&self) -> Vec<Arc<SearchReading>> {
        self.searches.lock().values().cloned().collect()
    }

    /// Up to where all that is named was seen of every stream; `None` where that is not known of a view yet, or nothing is named.
    pub(crate) fn seen(&self, log: &EventLog) -> Option<Position> {
        let mut least = Least::default();
        for (stream, reading) in self.streams.lock().iter() {
            least.add(log, [stream.as_str()], &reading.end);
        }
        for reading in self.views.lock().values() {
            least.add(log, reading.view.streams(), reading.position()?);
        }
        for reading in self.lakes.lock().values() {
            least.add(log, reading.view.streams(), &reading.rows.get()?.position);
        }
        for reading in self.searches.lock().values() {
            least.add(log, reading.view.streams(), reading.moment.get()?.position());
        }
        least.position()
    }

    /// What was read, once the question has been answered. A view that was named and not read (a branch that was optimized away) is left out.
    pub(crate) fn noted(&self) -> Reads {
        let mut reads = Reads::default();
        for reading in self.views.lock().values() {
            if let Some(reader) = reading.reader.get() {
                // What a pattern looked up on the way is not noted: any row may have mattered.
                let is_held = reading.is_held.load(Ordering::Acquire);
                reads.views.push(ViewRead {
                    view: Arc::clone(&reading.view),
                    position: reader.position().clone(),
                    keys: reading.keys_wanted().filter(|_| !is_held),
                    rows: Vec::new(),
                });
                continue;
            }
            let Some((_, rows)) = reading.rows.get() else { continue };
            reads.views.push(ViewRead {
                view: Arc::clone(&reading.view),
                position: rows.position.clone(),
                keys: reading.keys_wanted(),
                rows: rows.batches.clone(),
            });
        }
        for reading in self.lakes.lock().values() {
            let Some(rows) = reading.rows.get() else { continue };
            reads.views.push(ViewRead {
                view: Arc::clone(&reading.view),
                position: rows.position.clone(),
                keys: None,
                rows: rows.waiting.clone(),
            });
        }
        for reading in self.searches.lock().values() {
            let Some(moment) = reading.moment.get() else { continue };
            // Any row may be one that a search would find.
            reads.views.push(ViewRead {
                view: Arc::clone(&reading.view),
                position: moment.position().clone(),
                keys: None,
                rows: Vec::new(),
            });
        }
        for (name, reading) in self.streams.lock().iter() {
            reads.streams.push(reading.read(name));
        }
        reads
    }
}

/// The least position of several.
#[derive(Default)]
struct Least(BTreeMap<(String, u32), u64>);

impl Least {
    /// These streams were seen up to here.
    fn add<'a>(&mut self, log: &EventLog, streams: impl IntoIterator<Item = &'a str>, position: &Position) {
        for stream in streams {
            let partitions = log.stream(stream).map_or(0, |info| info.partitions);
            for partition in 0..partitions {
                let seen = position.get(stream, partition);
                let least = self.0.entry((stream.to_owned(), partition)).or_insert(seen);
                *least = seen.min(*least);
            }
        }
    }

    fn position(&self) -> Option<Position> {
        let mut position = Position::new();
        for ((stream, partition), seen) in &self.0 {
            position.set(stream, *partition, *seen);
        }
        (!position.is_empty()).then_some(position)
    }
}

impl LakeReading {
    /// The view.
    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Its rows, as they stand when the first mention asks.
    pub(crate) fn rows(&self) -> Result<&LakeRows, ViewError> {
        if let Some(rows) = self.rows.get() {
            return Ok(rows);
        }
        let rows = self.view.lake_rows()?;
        Ok(self.rows.get_or_init(|| rows))
    }
}

impl ViewReading {
    /// Adds what one mention asks for. Called while the question is planned, before anything is read.
    pub(crate) fn want(&self, selection: &Selection) {
        let mut wanted = self.wanted.lock();
        wanted.count += 1;
        let together = match (wanted.selection.take(), selection) {
            (None, selection) => selection.clone(),
            (Some(Selection::Keys(mut keys)), Selection::Keys(more)) => {
                let known: HashSet<&GroupKey> = keys.iter().collect();
                let new: Vec<GroupKey> = more.iter().filter(|key| !known.contains(key)).cloned().collect();
                keys.extend(new);
                Selection::Keys(keys)
            }
            _ => Selection::All,
        };
        wanted.selection = Some(together);
    }

    /// The rows that one mention asks for. Where it is the only one, nothing else is read.
    pub(crate) async fn rows(&self, ask: &Ask) -> Result<Vec<RecordBatch>> {
        if self.is_read_by_parts() {
            let (reader, ask) = (self.reader().await?, ask.clone());
            return Ok(off_thread(move || reader.ask(&ask)).await?.batches);
        }
        let together = {
            let wanted = self.wanted.lock();
            match &wanted.selection {
                Some(selection) if wanted.count > 1 => Ask::all_of(selection.clone()),
                _ => ask.clone(),
            }
        };
        let (asked, rows) = self.rows.get_or_try_init(|| self.read(together)).await?;
        match asked == ask {
            true => Ok(rows.batches.clone()),
            false => Ok(self.view.cut(&rows.batches, ask).map_err(SqlError::from)?),
        }
    }

    /// Whether each mention reads its own part: together they would read whole lists where each asks for a page.
    fn is_read_by_parts(&self) -> bool {
        self.view.list_columns().next().is_some() && self.wanted.lock().count > 1
    }

    /// The keys that all mentions together ask for; `None`: any.
    fn keys_wanted(&self) -> Option<Vec<GroupKey>> {
        match self.wanted.lock().selection.as_ref() {
            Some(Selection::Keys(keys)) => Some(keys.clone()),
            _ => None,
        }
    }

    /// The view.
    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Where it stood, once it was read.
    fn position(&self) -> Option<&Position> {
        let held = self.reader.get().map(|reader| reader.position());
        held.or_else(|| self.rows.get().map(|(_, rows)| &rows.position))
    }

    /// All of its rows, as of one position.
    pub(crate) async fn reader(&self) -> Result<Arc<ViewReader>> {
        let open = async {
            let view = Arc::clone(&self.view);
            Ok::<_, DataFusionError>(Arc::new(off_thread(move || view.reader()).await?))
        };
        self.reader.get_or_try_init(|| open).await.cloned()
    }

    async fn read(&self, ask: Ask) -> Result<(Ask, Rows)> {
        if self.is_held.load(Ordering::Acquire) {
            let reader = self.reader().await?;
            return Ok(off_thread(move || reader.ask(&ask).map(|rows| (ask, rows))).await?);
        }
        let view = Arc::clone(&self.view);
        Ok(off_thread(move || view.ask(&ask).map(|rows| (ask, rows))).await?)
    }
}
