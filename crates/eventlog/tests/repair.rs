//! Every kind of damage is named by a verification, which changes nothing, and mended by a repair, which loses nothing that is whole.

#[expect(dead_code, reason = "damage of the journal uses the rest")]
mod damaged;
mod making;

use std::fs;
use std::path::{Path, PathBuf};

use damaged::{DIR, SIDE, check, cut, expected, file, filled, left_open, mend, read, remove, spoil, verified};
use headwater_eventlog::{Damage, EventLog, Part, StoredBatch, StreamSettings, repair, verify};
use headwater_host::simulated::Simulation;
use headwater_host::{Disk, Host, OpenMode};
use headwater_records::{Batch, Compression, Event};
use making::{append, part, small};

#[test]
fn batches() {
    let batches = |machine: &Simulation| file(machine, 0, 1, "batches");
    // A byte of an event, a byte of a length, so that the next batch has to be looked for, and a byte of an offset, which no CRC covers.
    let words = ["00000000000000000003.batches at byte", "offsets 4..5 of s/0", "CRC"];
    check(1, |machine| spoil(machine, &batches(machine), 1_600), &words, &[4]);
    let length = |machine: &Simulation| spoil(machine, &batches(machine), 9);
    check(2, length, &["at byte 0", "offsets 3..4 of s/0"], &[3]);
    let offset = |machine: &Simulation| spoil(machine, &batches(machine), 6);
    check(3, offset, &["at byte 0", "offsets 3..4 of s/0"], &[3]);
    let short = |machine: &Simulation| cut(machine, &batches(machine), 2_500);
    check(4, short, &["offsets 5..6 of s/0"], &[5]);
    let gone = |machine: &Simulation| remove(machine, &batches(machine));
    check(5, gone, &["offsets 3..6 of s/0"], &[3, 4, 5]);
    let foreign = |machine: &Simulation| {
        let file = machine.disk.open(&batches(machine), OpenMode::ReadWrite).unwrap();
        file.write_all_at(&[0x55; 3_300], 0).unwrap();
    };
    check(6, foreign, &["offsets 3..6 of s/0"], &[3, 4, 5]);
    let last = |machine: &Simulation| remove(machine, &file(machine, 0, 2, "batches"));
    check(7, last, &["offsets 6..8 of s/0"], &[6, 7]);
}

#[test]
fn index() {
    let index = |machine: &Simulation| file(machine, 0, 1, "index");
    let words = [
        "00000000000000000003.index",
        "when offsets 4..5 of s/0 were appended, and by whom",
    ];
    let spoiled = |machine: &Simulation| spoil(machine, &index(machine), 60);
    let lost_facts = |damage: &dyn Fn(&Simulation), words: &[&str]| {
        let machine = filled(1);
        damage(&machine);
        let said: Vec<String> = verified(&machine).damage.iter().map(ToString::to_string).collect();
        let said = said.join("\n");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        mend(&machine);
        assert_eq!(verified(&machine).damage, []);
        let read = read(&machine);
        let values: Vec<Option<String>> = read.iter().map(|(_, value, ..)| value.clone()).collect();
        assert_eq!(values, expected(&[]), "every batch is whole");
        read
    };
    let read = lost_facts(&spoiled, &words);
    let facts = |offset: usize| (read[offset].2.as_str(), read[offset].3);
    assert_eq!(facts(3), ("bob", 1_004_000));
    assert_eq!(facts(4), ("?", 1_004_000), "the moment of the batch before it");
    assert_eq!(facts(5), ("bob", 1_006_000));
    let read = lost_facts(&|machine| remove(machine, &index(machine)), &["it is missing"]);
    let principals: Vec<&str> = read.iter().map(|(_, _, principal, _)| principal.as_str()).collect();
    assert_eq!(principals, ["alice", "bob", "alice", "?", "?", "?", "alice", "bob"]);
    lost_facts(&|machine| cut(machine, &index(machine), 100), &["it ends at byte"]);
}

