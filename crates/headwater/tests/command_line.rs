//! The command line from outside: what is printed, what is refused, and with which exit code.

mod program;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use program::{LEDGER_SQL, Program};

/// SIGTERM to the end, in a debug build on a machine with too much to do: a stop that waited for a client would take longer.
const STOP_MAX: Duration = Duration::from_secs(120);

/// Runs the program to its end.
fn headwater(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    program::command()
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// The start of an application without doors.
fn without_doors<'a>(application: &'a str, data: &'a str) -> [&'a str; 10] {
    [
        "run",
        application,
        "--data",
        data,
        "--kafka",
        "none",
        "--postgres",
        "none",
        "--http",
        "none",
    ]
}

/// Asserts how a run ends, and that its last words hold a text.
fn check(arguments: &[&str], variables: &[(&str, &str)], exit: i32, says: &str) {
    let output = headwater(arguments, variables);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
    assert!(text.contains(says), "{arguments:?}: {text}\nexpected to hold\n{says}");
}

fn bank() -> String {
    example("bank")
}

fn orders() -> String {
    example("orders")
}

fn example(name: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    examples.join(name).display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_starts_answers_stops_and_goes_on() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), LEDGER_SQL);
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    let insert = "INSERT INTO ledger (seq, account, booked_on, kind, amount, balance_printed) \
        VALUES (1, 'a', DATE '1993-01-01', 'credit', 100.00, 100.00)";
    program.sql(insert).await.expect("the event is appended");
    let rows = program
        .sql("SELECT account, amount FROM ledger")
        .await
        .expect("the stream answers");
    assert_eq!(rows, [[Some("a".to_owned()), Some("100.00".to_owned())]]);

    let used = data.display().to_string();
    let path = application.display().to_string();
    check(&without_doors(&path, &used), &[], 3, "is in use by another process");
    check(
        &["log", "verify", "--data", &used],
        &[],
        3,
        "is in use by another process",
    );
    let taken = program.postgres.to_string();
    let other = folder.path().join("other").display().to_string();
    let arguments = [
        "run",
        &path,
        "--data",
        &other,
        "--kafka",
        "none",
        "--http",
        "none",
        "--postgres",
        &taken,
    ];
    check(&arguments, &[], 3, "name another address with --postgres");

    // A folder that cannot be one: the reason is said once.
    let text = String::from_utf8_lossy(&headwater(&without_doors(&path, &path), &[]).stderr).into_owned();
    assert_eq!(text.matches("is no folder").count(), 1, "{text}");

    let (status, took) = program.terminate();
    assert_eq!(status.code(), Some(0), "a stop that was asked for is no failure");
    assert!(took < STOP_MAX, "it took {took:?} to stop");

    check(
        &["log", "verify", "--data", &used],
        &[],
        0,
        "ledger: 4 partitions, 1 events in 1 batches",
    );
    let again = Program::start(&application, &data);
    assert_eq!(
        again.number("SELECT count(*) FROM ledger").await,
        1,
        "what was written is there after a restart"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_prints_what_a_subscription_tells_as_it_is_told() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), LEDGER_SQL);
    let program = Program::start(&application, &folder.path().join("data"));
    for statement in [
        "CREATE MATERIALIZED VIEW counts STORED AS document AS SELECT account, count(*) AS n FROM ledger GROUP BY account",
        "INSERT INTO ledger (seq, account, booked_on, kind, amount, balance_printed) \
            VALUES (1, 'a', DATE '1993-01-01', 'credit', 100.00, 100.00)",
    ] {
        program.sql(statement).await.expect("it is done");
    }
    let to = program.postgres.to_string();
    let subscribe = ["sql", "--to", &to, "SUBSCRIBE TO counts"];
    check(&subscribe, &[], 2, "--format csv");
    let mut running = Command::new(env!("CARGO_BIN_EXE_headwater"))
        .args(subscribe)
        .args(["--format", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let output = running.stdout.take().expect("its output");
    let (lines_in, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines_in.send(line).is_err() {
                return;
            }
        }
    });
    let told = loop {
        let line = lines.recv_timeout(Duration::from_secs(60)).expect("a row is told");
        if line.contains("\"account\":\"a\"") {
            break line;
        }
    };
    assert!(told.contains("\"n\":1"), "{told}");
    running.kill().expect("it runs until it is stopped");
    running.wait().expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_prints_answers_and_fails_with_them() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), LEDGER_SQL);
    let program = Program::start(&application, &folder.path().join("data"));
    let to = program.postgres.to_string();
    // Blocks this thread only: the program is a process of its own.
    check(
        &["sql", "--to", &to, "SELECT 1 AS one, 'x' AS two"],
        &[],
        0,
        " one | two\n-----+-----\n   1 | x\n(1 row)\n",
    );
    check(&["sql", "SELECT 1 AS one"], &[("HEADWATER_TO", &to)], 0, "(1 row)");
    check(
        &["sql", "--to", &to, "--format", "csv", "SELECT 1 AS one, 'x,y' AS two"],
        &[],
        0,
        "one,two\n1,\"x,y\"\n",
    );
    check(
        &["sql", "--to", &to, "--format", "json", "SELECT 1 AS one, 'x' AS two"],
        &[],
        0,
        "{\"one\":1,\"two\":\"x\"}\n",
    );
    check(
        &["sql", "--to", &to, "SELECT 1; SELECT nope FROM ledger"],
        &[],
        1,
        "SQLSTATE 42703",
    );
    check(
        &["sql", "--to", &to, "SELECT 1; SELECT nope FROM ledger"],
        &[],
        1,
        "(1 row)",
    );
    check(
        &["sql", "--to", &to, "SELECT\n1\n+\n2\n+\n3\n+ ) FROM ledger"],
        &[],
        1,
        "line 7, column 3: ",
    );
    // Of several statements, too, a number is a number, and a fault is where it stands.
    let json = ["sql", "--to", &to, "--format", "json"];
    let several = [&json[..], &["SELECT 1 AS a, true AS b, 'x' AS c; SELECT 2.50 AS d"]].concat();
    check(&several, &[], 0, "{\"a\":1,\"b\":true,\"c\":\"x\"}\n{\"d\":2.50}\n");
    let wrong = [&json[..], &["SELECT 1 AS a;\nSELECT nope FROM ledger"]].concat();
    check(&wrong, &[], 1, "{\"a\":1}\n");
    check(&wrong, &[], 1, "line 2, column 8: ");
    // What is said of a statement is its answer where it is alone; of several nobody knows whose it is, and it comes behind them, also behind an error.
    check(
        &["sql", "--to", &to, "CANCEL 'nothing'"],
        &[],
        0,
        "done: nothing waits under the name 'nothing'",
    );
    for (statements, status, answers) in [
        ("CANCEL 'nothing'; CANCEL 'nothing'", 0, "done\ndone\n"),
        (
            "SELECT 1 AS one; CANCEL 'nothing'",
            0,
            " one\n-----\n   1\n(1 row)\ndone\n",
        ),
        ("CANCEL 'nothing'; SELECT nope FROM ledger", 1, "done\n"),
    ] {
        let arguments = ["sql", "--to", &to, statements];
        check(&arguments, &[], status, answers);
        check(&arguments, &[], status, "note: nothing waits under the name 'nothing'");
        let text = String::from_utf8_lossy(&headwater(&arguments, &[]).stdout).into_owned();
        assert_eq!(text, answers, "{statements}");
    }
    let file = folder.path().join("questions.sql");
    fs::write(&file, "SELECT count(*) AS n FROM ledger;\n").expect("the file is written");
    check(
        &["sql", "--to", &to, "--file", &file.display().to_string()],
        &[],
        0,
        "(1 row)",
    );
    for other in [program.http, program.kafka] {
        check(
            &["sql", "--to", &other.to_string(), "SELECT 1"],
            &[],
            1,
            "is no PostgreSQL door",
        );
    }
    drop(program);
    check(
        &["sql", "--to", &to, "SELECT 1"],
        &[],
        1,
        "start the program with 'headwater run'",
    );
    check(&["sql", "--to", "nowhere", "SELECT 1"], &[], 2, "is no address");
    check(
        &["sql", "--to", "http://127.0.0.1:8090", "SELECT 1"],
        &[],
        2,
        "is no address",
    );
}

