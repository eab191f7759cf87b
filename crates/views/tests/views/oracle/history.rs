//! A history: some views, and what happens to them, all from one seed. It is run, and where it fails it is made shorter.

use std::fmt;

use headwater_host::simulated::Random;
use headwater_records::Position;
use headwater_views::ViewOptions;

use super::bugs::Bug;
use super::check;
use super::events::{STREAMS, event};
use super::lab::{Lab, statement};
use super::machine::{End, Events, Machine, Setup};
use super::pipes::OVER_PIPES;
use super::queries::{Asked, Kind, VIEWS};
use crate::ground::{EAGER, LAZY};

/// What a history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Views of every shape.
    Shapes,
    /// Pipelines, and views over what they make.
    Pipes,
}

/// One view of a history, as an index into those of its theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    asked: usize,
    kind: usize,
}

/// What happens.
#[derive(Clone)]
enum Step {
    /// One append of some events to some partitions.
    Append(Vec<Events>),
    /// The program ends, and goes on with other bounds.
    Restart(End, usize),
    /// After so many commits the stores take none any more, until the program starts again.
    Fail(i64),
    /// One of the views becomes another one, which is built beside it.
    Replace(usize, Slot),
    /// Every view is compared.
    Compare,
    /// Every row of every view is compared as it was, one by one and all together: so much of each partition, in hundredths.
    Rewind(Vec<u64>),
}

/// All of it.
#[derive(Clone)]
pub struct History {
    pub seed: u64,
    theme: Theme,
    slots: Vec<Slot>,
    options: usize,
    steps: Vec<Step>,
}

/// What was compared: each a view at a position, as it stands there or as it was.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub compared: usize,
    pub rewound: usize,
    /// Those of which all rows were made from a checkpoint on.
    pub from_checkpoints: usize,
    pub events: usize,
    pub restarts: usize,
}

const STEPS: usize = 12;
const SLOTS: usize = 5;
/// One in so many histories has its stores on the disk, which takes several times as long.
const ON_DISK_EVERY: u64 = 16;

fn options(choice: usize) -> ViewOptions {
    let options = match choice % 4 {
        0 => LAZY,
        1 => EAGER,
        // Some rows are resident and some are not.
        2 => ViewOptions {
            flush_bytes: 400,
            memory_bytes_max: 1_800,
            ..LAZY
        },
        _ => ViewOptions { flush_ms: 1, ..LAZY },
    };
    ViewOptions {
        snapshot_events: 2,
        checkpoint_events: Some(3),
        ..options
    }
}

fn views(theme: Theme) -> &'static [Asked] {
    match theme {
        Theme::Shapes => &VIEWS,
        Theme::Pipes => &OVER_PIPES,
    }
}

fn slot(theme: Theme, random: &mut Random) -> Slot {
    let asked = random.below(views(theme).len());
    let kind = random.below(views(theme)[asked].kinds.len());
    Slot { asked, kind }
}

impl Slot {
    fn asked(self, theme: Theme) -> (&'static Asked, Kind) {
        let asked = &views(theme)[self.asked];
        (asked, asked.kinds[self.kind])
    }
}

fn append(random: &mut Random) -> Step {
    let mut parts: Vec<Events> = Vec::new();
    for _ in 0..1 + random.below(3) {
        // Half of all for the stream with the most columns.
        let stream = [0, 0, 0, 0, 1, 2, 3, 4][random.below(8)];
        let partition = random.below(STREAMS[stream].partitions as usize) as u32;
        let events = (0..1 + random.below(9)).map(|_| event(stream, random)).collect();
        parts.push((stream, partition, events));
    }
    Step::Append(parts)
}

fn step(theme: Theme, slots: usize, random: &mut Random) -> Step {
    match random.below(20) {
        0..9 => append(random),
        9..12 => Step::Compare,
        12 | 13 => Step::Rewind((0..11).map(|_| random.below(101) as u64).collect()),
        14..17 => {
            let end = [End::Close, End::Kill, End::Kill, End::Power][random.below(4)];
            Step::Restart(end, random.below(4))
        }
        17 => Step::Fail(random.below(6) as i64),
        _ => Step::Replace(random.below(slots), slot(theme, random)),
    }
}

impl History {
    /// The history of a seed.
    pub fn of(seed: u64, theme: Theme) -> History {
        let mut random = Random::new(seed);
        let slots: Vec<Slot> = (0..SLOTS).map(|_| slot(theme, &mut random)).collect();
        History {
            seed,
            theme,
            options: random.below(4),
            steps: (0..STEPS).map(|_| step(theme, slots.len(), &mut random)).collect(),
            slots,
        }
    }

