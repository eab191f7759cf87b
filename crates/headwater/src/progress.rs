//! Views that are being built, as they get on: bars on a terminal, lines elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use headwater_views::Views;
use indicatif::{HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

use crate::announce::say;

/// How often the views are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// One view that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Building {
    view: String,
    folded: u64,
    total: u64,
}

/// Follows the building of views on a thread of its own, until none is being built.
pub fn follow(views: Views) {
    let follower = move || {
        let mut shown: Box<dyn Shown> = match io::stderr().is_terminal() {
            true => Box::new(Bars::default()),
            false => Box::new(Lines::default()),
        };
        loop {
            // A small view is built before anyone reads about it.
            std::thread::sleep(LOOK);
            let building = building(&views);
            shown.show(&building);
            if building.is_empty() {
                break;
            }
        }
    };
    if let Err(why) = std::thread::Builder::new().name("progress".to_owned()).spawn(follower) {
        tracing::warn!("the progress of views is not shown: {why}");
    }
}

fn building(views: &Views) -> Vec<Building> {
    let mut building: Vec<Building> = Vec::new();
    for view in views.all() {
        let status = view.status();
        if let (Some((folded, total)), None) = (status.building, &status.stopped) {
            building.push(Building {
                view: status.name,
                folded,
                total,
            });
        }
    }
    building
}

/// Where progress is shown. A view that is not named any more is built.
trait Shown {
    fn show(&mut self, building: &[Building]);
}

#[derive(Default)]
struct Bars {
    all: MultiProgress,
    bars: HashMap<String, ProgressBar>,
}

impl Shown for Bars {
    fn show(&mut self, building: &[Building]) {
        for one in building {
            let bar = self.bars.entry(one.view.clone()).or_insert_with(|| {
                let style = "building {msg} {wide_bar} {human_pos} of {human_len} events, {eta} left";
                let bar = ProgressBar::new(one.total);
                // The template is a constant: where it were wrong, the default style says the same less well.
                bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
                self.all.add(bar.with_message(one.view.clone()))
            });
            bar.set_length(one.total);
            bar.set_position(one.folded);
        }
        self.bars.retain(|view, bar| {
            let still = building.iter().any(|one| one.view == *view);
            if !still {
                bar.finish_and_clear();
                say(&format!("built {view}"));
            }
            still
        });
    }
}

#[derive(Default)]
struct Lines {
    views: HashMap<String, (Instant, u64, Instant)>,
}

impl Shown for Lines {
    fn show(&mut self, building: &[Building]) {
        let now = Instant::now();
        for one in building {
            match self.views.get_mut(&one.view) {
                None => {
                    say(&line(one, None));
                    self.views.insert(one.view.clone(), (now, one.folded, now));
                }
                Some((began, first, said)) if now - *said >= LINE => {
                    *said = now;
                    say(&line(one, left(one, *first, now - *began)));
                }
                Some(_) => {}
            }
        }
        self.views.retain(|view, (began, ..)| {
            let still = building.iter().any(|one| one.view == *view);
            if !still {
                say(&format!("built {view} in {:.1} s", (now - *began).as_secs_f64()));
            }
            still
        });
    }
}

/// How long the rest takes at the speed so far.
fn left(one: &Building, first: u64, since: Duration) -> Option<Duration> {
    let folded = one.folded.saturating_sub(first);
    let rest = one.total.saturating_sub(one.folded);
    (folded > 0).then(|| since.mul_f64(rest as f64 / folded as f64))
}

fn line(one: &Building, left: Option<Duration>) -> String {
    let Building { view, folded, total } = one;
    let percent = if *total == 0 {
        100
    } else {
        folded.saturating_mul(100) / total
    };
    let mut line = format!(
        "building {view}: {} of {} events ({percent} %)",
        HumanCount(*folded),
        HumanCount(*total)
    );
    if let Some(left) = left {
        line.push_str(&format!(", about {} left", HumanDuration(left)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let check = |folded: u64, total: u64, first: u64, seconds: u64, expected: &str| {
            let one = Building {
                view: "balances".to_owned(),
                folded,
                total,
            };
            assert_eq!(line(&one, left(&one, first, Duration::from_secs(seconds))), expected);
        };
        check(0, 46_997, 0, 0, "building balances: 0 of 46,997 events (0 %)");
        check(
            1_500,
            4_500,
            500,
            10,
            "building balances: 1,500 of 4,500 events (33 %), about 30 seconds left",
        );
        check(0, 0, 0, 1, "building balances: 0 of 0 events (100 %)");
    }
}
