//! Where a table lies: a folder of this machine, or a prefix of a bucket behind S3's interface.
//!
//! `s3://bucket/prefix` takes what it needs from the environment, as other tools do: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, and for
//! another server than Amazon's `AWS_ENDPOINT_URL` (with `AWS_ALLOW_HTTP=true` where it speaks plain HTTP). Commits rely on the store: a file that is
//! there already is not written over (`If-None-Match`).

use std::path::{Component, Path as FilePath, PathBuf};
use std::sync::Arc;

use datafusion::datasource::listing::ListingTableUrl;
use deltalake_core::ensure_table_uri;
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use headwater_host::Shortage;
use headwater_views::ViewError;
use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use crate::answering::{Answering, Silence};
use crate::durable::Durable;

/// The folder of a table that has no location of its own, in the folder of its view's version.
const FOLDER: &str = "table";

/// What is a sign of its own in addresses: Delta makes one of each path, and does not find such a folder again.
const OF_ADDRESSES: [char; 3] = ['#', '?', '%'];

/// Where a table lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Folder(PathBuf),
    Bucket { bucket: String, prefix: String },
}

/// What stands between a table and its storage: tests let it fail.
pub(crate) type Decorate = dyn Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync;

impl Location {
    /// What stands behind LOCATION, or the view's own folder.
    pub(crate) fn of(location: Option<&str>, folder: Option<&FilePath>) -> Result<Location, ViewError> {
        match (location, folder) {
            (Some(text), _) => parse(text),
            (None, Some(folder)) => match folder.to_string_lossy().find(OF_ADDRESSES) {
                Some(_) => Err(ViewError::Unfit {
                    part: format!(
                        "a table of column files in the folder '{}', whose #, ? or % Delta takes for parts of an address,",
                        folder.display()
                    ),
                    hint: "give the view a LOCATION of its own, or start the program with another data folder"
                        .to_owned(),
                }),
                None => Ok(Location::Folder(folder.join(FOLDER))),
            },
            (None, None) => Ok(Location::Folder(PathBuf::from(FOLDER))),
        }
    }

    /// The places that it lies in, in its root's words.
    pub(crate) fn above(&self) -> Vec<Path> {
        let place = match self {
            Location::Folder(folder) => Path::from_absolute_path(folder).unwrap_or_default(),
            Location::Bucket { prefix, .. } => Path::from(prefix.as_str()),
        };
        let parts: Vec<_> = place.parts().collect();
        (1..parts.len())
            .map(|count| parts[..count].iter().cloned().collect())
            .collect()
    }

    /// What all tables of one storage have in common.
    pub(crate) fn storage(&self) -> String {
        match self {
            Location::Folder(folder) => folder.display().to_string(),
            Location::Bucket { bucket, .. } => format!("s3://{bucket}"),
        }
    }

