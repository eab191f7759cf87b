//! Streams whose values are no JSON: what is written, read and refused, and how they change.

mod scratch;

use bytes::Bytes;
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event};
use scratch::{Scratch, check};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

/// Appends values as a Kafka client would: nothing looks at them.
async fn produce(scratch: &mut Scratch, stream: &str, values: &[&[u8]]) {
    let event = |value: &&[u8]| Event {
        value: Some(Bytes::copy_from_slice(value)),
        ..Event::default()
    };
    let events: Vec<Event> = values.iter().map(event).collect();
    let append = Append {
        parts: vec![Part {
            stream: stream.to_owned(),
            partition: 0,
            batch: Batch::encode(&events, Compression::None, None),
        }],
        principal: "kafka".to_owned(),
        condition: None,
    };
    let appended = scratch.log.append(append).await.expect("it is appended");
    let next = appended.base_offsets[0] + values.len() as u64;
    scratch.written.advance(stream, 0, next);
}

/// The values of a stream's only partition, as they stand in the log.
fn values(scratch: &Scratch, stream: &str) -> Vec<String> {
    let batches = scratch.log.read(stream, 0, 0, 1 << 20).expect("it is read");
    let events = batches.iter().flat_map(|stored| stored.batch.events().expect("events"));
    events
        .map(|(_, event)| event.value.unwrap_or_default().escape_ascii().to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_commas() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM bookings (account TEXT NOT NULL, amount DECIMAL(18,2), paid BOOLEAN, note TEXT, doc BYTEA, more JSON, at TIMESTAMPTZ)
                 KEY (account) WITH (format = 'csv', delimiter = ';', partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW totals AS SELECT account, sum(amount) AS total, count(*) AS entries FROM bookings GROUP BY account",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "INSERT INTO bookings VALUES ('ann', 1.5, true, 'a;\"b\"', '\\x00ff', '{\"k\":[1]}', '2026-01-02T03:04:05Z'), ('bob', NULL, NULL, '', NULL, NULL, NULL)",
                "INSERT 0 2",
            ),
        ],
    )
    .await;
    assert_eq!(
        values(&scratch, "bookings"),
        [
            r#"ann;1.50;true;\"a;\"\"b\"\"\";\\x00ff;\"{\"\"k\"\":[1]}\";2026-01-02T03:04:05Z"#,
            r#"bob;;;\"\";;;"#
        ]
    );
    let sent: [&[u8]; 6] = [
        b"ann;2.25;f\r\n",
        b"ann;2.255",
        b";1",
        b"ann;1;;;;;;;",
        b"\xff",
        b"\"bob\";7;yes;;;;",
    ];
    produce(&mut scratch, "bookings", &sent).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT account, amount, paid, note, doc, more, at FROM bookings ORDER BY _offset",
                "ann|1.50|true|a;\"b\"|00ff|{\"k\":[1]}|2026-01-02T03:04:05Z\nbob|NULL|NULL||NULL|NULL|NULL\n\
                 ann|2.25|false|NULL|NULL|NULL|NULL\nbob|7.00|true|NULL|NULL|NULL|NULL",
            ),
            ("SELECT _key FROM bookings WHERE _offset = 0", "ann"),
            ("SELECT * FROM totals ORDER BY account", "ann|3.75|2\nbob|7.00|2"),
            (
                "SELECT \"offset\", value FROM \"_headwater.parked\" ORDER BY \"offset\"",
                "3|ann;2.255\n4|;1\n5|ann;1;;;;;;;\n6|\\xff",
            ),
            (
                "SELECT reason FROM \"_headwater.parked\" WHERE \"offset\" = 5",
                "the record has 9 fields, and the stream 7 columns",
            ),
            ("INSERT INTO bookings (amount) VALUES (1)", "~23502"),
            ("DESCRIBE bookings", "~format|csv, fields between ';'||"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_and_bytes() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM lines WITH (format = 'text', partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "CREATE STREAM blobs (blob BYTEA) KEY (blob) WITH (format = 'bytes', partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "INSERT INTO lines VALUES ('{\"no\": json'), ('\u{e9}\"\\'), ('')",
                "INSERT 0 3",
            ),
            ("INSERT INTO blobs VALUES ('\\x00ff'), ('')", "INSERT 0 2"),
            ("INSERT INTO blobs VALUES (NULL)", "~22P02"),
            ("INSERT INTO lines VALUES (NULL)", "~23502"),
        ],
    )
    .await;
    assert_eq!(values(&scratch, "blobs"), ["\\x00\\xff", ""]);
    produce(&mut scratch, "lines", &[b"plain", b"\xc3"]).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT value FROM lines ORDER BY _offset",
                "{\"no\": json\n\u{e9}\"\\\n\nplain",
            ),
            ("SELECT encode(blob, 'hex') FROM blobs ORDER BY _offset", "00ff\n"),
            (
                "CREATE MATERIALIZED VIEW counted AS SELECT value, count(*) AS times FROM lines GROUP BY value",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT times FROM counted WHERE value = 'plain'", "1"),
            (
                "SELECT reason, value FROM \"_headwater.parked\"",
                "the value is no UTF-8 text: the byte 0 is not part of a character|\\xc3",
            ),
            (
                "ALTER STREAM lines ADD COLUMN more TEXT",
                "~its format is 'text': the value is its one column",
            ),
            ("DROP VIEW counted", "DROP MATERIALIZED VIEW"),
            ("ALTER STREAM lines RENAME COLUMN value TO line", "ALTER STREAM"),
            ("SELECT count(line) FROM lines", "4"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_read_by_the_columns_that_they_were_written_for() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM s (a TEXT, b INTEGER, c TEXT) WITH (format = 'csv', partitions = 1)",
                "CREATE STREAM",
            ),
            ("INSERT INTO s VALUES ('a1', 1, 'c1')", "INSERT 0 1"),
            ("ALTER STREAM s ADD COLUMN d TEXT DEFAULT 'none'", "ALTER STREAM"),
            ("INSERT INTO s VALUES ('a2', 2, 'c2', 'd2')", "INSERT 0 1"),
            ("INSERT INTO s (a) VALUES ('a3')", "INSERT 0 1"),
            ("ALTER STREAM s DROP COLUMN b", "ALTER STREAM"),
            ("INSERT INTO s VALUES ('a4', 'c4', 'd4')", "INSERT 0 1"),
            ("ALTER STREAM s RENAME COLUMN c TO see", "ALTER STREAM"),
            ("INSERT INTO s VALUES ('a5', 'c5', NULL)", "INSERT 0 1"),
            (
                "SELECT a, see, d FROM s ORDER BY _offset",
                "a1|c1|none\na2|c2|d2\na3|NULL|none\na4|c4|d4\na5|c5|NULL",
            ),
            (
                "ALTER STREAM s UPCAST FROM VERSION 4 AS SELECT a, upper(see) AS see, d, 1 AS n FROM s",
                "~",
            ),
        ],
    )
    .await;
    assert_eq!(
        values(&scratch, "s"),
        ["a1,1,c1", "a2,2,c2,d2", "a3,,,none", "a4,c4,d4", "a5,c5,"]
    );
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_are_found_in_records() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM seats (what TEXT, course TEXT, student TEXT) KIND (what) TAGS (course) WITH (format = 'csv', partitions = 1)",
                "CREATE STREAM",
            ),
            ("INSERT INTO seats VALUES ('taken', 'c1', 's1') IF NOT EXISTS (SELECT FROM seats WHERE course = 'c1')", "INSERT 0 1"),
            (
                "INSERT INTO seats VALUES ('taken', 'c1', 's2') IF NOT EXISTS (SELECT FROM seats WHERE course = 'c1')",
                "~seats/0@0",
            ),
            ("INSERT INTO seats VALUES ('taken', 'c2', 's2') IF NOT EXISTS (SELECT FROM seats WHERE course = 'c2')", "INSERT 0 1"),
            ("ALTER STREAM seats DROP COLUMN student", "~found by the places of their KIND and TAGS"),
            ("ALTER STREAM seats ADD COLUMN at DATE", "ALTER STREAM"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_format_cannot_hold_is_refused() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CREATE STREAM s WITH (format = 'csv')", "~its fields have no names"),
            (
                "CREATE STREAM s (a TEXT, b TEXT) WITH (format = 'text')",
                "~the value is its one column, a TEXT",
            ),
            (
                "CREATE STREAM s (a TEXT) WITH (format = 'bytes')",
                "~the value is its one column, a BYTEA",
            ),
            (
                "CREATE STREAM s (a TEXT) WITH (format = 'csv', delimiter = 'ab')",
                "~cannot stand between fields",
            ),
            (
                "CREATE STREAM s (a TEXT) WITH (delimiter = ';')",
                "~whose format is 'json'",
            ),
            ("CREATE STREAM s (a TEXT) WITH (format = 'csv')", "CREATE STREAM"),
            (
                "CREATE OR REPLACE STREAM s (a TEXT) WITH (format = 'json')",
                "~its events are written as 'csv'",
            ),
            (
                "CREATE OR REPLACE STREAM s (a TEXT) WITH (format = 'csv', delimiter = ';')",
                "~another delimiter",
            ),
        ],
    )
    .await;
    scratch.close();
}
