//! Schedules on a machine whose power goes at any moment: what was promised is appended once, and what was cancelled never.

mod machine;

use std::collections::BTreeMap;

use headwater_host::Dice;
use headwater_host::simulated::Simulation;
use headwater_schedules::{Schedules, SchedulesOptions};
use machine::{appended, open_log, schedule};

/// What is known of a schedule from the answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    /// It was asked for, and nobody answered.
    Asked,
    /// It was made.
    Made,
    /// It was to be cancelled, and nobody answered.
    Cancelling,
    /// It was cancelled.
    Cancelled,
}

/// Makes, cancels and lets time pass until it is done or the power is gone.
async fn run(machine: &Simulation, random: &dyn Dice, known: &mut BTreeMap<String, Known>) {
    let Ok(log) = open_log(machine) else { return };
    let Ok(schedules) = Schedules::open(log, SchedulesOptions::default()) else {
        return;
    };
    for _ in 0..30 {
        let now_us = schedules.now_us();
        match random.roll() % 4 {
            0 | 1 => {
                let name = known.len().to_string();
                known.insert(name.clone(), Known::Asked);
                let due_us = now_us + (random.roll() % 50) as i64;
                if schedules.make(&[schedule(&name, due_us)], "ann").await.is_ok() {
                    known.insert(name, Known::Made);
                }
            }
            2 if !known.is_empty() => {
                let name = (random.roll() % known.len() as u64).to_string();
                let before = known[&name];
                if before == Known::Cancelled {
                    continue;
                }
                match schedules.cancel(&name, "ann").await {
                    Ok(true) => known.insert(name, Known::Cancelled),
                    // It was appended before, or never made.
                    Ok(false) => known.insert(name, before),
                    Err(_) => known.insert(name, Known::Cancelling),
                };
            }
            _ => {
                machine.clock.advance((random.roll() % 20) as i64);
                // Where the power is gone the log says so; the next run sees what came of it.
                let _ = schedules.append_due().await;
            }
        }
        if machine.disk.is_off() {
            return;
        }
    }
}

#[tokio::test]
async fn what_was_promised_is_appended_once_wherever_the_power_is_cut() {
    let mut cuts = 0;
    for seed in 0..60 {
        let machine = Simulation::new(seed);
        let random = machine.host().dice;
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for _ in 0..4 {
            machine
                .disk
                .cut_power_at(machine.disk.operations() + 10 + random.roll() % 80);
            run(&machine, random.as_ref(), &mut known).await;
            cuts += u32::from(machine.disk.is_off());
            machine.disk.cut_power();
            machine.disk.restart();
        }
        let log = open_log(&machine).unwrap();
        let schedules = Schedules::open(log.clone(), SchedulesOptions::default()).unwrap();
        machine.clock.advance(1_000);
        schedules.append_all_due().await.unwrap();
        let there = appended(&log, "s");
        for (name, known) in &known {
            let times = there.iter().filter(|appended| *appended == name).count();
            let expected = match known {
                Known::Made => 1..=1,
                Known::Cancelled => 0..=0,
                Known::Asked | Known::Cancelling => 0..=1,
            };
            assert!(
                expected.contains(&times),
                "seed {seed}: {name} is {known:?} and there {times} times"
            );
        }
    }
    assert!(cuts > 60, "the power was cut {cuts} times only");
}
