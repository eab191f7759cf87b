//! The table of keys of one pass: where each key's newest event stands.
//!
//! A key is known by 128 bits of its SHA-256, so that nobody can make two keys that are taken for one. The table is bounded: what does not
//! fit is left to another pass.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// Where each key's newest event stands.
pub(crate) struct Keys {
    newest: HashMap<u128, u64>,
    most: usize,
}

impl Keys {
    /// A table of at most so many keys.
    pub(crate) fn new(most: usize) -> Keys {
        Keys {
            newest: HashMap::new(),
            most,
        }
    }

    /// Notes an event, which comes after every one noted before; `false` where the table is full.
    pub(crate) fn note(&mut self, key: &[u8], offset: u64) -> bool {
        let full = self.newest.len() >= self.most;
        let hash = hash(key);
        if full && !self.newest.contains_key(&hash) {
            return false;
        }
        self.newest.insert(hash, offset);
        true
    }

    /// Whether a newer event of the key is known.
    pub(crate) fn supersede(&self, key: &[u8], offset: u64) -> bool {
        self.newest.get(&hash(key)).is_some_and(|newest| *newest > offset)
    }
}

fn hash(key: &[u8]) -> u128 {
    let digest = Sha256::digest(key);
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_takes_known_keys_only() {
        let mut keys = Keys::new(2);
        assert!(keys.note(b"a", 0) && keys.note(b"b", 1) && !keys.note(b"c", 2) && keys.note(b"a", 3));
        let check = |key: &[u8], offset: u64, expected: bool| {
            assert_eq!(keys.supersede(key, offset), expected, "{offset}");
        };
        check(b"a", 0, true);
        check(b"a", 3, false);
        check(b"a", 4, false);
        check(b"b", 0, true);
        check(b"b", 1, false);
        check(b"c", 0, false);
    }
}
