//! Work on several threads at once: as many as the machine has cores, and no longer than the work takes.
//!
//! Invariant: what comes back is in the order of what was given, whoever did it.

use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread;

use parking_lot::Mutex;

/// How many threads work at once.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Does the same to each of some things. The caller's thread works, too, and alone where there is one thing or one core; it is in the end
/// the one that panics where any of them does.
pub(crate) fn side_by_side<T: Send, R: Send>(things: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    on_threads(cores(), things, work)
}

/// The same on so many threads at most: for what may be done sooner than another thread is there.
pub(crate) fn on_threads<T: Send, R: Send>(threads: usize, things: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = threads.min(things.len());
    if threads <= 1 {
        return things.into_iter().map(work).collect();
    }
    let waiting = Mutex::new(things.into_iter().enumerate());
    let worker = || {
        let mut done: Vec<(usize, R)> = Vec::new();
        loop {
            // The lock is let go before the work begins.
            let next = waiting.lock().next();
            let Some((place, thing)) = next else { return done };
            done.push((place, work(thing)));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            // Where no thread is to be had, fewer do it.
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, worker).ok())
            .collect();
        let mut done = worker();
        for other in others {
            match other.join() {
                Ok(theirs) => done.extend(theirs),
                Err(panic) => resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn one_thread_is_the_callers() {
        let caller = thread::current().id();
        let done = on_threads(1, vec![0; 100], |_| thread::current().id());
        assert!(done.iter().all(|by| *by == caller));
    }

    #[test]
    fn each_thing_is_done_once_and_in_its_place() {
        for things in [0, 1, 2, 1_000] {
            let done = side_by_side((0..things).collect(), |thing: usize| {
                (thing * 2, thread::current().id())
            });
            let expected: Vec<usize> = (0..things).map(|thing| thing * 2).collect();
            assert_eq!(done.iter().map(|(result, _)| *result).collect::<Vec<usize>>(), expected);
            let threads: HashSet<_> = done.iter().map(|(_, thread)| thread).collect();
            assert!(threads.len() <= cores().min(things.max(1)));
        }
    }

    #[test]
    fn a_panic_of_any_is_a_panic_of_all() {
        let work = || side_by_side((0..100).collect(), |thing: u32| assert_ne!(thing, 57));
        assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
    }
}
