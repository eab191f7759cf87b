//! Whether a new table has room at the LOCATION that a view names: a place of its own, where nobody else's files are, and none of the program's.

use std::path::{Path as FilePath, PathBuf};

use deltalake_core::DeltaTable;
use deltalake_core::logstore::LogStoreRef;
use futures::TryStreamExt;
use headwater_views::ViewError;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::location::Location;

/// Where a table's commits are.
const LOG: &str = "_delta_log";

/// Refuses a place that is not empty, or lies within another table. Whose a table is that lies there, opening it tells.
pub(crate) async fn check(location: &Location, store: &LogStoreRef) -> Result<(), ViewError> {
    let failed = |error: String| refused(location, &format!("which cannot be read: {error},"));
    let there = DeltaTable::new(store.clone()).verify_deltatable_existence().await;
    if there.map_err(|error| failed(error.to_string()))? {
        return Ok(());
    }
    let found = first(&store.object_store(None), None).await;
    if let Some(found) = found.map_err(|error| failed(error.to_string()))? {
        let why = format!("where files lie that are no table's, such as {found},");
        return Err(refused(location, &why));
    }
    let root = store.root_object_store(None);
    for above in location.above() {
        let commits = above.clone().join(LOG);
        let found = first(&root, Some(&commits)).await;
        if found.map_err(|error| failed(error.to_string()))?.is_some() {
            return Err(refused(location, &format!("which lies within the table at {above},")));
        }
    }
    Ok(())
}

/// Refuses a folder that is the program's own, lies in it or holds it.
pub(crate) fn check_apart(location: &Location, own: &FilePath) -> Result<(), ViewError> {
    let Location::Folder(folder) = location else {
        return Ok(());
    };
    let (folder, own) = (real(folder), real(own));
    match folder.starts_with(&own) || own.starts_with(&folder) {
        true => Err(refused(location, "where the program keeps its own files,")),
        false => Ok(()),
    }
}

/// A file that lies there; hidden ones are not looked at.
async fn first(store: &dyn ObjectStore, prefix: Option<&Path>) -> object_store::Result<Option<Path>> {
    let mut files = store.list(prefix);
    while let Some(file) = files.try_next().await? {
        let mut parts = file.location.parts();
        let is_hidden = parts.next().is_some_and(|part| part.as_ref().starts_with(['_', '.']));
        if prefix.is_some() || !is_hidden {
            return Ok(Some(file.location));
        }
    }
    Ok(None)
}

/// The path with the links followed of what is there of it.
fn real(path: &FilePath) -> PathBuf {
    let mut missing: Vec<&std::ffi::OsStr> = Vec::new();
    let mut at = path;
    loop {
        if let Ok(found) = at.canonicalize() {
            return missing.iter().rev().fold(found, |path, name| path.join(name));
        }
        let (Some(above), Some(name)) = (at.parent(), at.file_name()) else {
            return path.to_owned();
        };
        missing.push(name);
        at = above;
    }
}

fn refused(location: &Location, why: &str) -> ViewError {
    ViewError::Unfit {
        part: format!("LOCATION '{location}', {why}"),
        hint: "give the view a folder or a prefix of its own".to_owned(),
    }
}
