//! What every commit of ours says of the view, beside Delta's own transaction identifier: how many commits there were, where the view stands with
//! this one, its note, and whose commit it is. It stands in the commit's information, where other people's tools show it too.

use std::collections::HashMap;

use deltalake_core::kernel::CommitInfo;
use headwater_views::Standing;

const VIEW: &str = "headwater.view";
const COMMIT: &str = "headwater.commit";
const POSITION: &str = "headwater.position";
const NOTE: &str = "headwater.note";
const LOG: &str = "headwater.log";
const ID: &str = "headwater.commit-id";

/// The mark of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The commits of this view up to this one: the version of Delta's transaction identifier.
    pub(crate) number: i64,
    /// The log that it was made of.
    pub(crate) log: String,
    /// The commit's own random number: see [`crate::own`].
    pub(crate) id: String,
    pub(crate) standing: Standing,
}

impl Mark {
    /// What goes into the commit's information. `view` names the version of the view.
    pub(crate) fn entries(&self, view: &str) -> HashMap<String, String> {
        let entry = |name: &str, value: String| (name.to_owned(), value);
        HashMap::from([
            entry(VIEW, view.to_owned()),
            entry(COMMIT, self.number.to_string()),
            entry(POSITION, self.standing.position.to_string()),
            entry(NOTE, hex(&self.standing.note)),
            entry(LOG, self.log.clone()),
            entry(ID, self.id.clone()),
        ])
    }

    /// The mark in a commit's information, where it is one of this view.
    pub(crate) fn of(view: &str, commit: &CommitInfo) -> Option<Mark> {
        let entry = |name: &str| commit.info.get(name).and_then(|value| value.as_str());
        if entry(VIEW) != Some(view) {
            return None;
        }
        Some(Mark {
            number: entry(COMMIT)?.parse().ok()?,
            log: entry(LOG)?.to_owned(),
            id: entry(ID)?.to_owned(),
            standing: Standing {
                position: entry(POSITION)?.parse().ok()?,
                note: from_hex(entry(NOTE)?)?,
            },
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(entries: HashMap<String, String>) -> CommitInfo {
        CommitInfo {
            info: entries.into_iter().map(|(name, value)| (name, value.into())).collect(),
            ..CommitInfo::default()
        }
    }

    #[test]
    fn a_mark_comes_back_as_it_was_written() {
        let mark = Mark {
            number: 7,
            log: "0123456789abcdef".to_owned(),
            id: "17".to_owned(),
            standing: Standing {
                position: "s/0@42,1@17".parse().expect("a position"),
                note: vec![0, 1, 255],
            },
        };
        let written = info(mark.entries("history"));
        assert_eq!(Mark::of("history", &written), Some(mark.clone()));
        assert_eq!(Mark::of("another", &written), None);
        for name in [VIEW, COMMIT, POSITION, NOTE] {
            let mut entries = mark.entries("history");
            entries.insert(name.to_owned(), "é?".to_owned());
            assert_eq!(Mark::of("history", &info(entries)), None, "{name}");
        }
        for name in [LOG, ID] {
            let mut entries = mark.entries("history");
            entries.remove(name);
            assert_eq!(Mark::of("history", &info(entries)), None, "{name}");
        }
        assert_eq!(Mark::of("history", &CommitInfo::default()), None);
    }
}
