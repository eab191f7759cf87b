//! What reads the disk, waits for a lock or takes its time: not on the runtime's own threads, where others would wait with it.

use crate::{SqlError, SqlState};

/// Does some work on a thread that may block.
pub(crate) async fn off_thread<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, SqlError>
where
    T: Send + 'static,
    E: Send + 'static,
    SqlError: From<E>,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(join) => Err(SqlError::new(SqlState::INTERNAL, join.to_string())),
    }
}
