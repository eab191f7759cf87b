//! Pipelines: what comes of a stream's events, in a stream of its own.

mod scratch;

use scratch::{Scratch, check};

/// A question sees what pipelines made of everything that was written before it.
async fn check_one(scratch: &mut Scratch, question: &str, expected: &str) {
    check(scratch, &[(question, expected)]).await;
}

const SHOP: &[(&str, &str)] = &[
    (
        "CREATE STREAM products (item TEXT NOT NULL, title TEXT, price DECIMAL(10,2)) KEY (item)",
        "CREATE STREAM",
    ),
    (
        "CREATE MATERIALIZED VIEW catalogue AS SELECT item, max(title) AS title, max(price) AS price FROM products GROUP BY item",
        "CREATE MATERIALIZED VIEW",
    ),
    (
        "CREATE STREAM ratings (item TEXT, who TEXT NOT NULL, stars INTEGER) KEY (item) WITH (partitions = 3)",
        "CREATE STREAM",
    ),
    (
        "INSERT INTO products VALUES ('a', 'Apple', 1.50), ('b', 'Bread', 3.00)",
        "INSERT 0 2",
    ),
    (
        "INSERT INTO ratings VALUES ('a', 'ann', 5), ('c', 'bob', 1), ('b', 'cid', 3), (NULL, 'dan', 2)",
        "INSERT 0 4",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn events_find_their_rows_in_views() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, SHOP).await;
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM enriched KEY (item) AS SELECT r.*, p.title, r.stars * 20 AS percent \
                 FROM ratings r LEFT JOIN catalogue p ON p.item = r.item",
                "CREATE STREAM",
            ),
            (
                "CREATE STREAM known AS SELECT r.who, p.title FROM ratings AS r JOIN catalogue AS p ON r.item = p.item AND p.price > 2",
                "CREATE STREAM",
            ),
            ("CREATE STREAM high WITH (partitions = 1) AS SELECT who, title FROM enriched WHERE stars >= 3", "CREATE STREAM"),
            (
                "CREATE MATERIALIZED VIEW by_title AS SELECT title, count(*) AS ratings FROM enriched GROUP BY title",
                "CREATE MATERIALIZED VIEW",
            ),
        ],
    )
    .await;
    let enriched = "SELECT item, who, stars, title, percent FROM enriched ORDER BY who";
    check_one(
        &mut scratch,
        enriched,
        "a|ann|5|Apple|100\nc|bob|1|NULL|20\nb|cid|3|Bread|60\nNULL|dan|2|NULL|40",
    )
    .await;
    check_one(&mut scratch, "SELECT who, title FROM known", "cid|Bread").await;
    check_one(
        &mut scratch,
        "SELECT who, title FROM high ORDER BY who",
        "ann|Apple\ncid|Bread",
    )
    .await;
    check_one(
        &mut scratch,
        "SELECT title, ratings FROM by_title ORDER BY title",
        "Apple|1\nBread|1\nNULL|2",
    )
    .await;
    check(
        &mut scratch,
        &[
            ("SELECT count(DISTINCT _partition) FROM enriched WHERE item = 'a'", "1"),
            ("SELECT _key FROM enriched WHERE who = 'ann'", "a"),
            ("SELECT _headers FROM known", "~\"headwater-from\":\"ratings/"),
            (
                "SELECT count(*) FROM enriched e JOIN ratings r ON e.who = r.who WHERE e._timestamp = r._timestamp",
                "4",
            ),
            ("SHOW PIPELINES", "~enriched|catalogue, ratings|running|ratings/"),
            ("INSERT INTO products VALUES ('c', 'Cheese', 9.00)", "INSERT 0 1"),
            ("INSERT INTO ratings VALUES ('c', 'eve', 4)", "INSERT 0 1"),
        ],
    )
    .await;
    check_one(&mut scratch, "SELECT title FROM enriched WHERE who = 'eve'", "Cheese").await;
    check_one(&mut scratch, "SELECT title FROM high WHERE who = 'eve'", "Cheese").await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_parked_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CREATE STREAM raw WITH (partitions = 1)", "CREATE STREAM"),
            (r#"INSERT INTO raw VALUES ('{"n": 4}'), ('{"n": 0}'), ('{"n": 5}'), ('{"n": "x"}')"#, "INSERT 0 4"),
            (
                "CREATE STREAM shares AS SELECT CAST(value->>'n' AS INTEGER) AS n, 100 / CAST(value->>'n' AS INTEGER) AS share FROM raw",
                "CREATE STREAM",
            ),
        ],
    )
    .await;
    check_one(&mut scratch, "SELECT n, share FROM shares ORDER BY n", "4|25\n5|20").await;
    let parked = "SELECT stream, \"offset\", reader FROM _headwater.parked ORDER BY \"offset\"";
    check_one(&mut scratch, parked, "raw|1|shares\nraw|3|shares").await;
    check(
        &mut scratch,
        &[
            (
                "SELECT reason FROM _headwater.parked WHERE \"offset\" = 1",
                "~the pipeline 'shares' cannot take it: ",
            ),
            ("SHOW PIPELINES", "~|4|2|2"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_goes_on_where_it_was_also_with_another_query() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CREATE STREAM s (n INTEGER) WITH (partitions = 1)", "CREATE STREAM"),
            ("INSERT INTO s VALUES (1), (2)", "INSERT 0 2"),
            ("CREATE STREAM t AS SELECT n, 'old' AS how FROM s", "CREATE STREAM"),
            ("CREATE STREAM later FROM NOW AS SELECT n FROM s", "CREATE STREAM"),
            // Replaced before its first event, it still begins with the next one.
            (
                "CREATE OR REPLACE STREAM later FROM BEGINNING AS SELECT n FROM s WHERE n > 0",
                "CREATE STREAM",
            ),
        ],
    )
    .await;
    let said = scratch.notices.join("; ");
    assert!(
        said.contains("the pipeline 'later' goes on from where it is: FROM BEGINNING counts where one is new"),
        "{said}"
    );
    check_one(&mut scratch, "SELECT n, how FROM t", "1|old\n2|old").await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, &[("INSERT INTO s VALUES (3)", "INSERT 0 1")]).await;
    check_one(&mut scratch, "SELECT n, how FROM t", "1|old\n2|old\n3|old").await;
    check_one(&mut scratch, "SELECT n FROM later", "3").await;
    check(
        &mut scratch,
        &[
            (
                "CREATE OR REPLACE STREAM t AS SELECT CAST(n * 10 AS INTEGER) AS n, 'new' AS how, n AS was FROM s",
                "CREATE STREAM",
            ),
            ("INSERT INTO s VALUES (4)", "INSERT 0 1"),
        ],
    )
    .await;
    check_one(
        &mut scratch,
        "SELECT n, how, was FROM t",
        "1|old|NULL\n2|old|NULL\n3|old|NULL\n40|new|4",
    )
    .await;
    check(
        &mut scratch,
        &[
            ("ALTER STREAM s ADD COLUMN m INTEGER", "ALTER STREAM"),
            ("INSERT INTO s VALUES (5, 6)", "INSERT 0 1"),
            ("DROP STREAM s", "~later"),
            (
                "ALTER STREAM t ADD COLUMN x INTEGER",
                "~the columns of 't' are those of its pipeline's query",
            ),
            (
                "CREATE OR REPLACE STREAM t AS SELECT n, how, was FROM t",
                "~would read itself",
            ),
            (
                "CREATE OR REPLACE STREAM t AS SELECT n FROM s",
                "~cannot be replaced: column 'how' would be gone",
            ),
            ("DROP STREAM later", "DROP STREAM"),
        ],
    )
    .await;
    check_one(&mut scratch, "SELECT n FROM t WHERE was = 5", "50").await;
    check(
        &mut scratch,
        &[
            ("DROP STREAM t", "DROP STREAM"),
            ("DROP STREAM s", "DROP STREAM"),
            ("SHOW PIPELINES", ""),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_function_of_an_event_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(&mut scratch, SHOP).await;
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM x AS SELECT item, count(*) AS n FROM ratings GROUP BY item",
                "~an aggregate (GROUP BY) has no place in a pipeline: a pipeline makes results of one event at a time; fold the stream into a view",
            ),
            ("CREATE STREAM x AS SELECT DISTINCT item FROM ratings", "~DISTINCT has no place in a pipeline"),
            ("CREATE STREAM x AS SELECT item FROM ratings ORDER BY item", "~ORDER BY has no place in a pipeline"),
            ("CREATE STREAM x AS SELECT item FROM ratings LIMIT 3", "~LIMIT has no place in a pipeline"),
            ("CREATE STREAM x AS SELECT item FROM catalogue", "~'catalogue', which is no stream, has no place in a pipeline"),
            (
                "CREATE STREAM x AS SELECT r.item FROM ratings r JOIN products p ON p.item = r.item",
                "~a join with the stream 'products' has no place in a pipeline: fold the stream into a view",
            ),
            (
                "CREATE STREAM x AS SELECT r.item FROM ratings r JOIN catalogue p ON p.title = r.item",
                "~a join with the view 'catalogue' that does not say what its item is, has no place in a pipeline: join it by its whole key: ON catalogue.item = …",
            ),
            (
                "CREATE STREAM x AS SELECT r.item FROM ratings r RIGHT JOIN catalogue p ON p.item = r.item",
                "~a RIGHT JOIN has no place in a pipeline",
            ),
            ("CREATE STREAM x AS SELECT now() AS at FROM ratings", "~now(), which does not follow from the event,"),
            (
                "CREATE STREAM x AS SELECT item FROM ratings WHERE item IN (SELECT item FROM catalogue)",
                "~a subquery has no place in a pipeline",
            ),
            ("CREATE STREAM x KEY (no) AS SELECT item FROM ratings", "~KEY names 'no', which is none of its columns"),
            ("CREATE STREAM x (item TEXT) AS SELECT item FROM ratings", "~the columns of a pipeline's stream are those of its query"),
            ("CREATE STREAM x AS SELECT item, who AS item FROM ratings", "~two columns"),
            ("CREATE STREAM x AS SELECT _offset FROM ratings", "~a column cannot be called '_offset'"),
            ("CREATE STREAM x AS SELECT item FROM nowhere", "~there is no stream or view 'nowhere'"),
            ("SHOW PIPELINES", ""),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_is_handed_on_stays_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CREATE STREAM orders (id TEXT, doc JSON, note TEXT) KEY (id)", "CREATE STREAM"),
            ("CREATE MATERIALIZED VIEW notes STORED AS document AS SELECT id, count(*) AS n FROM orders GROUP BY id", "CREATE MATERIALIZED VIEW"),
            (
                "CREATE STREAM large AS SELECT o.id, o.doc AS document, upper(o.doc) AS shouted, CAST(o.doc AS TEXT) AS text, n.n
                 FROM (SELECT * FROM orders WHERE note IS NULL) AS o LEFT JOIN notes n ON n.id = o.id WHERE o.doc->>'size' <> '1'",
                "CREATE STREAM",
            ),
            ("CREATE STREAM larger AS SELECT document, id FROM large", "CREATE STREAM"),
            (r#"INSERT INTO orders VALUES ('a', '{"size": 7}', NULL), ('b', '{"size": 1}', NULL), ('c', '{"size": 8}', 'x')"#, "INSERT 0 3"),
            (r#"SELECT value FROM "_headwater.parked""#, ""),
            ("SELECT id, document->>'size', text FROM large", r#"a|7|{"size": 7}"#),
            ("SELECT document->>'size' FROM larger", "7"),
            ("ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT id, doc, upper(note) AS note", "ALTER STREAM"),
            ("SELECT id, doc->>'size', note FROM orders ORDER BY id", "a|7|NULL\nb|1|NULL\nc|8|X"),
        ],
    )
    .await;
    for (stream, column, column_type) in [
        ("large", "document", "JSON"),
        ("large", "shouted", "TEXT"),
        ("large", "text", "TEXT"),
        ("larger", "document", "JSON"),
        ("orders", "doc", "JSON"),
    ] {
        let described = scratch.run(&format!("DESCRIBE {stream}"), &[]).await;
        let line = format!("{column}|{column_type}|");
        assert!(
            described.lines().any(|described| described.starts_with(&line)),
            "{line} in {described}"
        );
    }
    let held = "CREATE MATERIALIZED VIEW held STORED AS document AS SELECT id, count(*) AS n FROM large GROUP BY id";
    assert_eq!(scratch.run(held, &[]).await, "CREATE MATERIALIZED VIEW");
    let value = scratch
        .run("SELECT value FROM origins('held', 'a') WHERE depth = 0", &[])
        .await;
    assert!(value.contains(r#""document":{"size"#), "{value}");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_takes_wider_columns_on_as_its_source_has_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM src (id TEXT NOT NULL, n INTEGER NOT NULL)",
                "CREATE STREAM",
            ),
            ("CREATE STREAM taken AS SELECT id, n FROM src", "CREATE STREAM"),
            ("CREATE STREAM \"Taken.Once\" AS SELECT n FROM src", "CREATE STREAM"),
            (
                "CREATE MATERIALIZED VIEW sums STORED AS document AS SELECT id, sum(n) AS n FROM taken GROUP BY id",
                "CREATE MATERIALIZED VIEW",
            ),
            ("INSERT INTO src VALUES ('a', 1)", "INSERT 0 1"),
            ("SELECT id, n FROM taken", "a|1"),
            (
                "ALTER STREAM src ALTER COLUMN n TYPE BIGINT, ALTER COLUMN n DROP NOT NULL",
                "ALTER STREAM",
            ),
        ],
    )
    .await;
    let said = scratch.notices.join("; ");
    assert!(
        said.contains("the pipeline 'taken' goes on, and parks what does not fit its columns: it has 'n INTEGER NOT NULL' where its query gives 'n BIGINT'"),
        "{said}"
    );
    // A name stands there as it can be copied.
    assert!(said.contains("CREATE OR REPLACE STREAM \"Taken.Once\" AS …"), "{said}");
    check(
        &mut scratch,
        &[
            (
                "INSERT INTO src VALUES ('a', 3000000000), ('b', NULL), ('c', 7)",
                "INSERT 0 3",
            ),
            ("SELECT id, n FROM taken ORDER BY n", "a|1\nc|7"),
            (
                "CREATE OR REPLACE STREAM taken AS SELECT id, n FROM src",
                "CREATE STREAM",
            ),
            (
                "CALL replay_parked('taken')",
                "taken|2|0|their results were appended behind the others",
            ),
            ("INSERT INTO src VALUES ('d', 4000000000)", "INSERT 0 1"),
            (
                "SELECT id, n FROM taken ORDER BY n",
                "a|1\nc|7\na|3000000000\nd|4000000000\nb|NULL",
            ),
            (
                "SELECT id, n FROM sums ORDER BY id",
                "a|3000000001\nb|NULL\nc|7\nd|4000000000",
            ),
            // The same once more changes nothing, and what does not hold all that is there is refused as ever.
            (
                "CREATE OR REPLACE STREAM taken AS SELECT id, n FROM src",
                "CREATE STREAM",
            ),
            (
                "CREATE OR REPLACE STREAM taken AS SELECT id, CAST(n AS INTEGER) AS n FROM src",
                "~column 'n BIGINT' would become 'n INTEGER'",
            ),
            (
                "CREATE OR REPLACE STREAM taken AS SELECT n, id FROM src",
                "~column 1 is 'id' and would become 'n'",
            ),
        ],
    )
    .await;
    scratch.close();
}

