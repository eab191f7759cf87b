//! Waits for the bytes of a request: for so long, and until the program stops.
//!
//! One timer for each connection, set again when it goes off too early, instead of one for each request.
//!
//! A client that sends its next request as soon as it has an answer would find the thread asleep each time, and wait for it to wake. So where the request before came
//! that soon, one connection at a time looks for the next one before it sleeps, and lets whatever else there is have its turn meanwhile.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep};

use super::read::Wanted;
use crate::door::{Door, stopping};
use crate::limits::{PLAIN_INPUT_BYTES, PLAIN_LOOK_MAX, PLAIN_PROMPT_MAX};

/// How waiting ended.
#[derive(Debug, PartialEq)]
pub(super) enum Came {
    /// Bytes came.
    Bytes,
    /// No more is waited for here.
    Nothing,
    /// The head of a request took too long.
    LateHead,
}

pub(super) struct Waiting {
    door: Arc<Door>,
    /// Whether the request before came as soon as there was an answer.
    is_prompt: bool,
    head_max: Duration,
    /// Goes off no later than the time of the request is over.
    timer: Pin<Box<Sleep>>,
    stopping: BoxFuture<'static, ()>,
}

impl Waiting {
    pub(super) fn new(door: &Arc<Door>) -> Waiting {
        let head_max = door.options.head_max;
        Waiting {
            door: Arc::clone(door),
            is_prompt: false,
            head_max,
            timer: Box::pin(sleep(head_max)),
            stopping: Box::pin(stopping(door.shutdown.clone())),
        }
    }

    /// Reads until what is wanted of a request may be there.
    pub(super) async fn until(
        &mut self,
        stream: &mut TcpStream,
        input: &mut Vec<u8>,
        wanted: Wanted,
    ) -> io::Result<Came> {
        let began = Instant::now();
        let until = began + self.head_max;
        let is_first = input.is_empty();
        if is_first && self.is_prompt {
            match look(&self.door, stream, input, began + PLAIN_LOOK_MAX).await? {
                Some(0) => return Ok(Came::Nothing),
                Some(_) => return Ok(Came::Bytes),
                None => {}
            }
        }
        loop {
            input.reserve(PLAIN_INPUT_BYTES / 2);
            tokio::select! {
                biased;
                read = stream.read_buf(input) => {
                    if read? == 0 {
                        return Ok(Came::Nothing);
                    }
                    if is_first {
                        self.is_prompt = began.elapsed() <= PLAIN_PROMPT_MAX;
                    }
                    match wanted {
                        Wanted::Body(bytes) if input.len() < bytes => {}
                        _ => return Ok(Came::Bytes),
                    }
                }
                () = self.timer.as_mut() => match wanted {
                    _ if Instant::now() < until => self.timer.as_mut().reset(until),
                    Wanted::Head => return Ok(Came::LateHead),
                    Wanted::Body(_) => return Ok(Came::Nothing),
                },
                () = self.stopping.as_mut() => return Ok(Came::Nothing),
            }
        }
    }
}

/// Looks for bytes without sleeping, where nobody else does; how many came, 0 at the connection's end.
async fn look(door: &Door, stream: &TcpStream, input: &mut Vec<u8>, until: Instant) -> io::Result<Option<usize>> {
    // The semaphore is never closed.
    let Ok(_looking) = door.looking.try_acquire() else {
        return Ok(None);
    };
    input.reserve(PLAIN_INPUT_BYTES / 2);
    while Instant::now() < until {
        match stream.try_read_buf(input) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => yield_now().await,
            read => return read.map(Some),
        }
    }
    Ok(None)
}
