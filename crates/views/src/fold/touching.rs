//! Which rows of a view an append would change, and whether that can be said: what a decision on these rows rests on.
//!
//! Invariant: a view says what an event changes only as long as it reads its streams as they are defined. Whoever defines one otherwise puts the
//! views over it in doubt before anybody can append by the new definition, and until each of them goes on by it or stands still.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use headwater_catalog::Format;

use crate::query::Source;
use crate::{GroupKey, View, ViewError, Views};

/// While it lives, some views do not count as reading their streams as these are defined.
pub struct Doubt {
    views: Vec<Arc<View>>,
}

impl Views {
    /// Puts every view over a stream in doubt until what comes back goes: the stream is about to be defined otherwise.
    pub fn doubt(&self, stream: &str) -> Doubt {
        let mut views = self.versions();
        views.retain(|view| view.streams().contains(&stream));
        for view in &views {
            view.doubts.fetch_add(1, Ordering::AcqRel);
        }
        Doubt { views }
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        for view in &self.views {
            view.doubts.fetch_sub(1, Ordering::AcqRel);
            // Whoever waits for it looks again.
            view.position.send_modify(|_| {});
        }
    }
}

impl View {
    /// Whether it reads its streams as they are defined. It does not while one of them is being defined otherwise, nor once it stands still: then no
    /// decision rests on its rows, and it cannot say what an event changes.
    pub fn reads_as_defined(&self) -> bool {
        !self.stands_still() && self.doubts.load(Ordering::Acquire) == 0
    }

    /// Waits until it reads its streams as they are defined, or is not asked any more.
    pub async fn settled(&self) {
        let mut changes = self.position.subscribe();
        while !self.reads_as_defined() && self.check_runs().is_ok() {
            // The sender is a part of this view: it is there as long as this waits.
            let _ = changes.changed().await;
        }
    }

    /// The key of a row, from the columns of its key as arrays of one, which have the columns' types.
    pub fn key_of(&self, columns: &[ArrayRef]) -> Result<GroupKey, ViewError> {
        self.query.key_of(columns)
    }

    /// The keys of so many rows, from the columns of the key as arrays, which have the columns' types.
    pub fn keys_of_each(&self, rows: usize, columns: &[ArrayRef]) -> Result<Vec<GroupKey>, ViewError> {
        Ok(self.query.keys_of_groups(rows, columns)?)
    }

    /// What [`View::touched`] says of the events that these rows of a stream become; `None` where only the events say it. The rows have the stream's
    /// declared columns, in their order.
    pub fn touched_by_rows(&self, stream: &str, rows: &RecordBatch) -> Option<Vec<GroupKey>> {
        if !self.can_take_rows(stream, rows)? {
            return Some(Vec::new());
        }
        // A system column is not among them, and what the query cannot evaluate is told event by event.
        self.query.groups(&Source::Events(stream.to_owned()), rows).ok()
    }

    /// The same for each of the rows.
    pub fn touched_by_each(&self, stream: &str, rows: &RecordBatch) -> Option<Vec<Vec<GroupKey>>> {
        if !self.can_take_rows(stream, rows)? {
            return Some(vec![Vec::new(); rows.num_rows()]);
        }
        let source = Source::Events(stream.to_owned());
        self.query.groups_of_each(&source, rows).ok().flatten()
    }

    /// Whether [`View::touched_by_each`] can say of rows of a stream what they change: not where the view reads of an event what only the log knows, or makes several
    /// rows of it.
    pub fn is_told_by_rows(&self, stream: &str) -> bool {
        let source = Source::Events(stream.to_owned());
        let Some(decoder) = self.decoder(stream) else {
            return true;
        };
        let definition = decoder.definition();
        let columns = definition.columns.as_deref().unwrap_or_default();
        let mut inputs = self.query.inputs_of(&source);
        definition.format == Format::Json
            && !self.query.depends_on_append()
            && inputs.all(|input| input.is_told_by(columns))
    }

    /// Whether rows of a stream can be looked at in the place of its events: `false` where the view does not read the stream, `None` where only the
    /// events say what they change.
    fn can_take_rows(&self, stream: &str, rows: &RecordBatch) -> Option<bool> {
        if !self.reads_as_defined() {
            return None;
        }
        let Some(decoder) = self.decoder(stream) else {
            return Some(false);
        };
        let definition = decoder.definition();
        // In other formats a value may be read as another than the one that was written.
        let is_json = definition.format == Format::Json;
        let depends_on_append = self.query.depends_on_append();
        let (known, own) = (decoder.schema(), rows.schema());
        let are_alike = definition
            .columns
            .as_ref()
            .is_some_and(|columns| columns.len() == own.fields().len());
        let mut pairs = known.fields().iter().zip(own.fields());
        let is_alike = pairs.all(|(known, own)| known.name() == own.name() && known.data_type() == own.data_type());
        (is_json && !depends_on_append && are_alike && is_alike).then_some(true)
    }

    /// An error where it cannot say what an event changes.
    pub(crate) fn check_tells(&self) -> Result<(), ViewError> {
        let view = self.definition.name.clone();
        if !self.reads_as_defined() {
            return Err(ViewError::Outdated { view });
        }
        match self.query.depends_on_append() {
            false => Ok(()),
            true => Err(ViewError::Failed(format!(
                "which rows of the view '{view}' an event changes depends on where and when it is appended: no decision can be bound to it"
            ))),
        }
    }
}
