//! Views that are being built, as they get on: bars on a terminal, lines elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use headwater_views::{Build, Views};
use indicatif::{HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

use crate::announce::say;

/// How often the views are looked at.
pub const LOOK: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// One view that is being built.
#[derive(Debug, Clone, PartialEq)]
pub struct Building {
    /// The view.
    pub view: String,
    /// How far that is.
    pub build: Build,
}

/// Follows the building of views on a thread of its own, for as long as the program runs.
pub fn follow(views: Views) {
    let follower = move || {
        let mut shown: Box<dyn Shown> = match io::stderr().is_terminal() {
            true => Box::new(Bars::default()),
            false => Box::new(Lines::default()),
        };
        loop {
            // A small view is built before anyone reads about it.
            std::thread::sleep(LOOK);
            let builds = views.builds().into_iter();
            let building: Vec<Building> = builds.map(|(view, build)| Building { view, build }).collect();
            shown.show(&building, &|view| outcome(&views, view).said(view));
        }
    };
    if let Err(why) = std::thread::Builder::new().name("progress".to_owned()).spawn(follower) {
        tracing::warn!("the progress of views is not shown: {why}");
    }
}

/// What became of a view that is not being built any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is built.
    Built,
    /// It stopped, and why.
    Stopped(String),
    /// The version stopped that was to take its place, and why.
    VersionStopped(String),
    /// It is not there any more.
    Dropped,
}

impl Outcome {
    /// In words.
    pub fn said(&self, view: &str) -> String {
        match self {
            Outcome::Built => format!("built {view}"),
            Outcome::Stopped(why) => format!("{view} stopped: {why}"),
            Outcome::VersionStopped(why) => {
                format!("the new version of {view} stopped, and the one before it goes on: {why}")
            }
            Outcome::Dropped => format!("{view} is not built any more: it was dropped"),
        }
    }
}

fn outcome(views: &Views, view: &str) -> Outcome {
    if let Some(why) = views.rebuilding(view).and_then(|rebuild| rebuild.stopped) {
        return Outcome::VersionStopped(why);
    }
    match views.get(view).map(|running| running.stopped()) {
        None => Outcome::Dropped,
        Some(Some(why)) => Outcome::Stopped(why),
        Some(None) => Outcome::Built,
    }
}

/// Where progress is shown. Of a view that is not named any more, `outcome` says what became of it.
trait Shown {
    fn show(&mut self, building: &[Building], outcome: &dyn Fn(&str) -> String);
}

/// A bar for each view that is being built.
#[derive(Default)]
pub struct Bars {
    all: MultiProgress,
    bars: HashMap<String, ProgressBar>,
}

impl Bars {
    /// Shows how far these are. The names of those come back that were shown before and are not being built any more: their bars are gone.
    pub fn show(&mut self, building: &[Building]) -> Vec<String> {
        for one in building {
            let bar = self.bars.entry(one.view.clone());
            let bar = bar.or_insert_with(|| self.all.add(bar_of(format!("building {}", one.view))));
            show(bar, &one.build);
        }
        let is_over = |view: &String, _: &mut ProgressBar| building.iter().all(|one| one.view != *view);
        let over: Vec<(String, ProgressBar)> = self.bars.extract_if(is_over).collect();
        over.iter().for_each(|(_, bar)| bar.finish_and_clear());
        over.into_iter().map(|(view, _)| view).collect()
    }
}

/// A bar for what goes through events, such as `building balances`.
pub fn bar_of(what: String) -> ProgressBar {
    let style = "{prefix} {wide_bar} {human_pos} of {human_len} events{msg}";
    // The template is a constant: where it were wrong, the default style says the same less well.
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_prefix(what)
}

/// Shows how far it is.
pub fn show(bar: &ProgressBar, build: &Build) {
    bar.set_length(build.events);
    bar.set_position(build.folded);
    bar.set_message(pace(build));
}

impl Shown for Bars {
    fn show(&mut self, building: &[Building], outcome: &dyn Fn(&str) -> String) {
        for view in Bars::show(self, building) {
            say(&outcome(&view));
        }
    }
}

#[derive(Default)]
struct Lines {
    /// When each was first seen, and last told.
    views: HashMap<String, (Instant, Instant)>,
}

impl Shown for Lines {
    fn show(&mut self, building: &[Building], outcome: &dyn Fn(&str) -> String) {
        let now = Instant::now();
        for one in building {
            match self.views.get_mut(&one.view) {
                None => {
                    say(&line(one));
                    self.views.insert(one.view.clone(), (now, now));
                }
                Some((_, said)) if now - *said >= LINE => {
                    *said = now;
                    say(&line(one));
                }
                Some(_) => {}
            }
        }
        self.views.retain(|view, (began, ..)| {
            let still = building.iter().any(|one| one.view == *view);
            if !still {
                say(&format!("{} ({:.1} s)", outcome(view), (now - *began).as_secs_f64()));
            }
            still
        });
    }
}

fn line(one: &Building) -> String {
    let Building { view, build } = one;
    let percent = match build.events {
        0 => 100,
        events => build.folded.saturating_mul(100) / events,
    };
    let (folded, events) = (HumanCount(build.folded), HumanCount(build.events));
    format!(
        "building {view}: {folded} of {events} events ({percent} %){}",
        pace(build)
    )
}

/// How fast it goes, and how long the rest takes.
fn pace(build: &Build) -> String {
    let mut pace = String::new();
    if let Some(per_second) = build.events_per_second {
        pace.push_str(&format!(", {} a second", HumanCount(per_second as u64)));
    }
    if let Some(left) = build.left() {
        pace.push_str(&format!(", about {} left", HumanDuration(left)));
    }
    pace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let check = |folded: u64, events: u64, events_per_second: Option<f64>, expected: &str| {
            let build = Build {
                folded,
                events,
                events_per_second,
            };
            let view = "balances".to_owned();
            assert_eq!(line(&Building { view, build }), expected);
        };
        check(0, 46_997, None, "building balances: 0 of 46,997 events (0 %)");
        check(
            1_500,
            4_500,
            Some(100.0),
            "building balances: 1,500 of 4,500 events (33 %), 100 a second, about 30 seconds left",
        );
        check(0, 0, None, "building balances: 0 of 0 events (100 %)");
    }
}
