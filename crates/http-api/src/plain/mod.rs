//! Plain requests of a connection, read and answered without hyper: a complete head of HTTP/1.1, at most one Content-Length, an address that
//! [`Known`](crate::direct::Known) names.
//!
//! ```text
//! bytes ── read ─┬─ a plain request ── direct ── its answer, written with those of its neighbours
//!                ├─ not whole yet ──── more bytes
//!                └─ anything else ──── hyper, from this request's first byte on and to the connection's end
//! ```
//!
//! Invariants
//! - Bytes are either of a request that was answered here, or hyper gets them all: no request is read in two ways.
//! - Answers stand in the order of the requests, and are the bytes that hyper would have written.
//! - A connection holds [`PLAIN_HEAD_BYTES_MAX`], [`PLAIN_BODY_BYTES_MAX`] and [`PLAIN_OUTPUT_BYTES`] of memory at most, beside one answer: what its
//!   reader does not take is waited for.

mod answer;
mod date;
mod handed;
mod read;
mod waiting;

use std::io;

use axum::response::{IntoResponse, Response};
use futures::poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;

pub(crate) use self::handed::Handed;
use self::read::{Plain, Read, read};
use self::waiting::{Came, Waiting};
use crate::direct::{self, Answer, Requests};
use crate::limits::{PLAIN_BODY_BYTES_MAX, PLAIN_HEAD_BYTES_MAX, PLAIN_INPUT_BYTES, PLAIN_OUTPUT_BYTES};

/// Answers the plain requests of a connection up to the first that is none; that one's bytes, and what came behind them. `None`: the connection is over.
pub(crate) async fn answer(stream: &mut TcpStream, requests: &Requests) -> io::Result<Option<Vec<u8>>> {
    let Requests { door, hosts, .. } = requests;
    let mut waiting = std::pin::pin!(Waiting::new(door));
    let body_max = PLAIN_BODY_BYTES_MAX.min(door.options.body_bytes_max);
    let mut connection = Connection {
        stream,
        input: Vec::new(),
        output: Vec::new(),
    };
    let mut at = 0;
    loop {
        let wanted = match read(&connection.input[at..], body_max) {
            Read::Whole(Plain { known, request, length }) => {
                at += length;
                let answered = match hosts.check(request.uri(), request.headers()) {
                    Ok(()) => direct::answer(door, known, request),
                    Err(problem) => Answer::There(problem.into_response()),
                };
                let Some(response) = connection.made(answered).await? else {
                    return Ok(None);
                };
                let is_last = door.is_stopping();
                connection.put(response, is_last).await?;
                if is_last {
                    connection.flush().await?;
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
        connection.forget(at);
        at = 0;
        let Some(wanted) = wanted else {
            return Ok(Some(connection.input));
        };
        match waiting
            .as_mut()
            .until(connection.stream, &mut connection.input, wanted)
            .await?
        {
            Came::Bytes => {}
            Came::Nothing if connection.input.is_empty() => return Ok(None),
            // A body that is late, or that ends early: hyper says so.
            Came::Nothing => return Ok(Some(connection.input)),
            Came::LateHead => return Ok(None),
        }
    }
}

struct Connection<'a> {
    stream: &'a mut TcpStream,
    /// What was read and not forgotten yet.
    input: Vec<u8>,
    /// What is to be written.
    output: Vec<u8>,
}

impl Connection<'_> {
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
            let has_room = self.input.len() < PLAIN_HEAD_BYTES_MAX + PLAIN_BODY_BYTES_MAX;
            tokio::select! {
                biased;
                response = coming.as_mut() => return Ok(Some(response)),
                read = self.stream.read_buf(&mut self.input), if has_room => {
                    if read? == 0 {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Writes an answer behind the others.
    async fn put(&mut self, response: Response, is_last: bool) -> io::Result<()> {
        let (parts, body) = response.into_parts();
        let body = answer::whole(body).await?;
        answer::put_head(&parts, body.len(), is_last, &mut self.output);
        let has_room = self.output.len() + body.len() <= PLAIN_OUTPUT_BYTES;
        match answer::has_body(parts.status) {
            false => Ok(()),
            true if has_room => {
                self.output.extend_from_slice(&body);
                Ok(())
            }
            true => {
                self.flush().await?;
                self.stream.write_all(&body).await
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
    fn forget(&mut self, answered: usize) {
        self.input.drain(..answered);
        self.input.shrink_to(PLAIN_INPUT_BYTES);
        self.output.shrink_to(PLAIN_OUTPUT_BYTES);
    }
}