#[test]
fn what_is_wrong_on_the_command_line_is_said() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), LEDGER_SQL).display().to_string();
    check(
        &["run", &application, "--cafka", "none"],
        &[],
        2,
        "unexpected argument '--cafka'",
    );
    check(
        &["run", &application, "--kafka", "9092"],
        &[],
        2,
        "kafka = '9092': it is no address",
    );
    check(
        &["run", &application],
        &[("HEADWATER_HTTP", "here")],
        2,
        "http = 'here': it is no address",
    );
    check(
        &["run", &application, "--log", "headwater=loud"],
        &[],
        2,
        "--log 'headwater=loud'",
    );
    check(
        &["run", &application],
        &[("HEADWATER_HTPP", "none")],
        2,
        "there is no setting for the variable HEADWATER_HTPP",
    );
    check(&["run", &application, "--log", "inof"], &[], 2, "'inof' is no level");
    check(
        &["run", &application, "--data", &application],
        &[],
        2,
        "app.sql is no folder: name another folder with --data",
    );
    check(
        &["log", "verify", "--data", &application],
        &[],
        2,
        "app.sql is no folder",
    );
    check(&["run", "gone"], &[], 2, "there is nothing at gone");
    check(&["sql"], &[], 2, "required");
    check(&["log", "verify", "--data", "gone"], &[], 2, "there is no log in gone");
    check(&["log", "repair", "--data", "gone"], &[], 2, "there is no log in gone");
    for verb in [&["prove"][..], &["verify", "x"]] {
        check(verb, &[], 2, "is not there yet");
    }
    check(&["--help"], &[], 0, "Exit codes:");

    fs::write(folder.path().join("headwater.toml"), "data = ''\n").expect("the settings are written");
    check(&["run", &application], &[], 2, "the data folder has no name");
    fs::write(folder.path().join("headwater.toml"), "data = 'd'\nkafkaa = 'none'\n").expect("the settings are written");
    check(
        &["run", &application],
        &[],
        2,
        "headwater.toml:2:1: unknown field `kafkaa`; the keys are data, kafka,",
    );
    check(
        &["check", &application],
        &[],
        2,
        "headwater.toml:2:1: unknown field `kafkaa`",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_file_with_an_error_nothing_takes_effect() {
    const BEFORE: &str = "\
CREATE STREAM s (id TEXT NOT NULL, n INTEGER) KEY (id) WITH (partitions = 1);
CREATE MATERIALIZED VIEW v STORED AS document AS SELECT id, sum(n) AS n FROM s GROUP BY id;
CREATE STREAM large KEY (id) AS SELECT id, n FROM s WHERE n > 1;
";
    const SAID: [&str; 4] = [
        "SHOW STREAMS",
        "DESCRIBE s",
        "DESCRIBE v",
        "SELECT * FROM v ORDER BY id",
    ];
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), BEFORE);
    let (path, data) = (application.display().to_string(), folder.path().join("data"));
    let used = data.display().to_string();
    let program = Program::start(&application, &data);
    program
        .sql("INSERT INTO s VALUES ('a', 1), ('b', 2)")
        .await
        .expect("appended");
    program.until_number("SELECT count(*) FROM large", 1).await;
    let mut before: Vec<_> = Vec::new();
    for question in SAID {
        before.push(program.sql(question).await.expect("answered"));
    }
    program.terminate();

    let changed = BEFORE.replace("sum(n) AS n FROM", "max(n) AS n FROM");
    for (added, says) in [
        (
            "CREATE MATERIALIZED VIEW w AS SELECT id, nosuch FROM s GROUP BY id;",
            "app.sql:7:42: ",
        ),
        ("CREATE STREAM large (id INTEGER);", "app.sql:7:"),
    ] {
        let text = format!("{changed}CREATE STREAM more (id TEXT);\nALTER STREAM s\n  ADD COLUMN z TEXT;\n{added}");
        std::fs::write(&application, text).expect("written");
        check(&without_doors(&path, &used), &[], 1, says);
        check(
            &without_doors(&path, &used),
            &[],
            1,
            "; nothing of the file took effect",
        );
    }

    std::fs::write(&application, BEFORE).expect("written");
    let program = Program::start(&application, &data);
    for (question, before) in SAID.into_iter().zip(before) {
        assert_eq!(program.sql(question).await.expect("answered"), before, "{question}");
    }
    program.terminate();

    // And what has none is brought in, once.
    std::fs::write(
        &application,
        format!("{changed}CREATE STREAM more (id TEXT);\nALTER STREAM s ADD COLUMN z TEXT;\n"),
    )
    .expect("written");
    for _ in 0..2 {
        let program = Program::start(&application, &data);
        program.until_number("SELECT count(*) FROM v WHERE n > 1", 1).await;
        assert_eq!(program.number("SELECT count(*) FROM s WHERE z IS NULL").await, 2);
        program.terminate();
    }
}

