//! Messages from a client.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::error::WireError;

/// The longest first message: PostgreSQL's own limit.
const STARTUP_BYTES_MAX: usize = 10_000;

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// How much of what a client sends is read while it waits for an answer: it may have asked for the next things already.
const AHEAD_BYTES_MAX: usize = 64 * 1024;

/// The first message of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Startup {
    /// Asks for TLS or GSS encryption: answered with one byte, then the client begins again.
    Encrypt,
    /// Asks to cancel what another connection does.
    Cancel { process: u32, secret: u32 },
    /// Begins a session.
    Session {
        major: u16,
        minor: u16,
        parameters: Vec<(String, String)>,
    },
}

/// What a Describe or Close names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A prepared statement.
    Statement,
    /// A portal: a prepared statement with its parameters bound.
    Portal,
}

/// A message of a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A text of statements, run at once.
    Query(String),
    /// Prepares one statement.
    Parse {
        name: String,
        text: String,
        types: Vec<u32>,
    },
    /// Binds parameters to a prepared statement.
    Bind {
        portal: String,
        statement: String,
        formats: Vec<i16>,
        values: Vec<Option<Bytes>>,
        result_formats: Vec<i16>,
    },
    /// Asks what a statement takes or gives.
    Describe { target: Target, name: String },
    /// Runs a portal; `rows_max` 0 means all.
    Execute { portal: String, rows_max: u32 },
    /// Forgets a statement or portal.
    Close { target: Target, name: String },
    /// Asks that answers be sent now.
    Flush,
    /// Ends a sequence of extended messages.
    Sync,
    /// Says goodbye.
    Terminate,
    /// Some of the data of a COPY.
    CopyData(Bytes),
    /// Ends the data.
    CopyDone,
    /// Ends the data with an error, and says why.
    CopyFail(String),
    /// A message type that is not taken.
    Other(u8),
}

/// Reads messages; what is read ahead stays in its buffer, so that a read may be given up and begun again.
pub(crate) struct Input<R> {
    stream: R,
    buffer: BytesMut,
    bytes_max: usize,
}

impl<R: AsyncRead + Unpin> Input<R> {
    pub(crate) fn new(stream: R, bytes_max: usize) -> Input<R> {
        Input {
            stream,
            buffer: BytesMut::new(),
            bytes_max,
        }
    }

    /// The first message; `None` where the client left before it.
    pub(crate) async fn startup(&mut self) -> Result<Option<Startup>, WireError> {
        if !self.fill(4).await? {
            return Ok(None);
        }
        let length = self.length_at(0, STARTUP_BYTES_MAX, 8)?;
        if !self.fill(length).await? {
            return Ok(None);
        }
        let mut body = Fields(self.buffer.split_to(length).freeze());
        body.u32()?;
        match (body.u16()?, body.u16()?) {
            (1234, 5678) => Ok(Some(Startup::Cancel {
                process: body.u32()?,
                secret: body.u32()?,
            })),
            (1234, 5679 | 5680) => Ok(Some(Startup::Encrypt)),
            (major, minor) => {
                let mut parameters: Vec<(String, String)> = Vec::new();
                while body.0.len() > 1 {
                    parameters.push((body.text()?, body.text()?));
                }
                Ok(Some(Startup::Session {
                    major,
                    minor,
                    parameters,
                }))
            }
        }
    }

    /// The next message; `None` where the client left between messages. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, WireError> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Resolves once the client is gone. What it sends meanwhile is kept, up to a bound: from there on nobody listens. Nothing is lost when the future is
    /// dropped.
    pub(crate) async fn gone(&mut self) -> WireError {
        while self.buffer.len() < AHEAD_BYTES_MAX {
            match self.read().await {
                Ok(true) => {}
                Ok(false) => return std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into(),
                Err(error) => return error,
            }
        }
        std::future::pending().await
    }