/// Retention and idempotency keys go by these moments: a batch whose own is lost is neither of the far past nor of the future.
#[test]
fn a_lost_moment_is_that_of_the_writer_between_its_neighbours() {
    let check = |timestamps_ms: [i64; 6], whole: &[u64], expected_ms: [i64; 6]| {
        let machine = Simulation::new(1);
        machine.clock.set(5_000_000);
        let (log, _) = EventLog::open(machine.host(), Path::new(DIR), making::small()).unwrap();
        log.create_stream("s", 1, StreamSettings::default()).unwrap();
        for timestamp_ms in timestamps_ms {
            machine.clock.advance(10_000);
            let event = Event {
                value: Some("small".into()),
                timestamp_ms,
                ..Event::default()
            };
            let part = Part {
                stream: "s".to_owned(),
                partition: 0,
                batch: Batch::encode(&[event], Compression::None, None),
            };
            log.append_blocking(append(vec![part])).unwrap();
        }
        log.close();
        drop(log);
        let index = file(&machine, 0, 0, "index");
        let entry_bytes = machine.disk.open(&index, OpenMode::Read).unwrap().len().unwrap() / 6;
        match whole {
            [] => cut(&machine, &index, 0),
            whole => {
                for offset in (0..6).filter(|offset| !whole.contains(offset)) {
                    spoil(&machine, &index, offset * entry_bytes + 8);
                }
            }
        }
        mend(&machine);
        assert_eq!(verified(&machine).damage, []);
        let (log, _) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
        let read: Vec<StoredBatch> = log.read("s", 0, 0, 1 << 20).unwrap();
        let moments: Vec<i64> = read.iter().map(|stored| stored.appended_at_us / 1_000).collect();
        assert_eq!(moments, expected_ms, "of {timestamps_ms:?}, with {whole:?}");
    };
    // Appended at 5010, 5020 … 5060.
    check(
        [5_009, 5_019, 5_029, 5_039, 5_049, 5_059],
        &[],
        [5_010, 5_019, 5_029, 5_039, 5_049, 5_059],
    );
    check(
        [-1, 0, 1, 5_035, 5_033, i64::MAX / 1_000],
        &[],
        [5_010, 5_010, 5_010, 5_035, 5_035, 5_060],
    );
    check(
        [5_009, 9_999, 5_015, 0, 9_999, 5_059],
        &[2, 5],
        [5_010, 5_030, 5_030, 5_030, 5_060, 5_060],
    );
    check(
        [5_009, 5_012, 5_029, 5_039, 5_049, 5_059],
        &[0, 3],
        [5_010, 5_012, 5_029, 5_040, 5_049, 5_059],
    );
}

/// A log of two streams whose events take the same offsets and bytes, each in one segment.
fn twins() -> Simulation {
    let machine = Simulation::new(1);
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    for stream in ["s", "t"] {
        log.create_stream(stream, 1, StreamSettings::default()).unwrap();
        for number in 0..3 {
            let value = format!("{stream}:{number}");
            log.append_blocking(append(vec![part(stream, 0, &[&value])])).unwrap();
        }
    }
    log.close();
    machine
}

/// Copies the file with this ending of the twin `t` over that of `s`.
fn copy_of_twin(machine: &Simulation, ending: &str) {
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    let path = |stream: &str| {
        let folder = format!("streams/{:032x}/0/{:020}.{ending}", log.stream(stream).unwrap().id, 0);
        Path::new(DIR).join(folder)
    };
    let (from, to) = (path("t"), path("s"));
    log.close();
    let from = machine.disk.open(&from, OpenMode::Read).unwrap();
    let bytes = from.read_at(0, from.len().unwrap() as usize).unwrap();
    let to = machine.disk.open(&to, OpenMode::ReadWrite).unwrap();
    to.set_len(0).unwrap();
    to.write_all_at(&bytes, 0).unwrap();
    to.sync_data().unwrap();
}

