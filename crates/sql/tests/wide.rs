//! Lists and sets of values that a view keeps as entries: asked whole, in parts, joined, unnested, rewound and traced.

mod scratch;

use scratch::{Scratch, check};

const APPLICATION: &str = "CREATE STREAM ratings (item TEXT NOT NULL, who TEXT NOT NULL, stars BIGINT NOT NULL) KEY (item) WITH (partitions = 3);
    CREATE STREAM titles (item TEXT NOT NULL, title TEXT NOT NULL) KEY (item);
    CREATE MATERIALIZED VIEW items STORED AS document KEY (item) AS SELECT item, title FROM titles;
    CREATE MATERIALIZED VIEW rated STORED AS document AS
    SELECT item, count(*) AS ratings, count(DISTINCT who) AS people, array_agg(named_struct('who', who, 'stars', stars)) AS entries
    FROM ratings GROUP BY item;
    CREATE MATERIALIZED VIEW best STORED AS memory AS
    SELECT item, array_agg(who ORDER BY stars DESC) AS names, array_agg(stars ORDER BY _appended_at DESC) AS newest FROM ratings GROUP BY item;
    CREATE VIEW pages AS SELECT item AS of, entries AS list FROM rated";

/// Item `a` has ten ratings, of four people; `b` has one.
async fn filled(scratch: &mut Scratch) {
    assert_eq!(scratch.run(APPLICATION, &[]).await, "CREATE VIEW");
    for n in 0..10 {
        let insert = format!("INSERT INTO ratings VALUES ('a', 'p{}', {n})", n % 4);
        assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
    }
    let rest = "INSERT INTO ratings VALUES ('b', 'p9', 5); INSERT INTO titles VALUES ('a', 'Scarf'), ('b', 'Hat')";
    assert_eq!(scratch.run(rest, &[]).await, "INSERT 0 2");
}

