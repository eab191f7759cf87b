//! A session whose time zone is another than UTC.

use crate::door::Door;
use crate::{check, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_shows_and_reads_moments_in_its_zone() {
    let door = Door::open(|_| {}).await;
    let (client, _) = door.client().await;
    let seen = "CREATE STREAM seen (id INTEGER, at TIMESTAMPTZ, clock TIMESTAMP, day DATE); \
                CREATE MATERIALIZED VIEW days KEY (id) AS SELECT id, at, at::date AS day FROM seen";
    check(&client, seen, &["(0)", "(0)"]).await;
    check(&client, "SET TimeZone = 'Europe/Berlin'", &["(0)"]).await;
    check(&client, "SHOW TimeZone", &["Europe/Berlin", "(0)"]).await;
    let rows = "INSERT INTO seen VALUES (1, '2024-01-31 23:30', '2024-01-31 23:30', '2024-01-31'), (2, '2024-07-01 00:30+00', NULL, NULL), \
                (3, TIMESTAMP '2024-07-01 00:30', TIMESTAMPTZ '2024-07-01 12:00', '2024-07-01 23:00+00'::timestamptz)";
    check(&client, rows, &["(3)"]).await;
    let all = "SELECT id, at, clock, day FROM seen ORDER BY id";
    check(
        &client,
        all,
        &[
            "1|2024-01-31 23:30:00+01|2024-01-31 23:30:00|2024-01-31",
            "2|2024-07-01 02:30:00+02|NULL|NULL",
            "3|2024-07-01 00:30:00+02|2024-07-01 12:00:00|2024-07-02",
            "(3)",
        ],
    )
    .await;
    for (asked, expected) in [
        // Casts, parts and steps are those of the clock there.
        (
            "SELECT at::date, at::timestamp, at::text FROM seen WHERE id = 2",
            "2024-07-01|2024-07-01 02:30:00|2024-07-01 02:30:00+02",
        ),
        (
            "SELECT extract(hour FROM at), date_trunc('day', at), to_char(at, 'HH24:MI') FROM seen WHERE id = 3",
            "0|2024-07-01 00:00:00+02|00:30",
        ),
        (
            "SELECT TIMESTAMPTZ '2024-03-30 12:00' + INTERVAL '1 day', TIMESTAMPTZ '2024-03-30 12:00' + INTERVAL '24 hours'",
            "2024-03-31 12:00:00+02|2024-03-31 13:00:00+02",
        ),
        (
            "SELECT count(*) FROM seen WHERE at >= '2024-07-01' AND at < '2024-07-01 01:00'",
            "1",
        ),
        ("SELECT count(*) FROM seen WHERE at::date = DATE '2024-07-01'", "2"),
        (
            "SELECT at AT TIME ZONE 'UTC', TIMESTAMP '2024-07-01 12:00' AT TIME ZONE 'America/New_York' FROM seen WHERE id = 3",
            "2024-06-30 22:30:00|2024-07-01 18:00:00+02",
        ),
        (
            "SELECT '2024-07-01 12:00'::timestamptz, '2024-07-01 12:00Z'::timestamptz, array_agg(at ORDER BY id) FROM seen WHERE id = 1",
            "2024-07-01 12:00:00+02|2024-07-01 14:00:00+02|{\"2024-01-31 23:30:00+01\"}",
        ),
        (
            "SELECT extract(epoch FROM TIMESTAMPTZ '1970-01-01 01:00') = 0, current_date = (now() AT TIME ZONE 'Europe/Berlin')::date",
            "t|t",
        ),
        // A definition knows no session.
        ("SELECT day FROM days WHERE id = 3", "2024-06-30"),
    ] {
        let came = run(&client, asked).await;
        assert_eq!(came.first().map(String::as_str), Some(expected), "{asked}");
    }
    // Parameters and what is looked up again and again.
    let statement = client
        .prepare("SELECT at::text FROM days WHERE id = $1")
        .await
        .expect("a statement");
    for _ in 0..5 {
        let row = client.query_one(&statement, &[&3_i32]).await.expect("a row");
        assert_eq!(row.get::<_, String>(0), "2024-07-01 00:30:00+02");
    }
    check(&client, "SET TIME ZONE 'UTC'", &["(0)"]).await;
    check(
        &client,
        "SELECT at FROM seen WHERE id = 3",
        &["2024-06-30 22:30:00+00", "(1)"],
    )
    .await;
    check(&client, "SET TimeZone TO '-03:30'", &["(0)"]).await;
    check(
        &client,
        "SELECT at FROM seen WHERE id = 3",
        &["2024-07-01 02:00:00+03:30", "(1)"],
    )
    .await;
    check(&client, "SET TIME ZONE -8", &["(0)"]).await;
    check(
        &client,
        "SELECT at FROM seen WHERE id = 3",
        &["2024-06-30 14:30:00-08", "(1)"],
    )
    .await;
    check(&client, "RESET TimeZone", &["(0)"]).await;
    check(&client, "SHOW TIME ZONE", &["UTC", "(0)"]).await;
    check(&client, "SET TimeZone = 'Mars/Phobos'", &["22023"]).await;
    door.close().await;
}
