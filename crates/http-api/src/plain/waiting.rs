//! Waits for the bytes of a request: for so long, and until the program stops.
//!
//! One timer for each connection, set again when it goes off too early, instead of one for each request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::read::Wanted;
use crate::door::{Door, stopping};
use crate::limits::PLAIN_INPUT_BYTES;

/// How waiting ended.
#[derive(Debug, PartialEq)]
pub(super) enum Came {
    /// Bytes came; `soon`: a request's first, as soon as its client had the answer before.
    Bytes { soon: bool },
    /// No more is waited for here.
    Nothing,
    /// The head of a request took too long.
    LateHead,
}

pub(super) struct Waiting {
    head_max: Duration,
    soon_max: Duration,
    /// Goes off no later than the time of the request is over.
    timer: Pin<Box<Sleep>>,
    stopping: BoxFuture<'static, ()>,
}

impl Waiting {
    pub(super) fn new(door: &Arc<Door>) -> Waiting {
        let head_max = door.options.head_max;
        Waiting {
            head_max,
            soon_max: door.options.soon_max,
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
        loop {
            input.reserve(PLAIN_INPUT_BYTES / 2);
            tokio::select! {
                biased;
                read = stream.read_buf(input) => {
                    if read? == 0 {
                        return Ok(Came::Nothing);
                    }
                    match wanted {
                        Wanted::Body(bytes) if input.len() < bytes => {}
                        _ => return Ok(Came::Bytes { soon: is_first && began.elapsed() <= self.soon_max }),
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