const CASES: &[(&str, &str)] = &[
    ("SELECT ratings, people FROM rated WHERE item = 'a'", "10|4"),
    ("SELECT * FROM rated WHERE item = 'b'", "b|1|1|[{who: p9, stars: 5}]"),
    (
        "SELECT entries[1:2] FROM rated WHERE item = 'a'",
        "[{who: p0, stars: 0}, {who: p1, stars: 1}]",
    ),
    (
        "SELECT entries[-1:-1], item FROM rated WHERE item = 'a'",
        "[{who: p1, stars: 9}]|a",
    ),
    (
        "SELECT entries[10]['stars'], entries[-10]['stars'], entries[11] FROM rated WHERE item = 'a'",
        "9|0|NULL",
    ),
    (
        "SELECT array_length(entries), item FROM rated ORDER BY item",
        "10|a\n1|b",
    ),
    (
        "SELECT array_length(entries) AS n, entries[3:3], entries[2:2] FROM rated WHERE item = 'a'",
        "10|[{who: p2, stars: 2}]|[{who: p1, stars: 1}]",
    ),
    ("SELECT item FROM rated WHERE array_length(entries) > 5", "a"),
    ("SELECT item FROM rated WHERE entries[1]['stars'] = 5", "b"),
    ("SELECT count(*) FROM rated", "2"),
    (
        "SELECT names[1:3], newest[1:2] FROM best WHERE item = 'a'",
        "[p1, p0, p3]|[9, 8]",
    ),
    (
        "SELECT names FROM best ORDER BY item",
        "[p1, p0, p3, p2, p1, p0, p3, p2, p1, p0]\n[p9]",
    ),
    ("SELECT newest[1:1] FROM best WHERE item > 'a'", "[5]"),
    (
        "SELECT i.title, r.entries[1:1] FROM items i JOIN rated r ON r.item = i.item ORDER BY i.title",
        "Hat|[{who: p9, stars: 5}]\nScarf|[{who: p0, stars: 0}]",
    ),
    ("SELECT list[2:2] FROM pages WHERE of = 'a'", "[{who: p1, stars: 1}]"),
    (
        "SELECT e['stars'] FROM (SELECT unnest(entries[8:10]) AS e FROM rated WHERE item = 'a') AS t ORDER BY 1",
        "7\n8\n9",
    ),
    (
        "SELECT count(*), sum(e['stars']) FROM (SELECT unnest(entries) AS e FROM rated) AS t",
        "11|50",
    ),
    (
        "SELECT x.item, y.item FROM rated x JOIN rated y ON x.entries[1]['stars'] < y.entries[1]['stars']",
        "a|b",
    ),
    (
        "SELECT (SELECT entries[1:1] FROM rated WHERE item = 'b') AS b, (SELECT array_length(entries) FROM rated WHERE item = 'a') AS a",
        "[{who: p9, stars: 5}]|10",
    ),
    // The part of a list alone is read.
    (
        "EXPLAIN SELECT item, entries[1:20] FROM rated WHERE item = 'a'",
        "~columns=[item, entries[1:20]]",
    ),
    (
        "EXPLAIN SELECT array_length(entries) FROM rated",
        "~columns=[array_length(entries)]",
    ),
    ("EXPLAIN SELECT entries[-2] FROM rated", "~columns=[entries[-2:-2]]"),
    ("EXPLAIN SELECT ratings FROM rated", "~columns=[ratings]"),
    (
        "EXPLAIN SELECT i.title, r.entries[1:20] FROM items i JOIN rated r ON r.item = i.item",
        "~columns=[entries[1:20], item]",
    ),
    (
        "EXPLAIN SELECT item, entries[1:5] FROM rated ORDER BY item DESC LIMIT 20",
        "~in reverse order of (item), limit=20, columns=[item, entries[1:5]]",
    ),
    (
        "EXPLAIN SELECT list[1:3] FROM pages WHERE of = 'a'",
        "~keys=1 of (item), columns=[entries[1:3]]",
    ),
    (
        "EXPLAIN SELECT entries[ratings] FROM rated",
        "~columns=[ratings, entries]",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_asked_whole_and_in_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    check(&mut scratch, CASES).await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, CASES).await;
    let more = "INSERT INTO ratings VALUES ('a', 'p7', 10)";
    assert_eq!(scratch.run(more, &[]).await, "INSERT 0 1");
    check(
        &mut scratch,
        &[
            (
                "SELECT people, array_length(entries), entries[-2:-1] FROM rated WHERE item = 'a'",
                "5|11|[{who: p1, stars: 9}, {who: p7, stars: 10}]",
            ),
            ("SELECT names[1], newest[1] FROM best WHERE item = 'a'", "p7|10"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_rewound_and_traced() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    for partition in 0..3 {
        // All of item a is in one partition.
        let at = |end: u64| format!("FOR SYSTEM_TIME AS OF POSITION 'ratings/{partition}@{end}'");
        for end in [0, 1, 4, 10] {
            let by_key = format!(
                "SELECT item, people, array_length(entries), entries FROM rated {} WHERE item = 'a'",
                at(end)
            );
            let by_query = format!(
                "SELECT item, people, array_length(entries), entries FROM rated {} WHERE item || '' = 'a'",
                at(end)
            );
            assert_eq!(
                scratch.run(&by_key, &[]).await,
                scratch.run(&by_query, &[]).await,
                "{by_key}"
            );
        }
    }
    check(
        &mut scratch,
        &[
            (
                "SELECT stars, people, array_length(entries) FROM lineage('rated', 'a') ORDER BY stars LIMIT 5",
                "0|1|1\n1|2|2\n2|3|3\n3|4|4\n4|4|5",
            ),
            ("SELECT ratings FROM lineage('rated', 'a') LIMIT 2", "1\n2"),
            (
                "SELECT entries FROM lineage('rated', 'a') LIMIT 2",
                "[{who: p0, stars: 0}]\n[{who: p0, stars: 0}, {who: p1, stars: 1}]",
            ),
            (
                "SELECT names FROM lineage('best', 'a') LIMIT 2 OFFSET 2",
                "[p2, p1, p0]\n[p3, p2, p1, p0]",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_place_beside_lists_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    check(
        &mut scratch,
        &[
            ("CREATE STREAM changed AS SELECT item FROM CHANGES OF rated", "~CHANGES OF 'rated', whose rows hold lists that grow,"),
            (
                "CREATE MATERIALIZED VIEW v STORED AS search (item KEYWORD) AS SELECT item, array_agg(who) AS names FROM ratings GROUP BY item",
                "~array_agg(…) in a view stored as search cannot be kept up to date event by event: a list that grows is kept by views stored as document or memory",
            ),
            (
                "CREATE MATERIALIZED VIEW v STORED AS search (item KEYWORD) AS SELECT item, count(DISTINCT who) AS people FROM ratings GROUP BY item",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT item, people FROM search('v', 'item:a')", "a|4"),
            (
                "CREATE MATERIALIZED VIEW w STORED AS document AS SELECT item, coalesce(max(stars), 0) AS most FROM ratings GROUP BY item HAVING coalesce(max(stars), 0) > 6",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT * FROM w", "a|9"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_has_rows_of_the_elements_of_arrays() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let application = "CREATE STREAM orders;
        CREATE MATERIALIZED VIEW sold STORED AS document AS
        SELECT line->>'sku' AS sku, sum(CAST(line->>'pieces' AS BIGINT)) AS pieces, count(*) AS lines
        FROM (SELECT unnest(json_get_array(value, 'lines')) AS line FROM orders) AS lines GROUP BY line->>'sku';
        CREATE MATERIALIZED VIEW last_sold STORED AS document KEY (sku) AS
        SELECT line->>'sku' AS sku, line->>'pieces' AS pieces, who FROM
        (SELECT value->>'who' AS who, unnest(json_get_array(value, 'lines')) AS line FROM orders) AS lines";
    assert_eq!(scratch.run(application, &[]).await, "CREATE MATERIALIZED VIEW");
    let beside = "CREATE MATERIALIZED VIEW beside STORED AS document AS
        SELECT o.value->>'who' AS who, count(*) AS lines, array_agg(l.line->>'sku') AS skus
        FROM orders o CROSS JOIN UNNEST(json_get_array(o.value, 'lines')) AS l(line) WHERE l.line->>'pieces' <> '1' GROUP BY o.value->>'who'";
    assert_eq!(scratch.run(beside, &[]).await, "CREATE MATERIALIZED VIEW");
    for order in [
        r#"{"who": "ann", "lines": [{"sku": "scarf", "pieces": 2}, {"sku": "hat", "pieces": 1}, {"sku": "scarf", "pieces": 3}]}"#,
        r#"{"who": "bob", "lines": []}"#,
        r#"{"who": "cleo"}"#,
        r#"{"who": "dan", "lines": [{"sku": "hat", "pieces": 7}]}"#,
    ] {
        let insert = format!("INSERT INTO orders (value) VALUES ('{order}')");
        assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
    }
    let end = scratch.log.position("orders").expect("the stream");
    let at_the_end = format!("FOR SYSTEM_TIME AS OF POSITION '{end}'");
    check(
        &mut scratch,
        &[
            ("SELECT sku, pieces, lines FROM sold ORDER BY sku", "hat|8|2\nscarf|5|2"),
            ("SELECT * FROM beside ORDER BY who", "ann|2|[scarf, scarf]\ndan|1|[hat]"),
            (&format!("SELECT who, skus FROM beside {at_the_end} ORDER BY who"), "ann|[scarf, scarf]\ndan|[hat]"),
            ("SELECT sku, pieces, who FROM last_sold ORDER BY sku", "hat|7|dan\nscarf|3|ann"),
            ("SELECT sku, pieces, lines FROM sold FOR SYSTEM_TIME AS OF POSITION 'orders/0@1' ORDER BY sku", "hat|1|1\nscarf|5|2"),
            (
                "CREATE MATERIALIZED VIEW v STORED AS document AS SELECT unnest(array_agg(value)) AS e FROM orders",
                "~UNNEST of what a GROUP BY gives cannot be kept up to date event by event",
            ),
            (
                "CREATE MATERIALIZED VIEW v STORED AS document KEY (sku) AS SELECT value->>'sku' AS sku, value FROM orders HAVING value->>'sku' > 'a'",
                "~HAVING in a view with KEY cannot be kept up to date event by event: WHERE says which events make rows",
            ),
        ],
    )
    .await;
    scratch.close();
}

/// Nothing of the event is asked for beside its elements, so that none of it is repeated for each: the whole would be a hundred million bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_asked_for_beside_elements_is_not_repeated() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    let query = "SELECT l->>'sku' AS sku, count(*) AS n FROM orders CROSS JOIN UNNEST(json_get_array(orders.value, 'lines')) AS u(l) GROUP BY 1";
    let application = format!("CREATE STREAM orders; CREATE MATERIALIZED VIEW sold AS {query}");
    assert_eq!(scratch.run(&application, &[]).await, "CREATE MATERIALIZED VIEW");
    let lines: Vec<String> = (0..5_000)
        .map(|n| format!(r#"{{"sku": "s{}", "n": {n}}}"#, n % 2))
        .collect();
    let insert = format!(
        "INSERT INTO orders (value) VALUES ('{{\"lines\": [{}]}}')",
        lines.join(", ")
    );
    assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
    check(
        &mut scratch,
        &[
            ("SELECT sku, n FROM sold ORDER BY 1", "s0|2500\ns1|2500"),
            (&format!("{query} ORDER BY 1"), "s0|2500\ns1|2500"),
            ("SELECT count(*) FROM orders o, UNNEST(json_get_array(o.value, 'lines')) AS u(l)", "5000"),
            ("SELECT count(*) FROM _headwater.parked", "0"),
            (
                "SELECT a.n, x FROM (VALUES (1, ARRAY[7, 8]), (2, ARRAY[9]), (3, NULL)) AS a(n, list) CROSS JOIN LATERAL UNNEST(a.list) AS u(x) ORDER BY x",
                "1|7\n1|8\n2|9",
            ),
            (
                "SELECT (SELECT sum(x) FROM UNNEST(a.list) AS u(x)) FROM (VALUES (1, ARRAY[7, 8]), (2, ARRAY[9])) AS a(n, list) ORDER BY 1",
                "9\n15",
            ),
        ],
    )
    .await;
    scratch.close();
}
