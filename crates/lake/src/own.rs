//! Which commits of a table at a LOCATION are this program's own. Each has a random number; before it is made, the number is noted in the view's folder.
//!
//! ```text
//! note (the last commit, the next one) ─ flushed ─> commit, with its number ─> the last commit is that one
//! ```
//!
//! Invariant: nothing is committed on top of a commit that is not the program's own. A copy of a data folder that is started beside the program it is a
//! copy of, and two programs that were given one LOCATION, find that out by it: at the start, or when the second of them commits.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The note, in the folder of the view's version.
const FILE: &str = "commits";

/// The numbers of the program's own commits.
#[derive(Debug)]
pub(crate) struct Own {
    /// Where they are noted; `None`: nowhere, as nobody else comes to the table.
    file: Option<PathBuf>,
    /// The last commit, and the one that may have been made since.
    known: Vec<String>,
    /// The commit that is being made: which of the view's it is, and its number.
    next: Option<(i64, String)>,
}

impl Own {
    /// Those of a view whose folder this is.
    pub(crate) fn open(folder: Option<&Path>) -> io::Result<Own> {
        let file = folder.map(|folder| folder.join(FILE));
        let text = match file.as_deref().map(fs::read_to_string) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Some(Ok(text)) => text,
            _ => String::new(),
        };
        Ok(Own {
            file,
            known: text.split_whitespace().map(str::to_owned).collect(),
            next: None,
        })
    }

    /// Whether there are any.
    pub(crate) fn has_any(&self) -> bool {
        !self.known.is_empty()
    }

    /// Whether the newest commit is the program's own, as far as is known: where nothing is, any is taken for that.
    pub(crate) fn holds(&self, number: &str) -> bool {
        self.known.is_empty() || self.known.iter().any(|known| known == number)
    }

    /// The number of the view's commit that comes next; the same however often that is tried. `last`: of the newest one.
    pub(crate) fn begin(&mut self, commit: i64, last: Option<&str>) -> io::Result<String> {
        if let Some((_, number)) = self.next.as_ref().filter(|(next, _)| *next == commit) {
            return Ok(number.clone());
        }
        let number = uuid::Uuid::new_v4().simple().to_string();
        let known: Vec<String> = last.map(str::to_owned).into_iter().chain([number.clone()]).collect();
        if let Some(file) = &self.file {
            write(file, &known.join("\n"))?;
        }
        self.known = known;
        self.next = Some((commit, number.clone()));
        Ok(number)
    }
}

/// Writes a file whole, and to the disk.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_commits_are_known_over_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Own::open(Some(folder.path())).expect("what is noted");
        let mut own = open();
        assert!(own.holds("anybody's"), "nothing is known yet");
        let first = own.begin(1, None).expect("a note");
        assert_eq!(own.begin(1, None).expect("a note"), first, "tried again");
        let second = own.begin(2, Some(&first)).expect("a note");
        for own in [own, open()] {
            assert!(
                own.holds(&first) && own.holds(&second),
                "the second may have been made, or not"
            );
            assert!(!own.holds("anybody's"));
        }
        let mut own = open();
        let third = own.begin(3, Some(&second)).expect("a note");
        assert!(own.holds(&third) && own.holds(&second) && !own.holds(&first));
    }
}
