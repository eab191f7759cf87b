//! Views in a bucket that does not answer: the others start, who asks is told, and the views start once it answers.

#[expect(dead_code, reason = "other tests use all of it")]
mod scratch;

use std::fmt;
use std::path::Path as Folder;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use headwater_lake::DeltaLakes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use scratch::{Scratch, check};

/// A bucket in memory that can fall silent.
#[derive(Debug, Clone)]
struct Bucket {
    inner: Arc<InMemory>,
    is_silent: Arc<AtomicBool>,
}

impl Bucket {
    async fn answer(&self) {
        if self.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a bucket")
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.answer().await;
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.answer().await;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.answer().await;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.is_silent.load(Ordering::SeqCst) {
            true => stream::pending().boxed(),
            false => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.answer().await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.answer().await;
        self.inner.copy_opts(from, to, options).await
    }
}

fn opened(folder: &Folder, bucket: &Bucket) -> Scratch {
    let bucket = bucket.clone();
    Scratch::open_over(folder, |views| {
        let lakes = DeltaLakes::over(move |_| Arc::new(bucket.clone())).expect("threads");
        views.with_lakes(Arc::new(lakes))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_does_not_answer_holds_up_its_own_views_alone() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let bucket = Bucket {
        inner: Arc::new(InMemory::new()),
        is_silent: Arc::default(),
    };
    let mut scratch = opened(folder.path(), &bucket);
    check(
        &mut scratch,
        &[
            ("CREATE STREAM c (page TEXT NOT NULL, n INTEGER) KEY (page) WITH (partitions = 1)", "CREATE STREAM"),
            ("CREATE MATERIALIZED VIEW own STORED AS document AS SELECT page, sum(n) AS s FROM c GROUP BY page", "CREATE MATERIALIZED VIEW"),
            (
                "CREATE MATERIALIZED VIEW one STORED AS columnar LOCATION 's3://lake/one' WITH (every = '10 ms') AS SELECT page, n FROM c",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "CREATE MATERIALIZED VIEW two STORED AS columnar LOCATION 's3://lake/two' WITH (every = '10 ms') AS SELECT page, n FROM c",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO c VALUES ('a', 1)", "INSERT 0 1"),
            ("SELECT count(*) FROM one", "1"),
        ],
    )
    .await;
    scratch.close();
    bucket.is_silent.store(true, Ordering::SeqCst);
    let mut scratch = opened(folder.path(), &bucket);
    check(
        &mut scratch,
        &[
            ("SELECT s FROM own", "1"),
            ("SELECT count(*) FROM one", "~57P03"),
            (
                "SELECT count(*) FROM two",
                "~the storage of the table at s3://lake/two does not answer",
            ),
            ("SHOW VIEWS", "~does not answer"),
            ("INSERT INTO c VALUES ('a', 2)", "INSERT 0 1"),
        ],
    )
    .await;
    let late = |scratch: &Scratch| {
        let engine = scratch.engine.clone();
        tokio::task::spawn_blocking(move || engine.start_late_views())
    };
    assert!(late(&scratch).await.expect("it ran").is_empty(), "not yet");
    bucket.is_silent.store(false, Ordering::SeqCst);
    let mut started: Vec<String> = Vec::new();
    while started.len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        started.extend(late(&scratch).await.expect("it ran"));
    }
    check(
        &mut scratch,
        &[
            ("SELECT count(*) FROM one", "2"),
            ("SELECT count(*) FROM two", "2"),
            ("SELECT s FROM own", "3"),
        ],
    )
    .await;
    assert_eq!(scratch.engine.views_not_started(), []);
    scratch.close();
}
