//! A short run of the simulator, and the checker tried with planted bugs.

use headwater_simulator::{Bug, RegisterTrial, Seen, Trial};
use tokio::runtime::Runtime;

/// The first seed of the run here; the long run begins elsewhere.
const SEED: u64 = 1_000_000;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

#[test]
fn the_log_keeps_its_word_wherever_the_power_is_cut() {
    let runtime = runtime();
    let (mut cuts, mut compacted, mut expired) = (0, 0, 0);
    for seed in SEED..SEED + 3 {
        // Every fourth operation, beginning elsewhere in each: the long run takes them all.
        for cut in (1 + seed - SEED..).step_by(4) {
            let ended = Trial { seed, cut, bug: None }.run(&runtime);
            cuts += ended.cuts;
            compacted += ended.tended.segments_compacted;
            expired += ended.tended.starts_moved;
            if let Some(what) = ended.broken {
                panic!("seed {seed}, cut {cut}: {what}");
            }
            if ended.is_past_the_end {
                break;
            }
        }
    }
    assert!(cuts > 1_000, "only {cuts} cuts");
    assert!(
        compacted > 500 && expired > 100,
        "only {compacted} segments were compacted, {expired} starts moved"
    );
}

/// While it compacts, an index may be written without what the compaction took away, which is back after a power cut.
#[test]
fn an_index_has_what_comes_back_where_compaction_was_cut_short() {
    let runtime = runtime();
    for cut in [512, 518].repeat(40) {
        let trial = Trial {
            seed: 20_261_129,
            cut,
            bug: None,
        };
        if let Some(what) = trial.run(&runtime).broken {
            panic!("cut {cut}: {what}");
        }
    }
}

#[test]
fn the_log_keeps_its_word_on_a_disk_that_fills_up() {
    // Such a seed, and such cuts, are short of room; how often differs with how fast room comes back beside the appends.
    let (seed, runtime) = (1_000_007, runtime());
    let (mut cuts, mut refused, mut trials) = (0, 0, 0);
    for cut in (20..).step_by(28).take(64) {
        if trials >= 8 && refused > 10 {
            break;
        }
        trials += 1;
        let ended = Trial { seed, cut, bug: None }.run(&runtime);
        if let Some(what) = ended.broken {
            panic!("seed {seed}, cut {cut}: {what}");
        }
        cuts += ended.cuts;
        refused += ended.course.iter().filter(|line| line.ends_with(": refused")).count();
    }
    assert!(cuts >= 8 && refused > 10, "{cuts} cuts, {refused} appends refused");
}

#[test]
fn every_planted_bug_is_found() {
    let runtime = runtime();
    for bug in Bug::ALL {
        let (mut chances, mut found) = (0, 0);
        for trial in 0..400 {
            let trial = Trial {
                seed: SEED + trial,
                cut: 40 + trial * 7 % 160,
                bug: Some(bug),
            };
            let ended = trial.run(&runtime);
            chances += u64::from(ended.bug_had_a_chance);
            found += u64::from(ended.broken.is_some());
            if found >= 5 {
                break;
            }
        }
        assert!(found >= 5, "{bug:?} was found in {found} of {chances} trials");
    }
}

#[test]
fn what_clients_see_of_an_entitys_version_is_linearizable_wherever_the_power_is_cut() {
    let runtime = runtime();
    let mut all = Seen::default();
    for seed in SEED..SEED + 200 {
        let seen = RegisterTrial { seed, bug: None }.run(&runtime);
        let seen = seen.unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        all.appended += seen.appended;
        all.conditional += seen.conditional;
        all.outrun += seen.outrun;
        all.untold += seen.untold;
    }
    assert!(all.conditional > 1_000 && all.appended > all.conditional, "{all:?}");
    assert!(all.outrun > 1_000 && all.untold > 20, "{all:?}");
}

#[test]
fn a_history_gives_away_conditions_checked_early_and_an_index_that_is_behind() {
    let runtime = runtime();
    for bug in [Bug::CheckedEarly, Bug::IndexBehind] {
        let trials = (SEED..SEED + 400).map(|seed| RegisterTrial { seed, bug: Some(bug) }.run(&runtime));
        let found = trials.filter(Result::is_err).take(5).count();
        assert_eq!(found, 5, "{bug:?}");
    }
}