    /// The table's store. Who waits for it in vain is noted.
    pub(crate) fn open(&self, decorate: &Decorate, silence: &Silence) -> Result<LogStoreRef, ViewError> {
        let failed = |why: String| match Shortage::said_in(&why) {
            Some(Shortage::Room) => ViewError::Full(format!("the table at {self} cannot be opened: {why}")),
            _ => ViewError::Unfit {
                part: format!("LOCATION '{self}', which cannot be opened: {why},"),
                hint: "look whether the place is there and may be written to".to_owned(),
            },
        };
        let (root, url): (Arc<dyn ObjectStore>, _) = match self {
            Location::Folder(path) => {
                let path = path
                    .to_str()
                    .ok_or_else(|| failed("its name is not UTF-8".to_owned()))?;
                let url = ensure_table_uri(path).map_err(|error| failed(error.to_string()))?;
                (Arc::new(Durable::new()), url)
            }
            Location::Bucket { bucket, .. } => {
                let store = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_conditional_put(S3ConditionalPut::ETagMatch)
                    .build();
                let url = ListingTableUrl::parse(format!("{self}/")).map_err(|error| failed(error.to_string()))?;
                (
                    Arc::new(store.map_err(|error| failed(error.to_string()))?),
                    url.get_url().clone(),
                )
            }
        };
        let root = decorate(root);
        let root: Arc<dyn ObjectStore> = match self {
            Location::Folder(_) => root,
            Location::Bucket { .. } => Arc::new(Answering::new(root, silence.clone())),
        };
        let prefix = Path::from_url_path(url.path()).map_err(|error| failed(error.to_string()))?;
        let table = Arc::new(PrefixStore::new(Arc::clone(&root), prefix));
        Ok(default_logstore(table, root, &url, &StorageConfig::default()))
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Location::Folder(path) => write!(f, "{}", path.display()),
            Location::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

fn parse(text: &str) -> Result<Location, ViewError> {
    let refused = |why: &str| {
        Err(ViewError::Unfit {
            part: format!("LOCATION '{text}', {why},"),
            hint: "write the absolute path of a folder, or s3://bucket/prefix".to_owned(),
        })
    };
    if let Some(rest) = text.strip_prefix("s3://") {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        if bucket.is_empty() || prefix.is_empty() {
            return refused("which names no prefix of a bucket");
        }
        if prefix.contains(['*', '?', '#', '[', '%']) || prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refused("whose prefix is none that every tool reads alike");
        }
        return Ok(Location::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        });
    }
    let path = text.strip_prefix("file://").unwrap_or(text);
    match path {
        _ if path.contains("://") => refused("an address of a kind that is not known"),
        _ if path.contains(OF_ADDRESSES) => refused("whose #, ? or % not every tool reads alike"),
        _ if !FilePath::new(path).is_absolute() => refused("a path that hangs on where the program was started"),
        _ if FilePath::new(path)
            .components()
            .any(|part| part == Component::ParentDir) =>
        {
            refused("a path that goes back")
        }
        _ => Ok(Location::Folder(PathBuf::from(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let found = Location::of(Some(text), None).map(|location| location.to_string());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn places_lie_in_others() {
        let above = |text: &str| Location::of(Some(text), None).map(|location| location.above());
        let above = |text: &str| {
            above(text)
                .expect("a location")
                .iter()
                .map(Path::to_string)
                .collect::<Vec<String>>()
        };
        assert_eq!(above("/srv/lake/orders"), ["srv", "srv/lake"]);
        assert_eq!(above("s3://lake/a/b"), ["a"]);
        assert_eq!(above("s3://lake/a"), Vec::<String>::new());
    }

    #[test]
    fn a_data_folder_may_have_any_name_that_is_no_part_of_an_address() {
        let of = |folder: &str| Location::of(None, Some(FilePath::new(folder)));
        assert!(of("/srv/a b é+=&/views/v").is_ok());
        for folder in ["/srv/a#b/views/v", "/srv/a?b/views/v", "/srv/a%b/views/v"] {
            let error = of(folder).expect_err("Delta does not find it again").to_string();
            assert!(
                error.contains(folder) && error.contains("start the program with another data folder"),
                "{error}"
            );
        }
    }

    #[test]
    fn locations_are_read() {
        check("s3://lake/history", Ok("s3://lake/history"));
        check("s3://lake/a/b/", Ok("s3://lake/a/b"));
        check("/srv/lake", Ok("/srv/lake"));
        check("file:///srv/lake", Ok("/srv/lake"));
        check("s3://lake", Err("names no prefix"));
        check("s3:///history", Err("names no prefix"));
        check("s3://lake/a//b", Err("every tool reads alike"));
        check("s3://lake/a/../b", Err("every tool reads alike"));
        check("s3://lake/a?b", Err("every tool reads alike"));
        check("lake/history", Err("where the program was started"));
        check("gs://lake/history", Err("not known"));
        check("/srv/lake/../data", Err("goes back"));
        for path in ["/srv/lake/a%20b", "/srv/a#b", "/srv/a?b"] {
            check(path, Err("every tool reads alike"));
        }
        check("/srv/lake/a b é", Ok("/srv/lake/a b é"));
        check("", Err("where the program was started"));
    }
}
