//! Messages to a client.

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::report::routine;

/// Rows are sent when this many bytes wait: a few packets at once, and never a whole answer in memory.
const SEND_BYTES: usize = 64 * 1024;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnDescription {
    /// Its name.
    pub name: String,
    /// The object id of its type.
    pub oid: u32,
    /// The bytes of its type; negative: it varies.
    pub size: i16,
    /// The type's modifier: precision and scale of a numeric; -1: none.
    pub modifier: i32,
}

/// An error or a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// `ERROR`, `FATAL`, `WARNING`, `NOTICE`.
    pub severity: &'static str,
    /// The SQLSTATE.
    pub state: String,
    /// What happened and why.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// More about what happened.
    pub detail: Option<String>,
    /// What was broken, by name: drivers show it as the constraint.
    pub constraint: Option<String>,
    /// The character of the text where it is, from 1.
    pub position: Option<u64>,
}

/// Writes messages into a buffer, and the buffer to the client.
pub(crate) struct Output<W> {
    stream: W,
    buffer: BytesMut,
}

impl<W: AsyncWrite + Unpin> Output<W> {
    pub(crate) fn new(stream: W) -> Output<W> {
        Output {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// Sends what waits.
    pub(crate) async fn flush(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&self.buffer).await?;
        self.buffer.clear();
        self.stream.flush().await
    }

    /// Sends what waits where it is much.
    pub(crate) async fn flush_when_full(&mut self) -> std::io::Result<()> {
        match self.buffer.len() >= SEND_BYTES {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Says that encryption is not spoken here.
    pub(crate) fn no_encryption(&mut self) {
        self.buffer.put_u8(b'N');
    }

    pub(crate) fn authentication_ok(&mut self) {
        self.message(b'R', |body| body.put_u32(0));
    }

    /// Says that only version 3.0 is spoken, and which options are not known.
    pub(crate) fn negotiate_version(&mut self, unknown_options: &[&str]) {
        self.message(b'v', |body| {
            body.put_u32(3 << 16);
            body.put_u32(unknown_options.len() as u32);
            for option in unknown_options {
                put_text(body, option);
            }
        });
    }

    pub(crate) fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |body| {
            put_text(body, name);
            put_text(body, value);
        });
    }

    pub(crate) fn backend_key(&mut self, process: u32, secret: u32) {
        self.message(b'K', |body| {
            body.put_u32(process);
            body.put_u32(secret);
        });
    }

    /// Ends an answer: `I` idle, `T` in a transaction, `E` in a failed one.
    pub(crate) fn ready(&mut self, status: u8) {
        self.message(b'Z', |body| body.put_u8(status));
    }

    pub(crate) fn parse_complete(&mut self) {
        self.message(b'1', |_| {});
    }

    pub(crate) fn bind_complete(&mut self) {
        self.message(b'2', |_| {});
    }

    pub(crate) fn close_complete(&mut self) {
        self.message(b'3', |_| {});
    }

    pub(crate) fn no_data(&mut self) {
        self.message(b'n', |_| {});
    }

    pub(crate) fn empty_query(&mut self) {
        self.message(b'I', |_| {});
    }

    pub(crate) fn portal_suspended(&mut self) {
        self.message(b's', |_| {});
    }

    pub(crate) fn command_complete(&mut self, tag: &str) {
        self.message(b'C', |body| put_text(body, tag));
    }

    /// Asks for the data of a COPY of so many columns: 0 as texts, 1 in the binary format.
    pub(crate) fn copy_in(&mut self, format: i16, columns: usize) {
        self.message(b'G', |body| put_copy_columns(body, format, columns));
    }

    /// Says that the data of a COPY follow, likewise.
    pub(crate) fn copy_out(&mut self, format: i16, columns: usize) {
        self.message(b'H', |body| put_copy_columns(body, format, columns));
    }

    /// Some of the data of a COPY.
    pub(crate) fn copy_data(&mut self, data: impl FnOnce(&mut BytesMut)) {
        self.message(b'd', data);
    }

    pub(crate) fn copy_done(&mut self) {
        self.message(b'c', |_| {});
    }

    pub(crate) fn parameter_description(&mut self, types: &[u32]) {
        self.message(b't', |body| {
            body.put_u16(types.len() as u16);
            for oid in types {
                body.put_u32(*oid);
            }
        });
    }

    /// The columns of the rows to come. `format` gives each column's format: 0 text, 1 binary.
    pub(crate) fn row_description(&mut self, columns: &[ColumnDescription], format: impl Fn(usize) -> i16) {
        self.message(b'T', |body| {
            body.put_u16(columns.len() as u16);
            for (index, column) in columns.iter().enumerate() {
                put_text(body, &column.name);
                body.put_u32(0);
                body.put_u16(0);
                body.put_u32(column.oid);
                body.put_i16(column.size);
                body.put_i32(column.modifier);
                body.put_i16(format(index));
            }
        });
    }

    /// One row of `columns` values, each written by `value` into the buffer; `false` means NULL, and nothing was written.
    pub(crate) fn data_row(&mut self, columns: usize, mut value: impl FnMut(usize, &mut BytesMut) -> bool) {
        self.message(b'D', |body| {
            body.put_u16(columns as u16);
            for column in 0..columns {
                let at = body.len();
                body.put_i32(-1);
                if value(column, body) {
                    let length = (body.len() - at - 4) as u32;
                    patch(body, at, length);
                }
            }
        });
    }

    pub(crate) fn error(&mut self, report: &Report) {
        self.report(b'E', report);
    }

    pub(crate) fn notice(&mut self, report: &Report) {
        self.report(b'N', report);
    }

    fn report(&mut self, kind: u8, report: &Report) {
        let position = report.position.map(|position| position.to_string());
        let fields = [
            (b'S', Some(report.severity)),
            (b'V', Some(report.severity)),
            (b'C', Some(report.state.as_str())),
            (b'M', Some(report.message.as_str())),
            (b'D', report.detail.as_deref()),
            (b'H', report.hint.as_deref()),
            (b'n', report.constraint.as_deref()),
            (b'P', position.as_deref()),
            (b'R', routine(report)),
        ];
        self.message(kind, |body| {
            for (field, text) in fields {
                if let Some(text) = text {
                    body.put_u8(field);
                    put_text(body, text);
                }
            }
            body.put_u8(0);
        });
    }

    fn message(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) {
        self.buffer.put_u8(kind);
        let at = self.buffer.len();
        self.buffer.put_u32(0);
        body(&mut self.buffer);
        let length = (self.buffer.len() - at) as u32;
        patch(&mut self.buffer, at, length);
    }
}

fn patch(buffer: &mut BytesMut, at: usize, length: u32) {
    if let Some(place) = buffer.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// The format of a COPY's data and of each column.
fn put_copy_columns(body: &mut BytesMut, format: i16, columns: usize) {
    body.put_u8(format as u8);
    body.put_u16(columns as u16);
    (0..columns).for_each(|_| body.put_i16(format));
}

/// Texts end with a zero byte, so a zero inside of one cannot be sent: it is shown as U+FFFD.
fn put_text(body: &mut BytesMut, text: &str) {
    match text.contains('\0') {
        true => body.put_slice(text.replace('\0', "\u{fffd}").as_bytes()),
        false => body.put_slice(text.as_bytes()),
    }
    body.put_u8(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(write: impl FnOnce(&mut Output<&mut Vec<u8>>)) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        let mut output = Output::new(&mut bytes);
        write(&mut output);
        output.flush().await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn messages_carry_their_length() {
        assert_eq!(sent(|output| output.ready(b'I')).await, b"Z\0\0\0\x05I");
        assert_eq!(
            sent(|output| output.command_complete("BEGIN")).await,
            b"C\0\0\0\x0aBEGIN\0"
        );
        assert_eq!(
            sent(|output| output.parameter_status("a", "x\0y")).await,
            "S\0\0\0\x0ca\0x\u{fffd}y\0".as_bytes()
        );
    }

    #[tokio::test]
    async fn a_row_carries_the_length_of_each_value() {
        let bytes = sent(|output| {
            output.data_row(2, |column, buffer| {
                if column == 0 {
                    buffer.put_slice(b"x");
                }
                column == 0
            });
        })
        .await;
        assert_eq!(bytes, b"D\0\0\0\x0f\0\x02\0\0\0\x01x\xff\xff\xff\xff");
    }
}
