//! Moments, intervals and how values are written, as PostgreSQL answers.

use super::check_as;
use crate::scratch::check;
use crate::{bank, folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moments_intervals_and_numbers_are_counted_and_written_as_in_postgresql() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
        ("SELECT date_trunc('day', TIMESTAMP '9999-12-31 10:20:30')::text, date_trunc('year', TIMESTAMP '0001-06-15 10:20:30')::text, date_trunc('Week', TIMESTAMP '2300-05-06')::text", "9999-12-31 00:00:00|0001-01-01 00:00:00|2300-04-30 00:00:00"),
        ("SELECT date_trunc('hour', TIMESTAMPTZ '2300-05-06 07:08:09+00')::text, date_trunc('milliseconds', TIMESTAMP '1500-05-06 07:08:09.123456')::text", "2300-05-06 07:00:00+00|1500-05-06 07:08:09.123"),
        ("SELECT date_trunc('decade', TIMESTAMP '2024-05-06')::text, date_trunc('century', TIMESTAMP '1900-05-06')::text, date_trunc('millennium', TIMESTAMP '2001-05-06')::text", "2020-01-01 00:00:00|1801-01-01 00:00:00|2001-01-01 00:00:00"),
        ("SELECT date_trunc('hour', INTERVAL '3 days 02:47:33')::text, date_trunc('month', INTERVAL '14 months 3 days')::text", "3 days 02:00:00|1 year 2 mons"),
        ("SELECT date_trunc('fortnight', TIMESTAMP '2024-05-06')", "~22023"),
        ("SELECT date_bin('15 minutes', TIMESTAMP '9999-01-01 10:37', TIMESTAMP '2001-01-01')::text, date_bin('15 minutes', TIMESTAMP '1600-01-01 10:37:00', TIMESTAMP '2001-01-01')::text", "9999-01-01 10:30:00|1600-01-01 10:30:00"),
        ("SELECT extract(second FROM TIMESTAMP '2300-01-01 10:20:30.5'), extract(milliseconds FROM TIMESTAMP '2024-01-01 10:20:30.123456'), extract(microseconds FROM TIMESTAMP '2024-01-01 10:20:30.123456')", "30.500000|30123.456|30123456"),
        ("SELECT extract(century FROM DATE '2000-12-31'), extract(decade FROM DATE '1999-01-01'), extract(millennium FROM DATE '2001-01-01'), extract(year FROM DATE '9999-12-31')", "20|199|3|9999"),
        ("SELECT date_part('second', TIMESTAMP '2024-01-01 00:00:01.25')", "1.25"),
        ("SELECT to_char(TIMESTAMP '2024-03-05 17:08:09.123456', 'YYYY-MM-DD HH24:MI:SS.MS'), to_char(DATE '9999-12-31', 'FMDay, DDth FMMonth YYYY'), to_char(TIMESTAMPTZ '2024-03-05 17:08:00+00', 'HH12:MI am TZ')", "2024-03-05 17:08:09.123|Friday, 31st December 9999|05:08 pm UTC"),
        ("SELECT to_char(1234.5, 'FM9,999.00'), to_char(-12, '0000'), to_char(0.5::double precision, '0.99'), to_char(INTERVAL '1 day 02:03:04', 'HH24:MI:SS'), to_char(NULL::date, 'YYYY')", "1,234.50|-0012| 0.50|02:03:04|NULL"),
        ("SELECT INTERVAL '1-2'::text, INTERVAL '1 day 2:03:04'::text, INTERVAL 'P1Y2M3DT4H5M6S'::text, INTERVAL '1.5 days'::text, INTERVAL '2 weeks ago'::text", "1 year 2 mons|1 day 02:03:04|1 year 2 mons 3 days 04:05:06|1 day 12:00:00|-14 days"),
        ("SELECT (INTERVAL '1 day' * 3)::text, (2 * INTERVAL '1 hour')::text, (INTERVAL '1 hour' / 2)::text, (INTERVAL '1 day' * 1.5)::text, (INTERVAL '1 month' * 0.5)::text", "3 days|02:00:00|00:30:00|1 day 12:00:00|15 days"),
        ("SELECT INTERVAL '1 day' = INTERVAL '24 hours', INTERVAL '1 month' = INTERVAL '30 days', INTERVAL '1 month' > INTERVAL '29 days 23:00'", "true|true|true"),
        ("SELECT (TIMESTAMP '2024-01-01 10:20' + INTERVAL '1 hour' * n)::text FROM generate_series(1, 2) AS g(n) ORDER BY n", "2024-01-01 11:20:00\n2024-01-01 12:20:00"),
        ("SELECT TIMESTAMPTZ '2024-01-01 10:20+02'::text, '2024-01-01T10:20'::timestamp::text", "2024-01-01 08:20:00+00|2024-01-01 10:20:00"),
        ("SELECT 0.1::double precision::text, 1::double precision::text, 1e20::double precision::text, 0.00001::double precision::text", "0.1|1|1e+20|1e-05"),
        ("SELECT length('\\x00ff'::bytea), octet_length('\\x00ff'::bytea), length('héllo'), octet_length('héllo'), length(NULL)", "2|2|5|6|NULL"),
        ("SELECT sum(a) OVER (w ROWS UNBOUNDED PRECEDING) FROM (VALUES (3, 1), (1, 2), (2, 4)) AS t(id, a) WINDOW w AS (ORDER BY id) ORDER BY id", "2\n6\n7"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_beside_moments_reach_as_far_as_both() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let rows = "WITH dd(k, c, t, z) AS (VALUES ('a', DATE '9999-12-31', TIMESTAMP '9999-12-31 23:59:59', TIMESTAMPTZ '9999-12-31 23:59:59+00'), ('b', DATE '0001-01-01', TIMESTAMP '0001-01-01 00:00:00', TIMESTAMPTZ '0001-01-01 00:00:00+00'), ('n', DATE '2024-01-01', TIMESTAMP '2024-01-01 00:00:00', TIMESTAMPTZ '2024-01-01 00:00:00+00'))";
    let over = |question: &str| format!("{rows} {question}");
    let cases = [
        ("SELECT k FROM dd WHERE c < now() ORDER BY k", "b\nn"),
        ("SELECT k FROM dd WHERE c < TIMESTAMP '2024-01-02' ORDER BY k", "b\nn"),
        (
            "SELECT k FROM dd WHERE c < TIMESTAMPTZ '2024-01-02 00:00:00+00' ORDER BY k",
            "b\nn",
        ),
        ("SELECT k FROM dd WHERE c = t ORDER BY k", "b\nn"),
        ("SELECT k FROM dd WHERE c = z ORDER BY k", "b\nn"),
        ("SELECT k FROM dd WHERE t < c + INTERVAL '1 day' ORDER BY k", "a\nb\nn"),
        ("SELECT k FROM dd WHERE z BETWEEN c AND now() ORDER BY k", "b\nn"),
        (
            "SELECT k FROM dd WHERE c BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '2024-01-01' ORDER BY k",
            "b\nn",
        ),
        (
            "SELECT k FROM dd WHERE c IN (TIMESTAMP '9999-12-31', now()) ORDER BY k",
            "a",
        ),
        (
            "SELECT k, (t - TIMESTAMP '2024-01-01')::text, (t - c)::text FROM dd ORDER BY k",
            "a|2913173 days 23:59:59|23:59:59\nb|-738885 days|00:00:00\nn|00:00:00|00:00:00",
        ),
        (
            "SELECT k FROM dd WHERE t - TIMESTAMP '2024-01-01' > INTERVAL '300 years' ORDER BY k",
            "a",
        ),
        (
            "SELECT k, greatest(c::timestamp, t)::text, coalesce(z, c)::text, CASE WHEN k = 'a' THEN c ELSE t END::text FROM dd ORDER BY k",
            "a|9999-12-31 23:59:59|9999-12-31 23:59:59+00|9999-12-31 00:00:00\nb|0001-01-01 00:00:00|0001-01-01 00:00:00+00|0001-01-01 00:00:00\nn|2024-01-01 00:00:00|2024-01-01 00:00:00+00|2024-01-01 00:00:00",
        ),
        (
            "SELECT u.m::text FROM (SELECT c AS m FROM dd WHERE k = 'a' UNION SELECT t FROM dd WHERE k = 'b') AS u ORDER BY 1",
            "0001-01-01 00:00:00\n9999-12-31 00:00:00",
        ),
        ("SELECT x.k FROM dd x JOIN dd y ON x.c = y.t ORDER BY 1", "b\nn"),
    ];
    check_as(&mut scratch, over, &cases).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moments_are_read_as_people_write_them() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("SELECT 'epoch'::timestamp::text, TIMESTAMPTZ 'epoch'::text, DATE 'epoch'::text", "1970-01-01 00:00:00|1970-01-01 00:00:00+00|1970-01-01"),
            ("SELECT '2024/1/5'::date::text, '20240105'::date::text, '2024-01-05 10:20'::date::text", "2024-01-05|2024-01-05|2024-01-05"),
            ("SELECT TIMESTAMPTZ '2024-06-01 12:00 Europe/Berlin'::text", "2024-06-01 10:00:00+00"),
            (
                "SELECT v::timestamp::text, v::date::text FROM (VALUES ('2024-01-05 10:20'), ('2024-01-05'), (NULL), ('2024/1/5 10:20:30.5')) AS t(v)",
                "2024-01-05 10:20:00|2024-01-05\n2024-01-05 00:00:00|2024-01-05\nNULL|NULL\n2024-01-05 10:20:30.5|2024-01-05",
            ),
            ("SELECT v::interval::text FROM (VALUES ('1 day'), ('P1DT2H'), ('02:03')) AS t(v)", "1 day\n1 day 02:00:00\n02:03:00"),
            ("SELECT TIMESTAMP '2026-03-29 02:30:00+05'::text, '2026-03-29T23:30:00-05:00'::date::text, TIMESTAMPTZ '2026-03-29 02:30:00 Z'::text", "2026-03-29 02:30:00|2026-03-29|2026-03-29 02:30:00+00"),
            ("SELECT '2026-03-29T02:30:00.1234567Z'::timestamptz::text, '2024-02-29 24:00:00'::timestamp::text", "2026-03-29 02:30:00.123457+00|2024-03-01 00:00:00"),
            ("SELECT to_date('31/12/2025', 'DD/MM/YYYY')", "2025-12-31"),
            ("SELECT '1e3'::numeric, '1E-2'::numeric, '1e3'::numeric(10,2), 1.5 + '1e1'", "1000|0.01|1000.00|11.5"),
            ("SELECT v::numeric(10,2) FROM (VALUES ('1e3'), ('-1.25E-1'), ('7')) AS t(v)", "1000.00\n-0.13\n7.00"),
            ("SELECT ('{\"n\": 1.5E+2}'::json->>'n')::decimal(10,2)", "150.00"),
            ("SELECT 'abc'::text::numeric", "~22P02"),
            ("SELECT (-INTERVAL '1 month 2 days 03:00')::text, (-i)::text FROM (VALUES (INTERVAL '1 day 1 hour')) AS t(i)", "-1 mons -2 days -03:00:00|-1 days -01:00:00"),
            ("SELECT extract(second FROM INTERVAL '90.5 seconds'), extract(milliseconds FROM INTERVAL '90.5 seconds'), extract(epoch FROM INTERVAL '1 day 90.5 seconds')", "30.500000|30500.000|86490.5"),
            ("SELECT extract(second FROM TIMESTAMP '2300-01-31 10:20:30.123456' - TIMESTAMP '2024-01-01 00:00:00.5'), extract(epoch FROM TIMESTAMP '2024-01-31 00:00:00.25' - TIMESTAMP '2024-01-01')", "29.623456|2592000.25"),
            ("CREATE STREAM seen (at TIMESTAMP, day DATE, n DECIMAL(10,2))", "CREATE STREAM"),
            ("INSERT INTO seen VALUES ('2024-01-05 10:20', '2024/1/5', '1e2')", "INSERT 0 1"),
            ("SELECT * FROM seen", "2024-01-05T10:20:00|2024-01-05|100.00"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_elsewhere_show_what_they_do_there() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT (TIMESTAMPTZ '2024-01-31 10:20:30Z' AT TIME ZONE 'Europe/Berlin')::text, (TIMESTAMP '2024-01-31 10:20:30' AT TIME ZONE 'Europe/Berlin')::text",
                "2024-01-31 11:20:30|2024-01-31 09:20:30+00",
            ),
            (
                "SELECT (TIMESTAMPTZ '2024-01-31 10:20:30Z' AT TIME ZONE 'UTC')::text, (TIMESTAMP '2024-01-31 10:20:30' AT TIME ZONE 'UTC')::text",
                "2024-01-31 10:20:30|2024-01-31 10:20:30+00",
            ),
            (
                "SELECT (TIMESTAMP '2024-03-31 02:30' AT TIME ZONE 'Europe/Berlin')::text, (TIMESTAMP '2024-10-27 02:30' AT TIME ZONE 'Europe/Berlin')::text",
                "2024-03-31 01:30:00+00|2024-10-27 01:30:00+00",
            ),
            (
                "SELECT timezone(INTERVAL '2 hours', TIMESTAMPTZ '2024-01-31 10:20:30Z')::text, (TIMESTAMPTZ '2024-01-31 10:20:30Z' AT TIME ZONE '+02')::text",
                "2024-01-31 12:20:30|2024-01-31 08:20:30",
            ),
            (
                "SELECT date_trunc('day', TIMESTAMPTZ '2024-02-29 23:00:00Z', 'Europe/Berlin')::text, date_trunc('month', TIMESTAMPTZ '2024-02-01 03:00:00Z', 'America/New_York')::text",
                "2024-02-29 23:00:00+00|2024-01-01 05:00:00+00",
            ),
            (
                "SELECT (at AT TIME ZONE zone)::text FROM (VALUES (TIMESTAMPTZ '2024-01-31 10:20:30Z', 'Asia/Tokyo'), (TIMESTAMPTZ '2024-01-31 10:20:30Z', NULL), (NULL, 'UTC')) AS t(at, zone)",
                "2024-01-31 19:20:30\nNULL\nNULL",
            ),
            (
                "CREATE STREAM sales (at TIMESTAMPTZ NOT NULL, cents BIGINT);
                 CREATE MATERIALIZED VIEW days AS SELECT (at AT TIME ZONE 'Europe/Berlin')::date AS day, sum(cents) AS cents FROM sales GROUP BY (at AT TIME ZONE 'Europe/Berlin')::date;
                 INSERT INTO sales VALUES ('2024-01-31 22:59:59Z', 1), ('2024-01-31 23:00:00Z', 2), ('2024-06-30 22:00:00Z', 4)",
                "INSERT 0 3",
            ),
            ("SELECT * FROM days ORDER BY day", "2024-01-31|1\n2024-02-01|2\n2024-07-01|4"),
        ],
    )
    .await;
    scratch.close();
}
