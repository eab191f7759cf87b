//! Waiting for news of some partitions: who waits is woken by an append to one of them, and by no other.
//!
//! Thousands wait at the end of the log, each for partitions of its own, while thousands of groups are committed a second: waking everybody for
//! every group would cost more than the groups do.
//!
//! Invariants
//! - Nothing is lost between looking and waiting: what moves after [`Watchers::watch`] returned is told, also where nobody waits yet.
//! - A watch that is dropped leaves nothing behind, and partitions that nobody watches cost nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A partition: stream id and number.
type Key = (u128, u32);

/// Who watches which partition.
#[derive(Default)]
pub(crate) struct Watchers {
    by_partition: Mutex<HashMap<Key, Vec<Arc<Notify>>>>,
}

/// Some partitions watched, until this is dropped.
pub struct Watch {
    watchers: Arc<Watchers>,
    keys: Vec<Key>,
    news: Arc<Notify>,
}

impl Watchers {
    /// Watches partitions; those that do not exist never have news.
    pub(crate) fn watch(self: &Arc<Watchers>, keys: Vec<Key>) -> Watch {
        let news = Arc::new(Notify::new());
        let mut by_partition = self.by_partition.lock();
        for key in &keys {
            by_partition.entry(*key).or_default().push(news.clone());
        }
        drop(by_partition);
        Watch {
            watchers: Arc::clone(self),
            keys,
            news,
        }
    }

    /// These partitions have news.
    pub(crate) fn tell(&self, moved: impl Iterator<Item = Key>) {
        let by_partition = self.by_partition.lock();
        if by_partition.is_empty() {
            return;
        }
        for key in moved {
            for watcher in by_partition.get(&key).into_iter().flatten() {
                watcher.notify_one();
            }
        }
    }

    /// The set of streams changed, or the log stopped.
    pub(crate) fn tell_all(&self) {
        for watcher in self.by_partition.lock().values().flatten() {
            watcher.notify_one();
        }
    }
}

impl Watch {
    /// Resolves once there was news since the watch began or since the last time.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Takes the news so far, of whoever is about to look.
    pub fn look(&self) {
        let news = std::pin::pin!(self.news.notified());
        news.enable();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut by_partition = self.watchers.by_partition.lock();
        for key in &self.keys {
            if let Entry::Occupied(mut watchers) = by_partition.entry(*key) {
                watchers.get_mut().retain(|watcher| !Arc::ptr_eq(watcher, &self.news));
                if watchers.get().is_empty() {
                    watchers.remove();
                }
            }
        }
    }
}
