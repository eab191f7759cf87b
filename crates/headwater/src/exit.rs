//! How the program ends: what each exit code means, and the error that carries one.

use std::fmt;

/// What an exit code other than 0 says; the numbers are a promise, listed by `headwater --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The work failed: a test, a statement, an application with an error in it.
    Failed = 1,
    /// The command line or the settings are wrong.
    Usage = 2,
    /// The data folder or an address is in use, or a newer program wrote the folder.
    Taken = 3,
    /// The log is damaged, or stopped writing.
    Damaged = 4,
}

/// Why the program ends before its work is done.
#[derive(Debug)]
pub struct Failure {
    /// What the exit code says.
    pub exit: Exit,
    /// What happened, why, and what to do.
    pub why: anyhow::Error,
}

impl Failure {
    /// A failure with its text.
    pub fn new(exit: Exit, why: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Failure {
        Failure {
            exit,
            why: anyhow::Error::msg(why),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.why)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(why: anyhow::Error) -> Failure {
        Failure {
            exit: Exit::Failed,
            why,
        }
    }
}

/// Names the exit code of an error.
pub trait OrExit<T> {
    /// The error ends the program with this code.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|why| Failure { exit, why: why.into() })
    }
}
