//! Streams whose values are no JSON: what is written, read and refused, and how they change.

mod scratch;

use bytes::Bytes;
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event};
use headwater_schemas::{Schema, SchemaType};
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
            ("DROP MATERIALIZED VIEW counted", "DROP MATERIALIZED VIEW"),
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

/// Registers a schema as a client would: its id.
async fn register(scratch: &Scratch, subject: &str, schema_type: SchemaType, text: &str) -> u32 {
    let schema = Schema {
        schema_type,
        text: text.to_owned(),
        references: Vec::new(),
    };
    let schemas = scratch.engine.catalog().schemas().clone();
    let registered = schemas.register(subject, schema, "ann").await;
    registered.expect("it is taken").registered.id
}

/// A framed value.
fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    let mut value = headwater_schemas::frame(id);
    value.extend_from_slice(body);
    value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn avro_takes_its_columns_from_the_registry() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[(
            "CREATE STREAM ratings WITH (format = 'avro')",
            "~there is no schema under the subject 'ratings-value'",
        )],
    )
    .await;
    let first =
        r#"{"type":"record","name":"rating","fields":[{"name":"item","type":"string"},{"name":"stars","type":"int"}]}"#;
    let id = register(&scratch, "ratings-value", SchemaType::Avro, first).await;
    check(
        &mut scratch,
        &[
            ("CREATE STREAM ratings KEY (item) WITH (format = 'avro', partitions = 1)", "CREATE STREAM"),
            ("CREATE MATERIALIZED VIEW stars AS SELECT item, sum(stars) AS stars, count(*) AS ratings FROM ratings GROUP BY item", "CREATE MATERIALIZED VIEW"),
            ("INSERT INTO ratings VALUES ('lamp', 5), ('desk', 3)", "INSERT 0 2"),
        ],
    )
    .await;
    assert_eq!(values(&scratch, "ratings")[0], "\\x00\\x00\\x00\\x00\\x01\\x08lamp\\n");
    // Another version, by another writer, before anybody altered the stream.
    let second = first.replace(
        r#""stars","type":"int"}"#,
        r#""stars","type":"long"},{"name":"user","type":["null","string"],"default":null}"#,
    );
    let other = register(&scratch, "ratings-value", SchemaType::Avro, &second).await;
    let sent = [
        framed(id, b"\x08lamp\x08"),
        framed(other, b"\x08lamp\x04\x02\x06ann"),
        framed(99, b"\x08lamp\x08"),
        b"{}".to_vec(),
        framed(id, b"\x08lamp"),
        framed(id, b"\x08lamp\x08\x00"),
        framed(other, b"\x08lamp\x80\x80\x80\x80\x20\x00"),
    ];
    let sent: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
    produce(&mut scratch, "ratings", &sent).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT item, stars FROM ratings ORDER BY _offset",
                "lamp|5\ndesk|3\nlamp|4\nlamp|2",
            ),
            ("SELECT * FROM stars ORDER BY item", "desk|3|1\nlamp|11|3"),
            ("SELECT count(*) FROM \"_headwater.parked\"", "5"),
            (
                "SELECT reason FROM \"_headwater.parked\" WHERE \"offset\" = 4",
                "the value names the schema 99, which the registry did not have when it was appended",
            ),
            (
                "SELECT reason FROM \"_headwater.parked\" WHERE \"offset\" = 5",
                "~does not begin with a 0 byte",
            ),
            (
                "SELECT reason FROM \"_headwater.parked\" WHERE \"offset\" = 6",
                "~the field 'stars': the value ends too early",
            ),
            (
                "SELECT reason FROM \"_headwater.parked\" WHERE \"offset\" = 7",
                "~1 bytes stand behind the value",
            ),
            (
                "SELECT reason FROM \"_headwater.parked\" WHERE \"offset\" = 8",
                "column 'stars' INTEGER: 4294967296 is out of range",
            ),
            ("ALTER STREAM ratings ADD COLUMN user TEXT", "ALTER STREAM"),
            ("INSERT INTO ratings VALUES ('vase', 1, 'bob')", "INSERT 0 1"),
            (
                "SELECT item, stars, user FROM ratings WHERE user IS NOT NULL ORDER BY _offset",
                "lamp|2|ann\nvase|1|bob",
            ),
            ("DESCRIBE ratings", "~format|avro, by the subject 'ratings-value'"),
            // Said again, it is what it is, whatever became of the subject.
            (
                "CREATE OR REPLACE STREAM ratings KEY (item) WITH (format = 'avro', partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "CREATE STREAM IF NOT EXISTS ratings WITH (format = 'avro')",
                "CREATE STREAM",
            ),
        ],
    )
    .await;
    // The views are the same when they are folded again, also from values of schemas that are registered by now.
    let written = scratch.written.clone();
    scratch.close();
    std::fs::remove_dir_all(folder.path().join("views")).expect("the stores go");
    let mut scratch = Scratch::open(folder.path());
    scratch.written = written;
    check(
        &mut scratch,
        &[("SELECT * FROM stars ORDER BY item", "desk|3|1\nlamp|11|3\nvase|1|1")],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn declared_columns_make_a_schema() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    for format in ["avro", "protobuf"] {
        let create = format!(
            "CREATE STREAM {format} (a TEXT NOT NULL, n BIGINT, d DECIMAL(18,2), x BYTEA, on_day DATE, at TIMESTAMPTZ, more JSON, ok BOOLEAN)
             KEY (a) WITH (format = '{format}', partitions = 1)"
        );
        let insert = format!(
            "INSERT INTO {format} VALUES ('k', 9007199254740993, 1.5, '\\x00ff', '2026-01-02', '2026-01-02T03:04:05Z', '{{\"k\":[1]}}', true), ('n', NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
        );
        check(
            &mut scratch,
            &[
                (create.as_str(), "CREATE STREAM"),
                (insert.as_str(), "INSERT 0 2"),
                (
                    format!("SELECT a, n, d, x, on_day, at, more, ok, _key FROM {format} ORDER BY _offset").as_str(),
                    "k|9007199254740993|1.50|00ff|2026-01-02|2026-01-02T03:04:05Z|{\"k\":[1]}|true|k\nn|NULL|NULL|NULL|NULL|NULL|NULL|NULL|n",
                ),
                (format!("ALTER STREAM {format} ADD COLUMN new TEXT").as_str(), "ALTER STREAM"),
                (format!("INSERT INTO {format} (a, new) VALUES ('k', 'x')").as_str(), "~has no field for the column 'new'"),
                (format!("ALTER STREAM {format} RENAME COLUMN n TO number").as_str(), "ALTER STREAM"),
                (format!("INSERT INTO {format} (a, number) VALUES ('m', 7)").as_str(), "INSERT 0 1"),
                (format!("SELECT number FROM {format} ORDER BY _offset").as_str(), "9007199254740993\nNULL\n7"),
            ],
        )
        .await;
    }
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM \"avro2\" (\"a b\" TEXT) WITH (format = 'avro')",
                "~cannot be the name of a field",
            ),
            ("DROP STREAM avro", "DROP STREAM"),
            (
                "CREATE STREAM avro (a INTEGER) WITH (format = 'avro')",
                "~its field for the column 'a INTEGER' is TEXT",
            ),
            (
                "CREATE STREAM avro (zzz INTEGER NOT NULL) WITH (format = 'avro')",
                "~no field for the column 'zzz INTEGER NOT NULL'",
            ),
            (
                "CREATE STREAM avro WITH (format = 'protobuf')",
                "~it is AVRO, and the format of the stream 'protobuf'",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_may_stand_behind_the_id_of_its_schema() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    let id = register(&scratch, "j-value", SchemaType::Json, r#"{"type":"object"}"#).await;
    check(
        &mut scratch,
        &[
            ("CREATE STREAM j (a INTEGER) WITH (partitions = 1)", "CREATE STREAM"),
            ("CREATE STREAM free WITH (partitions = 1)", "CREATE STREAM"),
        ],
    )
    .await;
    for stream in ["j", "free"] {
        let sent = [
            framed(id, b"{\"a\":1}"),
            b"{\"a\":2}".to_vec(),
            framed(id + 1, b"{\"a\":3}"),
        ];
        let sent: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
        produce(&mut scratch, stream, &sent).await;
    }
    check(
        &mut scratch,
        &[
            ("SELECT a FROM j ORDER BY _offset", "1\n2"),
            (
                "SELECT value->>'a' FROM free WHERE value->>'a' IS NOT NULL ORDER BY _offset",
                "1\n2",
            ),
        ],
    )
    .await;
    scratch.close();
}