    /// The next message, where all of it was read already.
    pub(crate) fn buffered(&mut self) -> Result<Option<Message>, WireError> {
        if self.buffer.len() < 5 {
            return Ok(None);
        }
        let length = self.length_at(1, self.bytes_max, 4)?;
        if self.buffer.len() < length + 1 {
            return Ok(None);
        }
        let mut body = Fields(self.buffer.split_to(length + 1).freeze());
        let kind = body.u8()?;
        body.u32()?;
        let message = decode(kind, &mut body)?;
        Ok(Some(message))
    }

    fn length_at(&self, at: usize, max: usize, min: usize) -> Result<usize, WireError> {
        let bytes = self
            .buffer
            .get(at..at + 4)
            .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let length = bytes.map(u32::from_be_bytes).unwrap_or(0) as usize;
        match length {
            length if length < min => Err(WireError::Malformed("its length is less than that of an empty one")),
            length if length > max => Err(WireError::TooLarge { bytes: length, max }),
            length => Ok(length),
        }
    }

    /// Reads until `bytes` are there; `false` where the stream ends before.
    async fn fill(&mut self, bytes: usize) -> Result<bool, WireError> {
        while self.buffer.len() < bytes {
            if !self.read().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads what has come; `false` where the stream ended.
    async fn read(&mut self) -> Result<bool, WireError> {
        self.buffer.reserve(READ_BYTES);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

fn decode(kind: u8, body: &mut Fields) -> Result<Message, WireError> {
    let message = match kind {
        b'Q' => Message::Query(body.text()?),
        b'P' => Message::Parse {
            name: body.text()?,
            text: body.text()?,
            types: body.list(Fields::u32)?,
        },
        b'B' => Message::Bind {
            portal: body.text()?,
            statement: body.text()?,
            formats: body.list(Fields::i16)?,
            values: body.list(Fields::value)?,
            result_formats: body.list(Fields::i16)?,
        },
        b'D' => Message::Describe {
            target: body.target()?,
            name: body.text()?,
        },
        b'E' => Message::Execute {
            portal: body.text()?,
            rows_max: body.u32()?,
        },
        b'C' => Message::Close {
            target: body.target()?,
            name: body.text()?,
        },
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'X' => Message::Terminate,
        b'd' => Message::CopyData(std::mem::take(&mut body.0)),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(body.text()?),
        other => return Ok(Message::Other(other)),
    };
    match body.0.is_empty() {
        true => Ok(message),
        false => Err(WireError::Malformed("there are bytes after its last field")),
    }
}

/// Takes fields off the front of a message's own bytes.
struct Fields(Bytes);

impl Fields {
    fn take(&mut self, bytes: usize) -> Result<Bytes, WireError> {
        match bytes <= self.0.len() {
            true => Ok(self.0.split_to(bytes)),
            false => Err(WireError::Malformed("it ends inside of a field")),
        }
    }

    fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.take(1)?.get_u8())
    }

    fn u16(&mut self) -> Result<u16, WireError> {
        Ok(self.take(2)?.get_u16())
    }

    fn i16(&mut self) -> Result<i16, WireError> {
        Ok(self.take(2)?.get_i16())
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        Ok(self.take(4)?.get_u32())
    }

    fn text(&mut self) -> Result<String, WireError> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let end = end.ok_or(WireError::Malformed("a text has no end"))?;
        let text = self.take(end)?;
        self.take(1)?;
        String::from_utf8(text.to_vec()).map_err(|_| WireError::Malformed("a text is no UTF-8"))
    }

    fn value(&mut self) -> Result<Option<Bytes>, WireError> {
        match self.u32()? {
            u32::MAX => Ok(None),
            length => Ok(Some(self.take(length as usize)?)),
        }
    }

    /// A list with a count of 16 bits before it; each item takes at least a byte, so the bytes bound the list, not the count.
    fn list<T>(&mut self, item: impl Fn(&mut Fields) -> Result<T, WireError>) -> Result<Vec<T>, WireError> {
        let count = self.u16()?;
        let mut items: Vec<T> = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn target(&mut self) -> Result<Target, WireError> {
        match self.u8()? {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            _ => Err(WireError::Malformed("it names neither a statement nor a portal")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend((body.len() as u32 + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    async fn check(bytes: &[u8], expected: Result<Option<Message>, &str>) {
        let mut input = Input::new(bytes, 64);
        match (input.next().await, expected) {
            (Ok(message), Ok(expected)) => assert_eq!(message, expected),
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
            (got, expected) => panic!("{bytes:?}: {got:?}, expected {expected:?}"),
        }
    }

    #[tokio::test]
    async fn messages_are_read_inside_of_their_own_bytes() {
        check(&frame(b'Q', b"SELECT 1\0"), Ok(Some(Message::Query("SELECT 1".into())))).await;
        check(&frame(b'S', b""), Ok(Some(Message::Sync))).await;
        check(b"", Ok(None)).await;
        check(b"Q\0\0", Ok(None)).await;
        check(&frame(b'Q', b"SELECT 1"), Err("no end")).await;
        check(&frame(b'Q', b"\xff\0"), Err("no UTF-8")).await;
        check(&frame(b'S', b"x"), Err("after its last field")).await;
        check(&frame(b'D', b"Xname\0"), Err("neither")).await;
        check(&frame(b'P', b"\0q\0\xff\xff"), Err("inside of a field")).await;
        check(
            &frame(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
            Err("inside of a field"),
        )
        .await;
        check(&frame(b'Z', b"any"), Ok(Some(Message::Other(b'Z')))).await;
    }

    #[tokio::test]
    async fn what_comes_before_a_client_goes_is_kept() {
        let bytes = [frame(b'S', b""), frame(b'X', b"")].concat();
        let mut input = Input::new(&bytes[..], 64);
        assert!(matches!(input.gone().await, WireError::Disconnected(_)));
        assert_eq!(input.next().await.unwrap(), Some(Message::Sync));
        assert_eq!(input.next().await.unwrap(), Some(Message::Terminate));
        for (sent, is_heard) in [(AHEAD_BYTES_MAX - 1, true), (AHEAD_BYTES_MAX + READ_BYTES, false)] {
            let bytes = vec![0; sent];
            let mut input = Input::new(&bytes[..], 64);
            let gone = tokio::time::timeout(std::time::Duration::ZERO, input.gone()).await;
            assert_eq!(gone.is_ok(), is_heard, "{sent}");
        }
    }

    #[tokio::test]
    async fn lengths_are_bounded_before_anything_is_read() {
        check(&frame(b'Q', &[b'x'; 60]), Err("no end")).await;
        check(&frame(b'Q', &[b'x'; 61]), Err("more than the 64")).await;
        check(b"Q\x7f\xff\xff\xff", Err("more than the 64")).await;
        check(b"Q\xff\xff\xff\xff", Err("more than the 64")).await;
        check(b"Q\0\0\0\x03", Err("less than that of an empty one")).await;
    }

    #[tokio::test]
    async fn a_bind_carries_nulls_and_formats() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x01x\0\x01\0\0";
        let expected = Message::Bind {
            portal: "p".into(),
            statement: "s".into(),
            formats: vec![1],
            values: vec![None, Some(Bytes::from_static(b"x"))],
            result_formats: vec![0],
        };
        check(&frame(b'B', body), Ok(Some(expected))).await;
    }

    #[tokio::test]
    async fn a_startup_is_a_session_a_cancel_or_a_wish_for_encryption() {
        for (code, body, expected) in [
            (80_877_103_u32, &b""[..], Startup::Encrypt),
            (
                80_877_102,
                &b"\0\0\0\x07\0\0\0\x09"[..],
                Startup::Cancel { process: 7, secret: 9 },
            ),
            (
                196_608,
                &b"user\0ann\0\0"[..],
                Startup::Session {
                    major: 3,
                    minor: 0,
                    parameters: vec![("user".into(), "ann".into())],
                },
            ),
        ] {
            let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
            bytes.extend(code.to_be_bytes());
            bytes.extend(body);
            assert_eq!(Input::new(&bytes[..], 64).startup().await.unwrap(), Some(expected));
        }
        let too_long = 10_001_u32.to_be_bytes();
        assert!(matches!(
            Input::new(&too_long[..], 64).startup().await,
            Err(WireError::TooLarge { .. })
        ));
    }
}
