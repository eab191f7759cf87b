//! Cursors of SQL: a question that runs in a session, whose rows are fetched some at a time. They are portals, as in PostgreSQL: a client may describe,
//! run and close them by either way.
//!
//! Invariant: a question runs no further ahead of its cursor than a few batches, however long nobody fetches.

use std::sync::Arc;

use headwater_sql::syntax::{CursorStep, Parsed};
use headwater_sql::{ScalarValue, SqlError, SqlState};
use tokio::time::Instant;

use super::extended::{Cursor, Portal, Prepared, Run, too_many, unknown_cursor};
use super::run::Answer;
use super::{Failure, GRACE, Session};
use crate::report::{CURSOR_EXISTS, NO_TRANSACTION};
use crate::values::TEXT;

impl Session {
    /// Does a step. `formats`: how the rows are to be written, where the client was told their columns already.
    pub(super) async fn cursor(
        &mut self,
        step: &CursorStep,
        parameters: Vec<ScalarValue>,
        formats: Option<Arc<[i16]>>,
    ) -> Result<(), Failure> {
        self.transaction.admit(false)?;
        match step {
            CursorStep::Declare { name, is_held, query } => self.declare(name, *is_held, query, parameters).await,
            CursorStep::Fetch { name, rows } => self.fetch(name, rows.unwrap_or(u64::MAX), formats).await,
            CursorStep::Close { name } => {
                self.portals.remove(name).ok_or_else(|| unknown_cursor(name))?;
                self.output.command_complete("CLOSE CURSOR");
                Ok(())
            }
        }
    }

    async fn declare(
        &mut self,
        name: &str,
        is_held: bool,
        query: &Parsed,
        parameters: Vec<ScalarValue>,
    ) -> Result<(), Failure> {
        if !is_held && self.transaction.status() == b'I' {
            let error = SqlError::new(NO_TRANSACTION, "DECLARE CURSOR can only be used in transaction blocks");
            return Err(error.hint("say BEGIN before, or DECLARE it WITH HOLD").into());
        }
        if self.portals.contains_key(name) {
            return Err(SqlError::new(CURSOR_EXISTS, format!("cursor '{name}' already exists")).into());
        }
        if self.portals.len() >= self.options.prepared_max {
            return Err(too_many("portals", self.options.prepared_max).into());
        }
        let Answer::Rows(rows) = self.execute(query, parameters).await? else {
            return Err(SqlError::new(SqlState::INTERNAL, "a question gave no rows").into());
        };
        let prepared = Arc::new(Prepared::running(query, &rows.schema));
        let formats: Arc<[i16]> = vec![TEXT; rows.schema.fields().len()].into();
        let portal = Portal {
            prepared,
            parameters: Vec::new(),
            formats: Arc::clone(&formats),
            run: Run::Suspended(Box::new(Cursor::new(rows, formats))),
            is_held,
        };
        self.portals.insert(name.to_owned(), portal);
        self.output.command_complete("DECLARE CURSOR");
        Ok(())
    }

    async fn fetch(&mut self, name: &str, rows_max: u64, formats: Option<Arc<[i16]>>) -> Result<(), Failure> {
        // Taken out while it runs: a cursor that fails is gone.
        let mut portal = self.portals.remove(name).ok_or_else(|| unknown_cursor(name))?;
        let formats = match formats {
            Some(formats) => formats,
            None => {
                self.output.row_description(portal.prepared.described(), |_| TEXT);
                vec![TEXT; portal.prepared.described().len()].into()
            }
        };
        let mut rows = 0;
        match (std::mem::replace(&mut portal.run, Run::Ended), portal.prepared.parsed()) {
            (Run::Suspended(mut cursor), Some(query)) => {
                cursor.formats = formats;
                self.switch.reset();
                let timeout = self.settings.statement_timeout;
                self.deadline = timeout.map(|max| Instant::now() + max + GRACE);
                let sent = self.send(query, &mut cursor, rows_max).await?;
                rows = sent.rows;
                if !sent.ended {
                    portal.run = Run::Suspended(cursor);
                }
            }
            (Run::Bound, _) => {
                let error = SqlError::new(
                    SqlState::NOT_SUPPORTED,
                    format!("'{name}' is a portal that has not begun"),
                );
                return Err(error.hint("execute it, or DECLARE a cursor").into());
            }
            _ => {}
        }
        self.portals.insert(name.to_owned(), portal);
        self.output.command_complete(&format!("FETCH {rows}"));
        Ok(())
    }

    /// Outside of a transaction block there are no cursors but those that are held.
    pub(super) fn end_cursors(&mut self) {
        if self.transaction.status() == b'I' {
            self.portals.retain(|_, portal| portal.is_held);
        }
    }
}
