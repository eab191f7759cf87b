//! `headwater log verify` and `headwater log repair`, tried on the log of a real run that was damaged.

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use program::Program;

const SQL: &str = "CREATE STREAM IF NOT EXISTS notes (n BIGINT NOT NULL, text TEXT) WITH (partitions = 1);";

/// Runs `headwater log …`: its exit code and everything that it says.
fn log(verb: &str, data: &Path, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    let run = command.args(["log", verb, "--data"]).arg(data).args(more).output();
    let run = run.expect("the program starts");
    let mut said = String::from_utf8_lossy(&run.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&run.stderr));
    (run.status.code().expect("an exit code"), said)
}

/// A file below the log's folder whose name ends so, the largest there is.
fn largest(folder: &Path, ending: &str) -> PathBuf {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map_while(Result::ok) {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false if entry.path().to_string_lossy().ends_with(ending) => {
                    found.push((entry.metadata().expect("a file").len(), entry.path()));
                }
                false => {}
            }
        }
    }
    found.sort();
    found.pop().expect("such a file").1
}

fn spoil(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("the file is read");
    bytes[at] ^= 0x40;
    fs::write(path, bytes).expect("the file is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_named_repaired_and_goes_on() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), SQL);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    for n in 0..20 {
        let text = "x".repeat(200);
        let insert = format!("INSERT INTO notes VALUES ({n}, '{text}')");
        program.sql(&insert).await.expect("the event is taken");
    }
    let (status, _) = program.terminate();
    assert_eq!(status.code(), Some(0));
    let (code, said) = log("verify", &data, &[]);
    assert!(code == 0 && said.contains("20 events in 20 batches"), "{said}");
    let (code, said) = log("repair", &data, &["--yes"]);
    assert!(code == 0 && said.contains("nothing to repair"), "{said}");

    let batches = largest(&data.join("log/streams"), ".batches");
    let index = largest(&data.join("log/streams"), ".index");
    let length = fs::metadata(&batches).expect("the file is there").len() as usize;
    // Behind the head of a batch, in its event.
    spoil(&batches, length / 2 + 100);
    spoil(&index, 20);
    fs::remove_file(data.join("log/checkpoint")).expect("the checkpoint is removed");
    let (code, said) = log("verify", &data, &[]);
    assert_eq!(code, 4, "{said}");
    for words in [
        ".batches at byte",
        "lost: offsets 10..11 of notes/0",
        "CRC",
        ".index at byte 0",
        "when offsets 0..1 of notes/0 were appended, and by whom",
        "checkpoint: it is missing; lost: nothing",
        "notes: 1 partitions, 19 events in 19 batches",
        "DAMAGED",
    ] {
        assert!(said.contains(words), "{words} is not in:\n{said}");
    }

    // Without --yes nothing is changed.
    let (code, said) = log("repair", &data, &[]);
    assert!(
        code == 4 && said.contains("--yes") && said.contains("log-before-repair-1"),
        "{said}"
    );
    assert!(!data.join("log-before-repair-1").exists() && !data.join("log/checkpoint").exists());
    let damaged = fs::read(&batches).expect("the file is read");
    let (code, said) = log("repair", &data, &["--yes"]);
    assert!(code == 0 && said.contains("the log is whole"), "{said}");
    assert!(said.contains("views keep what they folded"), "{said}");
    let copy = largest(&data.join("log-before-repair-1"), ".batches");
    assert!(
        fs::read(&copy).expect("the copy is read") == damaged,
        "the copy is the file as it was"
    );
    let (code, said) = log("verify", &data, &[]);
    assert!(code == 0 && said.contains("19 events"), "{said}");

    let program = Program::start(&application, &data);
    assert_eq!(program.number("SELECT count(*) FROM notes").await, 19);
    assert_eq!(program.number("SELECT count(*) FROM notes WHERE n = 10").await, 0);
    let insert = "INSERT INTO notes VALUES (20, 'after')";
    program.sql(insert).await.expect("the event is taken");
    assert_eq!(program.number("SELECT count(*) FROM notes").await, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_a_reader_met_is_told_where_an_operator_looks() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), SQL);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    for n in 0..20 {
        let insert = format!("INSERT INTO notes VALUES ({n}, '{}')", "x".repeat(200));
        program.sql(&insert).await.expect("the event is taken");
    }
    program.terminate();
    let batches = largest(&data.join("log/streams"), ".batches");
    let length = fs::metadata(&batches).expect("the file is there").len() as usize;
    spoil(&batches, length / 2 + 100);

    let program = Program::start(&application, &data);
    let told = |path: &str| program.request("GET", path, &[], b"");
    let (status, health) = told("/health");
    assert!(status == 200 && health.contains("\"status\":\"ready\""), "{health}");
    assert!(told("/metrics").1.contains("\nheadwater_log_damaged_places 0\n"));
    let error = program
        .sql("SELECT count(*) FROM notes")
        .await
        .expect_err("it is damaged");
    let error = error.as_db_error().expect("an answer");
    assert!(
        error.code().code() == "58030" && error.message().contains("notes/0 is damaged at offset 10"),
        "{error}"
    );
    let (status, problem) = told("/streams/notes/events?from=notes/0@10");
    assert!(
        status == 500 && problem.contains("\"code\":\"damaged\""),
        "{status} {problem}"
    );
    let (status, health) = told("/health");
    assert_eq!(status, 200, "a restart does not help");
    for words in ["\"status\":\"degraded\"", "\"at\":\"notes/0@10\"", ".batches at byte"] {
        assert!(health.contains(words), "{words} is not in {health}");
    }
    assert!(told("/metrics").1.contains("\nheadwater_log_damaged_places 1\n"));
    let shown = program.sql("SHOW STREAMS").await.expect("an answer");
    let notes = shown
        .iter()
        .find(|row| row[0].as_deref() == Some("notes"))
        .expect("the stream");
    let says = notes.last().and_then(Option::as_deref).expect("the last column");
    assert!(says.starts_with("notes/0@10: ") && says.contains("CRC"), "{says}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_killed_is_no_damage() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), SQL);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    program
        .sql("INSERT INTO notes VALUES (1, 'one')")
        .await
        .expect("the event is taken");
    program.kill();
    let (code, said) = log("verify", &data, &[]);
    assert!(
        code == 0 && said.contains("go into segments at the next start"),
        "{said}"
    );
    assert!(said.contains("notes: 1 partitions, 1 events in 1 batches"), "{said}");
}
