//! The oracle: a view's rows equal its query run in batch over the same prefix of the log, whatever came in, however it is kept, and wherever the
//! program was closed, killed or without power in between.
//!
//! ```text
//! seed ─> history: views, and appends, restarts, failing stores, replacements, looks
//!              │                                                      │
//!   events, made of values ── log ── decoded ── folded ── read ───── compare
//!              │                                                      │
//!              └─ the values ── tables up to a position ── SQL ───────┘
//! ```
//!
//! A case is one view, compared at one position of one history, as it stands there or as it was: its rows read whole, by their keys, in their order,
//! and what its shape keeps beside them. What is expected was decoded by nothing: it is made of the values that the events were made of.
//!
//! A history that fails is made shorter and printed with its seed. `HEADWATER_ORACLE_SEED=7` runs that one alone, `HEADWATER_ORACLE_HISTORIES=5000`
//! runs so many.

mod bugs;
mod check;
mod events;
mod history;
mod kept;
mod lab;
mod machine;
mod pipes;
mod prefix;
mod queries;
mod registered;
pub mod shelf;
mod tables;
mod watch;

use std::time::Instant;

use bugs::Bug;
use history::{History, Tally, Theme};
use lab::Lab;

/// How often a history that fails is run to make it shorter.
const SHORTENING_TRIES: usize = 150;

/// The seeds to be tried: so many, or what the environment says.
fn seeds(count: u64) -> Vec<u64> {
    let said = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match said("HEADWATER_ORACLE_SEED") {
        Some(seed) => vec![seed],
        None => (0..said("HEADWATER_ORACLE_HISTORIES").unwrap_or(count)).collect(),
    }
}

/// Runs histories on two threads, and panics with the shortest form of the first that fails.
fn run(theme: Theme, count: u64) {
    let begun = Instant::now();
    let seeds = seeds(count);
    let half = |of: usize| {
        let lab = Lab::new();
        let mut total = Tally::default();
        for seed in seeds.iter().skip(of).step_by(2) {
            let history = History::of(*seed, theme);
            match history.run(&lab, None) {
                Ok(tally) => total.add(tally),
                Err(why) => {
                    let shortest = history.shortened(&lab, None, SHORTENING_TRIES);
                    let why = shortest.run(&lab, None).err().unwrap_or(why);
                    panic!("HEADWATER_ORACLE_SEED={seed}: {why}\n\n{shortest}");
                }
            }
        }
        total
    };
    let halves = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        [Ok(half(0)), other.join()]
    });
    let mut total = Tally::default();
    for half in halves {
        match half {
            Ok(tally) => total.add(tally),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    let are_many = seeds.len() >= 100 && theme == Theme::Shapes;
    assert!(!are_many || total.from_checkpoints > 0, "nothing began at a checkpoint");
    println!(
        "{} histories of {theme:?} in {:?}: {total:?}",
        seeds.len(),
        begun.elapsed()
    );
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.compared += other.compared;
        self.rewound += other.rewound;
        self.from_checkpoints += other.from_checkpoints;
        self.events += other.events;
        self.restarts += other.restarts;
    }
}

#[test]
fn a_view_of_any_shape_equals_its_query_in_batch() {
    run(Theme::Shapes, 120);
}

#[test]
fn what_pipelines_make_equals_their_queries_in_batch() {
    run(Theme::Pipes, 30);
}

#[test]
fn every_planted_bug_is_found() {
    /// So many histories at most, until one of them finds it.
    const HISTORIES_MAX: u64 = 150;
    let lab = Lab::new();
    for bug in Bug::ALL {
        let begun = Instant::now();
        let theme = match bug {
            Bug::ResultsTwice => Theme::Pipes,
            _ => Theme::Shapes,
        };
        let found = |seed: u64| Some((seed, History::of(seed, theme).run(&lab, Some(bug)).err()?));
        let Some((seed, why)) = (0..HISTORIES_MAX).find_map(found) else {
            panic!("{bug:?} was found in none of {HISTORIES_MAX} histories");
        };
        println!("{bug:?} is found by history {seed}, after {:?}", begun.elapsed());
        // What is said is of rows, and not that something broke.
        assert!(why.contains("expected"), "{bug:?}: {why}");
    }
}
