//! Checkpoints written, read, cut at every byte, and damaged at any.

use std::sync::Arc;

use super::*;
use crate::Row;

fn position() -> Position {
    "s/0@7,1@3;t/0@9".parse().expect("a position")
}

/// Rows of several blocks.
fn rows(count: u32) -> Vec<Row> {
    let value = |number: u32| number.to_le_bytes().repeat(number as usize % 40);
    (0..count)
        .map(|number| (number.to_be_bytes().to_vec(), value(number)))
        .collect()
}

fn written(folder: &CheckpointFolder, number: u64, rows: Vec<Row>) -> Option<u64> {
    let rows = Box::new(rows.into_iter().map(Ok));
    folder
        .write(number, &position(), rows, &|| true)
        .expect("it is written")
}

#[test]
fn what_was_written_is_read_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path().join("checkpoints");
    let (folder, listed) = CheckpointFolder::open(&dir, 5);
    assert_eq!(listed, []);
    for (number, count) in [(1, 0), (2, 1), (3, 5_000)] {
        let bytes = written(&folder, number, rows(count)).expect("it was not given up");
        let checkpoint = Arc::new(folder.read(number).expect("it is whole"));
        assert_eq!(
            (checkpoint.position(), checkpoint.row_count()),
            (&position(), u64::from(count))
        );
        let read: Vec<Row> = checkpoint.rows().collect::<Result<_, _>>().expect("rows");
        assert_eq!(read, rows(count));
        let (_, listed) = CheckpointFolder::open(&dir, 5);
        let expected = Listed {
            number,
            position: position(),
            bytes,
        };
        assert_eq!(listed.last(), Some(&expected));
    }
    let open = Arc::new(folder.read(3).expect("it is whole"));
    folder.remove(3).expect("it goes");
    assert_eq!(open.rows().filter(Result::is_ok).count(), 5_000, "who reads it goes on");
    let (_, listed) = CheckpointFolder::open(&dir, 6);
    assert_eq!(listed, [], "rows of another layout");
    assert_eq!(files::list(&dir), Vec::<PathBuf>::new(), "go");
}

#[test]
fn what_is_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (folder, _) = CheckpointFolder::open(dir.path(), 5);
    let rows = Box::new(rows(5_000).into_iter().map(Ok));
    assert_eq!(folder.write(1, &position(), rows, &|| false).expect("no error"), None);
    let broken = [Ok(Row::default()), Err(failed(dir.path(), "the disk is gone"))];
    folder
        .write(2, &position(), Box::new(broken.into_iter()), &|| true)
        .expect_err("the rows do not come");
    assert_eq!(files::list(dir.path()), Vec::<PathBuf>::new());
    std::fs::write(dir.path().join("00000000000000000003.making"), b"").expect("a file");
    std::fs::write(dir.path().join("notes"), b"mine").expect("a file");
    CheckpointFolder::open(dir.path(), 5);
    assert_eq!(files::list(dir.path()), [dir.path().join("notes")]);
}

#[test]
fn what_is_cut_or_damaged_is_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let (folder, _) = CheckpointFolder::open(dir.path(), 5);
    written(&folder, 1, rows(60));
    let path = folder.path(1);
    let whole = std::fs::read(&path).expect("a file");
    let check = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).expect("a file");
        assert!(folder.read(1).is_err(), "{what}");
    };
    for length in 0..whole.len() {
        check(&whole[..length], &format!("cut after {length} bytes"));
        let mut damaged = whole.clone();
        damaged[length] ^= 1;
        check(&damaged, &format!("damaged at {length}"));
    }
    check(&[whole.as_slice(), &[0]].concat(), "something behind it");
    let frame = |kind, body: &[u8]| {
        let prefix = format::Prefix::of(kind, body).expect("a frame");
        [prefix.bytes().as_slice(), body].concat()
    };
    let head = frame(format::HEAD, &format::head(5, &position()));
    // A length that nothing could have been packed from is not reserved in memory.
    let huge = frame(format::ROWS, &u32::MAX.to_le_bytes());
    check(&[head.as_slice(), &huge].concat(), "rows of a length that cannot be");
    let end = frame(format::END, &1_u64.to_le_bytes());
    check(&[head, end].concat(), "more rows are counted than there are");
    std::fs::write(&path, &whole).expect("a file");
    assert!(folder.read(1).is_ok());
}
