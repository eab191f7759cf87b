//! What is wrong on the disk: where, what, what is lost, and how to go on.

use std::fmt;
use std::path::{Path, PathBuf};

/// One damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The byte where it begins, where it is a part of the file.
    pub at: Option<u64>,
    /// What is wrong there.
    pub what: String,
    /// What is lost by it; empty where nothing is, because it stands elsewhere or can be derived.
    pub lost: String,
    /// How to go on.
    pub remedy: &'static str,
}

/// Most damage is mended so, and what cannot be mended is restored so.
pub(crate) const REPAIR: &str =
    "restore the file from a copy, or let `headwater log repair` go on without what is lost";

/// Nothing is lost: a repair puts it right.
pub(crate) const PUT_RIGHT: &str = "`headwater log repair` puts it right";

impl Damage {
    pub(crate) fn of(path: &Path, what: impl Into<String>) -> Damage {
        Damage {
            path: path.to_owned(),
            at: None,
            what: what.into(),
            lost: String::new(),
            remedy: PUT_RIGHT,
        }
    }

    pub(crate) fn at(self, at: u64) -> Damage {
        Damage { at: Some(at), ..self }
    }

    pub(crate) fn losing(self, lost: impl Into<String>) -> Damage {
        Damage {
            lost: lost.into(),
            remedy: REPAIR,
            ..self
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(at) = self.at {
            write!(f, " at byte {at}")?;
        }
        let lost = match self.lost.as_str() {
            "" => "nothing",
            lost => lost,
        };
        write!(f, ": {}; lost: {lost}; {}", self.what, self.remedy)
    }
}
