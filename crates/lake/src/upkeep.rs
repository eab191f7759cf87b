//! What a table needs from time to time: small files become large ones, and what no version that can be asked needs any more goes.
//!
//! Both are commits that change no row. Readers of the version before go on reading its files, which stay for as long as `keep_versions` says.

use std::collections::HashMap;
use std::num::NonZeroU64;

use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::operations::vacuum::VacuumMode;
use deltalake_core::{DeltaTable, DeltaTableError};

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
        let vacuum = delta.clone().vacuum().with_mode(VacuumMode::Full);
        let (vacuumed, _) = vacuum.with_commit_properties(properties()).await?;
        *delta = vacuumed;
    }
    Ok(())
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
