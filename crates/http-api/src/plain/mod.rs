//! Plain requests of a connection, read and answered without hyper: a complete head of HTTP/1.1, at most one Content-Length, an address that
//! [`Known`](crate::direct::Known) names.
//!
//! ```text
//! bytes ── read ─┬─ a plain request ── direct ── its answer, written with those of its neighbours
//!                ├─ not whole yet ──── more bytes
//!                └─ anything else ──── hyper, from this request's first byte on and to the connection's end
//! ```
//!
//! A client that is alone, and sends each request as soon as it has the answer before, gets a thread of its own for the while ([`alone`]).
//!
//! Invariants
//! - Bytes are either of a request that was answered here, or hyper gets them all: no request is read in two ways.
//! - Answers stand in the order of the requests, and are the bytes that hyper would have written.
//! - A connection holds `PLAIN_HEAD_BYTES_MAX`, `PLAIN_BODY_BYTES_MAX` and [`PLAIN_OUTPUT_BYTES`] of memory at most, beside one answer: what its
//!   reader does not take is waited for.

mod alone;
mod answer;
mod date;
mod handed;
mod input;
mod read;
mod waiting;

use std::io;

use axum::response::{IntoResponse, Response};
use futures::poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;

use self::alone::{Alone, Left};
pub(crate) use self::handed::Handed;
use self::input::Input;
use self::read::{Plain, Read};
use self::waiting::{Came, Waiting};
use crate::direct::{self, Answer, Requests};
use crate::door::Door;
use crate::limits::PLAIN_OUTPUT_BYTES;

/// Answers the plain requests of a connection up to the first that is none; gives the connection back with that one's bytes, and what came behind
/// them. `None`: it is over.
pub(crate) async fn answer(stream: TcpStream, requests: &Requests) -> io::Result<Option<(TcpStream, Vec<u8>)>> {
    let door = &requests.door;
    let mut waiting = std::pin::pin!(Waiting::new(door));
    let mut alone = Alone::new(door);
    let mut connection = Connection {
        stream,
        input: Input::new(requests),
        output: Vec::new(),
    };
    loop {
        let wanted = match connection.input.next() {
            Read::Whole(plain) => {
                let answer = requested(requests, plain);
                if !connection.answer(answer, door).await? {
                    return Ok(None);
                }
                // Many requests may have come with one read: others have their turn between them.
                consume_budget().await;
                continue;
            }
            Read::Partial(wanted) => Some(wanted),
            Read::Other => None,
        };
        connection.flush().await?;
        connection.forget();
        let Some(wanted) = wanted else {
            return Ok(Some(connection.handed_on()));
        };
        if connection.input.is_empty() && alone.is_so() {
            let left;
            (connection, left) = alone::serve(connection, &mut alone, requests)?;
            let goes_on = match left {
                Left::Idle => true,
                Left::Waits(coming) => connection.answer(Answer::Coming(coming), door).await?,
                Left::Over => {
                    connection.flush().await?;
                    false
                }
            };
            match goes_on {
                true => continue,
                false => return Ok(None),
            }
        }
        let Connection { stream, input, .. } = &mut connection;
        match waiting.as_mut().until(stream, &mut input.bytes, wanted).await? {
            Came::Bytes { soon } => alone.asked(soon),
            Came::Nothing if connection.input.is_empty() => return Ok(None),
            // A body that is late, or that ends early: hyper says so.
            Came::Nothing => return Ok(Some(connection.handed_on())),
            Came::LateHead => return Ok(None),
        }
    }
}

/// The answer to a plain request.
fn requested(requests: &Requests, plain: Plain) -> Answer {
    let Plain { known, request, .. } = plain;
    match requests.hosts.check(request.uri(), request.headers()) {
        Ok(()) => direct::answer(&requests.door, known, request),
        Err(problem) => Answer::There(problem.into_response()),
    }
}

/// A connection as far as it is plain.
struct Connection {
    stream: TcpStream,
    input: Input,
    /// What is to be written.
    output: Vec<u8>,
}

impl Connection {
    /// Writes an answer behind the others, once it is made; `false`: the connection ends here.
    async fn answer(&mut self, answer: Answer, door: &Door) -> io::Result<bool> {
        let Some(response) = self.made(answer).await? else {
            return Ok(false);
        };
        let is_last = door.is_stopping();
        if let Some(large) = answer::put(response, is_last, &mut self.output)? {
            self.flush().await?;
            self.stream.write_all(&large).await?;
        }
        if is_last {
            self.flush().await?;
        }
        Ok(!is_last)
    }

    /// An answer, once it is made; `None`: whom it is for has gone meanwhile.
    async fn made(&mut self, answer: Answer) -> io::Result<Option<Response>> {
        let mut coming = match answer {
            Answer::There(response) => return Ok(Some(response)),
            Answer::Coming(coming) => coming,
        };
        if let std::task::Poll::Ready(response) = poll!(coming.as_mut()) {
            return Ok(Some(response));
        }
        // Those before it do not wait for it.
        self.flush().await?;
        loop {
            tokio::select! {
                biased;
                response = coming.as_mut() => return Ok(Some(response)),
                read = self.stream.read_buf(&mut self.input.bytes), if self.input.has_room() => {
                    if read? == 0 {
                        return Ok(None);
                    }
                }
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.output.clear();
        }
        Ok(())
    }

    /// Forgets the requests that are answered, and the memory that they took beyond what a connection keeps.
    fn forget(&mut self) {
        self.input.forget();
        self.output.shrink_to(PLAIN_OUTPUT_BYTES);
    }

    /// What somebody else goes on with.
    fn handed_on(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.input.bytes)
    }
}
