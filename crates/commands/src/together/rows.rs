//! The rows that a batch of calls reads, each as it will be once everything before it has been folded.
//!
//! ```text
//! what a view keeps, at its position ─ what was appended since, not folded yet ─ what earlier rounds of the batch append
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::compute::concat_batches;
use datafusion::common::DataFusionError;
use headwater_records::Position;
use headwater_sql::SqlError;
use headwater_sql::many::Rows;
use headwater_views::{GroupKey, Kept, View};

use crate::commands::Inner;
use crate::decide::coming::{Since, Taken};
use crate::decide::lately::Lately;

/// The rows of all views that a batch reads.
pub(super) struct RowsAtHand<'a> {
    inner: &'a Inner,
    /// The end of every stream below them when the batch was taken: events that are being flushed included.
    ends: Position,
    pub(super) views: Vec<ViewRows>,
    /// By stream: the views over it that are decided on, here and elsewhere.
    decided_on: HashMap<String, Vec<Arc<Lately>>>,
}

/// The rows of one view.
pub(super) struct ViewRows {
    pub(super) view: Arc<View>,
    pub(super) streams: Vec<StreamBelow>,
    rows: HashMap<GroupKey, Row>,
    /// What the batch appends to rows that nobody looked up so far: see [`Row::takes`].
    unread: HashMap<GroupKey, Vec<(usize, Taken)>>,
}

/// A stream below a view.
pub(super) struct StreamBelow {
    pub(super) lately: Arc<Lately>,
    /// Up to where its events are in the rows, for each partition.
    pub(super) upto: Vec<u64>,
    /// Whether that is as far as the stream went when the batch was taken.
    is_at_end: bool,
}

/// One row.
struct Row {
    /// What is kept of it.
    value: Option<Vec<u8>>,
    /// What it takes besides, each of one of the view's streams.
    takes: Vec<(usize, Taken)>,
    /// Whether something is in it, or will be, that is not durable yet.
    is_foreseen: bool,
    /// Whether it is known what it will be.
    is_known: bool,
}

/// What is known of a row that a call reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    /// It is what it is at the end of the log, and durable.
    Durable,
    /// It is what it will be.
    Foreseen,
    /// Only the view will say.
    Unknown,
}

