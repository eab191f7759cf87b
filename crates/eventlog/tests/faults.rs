//! What the log does when the disk fails, is full, was changed behind its back, or belongs to another.

mod making;

use std::path::{Path, PathBuf};

use headwater_eventlog::{
    AppendError, EventLog, OpenError, ReadError, Recovery, StreamError, StreamSettings, repair, verify,
};
use headwater_host::simulated::{Fault, Simulation};
use headwater_host::{Disk, Host, OpenMode};
use making::{append, part, small, values, values_from};

const DIR: &str = "/data";

fn open(machine: &Simulation) -> (EventLog, Recovery) {
    EventLog::open(machine.host(), Path::new(DIR), small()).unwrap()
}

/// A log with stream s of two partitions and these values in partition 0, one append each.
fn filled(machine: &Simulation, appended: &[&str]) -> EventLog {
    let (log, _) = open(machine);
    log.create_stream("s", 2, StreamSettings::default()).unwrap();
    for value in appended {
        log.append_blocking(append(vec![part("s", 0, &[value])])).unwrap();
    }
    log
}

fn stopped(error: AppendError) -> String {
    match error {
        AppendError::Stopped { why } => why,
        other => panic!("{other}"),
    }
}

/// Changes one byte of a file.
fn spoil(machine: &Simulation, path: &Path, at: u64) {
    let file = machine.disk.open(path, OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
    file.sync_data().unwrap();
}

/// The first place of some bytes in a file.
fn find(machine: &Simulation, path: &Path, wanted: &[u8]) -> u64 {
    let bytes = bytes_of(machine, path);
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap() as u64
}

/// All bytes of a file.
fn bytes_of(machine: &Simulation, path: &Path) -> Vec<u8> {
    let file = machine.disk.open(path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// The files of a partition's segments with this ending.
fn segment_files(machine: &Simulation, partition: u32, ending: &str) -> Vec<PathBuf> {
    let streams = machine.disk.list(&Path::new(DIR).join("streams")).unwrap();
    let files = machine.disk.list(&streams[0].join(partition.to_string())).unwrap();
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect()
}

#[test]
fn a_failed_write_or_flush_stops_the_log_and_reads_go_on() {
    let faults = [
        (None, Some(Fault::Device), "Input/output error"),
        (Some(Fault::Device), None, "Input/output error"),
        // A flush that fails for want of room: what it was to cover may be lost all the same.
        (None, Some(Fault::Full), "the disk is full: free space on it"),
    ];
    for (write, sync, expected) in faults {
        let machine = Simulation::new(1);
        let log = filled(&machine, &["1", "2"]);
        // Segments are written by then: what fails is the next frame.
        log.tend();
        let commits = log.commits();
        machine.disk.fail_writes(write);
        machine.disk.fail_syncs(sync);
        let why = stopped(log.append_blocking(append(vec![part("s", 0, &["3"])])).unwrap_err());
        assert!(why.contains(expected) && why.contains("/data/journal/0"), "{why}");
        assert!(commits.has_changed().unwrap(), "whoever waits is woken");
        // Also when the disk works again: only recovery may judge what it holds.
        machine.disk.fail_writes(None);
        machine.disk.fail_syncs(None);
        assert_eq!(
            stopped(log.append_blocking(append(vec![part("s", 1, &["4"])])).unwrap_err()),
            why
        );
        assert!(matches!(
            log.create_stream("t", 1, StreamSettings::default()),
            Err(StreamError::Stopped(_))
        ));
        assert!(matches!(log.new_producer_id(), Err(StreamError::Stopped(_))));
        assert_eq!(log.stopped(), Some(why));
        assert_eq!(values(&log, "s", 0), ["1", "2"]);
        assert_eq!(log.offsets("s", 0).unwrap().high_watermark, 2);
        log.close();
        drop(log);

        let (log, recovery) = open(&machine);
        assert_eq!(recovery.damage, Vec::<String>::new());
        assert_eq!(&values(&log, "s", 0)[..2], ["1", "2"]);
        log.append_blocking(append(vec![part("s", 0, &["5"])])).unwrap();
    }
}

#[test]
fn a_segment_that_cannot_be_written_stops_the_log_and_loses_nothing() {
    let machine = Simulation::new(2);
    let log = filled(&machine, &["1", "2"]);
    machine.disk.fail_writes(Some(Fault::Device));
    log.close();
    drop(log);
    machine.disk.fail_writes(None);
    let (log, recovery) = open(&machine);
    assert_eq!(recovery.batches_replayed, 2);
    assert_eq!(values(&log, "s", 0), ["1", "2"]);
}

#[test]
fn a_damaged_journal_below_the_durable_end_is_reported_and_nothing_is_written() {
    for spoil_header in [false, true] {
        let machine = Simulation::new(3);
        drop(filled(&machine, &["one", "two", "three"]));
        let journal = Path::new(DIR).join("journal/0");
        let payload = find(&machine, &journal, b"two");
        spoil(
            &machine,
            &journal,
            if spoil_header {
                payload / 4096 * 4096 + 8
            } else {
                payload
            },
        );
        let (log, recovery) = open(&machine);
        let before = machine.disk.operations();
        let damage = recovery.damage.join("\n");
        assert!(
            damage.contains("/data/journal/0") && damage.contains("acknowledged"),
            "{damage}"
        );
        assert!(damage.contains("offsets 1..2 of partition 0"), "{damage}");
        let why = stopped(log.append_blocking(append(vec![part("s", 0, &["4"])])).unwrap_err());
        assert!(
            why.contains("/data/journal/0 at byte") && why.contains("restore the file from a copy"),
            "{why}"
        );
        assert_eq!(values_from(&log, "s", 0, 2).unwrap(), ["three"]);
        assert_eq!(log.read("s", 0, 0, 1 << 20).unwrap().len(), 1);
        assert!(matches!(
            log.read("s", 0, 1, 1),
            Err(ReadError::Damaged { offset: 1, .. })
        ));
        log.close();
        drop(log);
        assert_eq!(machine.disk.operations(), before, "a damaged log is not written to");
        // Put right, it is whole again.
        spoil(
            &machine,
            &journal,
            if spoil_header {
                payload / 4096 * 4096 + 8
            } else {
                payload
            },
        );
        let (log, recovery) = open(&machine);
        assert_eq!(recovery.damage, Vec::<String>::new());
        assert_eq!(values(&log, "s", 0), ["one", "two", "three"]);
    }
}

#[test]
fn a_bad_newest_frame_is_a_torn_tail_and_is_cut() {
    for spoil_header in [false, true] {
        let machine = Simulation::new(4);
        drop(filled(&machine, &["one", "two"]));
        let journal = Path::new(DIR).join("journal/0");
        let payload = find(&machine, &journal, b"two");
        spoil(
            &machine,
            &journal,
            if spoil_header {
                payload / 4096 * 4096 + 8
            } else {
                payload
            },
        );
        let (log, recovery) = open(&machine);
        assert_eq!(recovery.damage, Vec::<String>::new());
        assert_eq!(recovery.tail_bytes_cut, 4096);
        assert_eq!(values(&log, "s", 0), ["one"]);
        assert_eq!(
            log.append_blocking(append(vec![part("s", 0, &["2"])]))
                .unwrap()
                .base_offsets,
            [1]
        );
        drop(log);
        let (log, _) = open(&machine);
        assert_eq!(values(&log, "s", 0), ["one", "2"]);
    }
}

#[test]
fn damage_in_a_segment_is_named_with_file_and_place() {
    let machine = Simulation::new(5);
    let log = filled(&machine, &["one", "two", "three"]);
    log.append_blocking(append(vec![part("s", 1, &["other"])])).unwrap();
    log.close();
    drop(log);
    let batches = segment_files(&machine, 0, "batches").remove(0);
    spoil(&machine, &batches, find(&machine, &batches, b"two"));
    let (log, recovery) = open(&machine);
    assert_eq!(
        recovery.damage,
        Vec::<String>::new(),
        "a start does not read every segment"
    );
    assert_eq!(
        log.read("s", 0, 0, 1 << 20).unwrap().len(),
        1,
        "what stands before the damage is given"
    );
    match log.read("s", 0, 1, 1 << 20) {
        Err(ReadError::Damaged { offset: 1, what, .. }) => {
            assert!(
                what.contains(batches.to_str().unwrap()) && what.contains("at byte") && what.contains("CRC"),
                "{what}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(values_from(&log, "s", 0, 2).unwrap(), ["three"]);
    assert_eq!(values(&log, "s", 1), ["other"]);
    assert_eq!(
        log.append_blocking(append(vec![part("s", 0, &["four"])]))
            .unwrap()
            .base_offsets,
        [3]
    );
}

#[test]
fn a_segment_that_is_cut_or_gone_is_found_by_a_survey_and_not_written_on() {
    for ending in ["batches", "index"] {
        for gone in [true, false] {
            let machine = Simulation::new(6);
            let log = filled(&machine, &["one", "two"]);
            log.close();
            drop(log);
            let path = segment_files(&machine, 0, ending).remove(0);
            if gone {
                machine.disk.remove_file(&path).unwrap();
            } else {
                let file = machine.disk.open(&path, OpenMode::ReadWrite).unwrap();
                file.set_len(file.len().unwrap() - 1).unwrap();
            }
            let (log, recovery) = open(&machine);
            assert_eq!(recovery.damage, Vec::<String>::new(), "a start looks at no segment");
            let survey = log.survey();
            assert_eq!(survey.len(), 1);
            assert_eq!(survey[0].path, path);
            assert!(survey[0].lost.contains("offsets 0..2"), "{}", survey[0]);
            assert!(matches!(log.read("s", 0, 1, 1), Err(ReadError::Damaged { .. })));
            // What comes now goes into a segment of its own.
            log.append_blocking(append(vec![part("s", 0, &["three"])])).unwrap();
            log.append_blocking(append(vec![part("s", 1, &["goes on"])])).unwrap();
            log.close();
            drop(log);
            let (log, _) = open(&machine);
            assert_eq!(log.survey(), survey);
            assert_eq!(values_from(&log, "s", 0, 2).unwrap(), ["three"]);
            assert_eq!(values(&log, "s", 1), ["goes on"]);
        }
    }
}

#[test]
fn a_clock_that_went_back_is_said_and_append_times_stand_still() {
    let machine = Simulation::new(8);
    machine.clock.set(2_000_000_000);
    drop(filled(&machine, &["one"]));
    machine.clock.set(500_000_000);
    let (log, recovery) = open(&machine);
    assert_eq!(recovery.clock_behind_us, 1_500_000_000);
    let appended = log.append_blocking(append(vec![part("s", 0, &["two"])])).unwrap();
    // Later than what came before by the least there is.
    assert_eq!(appended.appended_at_us, 2_000_000_001);
    // The same while the log is open, until it has caught up.
    assert_eq!(log.clock_behind_us(), 1_500_000_001);
    machine.clock.set(2_000_000_002);
    assert_eq!(log.clock_behind_us(), 0);
}

#[test]
fn a_log_whose_folder_was_taken_away_writes_into_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("data"), folder.path().join("away"));
    let open = || EventLog::open(Host::real(), &path, small()).unwrap().0;
    let first = open();
    first.create_stream("s", 1, StreamSettings::default()).unwrap();
    first.append_blocking(append(vec![part("s", 0, &["old"])])).unwrap();
    std::fs::rename(&path, &away).unwrap();
    let second = open();
    second.create_stream("s", 1, StreamSettings::default()).unwrap();
    second.append_blocking(append(vec![part("s", 0, &["new"])])).unwrap();
    // The first one finds out by itself, or where it would write by path.
    first.tend();
    let refused = first
        .append_blocking(append(vec![part("s", 0, &["lost"])]))
        .unwrap_err();
    assert!(stopped(refused).contains("the data folder was removed, moved or replaced"));
    first.close();
    second.append_blocking(append(vec![part("s", 0, &["newer"])])).unwrap();
    drop(second);
    let second = open();
    assert_eq!(values(&second, "s", 0), ["new", "newer"]);
    // A stop without a look before it writes nothing either.
    std::fs::remove_dir_all(&path).unwrap();
    second.close();
    assert!(!path.exists());
}

#[test]
fn folders_that_cannot_be_opened_say_why() {
    let machine = Simulation::new(7);
    let log = filled(&machine, &["one"]);
    let open = || EventLog::open(machine.host(), Path::new(DIR), small());
    assert!(matches!(open(), Err(OpenError::InUse(path)) if path == DIR));
    drop(log);

    let format = Path::new(DIR).join("FORMAT");
    let write_format = |text: &[u8]| {
        let file = machine.disk.open(&format, OpenMode::ReadWrite).unwrap();
        file.set_len(0).unwrap();
        file.write_all_at(text, 0).unwrap();
    };
    write_format(b"headwater log, format 2\n");
    assert!(matches!(open(), Err(OpenError::Newer { found: 2, known: 1, .. })));
    write_format(b"something else");
    assert!(matches!(open(), Err(OpenError::Damaged { path, .. }) if path.ends_with("FORMAT")));
    write_format(b"headwater log, format 1\n");
    drop(open().unwrap());

    // The marker says that there is a log: without it, a folder that holds one is never taken for an empty one.
    machine.disk.remove_file(&format).unwrap();
    assert!(matches!(open(), Err(OpenError::Damaged { what, .. }) if what.contains("missing")));
    write_format(b"headwater log, format 1\n");
    drop(open().unwrap());
}

#[test]
fn one_copy_of_the_checkpoint_is_enough() {
    let machine = Simulation::new(9);
    let log = filled(&machine, &["one"]);
    log.close();
    drop(log);
    let copies = ["checkpoint", "checkpoint.copy"].map(|name| Path::new(DIR).join(name));
    for copy in &copies {
        for gone in [true, false] {
            match gone {
                true => machine.disk.remove_file(copy).unwrap(),
                false => spoil(&machine, copy, 20),
            }
            let (log, recovery) = open(&machine);
            assert_eq!(recovery.damage, Vec::<String>::new());
            assert_eq!(recovery.mended.len(), 1);
            assert!(
                recovery.mended[0].contains(copy.to_str().unwrap()),
                "{:?}",
                recovery.mended
            );
            assert_eq!(values(&log, "s", 0), ["one"]);
            drop(log);
            let (_, recovery) = open(&machine);
            assert_eq!(recovery.mended, Vec::<String>::new(), "it was put right");
        }
    }
}

#[test]
fn without_a_copy_of_the_checkpoint_everything_is_refused_and_nothing_changed() {
    let machine = Simulation::new(10);
    let log = filled(&machine, &["one"]);
    log.close();
    drop(log);
    let [first, second] = ["checkpoint", "checkpoint.copy"].map(|name| Path::new(DIR).join(name));
    let whole = bytes_of(&machine, &second);
    spoil(&machine, &first, 20);
    machine.disk.remove_file(&second).unwrap();
    let before = machine.disk.operations();
    let (host, dir, side) = (machine.host(), Path::new(DIR), Path::new("/data/side"));
    let refusals = [
        EventLog::open(machine.host(), dir, small()).err(),
        verify(&host, dir, |_| {}).err(),
        repair(&host, dir, side, &small(), |_| {}).err(),
    ];
    for refusal in refusals {
        let Some(OpenError::Damaged { path, what }) = refusal else {
            panic!("two damaged checkpoints were taken for one: {refusal:?}");
        };
        assert_eq!(path, first.to_str().unwrap());
        for words in [
            "checkpoint: its CRC-32C does not match its bytes",
            "checkpoint.copy: it is missing",
            "restore one of the two files",
            "`headwater log verify`",
        ] {
            assert!(what.contains(words), "{words} is not in: {what}");
        }
    }
    assert_eq!(machine.disk.operations(), before, "nothing was changed");
    let file = machine.disk.open(&second, OpenMode::ReadWrite).unwrap();
    file.write_all_at(&whole, 0).unwrap();
    drop(file);
    let (log, recovery) = open(&machine);
    assert_eq!((recovery.damage.len(), recovery.mended.len()), (0, 1));
    assert_eq!(values(&log, "s", 0), ["one"]);
}
