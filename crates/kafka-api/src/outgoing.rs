//! Answers on their way to a client: their bytes are written where they stand, and what is in the log's files is read as its turn comes.
//!
//! ```text
//! frame: head | stretch | head | stretch | ...        a stretch: batches of one partition, see headwater_eventlog::Stretch
//! ```
//!
//! What was checked before goes from the page cache into the socket without a copy of it here.
//!
//! Invariant: what is written of a frame is as long as the frame says. Where a stretch cannot be read to its end, the connection ends.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use headwater_eventlog::{ReadAhead, Stretch, Taken};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use crate::limits::{
    ANSWER_AHEAD_BYTES, SPLICE_BYTES_MIN, WRITE_BYTES_A_SECOND_MIN, WRITE_PIECES_MAX, WRITE_STALL_MAX,
};

/// How many bytes are gathered for one write, where there are that many.
const WRITE_BYTES: usize = 256 * 1024;

/// A whole frame: its own bytes, and stretches of the log between them.
#[derive(Default)]
pub(crate) struct OutFrame {
    pieces: Vec<Piece>,
    /// What comes after the pieces.
    end: BytesMut,
    bytes: usize,
    bytes_in_memory: usize,
}

enum Piece {
    Bytes(Bytes),
    Stretch(Box<Stretch>),
}

/// What comes behind what is ready.
enum Next {
    /// More of the same.
    InMemory,
    /// What the kernel passes on from a file.
    PassedOn,
    /// What is to be waited for.
    OnDisk,
    Nothing,
}

impl From<BytesMut> for OutFrame {
    fn from(bytes: BytesMut) -> OutFrame {
        OutFrame {
            pieces: Vec::new(),
            bytes: bytes.len(),
            bytes_in_memory: bytes.len(),
            end: bytes,
        }
    }
}

impl OutFrame {
    /// The bytes of the whole frame.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many of those are in memory.
    pub(crate) fn bytes_in_memory(&self) -> usize {
        self.bytes_in_memory
    }

    /// Puts a stretch at the end; a small one that is in memory is copied.
    pub(crate) fn add_stretch(&mut self, mut stretch: Stretch) {
        if stretch.bytes() == 0 {
            return;
        }
        self.bytes += stretch.bytes();
        self.bytes_in_memory += stretch.bytes_in_memory();
        if stretch.bytes() < SPLICE_BYTES_MIN && stretch.bytes() == stretch.bytes_in_memory() {
            while let Ok(Taken::Bytes(bytes)) = stretch.take_cached() {
                self.end.put_slice(&bytes);
            }
            return;
        }
        self.pieces.push(Piece::Bytes(self.end.split().freeze()));
        self.pieces.push(Piece::Stretch(Box::new(stretch)));
    }

    /// Puts bytes at the end.
    pub(crate) fn put(&mut self, put: impl FnOnce(&mut BytesMut)) {
        let before = self.end.len();
        put(&mut self.end);
        self.bytes += self.end.len() - before;
        self.bytes_in_memory += self.end.len() - before;
    }

    /// Writes the frame's length into its first four bytes; `None` where it is longer than a frame can be.
    pub(crate) fn close(mut self) -> Option<OutFrame> {
        let length = i32::try_from(self.bytes - 4).ok()?.to_be_bytes();
        match self.pieces.first_mut() {
            Some(Piece::Bytes(head)) => {
                let mut changed = BytesMut::from(std::mem::take(head));
                changed[..4].copy_from_slice(&length);
                *head = changed.freeze();
            }
            _ => self.end[..4].copy_from_slice(&length),
        }
        Some(self)
    }

    /// All bytes of it: what tests look at.
    #[cfg(test)]
    pub(crate) fn whole(self) -> Vec<u8> {
        let mut whole: Vec<u8> = Vec::new();
        for piece in self.pieces {
            match piece {
                Piece::Bytes(bytes) => whole.extend_from_slice(&bytes),
                Piece::Stretch(mut stretch) => {
                    while let Taken::Bytes(bytes) = stretch.take().unwrap() {
                        whole.extend_from_slice(&bytes);
                    }
                }
            }
        }
        whole.extend_from_slice(&self.end);
        whole
    }
}

/// Frames that leave together, and what is dropped once they have left.
pub(crate) struct Outgoing<R> {
    pieces: VecDeque<Piece>,
    /// What is to be written next, in memory.
    ready: VecDeque<Bytes>,
    ready_bytes: usize,
    /// The bytes of all frames here.
    bytes: usize,
    rooms: Vec<R>,
}

impl<R> Outgoing<R> {
    pub(crate) fn new() -> Outgoing<R> {
        Outgoing {
            pieces: VecDeque::new(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            bytes: 0,
            rooms: Vec::new(),
        }
    }

    /// The bytes of all frames here.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn add(&mut self, frame: OutFrame, room: Option<R>) {
        self.bytes += frame.bytes;
        self.pieces.extend(frame.pieces);
        if !frame.end.is_empty() {
            self.pieces.push_back(Piece::Bytes(frame.end.freeze()));
        }
        self.rooms.extend(room);
    }