impl<'a> RowsAtHand<'a> {
    pub(super) fn new(inner: &'a Inner, streams: &[String]) -> RowsAtHand<'a> {
        let mut ends = Position::new();
        for stream in streams {
            for (partition, offsets) in (0..).zip(inner.engine.log().all_offsets(stream)) {
                ends.set(stream, partition, offsets.end);
            }
        }
        RowsAtHand {
            inner,
            ends,
            views: Vec::new(),
            decided_on: HashMap::new(),
        }
    }

    /// The place of a view among those that are read.
    pub(super) fn place_of(&self, view: &Arc<View>) -> Option<usize> {
        self.views.iter().position(|known| Arc::ptr_eq(&known.view, view))
    }

    /// The views over a stream that are decided on; asked once all views are added.
    pub(super) fn decided_on(&mut self, stream: &str) -> Vec<Arc<Lately>> {
        let (inner, views) = (self.inner, &self.views);
        let of = self.decided_on.entry(stream.to_owned()).or_insert_with(|| {
            let mut of = inner.decided_on(stream);
            let read = views.iter().flat_map(|rows| &rows.streams).map(|below| &below.lately);
            for lately in read.filter(|lately| lately.stream() == stream) {
                if !of.iter().any(|known| Arc::ptr_eq(known, lately)) {
                    of.push(Arc::clone(lately));
                }
            }
            of
        });
        of.clone()
    }

    /// Adds a view that is read; its place.
    pub(super) fn add_view(&mut self, view: &Arc<View>) -> usize {
        self.place_of(view).unwrap_or_else(|| {
            let below = |stream: &str| StreamBelow {
                lately: self.inner.lately(view, stream),
                upto: Vec::new(),
                is_at_end: true,
            };
            self.views.push(ViewRows {
                streams: view.streams().into_iter().map(below).collect(),
                view: Arc::clone(view),
                rows: HashMap::new(),
                unread: HashMap::new(),
            });
            self.views.len() - 1
        })
    }

    /// Looks rows up that were not looked up before.
    pub(super) fn look_up(&mut self, view: usize, keys: Vec<GroupKey>) -> Result<(), SqlError> {
        let rows = &mut self.views[view];
        let mut new: Vec<GroupKey> = keys.into_iter().filter(|key| !rows.rows.contains_key(key)).collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Ok(());
        }
        match rows.view.kept(&new)? {
            Some(kept) => rows.add(new, kept, &self.ends),
            // Some of them must be read from the disk.
            None => {
                for key in new {
                    let kept = rows.view.kept(std::slice::from_ref(&key))?;
                    match kept {
                        Some(kept) => rows.add(vec![key], kept, &self.ends),
                        None => {
                            rows.rows.insert(key, Row::unknown());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// What is known of a row that was looked up.
    pub(super) fn certainty(&self, view: usize, key: &GroupKey) -> Certainty {
        let rows = &self.views[view];
        match rows.rows.get(key) {
            Some(row) if row.is_known && !row.is_foreseen && rows.streams.iter().all(|stream| stream.is_at_end) => {
                Certainty::Durable
            }
            Some(row) if row.is_known => Certainty::Foreseen,
            _ => Certainty::Unknown,
        }
    }

    /// Whether rows that were looked up are what they are at the end of the log, and durable.
    pub(super) fn are_durable(&self, rows: &[(usize, GroupKey)]) -> bool {
        let mut rows = rows.iter();
        rows.all(|(view, key)| self.certainty(*view, key) == Certainty::Durable)
    }

    /// The rows of keys that were looked up and are known.
    pub(super) fn found(&mut self, view: usize, keys: &[Option<GroupKey>]) -> Result<Rows, SqlError> {
        let rows = &mut self.views[view];
        let mut places: HashMap<&GroupKey, usize> = HashMap::with_capacity(keys.len());
        let mut distinct: Vec<&GroupKey> = Vec::with_capacity(keys.len());
        for key in keys.iter().flatten() {
            places.entry(key).or_insert_with(|| {
                distinct.push(key);
                distinct.len() - 1
            });
        }
        for key in &distinct {
            rows.foresee(key)?;
        }
        let values = distinct.iter().map(|key| rows.rows.get(*key)?.value.as_deref());
        let values: Vec<Option<&[u8]>> = values.collect();
        let (found, at) = rows.view.rows_kept(&distinct, &values)?;
        let place = |key: &Option<GroupKey>| key.as_ref().and_then(|key| at[*places.get(key)?]);
        Ok(Rows {
            rows: found,
            places: keys.iter().map(place).collect(),
        })
    }

    /// A row takes a row that the batch appends to a stream; gives the view's place, where it is read.
    pub(super) fn take(&mut self, lately: &Arc<Lately>, key: &GroupKey, taken: &Taken) -> Option<usize> {
        let place = self.place_of(&lately.view)?;
        let rows = &mut self.views[place];
        let stream = rows
            .streams
            .iter()
            .position(|stream| stream.lately.stream() == lately.stream())?;
        let takes = (stream, taken.clone());
        match rows.rows.get_mut(key) {
            Some(row) => row.take(takes, &rows.view),
            None => rows.unread.entry(key.clone()).or_default().push(takes),
        }
        Some(place)
    }
}

impl ViewRows {
    /// Adds rows as the view has them, and what became of them since.
    fn add(&mut self, keys: Vec<GroupKey>, kept: Kept, ends: &Position) {
        let Kept { values, position } = kept;
        let mut known: Vec<Row> = values.into_iter().map(Row::of).collect();
        let wanted: Vec<&GroupKey> = keys.iter().collect();
        for (number, stream) in self.streams.iter_mut().enumerate() {
            let name = stream.lately.stream();
            let partitions = ends.of(name).iter().count() as u32;
            let (upto, since) = stream.lately.since(&position, partitions, &wanted);
            stream.is_at_end &= (0..)
                .zip(&upto)
                .all(|(partition, upto)| *upto >= ends.get(name, partition));
            // Rows that are looked up later are known farther: for all of them that counts which holds for each.
            stream.upto = match stream.upto.is_empty() {
                true => upto,
                false => stream
                    .upto
                    .iter()
                    .zip(&upto)
                    .map(|(one, other)| *one.min(other))
                    .collect(),
            };
            for (row, since) in known.iter_mut().zip(since) {
                match since {
                    Since::Same => {}
                    Since::Changed => row.is_known = false,
                    Since::Took(taken) => {
                        for taken in taken {
                            row.take((number, taken), &self.view);
                        }
                    }
                }
            }
        }
        for (row, key) in known.iter_mut().zip(&keys) {
            for takes in self.unread.remove(key).into_iter().flatten() {
                row.take(takes, &self.view);
            }
        }
        self.rows.extend(keys.into_iter().zip(known));
    }

    /// Works out what a row will be, where it takes something. Where that fails, only the view will say.
    fn foresee(&mut self, key: &GroupKey) -> Result<(), SqlError> {
        let Some(row) = self.rows.get_mut(key).filter(|row| !row.takes.is_empty()) else {
            return Ok(());
        };
        let takes = std::mem::take(&mut row.takes);
        let mut value = row.value.take();
        // Until all of it is worked out, nothing is known.
        row.is_known = false;
        for (number, stream) in self.streams.iter().enumerate() {
            let of_stream = takes.iter().filter(|(of, _)| *of == number);
            let taken = of_stream.map(|(_, taken)| taken.rows.slice(taken.row, 1));
            let taken: Vec<_> = taken.collect();
            let Some(first) = taken.first() else { continue };
            let together = concat_batches(&first.schema(), &taken).map_err(DataFusionError::from)?;
            value = self
                .view
                .foresee(stream.lately.stream(), key, value.as_deref(), &together)?;
        }
        row.value = value;
        row.is_known = true;
        Ok(())
    }
}

impl Row {
    fn of(value: Option<Vec<u8>>) -> Row {
        Row {
            value,
            takes: Vec::new(),
            is_foreseen: false,
            is_known: true,
        }
    }

    /// It takes a row of one of the view's streams.
    fn take(&mut self, takes: (usize, Taken), view: &View) {
        self.takes.push(takes);
        self.is_foreseen = true;
        self.is_known &= view.is_foreseeable();
    }

    fn unknown() -> Row {
        Row {
            is_known: false,
            ..Row::of(None)
        }
    }
}
