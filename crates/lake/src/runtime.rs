//! The threads on which tables wait for their storage.

use std::future::Future;

use headwater_views::ViewError;

use crate::limits::STORAGE_THREADS;

/// A runtime that may be dropped anywhere.
pub(crate) struct Storage(Option<tokio::runtime::Runtime>);

impl Storage {
    pub(crate) fn start() -> std::io::Result<Storage> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(STORAGE_THREADS)
            .thread_name("lake storage")
            .enable_all()
            .build()?;
        Ok(Storage(Some(runtime)))
    }

    /// Waits for what storage has to do, on a thread of its own: whoever calls may stand in another runtime.
    pub(crate) fn wait<T: Send>(
        &self,
        work: impl Future<Output = Result<T, ViewError>> + Send,
    ) -> Result<T, ViewError> {
        let Some(runtime) = &self.0 else {
            return Err(ViewError::Failed("the program is stopping".to_owned()));
        };
        let waited = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(work)).join());
        waited.unwrap_or_else(|_| {
            Err(ViewError::Failed(
                "it panicked; the program's log says where".to_owned(),
            ))
        })
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A runtime that is dropped waits for its threads, which not everybody may who holds the last view.
            runtime.shutdown_background();
        }
    }
}
