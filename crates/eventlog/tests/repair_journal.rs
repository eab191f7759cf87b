//! Damage of the journal is named by a verification and at the start, and mended by a repair, which loses nothing that is whole.

#[expect(dead_code, reason = "damage of segments uses the rest")]
mod damaged;
#[expect(dead_code, reason = "other tests use all of it")]
mod making;

use std::path::Path;

use damaged::{DIR, SIDE, check, cut, expected, filled, find, left_open, mend, read, remove, spoil, value, verified};
use headwater_eventlog::EventLog;
use headwater_host::simulated::Simulation;
use headwater_host::{Disk, OpenMode};
use making::{append, part, small};

#[test]
fn a_missing_journal_file() {
    let first = Path::new(DIR).join("journal/0");
    check(1, |machine| remove(machine, &first), &["journal/0: it is missing"], &[]);
}

#[test]
fn a_journal_file_that_was_emptied() {
    let first = Path::new(DIR).join("journal/0");
    let length = |machine: &Simulation| machine.disk.open(&first, OpenMode::Read).unwrap().len().unwrap();
    check(
        1,
        |machine| cut(machine, &first, 0),
        &["journal/0: it ends at byte 0"],
        &[],
    );
    let half = |machine: &Simulation| cut(machine, &first, length(machine) / 2);
    check(
        2,
        half,
        &["journal/0: it ends at byte 32768, and was made with 65536"],
        &[],
    );
    let zeros = |machine: &Simulation| {
        let file = machine.disk.open(&first, OpenMode::ReadWrite).unwrap();
        file.write_all_at(&vec![0; length(machine) as usize], 0).unwrap();
    };
    check(3, zeros, &["journal/0: it is all zeros"], &[]);
    // What it alone held is not given out again in silence.
    let machine = left_open(4);
    machine.disk.cut_power();
    machine.disk.restart();
    zeros(&machine);
    let (log, recovery) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    assert!(recovery.damage[0].contains("it is all zeros"), "{:?}", recovery.damage);
    log.append_blocking(append(vec![part("s", 0, &["next"])])).unwrap_err();
}

#[test]
fn the_last_journal_file_made_is_missed() {
    let machine = filled(1);
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    let last = Path::new(DIR).join("journal/1");
    for number in 0.. {
        log.append_blocking(append(vec![part("s", 1, &[&value(number)])]))
            .unwrap();
        if machine.disk.exists(&last).unwrap() {
            break;
        }
    }
    log.close();
    drop(log);
    remove(&machine, &last);
    let said: Vec<String> = verified(&machine).damage.iter().map(ToString::to_string).collect();
    assert!(
        said.len() == 1 && said[0].contains("journal/1: it is missing"),
        "{said:?}"
    );
    mend(&machine);
    assert_eq!(verified(&machine).damage, []);
}

#[test]
fn a_journal_file_that_was_written_over() {
    let first = Path::new(DIR).join("journal/0");
    let rewrite = |machine: &Simulation, bytes: &dyn Fn(usize) -> Vec<u8>| {
        let length = machine.disk.open(&first, OpenMode::Read).unwrap().len().unwrap();
        remove(machine, &first);
        let file = machine.disk.open(&first, OpenMode::ReadWrite).unwrap();
        file.write_all_at(&bytes(length as usize), 0).unwrap();
    };
    let other = [
        "journal/0: it has the name of a journal file",
        "lost: what was in it and in no segment yet",
    ];
    check(
        3,
        |machine| rewrite(machine, &|_| b"a list of things to do".to_vec()),
        &other,
        &[],
    );
    for less in [0, 1, 4096] {
        check(
            4,
            |machine| rewrite(machine, &|length| vec![b'x'; length - less]),
            &other,
            &[],
        );
    }
}

#[test]
fn a_file_that_is_none_of_the_journals() {
    let journal = Path::new(DIR).join("journal");
    let put = |machine: &Simulation, name: &str, bytes: &[u8]| {
        let file = machine.disk.open(&journal.join(name), OpenMode::ReadWrite).unwrap();
        file.write_all_at(bytes, 0).unwrap();
    };
    let words = [
        "journal/7: it has the name of a journal file",
        "lost: nothing",
        "move it out of the folder",
    ];
    check(1, |machine| put(machine, "7", b"a list of things to do"), &words, &[]);
    check(2, |machine| put(machine, "7", &[b'x'; 10_000]), &words, &[]);
    let copied = |machine: &Simulation| {
        let first = machine.disk.open(&journal.join("0"), OpenMode::Read).unwrap();
        put(machine, "7", &first.read_at(0, first.len().unwrap() as usize).unwrap());
    };
    check(3, copied, &words, &[]);
    // It is what the log says of itself, and nothing else is missing.
    let machine = filled(4);
    copied(&machine);
    let said: Vec<String> = verified(&machine).damage.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    let refused = log
        .append_blocking(append(vec![part("s", 0, &["next"])]))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("journal/7: it has the name"), "{refused}");
    // Other names are nobody's business.
    for name in ["07", "+7", "7.bak", "notes"] {
        let machine = filled(5);
        put(&machine, name, b"a list of things to do");
        assert_eq!(verified(&machine).damage, [], "{name}");
    }
}

#[test]
fn journal() {
    for header in [true, false] {
        let machine = left_open(1);
        let journal = Path::new(DIR).join("journal/0");
        let place = find(&machine, &journal, value(4).as_bytes());
        let place = if header { place / 4096 * 4096 + 8 } else { place };
        spoil(&machine, &journal, place);
        let said: Vec<String> = verified(&machine).damage.iter().map(ToString::to_string).collect();
        let said = said.join("\n");
        assert!(
            said.contains("journal/0 at byte") && said.contains("offsets 4..5 of partition 0"),
            "{said}"
        );
        let copies = mend(&machine);
        assert!(copies.contains(&Path::new(SIDE).join("journal/0")), "{copies:?}");
        assert_eq!(verified(&machine).damage, []);
        let values: Vec<Option<String>> = read(&machine).into_iter().map(|(_, value, ..)| value).collect();
        assert_eq!(values, expected(&[4]));
    }
}