/// A Kafka client deletes a topic past the pipelines, and another makes one of its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_ends_with_its_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CREATE STREAM s (n INTEGER) WITH (partitions = 1)", "CREATE STREAM"),
            ("CREATE STREAM t AS SELECT n FROM s", "CREATE STREAM"),
            ("INSERT INTO s VALUES (1)", "INSERT 0 1"),
        ],
    )
    .await;
    check_one(&mut scratch, "SELECT n FROM t", "1").await;
    let dropped = scratch.engine.catalog().drop("stream", "t", "ann").await;
    dropped.expect("nobody needs it");
    check(
        &mut scratch,
        &[
            ("CREATE STREAM t (n INTEGER) WITH (partitions = 1)", "CREATE STREAM"),
            ("INSERT INTO s VALUES (2)", "INSERT 0 1"),
        ],
    )
    .await;
    check_one(&mut scratch, "SELECT count(*) FROM t", "0").await;
    for _ in 0..600 {
        let runs = scratch
            .engine
            .views()
            .pipelines()
            .iter()
            .any(|one| one.stopped.is_none());
        if !runs {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let all = scratch.engine.views().pipelines();
    assert!(all.iter().all(|one| one.stopped.is_some()), "{all:?}");
    check_one(&mut scratch, "SELECT count(*) FROM t", "0").await;
    scratch.close();
}

/// Results go into batches that their stream takes: each has headers that say what it was made of, and the stream may have a limit of its own.
#[tokio::test(flavor = "multi_thread")]
async fn results_are_as_many_batches_as_their_stream_wants() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CREATE STREAM s (n INTEGER) WITH (partitions = 1)", "CREATE STREAM"),
            (
                "CREATE STREAM small WITH (partitions = 1, batch_bytes_max = 2000) AS SELECT n, repeat('x', 300) AS text FROM s",
                "CREATE STREAM",
            ),
            ("INSERT INTO s SELECT i FROM generate_series(1, 500) AS g(i)", "INSERT 0 500"),
        ],
    )
    .await;
    check_one(&mut scratch, "SELECT count(*), max(n) FROM small", "500|500").await;
    scratch.close();
}

