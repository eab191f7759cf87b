//! `headwater replay`: the copy is what the log was, and a program runs on it.

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use headwater_eventlog::{EventLog, LogOptions, StoredBatch};
use headwater_host::Host;
use program::{LEDGER_SQL, Program, until};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use std::time::Duration;

const STREAMS: [&str; 3] = ["ledger", "plain", "_headwater.catalog"];

/// Runs the program to its end, and asserts how it ends and that it says a text.
fn check(arguments: &[&str], exit: i32, says: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_headwater"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
    assert!(text.contains(says), "{arguments:?}: {text}\nexpected to hold\n{says}");
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// Opens the log of a stopped program.
fn log(data: &Path) -> EventLog {
    let (log, _) = EventLog::open(Host::real(), &data.join("log"), LogOptions::default()).expect("the log opens");
    log
}

/// Every batch of a stream as it stands, by partition.
fn batches(log: &EventLog, stream: &str) -> Vec<(u32, StoredBatch)> {
    let partitions = log.stream(stream).map_or(0, |info| info.partitions);
    let mut found: Vec<(u32, StoredBatch)> = Vec::new();
    for partition in 0..partitions {
        let offsets = log.offsets(stream, partition).expect("the partition");
        let mut next = offsets.start;
        while next < offsets.high_watermark {
            let read = log
                .read_stored(stream, partition, next, u64::MAX, 1 << 20)
                .expect("the batches are read");
            let Some(last) = read.last() else { break };
            next = last.batch.next_offset();
            found.extend(read.into_iter().map(|stored| (partition, stored)));
        }
    }
    found
}

/// Asserts that a copy holds exactly the batches of the source that were appended by a moment, byte for byte. How many events these are.
fn assert_same(source: &EventLog, copy: &EventLog, stream: &str, until_us: i64) -> u32 {
    let id = |log: &EventLog| log.stream(stream).map(|info| info.id);
    assert_eq!(id(source), id(copy), "what is kept by the number of {stream} finds it");
    let mut wanted = batches(source, stream);
    wanted.retain(|(_, stored)| stored.appended_at_us <= until_us);
    let came = batches(copy, stream);
    assert_eq!(came.len(), wanted.len(), "batches of {stream}");
    for ((partition, wanted), (other, came)) in wanted.iter().zip(&came) {
        assert_eq!(partition, other, "{stream}");
        assert_eq!(
            wanted.batch.base_offset(),
            came.batch.base_offset(),
            "{stream}/{partition}"
        );
        assert_eq!(wanted.batch.bytes(), came.batch.bytes(), "{stream}/{partition}");
        assert_eq!(wanted.appended_at_us, came.appended_at_us, "{stream}/{partition}");
        assert_eq!(wanted.principal, came.principal, "{stream}/{partition}");
        came.batch.check_events().expect("the batch is whole");
    }
    came.iter().map(|(_, stored)| stored.batch.event_count()).sum()
}

/// Writes through SQL, and with a transactional and an idempotent producer, one of whose transactions is taken back.
async fn write(program: &Program, round: u32) {
    for seq in 0..20 {
        let insert = format!(
            "INSERT INTO ledger (seq, account, booked_on, kind, amount, balance_printed) \
             VALUES ({seq}, 'a{}', DATE '2025-01-01', 'credit', {round}.50, 0)",
            seq % 5
        );
        program.sql(&insert).await.expect("the event is appended");
    }
    let producer: FutureProducer = program
        .client()
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .set("transactional.id", "replayed")
        .create()
        .expect("librdkafka starts");
    let wait = Duration::from_secs(60);
    producer.init_transactions(wait).expect("a producer");
    for commit in [true, false, true] {
        producer.begin_transaction().expect("a transaction");
        for number in 0..10 {
            let (key, value) = (format!("k{number}"), format!("{round} {number} {commit}"));
            let record = FutureRecord::to("plain").key(&key).payload(&value);
            producer.send(record, wait).await.expect("the record is taken");
        }
        match commit {
            true => producer.commit_transaction(wait).expect("a commit"),
            false => producer.abort_transaction(wait).expect("an abort"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_the_log_as_it_was() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), LEDGER_SQL);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    write(&program, 1).await;
    let balances = "SELECT account, balance, entries FROM balances ORDER BY account";
    let then = program.sql(balances).await.expect("the balances then");
    let moment = program.sql("SELECT now()").await.expect("the moment");
    let position = program
        .sql("SELECT 'ledger/' || _partition || '@' || (max(_offset) + 1) FROM ledger GROUP BY _partition ORDER BY count(*) LIMIT 1")
        .await
        .expect("a position");
    write(&program, 2).await;
    program
        .sql("CREATE STREAM later (a TEXT)")
        .await
        .expect("a stream is created later");

    let whole = folder.path().join("whole");
    let (source_path, whole_path) = (path(&data), path(&whole));
    let replay = |until: &str, into: &Path, exit: i32, says: &str| {
        check(
            &[
                "replay",
                "--until",
                until,
                "--data",
                &source_path,
                "--into",
                &path(into),
            ],
            exit,
            says,
        );
    };
    replay("2100-01-01", &whole, 3, "ask it by its HTTP door, with --from");
    let (status, _) = program.terminate();
    assert_eq!(status.code(), Some(0));

    // By the position of one partition: the others are cut at the same moment.
    let position = position[0][0].clone().expect("a position");
    let at_position = folder.path().join("at position");
    replay(&position, &at_position, 0, "copied");
    let (source, copy) = (log(&data), log(&at_position));
    let until_us = batches(&copy, "ledger")
        .iter()
        .map(|(_, stored)| stored.appended_at_us)
        .max()
        .expect("events");
    assert!(assert_same(&source, &copy, "ledger", until_us) <= 20);
    source.close();
    copy.close();
    drop((source, copy));

    // What was deleted before stays deleted, and offsets are what they were.
    let source = log(&data);
    let start = source.delete_records("plain", 0, 7).expect("events are deleted");
    source.close();
    drop(source);

    let moment = moment[0][0].clone().expect("a moment");
    replay(&moment, &whole, 0, "headwater run");
    replay(&moment, &whole, 2, "is not empty");
    // Nobody can tell what was deleted, as of a moment before that.
    let nowhere = folder.path().join("nowhere");
    replay(&position, &nowhere, 1, "no longer keeps all its events");
    replay("yesterday", &nowhere, 2, "it is neither a time nor a position");
    replay("ledger/0@1000000", &nowhere, 2, "outside of");
    check(&["log", "verify", "--data", &whole_path], 0, "whole");

    let source = log(&data);
    let copy = log(&whole);
    let last = STREAMS.iter().flat_map(|stream| batches(&copy, stream));
    let until_us = last.map(|(_, stored)| stored.appended_at_us).max().expect("events");
    for stream in STREAMS {
        let events = assert_same(&source, &copy, stream, until_us);
        // Three transactions of ten events and a marker each, in one partition or several.
        let at_least = if stream == "_headwater.catalog" { 2 } else { 20 };
        assert!(events >= at_least, "{stream}: {events}");
    }
    source.close();
    assert_eq!(copy.offsets("plain", 0).map(|offsets| offsets.start), Some(start));
    assert!(copy.stream("later").is_none(), "what was made later is not there");
    let producers = |log: &EventLog| log.producers("plain", 0).expect("the partition").len();
    assert_eq!(producers(&source), producers(&copy), "what is known of producers");
    copy.close();
    drop((source, copy));

    // A program runs on the copy, and shows what was shown then.
    let program = Program::start(&whole, &whole);
    assert_eq!(program.sql(balances).await.expect("the balances again"), then);
    write(&program, 3).await;
    drop(program);
}

/// Of a running program, by its HTTP door: the same copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_program_is_copied_as_it_was() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), LEDGER_SQL);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    write(&program, 1).await;
    let balances = "SELECT account, balance, entries FROM balances ORDER BY account";
    let then = program.sql(balances).await.expect("the balances then");
    let moment = program
        .sql("SELECT now()")
        .await
        .expect("the moment")
        .remove(0)
        .remove(0);
    let moment = moment.expect("a moment");
    write(&program, 2).await;
    let address = program.http.to_string();
    let into = |name: &str| path(&folder.path().join(name));
    let replay = |until: &str, name: &str, exit: i32, says: &str| {
        check(
            &["replay", "--until", until, "--from", &address, "--into", &into(name)],
            exit,
            says,
        );
    };
    replay("ledger/0@1000000", "nowhere", 2, "outside of");
    replay("nothing/0@1", "nowhere", 2, "answers with 404");
    replay("2000-01-01", "before", 2, "nothing had been appended by then");
    replay(&moment, "then", 0, "headwater run");
    replay("plain/0@3", "at position", 0, "copied");
    drop(program);
    check(
        &[
            "replay",
            "--until",
            &moment,
            "--from",
            &address,
            "--into",
            &into("gone"),
        ],
        1,
        &format!("--from {address}: "),
    );

    let (source, copy) = (log(&data), log(&folder.path().join("then")));
    let last = STREAMS.iter().flat_map(|stream| batches(&copy, stream));
    let until_us = last.map(|(_, stored)| stored.appended_at_us).max().expect("events");
    for stream in STREAMS {
        assert!(assert_same(&source, &copy, stream, until_us) > 0, "{stream}");
    }
    source.close();
    copy.close();
    drop((source, copy));
    let then_folder = folder.path().join("then");
    let program = Program::start(&then_folder, &then_folder);
    assert_eq!(program.sql(balances).await.expect("the balances again"), then);
}

/// A stream that lost events of that time is in the way of a copy, unless what is left of it is taken; moments are told as such.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_stream_is_copied_where_that_is_asked_for() {
    const SQL: &str = "CREATE STREAM whole (n BIGINT) WITH (partitions = 1);
CREATE STREAM emptied (n BIGINT) WITH (partitions = 1);
CREATE STREAM thinned (k TEXT, n BIGINT) KEY (k) WITH (partitions = 1, cleanup = 'compact', dirty_ratio_min = 0, segment_ms = 1000);
CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS n FROM whole;
INSERT INTO thinned VALUES ('never changed', 0);";
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (application, statements) = SQL.rsplit_once("INSERT").expect("definitions and a statement");
    let application = program::application(folder.path(), application);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    program.sql(&format!("INSERT{statements}")).await.expect("an event");
    let mut moments: Vec<String> = Vec::new();
    for n in 1..=3 {
        for rows in [
            format!("whole VALUES ({n})"),
            format!("emptied VALUES ({n})"),
            format!("thinned VALUES ('changed', {n})"),
        ] {
            program.sql(&format!("INSERT INTO {rows}")).await.expect("an event");
        }
        let mut moment = program.sql("SELECT now()").await.expect("the moment");
        moments.extend(moment.remove(0).remove(0));
    }
    drop(program);
    let source = log(&data);
    source.delete_records("emptied", 0, 3).expect("all events are deleted");
    let compacted = || source.offsets("thinned", 0).map(|offsets| offsets.compacted);
    while compacted() < Some(4) {
        std::thread::sleep(Duration::from_millis(100));
        source.tend();
    }
    source.close();
    drop(source);

    let (until, data) = (moments[1].as_str(), path(&data));
    let program = Program::start(&application, Path::new(&data));
    let address = program.http.to_string();
    let replay = |source: [&str; 2], takes_gaps: bool, name: &str, exit: i32, says: &str| {
        let into = path(&folder.path().join(name));
        let mut arguments = vec!["replay", "--until", until, source[0], source[1], "--into", &into];
        arguments.extend(takes_gaps.then_some("--with-gaps"));
        check(&arguments, exit, says);
    };
    let advice = " cannot be told: ask for a later moment, or keep events longer; --with-gaps takes what is left of such streams";
    replay(["--from", &address], false, "none", 1, advice);
    replay(["--from", &address], true, "by HTTP", 0, "with gaps thinned: ");
    drop(program);
    replay(["--data", &data], false, "none", 1, advice);
    replay(
        ["--data", &data],
        false,
        "none",
        1,
        "no longer keeps all its events: those appended up to 20",
    );
    replay(
        ["--data", &data],
        true,
        "then",
        0,
        "left out  emptied: nothing is left of what it had then",
    );
    for name in ["then", "by HTTP"] {
        let copy = folder.path().join(name);
        let program = Program::start(&copy, &copy);
        assert_eq!(program.number("SELECT n FROM total").await, 3, "{name}");
        assert_eq!(program.number("SELECT count(*) FROM emptied").await, 0, "{name}");
        let left = program.sql("SELECT k FROM thinned").await.expect("what is left");
        assert_eq!(left, [[Some("never changed".to_owned())]], "{name}");
    }
}

