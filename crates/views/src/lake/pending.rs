//! The keys of the rows that changed since they were last merged into the table.
//!
//! They are noted under the lock of the resident rows, and taken with a reader of the rows: what is taken is exactly what changed up to where the
//! reader stands.

use std::collections::HashSet;

use super::table::Replaced;
use crate::limits::LAKE_PENDING_BYTES_MAX;

/// What one key costs besides its bytes.
const KEY_OVERHEAD: usize = 48;

/// Keys of changed rows.
pub(crate) struct Pending {
    /// `None`: any row may have changed.
    keys: Option<HashSet<Vec<u8>>>,
    bytes: usize,
    /// Whether rows are told apart by their keys: only where the rows show them.
    has_keys: bool,
}

impl Pending {
    /// Nothing changed, or anything may have.
    pub(crate) fn new(has_keys: bool, is_all: bool) -> Pending {
        Pending {
            keys: (!is_all).then(HashSet::new),
            bytes: 0,
            has_keys,
        }
    }

    /// Notes a changed row. More keys than there is room for are all keys.
    pub(crate) fn note(&mut self, key: &[u8]) {
        if !self.has_keys {
            self.keys = None;
        }
        let Some(keys) = &mut self.keys else { return };
        if !keys.contains(key) {
            keys.insert(key.to_vec());
            self.bytes += key.len() + KEY_OVERHEAD;
        }
        if self.bytes > LAKE_PENDING_BYTES_MAX {
            self.keys = None;
            self.bytes = 0;
        }
    }

    /// Whether no row changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.as_ref().is_some_and(HashSet::is_empty)
    }

    /// What changed up to now; from here on it is noted anew.
    pub(crate) fn take(&mut self) -> Replaced {
        self.bytes = 0;
        match self.keys.replace(HashSet::new()) {
            Some(keys) => Replaced::Keys(keys),
            None => Replaced::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pending: &mut Pending) -> Option<Vec<Vec<u8>>> {
        match pending.take() {
            Replaced::All => None,
            Replaced::Keys(keys) => {
                let mut keys = Vec::from_iter(keys);
                keys.sort();
                Some(keys)
            }
        }
    }

    #[test]
    fn each_key_is_taken_once() {
        let mut pending = Pending::new(true, false);
        assert!(pending.is_empty());
        [b"b", b"a", b"b"].iter().for_each(|key| pending.note(*key));
        assert!(!pending.is_empty());
        assert_eq!(taken(&mut pending), Some(vec![b"a".to_vec(), b"b".to_vec()]));
        assert_eq!(taken(&mut pending), Some(Vec::new()));
    }

    #[test]
    fn without_room_or_keys_all_rows_changed() {
        let mut pending = Pending::new(true, false);
        let long = vec![0; LAKE_PENDING_BYTES_MAX - KEY_OVERHEAD];
        pending.note(&long);
        pending.note(&long);
        assert_eq!(taken(&mut pending), Some(vec![long.clone()]), "just at the limit");
        pending.note(&long);
        pending.note(b"");
        assert_eq!(taken(&mut pending), None, "one key more");
        assert!(pending.is_empty());
        let mut unshown = Pending::new(false, false);
        assert!(unshown.is_empty());
        unshown.note(b"a");
        assert_eq!(taken(&mut unshown), None);
        assert_eq!(taken(&mut Pending::new(true, true)), None);
    }
}
