//! What the program says beside its answers: PostgreSQL's notices. They come before the end of the statement that they are of.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Connection};

use super::reading::Reading;

/// The notices that nobody has taken yet; those that say how far a question is move its bar.
#[derive(Clone, Default)]
pub struct Notices {
    waiting: Arc<Mutex<Vec<String>>>,
    pub reading: Reading,
}

impl Notices {
    /// Where a question's bar is this one.
    pub fn new(reading: Reading) -> Notices {
        Notices {
            waiting: Arc::default(),
            reading,
        }
    }

    /// Keeps a connection going to its end, and what is said on it. An error of the connection reaches the statement that waits for it.
    pub async fn listen<S, T>(self, mut connection: Connection<S, T>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message
                && !self.reading.take(&notice)
            {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.push(notice.message().to_owned());
            }
        }
    }

    /// Those that came since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
