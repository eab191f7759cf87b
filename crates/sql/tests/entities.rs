//! The events of one key, by the stream's entity index: the same rows as a scan gives.

mod scratch;

use headwater_eventlog::{Append, EventLog, Part};
use headwater_records::{Batch, Compression, Event};
use headwater_sql::limits::ENTITY_EVENTS_FIRST;
use scratch::{Scratch, check};

/// An event as any writer may place it: with whichever key, in whichever partition.
fn place(log: &EventLog, stream: &str, partition: u32, key: &[u8], value: &str) {
    let event = Event {
        key: Some(key.to_vec().into()),
        value: Some(value.to_owned().into()),
        ..Event::default()
    };
    let append = Append {
        parts: vec![Part {
            stream: stream.to_owned(),
            partition,
            batch: Batch::encode(&[event], Compression::None, None),
        }],
        principal: "kafka".to_owned(),
        condition: None,
    };
    log.append_blocking(append).expect("it is appended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_a_key_are_those_of_a_scan() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    let made = scratch
        .run(
            "CREATE STREAM moves (account TEXT NOT NULL, amount BIGINT) KEY (account) WITH (partitions = 3);
             INSERT INTO moves VALUES ('ann', 1), ('bob', 2), ('ann', 3), ('eve', 4)",
            &[],
        )
        .await;
    assert_eq!(made, "INSERT 0 4");
    let log = scratch.log.clone();
    for partition in 0..3 {
        place(
            &log,
            "moves",
            partition,
            b"ann",
            &format!(r#"{{"account":"ann","amount":{}}}"#, 10 + partition),
        );
        // Of another account than its key says, one that fits no column, and one whose key is no text.
        place(&log, "moves", partition, b"ann", r#"{"account":"bob","amount":99}"#);
        place(&log, "moves", partition, b"ann", r#"{"account":"ann","amount":"much"}"#);
        place(&log, "moves", partition, b"\xff\x01", r#"{"account":"ann","amount":7}"#);
    }
    let written = log.position("moves").expect("the stream is there");
    let wheres = [
        "_key = 'ann'",
        "'ann' = _key",
        "_key IN ('ann', 'eve', 'nobody')",
        "_key = 'ann' OR _key = 'bob'",
        "_key = 'nobody'",
        "_key = '\\xff01'",
        "_key = NULL",
        "_key = 'ann' AND amount > 10",
        "_key = 'ann' AND _partition = 1",
    ];
    let ats = [
        String::new(),
        format!("FOR SYSTEM_TIME AS OF POSITION '{written}'"),
        "FOR SYSTEM_TIME AS OF POSITION 'moves/0@2,1@1'".to_owned(),
    ];
    for at in &ats {
        for wanted in wheres {
            let question = |column: &str| {
                let wanted = wanted.replace("_key", column);
                format!(
                    "SELECT account, amount, _key, _partition, _offset FROM moves {at} WHERE {wanted} ORDER BY _partition, _offset"
                )
            };
            let found = scratch.run(&question("_key"), &[]).await;
            // What is worked out is not looked up.
            let scanned = scratch.run(&question("concat(_key, '')"), &[]).await;
            let scanned = if wanted == "_key = NULL" {
                String::new()
            } else {
                scanned
            };
            assert_eq!(found, scanned, "{wanted} {at}");
        }
    }
    check(
        &mut scratch,
        &[
            ("SELECT count(*) FROM moves WHERE _key = 'ann'", "8"),
            (
                "EXPLAIN SELECT * FROM moves WHERE _key = 'ann'",
                "~EntityScan: stream=moves, keys=['ann']",
            ),
            (
                "EXPLAIN SELECT * FROM moves WHERE _key IN ('b', 'a')",
                "~keys=['a', 'b']",
            ),
            ("EXPLAIN SELECT * FROM moves WHERE _key = '\\xff01'", "~StreamScan"),
            ("EXPLAIN SELECT * FROM moves WHERE _key > 'ann'", "~StreamScan"),
            ("ALTER STREAM moves SET (entities = 'none')", "ALTER STREAM"),
            ("EXPLAIN SELECT * FROM moves WHERE _key = 'ann'", "~StreamScan"),
            ("SELECT count(*) FROM moves WHERE _key = 'ann'", "8"),
            ("ALTER STREAM moves SET (entities = 'indexed')", "ALTER STREAM"),
            ("SELECT count(*) FROM moves WHERE _key = 'ann'", "8"),
        ],
    )
    .await;
    scratch.close();
}

/// What a SELECT finds by the columns of the key is what an INSERT that depends on there being none hears of: whatever key its writer gave it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_depends_on_events_whose_own_key_is_another() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    let made = scratch
        .run(
            "CREATE STREAM moves (account TEXT NOT NULL, number INTEGER, kind TEXT, at DECIMAL(10,2)) KEY (account, number) KIND (kind) TAGS (number, at);
             CREATE STREAM names (name TEXT, amount BIGINT) KEY (name)",
            &[],
        )
        .await;
    assert_eq!(made, "CREATE STREAM");
    let log = scratch.log.clone();
    place(
        &log,
        "moves",
        0,
        b"other",
        r#"{"account":"ann","number":7,"kind":"in","at":1.5}"#,
    );
    place(&log, "names", 0, b"x", r#"{"name":"ann","amount":1}"#);
    let moves = |condition: &str| {
        format!("INSERT INTO moves VALUES ('eve', 1, 'in', 2) IF NOT EXISTS (SELECT FROM moves WHERE {condition})")
    };
    let names = |condition: &str| {
        format!("INSERT INTO names VALUES ('eve', 1) IF NOT EXISTS (SELECT FROM names WHERE {condition})")
    };
    let (taken, refused) = ("INSERT 0 1", "~HW412: ");
    let cases = [
        (names("name = 'ann'"), refused),
        (names("_key = 'x'"), refused),
        (names("_key = 'x' AND name = 'ann'"), refused),
        (names("_key = 'x' AND name = 'bob'"), taken),
        (names("_key = 'ann'"), taken),
        (names("name IN ('bob', 'ann')"), refused),
        (names("name = 'ann' AND name = 'bob'"), taken),
        (moves("account = 'ann' AND number = 7"), refused),
        (moves("account = 'ann' AND number = 7 AND kind = 'in'"), refused),
        (moves("account = 'ann' AND number = 7 AND kind = 'out'"), taken),
        (moves("account = 'ann' AND number = 8"), taken),
        // A column of the key that makes tags is found by them.
        (moves("number = 7"), refused),
        (moves("number = 7 AND kind = 'in' AND at = 1.500"), refused),
        (moves("at = 1.5 AND at = 2.5"), taken),
        (
            moves("account = 'ann'"),
            "~0A000: line 1, column 1: the key of 'moves' is made of (account, number)",
        ),
    ];
    let cases: Vec<(&str, &str)> = cases
        .iter()
        .map(|(statement, expected)| (statement.as_str(), *expected))
        .collect();
    check(&mut scratch, &cases).await;
    scratch.close();
}

/// What is read of the index comes in pages that grow; a key has as many events as a scan finds, wherever a page ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_a_key_are_whole_wherever_a_page_of_them_ends() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    let made = scratch.run(
        "CREATE STREAM moves (account TEXT NOT NULL, amount BIGINT) KEY (account) WITH (partitions = 3)",
        &[],
    );
    assert_eq!(made.await, "CREATE STREAM");
    let first = ENTITY_EVENTS_FIRST;
    let mut events = 0;
    for wanted in [first - 1, first, first + 1, 3 * first, 3 * first + 1] {
        let insert = format!(
            "INSERT INTO moves SELECT who, value FROM generate_series({}, {wanted}) CROSS JOIN (VALUES ('ann'), ('bob')) AS w(who)",
            events + 1
        );
        assert_eq!(
            scratch.run(&insert, &[]).await,
            format!("INSERT 0 {}", 2 * (wanted - events))
        );
        events = wanted;
        let sums = format!("{wanted}|{}", wanted * (wanted + 1) / 2);
        check(
            &mut scratch,
            &[
                ("SELECT count(*), sum(amount) FROM moves WHERE _key = 'ann'", &sums),
                (
                    "SELECT count(*), sum(amount) FROM moves WHERE concat(_key, '') = 'ann'",
                    &sums,
                ),
            ],
        )
        .await;
    }
    scratch.close();
}

/// A stream whose key and tags are columns of several types, with events whose own keys say something else.
const SEATS: &str = "
CREATE STREAM seats (course TEXT NOT NULL, student TEXT, place BIGINT, fee DECIMAL(9,2), note TEXT)
KEY (course) TAGS (student, place, fee) WITH (partitions = 2);
CREATE MATERIALIZED VIEW taken STORED AS document AS SELECT course, count(*) AS seats, sum(fee) AS fees FROM seats GROUP BY course;
CREATE MATERIALIZED VIEW by_student STORED AS document AS SELECT student, count(*) AS seats FROM seats GROUP BY student;
INSERT INTO seats VALUES ('go', 'ann', 1, 7, 'a'), ('go', 'bob', 2, 7.5, NULL), ('chess', 'ann', 3, 0, ''), ('x:y', NULL, NULL, NULL, NULL), ('', '', 0, -1, '')";

const BOOKINGS: &str = "
CREATE STREAM bookings (course TEXT, place INTEGER, note TEXT) KEY (course, place) WITH (partitions = 2);
CREATE MATERIALIZED VIEW booked STORED AS document AS SELECT course, place, count(*) AS bookings FROM bookings GROUP BY course, place;
INSERT INTO bookings VALUES ('go', 1, 'a'), ('go', 2, NULL), ('chess', 1, NULL), ('a\"b', 0, ''), ('a\"b', NULL, NULL), (NULL, 1, NULL)";

/// Compares what is found by a column with what a scan finds, and says whether the index was asked.
async fn compare(scratch: &mut Scratch, column: &str, wanted: &str, hidden: &str, is_found: bool) {
    let question = |column: &str, wanted: &str| {
        let wanted = wanted.replace('?', column);
        format!(
            "SELECT course, student, place, fee, _key, _partition, _offset FROM seats WHERE {wanted} ORDER BY _partition, _offset"
        )
    };
    let found = scratch.run(&question(column, wanted), &[]).await;
    let scanned = scratch.run(&question(hidden, wanted), &[]).await;
    assert_eq!(found, scanned, "{column} {wanted}");
    let plan = scratch.run(&format!("EXPLAIN {}", question(column, wanted)), &[]).await;
    assert_eq!(
        plan.contains("EntityScan: stream=seats"),
        is_found,
        "{column} {wanted}: {plan}"
    );
}

/// Every kind of filter on every column, against a scan.
async fn compare_all(scratch: &mut Scratch, is_found: bool) {
    let course = "substr(course, 1)";
    for wanted in [
        "? = 'go'",
        "'chess' = ?",
        "? IN ('go', 'x:y', 'nobody')",
        "? = ''",
        "? = 'x:y' OR ? = 'chess'",
        "? = 'go' AND place > 1",
    ] {
        compare(scratch, "course", wanted, course, is_found).await;
    }
    let many: Vec<String> = (0..50).map(|number| format!("'c{number}'")).collect();
    compare(
        scratch,
        "course",
        &format!("? IN ('go', {})", many.join(", ")),
        course,
        false,
    )
    .await;
    compare(scratch, "course", "? <> 'go'", course, false).await;
    for wanted in ["? = 'ann'", "? IN ('bob', '')", "? = 'ann' AND course = 'go'"] {
        compare(scratch, "student", wanted, "substr(student, 1)", is_found).await;
    }
    for wanted in ["? = 1", "? = 0", "? IN (1, 2, 3)"] {
        compare(scratch, "place", wanted, "(place + 0)", is_found).await;
    }
    for wanted in ["? = CAST(7 AS DECIMAL(9,2))", "? = CAST(-1 AS DECIMAL(9,2))"] {
        compare(scratch, "fee", wanted, "coalesce(fee, fee)", is_found).await;
    }
}

/// An event as a Kafka client may write it.
fn write(log: &EventLog, stream: &str, key: Option<&str>, value: &str) {
    let event = Event {
        key: key.map(|key| key.to_owned().into()),
        value: Some(value.to_owned().into()),
        ..Event::default()
    };
    let append = Append {
        parts: vec![Part {
            stream: stream.to_owned(),
            partition: 1,
            batch: Batch::encode(&[event], Compression::None, None),
        }],
        principal: "kafka".to_owned(),
        condition: None,
    };
    log.append_blocking(append).expect("it is appended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_a_columns_value_are_those_of_a_scan() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    scratch.run(SEATS, &[]).await;
    for (key, value) in [
        (
            Some("other"),
            r#"{"course":"go","student":"eve","place":"1","fee":"7.0"}"#,
        ),
        (Some("go"), r#"{"course":"chess","student":"ann","place":1.0,"fee":7}"#),
        (None, r#"{"course":"go","student":"\u0061nn"}"#),
        (Some("go"), r#"{"course":"go","place":"many"}"#),
        (Some("go"), "no json"),
        (Some("chess"), r#"{"student":"ann"}"#),
        (None, r#"{"course":"go","course":"chess"}"#),
    ] {
        write(&scratch.log, "seats", key, value);
    }
    compare_all(&mut scratch, true).await;
    // A column that nothing is found by may come and go; one that is read for the index may not change.
    scratch
        .run(
            "ALTER STREAM seats ADD COLUMN room TEXT DEFAULT 'r', DROP COLUMN note",
            &[],
        )
        .await;
    compare_all(&mut scratch, true).await;
    scratch
        .run("ALTER STREAM seats UPCAST FROM VERSION 2 AS SELECT course, student, place, fee, upper(room) AS room WHERE course <> ''", &[])
        .await;
    write(
        &scratch.log,
        "seats",
        Some("other"),
        r#"{"course":"go","student":"ann","place":2}"#,
    );
    compare_all(&mut scratch, true).await;
    // Rows that are rewound and histories of rows read the row's own events alone.
    check(
        &mut scratch,
        &[
            (
                "EXPLAIN SELECT * FROM lineage('taken', 'go')",
                "~EntityScan: stream=seats, course=['go']",
            ),
            (
                "EXPLAIN SELECT * FROM lineage('by_student', 'ann')",
                "~EntityScan: stream=seats, student=['ann']",
            ),
            ("SELECT count(*) FROM lineage('taken', 'go')", "5"),
            ("SELECT seats FROM taken WHERE course = 'go'", "5"),
            (
                "EXPLAIN SELECT * FROM taken FOR SYSTEM_TIME AS OF now() WHERE course = 'go'",
                "~EntityScan: stream=seats, course=['go']",
            ),
            (
                "SELECT seats, fees FROM taken FOR SYSTEM_TIME AS OF now() WHERE course = 'go'",
                "5|21.50",
            ),
            (
                "SELECT seats FROM by_student FOR SYSTEM_TIME AS OF now() WHERE student = 'ann'",
                "5",
            ),
        ],
    )
    .await;
    // A key of several columns is found by all of them.
    scratch.run(BOOKINGS, &[]).await;
    for (key, value) in [
        (r#"["go",1]"#, r#"{"course":"go","place":1.0,"note":"kafka"}"#),
        ("go 2", r#"{"course":"go","place":"2"}"#),
        (r#"["go",1]"#, r#"{"course":"chess","place":1}"#),
        (r#"["go",1]"#, r#"{"course":"go"}"#),
    ] {
        write(&scratch.log, "bookings", Some(key), value);
    }
    for (wanted, is_found) in [
        ("course = 'go' AND place = 1", true),
        ("place = 2 AND note IS NULL AND course = 'go'", true),
        ("course IN ('go', 'chess') AND place IN (1, 2)", true),
        ("course = 'a\"b' AND place = 0", true),
        ("course = 'go'", false),
        ("course = 'go' AND place > 0", false),
        ("course = 'go' OR place = 1", false),
    ] {
        let question = |wanted: &str| {
            format!("SELECT course, place, note, _key, _partition, _offset FROM bookings WHERE {wanted} ORDER BY 5, 6")
        };
        let scanned = question(&wanted.replace("course", "substr(course, 1)"));
        let (found, scanned) = (
            scratch.run(&question(wanted), &[]).await,
            scratch.run(&scanned, &[]).await,
        );
        assert_eq!(found, scanned, "{wanted}");
        let plan = scratch.run(&format!("EXPLAIN {}", question(wanted)), &[]).await;
        assert_eq!(
            plan.contains("EntityScan: stream=bookings"),
            is_found,
            "{wanted}: {plan}"
        );
    }
    check(
        &mut scratch,
        &[
            (
                "EXPLAIN SELECT * FROM lineage('booked', 'go', 1)",
                "~EntityScan: stream=bookings, course,place=['[\"go\",1]']",
            ),
            ("SELECT count(*) FROM lineage('booked', 'go', 1)", "2"),
            (
                "SELECT bookings FROM booked FOR SYSTEM_TIME AS OF now() WHERE course = 'go' AND place = 2",
                "2",
            ),
        ],
    )
    .await;
    // A key that was renamed is found by every name that it had.
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM lessons (course TEXT NOT NULL, room TEXT) KEY (course) TAGS (room)",
                "CREATE STREAM",
            ),
            ("INSERT INTO lessons VALUES ('go', 'a')", "INSERT 0 1"),
            (
                "EXPLAIN SELECT * FROM lessons WHERE course = 'go'",
                "~EntityScan: stream=lessons, course=['go']",
            ),
            ("ALTER STREAM lessons RENAME COLUMN course TO title", "ALTER STREAM"),
            ("INSERT INTO lessons VALUES ('go', 'a')", "INSERT 0 1"),
            (
                "EXPLAIN SELECT * FROM lessons WHERE title = 'go'",
                "~EntityScan: stream=lessons, title=['go']",
            ),
            ("SELECT count(*) FROM lessons WHERE title = 'go'", "2"),
            (
                "EXPLAIN SELECT * FROM lessons WHERE room = 'a'",
                "~EntityScan: stream=lessons, room=['a']",
            ),
            ("SELECT count(*) FROM lessons WHERE room = 'a'", "2"),
            (
                "EXPLAIN SELECT * FROM lessons WHERE _key = 'go'",
                "~EntityScan: stream=lessons, keys=['go']",
            ),
        ],
    )
    .await;
    scratch.close();
}

/// The same in every format and after the key got another name: what SELECT finds, an INSERT hears of; where the index cannot know, it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_depends_on_what_select_sees_in_every_format_and_by_every_name() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    let made = scratch
        .run(
            "CREATE STREAM records (name TEXT, amount BIGINT) KEY (name) WITH (format = 'csv');
             CREATE STREAM pairs (name TEXT, amount BIGINT) KEY (name, amount) WITH (format = 'csv');
             CREATE STREAM shifted (gone TEXT, name TEXT) KEY (name) WITH (format = 'csv');
             CREATE STREAM renamed (name TEXT, amount BIGINT) KEY (name);
             CREATE STREAM rates (name TEXT, rate DOUBLE PRECISION) KEY (name, rate)",
            &[],
        )
        .await;
    assert_eq!(made, "CREATE STREAM");
    let log = scratch.log.clone();
    place(&log, "records", 0, b"x", "\"ann\",1");
    place(&log, "pairs", 0, b"x", "ann,7");
    place(&log, "shifted", 0, b"x", "old,ann");
    place(&log, "renamed", 0, b"x", r#"{"name":"ann","amount":1}"#);
    let taken = "INSERT 0 1";
    check(
        &mut scratch,
        &[
            ("INSERT INTO records VALUES ('bob', 1) IF NOT EXISTS (SELECT FROM records WHERE name = 'bob')", taken),
            ("INSERT INTO records VALUES ('ann', 1) IF NOT EXISTS (SELECT FROM records WHERE name = 'ann')", "~HW412: "),
            ("SELECT amount FROM records WHERE name = 'ann'", "1"),
            ("ALTER STREAM records ADD COLUMN note TEXT", "ALTER STREAM"),
            ("INSERT INTO records VALUES ('ann', 1) IF NOT EXISTS (SELECT FROM records WHERE name = 'ann')", "~HW412: "),
            ("INSERT INTO pairs VALUES ('ann', 7) IF NOT EXISTS (SELECT FROM pairs WHERE name = 'ann' AND amount = 7)", "~HW412: "),
            ("INSERT INTO pairs VALUES ('ann', 8) IF NOT EXISTS (SELECT FROM pairs WHERE name = 'ann' AND amount = 8)", taken),
            ("ALTER STREAM shifted DROP COLUMN gone", "ALTER STREAM"),
            ("SELECT name FROM shifted WHERE name = 'ann'", "ann"),
            ("EXPLAIN SELECT * FROM shifted WHERE name = 'ann'", "~StreamScan"),
            (
                "INSERT INTO shifted VALUES ('ann') IF NOT EXISTS (SELECT FROM shifted WHERE name = 'ann')",
                "~0A000: line 1, column 1: events of 'shifted' are not found by its key (name)",
            ),
            ("INSERT INTO shifted VALUES ('ann') IF NOT EXISTS (SELECT FROM shifted WHERE _key = 'ann')", taken),
            (
                "INSERT INTO rates VALUES ('ann', 1) IF NOT EXISTS (SELECT FROM rates WHERE name = 'ann' AND rate = 1)",
                "~0A000: line 1, column 1: events of 'rates' are not found by its key (name, rate)",
            ),
            ("ALTER STREAM renamed RENAME COLUMN name TO who", "ALTER STREAM"),
        ],
    )
    .await;
    place(&log, "renamed", 0, b"y", r#"{"name":"bob","amount":2}"#);
    place(&log, "renamed", 0, b"z", r#"{"who":"eve","amount":3}"#);
    check(
        &mut scratch,
        &[
            ("SELECT amount FROM renamed WHERE who = 'ann'", "1"),
            (
                "INSERT INTO renamed VALUES ('ann', 9) IF NOT EXISTS (SELECT FROM renamed WHERE who = 'ann')",
                "~HW412: ",
            ),
            ("SELECT amount FROM renamed WHERE who = 'bob'", "2"),
            (
                "INSERT INTO renamed VALUES ('bob', 9) IF NOT EXISTS (SELECT FROM renamed WHERE who = 'bob')",
                "~HW412: ",
            ),
            ("SELECT amount FROM renamed WHERE who = 'eve'", "3"),
            (
                "INSERT INTO renamed VALUES ('eve', 9) IF NOT EXISTS (SELECT FROM renamed WHERE who = 'eve')",
                "~HW412: ",
            ),
            (
                "INSERT INTO renamed VALUES ('joe', 9) IF NOT EXISTS (SELECT FROM renamed WHERE who = 'joe')",
                taken,
            ),
        ],
    )
    .await;
    scratch.close();
}