/// Results that were made once are in the copy: a pipeline there makes none again, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelines_stand_still_in_a_copy() {
    const SQL: &str = "CREATE STREAM a (n BIGINT);\nCREATE STREAM twice AS SELECT 2 * n AS n FROM a;";
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), SQL);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    program.sql("INSERT INTO a VALUES (1)").await.expect("an event");
    program.until_number("SELECT count(*) FROM twice", 1).await;
    drop(program);
    let copy = folder.path().join("copy");
    let (data, into) = (path(&data), path(&copy));
    let until = ["replay", "--until", "2100-01-01", "--data", &data, "--into", &into];
    check(&until, 0, "copied");
    let program = Program::start(&copy, &copy);
    program
        .sql("INSERT INTO a VALUES (2)")
        .await
        .expect("an event of its own");
    let shown = program.sql("SHOW PIPELINES").await.expect("the pipelines");
    let state = shown[0][2].as_deref().unwrap_or_default();
    assert!(state.starts_with("held: in a copy of headwater replay"), "{shown:?}");
    let (_, streams) = program.request("GET", "/streams", &[], b"");
    assert!(streams.contains("\"held\":true"), "{streams}");
    assert_eq!(program.number("SELECT count(*) FROM twice").await, 1);
}

/// The table of the program that was copied is its own: that of the copy lies in the copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_leaves_the_tables_of_its_source_alone() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let lake = folder.path().join("lake");
    let sql = format!(
        "CREATE STREAM a (n BIGINT);\nCREATE MATERIALIZED VIEW t STORED AS columnar LOCATION '{}' WITH (every = '10 ms') AS SELECT n FROM a;",
        path(&lake)
    );
    let application = program::application(folder.path(), &sql);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    program.sql("INSERT INTO a VALUES (1)").await.expect("an event");
    // A commit that is being written has another name yet.
    let is_commit = |name: &str| {
        name.strip_suffix(".json")
            .is_some_and(|number| number.parse::<u64>().is_ok())
    };
    let commits = || {
        let files = std::fs::read_dir(lake.join("_delta_log"))
            .into_iter()
            .flatten()
            .flatten();
        files
            .filter(|file| file.file_name().to_str().is_some_and(is_commit))
            .count()
    };
    until("the table has a commit", async || commits() >= 2).await;
    drop(program);
    let before = commits();
    let copy = folder.path().join("copy");
    let (data_path, into) = (path(&data), path(&copy));
    check(
        &["replay", "--until", "2100-01-01", "--data", &data_path, "--into", &into],
        0,
        "copied",
    );
    let program = Program::start(&copy, &copy);
    program
        .sql("INSERT INTO a VALUES (2), (3)")
        .await
        .expect("events of its own");
    assert_eq!(program.number("SELECT count(*) FROM t").await, 3);
    let (status, _) = program.terminate();
    assert_eq!(status.code(), Some(0));
    assert_eq!(commits(), before, "nothing was written to it");
    let program = Program::start(&application, &data);
    assert_eq!(program.number("SELECT count(*) FROM t").await, 1);

    // Without the mark of a copy it is another log still, and its table is not the program's.
    drop(program);
    let before = commits();
    std::fs::remove_file(copy.join("replay.json")).expect("the mark goes");
    std::fs::remove_dir_all(copy.join("views")).expect("the stores go");
    let program = Program::start(&copy, &copy);
    let refused = program.sql("SELECT count(*) FROM t").await;
    assert!(refused.is_err(), "it did not start: {refused:?}");
    let (_, health) = program.request("GET", "/health", &[], b"");
    assert!(
        health.contains("\"views_stopped\":[{\"view\":\"t\",\"why\":"),
        "{health}"
    );
    assert_eq!(commits(), before, "nothing was written to it");
}

