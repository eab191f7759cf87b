//! What is sent for a request, now or once the disk has it.

use std::future::Future;
use std::pin::Pin;

use crate::outgoing::OutFrame;

/// What is sent for one request, once its turn has come.
pub(crate) enum Answer {
    /// A whole frame.
    Frame(OutFrame),
    /// Nothing: the client asked for no answer.
    Nothing,
    /// Nothing, and the connection ends: the client asked for no answer and must learn of an error all the same.
    Close,
}

/// An answer that may still wait for the disk.
pub(crate) enum Pending {
    Ready(Answer),
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
}