    /// Runs it. The error says what is not as it should be.
    pub fn run(&self, lab: &Lab, bug: Option<Bug>) -> Result<Tally, String> {
        let setup = Setup {
            seed: self.seed,
            has_pipes: self.theme == Theme::Pipes,
            is_on_disk: self.seed.is_multiple_of(ON_DISK_EVERY) && bug.is_none(),
            bug,
        };
        lab.watch.at(self.seed, 0);
        let machine = Machine::new(lab, setup, options(self.options))?;
        let mut run = Run {
            theme: self.theme,
            slots: self.slots.clone(),
            machine,
            tally: Tally::default(),
        };
        run.start()?;
        for (number, step) in self.steps.iter().enumerate() {
            lab.watch.at(self.seed, number);
            run = run.step(step).map_err(|why| format!("step {number}: {why}"))?;
        }
        lab.watch.at(self.seed, self.steps.len());
        run.end().map_err(|why| format!("at the end: {why}"))
    }

    /// A shorter one that fails too: without steps, views and events that make no difference. Tried so many times at most.
    pub fn shortened(self, lab: &Lab, bug: Option<Bug>, mut tries: usize) -> History {
        let mut shortest = self;
        loop {
            let candidates = shortest.shorter();
            let fails = |history: &History| {
                tries = tries.saturating_sub(1);
                tries > 0 && history.run(lab, bug).is_err()
            };
            let Some(shorter) = candidates.into_iter().find(fails) else {
                return shortest;
            };
            shortest = shorter;
        }
    }

    fn shorter(&self) -> Vec<History> {
        let mut shorter: Vec<History> = Vec::new();
        for at in 0..self.slots.len() {
            if self.slots.len() > 1 {
                let mut history = self.clone();
                history.slots = vec![self.slots[at]];
                history.steps.retain(|step| !matches!(step, Step::Replace(..)));
                shorter.push(history);
            }
        }
        for at in 0..self.steps.len() {
            let mut history = self.clone();
            history.steps.remove(at);
            shorter.push(history);
        }
        for (at, step) in self.steps.iter().enumerate() {
            let Step::Append(parts) = step else { continue };
            for (part, (_, _, events)) in parts.iter().enumerate() {
                for without in [
                    0..events.len(),
                    0..events.len() / 2,
                    events.len() / 2..events.len(),
                    0..1,
                ] {
                    let mut history = self.clone();
                    if let Step::Append(parts) = &mut history.steps[at]
                        && !without.is_empty()
                        && (without.len() < events.len() || parts.len() > 1)
                    {
                        parts[part].2.drain(without);
                        parts.retain(|(_, _, events)| !events.is_empty());
                        shorter.push(history);
                    }
                }
            }
        }
        shorter
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "flushed as {} says", self.options)?;
        for (at, slot) in self.slots.iter().enumerate() {
            let (asked, kind) = slot.asked(self.theme);
            writeln!(f, "v{at}: {kind:?} KEY {:?} AS {}", asked.key, asked.query)?;
        }
        for (at, step) in self.steps.iter().enumerate() {
            writeln!(f, "step {at}: {step:?}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Append(parts) => {
                f.write_str("append")?;
                for (stream, partition, events) in parts {
                    write!(f, "\n  {}/{partition}:", STREAMS[*stream].name)?;
                    for made in events {
                        write!(f, " {:?}={:?}", made.event.key, made.event.value)?;
                    }
                }
                Ok(())
            }
            Step::Restart(end, options) => write!(f, "{end:?}, then flushed as {options} says"),
            Step::Fail(commits) => write!(f, "{commits} commits more take place"),
            Step::Replace(at, slot) => write!(f, "v{at} becomes {slot:?}"),
            Step::Compare => f.write_str("compare"),
            Step::Rewind(hundredths) => write!(f, "compare as of {hundredths:?} hundredths"),
        }
    }
}

/// A history under way.
struct Run<'a> {
    theme: Theme,
    slots: Vec<Slot>,
    machine: Machine<'a>,
    tally: Tally,
}

fn name(at: usize) -> String {
    format!("v{at}")
}

impl<'a> Run<'a> {
    fn start(&self) -> Result<(), String> {
        for at in 0..self.slots.len() {
            self.start_slot(at)?;
        }
        self.machine.start_pipes()
    }

