//! Statements that are asked again: one that looks up a row by its key needs no plan from the second time on.
//!
//! ```text
//! asked once ── planned, on the questions' runtime
//! asked again ─ compiled, where it is one row by its key ── looked up right here, and answered with what else waits to be sent
//! ```

use std::pin::pin;
use std::sync::Arc;

use futures::FutureExt;
use headwater_sql::PointRead;
use headwater_sql::statement::{Parsed, Statement};
use parking_lot::Mutex;

use super::extended::{Portal, Prepared, columns_of, put_row, same_types};
use super::simple::tag;
use super::{Failure, Session, canceled_error, run};

/// What is known of how a prepared statement is answered.
#[derive(Default)]
pub(super) struct Asked(Mutex<Known>);

#[derive(Default, Clone)]
enum Known {
    /// It was never asked: who asks once is not to pay for what saves the second time.
    #[default]
    Never,
    /// It was asked, and nothing was looked into yet.
    Once,
    /// It looks up one row.
    Point(Arc<PointRead>),
    /// It is planned each time.
    Planned,
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
            // Planned this time; where the view was replaced, it is compiled anew the next time.
            if !point.is_current(&self.engine) {
                *prepared.asked.0.lock() = Known::Once;
            }
            return Ok(false);
        };
        let columns = columns_of(&found)?;
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
        let known = prepared.asked.0.lock().clone();
        match known {
            Known::Never => {
                *prepared.asked.0.lock() = Known::Once;
                None
            }
            Known::Planned => None,
            Known::Point(point) => Some(point),
            Known::Once => {
                let types = prepared.types();
                let point = run::point_read(&self.options.questions, &self.engine, question, types).await;
                let point = point.filter(|point| same_types(prepared.columns.as_ref(), point.schema()).is_ok());
                *prepared.asked.0.lock() = point.clone().map_or(Known::Planned, Known::Point);
                point
            }
        }
    }
}
