//! A walk over the events of a row, from several sources in one order.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use headwater_views::{Lineage, Source, Steps, View};

use super::columns::Columns;
use super::{Followed, LineageScan, Seen};
use crate::SqlError;
use crate::limits::LINEAGE_EVENTS_AT_ONCE;
use crate::tables::Start;
use crate::tables::order::{Head, next_run, place};

/// Where a walk stands.
pub(super) struct Following {
    walk: Walk,
    lanes: Vec<Lane>,
    /// Of each source, what was read and not followed yet.
    heads: Vec<Option<Head>>,
    seen: Option<Seen>,
    /// How many steps are still asked for.
    left: usize,
}

/// What events become.
enum Walk {
    Row(Lineage),
    /// Each event is a row of its own.
    Events(Arc<View>),
}

/// The events of one source.
struct Lane {
    source: Source,
    /// The rank of its stream's name.
    rank: usize,
    /// `None`: it has ended.
    events: Option<SendableRecordBatchStream>,
}

impl Following {
    pub(super) fn new(scan: &LineageScan, start: &Start) -> Result<Following> {
        let view = &scan.sources.view;
        let streams = view.streams();
        let mut lanes: Vec<Lane> = Vec::with_capacity(start.inputs.len());
        for ((source, _), events) in scan.sources.each.iter().zip(&start.inputs) {
            lanes.push(Lane {
                rank: streams
                    .iter()
                    .position(|stream| *stream == source.stream())
                    .unwrap_or_default(),
                source: source.clone(),
                events: Some(events.execute(0, Arc::clone(&start.context))?),
            });
        }
        Ok(Following {
            walk: match &scan.followed {
                Followed::Row(..) => Walk::Row(match scan.asks_lists() {
                    true => view.lineage(&scan.past),
                    false => view.lineage(&scan.past).without_lists(),
                }),
                Followed::Event(_) => Walk::Events(Arc::clone(view)),
            },
            heads: lanes.iter().map(|_| None).collect(),
            lanes,
            seen: scan.seen,
            left: scan.limit.unwrap_or(usize::MAX),
        })
    }

    /// The next steps; `None` at the end. A few events at a time, so that who asks for few waits for few.
    pub(super) async fn next(&mut self, columns: &Columns) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            for (lane, head) in self.lanes.iter_mut().zip(&mut self.heads) {
                lane.fill(head).await?;
            }
            let Some((index, events)) = next_run(&mut self.heads, self.walk.events_at_once())? else {
                return Ok(None);
            };
            let lane = &self.lanes[index];
            let steps = self.walk.take(&lane.source, &events)?;
            let steps = self.wanted(steps, &events, lane.rank)?;
            let shown = columns.shown(lane.source.stream(), &events, &steps)?;
            // Events are followed without waiting: others are let in between.
            tokio::task::yield_now().await;
            if shown.num_rows() > 0 {
                self.left -= shown.num_rows();
                return Ok(Some(shown));
            }
        }
        Ok(None)
    }

    /// Those that were not seen yet, and no more than are asked for.
    fn wanted(&self, steps: Steps, events: &RecordBatch, rank: usize) -> Result<Steps> {
        let mut first = 0;
        if let Some(seen) = self.seen {
            while first < steps.events.len() && seen.holds(place(events, steps.events.value(first) as usize, rank)?) {
                first += 1;
            }
        }
        let count = (steps.events.len() - first).min(self.left);
        Ok(Steps {
            events: steps.events.slice(first, count),
            rows: steps.rows.slice(first, count),
        })
    }
}

impl Walk {
    /// A step whose row has lists may be long.
    fn events_at_once(&self) -> usize {
        match self {
            Walk::Row(lineage) if lineage.shows_lists() => 1,
            _ => LINEAGE_EVENTS_AT_ONCE,
        }
    }

    fn take(&mut self, source: &Source, events: &RecordBatch) -> Result<Steps, SqlError> {
        Ok(match self {
            Walk::Row(lineage) => lineage.take(source, events)?,
            Walk::Events(view) => view.steps_of_events(source, events)?,
        })
    }
}

impl Lane {
    /// Reads on where nothing waits to be followed.
    async fn fill(&mut self, head: &mut Option<Head>) -> Result<()> {
        while head.is_none()
            && let Some(events) = &mut self.events
        {
            match events.try_next().await? {
                Some(events) => *head = Head::new(events, self.rank),
                None => self.events = None,
            }
        }
        Ok(())
    }
}