    fn start_slot(&self, at: usize) -> Result<(), String> {
        let (asked, kind) = self.slots[at].asked(self.theme);
        let spec = self.machine.lab.view(&name(at), asked, kind);
        self.machine.start_view(spec)
    }

    fn step(mut self, step: &Step) -> Result<Run<'a>, String> {
        match step {
            Step::Append(parts) => {
                self.tally.events += parts.iter().map(|(_, _, events)| events.len()).sum::<usize>();
                self.machine.append(parts)?;
            }
            Step::Fail(commits) => self.machine.shelf.fail_after(*commits),
            Step::Restart(end, options) => self = self.restart(*end, *options)?,
            // What a view could not commit it says, and stops: only a start helps.
            _ if self.machine.shelf.is_failing() => {}
            Step::Replace(at, slot) => {
                if *at < self.slots.len() {
                    self.slots[*at] = *slot;
                    self.start_slot(*at)?;
                }
            }
            Step::Compare => self.compare()?,
            Step::Rewind(hundredths) => self.compare_rewound(hundredths)?,
        }
        Ok(self)
    }

    fn restart(self, end: End, choice: usize) -> Result<Run<'a>, String> {
        let mut tally = self.tally;
        tally.restarts += 1;
        let run = Run {
            theme: self.theme,
            slots: self.slots,
            machine: self.machine.restart(end, options(choice))?,
            tally,
        };
        run.start()?;
        Ok(run)
    }

    fn compare(&mut self) -> Result<(), String> {
        let end = self.machine.end()?;
        self.machine.stand_at(&self.machine.written());
        for at in 0..self.slots.len() {
            let (asked, kind) = self.slots[at].asked(self.theme);
            let view = self.machine.view(&name(at), &statement(&name(at), asked, kind), &end)?;
            check::compare(&self.machine, &view, asked, kind, &end).map_err(|why| said(at, asked, kind, &why))?;
            self.tally.compared += 1;
        }
        Ok(())
    }

    fn compare_rewound(&mut self, hundredths: &[u64]) -> Result<(), String> {
        if self.theme == Theme::Pipes {
            return Ok(());
        }
        let end = self.machine.end()?;
        self.machine.views.settle_checkpoints();
        let mut at = Position::new();
        for ((stream, partition, next), hundredth) in end.iter().zip(hundredths.iter().cycle()) {
            at.set(stream, partition, next * hundredth / 100);
        }
        self.machine.stand_at(&at);
        for index in 0..self.slots.len() {
            let (asked, kind) = self.slots[index].asked(self.theme);
            let view = self
                .machine
                .view(&name(index), &statement(&name(index), asked, kind), &end)?;
            let compared = check::compare_rewound(&self.machine, &view, asked, &at);
            compared.map_err(|why| said(index, asked, kind, &why))?;
            self.tally.rewound += 1;
            // All rows there, and behind the newest checkpoint.
            let mut behind = at.clone();
            if let Some(checkpoint) = view.checkpoint(&end) {
                behind.advance_all(checkpoint.position());
            }
            for at in [&behind, &at] {
                self.machine.stand_at(at);
                let compared = check::compare_all_rewound(&self.machine, &view, asked, at);
                let from_checkpoint = compared.map_err(|why| said(index, asked, kind, &why))?;
                self.tally.from_checkpoints += usize::from(from_checkpoint);
            }
        }
        Ok(())
    }

    /// Everything once more, and the tables as others see them once the program is closed.
    fn end(mut self) -> Result<Tally, String> {
        if self.machine.shelf.is_failing() {
            self = self.restart(End::Kill, 0)?;
        }
        self.compare()?;
        let mut tables = Vec::new();
        for (at, slot) in self.slots.iter().enumerate() {
            let (asked, kind) = slot.asked(self.theme);
            if kind == Kind::Columnar {
                tables.push((
                    at,
                    asked,
                    kind,
                    self.machine.views.get(&name(at)).ok_or("a view is gone")?,
                ));
            }
        }
        self.machine.views.close();
        for (at, asked, kind, view) in tables {
            check::compare_table(&self.machine, &view, asked).map_err(|why| said(at, asked, kind, &why))?;
        }
        Ok(self.tally)
    }
}

fn said(at: usize, asked: &Asked, kind: Kind, why: &str) -> String {
    format!("v{at}, {kind:?}: {}\n{why}", asked.query)
}
