//! Views in a bucket that does not answer, or on a disk without room: the others start, who asks is told, and the views start once that is over.

#[expect(dead_code, reason = "other tests use all of it")]
mod scratch;
mod waiting;

use std::fmt;
use std::path::Path as Folder;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use headwater_lake::DeltaLakes;
use headwater_views::{ImageSpec, LakeTable, Lakes, ViewError};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use scratch::{Scratch, check};
use waiting::until;

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
    until("both start", async || {
        started.extend(late(&scratch).await.expect("it ran"));
        started.len() == 2
    })
    .await;
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
    bucket.is_silent.store(true, Ordering::SeqCst);
    check(
        &mut scratch,
        &[(
            "SELECT sum(n) FROM one WHERE n > 0",
            "57P03: the storage of the table does not answer: nothing came within 10s; ask again later",
        )],
    )
    .await;
    bucket.is_silent.store(false, Ordering::SeqCst);
    scratch.close();
}

/// Tables on a disk that may be full.
struct Crowded {
    inner: DeltaLakes,
    is_full: Arc<AtomicBool>,
}

impl Lakes for Crowded {
    fn check(&self, spec: &ImageSpec<'_>) -> Result<(), ViewError> {
        self.inner.check(spec)
    }

    fn open(&self, spec: &ImageSpec<'_>) -> Result<Arc<dyn LakeTable>, ViewError> {
        match self.is_full.load(Ordering::SeqCst) {
            true => Err(ViewError::Full("the disk is full".to_owned())),
            false => self.inner.open(spec),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_has_no_room_at_the_start_starts_by_itself_when_there_is_some() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let is_full: Arc<AtomicBool> = Arc::default();
    let opened = || {
        let crowded = Crowded {
            inner: DeltaLakes::start().expect("threads"),
            is_full: Arc::clone(&is_full),
        };
        Scratch::open_over(folder.path(), |views| views.with_lakes(Arc::new(crowded)))
    };
    let mut scratch = opened();
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM c (page TEXT NOT NULL) WITH (partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW all_of_it STORED AS columnar AS SELECT page FROM c",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO c VALUES ('a')", "INSERT 0 1"),
        ],
    )
    .await;
    is_full.store(true, Ordering::SeqCst);
    check(
        &mut scratch,
        &[(
            "CREATE MATERIALIZED VIEW others STORED AS columnar AS SELECT page FROM c WHERE page <> 'a'",
            "53100: the view 'others' is defined and did not start: the disk is full; it goes on by itself when that is over; it is tried again, and starts by itself",
        )],
    )
    .await;
    scratch.close();
    let mut scratch = opened();
    check(
        &mut scratch,
        &[
            (
                "SELECT count(*) FROM all_of_it",
                "~the view 'all_of_it' has not started yet: the disk is full; it goes on by itself when that is over; it is tried again; ask again later",
            ),
            ("SELECT count(*) FROM all_of_it", "~57P03: "),
            ("INSERT INTO c VALUES ('b')", "INSERT 0 1"),
        ],
    )
    .await;
    let late = |scratch: &Scratch| {
        let engine = scratch.engine.clone();
        tokio::task::spawn_blocking(move || engine.start_late_views())
    };
    assert!(late(&scratch).await.expect("it ran").is_empty(), "not yet");
    is_full.store(false, Ordering::SeqCst);
    assert_eq!(late(&scratch).await.expect("it ran"), ["all_of_it", "others"]);
    check(
        &mut scratch,
        &[
            ("SELECT count(*) FROM all_of_it", "2"),
            ("SELECT count(*) FROM others", "1"),
        ],
    )
    .await;
    scratch.close();
}
