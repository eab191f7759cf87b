//! The simulated disk keeps what was flushed and, over many seeds, loses, keeps, tears and reorders what was not.

use std::collections::BTreeSet;
use std::path::Path;

use headwater_host::simulated::{Fault, Simulation};
use headwater_host::{Disk, OpenMode};

const DIR: &str = "/d";
const FILE: &str = "/d/file";

/// Prepares a flushed file of 2 KiB of 'a', does something to the disk, cuts the power, and says what the file then is.
fn after_a_cut(seed: u64, change: impl FnOnce(&dyn Disk)) -> Option<String> {
    let machine = Simulation::new(seed);
    let disk = &machine.disk;
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let file = disk.open(Path::new(FILE), OpenMode::CreateNew).unwrap();
    file.write_all_at(&[b'a'; 2048], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    change(disk);
    disk.cut_power();
    assert!(file.len().is_err());
    disk.restart();
    assert!(file.len().is_err(), "a file opened before the cut is dead");
    let file = disk.open(Path::new(FILE), OpenMode::Read).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let sectors = bytes.chunks(512).map(|sector| {
        if sector.iter().all(|byte| *byte == sector[0]) {
            sector[0] as char
        } else {
            '?'
        }
    });
    Some(
        sectors
            .map(|sector| if sector == '\0' { '0' } else { sector })
            .collect(),
    )
}

/// Everything that comes out of a change over many seeds.
fn outcomes(change: fn(&dyn Disk)) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    for seed in 0..400 {
        found.insert(after_a_cut(seed, change).unwrap_or("lost".to_owned()));
    }
    found
}

fn write(disk: &dyn Disk, path: &str, byte: u8, sectors: usize, at: u64, flush: bool) {
    let file = disk.open(Path::new(path), OpenMode::ReadWrite).unwrap();
    file.write_all_at(&vec![byte; sectors * 512], at).unwrap();
    if flush {
        file.sync_data().unwrap();
    }
}

#[test]
fn flushed_bytes_stay_and_others_may_go() {
    assert_eq!(outcomes(|_| {}), BTreeSet::from(["aaaa".to_owned()]));
    assert_eq!(
        outcomes(|disk| write(disk, FILE, b'b', 4, 0, true)),
        BTreeSet::from(["bbbb".to_owned()])
    );
    let together = |disk: &dyn Disk| {
        write(disk, FILE, b'b', 4, 0, false);
        disk.sync_all(Path::new(DIR)).unwrap();
    };
    assert_eq!(outcomes(together), BTreeSet::from(["bbbb".to_owned()]));
    let torn = outcomes(|disk| write(disk, FILE, b'b', 4, 0, false));
    for expected in ["aaaa", "bbbb", "baaa", "bbba", "abab", "aabb"] {
        assert!(torn.contains(expected), "{expected} is not in {torn:?}");
    }
    let reordered = outcomes(|disk| {
        write(disk, FILE, b'b', 1, 2048, false);
        write(disk, FILE, b'c', 1, 2560, false);
    });
    assert_eq!(
        reordered,
        BTreeSet::from(["aaaa", "aaaab", "aaaabc", "aaaa0c"].map(str::to_owned))
    );
}

#[test]
fn names_are_durable_with_their_folder() {
    let rename = |disk: &dyn Disk| {
        write(disk, "/d/new", b'n', 4, 0, true);
        disk.rename(Path::new("/d/new"), Path::new(FILE)).unwrap();
    };
    assert_eq!(outcomes(rename), BTreeSet::from(["aaaa".to_owned(), "nnnn".to_owned()]));
    let flushed = outcomes(|disk| {
        write(disk, "/d/new", b'n', 4, 0, true);
        disk.rename(Path::new("/d/new"), Path::new(FILE)).unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
    });
    assert_eq!(flushed, BTreeSet::from(["nnnn".to_owned()]));
    let removed = outcomes(|disk| disk.remove_file(Path::new(FILE)).unwrap());
    assert_eq!(removed, BTreeSet::from(["aaaa".to_owned(), "lost".to_owned()]));
}

#[test]
fn power_goes_at_the_operation_it_is_told() {
    for cut in 1..=4 {
        let machine = Simulation::new(cut);
        machine.disk.cut_power_at(cut);
        let mut done = 0;
        for number in 0..4 {
            done += u64::from(machine.disk.create_dir_all(Path::new(&format!("/{number}"))).is_ok());
        }
        assert_eq!(done, cut - 1);
        assert!(machine.disk.is_off());
    }
}

#[test]
fn faults_are_the_errors_of_a_real_disk() {
    let machine = Simulation::new(1);
    let file = machine.disk.open(Path::new("/file"), OpenMode::CreateNew).unwrap();
    machine.disk.fail_writes(Some(Fault::Full));
    assert_eq!(
        file.write_all_at(b"x", 0).unwrap_err().kind(),
        std::io::ErrorKind::StorageFull
    );
    machine.disk.fail_writes(None);
    machine.disk.fail_syncs(Some(Fault::Device));
    file.write_all_at(b"x", 0).unwrap();
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
    machine.disk.fail_syncs(None);
    file.sync_data().unwrap();
    machine.disk.fail_opens(Some(Fault::OpenFiles));
    let refused = machine.disk.open(Path::new("/file"), OpenMode::Read).err();
    assert_eq!(refused.and_then(|error| error.raw_os_error()), Some(24));
    assert_eq!(
        machine.disk.sync_dir(Path::new("/")).unwrap_err().raw_os_error(),
        Some(24)
    );
    // What is open stays so, and a look at a name opens nothing.
    file.write_all_at(b"y", 0).unwrap();
    let found = machine.disk.identity(Path::new("/file")).unwrap();
    assert_eq!(found, Some(file.identity().unwrap()));
    machine.disk.fail_opens(None);
    machine.disk.sync_dir(Path::new("/")).unwrap();
}

#[test]
fn a_name_says_which_file_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for host in [Simulation::new(1).host(), headwater_host::Host::real()] {
        let disk = host.disk;
        disk.create_dir_all(dir.path()).unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        assert_eq!(disk.identity(&path).unwrap(), Some(file.identity().unwrap()));
        disk.rename(&path, &other).unwrap();
        assert_eq!(disk.identity(&path).unwrap(), None);
        let new = disk.open(&path, OpenMode::CreateNew).unwrap();
        assert_eq!(disk.identity(&path).unwrap(), Some(new.identity().unwrap()));
        assert_ne!(new.identity().unwrap(), file.identity().unwrap());
    }
}

#[test]
fn one_holder_of_a_lock() {
    for host in [Simulation::new(1).host(), headwater_host::Host::real()] {
        let dir = tempfile::tempdir().unwrap();
        host.disk.create_dir_all(dir.path()).unwrap();
        let path = dir.path().join("LOCK");
        let first = host.disk.open(&path, OpenMode::ReadWrite).unwrap();
        let second = host.disk.open(&path, OpenMode::ReadWrite).unwrap();
        assert!(first.try_lock().unwrap());
        assert!(!second.try_lock().unwrap());
        drop(first);
        assert!(second.try_lock().unwrap());
    }
}

#[test]
fn the_same_seed_gives_the_same_machine() {
    let rolls = |seed| {
        let host = Simulation::new(seed).host();
        [host.dice.roll(), host.dice.roll(), host.dice.roll()]
    };
    assert_eq!(rolls(7), rolls(7));
    assert_ne!(rolls(7), rolls(8));
}
