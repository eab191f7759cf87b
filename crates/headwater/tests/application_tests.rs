//! `headwater test` from outside: what it prints, what it writes, and how it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An application whose command decides on a view, and one that lacks the check.
const APPLICATION: &str = "\
CREATE STREAM seats (course TEXT NOT NULL, student TEXT NOT NULL) KEY (course);
CREATE MATERIALIZED VIEW taken STORED AS document AS SELECT course, count(*) AS seats FROM seats GROUP BY course;
CREATE COMMAND take (course TEXT, student TEXT) INTO seats
REQUIRE coalesce((SELECT seats FROM taken t WHERE t.course = take.course), 0) < 2 ELSE 'the course is full'
AS SELECT course, student;
CREATE COMMAND take_unchecked (course TEXT, student TEXT) INTO seats AS SELECT course, student;
";

const TESTS: &str = "\
test \"right\"
GIVEN seats
  AT 2025-01-01 {\"course\": \"go\", \"student\": \"ann\"}
ADVANCE 1 day
WHEN CALL take('go', 'bob')
THEN ROWS SELECT course, seats FROM taken
  | go | 2 |
THEN ROWS SELECT course, seats FROM taken FOR SYSTEM_TIME AS OF TIMESTAMP '2025-01-01 12:00:00'
  | go | 1 |
THEN ROWS SELECT student, _appended_at FROM seats WHERE student = 'bob'
  | bob | 2025-01-02T00:00:00.000001Z |
THEN ROWS SELECT 'NULL' AS text, NULL AS nothing
  | \\NULL | NULL |
test \"as many as there are places, whatever the order\"
WHEN AT ONCE
  3 TIMES CALL take('go', 'ann')
  CALL take('go', 'bob')
THEN 2 SUCCEED
THEN 2 REFUSED 'the course is full'
";

const WRONG: &str = "\
test \"wrong rows\"
GIVEN seats
  {\"course\": \"go\", \"student\": \"ann\"}
  {\"course\": \"bridge\", \"student\": \"ann\"}
THEN ROWS SELECT course, seats FROM taken
  | go     | 2 |
  | bridge | 1 |
test \"wrong events\"
WHEN CALL take('go', 'ann')
THEN EVENTS seats
  {\"course\": \"go\", \"student\": \"bob\"}
test \"an event that does not fit\"
GIVEN seats
  {\"course\": \"go\"}
THEN ROWS SELECT 1
  | 1 |
test \"an error that nothing expects\"
WHEN SELECT nope FROM seats
THEN EVENTS seats
test \"time goes forward\"
AT 2025-01-02
AT 2025-01-01
THEN ROWS SELECT 1
  | 1 |
test \"another refusal\"
WHEN CALL take('go', 'ann')
THEN REFUSED 'the course is full'
test \"a check that is not there\"
WHEN AT ONCE
  3 TIMES CALL take_unchecked('go', 'ann')
THEN 2 SUCCEED
THEN 1 REFUSED 'the course is full'
";

/// What a run of both files prints, without how long it took.
const PRINTED: &str = "\
tests/right.test
  ok    right
  ok    as many as there are places, whatever the order
tests/wrong.test
  FAIL  wrong rows
    tests/wrong.test:5: the answer has other rows
      - expected + got
        | course | seats |
        | bridge |     1 |
      - | go     |     2 |
      + | go     |     1 |
  FAIL  wrong events
    tests/wrong.test:10: other events were appended
      - expected + got
      - {\"course\": \"go\", \"student\": \"bob\"}
      + {\"course\":\"go\",\"student\":\"ann\"}
          student: \"bob\" was expected, \"ann\" came
  FAIL  an event that does not fit
    tests/wrong.test:13: the event on line 14 is not taken: column \"student\" of stream \"seats\" is NOT NULL, and a row has no value for it; give it a value
  FAIL  an error that nothing expects
    tests/wrong.test:18: this failed, and no THEN expects it: error: line 1, column 8: column \"nope\" does not exist; there are course, student, _partition, _offset, _key, _headers, _timestamp, _appended_at, _principal
  FAIL  time goes forward
    tests/wrong.test:22: it is later than that already: time only goes forward, and a test begins at the first time that it names
  FAIL  another refusal
    tests/wrong.test:27: expected refused: the course is full
           got done
  FAIL  a check that is not there
    tests/wrong.test:31: 2 were expected to succeed, 3 did
         3 done
      in round 1 of 6, all statements at the same time, begun as written
2 passed, 7 failed";

/// Runs `headwater test . ARGUMENTS` in a folder: exit code, standard output without times, standard error.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_headwater"))
        .current_dir(folder)
        .args(["test", "."])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("a text");
    let timeless = |line: &str| {
        let line = line
            .split(" in ")
            .next()
            .filter(|_| line.ends_with(" s"))
            .unwrap_or(line);
        let end = line
            .rfind(" (")
            .filter(|_| line.ends_with(" ms)"))
            .unwrap_or(line.len());
        line[..end].replace("./tests/", "tests/")
    };
    let lines: Vec<String> = text.lines().map(timeless).collect();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), lines.join("\n"), errors)
}

/// Asserts how a run ends, and that what it says holds a text.
fn check(folder: &Path, arguments: &[&str], exit: i32, says: &str) {
    let (code, out, errors) = run(folder, arguments);
    assert_eq!(code, Some(exit), "{arguments:?}: {out}\n{errors}");
    assert!(
        format!("{out}\n{errors}").contains(says),
        "{arguments:?}: {out}\n{errors}\nexpected to hold\n{says}"
    );
}

fn application(text: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    fs::write(folder.path().join("app.sql"), text).expect("the application is written");
    if !files.is_empty() {
        fs::create_dir(folder.path().join("tests")).expect("the folder is made");
    }
    for (name, text) in files {
        fs::write(folder.path().join("tests").join(name), text).expect("the tests are written");
    }
    folder
}

#[test]
fn what_fails_is_shown_and_what_passes_is_counted() {
    let folder = application(APPLICATION, &[("right.test", TESTS), ("wrong.test", WRONG)]);
    let (code, out, errors) = run(folder.path(), &["--junit", "junit.xml"]);
    assert_eq!(out, PRINTED);
    assert_eq!(code, Some(1));
    assert_eq!(errors, "error: 7 tests failed\n");
    let junit = fs::read_to_string(folder.path().join("junit.xml")).expect("the file is written");
    assert!(
        junit.contains("<testsuites name=\"headwater test\" tests=\"9\" failures=\"7\""),
        "{junit}"
    );
    assert!(
        junit.contains("name=\"wrong rows\" file=\"./tests/wrong.test\" line=\"1\""),
        "{junit}"
    );

    check(folder.path(), &["--filter", "right.test"], 0, "2 passed, 0 failed");
    check(
        folder.path(),
        &["--filter", "whatever the order"],
        0,
        "1 passed, 0 failed",
    );
    check(
        folder.path(),
        &["--filter", "no such test"],
        2,
        "no test has 'no such test'",
    );
    check(
        folder.path(),
        &["--filter", "right.test", "--junit", "gone/junit.xml"],
        2,
        "--junit gone/junit.xml",
    );
    check(folder.path(), &["--rounds", "0"], 2, "--rounds");
}

/// A schedule of which only the newest missed tick is made: while time goes on, none is missed.
const MORNINGS: &str = "\
CREATE STREAM mornings (at TIMESTAMP NOT NULL) KEY (at);
CREATE SCHEDULE morning EVERY '1 day' STARTING '2025-01-20 06:00:00' CATCH UP LAST INTO mornings AS SELECT tick AS at;
";

const MORNINGS_TESTS: &str = "\
test \"every morning, as far as time goes\"
AT 2025-01-19 08:00:00
ADVANCE 3 days
THEN ROWS SELECT at::TEXT FROM mornings
  | 2025-01-20 06:00:00 |
  | 2025-01-21 06:00:00 |
  | 2025-01-22 06:00:00 |
";

#[test]
fn schedules_tick_while_time_goes_on() {
    let folder = application(MORNINGS, &[("mornings.test", MORNINGS_TESTS)]);
    check(folder.path(), &[], 0, "1 passed, 0 failed");
}

#[test]
fn what_cannot_be_run_is_said() {
    check(application(APPLICATION, &[]).path(), &[], 2, "put files of tests there");
    check(
        application(APPLICATION, &[("notes.txt", "")]).path(),
        &[],
        2,
        "no file that ends with .test",
    );
    let with_file = |text: &str| application(APPLICATION, &[("a.test", text), ("right.test", TESTS)]);
    let check_file = |text: &str, says: &str| check(with_file(text).path(), &[], 1, says);
    check_file("THEN\n", "tests/a.test:1: a step stands before the first test");
    check_file("", "tests/a.test:1: the file holds no test");
    check_file(
        "test \"a\"\n\nGIVE seats\n",
        "tests/a.test:3: 'GIVE seats' begins with none of",
    );
    // The others are run.
    check_file("THEN\n", "2 passed, 1 failed");
    let broken = application("CREATE STREAM s (a WORD);", &[("right.test", TESTS)]);
    check(broken.path(), &[], 1, "app.sql:1:20: ");
}

/// Appends as steps: what they depend on holds, or they are refused.
const APPENDS: &str = "\
test \"an append on a version is taken while it is the version\"
WHEN APPEND seats IF VERSION IS NULL
  {\"course\": \"go\", \"student\": \"ann\"}
  {\"course\": \"go\", \"student\": \"bob\"}
THEN EVENTS seats
  {\"course\": \"go\", \"student\": \"ann\"}
  {\"course\": \"go\", \"student\": \"bob\"}
WHEN APPEND seats IF VERSION IS NULL
  {\"course\": \"go\", \"student\": \"eve\"}
THEN REFUSED CODE 'condition_failed'
THEN EVENTS seats
THEN ROWS SELECT seats FROM taken
  | 2 |
test \"one of many appends is taken where all expect that there is none\"
WHEN AT ONCE
  4 TIMES APPEND seats
    IF NOT EXISTS (SELECT FROM seats WHERE course = 'bridge')
    {\"course\": \"bridge\", \"student\": \"ann\"}
THEN 1 SUCCEEDS
THEN 3 REFUSED CODE 'condition_failed'
test \"an append that depends on nothing\"
WHEN APPEND seats
  {\"course\": \"bridge\", \"student\": \"ann\"}
THEN EVENTS seats
  {\"student\": \"ann\"}
";

const EVE: &str = "{\"course\": \"go\", \"student\": \"eve\"}";

#[test]
fn appends_are_steps_with_conditions() {
    let folder = |text: &str| application(APPLICATION, &[("appends.test", text)]);
    check(folder(APPENDS).path(), &[], 0, "3 passed, 0 failed");
    let fails = |step: &str, says: &str| {
        let text = format!("test \"a\"\nGIVEN seats\n  {EVE}\nWHEN APPEND {step}\nTHEN EVENTS seats\n");
        check(folder(&text).path(), &[], 1, says);
    };
    let ann = EVE.replace("eve", "ann");
    fails(
        &format!("seats IF VERSION IS NULL\n  {ann}"),
        "appends.test:4: this failed, and no THEN expects it: refused: the version of 'go' in 'seats' is ",
    );
    fails(
        &format!("seats IF VERSION > 7\n  {ann}"),
        "this failed, and no THEN expects it: error: ",
    );
    fails(&format!("nowhere\n  {ann}"), "error: there is no stream 'nowhere'");
    fails(
        &format!("seats\n  {ann}\n  {{\"course\": \"go\"}}"),
        "one event has the members \"course\", \"student\", another \"course\"; the events of one APPEND",
    );
}

#[test]
fn results_of_pipelines_are_events_of_the_step_that_they_came_of() {
    let definitions = "CREATE STREAM o (id TEXT NOT NULL, n INTEGER) KEY (id);
        CREATE STREAM p KEY (id) AS SELECT id, n * 2 AS twice FROM o WHERE n > 0;
        CREATE STREAM q KEY (id) AS SELECT id, twice + 1 AS more FROM p;
        CREATE COMMAND put (id TEXT, n INTEGER) INTO o AS SELECT id, n;";
    let test = |then: &str| {
        let given = "GIVEN o\n  {\"id\": \"1\", \"n\": 1}\n  {\"id\": \"2\", \"n\": 2}\n";
        let text = format!("test \"a\"\n{given}WHEN CALL put('3', 4)\n{then}\n");
        application(definitions, &[("pipelines.test", &text)])
    };
    let made = "THEN EVENTS p\n  {\"id\": \"3\", \"twice\": 8}\nTHEN EVENTS q\n  {\"id\": \"3\", \"more\": 9}";
    check(test(made).path(), &[], 0, "1 passed, 0 failed");
    check(test("THEN EVENTS p").path(), &[], 1, "other events were appended");
    check(test("THEN EVENTS q").path(), &[], 1, "other events were appended");
}

/// Every folder below the examples that is an application with tests.
fn examples(folder: &Path, found: &mut Vec<PathBuf>) {
    if folder.join("app.sql").is_file() && folder.join("tests").is_dir() {
        found.push(folder.to_owned());
    }
    for entry in fs::read_dir(folder).expect("a folder of examples").flatten() {
        if entry.path().is_dir() {
            examples(&entry.path(), found);
        }
    }
}

#[test]
fn every_example_keeps_its_promises() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut found: Vec<PathBuf> = Vec::new();
    examples(&root, &mut found);
    assert!(found.len() >= 7, "{found:?}");
    for folder in found {
        // One shuffled order of either way; more of them are for whoever changes an example.
        check(&folder, &["--rounds", "3"], 0, "0 failed");
    }
}
