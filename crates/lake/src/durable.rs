//! Folders of this machine as a store whose writes are on the disk before they are answered: a power cut takes back neither a file nor the commit that
//! names it.
//!
//! ```text
//! put     _NAME.staged ─ flush ─ linked as NAME ─ flush of the folder ─ _NAME.staged goes
//! ```
//!
//! Invariant: a file has its name when all of it is on the disk, so that no power cut leaves a commit half done: Delta's readers would stop at it, and
//! nobody could tell where it was cut. What it may leave is a staged file, which no reader looks at and the next write of that name writes over. A file that
//! is written in pieces is named by nothing before it is flushed.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// The folders.
#[derive(Debug, Clone)]
pub(crate) struct Durable(Arc<LocalFileSystem>);

/// A file that is written in pieces.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    store: Durable,
    location: Path,
}

impl Durable {
    pub(crate) fn new() -> Durable {
        Durable(Arc::new(LocalFileSystem::new()))
    }

    /// Brings a file and its name in the folder to the disk.
    async fn flush(&self, location: &Path) -> Result<()> {
        let path = self.0.path_to_filesystem(location)?;
        let flushed = tokio::task::spawn_blocking(move || {
            File::open(&path)?.sync_all()?;
            match path.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        });
        let flushed = flushed.await.map_err(|source| Error::JoinError { source })?;
        flushed.map_err(|source| Error::Generic {
            store: "a folder",
            source: format!("{location} could not be brought to the disk: {source}").into(),
        })
    }
}

/// Where a file stands before it has its name: names that begin so are nobody's data.
fn staged(location: &Path) -> Result<Path> {
    let (folder, name) = location.as_ref().rsplit_once('/').unwrap_or(("", location.as_ref()));
    Ok(Path::parse(format!("{folder}/_{name}.staged"))?)
}

impl fmt::Display for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, flushed", self.0)
    }
}

#[async_trait]
impl ObjectStore for Durable {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mode = match options.mode {
            PutMode::Create => CopyMode::Create,
            PutMode::Overwrite => CopyMode::Overwrite,
            // The folder says that it cannot.
            PutMode::Update(_) => return self.0.put_opts(location, payload, options).await,
        };
        let staged = staged(location)?;
        let whole = PutOptions {
            mode: PutMode::Overwrite,
            ..options
        };
        let put = self.0.put_opts(&staged, payload, whole).await?;
        self.flush(&staged).await?;
        let named = self
            .copy_opts(&staged, location, CopyOptions::new().with_mode(mode))
            .await;
        // Left behind it is in nobody's way.
        let _ = self.0.delete(&staged).await;
        named.map(|()| put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload {
            inner: self.0.put_multipart_opts(location, options).await?,
            store: self.clone(),
            location: location.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await?;
        self.flush(to).await
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.inner.complete().await?;
        self.store.flush(&self.location).await?;
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_has_its_name_once_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("log").join("7.json");
        let location = Path::from_absolute_path(&file).expect("a path");
        let staged = folder.path().join("log").join("_7.json.staged");
        let put = async |text: &'static str, mode: PutMode| {
            let put = Durable::new().put_opts(&location, text.into(), mode.into()).await;
            let there = std::fs::read_to_string(&file).expect("the file");
            (
                put.map(|_| ()).map_err(|error| error.to_string()),
                there,
                staged.exists(),
            )
        };
        // What a power cut left.
        std::fs::create_dir(folder.path().join("log")).expect("a folder");
        std::fs::write(&staged, "hal").expect("a file");
        assert_eq!(put("first", PutMode::Create).await, (Ok(()), "first".to_owned(), false));
        let (refused, there, is_staged) = put("second", PutMode::Create).await;
        assert!(refused.is_err_and(|why| why.contains("already exists")));
        assert_eq!((there.as_str(), is_staged), ("first", false));
        assert_eq!(
            put("third", PutMode::Overwrite).await,
            (Ok(()), "third".to_owned(), false)
        );
    }
}
