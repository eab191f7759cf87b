//! One after another: commands that read the same rows wait for each other here, so that they do not run into conflicts.
//!
//! The locks only save work. What keeps a decision right is the condition of its append.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use headwater_eventlog::QueryItem;
use headwater_views::GroupKey;
use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Lock {
    /// An idempotency key of a command.
    Call(String, String),
    /// All events of a stream, or a view of them whole: any event of it is in the way of the others who read it so.
    Stream(String),
    /// Events of one entity: any that matches it is in the way of the others who read it.
    Entity(QueryItem),
    /// One row of a view.
    Row(String, GroupKey),
}

/// The locks in use.
#[derive(Default)]
pub(crate) struct Locks {
    turns: Mutex<Turns>,
}

#[derive(Default)]
struct Turns {
    of: HashMap<Lock, Weak<Turn<()>>>,
    /// At so many those are cleared away that nobody waits for.
    clear_at: usize,
}

/// Locks held until this is dropped.
pub(crate) struct Held {
    _guards: Vec<OwnedMutexGuard<()>>,
    /// Whether every one of them was free at once.
    pub(crate) at_once: bool,
}

impl Locks {
    /// Takes all of them, always in the same order, so that no two wait for each other.
    pub(crate) async fn take(&self, locks: impl IntoIterator<Item = Lock>) -> Held {
        let locks: BTreeSet<Lock> = locks.into_iter().collect();
        let mut held = Held {
            _guards: Vec::new(),
            at_once: true,
        };
        for lock in locks {
            let turn = self.turn(lock);
            let guard = match Arc::clone(&turn).try_lock_owned() {
                Ok(guard) => guard,
                Err(_) => {
                    held.at_once = false;
                    turn.lock_owned().await
                }
            };
            held._guards.push(guard);
        }
        held
    }

    /// Takes one where it is free now.
    pub(crate) fn take_free(&self, lock: Lock) -> Option<Held> {
        let guard = self.turn(lock).try_lock_owned().ok()?;
        Some(Held {
            _guards: vec![guard],
            at_once: true,
        })
    }

    fn turn(&self, lock: Lock) -> Arc<Turn<()>> {
        /// Nobody looks for what can be cleared away below this many.
        const CLEAR_FROM: usize = 10_000;
        let mut turns = self.turns.lock();
        if let Some(turn) = turns.of.get(&lock).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.of.len() >= turns.clear_at.max(CLEAR_FROM) {
            turns.of.retain(|_, turn| turn.strong_count() > 0);
            turns.clear_at = 2 * turns.of.len();
        }
        let turn = Arc::new(Turn::new(()));
        turns.of.insert(lock, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(key: u8) -> Lock {
        Lock::Row("balances".to_owned(), GroupKey(vec![key]))
    }

    #[tokio::test]
    async fn the_same_row_is_held_by_one() {
        let locks = Arc::new(Locks::default());
        let first = locks.take(vec![row(1), row(2), row(1)]).await;
        assert!(first.at_once);
        assert!(locks.take(vec![row(3)]).await.at_once);
        assert!(locks.take_free(row(3)).is_some() && locks.take_free(row(2)).is_none());
        let waiting = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { locks.take(vec![row(2)]).await.at_once }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(!waiting.await.expect("the waiting task ends"), "it had to wait");
    }
}
