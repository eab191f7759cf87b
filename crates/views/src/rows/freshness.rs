//! When a view's changes are committed, where nobody asks for it: some time after the first of them was folded.
//!
//! Rows are read as they are folded, and wait for nothing. What a shape keeps beside them (a search index) is read as of a commit: the time here
//! is how much older than the rows it may be.
//!
//! A commit whose rows took long to write is followed by a pause, so that a view which catches up spends its time with folding: a crash goes back
//! by a little more then. Where a freshness was promised, the promise holds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_catalog::{Shape, ViewDefinition};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::ViewOptions;
use crate::limits::{FLUSH_PAUSE, FRESHNESS_MS_DEFAULT};

/// When one view is to be flushed.
pub(crate) struct Freshness {
    /// So long after the first change.
    flush_ms: AtomicU64,
    dirty_since: Mutex<Option<Instant>>,
    /// Whether its readers were promised how old at most what they see is.
    is_promised: bool,
    /// How long the last commit took.
    took: Mutex<Duration>,
    /// When a commit that did not take place is tried again.
    retry_at: Mutex<Option<Instant>>,
}

/// How long after they were folded the changes of a view are to be committed.
fn flush_ms(definition: &ViewDefinition, options: &ViewOptions) -> u64 {
    match definition.shape {
        Some(Shape::Search(_)) => {
            let freshness_ms = definition.settings.freshness_ms.unwrap_or(FRESHNESS_MS_DEFAULT);
            freshness_ms.min(options.flush_ms)
        }
        _ => options.flush_ms,
    }
}

impl Freshness {
    /// As a view's definition says, or else the options.
    pub(crate) fn new(definition: &ViewDefinition, options: &ViewOptions) -> Freshness {
        Freshness {
            flush_ms: AtomicU64::new(flush_ms(definition, options)),
            dirty_since: Mutex::default(),
            is_promised: matches!(definition.shape, Some(Shape::Search(_))),
            took: Mutex::default(),
            retry_at: Mutex::default(),
        }
    }

    /// Takes what a new definition says, where nothing else of the view changed.
    pub(crate) fn redefine(&self, definition: &ViewDefinition, options: &ViewOptions) {
        self.flush_ms.store(flush_ms(definition, options), Ordering::Release);
    }

    /// Something was folded.
    pub(crate) fn changed(&self) {
        self.dirty_since.lock().get_or_insert_with(Instant::now);
    }

    /// Everything is committed.
    pub(crate) fn flushed(&self) {
        *self.dirty_since.lock() = None;
        *self.retry_at.lock() = None;
    }

    /// The commit did not take place, and is due again after a while.
    pub(crate) fn retry_after(&self, pause: Duration) {
        *self.retry_at.lock() = Some(Instant::now() + pause);
    }

    /// So long a commit took.
    pub(crate) fn took(&self, took: Duration) {
        *self.took.lock() = took;
    }

    /// When it is to be flushed; `None`: nothing changed.
    pub(crate) fn due(&self) -> Option<Instant> {
        let retry_at = *self.retry_at.lock();
        if retry_at.is_some() {
            return retry_at;
        }
        let flush_ms = Duration::from_millis(self.flush_ms.load(Ordering::Acquire));
        let after = match self.is_promised {
            true => flush_ms,
            false => flush_ms.max(*self.took.lock() * FLUSH_PAUSE),
        };
        let dirty_since = *self.dirty_since.lock();
        dirty_since.map(|since| since + after)
    }
}

#[cfg(test)]
mod tests {
    use headwater_catalog::ViewSettings;

    use super::*;

    fn freshness(shape: Shape) -> Freshness {
        let definition = ViewDefinition {
            name: "v".to_owned(),
            shape: Some(shape),
            query: String::new(),
            key: Vec::new(),
            settings: ViewSettings::default(),
            sources: Vec::new(),
            spelled_out: None,
            statement: String::new(),
            version: 1,
            before: None,
        };
        let options = ViewOptions {
            flush_ms: 1_000,
            ..ViewOptions::default()
        };
        Freshness::new(&definition, &options)
    }

    #[test]
    fn a_commit_that_took_long_is_followed_by_a_pause() {
        let check = |shape: Shape, took_ms: u64, expected_ms: u64| {
            let freshness = freshness(shape);
            freshness.took(Duration::from_millis(took_ms));
            assert_eq!(freshness.due(), None, "nothing changed");
            freshness.changed();
            let since = freshness.dirty_since.lock().expect("something changed");
            assert_eq!(
                freshness.due(),
                Some(since + Duration::from_millis(expected_ms)),
                "{took_ms}"
            );
            freshness.flushed();
            assert_eq!(freshness.due(), None, "everything is committed");
        };
        let just = 1_000 / u64::from(FLUSH_PAUSE);
        check(Shape::Document, 0, 1_000);
        check(Shape::Document, just, 1_000);
        check(Shape::Document, just + 1, 1_020);
        // What was promised holds.
        check(Shape::Search(Vec::new()), just + 1, FRESHNESS_MS_DEFAULT);
    }
}
