//! COPY and RETURNING with a driver: rows that go in and out as data of their own.

use bytes::Bytes;
use futures::{SinkExt, TryStreamExt};
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::door::Door;
use crate::{check, code};

const NOTES: &str = "CREATE STREAM notes (id INTEGER NOT NULL, note TEXT, at TIMESTAMP, paid BOOLEAN) KEY (id)";

/// Sends data for a COPY, in pieces of so many bytes; how many rows that were, or the error's SQLSTATE.
async fn copied(client: &Client, statement: &str, data: &str, piece: usize) -> Result<u64, String> {
    let sink = client.copy_in(statement).await.map_err(|error| code(&error))?;
    let mut sink = std::pin::pin!(sink);
    for piece in data.as_bytes().chunks(piece) {
        // Where the program has refused the rest already, the end says so.
        if sink.send(Bytes::copy_from_slice(piece)).await.is_err() {
            break;
        }
    }
    sink.finish().await.map_err(|error| code(&error))
}

async fn copied_out(client: &Client, statement: &str) -> Result<String, String> {
    let stream = client.copy_out(statement).await.map_err(|error| code(&error))?;
    let pieces: Vec<Bytes> = stream.try_collect().await.map_err(|error| code(&error))?;
    Ok(String::from_utf8(pieces.concat()).expect("texts"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_copied_in_and_out() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    check(&client, NOTES, &["(0)"]).await;
    let text = "1\ta\\tb\t2024-01-31 10:20:30\tt\n2\t\\N\t\\N\tf\n3\t\t2024-02-01 10:20\t\\N\n";
    for piece in [1, 7, 1000] {
        let rows = copied(&client, "COPY notes FROM STDIN", text, piece).await;
        assert_eq!(rows, Ok(3), "{piece}");
    }
    let csv = "note,id\n\"x, \"\"y\"\"\",4\n,5\n\"\",6\n";
    let rows = copied(
        &client,
        "COPY notes (note, id) FROM STDIN WITH (FORMAT csv, HEADER)",
        csv,
        5,
    )
    .await;
    assert_eq!(rows, Ok(3));
    // What this session wrote, its next question sees.
    check(
        &client,
        "SELECT count(*), count(note), count(DISTINCT id) FROM notes",
        &["12|8|6", "(1)"],
    )
    .await;
    let out = copied_out(
        &client,
        "COPY (SELECT DISTINCT id, note, at, paid FROM notes WHERE id < 4 ORDER BY id) TO STDOUT",
    )
    .await;
    assert_eq!(
        out.as_deref(),
        Ok("1\ta\\tb\t2024-01-31 10:20:30\tt\n2\t\\N\t\\N\tf\n3\t\t2024-02-01 10:20:00\t\\N\n")
    );
    let out = copied_out(
        &client,
        "COPY (SELECT id, note FROM notes WHERE id > 3 ORDER BY id) TO STDOUT CSV HEADER",
    )
    .await;
    assert_eq!(out.as_deref(), Ok("id,note\n4,\"x, \"\"y\"\"\"\n5,\n6,\"\"\n"));
    let out = copied_out(&client, "COPY notes (id) TO STDOUT").await.expect("rows");
    assert_eq!(out.lines().count(), 12);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_copied_in_the_binary_format() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    let kinds = "CREATE STREAM kinds (id INTEGER NOT NULL, large BIGINT, price DECIMAL(12,2), note TEXT, paid BOOLEAN, day DATE, at TIMESTAMPTZ, raw BYTEA, part DOUBLE PRECISION)";
    check(&client, kinds, &["(0)"]).await;
    let types = [
        Type::INT4,
        Type::INT8,
        Type::TEXT,
        Type::BOOL,
        Type::BYTEA,
        Type::FLOAT8,
    ];
    let sink = client
        .copy_in("COPY kinds (id, large, note, paid, raw, part) FROM STDIN WITH (FORMAT binary)")
        .await
        .expect("a sink");
    let mut writer = Box::pin(BinaryCopyInWriter::new(sink, &types));
    let raw: &[u8] = b"\x00\xff";
    writer
        .as_mut()
        .write(&[&1_i32, &(1_i64 << 40), &"é\t", &true, &raw, &0.1_f64])
        .await
        .expect("a row");
    let nothing: Option<i64> = None;
    writer
        .as_mut()
        .write(&[&2_i32, &nothing, &"", &false, &raw, &-1.5_f64])
        .await
        .expect("a row");
    assert_eq!(writer.as_mut().finish().await.expect("an end"), 2);
    check(
        &client,
        "SELECT id, large, note, paid, raw, part FROM kinds ORDER BY id",
        &["1|1099511627776|é\t|t|\\x00ff|0.1", "2|NULL||f|\\x00ff|-1.5", "(2)"],
    )
    .await;
    // What goes out comes in again.
    check(
        &client,
        "INSERT INTO kinds (id, price, day, at) VALUES (3, 1234.50, '2024-01-31', '2024-01-31 10:20:30.5+00')",
        &["(1)"],
    )
    .await;
    let copied: Vec<Bytes> = client
        .copy_out("COPY (SELECT id, price, day, at FROM kinds WHERE id = 3) TO STDOUT WITH BINARY")
        .await
        .expect("rows")
        .try_collect()
        .await
        .expect("rows");
    let sink = client
        .copy_in("COPY kinds (id, price, day, at) FROM STDIN BINARY")
        .await
        .expect("a sink");
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from(copied.concat())).await.expect("data");
    assert_eq!(sink.finish().await.expect("an end"), 1);
    check(
        &client,
        "SELECT id, price, day, at, count(*) FROM kinds WHERE price IS NOT NULL GROUP BY 1, 2, 3, 4",
        &["3|1234.50|2024-01-31|2024-01-31 10:20:30.5+00|2", "(1)"],
    )
    .await;
    // A value that is none of its column's type, and data that are cut off.
    for (statement, data, state) in [
        ("COPY kinds (id) FROM STDIN BINARY", "1\n", "22P04"),
        ("COPY kinds (id) FROM STDIN (FORMAT binary, HEADER)", "", "42601"),
    ] {
        let came = self::copied(&client, statement, data, 1000).await;
        assert_eq!(came, Err(state.to_owned()), "{statement}");
    }
    check(&client, "SELECT count(*) FROM kinds", &["4", "(1)"]).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_all_or_nothing() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    check(&client, NOTES, &["(0)"]).await;
    for (statement, data, state) in [
        ("COPY notes (id) FROM STDIN", "1\nx\n", "22P02"),
        ("COPY notes (id, note) FROM STDIN", "1\ta\n2\n", "22P04"),
        ("COPY notes (id, note) FROM STDIN", "1\ta\tb\n", "22P04"),
        ("COPY notes (note) FROM STDIN", "a\n", "23502"),
        ("COPY notes (id, at) FROM STDIN", "1\tnoon\n", "22007"),
        ("COPY notes (id, note) FROM STDIN CSV", "1,\"a\n", "22P04"),
    ] {
        let came = copied(&client, statement, data, 1000).await;
        assert_eq!(came, Err(state.to_owned()), "{statement}");
        // The session goes on.
        check(&client, "SELECT count(*) FROM notes", &["0", "(1)"]).await;
    }
    // Such do not begin.
    check(&client, "COPY nowhere FROM STDIN", &["42P01"]).await;
    check(&client, "COPY notes (nothing) FROM STDIN", &["42703"]).await;
    check(&client, "COPY notes FROM '/etc/hosts'", &["0A000"]).await;
    check(&client, "SELECT count(*) FROM notes", &["0", "(1)"]).await;
    {
        let sink = client.copy_in("COPY notes (id) FROM STDIN").await.expect("a sink");
        let mut sink = Box::pin(sink);
        sink.send(Bytes::from_static(b"1\n")).await.expect("a row");
        // Dropped before its end: the driver says that the copy failed.
    }
    check(&client, "SELECT count(*) FROM notes", &["0", "(1)"]).await;
    let large = format!("1\t{}\n", "x".repeat(1 << 20)).repeat(65);
    let came = copied(&client, "COPY notes (id, note) FROM STDIN", &large, 1 << 20).await;
    assert_eq!(came, Err("54000".to_owned()));
    check(&client, "SELECT count(*) FROM notes", &["0", "(1)"]).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_answers_what_landed() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    check(&client, NOTES, &["(0)"]).await;
    let statement = "INSERT INTO notes (id, note) VALUES ($1, $2), (8, 'b') RETURNING id, note AS said, _position";
    let rows = client.query(statement, &[&7_i32, &"a"]).await.expect("rows");
    let read = |row: &tokio_postgres::Row| (row.get::<_, i32>(0), row.get::<_, String>("said"));
    let came: Vec<(i32, String)> = rows.iter().map(read).collect();
    assert_eq!(came, [(7, "a".to_owned()), (8, "b".to_owned())]);
    assert!(rows[0].get::<_, String>(2).starts_with("notes/"));
    check(&client, "INSERT INTO notes (id) VALUES (9) RETURNING id", &["9", "(1)"]).await;
    check(&client, "SELECT count(*) FROM notes", &["3", "(1)"]).await;
    door.close().await;
}