#[test]
fn batches_of_another_stream_are_not_taken_for_the_stream_s_own() {
    let machine = twins();
    copy_of_twin(&machine, "batches");
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    let refused = log.read("s", 0, 0, 1 << 20).unwrap_err().to_string();
    assert!(
        refused.contains("is not the one that its index entry speaks of"),
        "{refused}"
    );
    log.close();
    drop(log);
    let said: Vec<String> = verified(&machine).damage.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    for word in [
        ".batches at byte 0",
        "is not the one that was written",
        "lost: offsets 0..3 of s/0",
    ] {
        assert!(said[0].contains(word), "{word} is not in {}", said[0]);
    }
    let copies = mend(&machine);
    assert!(
        copies
            .iter()
            .any(|copy| copy.extension().is_some_and(|ending| ending == "batches"))
    );
    assert_eq!(verified(&machine).damage, []);
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    let left = log.read("s", 0, 0, 1 << 20).unwrap();
    assert!(
        left.iter().all(|stored| stored.batch.is_control()),
        "what is foreign is not believed"
    );
    assert_eq!(log.offsets("s", 0).unwrap().end, 3);
    assert_eq!(making::values(&log, "t", 0), ["t:0", "t:1", "t:2"]);
}

#[test]
fn an_index_of_another_stream_costs_no_batch() {
    let machine = twins();
    copy_of_twin(&machine, "index");
    let said: Vec<String> = verified(&machine).damage.iter().map(ToString::to_string).collect();
    let said = said.join("\n");
    for word in [
        ".index at byte 0: the entry is not what was written",
        "when offsets 0..1 of s/0 were appended",
    ] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    mend(&machine);
    assert_eq!(verified(&machine).damage, []);
    let (log, _) = EventLog::open(machine.host(), Path::new(DIR), small()).unwrap();
    let mut kept: Vec<String> = Vec::new();
    for stored in log.read("s", 0, 0, 1 << 20).unwrap() {
        let (_, event) = stored.batch.events().unwrap().remove(0);
        kept.push(String::from_utf8(event.value.unwrap().to_vec()).unwrap());
    }
    assert_eq!(kept, ["s:0", "s:1", "s:2"]);
}

#[test]
fn what_was_taken_back() {
    let aborted = |machine: &Simulation| file(machine, 1, 0, "aborted");
    check(
        1,
        |machine| spoil(machine, &aborted(machine), 12),
        &["aborted at byte 0"],
        &[],
    );
    check(
        2,
        |machine| remove(machine, &aborted(machine)),
        &["aborted: it is missing"],
        &[],
    );
}

#[test]
fn checkpoint_and_marker() {
    let path = |name: &str| Path::new(DIR).join(name);
    for copy in ["checkpoint", "checkpoint.copy"] {
        check(
            1,
            |machine| spoil(machine, &path(copy), 30),
            &[copy, "lost: nothing"],
            &[],
        );
        check(2, |machine| remove(machine, &path(copy)), &[copy, "it is missing"], &[]);
    }
    let marker = path("FORMAT");
    check(
        3,
        |machine| spoil(machine, &marker, 3),
        &["FORMAT", "lost: nothing"],
        &[],
    );
    check(4, |machine| remove(machine, &marker), &["FORMAT: it is missing"], &[]);
}

