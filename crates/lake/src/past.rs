//! Earlier versions of a table: each says where its view stood, and stays as long as `keep_versions` says.
//!
//! Positions ascend with versions, so that the newest one that holds nothing beyond a position is found by looking at a few commits. A version whose commit,
//! or any of whose files, is gone is none.

use std::collections::HashSet;
use std::sync::Arc;

use deltalake_core::kernel::Action;
use deltalake_core::logstore::{LogStoreRef, get_actions};
use deltalake_core::{DeltaTable, DeltaTableError};
use headwater_records::Position;
use headwater_views::LakeVersion;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use crate::mark::Mark;
use crate::source::Source;
use crate::spec::TableSpec;

/// The newest version that holds nothing beyond a position, and where it stands; `None` where there is none any more.
pub(crate) async fn as_of(
    spec: &TableSpec,
    newest: &DeltaTable,
    at: &Position,
) -> Result<Option<LakeVersion>, DeltaTableError> {
    let store = newest.log_store();
    // Below `known` no version is beyond, from `beyond` on each is.
    let (mut known, mut beyond) = (0, newest.version().map_or(0, |version| version + 1));
    let mut found: Option<(u64, Position)> = None;
    while known < beyond {
        let middle = known + (beyond - known) / 2;
        match stands(spec, &store, middle).await? {
            Stands::Gone => known = middle + 1,
            Stands::At(position) if at.covers(&position) => {
                found = Some((middle, position));
                known = middle + 1;
            }
            Stands::At(_) => beyond = middle,
        }
    }
    let Some((version, position)) = found else {
        return Ok(None);
    };
    let mut earlier = DeltaTable::new(store);
    if let Err(error) = earlier.load_version(version).await {
        tracing::debug!(table = %newest.table_url(), version, "is no longer there: {error}");
        return Ok(None);
    }
    if !has_its_files(&earlier, newest).await? {
        return Ok(None);
    }
    let rows = Arc::new(Source::new(&earlier, &spec.schema)?);
    Ok(Some(LakeVersion { position, rows }))
}

/// Where a version stands.
enum Stands {
    /// Its commit is no longer there, or none that says where it stands.
    Gone,
    At(Position),
}

/// A commit of another program (small files joined, a property set) is not one of the view's: where the table stands with it, the newest of those
/// below says. Before the first of them it stands at the beginning.
async fn stands(spec: &TableSpec, store: &LogStoreRef, version: u64) -> Result<Stands, DeltaTableError> {
    for version in (0..=version).rev() {
        let Some(commit) = store.read_commit_entry(version).await? else {
            return Ok(Stands::Gone);
        };
        let actions = get_actions(version, &commit)?;
        let mark = actions.iter().find_map(|action| match action {
            Action::CommitInfo(commit) => Mark::of(&spec.view, commit),
            _ => None,
        });
        if let Some(mark) = mark {
            return Ok(Stands::At(mark.standing.position));
        }
    }
    Ok(Stands::At(Position::new()))
}

/// Whether every file of a version is there: those that the newest one has, and those that it has no longer and that were not taken away yet.
async fn has_its_files(earlier: &DeltaTable, newest: &DeltaTable) -> Result<bool, DeltaTableError> {
    let files = |table: &DeltaTable| -> Result<HashSet<Path>, DeltaTableError> {
        let files = table.snapshot()?.log_data();
        Ok(files.iter().map(|file| file.object_store_path()).collect())
    };
    let storage = earlier.log_store().object_store(None);
    for file in files(earlier)?.difference(&files(newest)?) {
        match storage.head(file).await {
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}
