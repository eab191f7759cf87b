//! Standard error of a running program: what its operator reads there, and that it runs where nobody can.

mod program;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use headwater_eventlog::{Append, EventLog, LogOptions, Part, StreamSettings};
use headwater_host::Host;
use headwater_host::simulated::Simulation;
use headwater_records::{Batch, Compression, Event};
use program::LEDGER_SQL;

/// The start of an application without doors.
fn without_doors(application: &Path, data: &Path) -> Command {
    let mut start = Command::new(env!("CARGO_BIN_EXE_headwater"));
    start.arg("run").arg(application).arg("--data").arg(data);
    for door in ["--kafka", "--postgres", "--http"] {
        start.args([door, "none"]);
    }
    start.stdin(Stdio::null());
    start
}

#[test]
fn a_clock_behind_the_log_is_said_at_the_start() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (application, data) = (
        program::application(folder.path(), LEDGER_SQL),
        folder.path().join("data"),
    );
    let ahead = Simulation::new(1);
    ahead.clock.set(Host::real().clock.now_us() + 5 * 3_600_000_000);
    let host = Host {
        clock: ahead.host().clock,
        ..Host::real()
    };
    let (log, _) = EventLog::open(host, &data.join("log"), LogOptions::default()).expect("the log opens");
    log.create_stream("other", 1, StreamSettings::default())
        .expect("the stream is made");
    log.append_blocking(Append {
        parts: vec![Part {
            stream: "other".to_owned(),
            partition: 0,
            batch: Batch::encode(&[Event::default()], Compression::None, None),
        }],
        principal: "test".to_owned(),
        condition: None,
    })
    .expect("it is appended");
    log.close();
    drop(log);

    let mut running = without_doors(&application, &data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(running.stderr.take().expect("standard error is piped")).lines();
    let (said, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || said.send(lines.find_map(|line| line.ok().filter(|line| line.contains("the clock: ")))));
    let line = heard.recv_timeout(Duration::from_secs(60));
    running.kill().expect("it ends");
    running.wait().expect("it has ended");
    let line = line
        .expect("something is said in time")
        .expect("the clock is spoken of");
    assert!(line.contains("it is 5 hours behind the last append"), "{line}");
}

#[test]
fn it_stops_as_ever_where_nothing_can_be_said() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), LEDGER_SQL);
    let data = folder.path().join("data");
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("a full device");
    let mut running = without_doors(&application, &data)
        .stdout(Stdio::piped())
        .stderr(full)
        .spawn()
        .expect("the program starts");
    let said = BufReader::new(running.stdout.take().expect("its output"));
    let ready = said.lines().map_while(Result::ok).any(|line| line.starts_with("ready"));
    assert!(ready, "the program starts");
    let told = Command::new("kill").arg(running.id().to_string()).status();
    assert!(told.expect("kill(1) starts").success());
    let ended = running.wait().expect("it ends");
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn what_was_asked_for_is_no_error() {
    const SQL: &str = "CREATE STREAM o (id TEXT NOT NULL, n BIGINT) KEY (id) WITH (partitions = 1);\n\
        CREATE STREAM p KEY (id) AS SELECT id, n FROM o;";
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), SQL);
    let errors = folder.path().join("errors");
    let mut start = program::command();
    start
        .arg("run")
        .arg(&application)
        .arg("--data")
        .arg(folder.path().join("data"));
    start.args(["--kafka", "none", "--http", "none", "--postgres", "127.0.0.1:0"]);
    let mut running = start
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&errors).expect("a file"))
        .spawn()
        .expect("the program starts");
    let said = BufReader::new(running.stdout.take().expect("its output")).lines();
    let mut door = String::new();
    for line in said.map_while(Result::ok) {
        if let Some(address) = line.strip_prefix("postgres ") {
            address.trim().clone_into(&mut door);
        }
        if line.starts_with("ready") {
            break;
        }
    }
    for _ in 0..5 {
        let statements = "INSERT INTO o VALUES ('a', 1); DROP STREAM p; CREATE STREAM p KEY (id) AS SELECT id, n FROM o; INSERT INTO o VALUES ('b', 2); DROP STREAM p;\
            CREATE STREAM p KEY (id) AS SELECT id, n FROM o";
        let done = program::command()
            .args(["sql", "--to", &door, statements])
            .output()
            .expect("it starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let told = Command::new("kill").arg(running.id().to_string()).status();
    assert!(told.expect("kill(1) starts").success());
    running.wait().expect("it ends");
    let said = fs::read_to_string(&errors).expect("what was said");
    assert!(
        said.contains("stopping") && !said.contains("ERROR") && !said.contains("WARN"),
        "{said}"
    );
}
