//! Texts in quotes beside values of other types.

use super::check_as;
use crate::{bank, folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_in_quotes_has_the_type_of_what_stands_beside_it() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let rows = "WITH t(id, a, d, f, flag, day, at) AS (VALUES (1, 1, 1.50::decimal(10,2), 0.5::double precision, true, DATE '2024-01-31', TIMESTAMP '2024-01-31 10:20:30'), (2, NULL, NULL, NULL, NULL, NULL, NULL), (3, 3, -2.25, 3.5::double precision, false, DATE '2024-02-29', TIMESTAMP '2024-02-29 23:59:59'))";
    let over = |question: &str| format!("{rows} {question}");
    let cases = [
        (
            "SELECT coalesce(a, '7'), coalesce(d, '7.5'), coalesce(f, '0.25'), coalesce(flag, 'f'), coalesce(day, '2020-01-01')::text, coalesce(at, '2020-01-01')::text FROM t WHERE id = 2",
            "7|7.50|0.25|false|2020-01-01|2020-01-01 00:00:00",
        ),
        (
            "SELECT a + '1', '10' - a, a * '2', a / '2', a % '2' FROM t WHERE id = 3",
            "4|7|6|1|1",
        ),
        ("SELECT d + '1.005', d * '2' FROM t WHERE id = 1", "2.505|3.00"),
        ("SELECT f + '1.25', f / '2' FROM t WHERE id = 1", "1.75|0.25"),
        ("SELECT id FROM t WHERE flag = 't' ORDER BY id", "1"),
        ("SELECT id FROM t WHERE flag <> 'yes' ORDER BY id", "3"),
        ("SELECT id FROM t WHERE flag IN ('off', 'no') ORDER BY id", "3"),
        ("SELECT id FROM t WHERE flag AND 't' ORDER BY id", "1"),
        (
            "SELECT id FROM t WHERE flag IS DISTINCT FROM 'true' ORDER BY id",
            "2\n3",
        ),
        ("SELECT id FROM t WHERE NOT 'f' AND (a, flag) = ('1', 'on')", "1"),
        ("SELECT id FROM t WHERE 't' ORDER BY id", "1\n2\n3"),
        ("SELECT id FROM t WHERE a BETWEEN '2' AND '3'", "3"),
        ("SELECT id FROM t WHERE day BETWEEN '2024-02-01' AND '2024-12-31'", "3"),
        (
            "SELECT day - '2024-01-01', (at - '2024-01-30 10:20:30')::text, (at + '1 day 01:00')::text FROM t WHERE id = 1",
            "30|1 day|2024-02-01 11:20:30",
        ),
        (
            "SELECT nullif(flag, 't'), nullif(a, '1'), greatest(a, '2'), CASE flag WHEN 't' THEN 'yes' ELSE 'no' END, CASE WHEN a = 1 THEN '5' ELSE a END FROM t ORDER BY id",
            "NULL|NULL|2|yes|5\nNULL|NULL|2|no|NULL\nfalse|3|3|no|3",
        ),
        ("SELECT flag FROM t UNION SELECT 't' ORDER BY 1", "false\ntrue\nNULL"),
        (
            "SELECT a FROM t WHERE a = ANY ('{1,2}') OR '3' = ANY (ARRAY[a, 5]) ORDER BY a",
            "1\n3",
        ),
        ("SELECT v FROM (VALUES (true), ('f')) AS s(v) ORDER BY v", "false\ntrue"),
        (
            "SELECT (INTERVAL '1 day' + '02:30')::text, ('1 day' + INTERVAL '1 hour')::text, INTERVAL '36 hours' > '1 day'",
            "1 day 02:30:00|1 day 01:00:00|true",
        ),
        // A text that does not fit is named.
        ("SELECT a + 'x' FROM t", "~22P02"),
        ("SELECT id FROM t WHERE flag = 'maybe'", "~22P02"),
        ("SELECT coalesce(a, '7.5') FROM t", "~22P02"),
        ("SELECT id FROM t WHERE 'x'", "~22P02"),
        ("SELECT coalesce(day, 'never') FROM t", "~22007"),
    ];
    check_as(&mut scratch, over, &cases).await;
    scratch.close();
}
