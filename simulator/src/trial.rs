//! A trial: a few lives of one machine, its power cut in each; after each the log is read whole and judged.

use headwater_eventlog::Tended;
use headwater_host::simulated::{Random, Simulation};
use tokio::runtime::Runtime;

use crate::bug::{Bug, remove_replaced};
use crate::judge::judge;
use crate::life::{self, Life};
use crate::reading::Reading;
use crate::world::World;

/// How many steps a life takes, where nothing ends it before.
const STEPS: usize = 60;

/// The operations of the disk in a life, roughly: later cuts are drawn below this.
const OPERATIONS: usize = 220;

/// In one trial of so many the disk fills up now and then: the log waits for room in real time.
const SHORT_OF_ROOM: u64 = 64;

/// One trial.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// Makes the workload and the disk's dice.
    pub seed: u64,
    /// The operation of the disk at which the first life's power is cut.
    pub cut: u64,
    /// What is wrong with the log, where something is to be found.
    pub bug: Option<Bug>,
}

/// How a trial ended.
#[derive(Debug)]
pub struct Ended {
    /// How often the power was cut.
    pub cuts: u64,
    /// Whether the first life was over before its cut: later cuts of this seed cut nothing.
    pub is_past_the_end: bool,
    /// How the log broke its word, where it did.
    pub broken: Option<String>,
    /// Whether the bug came into play.
    pub bug_had_a_chance: bool,
    /// What compaction and retention did.
    pub tended: Tended,
    /// What happened, in order.
    pub course: Vec<String>,
}

struct Course {
    trial: Trial,
    machine: Simulation,
    world: World,
    random: Random,
    dice: Random,
    cuts: u64,
    bug_had_a_chance: bool,
}

impl Trial {
    /// Runs the trial on a runtime that only waits.
    pub fn run(self, runtime: &Runtime) -> Ended {
        let machine = Simulation::new(self.seed.wrapping_mul(1_000_003).wrapping_add(self.cut));
        machine.clock.set(1_700_000_000_000_000);
        if let Some(bug) = self.bug {
            bug.plant(&machine.disk);
        }
        let mut course = Course {
            trial: self,
            machine,
            world: World {
                checks_early: self.bug == Some(Bug::CheckedEarly),
                ..World::default()
            },
            // The workload is the seed's, whatever the cut: cuts at 1, 2, 3 … try every operation of the same life.
            random: Random::new(self.seed),
            dice: Random::new(self.seed ^ self.cut.rotate_left(32)),
            cuts: 0,
            bug_had_a_chance: self.bug.is_some_and(Bug::is_always_in_play),
        };
        course.machine.disk.cut_power_at(self.cut);
        let mut broken = course.live(runtime).err();
        let is_past_the_end = course.machine.disk.operations() < self.cut;
        for _ in 0..1 + course.dice.below(3) {
            if broken.is_some() {
                break;
            }
            let cut = course.machine.disk.operations() + 1 + course.dice.below(OPERATIONS) as u64;
            course.machine.disk.cut_power_at(cut);
            broken = course.live(runtime).err();
        }
        Ended {
            cuts: course.cuts,
            is_past_the_end,
            broken,
            bug_had_a_chance: course.bug_had_a_chance,
            tended: course.world.tended,
            course: course.world.course,
        }
    }
}

impl Course {
    /// One life of the machine, which may be several of the log; then the power is cut, if it was not, the log recovers, and is judged.
    fn live(&mut self, runtime: &Runtime) -> Result<(), String> {
        let is_short_of_room = self.is_short_of_room();
        let mut left = STEPS;
        while left > 0 {
            let lived = life::open(&self.machine).and_then(|log| {
                Life::new(&self.machine, &mut self.world, &mut self.random, runtime, log)
                    .short_of_room(is_short_of_room)
                    .believing_early(self.trial.bug == Some(Bug::AcknowledgedEarly))
                    .live(left)
            });
            match lived {
                Ok(rest) => left = rest,
                Err(_) if self.machine.disk.is_off() => break,
                Err(what) => return Err(what),
            }
            self.make_room();
            if left > 0
                && let Err(what) = self.judge()
            {
                match self.machine.disk.is_off() {
                    true => break,
                    false => return Err(what),
                }
            }
        }
        self.recover()
    }

    fn is_short_of_room(&self) -> bool {
        self.trial.seed % SHORT_OF_ROOM == 7 && self.trial.cut.is_multiple_of(4)
    }

    /// Where the disk is full it stays so every other time: a log opens without room.
    fn make_room(&mut self) {
        if !self.is_short_of_room() || self.dice.coin() {
            self.machine.disk.limit_space(None);
        }
    }

    fn recover(&mut self) -> Result<(), String> {
        self.cuts += 1;
        let operation = self.machine.disk.operations();
        self.world.note(format!("the power goes at operation {operation}"));
        self.machine.disk.cut_power();
        self.make_room();
        self.machine.disk.restart();
        if self.trial.bug == Some(Bug::ReplacedRemovedEarly) {
            remove_replaced(&self.machine.disk).map_err(|error| error.to_string())?;
        }
        // Recovery is cut short too, and then runs to its end.
        while self.dice.coin() {
            let cut = self.machine.disk.operations() + 1 + self.dice.below(25) as u64;
            self.machine.disk.cut_power_at(cut);
            match life::open(&self.machine) {
                Err(what) if !self.machine.disk.is_off() => return Err(what),
                opened => drop(opened),
            }
            self.cuts += 1;
            let operation = self.machine.disk.operations();
            self.world
                .note(format!("the power goes at operation {operation}, while it recovers"));
            self.machine.disk.cut_power();
            self.machine.disk.restart();
        }
        self.judge()
    }

    /// Opens the log, reads everything, and judges it. What is not flushed then is nobody's to see: another cut changes nothing.
    fn judge(&mut self) -> Result<(), String> {
        let log = life::open(&self.machine)?;
        let mut reading = Reading::of(&log)?;
        self.world.note("the log is read and judged");
        drop(log);
        if let Some(bug) = self.trial.bug
            && !self.bug_had_a_chance
        {
            self.bug_had_a_chance = bug.misread(&mut reading, &mut self.dice);
        }
        judge(&mut self.world, &reading)
    }
}
