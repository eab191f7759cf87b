//! Subqueries wherever they stand, as PostgreSQL answers them.

use super::check_as;
use crate::{bank, folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subqueries_see_the_row_around_them_wherever_they_stand() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let rows = "WITH t(id, a, x) AS (VALUES (1, 1, 'one'), (2, 2, 'two'), (3, NULL, NULL), (4, 1, 'four'), (5, 3, '')), u(k, c, y) AS (VALUES (1, 1, 'one'), (2, NULL, 'zwei'), (3, 2, 'two'), (4, 1, NULL), (5, 9, 'x')), w(k, m) AS (VALUES (1, 1), (2, NULL), (NULL, 3), (3, 1), (1, 2))";
    let over = |question: &str| format!("{rows} {question}");
    let cases = [
        // NOT IN that depends on the row
        (
            "SELECT id FROM t WHERE a NOT IN (SELECT c FROM u WHERE u.k = t.id) ORDER BY id",
            "5",
        ),
        (
            "SELECT t.id FROM t JOIN u ON u.k = t.id WHERE t.a NOT IN (SELECT m FROM w WHERE w.k = u.k) ORDER BY id",
            "4\n5",
        ),
        (
            "SELECT t.id FROM t LEFT JOIN u ON u.k = t.id WHERE NOT (t.a IN (SELECT m FROM w WHERE w.k = u.k)) ORDER BY id",
            "4\n5",
        ),
        (
            "SELECT t.id FROM t JOIN u ON u.k = t.id WHERE t.a NOT IN (SELECT w.m FROM w WHERE w.k = u.k OR w.k IS NULL) ORDER BY id",
            "4",
        ),
        // What is not known
        (
            "SELECT id, a IN (SELECT c FROM u), a NOT IN (SELECT c FROM u) FROM t ORDER BY id",
            "1|true|false\n2|true|false\n3|NULL|NULL\n4|true|false\n5|NULL|NULL",
        ),
        (
            "SELECT id, a IN (SELECT c FROM u WHERE u.k = t.id) FROM t ORDER BY id",
            "1|true\n2|NULL\n3|NULL\n4|true\n5|false",
        ),
        (
            "SELECT id FROM t WHERE (a IN (SELECT c FROM u)) IS UNKNOWN ORDER BY id",
            "3\n5",
        ),
        (
            "SELECT id FROM t WHERE (a, id) IN (SELECT c, k FROM u) IS UNKNOWN ORDER BY id",
            "2\n3",
        ),
        (
            "SELECT id, (a, id) IN (SELECT c, k FROM u), (a, id) NOT IN (SELECT c, k FROM u) FROM t ORDER BY id",
            "1|true|false\n2|NULL|NULL\n3|NULL|NULL\n4|true|false\n5|false|true",
        ),
        (
            "SELECT id FROM t WHERE a = 1 OR a NOT IN (SELECT c FROM u) ORDER BY id",
            "1\n4",
        ),
        (
            "SELECT id FROM t WHERE NOT (id IN (SELECT k FROM u) AND a IN (SELECT m FROM w)) ORDER BY id",
            "",
        ),
        (
            "SELECT id, a > ALL (SELECT c FROM u WHERE c < 3), a < ANY (SELECT c FROM u) FROM t ORDER BY id",
            "1|false|true\n2|false|true\n3|NULL|NULL\n4|false|true\n5|true|true",
        ),
        (
            "SELECT id FROM t WHERE a >= ALL (SELECT c FROM u WHERE c < 5) ORDER BY id",
            "2\n5",
        ),
        (
            "SELECT NULL IN (SELECT 1 WHERE false), NULL NOT IN (SELECT 1 WHERE false), 1 IN (SELECT NULL::int)",
            "false|true|NULL",
        ),
        // Inside of aggregates, in ORDER BY and in the condition of a join
        (
            "SELECT count(*) FILTER (WHERE a IN (SELECT c FROM u)), count(*) FILTER (WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.id AND u.c = 1)) FROM t",
            "3|2",
        ),
        (
            "SELECT sum(CASE WHEN a IN (SELECT c FROM u) THEN 1 ELSE 0 END), sum((SELECT count(*) FROM u WHERE u.c = t.a)) FROM t",
            "3|5",
        ),
        (
            "SELECT a, max((SELECT y FROM u WHERE u.k = t.id)) FROM t GROUP BY a ORDER BY a",
            "1|one\n2|zwei\n3|x\nNULL|two",
        ),
        (
            "SELECT id FROM t ORDER BY (SELECT y FROM u WHERE u.k = t.id), id",
            "1\n3\n5\n2\n4",
        ),
        (
            "SELECT id FROM t ORDER BY EXISTS (SELECT 1 FROM w WHERE w.k = t.id), id",
            "4\n5\n1\n2\n3",
        ),
        (
            "SELECT t.id, u.k FROM t JOIN u ON t.a IN (SELECT m FROM w WHERE w.k = u.k) ORDER BY 1, 2",
            "1|1\n1|3\n2|1\n4|1\n4|3",
        ),
        (
            "SELECT t.id, u.k FROM t LEFT JOIN u ON u.k = t.id AND u.c IN (SELECT m FROM w) ORDER BY 1",
            "1|1\n2|NULL\n3|3\n4|4\n5|NULL",
        ),
        // Values
        (
            "SELECT id, (SELECT y FROM u WHERE u.k = t.id) FROM t ORDER BY id",
            "1|one\n2|zwei\n3|two\n4|NULL\n5|x",
        ),
        (
            "SELECT id, (SELECT y FROM u WHERE u.c = t.a) FROM t ORDER BY id",
            "~21000",
        ),
        (
            "SELECT id, (SELECT y FROM u WHERE u.c = t.a ORDER BY k LIMIT 1), (SELECT y FROM u WHERE u.c = t.a ORDER BY k DESC LIMIT 1) FROM t ORDER BY id",
            "1|one|NULL\n2|two|two\n3|NULL|NULL\n4|one|NULL\n5|NULL|NULL",
        ),
        (
            "SELECT id, (SELECT sum(u.k) FROM u WHERE u.c > t.a), (SELECT count(*) FROM u WHERE u.c > t.a) FROM t ORDER BY id",
            "1|8|2\n2|5|1\n3|NULL|0\n4|8|2\n5|5|1",
        ),
        (
            "SELECT id, (SELECT count(*) FROM u WHERE u.c = t.a AND u.k > t.id) + 1 FROM t ORDER BY id",
            "1|2\n2|2\n3|1\n4|1\n5|1",
        ),
        (
            "SELECT id, (SELECT t.a), (SELECT t.a + count(*) FROM u), (SELECT max(t.a + u.k) FROM u), (SELECT 5 WHERE t.a = 1) FROM t ORDER BY id",
            "1|1|6|6|5\n2|2|7|7|NULL\n3|NULL|NULL|NULL|NULL\n4|1|6|6|5\n5|3|8|8|NULL",
        ),
        (
            "SELECT id, (SELECT count(*) FROM u WHERE u.c = t.a HAVING count(*) > 1) FROM t ORDER BY id",
            "1|2\n2|NULL\n3|NULL\n4|2\n5|NULL",
        ),
        (
            "SELECT id, (SELECT count(DISTINCT m) FROM w WHERE w.k <= t.id) FROM t ORDER BY id",
            "1|2\n2|2\n3|2\n4|2\n5|2",
        ),
        (
            "SELECT id, (SELECT count(*) FROM (SELECT k FROM u WHERE u.c = t.a UNION SELECT k FROM w WHERE w.m = t.a) AS found) FROM t ORDER BY id",
            "1|3\n2|2\n3|0\n4|3\n5|1",
        ),
        (
            "SELECT id FROM t WHERE coalesce((SELECT c FROM u WHERE u.k = t.id), 0) = 0 ORDER BY id",
            "2",
        ),
        (
            "SELECT t1.id FROM t t1 WHERE 2 > (SELECT count(*) FROM t t2 WHERE t2.a > t1.a) ORDER BY 1",
            "2\n3\n5",
        ),
        ("SELECT (SELECT k FROM u)", "~21000"),
        // In each other
        (
            "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.id AND EXISTS (SELECT 1 FROM w WHERE w.k = u.k AND w.m = t.a)) ORDER BY id",
            "1",
        ),
        (
            "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.id AND u.c NOT IN (SELECT m FROM w WHERE w.k = t.id)) ORDER BY id",
            "3\n4\n5",
        ),
        (
            "SELECT t.id FROM t WHERE t.a IN (SELECT u.c FROM u WHERE u.k IN (SELECT w.k FROM w WHERE w.m = t.a)) ORDER BY id",
            "1\n4",
        ),
        (
            "SELECT id, (SELECT (SELECT max(m) FROM w WHERE w.k = u.k) FROM u WHERE u.k = t.id) FROM t ORDER BY id",
            "1|2\n2|NULL\n3|1\n4|NULL\n5|NULL",
        ),
        // EXISTS of what has a row in any case, and of what is cut off
        (
            "SELECT id FROM t WHERE EXISTS (SELECT count(*) FROM u WHERE u.k = t.id AND false) ORDER BY id",
            "1\n2\n3\n4\n5",
        ),
        (
            "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k > t.id ORDER BY u.k OFFSET 1) ORDER BY id",
            "1\n2\n3",
        ),
        (
            "SELECT id FROM t WHERE EXISTS (SELECT c FROM u WHERE u.c = t.a GROUP BY c HAVING count(*) > 1) ORDER BY id",
            "1\n4",
        ),
        // LATERAL
        (
            "SELECT t.id, l.k FROM t LEFT JOIN LATERAL (SELECT k FROM u WHERE u.c = t.a ORDER BY k DESC LIMIT 1) AS l ON true ORDER BY id",
            "1|4\n2|3\n3|NULL\n4|4\n5|NULL",
        ),
        (
            "SELECT t.id, l.n FROM t, LATERAL (SELECT count(*) AS n FROM u WHERE u.c > t.a) AS l ORDER BY id",
            "1|2\n2|1\n3|0\n4|2\n5|1",
        ),
        (
            "SELECT t.id, q.v FROM t, LATERAL (VALUES (t.a), (t.id * 10)) AS q(v) ORDER BY 1, 2",
            "1|1\n1|10\n2|2\n2|20\n3|30\n3|NULL\n4|1\n4|40\n5|3\n5|50",
        ),
        (
            "SELECT t.id, l.s FROM t, LATERAL (SELECT t.a + 1 AS s) AS l ORDER BY id",
            "1|2\n2|3\n3|NULL\n4|2\n5|4",
        ),
        (
            "SELECT t.id, l.k, l.r FROM t, LATERAL (SELECT k, row_number() OVER (ORDER BY k DESC) AS r FROM u WHERE u.c = t.a) AS l ORDER BY 1, 2",
            "1|1|2\n1|4|1\n2|3|1\n4|1|2\n4|4|1",
        ),
        (
            "SELECT t.id, l.m FROM t, LATERAL (SELECT w.m FROM u LEFT JOIN w ON w.k = u.k AND w.m >= t.a WHERE u.k = t.id) AS l ORDER BY 1, 2",
            "1|1\n1|2\n2|NULL\n3|NULL\n4|NULL\n5|NULL",
        ),
        (
            "SELECT t.id, l.v FROM t, LATERAL (SELECT (SELECT max(c) FROM u WHERE u.k = t.id) AS v) AS l ORDER BY id",
            "1|1\n2|NULL\n3|2\n4|1\n5|9",
        ),
        (
            "SELECT t.id, l.v FROM t, LATERAL (SELECT max(c) AS v FROM u WHERE u.k IN (SELECT w.k FROM w WHERE w.m = t.a)) AS l ORDER BY id",
            "1|2\n2|1\n3|NULL\n4|2\n5|NULL",
        ),
        (
            "SELECT t.id, e FROM t, UNNEST(ARRAY[t.a, t.id * 10]) AS e WHERE t.id < 3 ORDER BY 1, 2",
            "1|1\n1|10\n2|2\n2|20",
        ),
        (
            "SELECT v.a, x FROM (VALUES (1), (2)) AS v(a), UNNEST(ARRAY[v.a, v.a + 10]) AS x ORDER BY 1, 2",
            "1|1\n1|11\n2|2\n2|12",
        ),
    ];
    check_as(&mut scratch, over, &cases).await;
    scratch.close();
}
