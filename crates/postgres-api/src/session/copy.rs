//! COPY: rows that a client sends, or gets, as data of their own between its messages.

use std::sync::Arc;

use arrow::array::ArrayRef;
use bytes::BytesMut;
use headwater_sql::syntax::{Copy, CopyForm, CopyInto, Parsed};
use headwater_sql::{SqlError, SqlState};
use tokio::time::Instant;

use super::extended::columns_of;
use super::run::{Answer, RowStream};
use super::{Failure, Session, at, canceled_error, late_error};
use crate::copy::{self, NotRead};
use crate::report::PROTOCOL;
use crate::values::{BINARY, TEXT};
use crate::wire::{Message, WireError};

/// The most bytes of one COPY: its rows are in memory at once, since they are appended together or not at all.
const COPY_BYTES_MAX: usize = 64 * 1024 * 1024;

impl Session {
    /// Answers a COPY, up to its tag.
    pub(super) async fn copy(&mut self, copy: &Copy) -> Result<(), Failure> {
        let rows = match copy {
            Copy::In { into, form } => self.copy_in(into, form).await?,
            Copy::Out { query, form } => self.copy_out(query, form).await?,
        };
        self.output.command_complete(&format!("COPY {rows}"));
        Ok(())
    }

    async fn copy_in(&mut self, into: &CopyInto, form: &CopyForm) -> Result<usize, Failure> {
        self.transaction.admit(false)?;
        let fields = self.engine.copied_columns(into)?;
        self.output.copy_in(format_of(form), fields.len());
        self.output.flush().await?;
        let sent = self.copied().await?;
        let (engine, asker) = (self.engine.clone(), self.asker());
        let (into, form) = (into.clone(), form.clone());
        let appending = self.options.questions.spawn(async move {
            let columns: Result<Vec<ArrayRef>, NotRead> = match &form {
                CopyForm::Lines(form) => {
                    let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                    copy::read(&sent, form, &names)
                }
                CopyForm::Binary => copy::read_binary(&sent, &fields),
            };
            let columns = columns.map_err(not_read)?;
            drop(sent);
            engine.copy_in(&asker, &into, &columns).await
        });
        // As any write it is awaited: whether it happened must be known.
        let (rows, position) = appending.await.unwrap_or_else(|_| Err(super::run::broken()))?;
        self.transaction.wrote();
        if let Some(position) = position {
            self.wrote_up_to(&position);
        }
        Ok(rows)
    }

    /// The data that a client sends, to its end.
    async fn copied(&mut self) -> Result<BytesMut, Failure> {
        let mut sent = BytesMut::new();
        loop {
            match self.next_message().await? {
                Some(Message::CopyData(data)) => {
                    if sent.len() + data.len() > COPY_BYTES_MAX {
                        let message = format!(
                            "one COPY takes at most {COPY_BYTES_MAX} bytes, and nothing of this one was appended"
                        );
                        return Err(SqlError::new(SqlState::TOO_LARGE, message).hint("split it").into());
                    }
                    sent.extend_from_slice(&data);
                }
                Some(Message::CopyDone) => return Ok(sent),
                Some(Message::CopyFail(why)) => {
                    let message = format!("COPY ended as its client said, and nothing was appended: {why}");
                    return Err(SqlError::new(SqlState::CANCELED, message).into());
                }
                Some(Message::Flush | Message::Sync) => {}
                Some(_) => {
                    let message = "a COPY waits for its data, and another message came";
                    return Err(SqlError::new(PROTOCOL, message).into());
                }
                None => return Err(WireError::Disconnected(std::io::ErrorKind::UnexpectedEof.into()).into()),
            }
        }
    }

    async fn copy_out(&mut self, query: &Parsed, form: &CopyForm) -> Result<usize, Failure> {
        let Answer::Rows(mut rows) = self.execute(query, Vec::new()).await? else {
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, "COPY copies what a query gives").into());
        };
        let schema = Arc::clone(&rows.schema);
        self.output.copy_out(format_of(form), schema.fields().len());
        match form {
            CopyForm::Lines(form) if form.has_header => {
                let names = schema.fields().iter().map(|field| field.name().as_str());
                self.output.copy_data(|line| copy::put_header(line, form, names));
            }
            CopyForm::Lines(_) => {}
            CopyForm::Binary => self.output.copy_data(copy::put_begin),
        }
        let mut sent = 0;
        while let Some(batch) = self.next_batch(&mut rows).await? {
            let columns = columns_of(&batch, rows.zone.as_ref())?;
            for row in 0..batch.num_rows() {
                let format = format_of(form);
                let value = |column: usize, data: &mut BytesMut| {
                    columns.get(column).is_some_and(|column| column.put(row, format, data))
                };
                self.output.copy_data(|data| match form {
                    CopyForm::Lines(form) => copy::put_row(data, form, columns.len(), value),
                    CopyForm::Binary => copy::put_binary_row(data, columns.len(), value),
                });
                self.output.flush_when_full().await?;
            }
            sent += batch.num_rows();
        }
        if *form == CopyForm::Binary {
            self.output.copy_data(copy::put_end);
        }
        self.output.copy_done();
        Ok(sent)
    }

    /// The next rows, unless the client cancels, goes or has no time left.
    async fn next_batch(&mut self, rows: &mut RowStream) -> Result<Option<arrow::array::RecordBatch>, Failure> {
        let deadline: Option<Instant> = self.deadline;
        tokio::select! {
            batch = rows.next() => Ok(batch?),
            () = self.switch.canceled() => Err(canceled_error().into()),
            gone = self.input.gone() => Err(gone.into()),
            () = at(deadline) => Err(late_error().into()),
        }
    }
}

/// The format of each value.
fn format_of(form: &CopyForm) -> i16 {
    match form {
        CopyForm::Lines(_) => TEXT,
        CopyForm::Binary => BINARY,
    }
}

fn not_read(NotRead { state, why }: NotRead) -> SqlError {
    SqlError::new(
        SqlState(state),
        format!("the data of COPY cannot be read, and nothing was appended: {why}"),
    )
}