/// A result counts with its headers, as the batch that it is: what fits is appended however small its stream's limit is, and what does not is parked with the limit that was set.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_fits_its_streams_batches_is_appended() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("CREATE STREAM s (n INTEGER) WITH (partitions = 1)", "CREATE STREAM"),
            (
                "CREATE STREAM small WITH (partitions = 1, batch_bytes_max = 200) AS SELECT n, repeat('x', n) AS text FROM s",
                "CREATE STREAM",
            ),
            ("INSERT INTO s VALUES (10), (100), (20)", "INSERT 0 3"),
        ],
    )
    .await;
    check_one(&mut scratch, "SELECT string_agg(n::text, ' ') FROM small", "10 20").await;
    let reason = "SELECT reason FROM _headwater.parked";
    let expected = "the pipeline 'small' cannot take it: its result takes 210 bytes with its headers, and batches of the stream have 200 at most: set its batch_bytes_max higher";
    check_one(&mut scratch, reason, expected).await;
    scratch.close();
}

/// A key stands in the value of a result and is its key: where it is long, it is not noted a third time as what was looked up.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_key_finds_its_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "CREATE STREAM b (k TEXT NOT NULL, n BIGINT) KEY (k) WITH (partitions = 1)",
                "CREATE STREAM",
            ),
            (
                "CREATE MATERIALIZED VIEW sums AS SELECT k, sum(n) AS n FROM b GROUP BY k",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "CREATE STREAM found KEY (k) AS SELECT b.k, s.n FROM b LEFT JOIN sums s ON s.k = b.k",
                "CREATE STREAM",
            ),
            ("INSERT INTO b VALUES (repeat('x', 400000), 7)", "INSERT 0 1"),
        ],
    )
    .await;
    check_one(&mut scratch, "SELECT length(k), n FROM found", "400000|7").await;
    scratch.close();
}
