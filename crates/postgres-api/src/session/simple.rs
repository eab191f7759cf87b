//! The simple protocol: one text of statements, run one after the other, stopped at the first error.

use std::sync::Arc;

use headwater_sql::parse::parse;
use headwater_sql::syntax::{Parsed, Statement};
use tokio::sync::watch;

use super::extended::Cursor;
use super::run::{Answer, RowStream, position_of};
use super::{Failure, Session, at, canceled_error, late_error, progress};
use crate::report;
use crate::values::{TEXT, describe};
use crate::wire::WireError;

impl Session {
    /// Answers a Query.
    pub(super) async fn query(&mut self, text: String) -> Result<(), WireError> {
        // A Query destroys the unnamed statement and portal.
        self.prepared.remove("");
        self.portals.remove("");
        match self.statements(&text).await {
            Ok(()) => {}
            Err(Failure::Connection(error)) => return Err(error),
            Err(Failure::Statement(error, _)) => {
                self.output.error(&report::error(&text, &error));
                self.transaction.failed();
            }
        }
        self.end_cursors();
        self.output.ready(self.transaction.status());
        Ok(self.output.flush().await?)
    }

    async fn statements(&mut self, text: &str) -> Result<(), Failure> {
        let statements = parse(text, "")?;
        if statements.is_empty() {
            self.output.empty_query();
        }
        for parsed in statements {
            match &parsed.statement {
                Statement::Cursor(step) => {
                    self.cursor(step, Vec::new(), None).await?;
                    continue;
                }
                Statement::Copy(copy) => {
                    self.copy(copy).await?;
                    continue;
                }
                _ => {}
            }
            match self.execute(&parsed, Vec::new()).await? {
                Answer::Done { tag, .. } => self.output.command_complete(&tag),
                Answer::Rows(rows) => self.rows(&parsed, rows).await?,
            }
            self.output.flush_when_full().await?;
        }
        Ok(())
    }

    async fn rows(&mut self, parsed: &Parsed, rows: RowStream) -> Result<(), Failure> {
        let columns = describe(&rows.schema);
        self.output.row_description(&columns, |_| TEXT);
        let formats: Arc<[i16]> = vec![TEXT; columns.len()].into();
        let mut cursor = Cursor::new(rows, Arc::clone(&formats));
        let sent = self.send(parsed, &mut cursor, u64::MAX).await?;
        self.output.command_complete(&tag(&parsed.statement, sent.rows));
        Ok(())
    }

    /// Sends up to `rows_max` rows of a cursor.
    pub(super) async fn send(&mut self, parsed: &Parsed, cursor: &mut Cursor, rows_max: u64) -> Result<Sent, Failure> {
        let call = matches!(parsed.statement, Statement::Call { .. });
        let follows = matches!(parsed.statement, Statement::Subscribe(_));
        let mut sent = Sent { rows: 0, ended: false };
        let progress = cursor.rows.progress.clone();
        loop {
            while sent.rows < rows_max && cursor.put_row(&mut self.output) {
                sent.rows += 1;
                self.output.flush_when_full().await?;
            }
            // Whether a subscription has more rows, nobody waits to know.
            if sent.rows >= rows_max && (cursor.has_row() || follows) {
                return Ok(sent);
            }
            if follows {
                // The next rows may be long in coming: those that are there are not to wait for them.
                self.output.flush().await?;
            }
            let canceled = self.switch.canceled();
            let batch = tokio::select! {
                batch = cursor.rows.next() => batch?,
                () = canceled => return Err(canceled_error().into()),
                gone = self.input.gone(), if !call => return Err(gone.into()),
                () = at(self.deadline) => return Err(late_error().into()),
                () = stopping(self.shutdown.clone()), if !call => return Err(stopped().into()),
                () = progress::due(progress.as_ref()) => {
                    progress::tell(progress.as_ref(), &mut self.output).await?;
                    continue;
                }
            };
            let Some(batch) = batch else {
                sent.ended = true;
                return Ok(sent);
            };
            if call {
                self.wrote_up_to(&position_of(&batch));
            }
            cursor.take(&batch)?;
            if sent.rows >= rows_max && cursor.has_row() {
                return Ok(sent);
            }
        }
    }
}

async fn stopping(mut shutdown: watch::Receiver<bool>) {
    // Whoever held the other end is gone: then the program is stopping too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

fn stopped() -> headwater_sql::SqlError {
    headwater_sql::SqlError::new(report::SHUTDOWN, "the program is stopping: ask again later")
}

/// How far a cursor was sent.
pub(super) struct Sent {
    /// Rows sent this time.
    pub rows: u64,
    /// Whether that was the end.
    pub ended: bool,
}

/// The command tag of a statement that gave rows.
pub(super) fn tag(statement: &Statement, rows: u64) -> String {
    match statement {
        Statement::Explain { .. } | Statement::ExplainCall { .. } => "EXPLAIN".to_owned(),
        Statement::Show(_) => "SHOW".to_owned(),
        Statement::Subscribe(_) => format!("SUBSCRIBE {rows}"),
        Statement::Describe(_) => "DESCRIBE".to_owned(),
        Statement::Call { .. } => "CALL".to_owned(),
        Statement::Insert(_) => format!("INSERT 0 {rows}"),
        _ => format!("SELECT {rows}"),
    }
}
