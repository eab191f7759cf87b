//! The list of an index's runs: which files count, and up to where the stream's events are in them.
//!
//! It is written anew, all or nothing, whenever the runs change. What stands in the folder beside it is left over and goes.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use headwater_host::{Disk, OpenMode};

use crate::codec::Decoder;
use crate::files::{DiskError, read_whole, write_atomically};

const NAME: &str = "runs.list";
const MAGIC: u32 = u32::from_le_bytes(*b"HWE1");

/// What the list says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RunList {
    /// What the events were said to be about; `None`: their keys alone.
    pub(crate) fingerprint: Option<u64>,
    /// Of each partition the offset below which every event is in a run.
    pub(crate) covered: Vec<u64>,
    /// Number, blocks and postings of each run.
    pub(crate) runs: Vec<(u64, u32, u64)>,
}

/// The folder of all entity indexes.
pub(crate) fn entities_dir(dir: &Path) -> PathBuf {
    dir.join("entities")
}

/// The folder of one stream's index.
pub(crate) fn index_dir(dir: &Path, stream: u128) -> PathBuf {
    entities_dir(dir).join(format!("{stream:032x}"))
}

/// The file of a run.
pub(crate) fn run_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.run"))
}

impl RunList {
    pub(crate) fn write(&self, disk: &dyn Disk, folder: &Path) -> Result<(), DiskError> {
        let mut bytes: Vec<u8> = Vec::new();
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.push(u8::from(self.fingerprint.is_some()));
        bytes.extend_from_slice(&self.fingerprint.unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(&(self.covered.len() as u32).to_le_bytes());
        for end in &self.covered {
            bytes.extend_from_slice(&end.to_le_bytes());
        }
        bytes.extend_from_slice(&(self.runs.len() as u32).to_le_bytes());
        for (number, blocks, postings) in &self.runs {
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(&blocks.to_le_bytes());
            bytes.extend_from_slice(&postings.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        write_atomically(disk, folder, NAME, &bytes)
    }

    /// The list in a folder; `None` where there is none, or none that can be read: the index is built again then.
    pub(crate) fn read(disk: &dyn Disk, folder: &Path) -> Option<RunList> {
        let path = folder.join(NAME);
        let file = disk.open(&path, OpenMode::Read).ok()?;
        let bytes = Bytes::from(read_whole(file.as_ref(), &path).ok()?);
        RunList::decode(bytes)
    }

    fn decode(bytes: Bytes) -> Option<RunList> {
        let body = bytes.len().checked_sub(4)?;
        let crc = Decoder::new(bytes.slice(body..)).u32()?;
        if crc != crc32c::crc32c(&bytes[..body]) {
            return None;
        }
        let mut rest = Decoder::new(bytes.slice(..body));
        if rest.u32()? != MAGIC {
            return None;
        }
        let has_fingerprint = rest.u8()? == 1;
        let fingerprint = rest.u64()?;
        let mut list = RunList {
            fingerprint: has_fingerprint.then_some(fingerprint),
            ..RunList::default()
        };
        for _ in 0..rest.u32()? {
            list.covered.push(rest.u64()?);
        }
        for _ in 0..rest.u32()? {
            list.runs.push((rest.u64()?, rest.u32()?, rest.u64()?));
        }
        rest.is_empty().then_some(list)
    }
}

/// Removes what stands in a folder and does not count.
pub(crate) fn sweep(disk: &dyn Disk, folder: &Path, list: &RunList) {
    let counts: Vec<PathBuf> = list.runs.iter().map(|run| run_path(folder, run.0)).collect();
    let Ok(found) = disk.list(folder) else { return };
    for path in found {
        let is_list = path.file_name().is_some_and(|name| name == NAME);
        if !is_list && !counts.contains(&path) {
            // One that stays costs its room, until the next start.
            let _ = disk.remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_host::simulated::Simulation;

    #[test]
    fn a_list_comes_back_whole_or_not_at_all() {
        let machine = Simulation::new(1);
        let host = machine.host();
        let folder = Path::new("/data/entities/x");
        host.disk.create_dir_all(folder).unwrap();
        assert_eq!(RunList::read(host.disk.as_ref(), folder), None);
        let list = RunList {
            fingerprint: Some(9),
            covered: vec![3, 0, u64::MAX],
            runs: vec![(1, 2, 3), (7, 0, 0)],
        };
        list.write(host.disk.as_ref(), folder).unwrap();
        assert_eq!(RunList::read(host.disk.as_ref(), folder), Some(list));
        let path = folder.join(NAME);
        let file = host.disk.open(&path, OpenMode::ReadWrite).unwrap();
        let bytes = read_whole(file.as_ref(), &path).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert_eq!(RunList::decode(Bytes::from(changed)), None, "byte {at}");
            assert_eq!(RunList::decode(Bytes::from(bytes[..at].to_vec())), None, "cut at {at}");
        }
    }
}
