//! Following a view: its rows as they are, then every row that changes, with the position that it stands at.
//!
//! ```text
//! all rows, as of one position ── upto that position ── rows that changed since ── upto … ── …
//! ```
//!
//! A subscription holds its position and no changes: what changed is found in the log, from its position on, when its reader is ready for more.
//! So a slow reader costs no memory, one that was away goes on from any position, and a row that changed several times meanwhile is told once, as
//! it stands then. Whoever needs each single change makes a pipeline over `CHANGES OF` the view.
//!
//! Invariants
//! - After all sets up to a position, the reader has the rows as of that position, or a later state of some that is told again.
//! - Where the view is replaced by another version, or its rows are without events that went into what a reader was told before, everything is told
//!   anew, and that is said.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{ArrayRef, AsArray, BooleanArray, UInt32Array, new_null_array};
use arrow::compute::{cast, filter_record_batch, take_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::ScalarValue;
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;
use headwater_records::Position;
use tokio::sync::watch;

use crate::limits::{SUBSCRIBED_ROWS_MAX, SUBSCRIPTION_KEYS, SUBSCRIPTION_LONG_ROWS, SUBSCRIPTION_READ_BYTES};
use crate::query::RowsOf;
use crate::read::reader::EdgeKeys;
use crate::rows::folder;
use crate::status::end_of;
use crate::view::ViewByName;
use crate::{GroupKey, Selection, View, ViewError, ViewReader};

/// Which rows are told.
pub struct RowFilter {
    /// Over the view's columns.
    pub predicate: Arc<dyn PhysicalExpr>,
    /// Whether it reads the columns of the key alone: then a row is told for ever or never.
    pub is_on_key: bool,
}

/// What a subscription tells at once.
pub struct Told {
    /// Whether everything that was told before is to be forgotten first: the view was replaced, or lost what it had folded.
    pub is_reset: bool,
    /// Rows that are new or changed, in [`Subscription::schema`].
    pub rows: RecordBatch,
    /// Rows that are there no more, or are no longer among those asked for: their keys, and NULL in every other column.
    pub gone: RecordBatch,
    /// Where the rows stand, or a little further.
    pub position: Position,
    /// Whether everything up to the position is told with this: a reader that goes on from it misses nothing.
    pub is_whole: bool,
}

/// A reader of a view's changes.
pub struct Subscription {
    views: ViewByName,
    view: Arc<View>,
    filter: Option<RowFilter>,
    schema: SchemaRef,
    at: watch::Receiver<Position>,
    stands: Stands,
    /// Up to where everything is told, but for the rows that are still to be told.
    position: Position,
    /// Rows that changed before the position and are still to be told.
    changed: VecDeque<GroupKey>,
    /// The rows whose presence depends on more than their key: whether the reader has them, as far as that is known.
    has: HashMap<GroupKey, bool>,
    /// Whether the reader may have rows that are not known here.
    is_resumed: bool,
    /// What the reader goes on from, until it is known whether that is of the view's rows as they are.
    goes_on_from: Option<GoesOnFrom>,
    /// Whether the end of the beginning is still to be told: also of a view without rows.
    is_beginning: bool,
    is_reset: bool,
}

/// What a reader was told that goes on.
#[derive(Clone, Copy)]
enum GoesOnFrom {
    /// Of the rows of this history.
    History(u64),
    /// Nothing is known of it but the position.
    Position,
}

/// How far a subscription is.
enum Stands {
    /// Nothing is told.
    Before,
    /// Some of the rows there were at the beginning are told.
    Telling(Box<Beginning>),
    /// The beginning is told.
    Following,
}

/// Rows that were found, and for each key its place among them. One that cannot be worked out is as one that is not there.
type RowsFound = (RecordBatch, Vec<Option<usize>>);

fn found(of: RowsOf) -> RowsFound {
    (of.rows, of.places)
}

/// What is left to be told of the rows there were at the beginning.
struct Beginning {
    reader: ViewReader,
    /// Rows that are told next,
    next: VecDeque<GroupKey>,
    /// and those behind them.
    keys: EdgeKeys,
}

impl Subscription {
    /// Begins with all rows, or with what changed since a position.
    pub(crate) fn new(
        views: ViewByName,
        view: Arc<View>,
        filter: Option<RowFilter>,
        from: Option<Position>,
    ) -> Result<Subscription, ViewError> {
        if view.query.is_per_event {
            return Err(ViewError::Failed(format!(
                "the view '{}' has a row for each event, and none of them changes: tail its stream",
                view.definition().name
            )));
        }
        if view.key_columns().len() != view.key_types().len() {
            return Err(ViewError::Failed(format!(
                "the rows of the view '{}' do not show their key, so that nobody could tell which of them changed: let it select its key, too",
                view.definition().name
            )));
        }
        let open = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
        let schema = Arc::new(Schema::new(
            view.schema().fields().iter().map(open).collect::<Vec<Field>>(),
        ));
        Ok(Subscription {
            at: view.awaited(),
            views,
            view,
            filter,
            schema,
            stands: if from.is_some() {
                Stands::Following
            } else {
                Stands::Before
            },
            is_resumed: from.is_some(),
            goes_on_from: from.as_ref().map(|_| GoesOnFrom::Position),
            is_beginning: from.is_none(),
            position: from.unwrap_or_default(),
            changed: VecDeque::new(),
            has: HashMap::new(),
            is_reset: false,
        })
    }

    /// The columns of what is told: those of the view, each of which may be NULL.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// What tells the history of the rows that are told from every other, on every machine: what the rows are, what they show, as what rows the events of
    /// their streams are read, and how many events they are without.
    pub fn history(&self) -> u64 {
        let View { query, definition, .. } = &*self.view;
        let mut told = format!(
            "{}\n{}\nversion {}\nwithout {}",
            query.fingerprint,
            query.surface,
            definition.version,
            self.view.lacking.load(Ordering::Relaxed)
        );
        for (stream, decoder) in self.view.decoders.read().iter() {
            told.push_str(&format!("\n{stream} read {}", decoder.definition().reading));
        }
        folder::fingerprint(&told)
    }

    /// Goes on for a reader that was told of this history: where that is another one, all is told anew, and that is said.
    pub fn told_of(self, history: u64) -> Subscription {
        let goes_on_from = self.goes_on_from.map(|_| GoesOnFrom::History(history));
        Subscription { goes_on_from, ..self }
    }

    /// The columns of [`Subscription::schema`] that are the key.
    pub fn key_columns(&self) -> &[usize] {
        self.view.key_columns()
    }

    /// Resolves when there may be something to tell.
    pub async fn news(&mut self) {
        // The sender is a part of the view, which this holds.
        let _ = self.at.changed().await;
    }

    /// What is to be told next; `None`: nothing now. Blocks on the disk.
    pub fn tell(&mut self) -> Result<Option<Told>, ViewError> {
        self.at.borrow_and_update();
        loop {
            self.follow_versions()?;
            if !self.goes_on()? {
                return Ok(None);
            }
            match self.step() {
                // Another version took its place just now.
                Err(ViewError::Stopped { .. } | ViewError::Replaced { .. }) if self.is_replaced() => {}
                told => return told,
            }
        }
    }

    fn step(&mut self) -> Result<Option<Told>, ViewError> {
        loop {
            let told = match std::mem::replace(&mut self.stands, Stands::Before) {
                Stands::Before => {
                    let reader = self.view.reader()?;
                    let keys = reader.keys();
                    let next = VecDeque::new();
                    self.stands = Stands::Telling(Box::new(Beginning { reader, next, keys }));
                    continue;
                }
                Stands::Telling(beginning) => self.tell_beginning(beginning)?,
                Stands::Following => {
                    self.stands = Stands::Following;
                    let end = self.view.position();
                    if self.changed.is_empty() && self.position.covers(&end) {
                        return Ok(None);
                    }
                    if self.changed.is_empty() {
                        self.find_changed(&end)?;
                    }
                    self.tell_changed()?
                }
            };
            let is_beginning = told.is_whole && std::mem::take(&mut self.is_beginning);
            if is_beginning || told.rows.num_rows() + told.gone.num_rows() > 0 {
                return Ok(Some(told));
            }
        }
    }

    /// Whether a reader that was told something before can be told more. Where that is of another history, it begins anew. `false`: what the rows are
    /// without is known once they are built.
    fn goes_on(&mut self) -> Result<bool, ViewError> {
        let Some(from) = self.goes_on_from else { return Ok(true) };
        self.view.check_runs()?;
        if self.view.building().is_some() {
            return Ok(false);
        }
        self.goes_on_from = None;
        let is_same = match from {
            GoesOnFrom::History(history) => history == self.history(),
            GoesOnFrom::Position => !self.view.may_differ_from_what_was_told(&self.position),
        };
        if !is_same {
            let (views, view) = (Arc::clone(&self.views), Arc::clone(&self.view));
            *self = Subscription::new(views, view, self.filter.take(), None)?;
            self.is_reset = true;
        }
        Ok(true)
    }

    fn is_replaced(&self) -> bool {
        let current = (self.views)(&self.view.definition().name);
        current.is_some_and(|current| !Arc::ptr_eq(&current, &self.view))
    }

    /// Where another version of the view took its place, everything is told anew.
    fn follow_versions(&mut self) -> Result<(), ViewError> {
        let name = &self.view.definition().name;
        match (self.views)(name) {
            Some(current) if Arc::ptr_eq(&current, &self.view) => Ok(()),
            Some(current) => {
                let fresh = Subscription::new(Arc::clone(&self.views), current, self.filter.take(), None)?;
                if fresh.schema != self.schema {
                    return Err(ViewError::Stopped {
                        view: name.clone(),
                        why: "it was replaced by a version with other columns: subscribe anew".to_owned(),
                    });
                }
                *self = fresh;
                self.is_reset = true;
                Ok(())
            }
            None => Err(ViewError::Stopped {
                view: name.clone(),
                why: "it was dropped".to_owned(),
            }),
        }
    }

    fn tell_beginning(&mut self, mut beginning: Box<Beginning>) -> Result<Told, ViewError> {
        let Beginning { reader, next, keys } = &mut *beginning;
        let at_once = self.rows_at_once();
        while next.len() < at_once
            && let Some(key) = keys.next()
        {
            next.push_back(GroupKey(key?));
        }
        let is_all = next.len() < at_once;
        let (some, (rows, places)) = match next.is_empty() && self.view.key_types().is_empty() {
            // A view without GROUP BY has a row before its first event.
            true => {
                let (rows, place) = match reader.read(&Selection::All) {
                    Ok(mut rows) => (rows.batches.remove(0), Some(0)),
                    Err(ViewError::Row { .. }) => (RecordBatch::new_empty(self.view.schema()), None),
                    Err(error) => return Err(error),
                };
                (vec![GroupKey(Vec::new())], (rows, vec![place]))
            }
            false => self.as_many(next, |keys| {
                let keys: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
                reader.rows_of(&keys).map(found)
            })?,
        };
        let is_last = is_all && next.is_empty();
        let mut position = reader.position().clone();
        for (stream, partition, _) in end_of(&self.view.log, &self.view.query).iter() {
            // What has no events yet is named, too: a position is never empty.
            position.advance(stream, partition, 0);
        }
        let told = self.told(&some, &rows, &places, position.clone(), is_last)?;
        match is_last {
            true => {
                self.position = position;
                self.stands = Stands::Following;
            }
            false => self.stands = Stands::Telling(beginning),
        }
        Ok(told)
    }

    /// Takes the first of some keys and reads their rows: as many as are told at once, and half of them, again and again, where their lists are more
    /// than one read shows. A row whose own lists are too long cannot be told at all.
    fn as_many(
        &self,
        keys: &mut VecDeque<GroupKey>,
        read: impl Fn(&[GroupKey]) -> Result<RowsFound, ViewError>,
    ) -> Result<(Vec<GroupKey>, RowsFound), ViewError> {
        let mut some: Vec<GroupKey> = keys.drain(..self.rows_at_once().min(keys.len())).collect();
        loop {
            match read(&some) {
                Ok(found) => return Ok((some, found)),
                Err(ViewError::Asked(_)) if some.len() > 1 => {
                    for key in some.split_off(some.len() / 2).into_iter().rev() {
                        keys.push_front(key);
                    }
                }
                Err(ViewError::Asked(why)) => return Err(self.untellable(&some, &why)),
                Err(error) => return Err(error),
            }
        }
    }

    fn untellable(&self, keys: &[GroupKey], why: &str) -> ViewError {
        let values = keys.iter().flat_map(|key| self.view.key_values(key)).flatten();
        let key: Vec<String> = values.map(|value| value.to_string()).collect();
        ViewError::Asked(format!(
            "the row ({}) of the view '{}' cannot be told, as a row is told whole ({why}): subscribe to a view without that list",
            key.join(", "),
            self.view.definition().name
        ))
    }

    /// How many rows are told at once: few where each may be long.
    fn rows_at_once(&self) -> usize {
        match self.view.query.lists.is_empty() {
            true => SUBSCRIPTION_KEYS,
            false => SUBSCRIPTION_LONG_ROWS,
        }
    }

    /// Finds the rows that the events from the position on changed, up to an end or about as many as are told at once.
    fn find_changed(&mut self, end: &Position) -> Result<(), ViewError> {
        let failed = |why: String| ViewError::Failed(why);
        let view = Arc::clone(&self.view);
        let mut keys: Vec<GroupKey> = Vec::new();
        for (stream, partition, to) in end.iter() {
            let from = self.position.get(stream, partition);
            if from >= to || keys.len() >= SUBSCRIPTION_KEYS {
                continue;
            }
            let kept = view.log.offsets(stream, partition).unwrap_or_default();
            let whole_from = kept.start.max(kept.compacted);
            if whole_from > from {
                return Err(failed(format!(
                    "the events of {stream}/{partition} from {from} to {whole_from} are no longer all kept, so that nobody can tell what they \
                     changed: subscribe anew"
                )));
            }
            let read = view.log.read(stream, partition, from, SUBSCRIPTION_READ_BYTES);
            let batches = read.map_err(|error| failed(error.to_string()))?;
            let next = batches.last().map_or(to, |last| last.batch.next_offset());
            keys.extend(view.touched_in(stream, partition, &batches, from..to)?);
            self.position.set(stream, partition, next.min(to));
        }
        keys.sort();
        keys.dedup();
        self.changed = keys.into();
        Ok(())
    }

    /// Rows that changed, as they stand.
    fn tell_changed(&mut self) -> Result<Told, ViewError> {
        self.view.check_readable()?;
        let mut changed = std::mem::take(&mut self.changed);
        let read = self.as_many(&mut changed, |keys| {
            let rows = self.view.rows_of(&keys.iter().collect::<Vec<&GroupKey>>());
            rows.map(found)
        });
        self.changed = changed;
        let (keys, (rows, places)) = read?;
        self.told(&keys, &rows, &places, self.position.clone(), self.changed.is_empty())
    }

    /// What is said of some keys whose rows are these.
    fn told(
        &mut self,
        keys: &[GroupKey],
        rows: &RecordBatch,
        places: &[Option<usize>],
        position: Position,
        is_whole: bool,
    ) -> Result<Told, ViewError> {
        let wanted = self.wanted(rows)?;
        let (mut there, mut gone): (Vec<u32>, Vec<&GroupKey>) = (Vec::new(), Vec::new());
        let remembers = self.filter.as_ref().is_some_and(|filter| !filter.is_on_key);
        for (key, place) in keys.iter().zip(places) {
            let place = place.filter(|place| wanted.value(*place));
            if let Some(place) = place {
                there.push(place as u32);
            }
            if !remembers {
                if place.is_none() {
                    gone.push(key);
                }
                continue;
            }
            let had = self.has.get(key).copied().unwrap_or(self.is_resumed);
            match place {
                Some(_) => drop(self.has.insert(key.clone(), true)),
                None if had => {
                    gone.push(key);
                    self.has.insert(key.clone(), false);
                }
                None => {}
            }
        }
        if self.is_beginning {
            // Nobody has been told of them: a HAVING hides them.
            gone.clear();
        }
        if !self.is_resumed {
            self.has.retain(|_, has| *has);
        }
        if self.has.len() > SUBSCRIBED_ROWS_MAX {
            return Err(ViewError::Failed(format!(
                "the subscription has more than {SUBSCRIBED_ROWS_MAX} rows to keep in mind, as its WHERE reads more than the key: narrow it, or \
                 leave it out and choose where the changes are read"
            )));
        }
        let rows = take_record_batch(rows, &UInt32Array::from(there)).and_then(|rows| rows.with_schema(self.schema()));
        let gone = self.gone(&gone)?;
        let is_reset = std::mem::take(&mut self.is_reset);
        Ok(Told {
            is_reset,
            rows: rows.map_err(|error| ViewError::Failed(error.to_string()))?,
            gone,
            position,
            is_whole,
        })
    }

    /// For each row whether it is asked for.
    fn wanted(&self, rows: &RecordBatch) -> Result<BooleanArray, ViewError> {
        let Some(filter) = &self.filter else {
            return Ok(BooleanArray::from(vec![true; rows.num_rows()]));
        };
        let keep = filter.predicate.evaluate(rows)?.into_array(rows.num_rows())?;
        Ok(keep.as_boolean().iter().map(|keep| Some(keep == Some(true))).collect())
    }

    /// Rows that say no more than their keys; without those that a filter over the key never asked for.
    fn gone(&self, keys: &[&GroupKey]) -> Result<RecordBatch, ViewError> {
        let failed = |error: ArrowError| ViewError::Failed(error.to_string());
        let mut values: Vec<Vec<ScalarValue>> = vec![Vec::new(); self.view.key_columns().len()];
        for key in keys {
            for (column, value) in values.iter_mut().zip(self.view.key_values(key)?) {
                column.push(value);
            }
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (index, field) in self.schema.fields().iter().enumerate() {
            let key = self.view.key_columns().iter().position(|column| *column == index);
            columns.push(match key {
                Some(key) if !keys.is_empty() => {
                    let array = ScalarValue::iter_to_array(values[key].iter().cloned())?;
                    cast(&array, field.data_type()).map_err(failed)?
                }
                _ => new_null_array(field.data_type(), keys.len()),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(keys.len()));
        let gone = RecordBatch::try_new_with_options(self.schema(), columns, &options).map_err(failed)?;
        match &self.filter {
            Some(filter) if filter.is_on_key => filter_record_batch(&gone, &self.wanted(&gone)?).map_err(failed),
            _ => Ok(gone),
        }
    }
}
