//! Writes a run of batches into a segment's file: what fills whole blocks past the page cache, its two ends through it.
//!
//! ```text
//! file    |....####|########|########|###.....|     # the run, in blocks of 4,096 bytes
//!          through  past     past     through
//! ```
//!
//! A copy into fresh pages of the page cache costs more processor time than everything else that happens to a large batch, and pushes
//! out what readers have there. The pages at the two ends are never written both ways, so that nothing is written twice. Large batches are written
//! from where they stand (`gather.rs`).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use headwater_host::{BLOCK_BYTES, Disk, OpenMode};

use crate::append::gather::Gather;
use crate::files::{DiskError, Files};
use crate::limits::{DIRECT_BYTES_MIN, RUN_BYTES};

/// Writes runs, one after another.
pub(crate) struct RunWriter {
    /// Opens files for writing past the page cache.
    past: Files,
    gather: Gather,
}

/// Where a run goes.
pub(crate) struct Target<'a> {
    /// Opens files for writing through the page cache, creating those that are not there.
    pub(crate) through: &'a Files,
    pub(crate) path: &'a Path,
    /// What of the file stands already.
    pub(crate) end: u64,
}

impl RunWriter {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> RunWriter {
        RunWriter {
            past: Files::new(disk, OpenMode::Direct),
            gather: Gather::default(),
        }
    }

    /// Closes every file below a folder.
    pub(crate) fn forget(&self, dir: &Path) {
        self.past.forget(dir);
    }

    /// Puts parts into a file, each at its place; what is between the end of one and the place of the next is filled with zeros, and what is left of
    /// `bytes`, which is how many there are to be in all.
    pub(crate) fn write<'a>(
        &mut self,
        target: &Target<'_>,
        bytes: u64,
        parts: impl Iterator<Item = (u64, &'a Bytes)>,
    ) -> Result<(), DiskError> {
        let direct = bytes >= DIRECT_BYTES_MIN as u64;
        // It is gathered as it will stand in the blocks of the file; the first `lead` bytes are not part of the run.
        let mut lead = (target.end % BLOCK_BYTES as u64) as usize;
        let mut at = target.end - lead as u64;
        self.gather.clear();
        let buffer = self.gather.buffer();
        buffer.reserve(RUN_BYTES.min(lead + bytes as usize));
        buffer.resize(lead);
        for (place, part) in parts {
            let filler = (place - at) as usize - self.gather.bytes();
            let buffer = self.gather.buffer();
            buffer.resize(buffer.len() + filler);
            self.gather.add(part);
            let gathered = self.gather.bytes();
            if direct && gathered >= RUN_BYTES {
                let rest = gathered % BLOCK_BYTES;
                self.put(target, at, lead..gathered - rest, direct)?;
                self.gather.clear_but(rest);
                at += (gathered - rest) as u64;
                lead = 0;
            }
        }
        let padding = (target.end + bytes - at) as usize - self.gather.bytes();
        let buffer = self.gather.buffer();
        buffer.resize(buffer.len() + padding);
        self.put(target, at, lead..self.gather.bytes(), direct)?;
        self.gather.clear();
        Ok(())
    }

    /// Writes a range of what was gathered, which begins at the block `at` of the file.
    fn put(&self, target: &Target<'_>, at: u64, range: Range<usize>, direct: bool) -> Result<(), DiskError> {
        let failed = |source| DiskError::new(target.path, source);
        let (mut begin, mut end) = (range.start, range.start);
        if direct {
            begin = range.start.next_multiple_of(BLOCK_BYTES).min(range.end);
            end = (range.end / BLOCK_BYTES * BLOCK_BYTES).max(begin);
        }
        for range in [range.start..begin, end..range.end] {
            let place = at + range.start as u64;
            let pieces = self.gather.pieces(range);
            if !pieces.is_empty() {
                let file = target.through.get(target.path)?;
                file.write_all_vectored_at(&pieces, place).map_err(failed)?;
            }
        }
        if begin < end {
            if at + begin as u64 == 0 {
                // What opens files for writing past the cache creates none.
                target.through.get(target.path)?;
            }
            let past = self.past.get(target.path)?;
            let pieces = self.gather.pieces(begin..end);
            past.write_all_vectored_at(&pieces, at + begin as u64).map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use headwater_host::Host;

    use super::*;
    use crate::append::gather::{filler_bytes, padding_bytes};

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
            let target = Target {
                through: &through,
                path: &path,
                end: expected.len() as u64,
            };
            let mut parts: Vec<(u64, Bytes)> = Vec::new();
            for part in run.chunks(part_bytes.min(size.max(&1).to_owned())) {
                let part = Bytes::copy_from_slice(part);
                expected.resize(expected.len() + filler_bytes(expected.len() as u64, &part), 0);
                parts.push((expected.len() as u64, part.clone()));
                expected.extend_from_slice(&part);
            }
            if let Some((_, last)) = parts.last() {
                let end = expected.len() as u64;
                expected.resize((end + padding_bytes(end, last)) as usize, 0);
            }
            let bytes = expected.len() as u64 - target.end;
            let parts = parts.iter().map(|(place, part)| (*place, part));
            writer.write(&target, bytes, parts).unwrap();
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
        check(&[5, 3 * run, direct - 1, 2 * direct, 9], direct + 77);
    }
}
