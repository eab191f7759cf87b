//! Statements that are asked again: one that looks up a row by its key needs no plan from the second time on.
//!
//! ```text
//! asked once ── planned, on the questions' runtime
//! asked again ─ compiled, where it is one row by its key ── looked up right here, and answered with what else waits to be sent
//!               any other is planned, and looked into again after 8, 16, … more times: what kept it from being compiled may have passed
//! ```

use std::pin::pin;
use std::sync::Arc;

use futures::FutureExt;
use headwater_sql::PointRead;
use headwater_sql::syntax::{Parsed, Statement};
use parking_lot::Mutex;

use super::extended::{Portal, Prepared, columns_of, put_row, same_types};
use super::simple::tag;
use super::{Failure, Session, canceled_error, run};

/// How often a statement that could not be compiled is planned before it is looked into again: the first time, and at most. A view that was not
/// there or that was a plain one may be another by then; a look costs as much as planning does, and so often it is no part of the cost.
const PLANNED_FIRST: u32 = 8;
const PLANNED_MAX: u32 = 1024;

/// What is known of how a prepared statement is answered.
#[derive(Default)]
pub(super) struct Asked(Mutex<Known>);

enum Known {
    /// It is planned so many times before it is looked into, and so many times after that, where it is no look-up then.
    Planned { left: u32, then: u32 },
    /// It looks up one row.
    Point(Arc<PointRead>),
}

/// How a statement is answered this time.
enum Way {
    Plan,
    /// It is to be looked into first.
    Compile,
    LookUp(Arc<PointRead>),
}

impl Default for Known {
    fn default() -> Known {
        // Who asks once is not to pay for what saves the second time.
        Known::Planned {
            left: 1,
            then: PLANNED_FIRST,
        }
    }
}

impl Known {
    fn way(&mut self) -> Way {
        match self {
            Known::Point(point) => Way::LookUp(Arc::clone(point)),
            Known::Planned { left: 0, .. } => Way::Compile,
            Known::Planned { left, .. } => {
                *left -= 1;
                Way::Plan
            }
        }
    }

    /// It was looked into, and is a look-up or none.
    fn compiled(&mut self, point: Option<Arc<PointRead>>) {
        match (point, &mut *self) {
            (Some(point), _) => *self = Known::Point(point),
            (None, Known::Planned { left, then }) => {
                // This time is the first of them.
                *left = *then - 1;
                *then = then.saturating_mul(2).min(PLANNED_MAX);
            }
            (None, Known::Point(_)) => {}
        }
    }

    /// The view that it looks into was replaced: it is compiled anew the next time.
    fn replaced(&mut self) {
        *self = Known::Planned {
            left: 0,
            then: PLANNED_FIRST,
        };
    }
}

impl Session {
    /// Answers a portal where its statement looks up one row; `false`: it is to be run like any other, and nothing happened.
    pub(super) async fn looked_up(&mut self, parsed: &Parsed, portal: &Portal) -> Result<bool, Failure> {
        let prepared = &portal.prepared;
        let Some(point) = self.point(parsed, prepared).await else {
            return Ok(false);
        };
        self.transaction.admit(false)?;
        let asker = self.asker();
        let found = {
            let mut looking = pin!(self.engine.look_up(&asker, &point, &portal.parameters));
            // Nearly always it is there at once, and then nobody can want it canceled.
            match looking.as_mut().now_or_never() {
                Some(found) => found?,
                None => {
                    self.switch.reset();
                    tokio::select! {
                        found = looking => found?,
                        () = self.switch.canceled() => return Err(canceled_error().into()),
                    }
                }
            }
        };
        let Some(found) = found else {
            // Planned this time.
            if !point.is_current(&self.engine) {
                prepared.asked.0.lock().replaced();
            }
            return Ok(false);
        };
        let columns = columns_of(&found, None)?;
        for row in 0..found.num_rows() {
            put_row(&columns, row, &portal.formats, &mut self.output);
        }
        let tag = tag(&parsed.statement, found.num_rows() as u64);
        self.output.command_complete(&tag);
        Ok(true)
    }

    /// The statement as a look-up, where it is one and was asked before.
    async fn point(&self, parsed: &Parsed, prepared: &Prepared) -> Option<Arc<PointRead>> {
        let Statement::Query(question) = &parsed.statement else {
            return None;
        };
        // What is looked up without a plan knows no clock but that of UTC.
        if self.settings.zone.is_some() {
            return None;
        }
        let way = prepared.asked.0.lock().way();
        match way {
            Way::Plan => None,
            Way::LookUp(point) => Some(point),
            Way::Compile => {
                let types = prepared.types();
                let point = run::point_read(&self.options.questions, &self.engine, question, types).await;
                let point = point.filter(|point| same_types(prepared.columns.as_ref(), point.schema()).is_ok());
                prepared.asked.0.lock().compiled(point.clone());
                point
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, PLANNED_FIRST, PLANNED_MAX, Way};

    #[test]
    fn what_could_not_be_compiled_is_looked_into_again_later_and_later() {
        let mut known = Known::default();
        let mut looked: Vec<u32> = Vec::new();
        for asked in 1..10_000 {
            if let Way::Compile = known.way() {
                looked.push(asked);
                known.compiled(None);
            }
        }
        assert_eq!(looked.get(..6), Some(&[2, 10, 26, 58, 122, 250][..]));
        let waits: Vec<u32> = looked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(
            (waits.first(), waits.last()),
            (Some(&PLANNED_FIRST), Some(&PLANNED_MAX))
        );
    }

    #[test]
    fn what_was_replaced_is_compiled_the_next_time() {
        let mut known = Known::default();
        known.replaced();
        assert!(matches!(known.way(), Way::Compile));
    }
}
