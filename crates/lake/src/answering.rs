//! A bucket must answer: whoever waits for what is read of it is told after some seconds that it does not. Nobody's patience is as long as that of a
//! client that tries again and again.
//!
//! Only the beginning of an answer is waited for so: a large file may take its time. What is written waits as long as it takes, on threads of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::limits::ANSWER_WITHIN;

/// When storage was last waited for in vain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Silence(Arc<Mutex<Option<Instant>>>);

/// Storage that must answer.
#[derive(Debug)]
pub(crate) struct Answering {
    inner: Arc<dyn ObjectStore>,
    silence: Silence,
}

impl Silence {
    /// Whether somebody waited in vain since a moment.
    pub(crate) fn since(&self, moment: Instant) -> bool {
        let Silence(last) = self;
        last.lock().is_some_and(|last| last >= moment)
    }

    /// Whether somebody waited in vain just now.
    pub(crate) fn is_recent(&self) -> bool {
        let Silence(last) = self;
        last.lock().is_some_and(|last| last.elapsed() < ANSWER_WITHIN)
    }

    fn note(&self) -> Error {
        let Silence(last) = self;
        *last.lock() = Some(Instant::now());
        Error::Generic {
            store: "the storage",
            source: format!("it did not answer within {ANSWER_WITHIN:?}").into(),
        }
    }
}

impl Answering {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, silence: Silence) -> Answering {
        Answering { inner, silence }
    }

    async fn within<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        timeout(ANSWER_WITHIN, answer)
            .await
            .unwrap_or_else(|_| Err(self.silence.note()))
    }

    fn each_within(&self, list: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        let silence = self.silence.clone();
        let next = move |list: Option<BoxStream<'static, Result<ObjectMeta>>>| {
            let silence = silence.clone();
            async move {
                let mut list = list?;
                match timeout(ANSWER_WITHIN, list.next()).await {
                    Ok(item) => Some((item?, Some(list))),
                    Err(_) => Some((Err(silence.note()), None)),
                }
            }
        };
        stream::unfold(Some(list), next).boxed()
    }
}

impl fmt::Display for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Answering {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.within(self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.each_within(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.each_within(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.within(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
