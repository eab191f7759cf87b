//! A client that is alone and sends each request as soon as it has the answer before gets a thread of its own for the while: the one that reads a request
//! also decides, writes, flushes and answers it, and sleeps in the kernel for the next.
//!
//! Where the runtime waits for the bytes, they wake the thread that waits for all sockets, which wakes the one that works, or wakes for nothing where that one is
//! awake still: each request costs that once or twice, and the client runs beside it.
//!
//! Invariant: what cannot be done at once is left to the runtime: an answer that waits for something, a client that does not read, one that lets the thread
//! wait, requests that are not plain; and everything as soon as somebody else asks.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use axum::response::Response;
use futures::future::BoxFuture;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::input::Input;
use super::read::Read;
use super::{Connection, answer, requested};
use crate::direct::{Answer, Requests};
use crate::door::Door;
use crate::limits::{PLAIN_ALONE_AFTER, PLAIN_IDLE_MAX, PLAIN_INPUT_BYTES, PLAIN_OUTPUT_BYTES};

/// Whether a connection's client is alone.
pub(super) struct Alone {
    door: Arc<Door>,
    /// Whether the runtime has another thread for what is to be done meanwhile.
    may_hold: bool,
    /// How many requests had come to the door when the last one of this connection came.
    asked: u64,
    /// How many in a row came soon, and were the door's next.
    in_a_row: u32,
}

/// Why a connection went back to the runtime.
pub(super) enum Left {
    /// There is nothing to do at once, or somebody else asks.
    Idle,
    /// The next answer has to be waited for.
    Waits(BoxFuture<'static, Response>),
    /// It ends, once its output is written.
    Over,
}

impl Alone {
    pub(super) fn new(door: &Arc<Door>) -> Alone {
        let runtime = Handle::current();
        Alone {
            door: Arc::clone(door),
            may_hold: runtime.runtime_flavor() == RuntimeFlavor::MultiThread,
            asked: 0,
            in_a_row: 0,
        }
    }

    /// A request came; `soon`: as soon as the client had the answer before.
    pub(super) fn asked(&mut self, soon: bool) {
        let before = self.door.asked.fetch_add(1, Ordering::Relaxed);
        self.in_a_row = match soon && before == self.asked {
            true => self.in_a_row.saturating_add(1),
            false => 0,
        };
        self.asked = before + 1;
    }

    pub(super) fn is_so(&self) -> bool {
        self.may_hold && self.in_a_row >= PLAIN_ALONE_AFTER
    }
}

/// Answers a connection's requests on this thread, as long as its client is alone.
pub(super) fn serve(connection: Connection, alone: &mut Alone, requests: &Requests) -> io::Result<(Connection, Left)> {
    let Connection { stream, input, output } = connection;
    // The runtime does not look at it from here on.
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PLAIN_IDLE_MAX))?;
    stream.set_write_timeout(Some(PLAIN_IDLE_MAX))?;
    requests.door.alone.fetch_add(1, Ordering::Relaxed);
    let mut held = Held { stream, input, output };
    let left = block_in_place(|| held.serve(alone, requests))?;
    alone.in_a_row = 0;
    let Held { stream, input, output } = held;
    stream.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(stream)?;
    Ok((Connection { stream, input, output }, left))
}

/// A connection on a thread of its own.
struct Held {
    stream: TcpStream,
    input: Input,
    output: Vec<u8>,
}

impl Held {
    fn serve(&mut self, alone: &mut Alone, requests: &Requests) -> io::Result<Left> {
        loop {
            match self.read()? {
                None => return Ok(Left::Idle),
                Some(0) => return Ok(Left::Over),
                Some(_) => alone.asked(true),
            }
            if let Some(left) = self.answer(requests)? {
                return Ok(left);
            }
            let is_written = self.write()?;
            self.input.forget();
            if !is_written || !self.input.is_empty() || !alone.is_so() {
                return Ok(Left::Idle);
            }
        }
    }

    /// Answers the requests that are there.
    fn answer(&mut self, requests: &Requests) -> io::Result<Option<Left>> {
        while let Read::Whole(plain) = self.input.next() {
            let response = match requested(requests, plain) {
                Answer::There(response) => response,
                // Whoever waits for it on is woken; this thread is not.
                Answer::Coming(mut coming) => match coming.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(response) => response,
                    Poll::Pending => return Ok(Some(Left::Waits(coming))),
                },
            };
            let is_last = requests.door.is_stopping();
            if let Some(large) = answer::put(response, is_last, &mut self.output)? {
                self.output.extend_from_slice(&large);
            }
            if is_last {
                return Ok(Some(Left::Over));
            }
            if self.output.len() > PLAIN_OUTPUT_BYTES && !self.write()? {
                return Ok(Some(Left::Idle));
            }
        }
        Ok(None)
    }

    /// How many bytes came, 0 at the connection's end; `None`: none for a while.
    fn read(&mut self) -> io::Result<Option<usize>> {
        let mut bytes = [0; PLAIN_INPUT_BYTES];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(read) => {
                    self.input.bytes.extend_from_slice(&bytes[..read]);
                    return Ok(Some(read));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_late(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the output; `false`: the client does not take all of it for a while.
    fn write(&mut self) -> io::Result<bool> {
        let mut written = 0;
        while written < self.output.len() {
            match self.stream.write(&self.output[written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_late(&error) => break,
                Err(error) => return Err(error),
            }
        }
        self.output.drain(..written);
        Ok(self.output.is_empty())
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
