//! Where views keep their stores: `DIR/<view>/<fingerprint>/`.
//!
//! Each version of a view has a folder of its own, so that a new one is built beside the old; folders of versions that are no more are removed.

use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater_stores::document::DocumentStore;
use headwater_stores::memory::MemoryStore;
use headwater_stores::{Store, StoreError};
use tokio::time::Instant;

use crate::ViewError;
use crate::rows::checkpoints::Checkpoints;

/// Opens the stores that views keep their rows in. A test has stores of its own: such as are fast, and such as fail.
pub trait Stores: Send + Sync {
    /// The store in a folder, or a new one there. One whose `layout` (what its bytes mean) is another is emptied.
    fn open(&self, folder: &Path, layout: u64) -> Result<Box<dyn Store>, StoreError>;
}

/// The stores on the disk.
pub(crate) struct Documents;

impl Stores for Documents {
    fn open(&self, folder: &Path, layout: u64) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(DocumentStore::open(folder, layout)?))
    }
}

/// An open store, and its folder, where it has one, which goes with it when it is to be removed.
pub(crate) struct StoreFolder {
    // Fields are dropped in this order: the store is closed before its folder goes.
    pub store: Box<dyn Store>,
    /// What its rows were, where that is kept.
    pub checkpoints: Option<Checkpoints>,
    folder: Option<Folder>,
    /// Whether the rows are in memory alone.
    is_in_memory: bool,
}

struct Folder {
    path: PathBuf,
    remove: AtomicBool,
}

impl StoreFolder {
    /// An open store in its folder.
    pub(crate) fn new(store: Box<dyn Store>, path: PathBuf) -> StoreFolder {
        StoreFolder {
            store,
            checkpoints: None,
            folder: Some(Folder {
                path,
                remove: AtomicBool::new(false),
            }),
            is_in_memory: false,
        }
    }

    /// A store in memory.
    pub(crate) fn in_memory() -> StoreFolder {
        StoreFolder {
            store: Box::new(MemoryStore::default()),
            checkpoints: None,
            folder: None,
            is_in_memory: true,
        }
    }

    /// The same, with a folder for what it was. Nothing of that is left of an earlier life of the program: the rows are folded anew, and may be others.
    pub(crate) fn in_memory_beside(path: PathBuf) -> StoreFolder {
        remove_version(&path);
        StoreFolder {
            is_in_memory: true,
            ..StoreFolder::without_store(path)
        }
    }

    /// A folder without a store: the view's rows are in something else there.
    pub(crate) fn without_store(path: PathBuf) -> StoreFolder {
        StoreFolder {
            store: Box::new(MemoryStore::default()),
            checkpoints: None,
            folder: Some(Folder {
                path,
                remove: AtomicBool::new(false),
            }),
            is_in_memory: false,
        }
    }

    /// Where it is; `None`: in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        let folder = self.folder.as_ref().filter(|_| !self.is_in_memory);
        folder.map(|folder| folder.path.as_path())
    }

    /// Whether the folder goes with its last holder.
    pub(crate) fn is_to_be_removed(&self) -> bool {
        let folder = self.folder.as_ref();
        folder.is_some_and(|folder| folder.remove.load(Ordering::Acquire))
    }

    /// The folder goes when the last holder of the view does.
    pub(crate) fn remove_when_dropped(&self) {
        if let Some(folder) = &self.folder {
            folder.remove.store(true, Ordering::Release);
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.remove.load(Ordering::Acquire) {
            remove(&self.path);
        }
    }
}

/// The folder of all versions of a view.
pub(crate) fn of_view(dir: &Path, view: &str) -> PathBuf {
    dir.join(file_name(view))
}

/// The folder of one version of a view.
pub(crate) fn of_version(dir: &Path, view: &str, fingerprint: u64) -> PathBuf {
    of_view(dir, view).join(format!("{fingerprint:016x}"))
}

/// Whether a version has a folder.
pub(crate) fn is_there(folder: &Path) -> bool {
    !entries(folder).is_empty()
}

