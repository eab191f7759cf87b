//! One round of a batch for the calls of one command: its steps worked out over columns, a row for each call.
//!
//! It decides on rows as they are handed to it. Which of the calls stand by what the others of the round do is looked at by the batch.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::array::{ArrayRef, AsArray, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::common::{DataFusionError, ScalarValue};
use headwater_records::Event;
use headwater_sql::limits::INSERT_BYTES_MAX;
use headwater_sql::many::{Answer, Callers, Rows};
use headwater_sql::{Prepared, SqlError, SqlState};
use headwater_views::GroupKey;

use super::made::{MadeEvent, StreamEvents};
use super::rows::{Certainty, RowsAtHand};
use crate::call::compile::assignment;
use crate::call::compiled::{Compiled, CompiledLet, CompiledOutput, CompiledRequire, CompiledStep};
use crate::commands::Inner;
use crate::decide::coming::Taken;
use crate::decide::refusal;
use crate::error::Refused;

/// What a call comes to.
pub(super) enum Fate {
    /// It appends these, each to one of the round's streams.
    Appends(Vec<(usize, MadeEvent)>),
    Refused(Refused),
    /// It is to be decided alone.
    Alone,
}

/// What a round comes to.
pub(super) struct Decided {
    /// For each call in order what it comes to, and the rows that it read: the view, and the key.
    pub(super) calls: Vec<(Fate, Vec<(usize, GroupKey)>)>,
    /// The streams that the events go to.
    pub(super) streams: Vec<StreamEvents>,
}

/// A round under way.
struct Round<'a, 'b> {
    inner: &'a Inner,
    command: &'a Compiled,
    rows: &'a mut RowsAtHand<'b>,
    /// The calls that are still to be decided, by their places, and their values.
    open: Vec<u32>,
    callers: Callers,
    fates: Vec<Option<Fate>>,
    reads: Vec<Vec<(usize, GroupKey)>>,
    /// The events of calls that nothing says no to so far.
    events: HashMap<u32, Vec<(usize, MadeEvent)>>,
    streams: Vec<StreamEvents>,
}

/// Decides calls of a command. An error is one that any of them may have: then each is decided alone.
pub(super) fn decide(
    inner: &Inner,
    command: &Compiled,
    rows: &mut RowsAtHand<'_>,
    callers: Callers,
) -> Result<Decided, SqlError> {
    let count = callers.count();
    let mut round = Round {
        inner,
        command,
        rows,
        open: (0..count as u32).collect(),
        callers,
        fates: (0..count).map(|_| None).collect(),
        reads: vec![Vec::new(); count],
        events: HashMap::new(),
        streams: Vec::new(),
    };
    round.check()?;
    for step in &command.steps {
        match step {
            CompiledStep::Let(value) => round.take(value)?,
            CompiledStep::Require(require) => round.look(require)?,
        }
    }
    for output in &command.outputs {
        round.make(output)?;
    }
    for call in std::mem::take(&mut round.open) {
        let events = round.events.remove(&call).unwrap_or_default();
        let bytes = events.iter().map(|(_, made)| made.bytes()).sum::<usize>();
        command.made_bytes.fetch_max(bytes, Ordering::Relaxed);
        // What is too much for one is said to it alone.
        round.fates[call as usize] = Some(match bytes > INSERT_BYTES_MAX {
            true => Fate::Alone,
            false => Fate::Appends(events),
        });
    }
    let fates = round.fates.into_iter().map(|fate| fate.unwrap_or(Fate::Alone));
    Ok(Decided {
        calls: fates.zip(round.reads).collect(),
        streams: round.streams,
    })
}

impl Round<'_, '_> {
    /// Leaves those out whose arguments break a CHECK: which one, and how, is said to each alone.
    fn check(&mut self) -> Result<(), SqlError> {
        for check in &self.command.checks {
            let Answer { rows, .. } = self.inner.engine.answers(&check.value, &self.callers, &[])?;
            let holds = rows
                .columns()
                .first()
                .and_then(|column| column.as_boolean_opt().cloned());
            if let Some(holds) = holds {
                let passes: Vec<bool> = holds.iter().map(|holds| holds != Some(false)).collect();
                self.keep(|place| passes.get(place).copied().unwrap_or(false), |_, _| Fate::Alone)?;
            }
        }
        Ok(())
    }

    /// Works out a LET.
    fn take(&mut self, value: &CompiledLet) -> Result<(), SqlError> {
        let Answer { rows, owners } = self.ask(&value.question)?;
        let mut places: Vec<Option<u32>> = vec![None; self.callers.count()];
        for (place, owner) in (0..).zip(owners) {
            if places[owner as usize].replace(place).is_some() {
                return Err(SqlError::new(SqlState::CARDINALITY, "several rows"));
            }
        }
        let column = rows.column(0);
        let column = take(column, &UInt32Array::from(places), None).map_err(DataFusionError::from)?;
        self.callers.push(column);
        Ok(())
    }

