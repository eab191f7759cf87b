//! A store that fails as told: before it did what it was asked for, or after, so that only the answer is lost.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

/// What goes wrong: every so many writes one does, in turns before it is done and after.
#[derive(Debug, Default)]
pub struct Trouble {
    /// One of so many writes fails; 0: none.
    pub every: AtomicU64,
    /// Whether they fail because the disk is full, and all of them before they are done.
    pub is_full: AtomicBool,
    writes: AtomicU64,
    pub failures: AtomicU64,
}

#[derive(Debug)]
pub struct Flaky {
    inner: Arc<dyn ObjectStore>,
    trouble: Arc<Trouble>,
}

#[derive(PartialEq, Eq)]
enum Fate {
    Done,
    NotDone,
    AnswerLost,
}

impl Flaky {
    pub fn over(
        trouble: &Arc<Trouble>,
    ) -> impl Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync + 'static {
        let trouble = Arc::clone(trouble);
        move |inner| {
            Arc::new(Flaky {
                inner,
                trouble: Arc::clone(&trouble),
            })
        }
    }

    fn fate(&self) -> Fate {
        let every = self.trouble.every.load(Ordering::Relaxed);
        let write = self.trouble.writes.fetch_add(1, Ordering::Relaxed);
        if every == 0 || !(write + 1).is_multiple_of(every) {
            return Fate::Done;
        }
        let before = self.trouble.failures.fetch_add(1, Ordering::Relaxed);
        match before.is_multiple_of(2) && !self.trouble.is_full.load(Ordering::Relaxed) {
            true => Fate::AnswerLost,
            false => Fate::NotDone,
        }
    }

    fn broken(&self, what: &str) -> object_store::Error {
        let why = match self.trouble.is_full.load(Ordering::Relaxed) {
            true => "No space left on device (os error 28)",
            false => "the cable was pulled",
        };
        object_store::Error::Generic {
            store: "flaky",
            source: format!("{what}: {why}").into(),
        }
    }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a flaky {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let fate = self.fate();
        if fate == Fate::NotDone {
            return Err(self.broken(location.as_ref()));
        }
        let put = self.inner.put_opts(location, payload, options).await?;
        match fate {
            Fate::AnswerLost => Err(self.broken(location.as_ref())),
            _ => Ok(put),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        match self.fate() {
            Fate::Done => self.inner.put_multipart_opts(location, options).await,
            _ => Err(self.broken(location.as_ref())),
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
