//! A real file system that is really full: the program refuses what is new, goes on answering, and takes events again when there is room.
//!
//! Needs root and a loop device; where it cannot mount one it says that it was skipped.

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use program::{PATIENCE, Program, until};

const SQL: &str = "CREATE STREAM IF NOT EXISTS notes (n BIGINT NOT NULL, text TEXT) WITH (partitions = 1);";

/// Enough for the journal's files and the reserve, and some more.
const DISK_BYTES: u64 = 400 * 1024 * 1024;

/// A small file system of its own, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, with a line that says so, where this machine does not let us mount one.
    fn mount(folder: &Path) -> Option<SmallDisk> {
        let (image, point) = (folder.join("image"), folder.join("disk"));
        fs::create_dir(&point).expect("the mount point is made");
        let file = fs::File::create(&image).expect("the image is made");
        file.set_len(DISK_BYTES).expect("the image has its length");
        let run = |program: &str, arguments: &[&Path]| {
            let output = Command::new(program).args(arguments).output();
            output.is_ok_and(|output| output.status.success())
        };
        let made = run("mkfs.ext4", &[Path::new("-q"), &image])
            && run("mount", &[Path::new("-o"), Path::new("loop"), &image, &point]);
        if !made {
            eprintln!(
                "SKIPPED: a small file system cannot be mounted here (it takes root, mkfs.ext4 and a loop device)"
            );
            return None;
        }
        Some(SmallDisk(point))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}

/// One event of about a mebibyte; the status of the answer, and its text.
fn append(program: &Program, n: usize) -> (u16, String) {
    let text = "x".repeat(900 * 1024);
    let body = format!(r#"{{"n":{n},"text":"{text}"}}"#);
    let headers = [("Content-Type", "application/json")];
    program.request("POST", "/streams/notes/events", &headers, body.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_serves_and_recovers() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        return;
    };
    let application = program::application(folder.path(), SQL);
    let data = disk.0.join("data");
    let program = Program::start(&application, &data);
    let mut taken = 0;
    let refusal = loop {
        match append(&program, taken) {
            (200 | 201, _) => taken += 1,
            refused => break refused,
        }
        assert!(taken < 1_000, "the disk does not fill up");
    };
    assert_eq!(refusal.0, 507, "{}", refusal.1);
    assert!(
        refusal.1.contains("disk-full") && refusal.1.contains("free space"),
        "{}",
        refusal.1
    );
    // Whoever looks after it sees so, with what to do.
    let health = |program: &Program| {
        let (status, health) = program.request("GET", "/health", &[], b"");
        assert_eq!(status, 200, "{health}");
        let health: serde_json::Value = serde_json::from_str(&health).expect("JSON");
        health["appends_refused"].clone()
    };
    let refused = health(&program);
    let why = refused["why"].as_str().unwrap_or_default();
    assert!(
        why.contains("the disk is full") && refused["since"].is_string(),
        "{refused}"
    );
    let is_full = |program: &Program| {
        let (_, metrics) = program.request("GET", "/metrics", &[], b"");
        metrics.lines().any(|line| line == "headwater_log_full 1")
    };
    assert!(is_full(&program));
    // Reads go on; statements that write are refused with a state of their own.
    assert_eq!(program.number("SELECT count(*) FROM notes").await, taken as i64);
    let insert = program.sql("INSERT INTO notes VALUES (0, '')").await;
    let state = insert.expect_err("the disk is full").code().cloned();
    assert_eq!(state, Some(tokio_postgres::error::SqlState::DISK_FULL));
    let create = program.sql("CREATE STREAM more").await;
    let state = create.expect_err("the disk is full").code().cloned();
    assert_eq!(state, Some(tokio_postgres::error::SqlState::DISK_FULL));
    let (status, answer) = program.request("POST", "/sql", &[], b"INSERT INTO notes VALUES (0, '')");
    assert!(status == 507 && answer.contains("disk_full"), "{status}: {answer}");
    // Killed and started while it is full: nothing is lost, it is still full, and a drop makes room.
    program.kill();
    let program = Program::start(&application, &data);
    assert_eq!(program.number("SELECT count(*) FROM notes").await, taken as i64);
    program.sql("DROP STREAM notes").await.expect("the stream is dropped");
    let create = "CREATE STREAM notes (n BIGINT NOT NULL, text TEXT) WITH (partitions = 1)";
    until("there is room again", async || program.sql(create).await.is_ok()).await;
    let (status, answer) = append(&program, 0);
    assert!((200..300).contains(&status), "{status}: {answer}");
    assert_eq!(program.number("SELECT count(*) FROM notes").await, 1);
    assert!(health(&program).is_null() && !is_full(&program), "that is over");
    let (status, _) = program.terminate();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_must_not_grow_is_told_like_a_full_disk() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), SQL);
    let program = Program::start(&application, &folder.path().join("data"));
    let limit = |bytes: &str| {
        let id = program.id().to_string();
        let limited = Command::new("prlimit")
            .args(["--pid", &id, &format!("--fsize={bytes}:")])
            .status();
        limited.is_ok_and(|status| status.success())
    };
    if !limit("1000000") {
        eprintln!("SKIPPED: the size of a program's files cannot be limited here (it takes prlimit)");
        return;
    }
    let is_over = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        // What comes to the limit first is under way, and waits for it to be lifted.
        let writer = scope.spawn(|| {
            let mut taken = 0;
            while !is_over.load(Ordering::SeqCst) {
                match append(&program, taken) {
                    (200 | 201, _) => taken += 1,
                    (507, _) => std::thread::sleep(Duration::from_millis(100)),
                    other => panic!("{other:?}"),
                }
            }
            taken
        });
        let until_told = |is_so: bool, what: &str| {
            let began = Instant::now();
            while program.request("GET", "/health", &[], b"").1.contains("File too large") != is_so {
                assert!(began.elapsed() < PATIENCE, "{what}");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        until_told(true, "no file comes to the limit");
        let refusal = append(&program, 0);
        assert!(refusal.0 == 507 && refusal.1.contains("File too large"), "{refusal:?}");
        assert!(limit("unlimited"), "the limit is lifted");
        until_told(false, "it may grow again");
        is_over.store(true, Ordering::SeqCst);
        writer.join().expect("each append is answered")
    });
    assert_eq!(program.number("SELECT count(*) FROM notes").await, taken as i64);
}
