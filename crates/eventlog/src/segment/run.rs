//! Writes a run of batches into a segment's file: what fills whole blocks past the page cache, its two ends through it.
//!
//! ```text
//! file    |....####|########|########|###.....|     # the run, in blocks of 4,096 bytes
//!          through  past     past     through
//! ```
//!
//! A copy into fresh pages of the page cache costs more processor time than everything else that happens to a large batch, and pushes
//! out what readers have there. The pages at the two ends are never written both ways, so that nothing is written twice.

use std::path::Path;
use std::sync::Arc;

use headwater_host::{AlignedBytes, BLOCK_BYTES, Disk, OpenMode};

use crate::files::{DiskError, Files};
use crate::limits::{DIRECT_BYTES_MIN, RUN_BYTES};

/// Writes runs, one after another.
pub(crate) struct RunWriter {
    /// Opens files for writing past the page cache.
    past: Files,
    buffer: AlignedBytes,
}

impl RunWriter {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> RunWriter {
        RunWriter {
            past: Files::new(disk, OpenMode::Direct),
            buffer: AlignedBytes::new(),
        }
    }

    /// Closes every file below a folder.
    pub(crate) fn forget(&self, dir: &Path) {
        self.past.forget(dir);
    }

    /// Puts `parts`, `bytes` in all, one after another into a file from `place` on; `through` opens it, creating it where it is not there.
    pub(crate) fn write<'a>(
        &mut self,
        through: &Files,
        path: &Path,
        place: u64,
        bytes: u64,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), DiskError> {
        let direct = bytes >= DIRECT_BYTES_MIN as u64;
        // In memory the run stands as it will stand in the blocks of the file.
        let mut lead = (place % BLOCK_BYTES as u64) as usize;
        let mut at = place - lead as u64;
        self.buffer.clear();
        self.buffer.reserve(RUN_BYTES.min(lead + bytes as usize));
        self.buffer.resize(lead);
        for mut part in parts {
            while !part.is_empty() {
                let (now, later) = part.split_at(part.len().min(RUN_BYTES - self.buffer.len()));
                self.buffer.extend_from_slice(now);
                part = later;
                if self.buffer.len() == RUN_BYTES {
                    self.put(through, path, at, lead, direct)?;
                    at += RUN_BYTES as u64;
                    lead = 0;
                    self.buffer.clear();
                }
            }
        }
        self.put(through, path, at, lead, direct)
    }

    /// Writes what was gathered; the first `lead` bytes of it are not part of the run.
    fn put(&self, through: &Files, path: &Path, at: u64, lead: usize, direct: bool) -> Result<(), DiskError> {
        let failed = |source| DiskError::new(path, source);
        let gathered: &[u8] = &self.buffer;
        let (mut begin, mut end) = (lead, lead);
        if direct {
            begin = lead.next_multiple_of(BLOCK_BYTES).min(gathered.len());
            end = (gathered.len() / BLOCK_BYTES * BLOCK_BYTES).max(begin);
        }
        let file = through.get(path)?;
        for range in [lead..begin, end..gathered.len()] {
            if !range.is_empty() {
                let place = at + range.start as u64;
                file.write_all_at(&gathered[range], place).map_err(failed)?;
            }
        }
        if begin < end {
            let past = self.past.get(path)?;
            past.write_all_at(&gathered[begin..end], at + begin as u64)
                .map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use headwater_host::Host;

    use super::*;

    /// Writes runs of these sizes one after another, each in parts of `part_bytes`, and reads the file back.
    fn check(sizes: &[usize], part_bytes: usize) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Host::real().disk;
        let through = Files::new(disk.clone(), OpenMode::ReadWrite);
        let mut writer = RunWriter::new(disk);
        let path = folder.path().join("run");
        let mut expected: Vec<u8> = Vec::new();
        for (number, size) in sizes.iter().enumerate() {
            let run: Vec<u8> = (0..*size).map(|at| (at * 31 + number * 7) as u8).collect();
            let place = expected.len() as u64;
            writer
                .write(&through, &path, place, *size as u64, run.chunks(part_bytes))
                .unwrap();
            expected.extend_from_slice(&run);
        }
        assert!(
            std::fs::read(&path).unwrap() == expected,
            "{sizes:?} in parts of {part_bytes}"
        );
    }

    #[test]
    fn runs_of_any_size_stand_one_after_another() {
        let (block, direct, run) = (BLOCK_BYTES, DIRECT_BYTES_MIN, RUN_BYTES);
        check(&[0, 1, block - 1, block, block + 1], 1000);
        check(&[direct - 1, direct, direct + 1, 10, direct], 1000);
        check(&[block, run, run, 2 * run + 1, 3, 2 * run - 4], 300_001);
        check(&[1, run - 1, direct, run + block - 1, 1], usize::MAX);
    }
}
