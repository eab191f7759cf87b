//! JSON made, asked and taken apart as in PostgreSQL.

use crate::scratch::check;
use crate::{bank, folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_made_of_values() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT jsonb_build_object('a', 1, 'b', 'x', 'c', NULL, 'd', ARRAY[1, 2], 'e', 1.50, 'f', DATE '2024-01-31', 'g', true)",
                r#"{"a":1,"b":"x","c":null,"d":[1,2],"e":1.50,"f":"2024-01-31","g":true}"#,
            ),
            (
                r#"SELECT json_build_object('in', '{"a": 1}'::json, 'out', '{"a": 1}', 'made', json_build_array(1, 'a', NULL))"#,
                r#"{"in":{"a": 1},"out":"{\"a\": 1}","made":[1,"a",null]}"#,
            ),
            ("SELECT to_json('a\"b'::text), to_jsonb(1), to_json(NULL::int), to_json('Infinity'::double precision)", r#""a\"b"|1|NULL|"Infinity""#),
            (
                "SELECT json_agg(amount ORDER BY amount), jsonb_agg(teller ORDER BY amount), json_agg(kind) FILTER (WHERE false) FROM transactions",
                r#"[30.00,50.50,100.00]|["t2",null,"t1"]|NULL"#,
            ),
            (
                "SELECT account, json_agg(json_build_object('kind', kind, 'amount', amount) ORDER BY booked) FROM transactions GROUP BY account ORDER BY account",
                "ann|[{\"kind\":\"deposit\",\"amount\":100.00},{\"kind\":\"withdrawal\",\"amount\":30.00}]\nbob|[{\"kind\":\"deposit\",\"amount\":50.50}]",
            ),
            (
                "SELECT json_object_agg(account, balance ORDER BY account) FROM balances",
                r#"{"ann":70.00,"bob":50.50}"#,
            ),
            ("SELECT json_build_object('a')", "~22023: argument list must have even number of elements"),
            ("SELECT json_build_object(NULL, 1)", "~22004"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_asked_and_taken_apart() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                r#"INSERT INTO loose VALUES ('{"id": 1, "tags": ["a", "b"], "lines": [{"item": "x", "n": 2}, {"item": "y", "n": 3}]}'), ('{"id": 2, "tags": [], "lines": []}')"#,
                "INSERT 0 2",
            ),
            (
                "SELECT value->>'id', r.item, r.n + 1, r.more FROM loose, json_to_recordset(value->'lines') AS r(item TEXT, n INTEGER, more BOOLEAN) ORDER BY 2",
                "1|x|3|NULL\n1|y|4|NULL",
            ),
            (
                r#"SELECT * FROM jsonb_to_recordset('[{"a": 1, "b": {"c": "x"}}, {"a": null}]') AS r(a int, b jsonb)"#,
                "1|{\"c\": \"x\"}\nNULL|NULL",
            ),
            (
                "SELECT r.id FROM loose l, json_to_record(l.value) AS r(id BIGINT, tags TEXT) WHERE r.tags <> '[]'",
                "1",
            ),
            (
                "SELECT * FROM json_to_recordset('[]') AS r",
                "~a column definition list is required for functions returning \"record\"",
            ),
            (
                r#"SELECT j ? 'a', j ? 'b', NOT (j ? 'a'), (j->'zz') ? 'q', j ? NULL FROM (VALUES ('{"a": 1}'), ('["a"]'), (NULL)) AS v(j) ORDER BY 1, 2, j"#,
                "true|false|false|NULL|NULL\ntrue|false|false|NULL|NULL\nNULL|NULL|NULL|NULL|NULL",
            ),
            (r#"SELECT value->>'id' FROM loose WHERE value @> '{"tags": ["b"]}'"#, "1"),
            (r#"SELECT value->>'id' FROM loose WHERE value->'lines' @> '[{"n": 3}]'"#, "1"),
            (r#"SELECT '{"a": 1}'::jsonb <@ '{"a": 1, "b": 2}', '{"a": 1}'::jsonb ? 'a', '{"a": 1}'::jsonb ?| ARRAY['b', 'a'], '{"a": 1}'::jsonb ?& '{a,b}'"#, "true|true|true|false"),
            (r#"SELECT '{"a": 1}'::jsonb || '{"b": 2}', '{"a": 1, "b": 2}'::jsonb - 'a', '[1, 2]'::jsonb - 0, 'a' || 'b'"#, r#"{"a":1,"b":2}|{"b":2}|[2]|ab"#),
            ("SELECT ARRAY[1, 2] @> ARRAY[1], ARRAY[1] <@ ARRAY[2]", "true|false"),
            (r#"SELECT json_array_length('[1, 2]'), json_typeof('{}'), jsonb_typeof('[]'), json_typeof('"x"'), json_typeof('-1'), json_typeof('null'), json_typeof('true')"#, "2|object|array|string|number|null|boolean"),
            (r#"SELECT json_extract_path('{"a": [{"b": 1}]}', 'a', '0', 'b'), json_extract_path_text('{"a": "x"}', 'a')"#, "1|x"),
            (r#"SELECT key, value FROM json_each('{"a": 1, "b": "x"}')"#, "a|1\nb|\"x\""),
            (r#"SELECT * FROM jsonb_each_text('{"a": 1, "b": "x", "c": null}') AS m(k, v)"#, "a|1\nb|x\nc|NULL"),
            (r#"SELECT value FROM json_array_elements('[1, {"a": 2}]')"#, "1\n{\"a\": 2}"),
            (r#"SELECT json_array_elements_text('["x", null]')"#, "x\nNULL"),
            (r#"SELECT * FROM json_object_keys('{"b": 1, "a": 2}')"#, "b\na"),
            (
                "SELECT value->>'id', line->>'item', (line->>'n')::int FROM loose, json_array_elements(value->'lines') AS line ORDER BY 2",
                "1|x|2\n1|y|3",
            ),
            (
                "SELECT l.value->>'id', t.tag FROM loose AS l LEFT JOIN LATERAL json_array_elements_text(l.value->'tags') AS t(tag) ON true ORDER BY 1, 2",
                "1|a\n1|b\n2|NULL",
            ),
            ("SELECT json_array_length('{}')", "~22023"),
            ("SELECT json_typeof('{')", "~22P02"),
            ("SELECT * FROM json_each('[1]')", "~22023"),
        ],
    )
    .await;
    scratch.close();
}

/// A text is the name of a member and a number the place of an element, however they come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_into_json_are_names_or_places() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let of = |select: &str| {
        format!(
            "SELECT {select} FROM (VALUES (1, '[1, \"x\"]', '0', 0), (2, '[1, \"x\"]', '-1', -1), (3, '{{\"0\": {{\"a\": 5}}}}', '0', 0), (4, '\"0\"', '0', 0), \
             (5, NULL, '0', 0), (6, '[1]', NULL, NULL), (7, '{{\"0\": null}}', '0', 7), (8, 'no json', '0', 0)) AS v(id, j, t, n) ORDER BY id"
        )
    };
    for (select, expected) in [
        ("j -> t", "NULL NULL {\"a\": 5} NULL NULL NULL null NULL"),
        ("j ->> t", "NULL NULL {\"a\": 5} NULL NULL NULL NULL NULL"),
        ("j -> '0'", "NULL NULL {\"a\": 5} NULL NULL NULL null NULL"),
        ("j ->> '0'", "NULL NULL {\"a\": 5} NULL NULL NULL NULL NULL"),
        ("j -> '-1'", "NULL NULL NULL NULL NULL NULL NULL NULL"),
        ("j -> n", "1 \"x\" NULL NULL NULL NULL NULL NULL"),
        ("j ->> n", "1 x NULL NULL NULL NULL NULL NULL"),
        ("j ->> n::smallint", "1 x NULL NULL NULL NULL NULL NULL"),
        ("j -> 0", "1 1 NULL NULL NULL 1 NULL NULL"),
        ("j->-1", "\"x\" \"x\" NULL NULL NULL 1 NULL NULL"),
        ("j->>-1", "x x NULL NULL NULL 1 NULL NULL"),
        ("j #> '{0}'", "1 1 {\"a\": 5} NULL NULL 1 null NULL"),
        ("j #>> '{0,a}'", "NULL NULL 5 NULL NULL NULL NULL NULL"),
        ("(j -> t -> 'a')::int + 1", "NULL NULL 6 NULL NULL NULL NULL NULL"),
        ("(j -> n)::text", "1 \"x\" NULL NULL NULL NULL NULL NULL"),
        ("json_extract_path(j, '0', 'a')", "NULL NULL 5 NULL NULL NULL NULL NULL"),
    ] {
        let came = scratch.run(&of(select), &[]).await.replace('\n', " ");
        assert_eq!(came, expected, "{select}");
    }
    check(
        &mut scratch,
        &[
            (
                r#"SELECT '{"a": 1, "a": 2}'::json ->> t FROM (VALUES ('a')) AS v(t)"#,
                "2",
            ),
            ("SELECT to_json('a'::text) ? 'a', '\"s\"'::json ? 's'", "true|true"),
            (
                "SELECT '[1]'::json -> 1.5",
                "~operator does not exist: json -> DECIMAL(2,1)",
            ),
            (
                "SELECT '[1]'::json ->> true",
                "~operator does not exist: json ->> BOOLEAN",
            ),
        ],
    )
    .await;
    scratch.close();
}
