//! Any bytes anywhere in the log's files: nothing panics, memory stays bounded, and a repair makes a log of what is left that is whole and can be written on.

#[expect(dead_code, reason = "other tests use all of it")]
mod making;

use std::path::{Path, PathBuf};

use headwater_eventlog::{EventLog, StreamSettings, repair, verify};
use headwater_host::simulated::{Random, Simulation};
use headwater_host::{Disk, OpenMode};
use making::{append, part, small};

const DIR: &str = "/data/log";

/// How many logs are damaged.
const DAMAGED: u64 = 400;

/// A log of a few segments, closed or not.
fn filled(random: &mut Random) -> Simulation {
    let machine = Simulation::new(1);
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    log.create_stream("s", 2, StreamSettings::default()).unwrap();
    for number in 0..12 {
        let value = format!("{number}:{}", "x".repeat(random.below(1_500)));
        log.append_blocking(append(vec![part("s", number % 2, &[&value, "y"])]))
            .unwrap();
    }
    if random.coin() {
        log.close();
    }
    machine
}

/// Every file below a folder, but for the lock and the reserve, which hold nothing.
fn files(machine: &Simulation, folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in machine.disk.list(folder).unwrap() {
        match machine.disk.list(&path) {
            Ok(inner) if !inner.is_empty() => found.extend(files(machine, &path)),
            _ if path.ends_with("LOCK") || path.ends_with("reserve") => {}
            _ => found.push(path),
        }
    }
    found
}

/// Puts arbitrary bytes into a file, cuts it, makes it longer, or removes it.
fn damage(machine: &Simulation, path: &Path, random: &mut Random) {
    let Ok(file) = machine.disk.open(path, OpenMode::ReadWrite) else {
        return;
    };
    let length = file.len().unwrap();
    let at = random.below(length as usize + 1) as u64;
    match random.below(8) {
        0 => machine.disk.remove_file(path).unwrap(),
        1 => file.set_len(at).unwrap(),
        2 => file.set_len(length + 100).unwrap(),
        choice => {
            // A few bytes or many; all of them arbitrary, or all ones or zeros, which is what lengths and counts fear most.
            let bytes = 1 + random.below(if choice < 6 { 8 } else { 5_000 });
            let fill = [0, 0xff][random.below(2)];
            let arbitrary = random.coin();
            let bytes: Vec<u8> = (0..bytes)
                .map(|_| if arbitrary { random.below(256) as u8 } else { fill })
                .collect();
            file.write_all_at(&bytes, at).unwrap();
        }
    }
}

#[test]
fn any_damage_is_survived_and_can_be_repaired() {
    let (mut repaired, mut refused) = (0, 0);
    for seed in 0..DAMAGED {
        let mut random = Random::new(seed);
        let machine = filled(&mut random);
        let files = files(&machine, Path::new(DIR));
        for _ in 0..1 + random.below(3) {
            damage(&machine, &files[random.below(files.len())], &mut random);
        }
        let found = verify(&machine.host(), Path::new(DIR), |_| {});
        let side = PathBuf::from("/data/side");
        match repair(&machine.host(), Path::new(DIR), &side, &small(), |_| {}) {
            Ok(Some(_)) => repaired += 1,
            // Both copies of the checkpoint are gone, or the folder says that a newer program wrote it.
            Ok(None) | Err(_) => {
                refused += 1;
                continue;
            }
        }
        let found = found.unwrap().unwrap();
        let left = verify(&machine.host(), Path::new(DIR), |_| {}).unwrap().unwrap();
        assert_eq!(left.damage, [], "seed {seed}: after {:?}", found.damage);
        let (log, recovery) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new(), "seed {seed}");
        for number in 0..2 {
            let Some(offsets) = log.offsets("s", number) else {
                // The journal alone knew that the stream was created. Without its newest frames nothing says that there were some.
                continue;
            };
            let end = offsets.end;
            let mut at = 0;
            while at < end {
                let batches = log.read("s", number, at, 1 << 20).unwrap();
                assert!(!batches.is_empty(), "seed {seed}: nothing at {at} of {end}");
                at = batches.last().unwrap().batch.next_offset();
            }
            log.append_blocking(append(vec![part("s", number, &["goes on"])]))
                .unwrap();
        }
    }
    assert!(
        repaired > DAMAGED / 2 && refused < DAMAGED / 4,
        "{repaired} repaired, {refused} refused"
    );
}
