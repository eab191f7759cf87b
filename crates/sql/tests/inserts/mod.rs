//! INSERT: what it takes, all or none of it, and what it may depend on.

use datafusion::common::ScalarValue;
use headwater_sql::parse::parse;

use crate::scratch::{Scratch, check};
use crate::{bank, folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inserts_are_checked_and_all_or_none() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "INSERT INTO transactions (kind, account, amount) VALUES ('deposit', 'cy', 1.005)",
                "INSERT 0 1",
            ),
            (
                "SELECT * FROM transactions WHERE account = 'cy'",
                "cy|deposit|1.01|NULL|NULL",
            ),
            (
                "INSERT INTO transactions VALUES ('cy', 'deposit', '2.50')",
                "INSERT 0 1",
            ),
            (
                "INSERT INTO transactions SELECT account, 'deposit', balance FROM balances WHERE account = 'bob'",
                "INSERT 0 1",
            ),
            ("SELECT balance FROM balances WHERE account = 'bob'", "101.00"),
            ("SELECT * FROM rich", "bob|101.00"),
            (
                "INSERT INTO transactions SELECT * FROM transactions WHERE account = 'nobody'",
                "INSERT 0 0",
            ),
            (
                "INSERT INTO transactions (account, kind) VALUES ('x', 'deposit')",
                "~23502",
            ),
            (
                "INSERT INTO transactions VALUES ('x', NULL, 1)",
                "~23502: line 1, column 1: column \"kind\" of stream \"transactions\" is NOT NULL",
            ),
            (
                "INSERT INTO transactions VALUES ('x', 'deposit', 12345678901234567)",
                "~22003",
            ),
            ("INSERT INTO transactions VALUES ('x', 'deposit', 'much')", "~22P02"),
            (
                "INSERT INTO transactions VALUES ('x', 'deposit', 1), ('x', 'deposit', 'much')",
                "~22P02",
            ),
            (
                "INSERT INTO transactions VALUES ('x', 'deposit', 1, 't', '2025-02-30')",
                "~22008",
            ),
            ("INSERT INTO transactions VALUES ('x', 'deposit', 1, 't', 5)", "~42804"),
            (
                "INSERT INTO transactions VALUES (1, 2, 3, 4, NULL, 6)",
                "~42601: line 1, column 1: INSERT has more values than columns",
            ),
            (
                "INSERT INTO transactions (account, kind, amount) VALUES ('x', 'deposit')",
                "~42601",
            ),
            (
                "INSERT INTO transactions (account, account) VALUES ('x', 'x')",
                "~'account' is named twice",
            ),
            ("INSERT INTO transactions (acount) VALUES ('x')", "~42703"),
            ("INSERT INTO nothing VALUES (1)", "~42P01"),
            (
                "INSERT INTO balances VALUES ('x', 1, 1)",
                "~'balances' is a view: only streams are written to",
            ),
            ("INSERT INTO \"_headwater.catalog\" VALUES ('1')", "~42501"),
            ("SELECT count(*) FROM transactions WHERE account = 'x'", "0"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_may_depend_on_what_came_before() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    let seats = "CREATE STREAM seats (course TEXT, student TEXT, kind TEXT, place INTEGER) KEY (course) KIND (kind) TAGS (course, student) WITH (partitions = 1)";
    let pairs = "CREATE STREAM pairs (a TEXT, b INTEGER, c TEXT) KEY (a, b) WITH (partitions = 1)";
    let view = "CREATE VIEW taken AS SELECT course FROM seats";
    let taken = "INSERT INTO seats VALUES ('c1', 's1', 'taken', 1)";
    let statement = |condition: &str| format!("{taken} IF {condition}");
    let insert = |condition: &str, expected: &str| (statement(condition), expected.to_owned());
    let mut cases: Vec<(String, String)> = vec![
        (seats.to_owned(), "CREATE STREAM".to_owned()),
        (pairs.to_owned(), "CREATE STREAM".to_owned()),
        insert("VERSION IS NULL", "INSERT 0 1"),
        insert("VERSION IS NULL", "~HW412: the version of 'c1' in 'seats' is 0@0"),
        insert("VERSION = '0@0'", "INSERT 0 1"),
        insert("VERSION = '0@0'", "~HW412: "),
        // Nobody has taken the row; somebody has, but not since.
        insert("NOT EXISTS (SELECT FROM seats WHERE course = 'c2')", "INSERT 0 1"),
        insert("NOT EXISTS (SELECT FROM seats WHERE course = 'c1' AND kind = 'left')", "INSERT 0 1"),
        insert("NOT EXISTS (SELECT FROM seats WHERE course = 'c1' AND kind IN ('left', 'taken'))", "~HW412: events came"),
        insert("NOT EXISTS (SELECT FROM seats WHERE course = 'c1') AFTER POSITION 'seats/0@4'", "INSERT 0 1"),
        insert("NOT EXISTS (SELECT FROM seats WHERE course = 'c1') AFTER POSITION 'seats/0@4'", "~HW412: "),
        insert("NOT EXISTS (SELECT * FROM seats WHERE student = 's1' AND (course = 'c2' OR course = 'c1'))", "~HW412: "),
        insert("VERSION = '0@4' AND NOT EXISTS (SELECT 1 FROM pairs)", "INSERT 0 1"),
        insert("VERSION = '0@4' AND NOT EXISTS (SELECT 1 FROM pairs)", "~HW412: "),
        insert("NOT EXISTS (SELECT FROM seats WHERE _key = 'c1')", "~HW412: "),
        // What cannot be asked.
        insert("VERSION = '0@4' OR TRUE", "~42601: "),
        (
            "INSERT INTO seats AFTER INTERVAL '1 day' VALUES ('c1', 's1', 'taken', 1) IF VERSION IS NULL".to_owned(),
            "~0A000: ".to_owned(),
        ),
        (
            "INSERT INTO seats AT TIMESTAMP '2031-01-01' VALUES ('c1', 's1', 'taken', 1) IF NOT EXISTS (SELECT FROM seats)".to_owned(),
            "~0A000: ".to_owned(),
        ),
        ("SHOW SCHEDULES".to_owned(), String::new()),
        insert("VERSION = '7'", "~: '7' is no version"),
        insert("VERSION = '0@99'", "~22023: "),
        insert("VERSION = '9@0'", "~22023: "),
        insert("NOT EXISTS (SELECT FROM nowhere)", "~42P01: "),
        (view.to_owned(), "CREATE VIEW".to_owned()),
        insert("NOT EXISTS (SELECT FROM taken)", "~0A000: line 1, column 1: 'taken' is a view"),
        insert("NOT EXISTS (SELECT FROM seats WHERE nothing = 1)", "~42703: "),
        insert("NOT EXISTS (SELECT FROM seats WHERE place = 1)", "~0A000: line 1, column 1: 'place' is no column of KEY, KIND or TAGS"),
        insert("NOT EXISTS (SELECT FROM seats WHERE course > 'c1')", "~0A000: "),
        insert("NOT EXISTS (SELECT FROM seats WHERE course = NULL)", "~22023: "),
        insert("NOT EXISTS (SELECT FROM seats) AFTER POSITION 'x'", "~22P02: "),
        insert("NOT EXISTS (SELECT FROM seats) AFTER POSITION 'seats/0@99'", "~22023: "),
        insert("NOT EXISTS (SELECT FROM pairs WHERE a = 'x')", "~0A000: line 1, column 1: the key of 'pairs' is made of (a, b)"),
        (
            "INSERT INTO seats VALUES ('c1', 's1', 'taken', 1), ('c2', 's1', 'taken', 1) IF VERSION IS NULL".to_owned(),
            "~22023: line 1, column 1: IF VERSION speaks of one entity".to_owned(),
        ),
        ("INSERT INTO pairs VALUES ('x', 1, 'c') IF NOT EXISTS (SELECT FROM pairs WHERE b = '1' AND a = 'x')".to_owned(), "INSERT 0 1".to_owned()),
        ("INSERT INTO pairs VALUES ('x', 1, 'c') IF NOT EXISTS (SELECT FROM pairs WHERE b = 1 AND 'x' = a)".to_owned(), "~HW412: ".to_owned()),
        ("INSERT INTO pairs VALUES ('x', 2, 'c') IF VERSION IS NULL".to_owned(), "INSERT 0 1".to_owned()),
        ("SELECT count(*) FROM seats".to_owned(), "6".to_owned()),
        ("SELECT count(*) FROM pairs".to_owned(), "2".to_owned()),
        ("SELECT _partition || '@' || _offset AS version FROM seats WHERE course = 'c1' ORDER BY _appended_at DESC LIMIT 1".to_owned(), "0@5".to_owned()),
    ];
    let many: Vec<String> = (0..101).map(|number| format!("'c{number}'")).collect();
    let of = |count: usize| {
        format!(
            "NOT EXISTS (SELECT FROM seats WHERE student IN ({}))",
            many[..count].join(", ")
        )
    };
    cases.push(insert(&of(101), "~54000: "));
    cases.push(insert(&of(100), "INSERT 0 1"));
    let cases: Vec<(&str, &str)> = cases
        .iter()
        .map(|(statement, expected)| (statement.as_str(), expected.as_str()))
        .collect();
    check(&mut scratch, &cases).await;
    // What came is in the error, and drivers are told the types of the parameters.
    let parsed = parse(&statement("VERSION IS NULL"), "").expect("it is read");
    let parsed = parsed.first().expect("one statement");
    let error = scratch
        .engine
        .execute(&scratch.session(), parsed, &[])
        .await
        .err()
        .expect("it is there");
    let detail = error.detail.as_deref().unwrap_or_default();
    assert!(detail.contains("seats/0@0 {\"course\":\"c1\""), "{detail}");
    let text = "INSERT INTO seats VALUES ($1, 's', 'taken', $2) IF VERSION = $3 AND NOT EXISTS (SELECT FROM pairs WHERE a = $1 AND b = $4) AFTER POSITION $5";
    let parsed = parse(text, "").expect("it is read");
    let parsed = parsed.first().expect("one statement");
    let session = scratch.session();
    let described = scratch.engine.describe(&session, parsed, &[]).await;
    let described = described.expect("it is described");
    let types: Vec<String> = described
        .parameters
        .iter()
        .map(|known| known.as_ref().map_or("?".to_owned(), |known| known.to_string()))
        .collect();
    assert_eq!(types, ["Utf8", "Int32", "Utf8", "Int32", "Utf8"]);
    let values = [
        ScalarValue::from("c9"),
        ScalarValue::from(1_i32),
        ScalarValue::Utf8(None),
        ScalarValue::from(2_i32),
        ScalarValue::from("pairs/0@0"),
    ];
    assert_eq!(scratch.run(text, &values).await, "INSERT 0 1");
    assert!(scratch.run(text, &values).await.starts_with("HW412"));
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_landed_is_returned() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("CREATE STREAM notes (note TEXT, n INTEGER DEFAULT 7) WITH (partitions = 1)", "CREATE STREAM"),
            (
                "INSERT INTO notes (note) VALUES ('a'), ('b') RETURNING *, _partition, _offset, _position",
                "a|7|0|0|notes/0@1\nb|7|0|1|notes/0@2",
            ),
            (
                "INSERT INTO transactions SELECT 'zoe', 'deposit', 1.005 RETURNING amount AS rounded, teller, _key, _principal",
                "1.01|NULL|zoe|test",
            ),
            (
                "INSERT INTO notes SELECT 'c', 1 WHERE false RETURNING _offset",
                "",
            ),
            ("INSERT INTO notes VALUES ('c', 1) IF NOT EXISTS (SELECT FROM notes) RETURNING note", "~55000"),
            // What is wrong with the answer is said before anything is appended.
            (
                "INSERT INTO notes VALUES ('c', 1) RETURNING nothing",
                "~42703: line 1, column 1: column \"nothing\" of stream \"notes\" does not exist; there are note, n, _partition",
            ),
            ("SELECT count(*), max(_offset) FROM notes", "2|1"),
        ],
    )
    .await;
    let appended = scratch
        .run("INSERT INTO notes VALUES ('d', 1) RETURNING _appended_at", &[])
        .await;
    assert_eq!(
        scratch
            .run("SELECT _appended_at FROM notes WHERE note = 'd'", &[])
            .await,
        appended
    );
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_value_is_assigned_to_its_column_by_itself() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM mixed (x TEXT, f DOUBLE PRECISION, d DECIMAL(10,2), at TIMESTAMP) KEY (x) WITH (partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "INSERT INTO mixed (x) VALUES ('007'), (8), ('1.10'), (2.5), (true), ('t'), (DATE '2024-01-06'), (NULL), ('2024-1-5') RETURNING x, _key, _offset",
                "007|007|0\n8|8|1\n1.10|1.10|2\n2.5|2.5|3\ntrue|true|4\nt|t|5\n2024-01-06|2024-01-06|6\nNULL|NULL|7\n2024-1-5|2024-1-5|8",
            ),
            (
                "INSERT INTO mixed (f, d, at) VALUES (4.5, 1, TIMESTAMP '2024-01-01'), ('2.5', '2.5', '2024-01-02'), (1, 1e1, DATE '2024-01-03') RETURNING f, d, at",
                "4.5|1.00|2024-01-01T00:00:00\n2.5|2.50|2024-01-02T00:00:00\n1.0|10.00|2024-01-03T00:00:00",
            ),
            ("INSERT INTO mixed (x) VALUES ('a'), (5) RETURNING x", "a\n5"),
            // As object-relational mappers write it.
            (
                "INSERT INTO mixed (x) VALUES ('q') RETURNING mixed.x, public.mixed.d AS d, mixed._offset",
                "q|NULL|14",
            ),
            ("INSERT INTO mixed (x) VALUES ('q') RETURNING mixed.*", "q|NULL|NULL|NULL"),
            ("INSERT INTO mixed (x) VALUES ('q') RETURNING other.x", "~42P01"),
            ("INSERT INTO mixed (d) VALUES (1), ('much')", "~22P02"),
            ("SELECT count(*) FROM mixed", "16"),
        ],
    )
    .await;
    let parameters = [ScalarValue::from("007"), ScalarValue::Int64(Some(8))];
    let answer = scratch
        .run("INSERT INTO mixed (x) VALUES ($1), ($2) RETURNING x", &parameters)
        .await;
    assert_eq!(answer, "007\n8");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_may_be_its_columns_default() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM orders (id TEXT NOT NULL, country TEXT NOT NULL DEFAULT 'de', n INTEGER DEFAULT 7, note TEXT) KEY (id) WITH (partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "INSERT INTO orders VALUES ('a', DEFAULT, 1, 'x'), ('b', 'at', default, DEFAULT), ('c', DEFAULT, NULL, 'y'), ('d', DEFAULT, DEFAULT, NULL) RETURNING *",
                "a|de|1|x\nb|at|7|NULL\nc|de|NULL|y\nd|de|7|NULL",
            ),
            (
                "INSERT INTO orders (n, id, country) VALUES (DEFAULT, 'e', 'fr') RETURNING *",
                "e|fr|7|NULL",
            ),
            ("INSERT INTO orders VALUES (DEFAULT, 'at')", "~23502"),
            // Rows that are sorted are a question, in which nobody knows what DEFAULT is.
            ("INSERT INTO orders VALUES ('g', DEFAULT), ('h', 'fr') ORDER BY 1", "~42703"),
            ("INSERT INTO orders VALUES ('g', 'fr'), ('h', DEFAULT) LIMIT 2", "~42703"),
            ("SELECT count(*) FROM orders", "5"),
            ("INSERT INTO orders (id, n) VALUES ('f', DEFAULT, 1)", "~42601"),
            ("INSERT INTO orders VALUES ('f', \"default\")", "~42703"),
            ("INSERT INTO orders DEFAULT VALUES", "~23502"),
            (
                "CREATE STREAM ticks (n INTEGER DEFAULT 7, note TEXT) WITH (partitions = 1)",
                "CREATE STREAM",
            ),
            ("INSERT INTO ticks DEFAULT VALUES RETURNING *", "7|NULL"),
            ("INSERT INTO ticks (note) DEFAULT VALUES", "~42601"),
            ("INSERT INTO ticks DEFAULT VALUES, (1)", "~42601"),
            ("SELECT DEFAULT", "~42703"),
        ],
    )
    .await;
    let parameters = [ScalarValue::from("p"), ScalarValue::from("ch")];
    let answer = scratch
        .run(
            "INSERT INTO orders VALUES ($1, $2, DEFAULT, DEFAULT) RETURNING *",
            &parameters,
        )
        .await;
    assert_eq!(answer, "p|ch|7|NULL");
    scratch.close();
}