#[test]
fn a_folder_of_a_newer_format_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), LEDGER_SQL);
    let data = folder.path().join("data");
    let (status, _) = Program::start(&application, &data).terminate();
    assert_eq!(status.code(), Some(0));
    let marker = data.join("log/FORMAT");
    fs::write(&marker, "headwater log, format 4000\n").expect("the marker is written");
    let (application, data) = (application.display().to_string(), data.display().to_string());
    let arguments = [
        "run",
        &application,
        "--data",
        &data,
        "--kafka",
        "none",
        "--postgres",
        "none",
        "--http",
        "none",
    ];
    check(&arguments, &[], 3, "format 4000");
    assert_eq!(
        fs::read_to_string(&marker).expect("the marker is there"),
        "headwater log, format 4000\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_found_and_named() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let application = program::application(folder.path(), "CREATE STREAM s (a TEXT) WITH (partitions = 1);");
    let data = folder.path().join("data");
    let program = Program::start(&application, &data);
    let insert = format!("INSERT INTO s VALUES ('{}')", "x".repeat(5_000));
    program.sql(&insert).await.expect("the event is appended");
    let (status, _) = program.terminate();
    assert_eq!(status.code(), Some(0));
    let used = data.display().to_string();
    check(
        &["log", "verify", "--data", &used],
        &[],
        0,
        "s: 1 partitions, 1 events in 1 batches",
    );

    let batches = largest(&data.join("log/streams"), "batches");
    let mut bytes = fs::read(&batches).expect("the batches are there");
    let at = bytes.iter().position(|byte| *byte == b'x').expect("the event is there") + 1_000;
    bytes[at] ^= 1;
    fs::write(&batches, bytes).expect("the damage is done");
    check(&["log", "verify", "--data", &used], &[], 4, "DAMAGED");
    check(
        &["log", "verify", "--data", &used],
        &[],
        4,
        "1 damaged places; everything else is whole",
    );
}

