//! The rows that a shape's image or table is without, as they cannot be worked out.
//!
//! They are known as they are written, and forgotten when they are written again: after a start nothing is known of those that were left out before.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::ViewError;

/// So many are kept in mind.
const ROWS_MAX: usize = 1_000;

/// Rows that are left out, by their keys, each with the reason.
#[derive(Debug, Default)]
pub(crate) struct LeftOut(Mutex<BTreeMap<Vec<u8>, String>>);

impl LeftOut {
    /// Rows of these keys were written, but for those that could not be worked out.
    pub(crate) fn wrote<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a [u8]>,
        unmade: impl IntoIterator<Item = (&'a [u8], &'a ViewError)>,
    ) {
        let mut rows = self.0.lock();
        if !rows.is_empty() {
            keys.into_iter().for_each(|key| drop(rows.remove(key)));
        }
        for (key, error) in unmade {
            if rows.is_empty() {
                tracing::warn!("{error}: it is left out until it can be");
            }
            if rows.len() < ROWS_MAX {
                rows.insert(key.to_vec(), error.to_string());
            }
        }
    }

    /// All rows are written anew.
    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }

    /// Which rows are left out, where there are any.
    pub(crate) fn said(&self) -> Option<String> {
        let rows = self.0.lock();
        let first = rows.values().next()?;
        Some(match rows.len() {
            1 => format!("1 row is left out: {first}"),
            count if count < ROWS_MAX => format!("{count} rows are left out, the first of them: {first}"),
            count => format!("{count} rows or more are left out, one of them: {first}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrote(left_out: &LeftOut, keys: &[&str], unmade: &[&str]) {
        let error = |key: &&str| ViewError::Failed(format!("{key} fails"));
        let errors: Vec<ViewError> = unmade.iter().map(error).collect();
        let unmade = unmade.iter().map(|key| key.as_bytes()).zip(&errors);
        left_out.wrote(keys.iter().map(|key| key.as_bytes()), unmade);
    }

    #[test]
    fn a_row_that_is_written_again_is_left_out_no_more() {
        let left_out = LeftOut::default();
        wrote(&left_out, &["a", "b", "c"], &["b"]);
        assert_eq!(left_out.said().as_deref(), Some("1 row is left out: b fails"));
        wrote(&left_out, &["a"], &["a"]);
        assert_eq!(
            left_out.said().as_deref(),
            Some("2 rows are left out, the first of them: a fails")
        );
        wrote(&left_out, &["a", "b"], &[]);
        assert_eq!(left_out.said(), None);
        wrote(&left_out, &["b"], &["b"]);
        left_out.forget();
        assert_eq!(left_out.said(), None);
    }

    #[test]
    fn no_more_are_kept_in_mind_than_there_is_room_for() {
        let left_out = LeftOut::default();
        let keys: Vec<String> = (0..ROWS_MAX + 5).map(|key| format!("{key:05}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        wrote(&left_out, &keys, &keys);
        let said = left_out.said().expect("rows are left out");
        assert_eq!(said, "1000 rows or more are left out, one of them: 00000 fails");
    }
}
