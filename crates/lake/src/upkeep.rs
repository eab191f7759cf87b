//! What a table needs from time to time: small files become large ones, and what no version that can be asked needs any more goes.
//!
//! Both are commits that change no row. Readers of the version before go on reading its files, which stay for as long as `keep_versions` says.

use std::collections::HashMap;
use std::num::NonZeroU64;

use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::operations::vacuum::VacuumMode;
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::{StreamExt, stream};
use object_store::ObjectStore;
use object_store::path::{Path, PathPart};

use crate::limits::{FILE_BYTES, SMALL_FILE_BYTES, SMALL_FILES_MAX, VACUUM_COMMITS};
use crate::mark::Mark;

/// Does what is due.
pub(crate) async fn tend(
    delta: &mut DeltaTable,
    properties: &(dyn Fn() -> CommitProperties + Sync),
    mark: Option<&Mark>,
) -> Result<(), DeltaTableError> {
    let snapshot = delta.snapshot()?;
    let files = snapshot.log_data();
    let files = files.iter().map(|file| {
        let mut partition = Vec::from_iter(file.partition_values_map());
        partition.sort();
        (partition, file.size().max(0) as u64)
    });
    if superfluous(files) >= SMALL_FILES_MAX
        && let Some(target) = NonZeroU64::new(FILE_BYTES)
    {
        let (compacted, metrics) = delta
            .clone()
            .optimize()
            .with_target_size(target)
            // One after another: this is work beside the work.
            .with_max_concurrent_tasks(1)
            .with_commit_properties(properties())
            .await?;
        tracing::info!(
            table = %compacted.table_url(),
            "{} files of a table became {}",
            metrics.num_files_removed,
            metrics.num_files_added
        );
        *delta = compacted;
    }
    if mark.is_some_and(|mark| mark.number % VACUUM_COMMITS == 0) {
        sweep(delta).await?;
    }
    Ok(())
}

/// Deletes the files that no version needs any more which can be asked, also those that were written and never named. Only files that look like the table's
/// own go: whatever else came to lie below its location is somebody's.
async fn sweep(delta: &DeltaTable) -> Result<(), DeltaTableError> {
    let vacuum = delta.clone().vacuum().with_mode(VacuumMode::Full);
    let (_, found) = vacuum.with_dry_run(true).await?;
    let partitioned_by = delta.snapshot()?.metadata().partition_columns().to_vec();
    let files = found
        .files_deleted
        .into_iter()
        .filter_map(|file| Path::parse(file).ok());
    let own: Vec<Path> = files.filter(|file| is_own(file, &partitioned_by)).collect();
    let store = delta.log_store().object_store(None);
    let mut deleted = store.delete_stream(stream::iter(own).map(Ok).boxed());
    while let Some(file) = deleted.next().await {
        match file {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether a file lies where a table that is partitioned so has its rows, and has such a name: `day=2026-01-31/part-00000-….parquet`.
fn is_own(file: &Path, partitioned_by: &[String]) -> bool {
    let parts: Vec<_> = file.parts().collect();
    let Some((name, folders)) = parts.split_last() else {
        return false;
    };
    let is_of = |(folder, column): (&PathPart<'_>, &String)| {
        let of = PathPart::from(column.as_str());
        folder
            .as_ref()
            .strip_prefix(of.as_ref())
            .is_some_and(|rest| rest.starts_with('='))
    };
    let is_there = folders.len() == partitioned_by.len() && folders.iter().zip(partitioned_by).all(is_of);
    let name = name
        .as_ref()
        .strip_prefix("part-")
        .and_then(|name| name.strip_suffix(".parquet"));
    // Between them at least the 36 characters of the writer's own number.
    is_there && name.is_some_and(|name| name.len() > 36)
}

/// How many files there would be less if all small ones of each partition were one.
fn superfluous<P: std::hash::Hash + Eq>(files: impl Iterator<Item = (P, u64)>) -> usize {
    let mut small: HashMap<P, usize> = HashMap::new();
    for (partition, bytes) in files {
        if bytes < SMALL_FILE_BYTES {
            *small.entry(partition).or_default() += 1;
        }
    }
    small.values().map(|files| files - 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, u64)], expected: usize) {
        assert_eq!(superfluous(files.iter().copied()), expected, "{files:?}");
    }

    #[test]
    fn files_of_a_table_are_told_from_others() {
        let check = |file: &str, partitioned_by: &[&str], expected: bool| {
            let columns: Vec<String> = partitioned_by.iter().map(|column| (*column).to_owned()).collect();
            assert_eq!(is_own(&Path::parse(file).unwrap(), &columns), expected, "{file}");
        };
        const PART: &str = "part-00000-6f1b4f0e-94c5-4f57-8ccb-0f6d2f0d8a11-c000.zstd.parquet";
        check(PART, &[], true);
        check(&format!("day=2026-01-31/{PART}"), &["day"], true);
        check(&format!("day=x/hour=%2F/{PART}"), &["day", "hour"], true);
        check(&format!("day=x/{PART}"), &[], false);
        check(&format!("days=x/{PART}"), &["day"], false);
        check(&format!("orders/{PART}"), &["day"], false);
        check(&format!("orders/{PART}"), &[], false);
        check(PART, &["day"], false);
        check("report.txt", &[], false);
        check("part-1.parquet", &[], false);
        check("log/FORMAT", &[], false);
    }

    #[test]
    fn small_files_of_one_partition_are_too_many() {
        check(&[], 0);
        check(&[("a", 1)], 0);
        check(&[("a", 1), ("b", 1)], 0);
        check(&[("a", 1), ("a", SMALL_FILE_BYTES)], 0);
        check(
            &[("a", 1), ("a", SMALL_FILE_BYTES - 1), ("b", 1), ("b", 1), ("b", 1)],
            3,
        );
    }
}