/// The largest file under a folder with this ending.
fn largest(folder: &Path, ending: &str) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder is listed") {
            let entry = entry.expect("an entry");
            let metadata = entry.metadata().expect("its length");
            match metadata.is_dir() {
                true => folders.push(entry.path()),
                false if entry.path().extension().is_some_and(|got| got == ending) => {
                    found.push((metadata.len(), entry.path()))
                }
                false => {}
            }
        }
    }
    found.into_iter().max().expect("a file").1
}

#[test]
fn check_names_file_line_and_column() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let good = program::application(folder.path(), LEDGER_SQL).display().to_string();
    check(&["check", &good], &[], 0, "no errors");
    check(&["check", &bank()], &[], 0, "commands  deposit, transfer, withdraw");
    check(&["check", &orders()], &[], 0, "commands  place_order");
    check(&["test", &orders()], &[], 0, "5 passed, 0 failed");
    // What the program takes, and no more.
    let of_size = |bytes: u64| format!("CREATE STREAM s (a TEXT) WITH (batch_bytes_max = {bytes});");
    let taken = program::application(folder.path(), &of_size(2_000_000))
        .display()
        .to_string();
    check(&["check", &taken], &[], 0, "no errors");
    let refused = program::application(folder.path(), &of_size(67_108_865))
        .display()
        .to_string();
    check(&["check", &refused], &[], 1, "batch_bytes_max cannot be");
    let syntax = "CREATE STREAM s (\n  a TEXT\n) KEY (a);\n\nCREATE MATERIALIZED VIEW v STORED AS document AS\nSELECT a, count(*) AS n\nFRM s GROUP BY a;\n";
    let unknown = "CREATE STREAM s (\n  a TEXT\n) KEY (a);\n\nCREATE MATERIALIZED VIEW v STORED AS document AS\nSELECT a, count(*) AS n,\n  max(b) AS b FROM s GROUP BY a;\n";
    for (text, place) in [(syntax, "app.sql:7:"), (unknown, "app.sql:7:7")] {
        let path = program::application(folder.path(), text).display().to_string();
        check(&["check", &path], &[], 1, place);
        let data = folder.path().join("data");
        let arguments = [
            "run",
            &path,
            "--data",
            &data.display().to_string(),
            "--kafka",
            "none",
            "--postgres",
            "none",
            "--http",
            "none",
        ];
        check(&arguments, &[], 1, place);
    }
}

