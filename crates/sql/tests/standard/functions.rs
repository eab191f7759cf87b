//! Functions and forms that PostgreSQL's users write, with its answers.

use crate::scratch::check;
use crate::{bank, folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regular_expressions_are_those_of_postgresql() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT regexp_match('foobarbequebaz', '(bar)(beque)'), regexp_match('foobarbequebaz', 'bar.*que'), regexp_match('abc', 'x')",
                "[bar, beque]|[barbeque]|NULL",
            ),
            (
                "SELECT regexp_matches('foobarbequebazilbarfbonk', '(b[^b]+)(b[^b]+)', 'g')",
                "[bar, beque]\n[bazil, barf]",
            ),
            ("SELECT regexp_matches('abc', 'x')", ""),
            (
                r"SELECT regexp_replace('foobarbaz', 'b(..)', 'X\1Y', 'g'), regexp_replace('foobar', 'o', '\&\&', 'g'), regexp_replace('foobar', 'o', '$1'), regexp_replace('Foo', 'f', 'x', 'i')",
                "fooXarYXazY|foooobar|f$1obar|xoo",
            ),
            (
                "SELECT regexp_replace('A PostgreSQL function', 'a|e|i|o|u', 'X', 1, 0, 'i'), regexp_replace('A PostgreSQL function', 'a|e|i|o|u', 'X', 1, 3, 'i')",
                "X PXstgrXSQL fXnctXXn|A PostgrXSQL function",
            ),
            (
                r"SELECT regexp_split_to_array('hello world', '\s+'), regexp_split_to_array('abc', '')",
                "[hello, world]|[a, b, c]",
            ),
            (r"SELECT * FROM regexp_split_to_table('hello world', '\s+') AS w", "hello\nworld"),
            (
                "SELECT regexp_count('aaa', 'aa', 2), regexp_instr('ABCDEFGHI', '(c..)(...)', 1, 1, 0, 'i', 2), regexp_substr('a,b,c', '[^,]+', 1, 2), regexp_like('Hello', 'hello', 'i')",
                "1|6|b|true",
            ),
            (
                r"SELECT 'abc' ~ '\mab', 'foo bar' ~ '\ybar\y', 'x' ~ '[[:<:]]x', E'a\nb' ~ 'a.b', E'a\nb' ~ '^b'",
                "true|true|true|true|false",
            ),
            (
                "SELECT substring('foobar' FROM 'o(.)b'), substring('foobar' FROM 'o.b'), substring('foobar' FROM '%#\"o_b#\"%' FOR '#'), substring('foobar' FROM 2 FOR 3)",
                "o|oob|oob|oob",
            ),
            (
                "SELECT 'abc' SIMILAR TO '%(b|d)%', 'abc' SIMILAR TO 'a', 'a.c' SIMILAR TO 'a.c', 'abc' NOT SIMILAR TO 'a.c', 'abbbc' SIMILAR TO 'ab{2,3}c', 'a%c' SIMILAR TO 'a!%c' ESCAPE '!', NULL SIMILAR TO 'a'",
                "true|false|true|true|true|true|NULL",
            ),
            ("SELECT regexp_match('a', '(a')", "~2201B: invalid regular expression"),
            ("SELECT regexp_replace('a', 'a', 'b', 'z')", "~22023"),
            (r"SELECT regexp_match('aa', '(a)\1')", "~2201B"),
            (
                "SELECT account, count(*) FROM transactions WHERE account SIMILAR TO '(ann|eve)%' GROUP BY account",
                "ann|2",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moments_are_made_and_read_as_in_postgresql() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT age(TIMESTAMP '2024-03-05', TIMESTAMP '2001-01-31 10:20')::text, age(DATE '2024-03-05', DATE '2025-04-06')::text, age(TIMESTAMP '2024-02-29', TIMESTAMP '2023-12-31')::text, age(NULL, now())",
                "23 years 1 mon 4 days 13:40:00|-1 years -1 mons -1 days|1 mon 29 days|NULL",
            ),
            ("SELECT age(current_date)::text", "00:00:00"),
            (
                "SELECT make_timestamp(2024, 3, 5, 10, 20, 30.5)::text, make_timestamptz(2024, 7, 5, 10, 20, 0, 'Europe/Berlin')::text, make_interval(days => 10)::text, make_interval(1, 2, 0, 4)::text, make_time(8, 15, 23.5)",
                "2024-03-05 10:20:30.5|2024-07-05 08:20:00+00|10 days|1 year 2 mons 4 days|08:15:23.500",
            ),
            ("SELECT make_timestamp(2023, 2, 29, 0, 0, 0)", "~22008"),
            (
                "SELECT justify_days(INTERVAL '35 days')::text, justify_hours(INTERVAL '27 hours')::text, justify_interval(INTERVAL '1 mon -1 hour')::text, isfinite(now())",
                "1 mon 5 days|1 day 03:00:00|29 days 23:00:00|true",
            ),
            (
                "SELECT to_date('05 Dec 2000', 'DD Mon YYYY'), to_date('20240305', 'YYYYMMDD'), to_date('2024-065', 'YYYY-DDD'), to_timestamp('05 Dec 2000 10:20 PM', 'DD Mon YYYY HH12:MI PM')::text",
                "2000-12-05|2024-03-05|2024-03-05|2000-12-05 22:20:00+00",
            ),
            ("SELECT to_date('x', 'YYYY')", "~22007"),
            ("SELECT to_date('2023-02-30', 'YYYY-MM-DD')", "~22008"),
            (
                "SELECT to_number('12,454.8-', '99G999D9S'), to_number('$1,234.50', 'L9,999.99')",
                "-12454.8|1234.50",
            ),
            (
                "SELECT (DATE '2024-01-01', DATE '2024-02-01') OVERLAPS (DATE '2024-01-15', DATE '2024-03-01'), (DATE '2024-01-01', DATE '2024-02-01') OVERLAPS (DATE '2024-02-01', INTERVAL '1 day')",
                "true|false",
            ),
            (
                "SELECT 'now'::timestamptz = now(), 'today'::date = current_date, DATE 'tomorrow' - DATE 'yesterday'",
                "true|true|2",
            ),
            ("SELECT (INTERVAL '1-2' YEAR TO MONTH)::text, (INTERVAL '02:03' MINUTE TO SECOND)::text", "1 year 2 mons|00:02:03"),
            (
                "SELECT g::text FROM generate_series(TIMESTAMP '2024-01-31', '2024-03-31 12:00', '1 month') AS g",
                "2024-01-31 00:00:00\n2024-02-29 00:00:00\n2024-03-29 00:00:00",
            ),
            (
                "SELECT g::text FROM generate_series(TIMESTAMPTZ '2024-01-01 00:00+00', TIMESTAMPTZ '2024-01-02 00:00+00', INTERVAL '12 hours') AS g",
                "2024-01-01 00:00:00+00\n2024-01-01 12:00:00+00\n2024-01-02 00:00:00+00",
            ),
            ("SELECT unnest FROM unnest(ARRAY[1, 2]) WHERE unnest > 1", "2"),
            (
                "SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY['x', 'y', 'z']), string_to_table('a,b', ',')) WITH ORDINALITY AS t(n, k, t, o)",
                "1|x|a|1\n2|y|b|2\nNULL|z|NULL|3",
            ),
            (
                "SELECT v.n, t.a, t.b FROM (VALUES (1), (2)) AS v(n), LATERAL ROWS FROM (generate_series(1, v.n), unnest(ARRAY[v.n])) AS t(a, b) ORDER BY 1, 2",
                "1|1|1\n2|1|2\n2|2|NULL",
            ),
            ("SELECT * FROM ROWS FROM (json_each('{}')) AS t", "~0A000: line 1, column 26: 'json_each' has no place in ROWS FROM"),
            ("SELECT d::date FROM generate_series(DATE '2024-01-03', DATE '2024-01-02', INTERVAL '-1 day') AS d", "2024-01-03\n2024-01-02"),
            ("SELECT * FROM generate_series(1.0, 2.0, 0.5)", "1.0\n1.5\n2.0"),
            ("SELECT * FROM generate_series(3, 1, -1) WITH ORDINALITY AS g(n, place)", "3|1\n2|2\n1|3"),
            ("SELECT * FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS u(s, n)", "a|1\nb|2"),
            ("SELECT * FROM generate_series(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-02', INTERVAL '0')", "~22023"),
            ("SELECT count(*) FROM generate_series(TIMESTAMP '0001-01-01', TIMESTAMP '9999-01-01', INTERVAL '1 second')", "~54000"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_numbers_and_arrays_have_the_functions_of_postgresql() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT format('%s %I %L', 'a', 'b c', 'd''e'), format('%1$s %1$s', 'x'), format('|%5s|%-5s|%%', 'a', 'b'), format('%s%L', NULL, NULL), format('%s %s', true, 1.50)",
                "a \"b c\" 'd''e'|x x||    a|b    |%|NULL|t 1.50",
            ),
            ("SELECT format('%s')", "~too few arguments for format()"),
            ("SELECT format('%y', 1)", "~unrecognized format() type specifier"),
            ("SELECT quote_literal('it''s'), quote_nullable(NULL), quote_literal(5), parse_ident('Some.\"B c\"')", "'it''s'|NULL|'5'|[some, B c]"),
            (
                "SELECT concat('a', NULL, 1, true), concat_ws(',', 'a', NULL, 'b'), concat_ws(NULL, 'a')",
                "a1t|a,b|NULL",
            ),
            ("SELECT num_nulls(1, NULL), num_nonnulls(1, NULL, 2), starts_with('alphabet', 'alph'), 'alphabet' ^@ 'alph'", "1|2|true|true"),
            (
                "SELECT width_bucket(5.35, 0.024, 10.06, 5), width_bucket(-1, 0, 10, 5), width_bucket(10, 0, 10, 5), width_bucket(3, 10, 0, 5), width_bucket(5, ARRAY[1, 3, 7])",
                "3|0|6|4|2",
            ),
            ("SELECT width_bucket(5, 0, 10, 0)", "~2201G"),
            ("SELECT |/ 25, ||/ 27, @ -5, ceiling(1.2::double precision), scale(1.230), min_scale(1.230)", "5.0|3.0|5|2.0|3|2"),
            (
                "SELECT pg_typeof(1.5), pg_typeof(now()), pg_typeof('a'::text), pg_typeof(ARRAY['a']), pg_typeof(account) FROM transactions LIMIT 1",
                "numeric|timestamp with time zone|text|text[]|text",
            ),
            (
                "SELECT array_lower(ARRAY[5], 1), array_upper(ARRAY[5, 6], 1), array_length('{}'::int[], 1), cardinality('{}'::int[]), array_dims(ARRAY[1, 2]), array_fill(7, ARRAY[3]), trim_array(ARRAY[1, 2, 3], 1), array_position(ARRAY['a', 'b'], 'b')",
                "1|2|NULL|0|[1:2]|[7, 7, 7]|[1, 2]|2",
            ),
            ("SELECT ARRAY(SELECT n FROM (VALUES (1)) AS t(n) WHERE n > 1)", "[]"),
            ("SELECT generate_subscripts(ARRAY[5, 6, 7], 1)", "1\n2\n3"),
            ("SELECT * FROM string_to_table('a,b', ',') AS s", "a\nb"),
            (
                "SELECT 2 = ANY('{1,2}'), 2 = ANY('{1,3}'), 'b' <> ALL('{a,NULL}'), 1 = ALL('{}'::int[])",
                "true|false|NULL|true",
            ),
            ("SELECT 2 = ANY('1,2')", "~22P02: line 1, column 16: malformed array literal"),
            (
                "SELECT x FROM (VALUES ('one'), ('two'), ('four')) AS t(x) WHERE x LIKE ANY (ARRAY['o%', 't%']) ORDER BY x",
                "one\ntwo",
            ),
            (
                "SELECT x FROM (VALUES ('one'), ('two'), ('four')) AS t(x) WHERE x NOT LIKE ALL (ARRAY['o%', 't%'])",
                "four",
            ),
            ("SELECT ROW(1, NULL) IS NULL, ROW(NULL, NULL) IS NULL, ROW(1, 2) IS NOT NULL, ROW(1, NULL) IS NOT NULL", "false|true|true|false"),
            ("SELECT unistr('\\0441'), U&'\\0441'", "с|с"),
            (
                "SELECT row_to_json(ROW(1, 'a')), array_to_json(ARRAY[1, 2]), json_object('{a,1,b,NULL}'), json_object(ARRAY['a'], ARRAY['1'])",
                "{\"f1\":1,\"f2\":\"a\"}|[1,2]|{\"a\":\"1\",\"b\":null}|{\"a\":\"1\"}",
            ),
            (
                "SELECT jsonb_set('{\"a\": {\"b\": [1, 2]}}', '{a,b,-1}', '5'), jsonb_set('{\"a\": 1}', '{b}', '2', false), json_strip_nulls('{\"a\": 1, \"b\": null}'), jsonb_pretty('{\"a\": [1]}')",
                "{\"a\":{\"b\":[1,5]}}|{\"a\":1}|{\"a\":1}|{\n    \"a\": [\n        1\n    ]\n}",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_have_the_forms_of_postgresql() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT 5 BETWEEN SYMMETRIC 10 AND 1, 5 NOT BETWEEN SYMMETRIC 10 AND 1, 5 BETWEEN 10 AND 1, NULL BETWEEN SYMMETRIC 1 AND 2, 1 BETWEEN SYMMETRIC 2 AND 0 AND true",
                "true|false|false|NULL|true",
            ),
            ("TABLE balances ORDER BY account LIMIT 1", "~ann"),
            ("(TABLE balances) ORDER BY account DESC FETCH FIRST 1 ROW ONLY", "~bob"),
            ("SELECT count(*) FROM (TABLE balances UNION ALL TABLE balances) AS b", "4"),
            (
                "SELECT id FROM (VALUES (1, 1), (2, 2), (3, 1), (4, 3)) AS t(id, a) ORDER BY a FETCH FIRST 1 ROW WITH TIES",
                "1\n3",
            ),
            (
                "SELECT id, a AS b FROM (VALUES (1, 1), (2, 2), (3, 1), (4, 2), (5, 3)) AS t(id, a) ORDER BY b, id OFFSET 1 FETCH FIRST 1 ROW WITH TIES",
                "3|1",
            ),
            (
                "SELECT a, count(*) FROM (VALUES (1), (2), (1), (2), (3)) AS t(a) GROUP BY a ORDER BY 2 DESC FETCH FIRST ROW WITH TIES",
                "~2\n",
            ),
            ("SELECT 1 FETCH FIRST 1 ROW WITH TIES", "~WITH TIES cannot be specified without ORDER BY"),
            (
                "SELECT mode() WITHIN GROUP (ORDER BY a), mode() WITHIN GROUP (ORDER BY a DESC), percentile_disc(0.5) WITHIN GROUP (ORDER BY a), percentile_disc(0.5) WITHIN GROUP (ORDER BY a) FILTER (WHERE a > 2) FROM (VALUES (1), (1), (2), (2), (3), (NULL)) AS t(a)",
                "1|2|2|3",
            ),
            ("SELECT mode() WITHIN GROUP (ORDER BY a) FROM (VALUES (1)) AS t(a) WHERE a > 1", "NULL"),
            ("SELECT percentile_disc(1.5) WITHIN GROUP (ORDER BY a) FROM (VALUES (1)) AS t(a)", "~22003"),
            ("SELECT variance(a)::text FROM (VALUES (1), (2), (3)) AS t(a)", "1"),
            ("SELECT max(a) FROM (VALUES (1), (2)) AS t(a) GROUP BY ()", "2"),
            ("INSERT INTO transactions AS t (account, kind, amount) VALUES ('eve', 'deposit', 1) RETURNING t.account", "eve"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_stands_for_its_row() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let t = "(VALUES (1, 'a'), (2, 'b'), (3, NULL)) AS t(id, x)";
    let row = format!("SELECT row_to_json(t) FROM {t} ORDER BY id LIMIT 1");
    let gathered = format!("SELECT json_agg(t ORDER BY id DESC) FROM {t} WHERE id > 1");
    let below = format!("SELECT json_agg(s) FROM (SELECT x, id AS n FROM {t} ORDER BY id DESC) AS s");
    let texts = format!("SELECT string_agg(x, '') FROM (SELECT x FROM {t} ORDER BY 1 DESC) AS s");
    let outer =
        format!("SELECT o.n, to_json(t) FROM (VALUES (1), (9)) AS o(n) LEFT JOIN {t} ON t.id = o.n ORDER BY o.n");
    check(
        &mut scratch,
        &[
            (&row, "{\"id\":1,\"x\":\"a\"}"),
            (&gathered, "[{\"id\":3,\"x\":null},{\"id\":2,\"x\":\"b\"}]"),
            (
                &below,
                "[{\"x\":null,\"n\":3},{\"x\":\"b\",\"n\":2},{\"x\":\"a\",\"n\":1}]",
            ),
            (&texts, "ba"),
            (&outer, "1|{\"id\":1,\"x\":\"a\"}\n9|NULL"),
            (
                "SELECT row_to_json(b) FROM balances AS b WHERE account = 'bob'",
                "~{\"account\":\"bob\",",
            ),
            (
                "WITH w AS (SELECT account FROM balances) SELECT json_agg(w ORDER BY account) FROM w",
                "[{\"account\":\"ann\"},{\"account\":\"bob\"}]",
            ),
            // A column of that name is meant first.
            ("SELECT n FROM (SELECT 1 AS n) AS n", "1"),
            ("SELECT g FROM generate_series(1, 2) AS g", "1\n2"),
            (
                "SELECT account AS balances, count(*) FROM balances GROUP BY balances ORDER BY 1 LIMIT 1",
                "ann|1",
            ),
        ],
    )
    .await;
    scratch.close();
}
