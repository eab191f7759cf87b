//! `headwater-simulator`: cuts the power of simulated machines, as often as asked, and says what became of the log.
//!
//! Each seed's workload is cut at its first operation of the disk, its second, and so on to its last; then the next seed's turn comes. A trial that failed is
//! named by its seed and its cut, and can be run again alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::bail;
use clap::Parser;
use headwater_eventlog::Tended;
use headwater_simulator::{Ended, Trial};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// Cuts the power of simulated machines and judges what the log holds afterwards.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many power cuts.
    #[arg(long, default_value_t = 100_000)]
    cuts: u64,
    /// The first seed; the next ones follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this operation of the disk: one trial, run again.
    #[arg(long)]
    cut: Option<u64>,
    /// How often a single trial is run.
    #[arg(long, default_value_t = 1)]
    times: u64,
    /// How many threads; 0: as many as the machine has processors.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

/// What all threads have come to.
struct Progress {
    next_seed: AtomicU64,
    cuts: AtomicU64,
    trials: AtomicU64,
    compacted: AtomicU64,
    expired: AtomicU64,
    broken: AtomicU64,
    bar: ProgressBar,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(cut) = arguments.cut {
        return one(&arguments, cut);
    }
    let began = Instant::now();
    let threads = match arguments.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    println!(
        "{} power cuts, seeds from {} on, {threads} threads",
        HumanCount(arguments.cuts),
        arguments.seed
    );
    let style = "{bar:40} {human_pos} of {human_len} cuts, {per_sec}, {eta} left";
    let progress = Progress {
        next_seed: AtomicU64::new(arguments.seed),
        cuts: AtomicU64::new(0),
        trials: AtomicU64::new(0),
        compacted: AtomicU64::new(0),
        expired: AtomicU64::new(0),
        broken: AtomicU64::new(0),
        bar: ProgressBar::new(arguments.cuts).with_style(ProgressStyle::with_template(style)?),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| seeds(&progress, arguments.cuts));
        }
    });
    progress.bar.finish_and_clear();
    let broken = progress.broken.into_inner();
    println!(
        "{} power cuts in {} trials, seeds {}..{}, {:.1} s: {broken} trials in which the log broke its word",
        HumanCount(progress.cuts.into_inner()),
        HumanCount(progress.trials.into_inner()),
        arguments.seed,
        progress.next_seed.into_inner(),
        began.elapsed().as_secs_f64()
    );
    println!(
        "{} segments were compacted, {} starts moved on by retention",
        HumanCount(progress.compacted.into_inner()),
        HumanCount(progress.expired.into_inner())
    );
    if broken > 0 {
        bail!("the log broke its word in {broken} trials: run each again with --seed and --cut");
    }
    Ok(())
}

/// Takes one seed after another until there were enough cuts.
fn seeds(progress: &Progress, cuts_max: u64) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return;
    };
    while progress.cuts.load(Ordering::Relaxed) < cuts_max {
        let seed = progress.next_seed.fetch_add(1, Ordering::Relaxed);
        for cut in 1.. {
            let ended = Trial { seed, cut, bug: None }.run(&runtime);
            progress.trials.fetch_add(1, Ordering::Relaxed);
            let Tended {
                segments_compacted,
                starts_moved,
            } = ended.tended;
            progress.compacted.fetch_add(segments_compacted, Ordering::Relaxed);
            progress.expired.fetch_add(starts_moved, Ordering::Relaxed);
            let cuts = progress.cuts.fetch_add(ended.cuts, Ordering::Relaxed) + ended.cuts;
            progress.bar.set_position(cuts);
            if let Some(what) = &ended.broken {
                progress.broken.fetch_add(1, Ordering::Relaxed);
                progress.bar.suspend(|| println!("seed {seed}, cut {cut}: {what}"));
            }
            if ended.is_past_the_end || cuts >= cuts_max {
                break;
            }
        }
    }
}

fn one(arguments: &Arguments, cut: u64) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let trial = Trial {
        seed: arguments.seed,
        cut,
        bug: None,
    };
    let mut broken = 0;
    for _ in 0..arguments.times {
        let Ended {
            broken: what,
            cuts,
            course,
            ..
        } = trial.run(&runtime);
        if what.is_some() && broken == 0 {
            for line in course {
                println!("  {line}");
            }
        }
        broken += u64::from(what.is_some());
        println!("{cuts} cuts: {}", what.as_deref().unwrap_or("the log kept its word"));
    }
    match broken {
        0 => Ok(()),
        _ => bail!("the log broke its word in {broken} of {} runs", arguments.times),
    }
}
