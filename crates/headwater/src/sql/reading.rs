//! How far a long question is with the events that it reads, as a bar on the terminal: the program says it in notices while it reads.

use std::io::{self, IsTerminal};

use headwater_views::Build;
use indicatif::ProgressBar;
use tokio_postgres::error::DbError;

use crate::progress;

/// What turns the notices on.
pub const WANTED: &str = "SET headwater.progress = on";

/// The state of the notices that are meant for it.
const PROGRESS: &str = "HW001";

/// The bar of one connection; none where nobody sees it.
#[derive(Clone, Default)]
pub struct Reading(Option<ProgressBar>);

impl Reading {
    /// Where standard error is a terminal.
    pub fn on_terminal() -> Reading {
        Reading(
            io::stderr()
                .is_terminal()
                .then(|| progress::bar_of("reading".to_owned())),
        )
    }

    /// Whether anybody sees it.
    pub fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// Moves the bar where a notice says how far the question is; `false`: it says something else.
    pub fn take(&self, notice: &DbError) -> bool {
        if notice.code().code() != PROGRESS {
            return false;
        }
        if let (Some(bar), Some((read, total))) = (&self.0, notice.detail().and_then(events)) {
            if bar.is_finished() {
                bar.reset();
            }
            let seconds = bar.elapsed().as_secs_f64();
            let build = Build {
                folded: read,
                events: total,
                events_per_second: (read > 0 && seconds > 0.0).then(|| read as f64 / seconds),
            };
            progress::show(bar, &build);
        }
        true
    }

    /// Takes it off the terminal: rows come.
    pub fn clear(&self) {
        if let Some(bar) = self.0.as_ref().filter(|bar| !bar.is_finished()) {
            bar.finish_and_clear();
        }
    }
}

/// `3/12`: three of twelve.
fn events(detail: &str) -> Option<(u64, u64)> {
    let (read, total) = detail.split_once('/')?;
    Some((read.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_two_numbers() {
        for (detail, expected) in [
            ("3/12", Some((3, 12))),
            ("0/0", Some((0, 0))),
            ("3", None),
            ("a/b", None),
            ("", None),
        ] {
            assert_eq!(events(detail), expected, "{detail}");
        }
    }
}
