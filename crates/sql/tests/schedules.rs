//! INSERT … AT and AFTER, CANCEL and SHOW SCHEDULES, on a real log in a scratch folder.

mod scratch;

use datafusion::common::ScalarValue;
use scratch::{Scratch, check};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_appended_later_or_cancelled() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    let listed = "SELECT json_get_str(value, 'name'), json_get_str(value, 'due'), json_get_str(value, 'stream') FROM \"_headwater.schedules\" WHERE value IS NOT NULL ORDER BY 1";
    check(
        &mut scratch,
        &[
            ("CREATE STREAM reminders (customer TEXT NOT NULL, what TEXT) KEY (customer) WITH (partitions = 2)", "CREATE STREAM"),
            ("INSERT INTO reminders AT TIMESTAMP '2001-01-01 09:00:00' NAMED 'first' VALUES ('ann', 'pay'), ('bob', 'pay')", "INSERT 0 2"),
            ("INSERT INTO reminders (what, customer) AT DATE '2200-01-01' NAMED 'far' SELECT 'wake', 'eve'", "INSERT 0 1"),
            ("INSERT INTO reminders AT '2200-01-01T10:00:00+01:00' NAMED 'farther' VALUES ('eve', 'rise')", "INSERT 0 1"),
            ("INSERT INTO reminders AT TIMESTAMP '2200-01-01' NAMED 'far' VALUES ('eve', 'again')", "~42P07: line 1, column 1: a schedule 'far' waits already"),
            ("INSERT INTO reminders AT TIMESTAMP '2200-01-01' VALUES (NULL, 'x')", "~23502"),
            ("INSERT INTO reminders AT NULL VALUES ('x', 'x')", "~23502: line 1, column 1: AT needs a value"),
            ("INSERT INTO reminders AFTER 'soon' VALUES ('x', 'x')", "~22P02: line 1, column 1: soon is no span of time"),
            ("INSERT INTO reminders AT 5 VALUES ('x', 'x')", "~: 5 is no moment"),
            ("INSERT INTO reminders AFTER INTERVAL '9000 years' VALUES ('x', 'x')", "~22003: line 1, column 1: it would be due after the year 9999"),
            ("INSERT INTO nowhere AFTER INTERVAL '1 day' VALUES ('x')", "~42P01"),
            ("INSERT INTO reminders VALUES ('x', 'x') AFTER INTERVAL '1 day'", "~AT and AFTER stand before the rows"),
            ("INSERT INTO reminders AFTER '1 day' VALUES ('x', repeat('x', 262200))", "~54000: its events have "),
            ("INSERT INTO reminders AFTER '1 day' NAMED repeat('x', 257) VALUES ('x', 'x')", "~54000: the name of a schedule has 1 to 256 bytes"),
            ("INSERT INTO reminders AT TIMESTAMP '2200-01-01' NAMED '' VALUES ('x', 'x')", "~22003: line 1, column 1: the name of a schedule has 1 to 256 bytes"),
            ("INSERT INTO reminders AT TIMESTAMP '2200-01-01' NAMED NULL VALUES ('x', 'x')", "~23502"),
            ("SELECT count(*) FROM reminders", "0"),
            (listed, "far|2200-01-01T00:00:00Z|reminders\nfarther|2200-01-01T09:00:00Z|reminders\nfirst|2001-01-01T09:00:00Z|reminders"),
            ("SHOW SCHEDULES", "~first|2001-01-01T09:00:00Z|NULL|reminders|2|"),
            ("CANCEL 'far'", "CANCEL 1"),
            ("CANCEL 'far'", "CANCEL 0"),
            ("CANCEL NULL", "~23502"),
            ("CANCEL", "~42601"),
        ],
    )
    .await;
    let parameters = ["2001-01-02", "1", "zoe"].map(ScalarValue::from);
    let inserted = "INSERT INTO reminders AT $1 NAMED 'p' || $2 VALUES ($3, 'param')";
    assert_eq!(scratch.run(inserted, &parameters).await, "INSERT 0 1");
    assert_eq!(
        scratch.run("CANCEL $1", &[ScalarValue::from("nobody")]).await,
        "CANCEL 0"
    );
    assert!(
        scratch
            .notices
            .join("|")
            .starts_with("nothing waits under the name 'nobody'"),
        "{:?}",
        scratch.notices
    );
    let schedules = scratch.engine.schedules().expect("there are schedules").clone();
    assert_eq!(schedules.append_all_due().await.expect("what is due is appended"), 2);
    check(
        &mut scratch,
        &[
            (
                "SELECT customer, what, _key, CAST(_timestamp AS TEXT), _principal FROM reminders ORDER BY customer",
                "~ann|pay|ann|2001-01-01 09:00:00+00",
            ),
            (
                "SELECT count(*), min(_timestamp) < '2001-01-02', max(_appended_at) > '2020-01-01' FROM reminders",
                "3|true|true",
            ),
            ("SELECT count(*) FROM reminders WHERE _principal = 'test'", "3"),
            ("SHOW SCHEDULES", "~farther|2200-01-01T09:00:00Z|NULL|reminders|1|"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_promised_goes_through_the_upcasters_or_is_parked() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CREATE STREAM r (id TEXT NOT NULL, n INTEGER NOT NULL) KEY (id) WITH (partitions = 1)", "CREATE STREAM"),
            ("INSERT INTO r AT TIMESTAMP '2001-01-01' VALUES ('x', 5)", "INSERT 0 1"),
            ("ALTER STREAM r ADD COLUMN more TEXT", "ALTER STREAM"),
            ("INSERT INTO r AT TIMESTAMP '2001-01-02' VALUES ('y', 6, 'm')", "INSERT 0 1"),
            (
                "ALTER STREAM r UPCAST FROM VERSION 2 TO (id TEXT NOT NULL, m INTEGER NOT NULL) AS SELECT id, n * 10 AS m",
                "ALTER STREAM",
            ),
            ("INSERT INTO r AT TIMESTAMP '2001-01-03' VALUES ('z', 7)", "INSERT 0 1"),
            ("CREATE STREAM gone (id TEXT NOT NULL) KEY (id) WITH (partitions = 1)", "CREATE STREAM"),
            ("INSERT INTO gone AT TIMESTAMP '2001-01-01' NAMED 'late' VALUES ('x')", "INSERT 0 1"),
            ("DROP STREAM gone", "DROP STREAM"),
            ("CREATE STREAM gone (other BOOLEAN) WITH (partitions = 1)", "CREATE STREAM"),
            ("CREATE STREAM strict (id TEXT NOT NULL, n INTEGER) KEY (id) WITH (partitions = 1)", "CREATE STREAM"),
            ("INSERT INTO strict AT TIMESTAMP '2001-01-01' VALUES ('x', NULL)", "INSERT 0 1"),
            (
                "ALTER STREAM strict UPCAST FROM VERSION 1 TO (id TEXT NOT NULL, m INTEGER NOT NULL) AS SELECT id, n AS m",
                "ALTER STREAM",
            ),
        ],
    )
    .await;
    let schedules = scratch.engine.schedules().expect("there are schedules").clone();
    schedules.append_all_due().await.expect("what is due is appended");
    check(
        &mut scratch,
        &[
            ("SELECT id, m FROM r ORDER BY id", "x|50\ny|60\nz|7"),
            ("SELECT count(*) FROM gone", "0"),
            (
                "SELECT reason FROM _headwater.parked ORDER BY 1",
                "~the stream 'gone' that they were made for was dropped",
            ),
            (
                "SELECT reason FROM _headwater.parked ORDER BY 1",
                "~it does not fit the stream's columns any more",
            ),
            ("SELECT count(*) FROM _headwater.parked", "2"),
        ],
    )
    .await;
    scratch.close();
}