#[test]
fn a_command_is_explained_with_its_exit_code() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let text = "
        CREATE STREAM transactions (account TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL) KEY (account);
        CREATE MATERIALIZED VIEW balances STORED AS document AS SELECT account, sum(amount) AS balance FROM transactions GROUP BY account;
        CREATE COMMAND withdraw (account TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, note TEXT DEFAULT 'none')
        REQUIRE coalesce((SELECT balance FROM balances b WHERE b.account = withdraw.account), 0) >= amount ELSE 'insufficient funds' CODE 'insufficient_funds'
        INTO transactions AS SELECT account, -amount AS amount;";
    let application = program::application(folder.path(), text);
    let program = Program::start(&application, &folder.path().join("data"));
    let event = br#"{"account": "O'Neil", "amount": 100.00}"#;
    let json = [("Content-Type", "application/json")];
    assert_eq!(
        program.request("POST", "/streams/transactions/events", &json, event).0,
        200
    );
    let address = program.postgres.to_string();
    let explain = |arguments: &[&str], exit: i32, says: &str| {
        check(
            &[&["explain-command"], arguments].concat(),
            &[("HEADWATER_TO", &address)],
            exit,
            says,
        );
    };
    explain(
        &["withdraw", "account=O'Neil", "amount=60"],
        0,
        "would append 1 event(s)",
    );
    explain(
        &["withdraw", "account=O'Neil", "amount=60"],
        0,
        "{\"account\":\"O'Neil\",\"balance\":100.00}",
    );
    explain(
        &["withdraw", "account=O'Neil", "amount=160"],
        1,
        "refused (insufficient_funds): insufficient funds",
    );
    let as_json = [
        "--format",
        "json",
        "withdraw",
        "account=O'Neil",
        "amount=60",
        "note=NULL",
    ];
    explain(&as_json, 0, "\"outcome\":{\"outcome\":\"append\"");
    explain(&["withdraw", "account=O'Neil"], 1, "missing_argument");
    explain(&["deposit"], 1, "there is no command 'deposit'");
    explain(&["withdraw", "account"], 2, "write it as parameter=value");
    // Nothing of it happened.
    let (_, events) = program.request("GET", "/streams/transactions/events", &[], b"");
    assert_eq!(events.matches("\"offset\"").count(), 1, "{events}");
}