    /// Sends everything. An error says that the client is gone, takes nothing, or cannot be given what it was promised.
    pub(crate) async fn send(&mut self, writer: &mut OwnedWriteHalf, peer: SocketAddr) -> std::io::Result<()> {
        let whole = WRITE_STALL_MAX + Duration::from_secs((self.bytes / WRITE_BYTES_A_SECOND_MIN) as u64);
        let until = Instant::now() + whole;
        loop {
            let next = self.gather();
            let next = next.map_err(|error| broken(peer, &error.to_string()))?;
            match next {
                _ if self.ready_bytes > 0 => self.write_some(writer, peer, until).await?,
                Next::InMemory => {}
                Next::PassedOn => self.pass_some_on(writer, peer, until).await?,
                Next::OnDisk => self.wait_for_disk(peer).await?,
                Next::Nothing => break,
            }
        }
        self.bytes = 0;
        self.rooms.clear();
        Ok(())
    }

    /// Takes what may be written next, as far as it is in memory or its pages are; says what comes behind it.
    fn gather(&mut self) -> Result<Next, headwater_eventlog::ReadError> {
        while self.ready_bytes < WRITE_BYTES && self.ready.len() < WRITE_PIECES_MAX {
            let bytes = match self.pieces.front_mut() {
                None => return Ok(Next::Nothing),
                Some(Piece::Bytes(bytes)) => std::mem::take(bytes),
                Some(Piece::Stretch(stretch)) => {
                    if stretch.is_passed_on() {
                        return Ok(Next::PassedOn);
                    }
                    match stretch.take_cached()? {
                        Taken::Bytes(bytes) => {
                            self.add_ready(bytes);
                            continue;
                        }
                        Taken::OnDisk => return Ok(Next::OnDisk),
                        Taken::End => Bytes::new(),
                    }
                }
            };
            self.pieces.pop_front();
            self.add_ready(bytes);
        }
        Ok(Next::InMemory)
    }

    fn add_ready(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.ready_bytes += bytes.len();
            self.ready.push_back(bytes);
        }
    }

    async fn write_some(
        &mut self,
        writer: &mut OwnedWriteHalf,
        peer: SocketAddr,
        until: Instant,
    ) -> std::io::Result<()> {
        let mut slices = [IoSlice::new(&[]); WRITE_PIECES_MAX];
        for (slice, bytes) in slices.iter_mut().zip(&self.ready) {
            *slice = IoSlice::new(bytes);
        }
        let slices = &slices[..self.ready.len().min(WRITE_PIECES_MAX)];
        let stalled = until.min(Instant::now() + WRITE_STALL_MAX);
        let Ok(written) = timeout_at(stalled, writer.write_vectored(slices)).await else {
            return Err(self.is_stalled(peer));
        };
        let mut written = written?;
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        self.ready_bytes -= written;
        while let Some(first) = self.ready.front_mut() {
            if first.len() > written {
                first.advance(written);
                break;
            }
            written -= first.len();
            self.ready.pop_front();
        }
        Ok(())
    }

    fn is_stalled(&self, peer: SocketAddr) -> Error {
        let left = self.bytes;
        tracing::warn!(%peer, left, "connection closed: the client takes its answers too slowly, or not at all");
        ErrorKind::TimedOut.into()
    }

    /// Lets the kernel pass on what it has of the next stretch.
    async fn pass_some_on(
        &mut self,
        writer: &mut OwnedWriteHalf,
        peer: SocketAddr,
        until: Instant,
    ) -> std::io::Result<()> {
        let Some(Piece::Stretch(stretch)) = self.pieces.front_mut() else {
            return Ok(());
        };
        let socket: &TcpStream = writer.as_ref();
        match socket.try_io(Interest::WRITABLE, || stretch.pass_on(socket.as_fd())) {
            // Others have their turn in between.
            Ok(_) => consume_budget().await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let stalled = until.min(Instant::now() + WRITE_STALL_MAX);
                let Ok(writable) = timeout_at(stalled, writer.writable()).await else {
                    return Err(self.is_stalled(peer));
                };
                writable?;
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(broken(peer, &error.to_string())),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What the disk may begin to read of the stretches that come next.
    fn read_ahead(&mut self) -> Vec<ReadAhead> {
        let mut ahead: Vec<ReadAhead> = Vec::new();
        let mut bytes: u64 = 0;
        for piece in self.pieces.iter_mut().take(WRITE_PIECES_MAX) {
            if bytes >= ANSWER_AHEAD_BYTES {
                break;
            }
            if let Piece::Stretch(stretch) = piece
                && let Some(one) = stretch.read_ahead()
            {
                bytes += one.bytes();
                ahead.push(one);
            }
        }
        ahead
    }

    /// Reads the next chunk on a thread that may wait for it.
    async fn wait_for_disk(&mut self, peer: SocketAddr) -> std::io::Result<()> {
        let Some(Piece::Stretch(mut stretch)) = self.pieces.pop_front() else {
            return Ok(());
        };
        let mut ahead: Vec<ReadAhead> = stretch.read_ahead().into_iter().collect();
        ahead.extend(self.read_ahead());
        let read = tokio::task::spawn_blocking(move || {
            ahead.iter().for_each(ReadAhead::ask);
            let taken = stretch.take();
            (stretch, taken)
        });
        let (stretch, taken) = read.await.map_err(|_| broken(peer, "the program is stopping"))?;
        match taken {
            Ok(Taken::Bytes(bytes)) => self.add_ready(bytes),
            Ok(Taken::OnDisk | Taken::End) => {}
            Err(error) => return Err(broken(peer, &error.to_string())),
        }
        self.pieces.push_front(Piece::Stretch(stretch));
        Ok(())
    }
}

/// The rest of a frame cannot be had: its reader has to ask again, and is then told why.
fn broken(peer: SocketAddr, why: &str) -> Error {
    tracing::error!(%peer, "connection closed in the middle of a fetch's answer: {why}");
    Error::other(why.to_owned())
}