#[test]
fn a_folder_in_the_place_of_a_file_is_moved_aside() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("log");
    let machine = Host::real;
    let (log, _) = EventLog::open(machine(), &dir, small()).unwrap();
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    log.append_blocking(append(vec![part("s", 0, &["one"])])).unwrap();
    log.close();
    drop(log);
    let stream = fs::read_dir(dir.join("streams")).unwrap().next().unwrap().unwrap();
    let segment = stream.path().join("0/00000000000000000000");
    let places = [
        ("checkpoint.copy", dir.join("checkpoint.copy"), true),
        ("FORMAT", dir.join("FORMAT"), true),
        ("journal/0", dir.join("journal/0"), true),
        (".index", segment.with_extension("index"), true),
        (".batches", segment.with_extension("batches"), false),
    ];
    for (number, (name, path, is_kept)) in places.into_iter().enumerate() {
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("inside")).unwrap();
        let verified = verify(&machine(), &dir, |_| {}).unwrap().unwrap();
        let says = |damage: &Damage| damage.path == path && damage.what.contains("a folder stands in the place");
        assert!(verified.damage.iter().any(says), "{name}: {:?}", verified.damage);
        // A start that can go on does; one that cannot says what is in the way.
        if let Err(error) = EventLog::open(machine(), &dir, small()) {
            let said = error.to_string();
            assert!(
                said.contains(name) && said.contains("a folder stands in the place of a file"),
                "{said}"
            );
        }
        let side = scratch.path().join(format!("side-{number}"));
        let repaired = repair(&machine(), &dir, &side, &small(), |_| {}).unwrap().unwrap();
        let moved = side.join(path.strip_prefix(&dir).unwrap());
        assert!(
            moved.join("inside").is_dir() && repaired.copies.contains(&moved),
            "{repaired:?}"
        );
        let verified = verify(&machine(), &dir, |_| {}).unwrap().unwrap();
        assert!(verified.damage.is_empty(), "{name}: {:?}", verified.damage);
        let (log, recovery) = EventLog::open(machine(), &dir, small()).unwrap();
        assert!(recovery.damage.is_empty() && log.stopped().is_none(), "{name}");
        let left = log.read_stored("s", 0, 0, u64::MAX, 1 << 20).unwrap();
        let values: usize = left.iter().map(|stored| stored.batch.events().unwrap().len()).sum();
        assert_eq!(values, usize::from(is_kept), "{name}");
        log.close();
    }
}

#[test]
fn what_is_whole_is_not_touched_and_what_is_strange_is_named() {
    let machine = filled(1);
    let strange = file(&machine, 0, 0, "batches").with_file_name("notes.txt");
    let file = machine.disk.open(&strange, OpenMode::CreateNew).unwrap();
    file.write_all_at(b"x", 0).unwrap();
    let found = verified(&machine);
    assert_eq!(found.damage, []);
    assert_eq!(found.strange, [strange]);
    let before = machine.disk.operations();
    assert_eq!(mend(&machine), Vec::<PathBuf>::new());
    assert_eq!(machine.disk.operations(), before);
    // Of a log that was not closed, the journal's batches count too.
    let found = verified(&left_open(2));
    assert_eq!(found.damage, []);
    assert_eq!((found.streams[0].events, found.streams[0].batches), (9, 10));
    assert!(found.journal_batches > 0);
}

#[test]
fn a_repair_that_is_broken_off_is_begun_again() {
    for operation in 1..60 {
        let machine = filled(3);
        spoil(&machine, &file(&machine, 0, 1, "batches"), 1_600);
        spoil(&machine, &file(&machine, 0, 1, "index"), 150);
        let last = machine.disk.operations();
        machine.disk.cut_power_at(last + operation);
        let side = PathBuf::from(format!("/data/side-{operation}"));
        let broken_off = repair(&machine.host(), Path::new(DIR), &side, &small(), |_| {}).is_err();
        machine.disk.cut_power();
        machine.disk.restart();
        mend(&machine);
        assert_eq!(verified(&machine).damage, []);
        let values: Vec<Option<String>> = read(&machine).into_iter().map(|(_, value, ..)| value).collect();
        assert_eq!(values, expected(&[4]), "cut at operation {operation}");
        if !broken_off {
            return;
        }
    }
    panic!("a repair takes more operations than were tried");
}

#[test]
fn there_may_be_no_log() {
    let machine = Simulation::new(1);
    assert!(
        verify(&machine.host(), Path::new("/nothing"), |_| {})
            .unwrap()
            .is_none()
    );
    let repaired = repair(
        &machine.host(),
        Path::new("/nothing"),
        Path::new(SIDE),
        &small(),
        |_| {},
    );
    assert!(repaired.unwrap().is_none());
}
