//! One connection: frames out, frames in, in the same order.

use std::io::{BufRead, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;

const READ_BUFFER_BYTES: usize = 64 * 1024;

/// A broker that does not answer for so long is taken to hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection to a broker.
pub struct Connection {
    stream: TcpStream,
    reader: std::io::BufReader<TcpStream>,
    answer: Vec<u8>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let reader = std::io::BufReader::with_capacity(READ_BUFFER_BYTES, stream.try_clone()?);
        Ok(Connection {
            stream,
            reader,
            answer: Vec::new(),
        })
    }

    /// Sends a frame that stands in two pieces.
    pub fn send(&mut self, head: &[u8], body: &[u8]) -> anyhow::Result<()> {
        let sent = self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
        let (head_rest, body_rest) = match sent.checked_sub(head.len()) {
            Some(of_body) => (&[][..], &body[of_body..]),
            None => (&head[sent..], body),
        };
        self.stream.write_all(head_rest)?;
        self.stream.write_all(body_rest)?;
        Ok(())
    }

    /// Waits for the next answer until a moment; `false` where it did not begin before.
    pub fn has_answer(&mut self, until: Instant) -> anyhow::Result<bool> {
        if !self.reader.buffer().is_empty() {
            return Ok(true);
        }
        let Some(time) = until
            .checked_duration_since(Instant::now())
            .filter(|time| !time.is_zero())
        else {
            return Ok(false);
        };
        self.stream.set_read_timeout(Some(time))?;
        let begun = self.reader.fill_buf().map(|there| !there.is_empty());
        self.stream.set_read_timeout(Some(PATIENCE))?;
        match begun {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            begun => Ok(begun?),
        }
    }

    /// The next answer, without its length.
    pub fn answer(&mut self) -> anyhow::Result<&[u8]> {
        let mut length = [0; 4];
        self.reader.read_exact(&mut length).context("the broker's answer")?;
        self.answer.resize(usize::try_from(i32::from_be_bytes(length))?, 0);
        self.reader.read_exact(&mut self.answer)?;
        Ok(&self.answer)
    }
}

/// The head of a request: length of the whole frame, key, version, correlation id, no client id.
pub fn frame(key: i16, version: i16, body: &[u8], more_bytes: usize) -> Vec<u8> {
    let length = 2 + 2 + 4 + 2 + body.len() + more_bytes;
    let mut frame: Vec<u8> = Vec::with_capacity(4 + length - more_bytes);
    frame.extend_from_slice(&(length as i32).to_be_bytes());
    frame.extend_from_slice(&key.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&1_i32.to_be_bytes());
    frame.extend_from_slice(&(-1_i16).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}
