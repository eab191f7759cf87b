//! What was read of a connection's requests and not forgotten yet.

use super::read::{Plain, Read, read};
use crate::direct::Requests;
use crate::limits::{PLAIN_BODY_BYTES_MAX, PLAIN_HEAD_BYTES_MAX, PLAIN_INPUT_BYTES};

pub(super) struct Input {
    pub(super) bytes: Vec<u8>,
    /// How many of them are of requests that were taken.
    taken: usize,
    /// How long a body may be.
    body_max: usize,
}

impl Input {
    pub(super) fn new(requests: &Requests) -> Input {
        Input {
            bytes: Vec::new(),
            taken: 0,
            body_max: PLAIN_BODY_BYTES_MAX.min(requests.door.options.body_bytes_max),
        }
    }

    /// Takes the next request.
    pub(super) fn next(&mut self) -> Read {
        let next = read(&self.bytes[self.taken..], self.body_max);
        if let Read::Whole(Plain { length, .. }) = &next {
            self.taken += length;
        }
        next
    }

    /// Whether more may be read while a request is answered.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() < PLAIN_HEAD_BYTES_MAX + PLAIN_BODY_BYTES_MAX
    }

    /// Forgets the requests that were taken, and the memory that they took beyond what a connection keeps.
    pub(super) fn forget(&mut self) {
        self.bytes.drain(..self.taken);
        self.bytes.shrink_to(PLAIN_INPUT_BYTES);
        self.taken = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}