#[test]
fn a_copy_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let data = folder.path().join("data");
    let source = log(&data);
    source
        .create_stream("s", 1, headwater_eventlog::StreamSettings::default())
        .expect("the stream is made");
    for _ in 0..20 {
        let event = headwater_records::Event {
            value: Some(vec![b'x'; 1_000].into()),
            ..headwater_records::Event::default()
        };
        let part = headwater_eventlog::Part {
            stream: "s".to_owned(),
            partition: 0,
            batch: headwater_records::Batch::encode(&[event], headwater_records::Compression::None, None),
        };
        let append = headwater_eventlog::Append {
            parts: vec![part],
            principal: "ann".to_owned(),
            condition: None,
        };
        source.append_blocking(append).expect("the event is taken");
    }
    source.close();
    drop(source);
    let segments = fs::read_dir(data.join("log/streams"))
        .expect("the streams")
        .next()
        .expect("one")
        .expect("it");
    let batches = segments.path().join("0/00000000000000000000.batches");
    let mut bytes = fs::read(&batches).expect("the batches");
    let at = bytes.len() - 500;
    bytes[at] ^= 0x40;
    fs::write(&batches, bytes).expect("they are damaged");
    let (new, empty) = (folder.path().join("new/then"), folder.path().join("empty"));
    fs::create_dir(&empty).expect("the folder is made");
    for into in [&new, &empty] {
        let arguments = [
            "replay",
            "--until",
            "2100-01-01",
            "--data",
            &path(&data),
            "--into",
            &path(into),
        ];
        for _ in 0..2 {
            check(&arguments, 4, "s/0 is damaged at offset 19");
        }
    }
    assert!(!new.exists());
    assert_eq!(fs::read_dir(&empty).expect("it stays").count(), 0);
}