/// Removes the folder of a version that nobody has open.
pub(crate) fn remove_version(folder: &Path) {
    if folder.exists() {
        remove(folder);
    }
}

/// How long a store that is held elsewhere is waited for.
const HELD_WAIT: Duration = Duration::from_secs(1);

/// Opens a version's store. One that was dropped a moment ago and is defined again may still be held by a reader.
pub(crate) fn open_patiently(stores: &dyn Stores, path: &Path, fingerprint: u64) -> Result<StoreFolder, ViewError> {
    let begun = Instant::now();
    let store = loop {
        match stores.open(path, fingerprint) {
            Err(_) if begun.elapsed() < HELD_WAIT => std::thread::sleep(Duration::from_millis(10)),
            opened => break opened?,
        }
    };
    Ok(StoreFolder::new(store, path.to_owned()))
}

/// Removes the folders of other versions of a view, which a crash left behind.
pub(crate) fn remove_other_versions(dir: &Path, view: &str, keep: &[u64]) {
    let keep: Vec<PathBuf> = keep
        .iter()
        .map(|fingerprint| of_version(dir, view, *fingerprint))
        .collect();
    for path in entries(&of_view(dir, view)) {
        if !keep.contains(&path) {
            remove(&path);
        }
    }
}

/// Removes the folders of views that are not defined any more.
pub(crate) fn remove_other_views(dir: &Path, keep: &[&str]) {
    let keep: Vec<PathBuf> = keep.iter().map(|view| of_view(dir, view)).collect();
    for path in entries(dir) {
        if !keep.contains(&path) && is_view(&path) {
            remove(&path);
        }
    }
}

/// Whether a folder holds versions of a view and nothing else: what is not ours is left alone.
fn is_view(path: &Path) -> bool {
    let is_version = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    path.is_dir() && entries(path).iter().all(is_version)
}

/// A number that is the same on every machine and in every version of this program: FNV-1a, 64 bits.
pub(crate) fn fingerprint(text: &str) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.write(text.as_bytes());
    hash.finish()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).map_or_else(
        |_| Vec::new(),
        |entries| entries.flatten().map(|entry| entry.path()).collect(),
    )
}

fn remove(path: &Path) {
    if let Err(error) = headwater_stores::remove(path) {
        tracing::warn!("a view's old store stays on the disk: {error}");
    }
}

/// A name that every file system takes. Plain names are kept; others are shortened, and told apart by their fingerprint.
fn file_name(view: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if view.len() <= 120 && !view.is_empty() && view.bytes().all(is_plain) {
        return view.to_owned();
    }
    let kept: String = view
        .chars()
        .take(60)
        .map(|c| if c.is_ascii() && is_plain(c as u8) { c } else { '_' })
        .collect();
    format!("{kept}~{:016x}", fingerprint(view))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_views_are_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let make = |path: PathBuf| std::fs::create_dir_all(path).expect("a folder");
        make(of_version(dir.path(), "kept", 1));
        make(of_version(dir.path(), "gone", 2));
        make(dir.path().join("photos").join("2025"));
        std::fs::write(dir.path().join("notes"), b"mine").expect("a file");
        remove_other_views(dir.path(), &["kept"]);
        let mut left = entries(dir.path());
        left.sort();
        assert_eq!(left, ["kept", "notes", "photos"].map(|name| dir.path().join(name)));
    }

    #[test]
    fn names_of_views_become_names_of_folders() {
        assert_eq!(file_name("balances"), "balances");
        assert_eq!(file_name(&"a".repeat(120)), "a".repeat(120));
        let odd = [
            "",
            ".",
            "..",
            "../up",
            "A",
            "a",
            "ä",
            "a b",
            "a/b",
            &"a".repeat(121),
            &"a".repeat(122),
        ];
        let names: std::collections::BTreeSet<String> = odd.iter().map(|name| file_name(name).to_lowercase()).collect();
        assert_eq!(
            names.len(),
            odd.len(),
            "told apart, also where upper and lower case are the same"
        );
        assert!(
            names
                .iter()
                .all(|name| !name.contains(['/', '.', ' ']) && name.len() <= 120),
            "{names:?}"
        );
    }
}