    /// Looks at a condition.
    fn look(&mut self, require: &CompiledRequire) -> Result<(), SqlError> {
        let Answer { owners, .. } = self.ask(&require.holds)?;
        let mut holds = vec![false; self.callers.count()];
        owners.iter().for_each(|owner| holds[*owner as usize] = true);
        let columns: Vec<ArrayRef> = self.callers.columns().to_vec();
        let names = &self.command.names;
        // What is said rests on rows: where they are not durable yet, it is not said.
        let mut certain: Vec<bool> = Vec::with_capacity(self.open.len());
        for call in &self.open {
            certain.push(self.rows.are_durable(&self.reads[*call as usize]));
        }
        let mut failed: Option<SqlError> = None;
        self.keep(
            |place| holds[place],
            |place, _| {
                if !certain[place] {
                    return Fate::Alone;
                }
                let values = columns.iter().map(|column| ScalarValue::try_from_array(column, place));
                let text = values
                    .collect::<Result<Vec<ScalarValue>, _>>()
                    .map_err(SqlError::from)
                    .and_then(|values| refusal::text(&require.refusal, names, &values));
                match text {
                    Ok(text) => Fate::Refused(Refused {
                        text,
                        code: require.code.clone(),
                    }),
                    Err(error) => {
                        failed = Some(error);
                        Fate::Alone
                    }
                }
            },
        )?;
        failed.map_or(Ok(()), Err)
    }

    /// Answers a question for all open calls, but for those whose rows only the view will know.
    fn ask(&mut self, question: &Prepared) -> Result<Answer, SqlError> {
        let mut sought: Vec<(usize, Vec<Option<GroupKey>>)> = Vec::new();
        let mut known = vec![true; self.open.len()];
        for lookup in self.inner.engine.sought(question, &self.callers)? {
            let view = self.rows.place_of(&lookup.view);
            let view = view.ok_or_else(|| SqlError::new(SqlState::CONFLICT, "the view is another by now"))?;
            self.rows
                .look_up(view, lookup.keys.iter().flatten().cloned().collect())?;
            for (place, key) in lookup.keys.iter().enumerate() {
                let Some(key) = key else { continue };
                known[place] &= self.rows.certainty(view, key) != Certainty::Unknown;
                let reads = &mut self.reads[self.open[place] as usize];
                if !reads.iter().any(|(of, read)| *of == view && read == key) {
                    reads.push((view, key.clone()));
                }
            }
            sought.push((view, lookup.keys));
        }
        if known.contains(&false) {
            self.keep(|place| known[place], |_, _| Fate::Alone)?;
            for (_, keys) in &mut sought {
                let mut known = known.iter();
                keys.retain(|_| known.next().copied().unwrap_or(false));
            }
        }
        let mut found: Vec<Rows> = Vec::with_capacity(sought.len());
        for (view, keys) in &sought {
            found.push(self.rows.found(*view, keys)?);
        }
        self.inner.engine.answers(question, &self.callers, &found)
    }

    /// Makes the events of an output.
    fn make(&mut self, output: &CompiledOutput) -> Result<(), SqlError> {
        let engine = &self.inner.engine;
        let definition = engine.catalog().stream(&output.stream);
        let definition = definition.ok_or_else(|| SqlError::new(SqlState::CONFLICT, "the stream was dropped"))?;
        let Answer { rows, owners } = self.ask(&output.question)?;
        let encoder = engine.encoder(&definition)?;
        let mut arrays: Vec<Option<ArrayRef>> = Vec::new();
        for column in assignment(&rows.schema(), &encoder.schema(), &output.stream)? {
            arrays.push(column.map(|column| Arc::clone(rows.column(column))));
        }
        let rows = encoder.assign(rows.num_rows(), &arrays)?;
        let events: Vec<Event> = encoder.encode(&rows, engine.now_ms())?;
        let stream = self.stream(&output.stream, definition.partitions);
        let mut touches: Vec<std::vec::IntoIter<Option<Vec<GroupKey>>>> = Vec::new();
        for lately in &self.streams[stream].views {
            let of_each = lately.view.touched_by_each(&output.stream, &rows);
            if of_each.is_none() && self.rows.place_of(&lately.view).is_some() {
                return Err(SqlError::new(
                    SqlState::CONFLICT,
                    "only the events say what they change",
                ));
            }
            let of_each: Vec<Option<Vec<GroupKey>>> = match of_each {
                Some(of_each) => of_each.into_iter().map(Some).collect(),
                None => vec![None; rows.num_rows()],
            };
            touches.push(of_each.into_iter());
        }
        let rows = Arc::new(rows);
        for (row, (event, owner)) in events.into_iter().zip(owners).enumerate() {
            let made = MadeEvent {
                event,
                taken: Taken {
                    rows: Arc::clone(&rows),
                    row,
                },
                touches: touches.iter_mut().map(|of| of.next().unwrap_or_default()).collect(),
            };
            let call = self.open[owner as usize];
            self.events.entry(call).or_default().push((stream, made));
        }
        Ok(())
    }

    /// The place of a stream among those that the round's events go to.
    fn stream(&mut self, name: &str, partitions: u32) -> usize {
        let known = self.streams.iter().position(|known| known.stream == name);
        known.unwrap_or_else(|| {
            let views = self.rows.decided_on(name);
            self.streams.push(StreamEvents::new(name, partitions, views));
            self.streams.len() - 1
        })
    }

    /// Goes on with some of the open calls; what becomes of each of the others is said.
    fn keep(
        &mut self,
        stays: impl Fn(usize) -> bool,
        mut fate: impl FnMut(usize, u32) -> Fate,
    ) -> Result<(), SqlError> {
        let mut kept: Vec<u32> = Vec::with_capacity(self.open.len());
        let mut open: Vec<u32> = Vec::with_capacity(self.open.len());
        for (place, call) in self.open.iter().enumerate() {
            match stays(place) {
                true => {
                    kept.push(place as u32);
                    open.push(*call);
                }
                false => self.fates[*call as usize] = Some(fate(place, *call)),
            }
        }
        if kept.len() < self.open.len() {
            self.callers = self.callers.only(&kept)?;
            self.open = open;
        }
        Ok(())
    }
}
