//! What a machine has too little of, for a while: what an error of the operating system says of it.

use std::{fmt, io};

/// What is wanting. What failed for it may be tried again once it is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Room on the disk.
    Room,
    /// Files that may be open at once, in this process or on the machine.
    OpenFiles,
}

impl Shortage {
    /// What an operation failed for, where that may be over by itself.
    pub fn of(error: &io::Error) -> Option<Shortage> {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        /// Too many open files: on the machine, in the process. They are no kind of the library's yet.
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        match (error.kind(), error.raw_os_error()) {
            // A file is too large where the program may write no larger ones: a limit that can be raised while it runs.
            (StorageFull | QuotaExceeded | FileTooLarge, _) => Some(Shortage::Room),
            (_, Some(ENFILE | EMFILE)) => Some(Shortage::OpenFiles),
            _ => None,
        }
    }

    /// The same, of an error that a library put into words of its own.
    pub fn said_in(words: &str) -> Option<Shortage> {
        const OF_ROOM: [&str; 6] = [
            "os error 28)",
            "os error 122)",
            "os error 27)",
            "StorageFull",
            "QuotaExceeded",
            "FileTooLarge",
        ];
        if words.contains("Too many open files") {
            return Some(Shortage::OpenFiles);
        }
        OF_ROOM
            .iter()
            .any(|of_room| words.contains(of_room))
            .then_some(Shortage::Room)
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Shortage::Room => "free space on it",
            Shortage::OpenFiles => "close connections, or raise the limit, ulimit -n",
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shortage::Room => "the disk is full",
            Shortage::OpenFiles => "no more files can be opened",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_errors_and_their_words_say_the_same() {
        let wanting = [
            (28, Some(Shortage::Room)),
            (122, Some(Shortage::Room)),
            (27, Some(Shortage::Room)),
            (24, Some(Shortage::OpenFiles)),
            (23, Some(Shortage::OpenFiles)),
            (5, None),
            (13, None),
        ];
        for (code, shortage) in wanting {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(Shortage::of(&error), shortage, "{error}");
            assert_eq!(Shortage::said_in(&error.to_string()), shortage, "{error}");
        }
    }
}
