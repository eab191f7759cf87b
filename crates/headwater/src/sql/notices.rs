//! What the program says beside its answers: PostgreSQL's notices. They come before the end of the statement that they are of.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Connection};

/// The notices that nobody has taken yet.
#[derive(Clone, Default)]
pub struct Notices(Arc<Mutex<Vec<String>>>);

impl Notices {
    /// Keeps a connection going to its end, and what is said on it. An error of the connection reaches the statement that waits for it.
    pub async fn listen<S, T>(self, mut connection: Connection<S, T>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message {
                let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.push(notice.message().to_owned());
            }
        }
    }

    /// Those that came since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
