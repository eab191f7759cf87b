//! Transaction blocks, as far as an append-only log has them: pure decisions.
//!
//! Every INSERT, CALL and definition is a durable step of its own, also between BEGIN and COMMIT: drivers open blocks on their own and must
//! work. A ROLLBACK after such a step cannot take it back, and says so with a warning.

use headwater_sql::SqlError;

use crate::report::{FAILED_TRANSACTION, warning};
use crate::wire::output::Report;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Block {
    /// Outside of a block.
    #[default]
    None,
    /// In a block.
    Open,
    /// In a block in which a statement failed: only its end is taken.
    Failed,
}

/// The transaction block of a session.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    block: Block,
    written: bool,
}

impl Transaction {
    /// The status of a ReadyForQuery.
    pub(crate) fn status(&self) -> u8 {
        match self.block {
            Block::None => b'I',
            Block::Open => b'T',
            Block::Failed => b'E',
        }
    }

    /// A statement failed.
    pub(crate) fn failed(&mut self) {
        if self.block == Block::Open {
            self.block = Block::Failed;
        }
    }

    /// A statement wrote to the log.
    pub(crate) fn wrote(&mut self) {
        self.written = self.block != Block::None;
    }

    /// Refuses what a failed block does not take. `ends` says whether the statement ends the block.
    pub(crate) fn admit(&self, ends: bool) -> Result<(), SqlError> {
        match self.block == Block::Failed && !ends {
            true => Err(SqlError::new(
                FAILED_TRANSACTION,
                "a statement of this transaction block failed: everything is refused until the block ends",
            )
            .hint("say ROLLBACK")),
            false => Ok(()),
        }
    }

    /// Whether a statement ends the block, by its command tag.
    pub(crate) fn ends(tag: &str) -> bool {
        matches!(tag, "COMMIT" | "END" | "ROLLBACK" | "ABORT")
    }

    /// What a BEGIN, COMMIT or ROLLBACK does: the tag of the answer and what is said beside it. `to_savepoint`: only a part is taken back.
    pub(crate) fn turn(&mut self, tag: &'static str, to_savepoint: bool) -> (&'static str, Option<Report>) {
        let stays = || {
            warning(
                "01000",
                "what was appended or defined in this transaction block stays: every INSERT, CALL and definition is durable at once",
                Some("append a correcting event to take it back"),
            )
        };
        match (tag, self.block) {
            ("BEGIN" | "START TRANSACTION", Block::None) => {
                *self = Transaction {
                    block: Block::Open,
                    written: false,
                };
                (tag, None)
            }
            ("BEGIN" | "START TRANSACTION", _) => (
                tag,
                Some(warning("25001", "there is already a transaction in progress", None)),
            ),
            ("ROLLBACK" | "ABORT", Block::Open | Block::Failed) if to_savepoint => {
                self.block = Block::Open;
                ("ROLLBACK", self.written.then(stays))
            }
            ("COMMIT" | "END" | "ROLLBACK" | "ABORT", Block::None) => {
                let shown = if matches!(tag, "COMMIT" | "END") {
                    "COMMIT"
                } else {
                    "ROLLBACK"
                };
                (
                    shown,
                    Some(warning("25P01", "there is no transaction in progress", None)),
                )
            }
            ("COMMIT" | "END", Block::Open) => {
                *self = Transaction::default();
                ("COMMIT", None)
            }
            ("COMMIT" | "END" | "ROLLBACK" | "ABORT", _) => {
                let written = self.written;
                *self = Transaction::default();
                ("ROLLBACK", written.then(stays))
            }
            _ => (tag, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps: a tag, `write` or `fail`; expected: status, answer and SQLSTATE of the warning after the last step.
    fn check(steps: &[&'static str], expected: (u8, &str, Option<&str>)) {
        let mut transaction = Transaction::default();
        let mut answer = ("", None);
        for step in steps {
            match *step {
                "write" => transaction.wrote(),
                "fail" => transaction.failed(),
                "ROLLBACK TO" => answer = transaction.turn("ROLLBACK", true),
                tag => answer = transaction.turn(tag, false),
            }
        }
        let warned = answer.1.map(|report| report.state);
        assert_eq!(
            (transaction.status(), answer.0, warned.as_deref()),
            expected,
            "{steps:?}"
        );
    }

    #[test]
    fn blocks_open_fail_and_end() {
        check(&["BEGIN"], (b'T', "BEGIN", None));
        check(&["BEGIN", "BEGIN"], (b'T', "BEGIN", Some("25001")));
        check(&["BEGIN", "COMMIT"], (b'I', "COMMIT", None));
        check(&["COMMIT"], (b'I', "COMMIT", Some("25P01")));
        check(&["ROLLBACK"], (b'I', "ROLLBACK", Some("25P01")));
        check(&["BEGIN", "fail", "COMMIT"], (b'I', "ROLLBACK", None));
        check(&["BEGIN", "write", "COMMIT"], (b'I', "COMMIT", None));
        check(&["BEGIN", "write", "ROLLBACK"], (b'I', "ROLLBACK", Some("01000")));
        check(&["BEGIN", "write", "fail", "COMMIT"], (b'I', "ROLLBACK", Some("01000")));
        check(
            &["BEGIN", "write", "fail", "ROLLBACK TO"],
            (b'T', "ROLLBACK", Some("01000")),
        );
        check(&["write", "BEGIN", "ROLLBACK"], (b'I', "ROLLBACK", None));
        check(&["SET"], (b'I', "SET", None));
    }

    #[test]
    fn a_failed_block_takes_only_its_end() {
        let mut transaction = Transaction::default();
        assert!(transaction.admit(false).is_ok());
        transaction.turn("BEGIN", false);
        transaction.failed();
        assert_eq!(transaction.admit(false).unwrap_err().state, FAILED_TRANSACTION);
        assert!(transaction.admit(Transaction::ends("ROLLBACK")).is_ok());
    }
}
