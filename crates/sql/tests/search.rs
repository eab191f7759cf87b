//! `search(view, query)` and `facets(view, query, field)`: what is found, how it reads, how it joins, as of when.

mod scratch;

use datafusion::common::ScalarValue;
use scratch::{Scratch, check};

const APPLICATION: &str = "CREATE STREAM products (item TEXT NOT NULL, title TEXT, note TEXT, category TEXT, price DECIMAL(10,2), stock BIGINT, added DATE)
        KEY (item) WITH (partitions = 3);
    CREATE MATERIALIZED VIEW found STORED AS search
        (title TEXT 'english', note TEXT, category KEYWORD, price NUMBER, stock NUMBER, added DATE) AS
        SELECT item, max(title) AS title, max(note) AS note, max(category) AS category, max(price) AS price, sum(stock) AS stock, max(added) AS added
        FROM products GROUP BY item;
    CREATE MATERIALIZED VIEW counts STORED AS document AS SELECT item, count(*) AS events FROM products GROUP BY item;
    INSERT INTO products VALUES
        ('p1', 'Red woollen scarf', 'A warm scarf for winter', 'Scarves', 19.90, 3, DATE '2024-01-10'),
        ('p2', 'Blue silk scarfs', 'Light & elegant', 'Scarves', 45.00, 1, DATE '2024-03-01'),
        ('p3', 'Running shoes, red', 'For the road', 'Shoes', 89.99, 10, DATE '2024-05-20'),
        ('p4', 'Café mug', 'Porcelain, made in München', 'Kitchen', 8.50, 40, DATE '2023-12-31'),
        ('p5', 'Scarf hanger', NULL, 'Kitchen', 5.00, NULL, NULL)";

async fn filled(scratch: &mut Scratch) {
    assert_eq!(scratch.run(APPLICATION, &[]).await, "INSERT 0 5");
}

/// The items that a query finds, in the order of their names.
async fn found(scratch: &mut Scratch, query: &str) -> String {
    let statement = format!(
        "SELECT item FROM search('found', '{}') ORDER BY item",
        query.replace('\'', "''")
    );
    scratch.run(&statement, &[]).await.replace('\n', " ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_find_what_they_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    for (query, expected) in [
        ("scarf", "p1 p2 p5"),
        ("red scarf", "p1"),
        ("the red shoe", "p3"),
        ("cafe MUNCHEN", "p4"),
        ("\"red scarf\"", ""),
        ("\"red scarf\"~1", "p1"),
        ("\"scarf for winter\"", "p1"),
        ("run*", "p3"),
        ("running", "p3"),
        ("scraf~1", "p1 p5"),
        ("red OR silk", "p1 p2 p3"),
        ("scarf -red", "p2 p5"),
        ("NOT scarf", "p3 p4"),
        ("title:porcelain", ""),
        ("note:porcelain", "p4"),
        ("category:Scarves", "p1 p2"),
        ("category:scarves", ""),
        ("category:S*", "p1 p2 p3"),
        ("category:[L TO Sd]", "p1 p2"),
        ("price:[5 TO 19.90]", "p1 p4 p5"),
        ("price:{5 TO 19.90}", "p4"),
        ("price:19.9", "p1"),
        ("price:19.901", ""),
        ("price:>45", "p3"),
        ("stock:<3", "p2"),
        ("stock:*", "p1 p2 p3 p4"),
        ("added:[2024-01-10 TO 2024-04-01]", "p1 p2"),
        ("added:<2024-01-01", "p4"),
        ("scarf AND (price:<10 OR category:Scarves) -silk", "p1 p5"),
        ("*", "p1 p2 p3 p4 p5"),
        ("&", ""),
    ] {
        assert_eq!(found(&mut scratch, query).await, expected, "{query}");
    }
    let cases: &[(&str, &str)] = &[
        (
            "SELECT count(*) FROM search('found', 'red scarf', operator => 'or')",
            "4",
        ),
        (
            "SELECT item FROM search('found', 'red scarf winter', operator => 'or') LIMIT 1",
            "p1",
        ),
        ("SELECT count(*) FROM search('found', 'scarf') WHERE price < 10", "1"),
        (
            "SELECT s.item, c.events FROM search('found', 'scarf') s JOIN counts c ON c.item = s.item WHERE s.category = 'Kitchen'",
            "p5|1",
        ),
        (
            "SELECT snippet FROM search('found', 'elegant') ",
            "Light &amp; <b>elegant</b>",
        ),
        (
            "SELECT snippet FROM search('found', 'elegant', snippet => 'title')",
            "Blue silk scarfs",
        ),
        (
            "SELECT snippet FROM search('found', 'winter', snippet_chars => 15)",
            "~<b>winter</b>",
        ),
        (
            "SELECT value, count FROM facets('found', '*', 'category')",
            "Kitchen|2\nScarves|2\nShoes|1",
        ),
        (
            "SELECT value, count FROM facets('found', 'scarf', 'category') LIMIT 1",
            "Scarves|2",
        ),
        ("SELECT count(*) FROM found", "5"),
    ];
    check(&mut scratch, cases).await;
    let scores = scratch
        .run("SELECT score FROM search('found', 'scarf') LIMIT 5", &[])
        .await;
    let scores: Vec<f32> = scores.lines().map(|score| score.parse().expect("a score")).collect();
    assert!(
        scores.len() == 3 && scores.is_sorted_by(|one, other| one >= other),
        "{scores:?}"
    );
    let plan = scratch
        .run(
            "EXPLAIN SELECT item, score FROM search('found', 'red scarf') ORDER BY score DESC LIMIT 10",
            &[],
        )
        .await;
    assert!(
        plan.contains("SearchScan: view=found, query=red scarf") && plan.contains("limit=10"),
        "{plan}"
    );
    assert!(!plan.contains("Sort"), "the best come first: {plan}");
    let answer = scratch
        .run(
            "SELECT item FROM search('found', $1) LIMIT 1",
            &[ScalarValue::from("mug")],
        )
        .await;
    assert_eq!(answer, "p4");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_is_found_by_whoever_waits_for_it_and_rewound_by_whoever_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    assert_eq!(found(&mut scratch, "linen").await, "");
    let before = scratch.run("SELECT max(_appended_at) FROM products", &[]).await;
    for number in 0..20 {
        let insert =
            format!("INSERT INTO products VALUES ('n{number:02}', 'Linen number{number}', NULL, 'New', 1.00, 1, NULL)");
        assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
        assert_eq!(
            found(&mut scratch, &format!("number{number}")).await,
            format!("n{number:02}")
        );
    }
    // An update of what was found.
    scratch
        .run(
            "INSERT INTO products VALUES ('n00', 'Zebra linen', 'striped', 'New', 2.00, 1, NULL)",
            &[],
        )
        .await;
    assert_eq!(found(&mut scratch, "number0").await, "");
    assert_eq!(found(&mut scratch, "striped zebra price:2 stock:2").await, "n00");
    let cases: &[(&str, &str)] = &[
        ("SELECT count(*) FROM search('found', 'linen')", "20"),
        ("SELECT count(*) FROM facets('found', '*', 'category')", "4"),
    ];
    check(&mut scratch, cases).await;
    let then = format!("FOR SYSTEM_TIME AS OF TIMESTAMP '{before}'");
    let cases: &[(&str, &str)] = &[
        (&format!("SELECT count(*) FROM search('found', 'linen') {then}"), "0"),
        (
            &format!("SELECT item FROM search('found', 'scarf') AS s {then} WHERE s.price > 40"),
            "p2",
        ),
        (
            &format!("SELECT count(*) FROM facets('found', '*', 'category') {then}"),
            "3",
        ),
        (
            "SELECT count(*) FROM search('found', '*') FOR SYSTEM_TIME AS OF POSITION 'products/0@0,1@0,2@0'",
            "0",
        ),
        (
            "SELECT item FROM lineage('found', 'p1') l FOR SYSTEM_TIME AS OF DATE '2025-01-01'",
            "~is not rewound",
        ),
    ];
    check(&mut scratch, cases).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_searched_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    let create = |fields: &str, more: &str| {
        format!(
            "CREATE MATERIALIZED VIEW v STORED AS search ({fields}) {more} AS SELECT item, max(title) AS title, max(price) AS price FROM products GROUP BY item"
        )
    };
    for (statement, says) in [
        ("SELECT * FROM search()", "search takes 2 arguments, and 0 are given"),
        (
            "SELECT * FROM search('found', 'x', 'y')",
            "search takes 2 arguments, and 3 are given",
        ),
        (
            "SELECT * FROM search('found', 'x', sort => 'y')",
            "search has no argument 'sort'",
        ),
        (
            "SELECT * FROM search('found', 'x', operator => 'xor')",
            "there is no operator 'xor'",
        ),
        (
            "SELECT * FROM search('found', 'x', snippet => 'price')",
            "snippets are made of TEXT fields: title, note",
        ),
        (
            "SELECT * FROM search('found', 'x', snippet_chars => 0)",
            "1 to 10000 characters",
        ),
        ("SELECT * FROM search('found', NULL)", "the query is a text"),
        (
            "SELECT * FROM search('found', 'red (scarf')",
            "wrong at character 5: '(' is not closed",
        ),
        (
            "SELECT * FROM search('found', 'colour:red')",
            "the fields are title, note, category",
        ),
        (
            "SELECT * FROM search('found', 'price:cheap')",
            "'cheap' is no value of 'price'",
        ),
        (
            "SELECT * FROM search('counts', 'x')",
            "is stored as document, and has no index to search",
        ),
        ("SELECT * FROM search('products', 'x')", "'products' is a stream"),
        ("SELECT * FROM search('fond', 'x')", "did you mean 'found'?"),
        (
            "SELECT * FROM facets('found', '*', 'price')",
            "'price' is no such field",
        ),
        (
            &create("colour TEXT", ""),
            "the search field 'colour', which is no column of the view",
        ),
        (&create("title TEXT, title KEYWORD", ""), "is declared twice"),
        (&create("title TEXT 'klingon'", ""), "the languages are arabic"),
        (&create("title NUMBER", ""), "the search field 'title' as NUMBER"),
        (&create("price TEXT", ""), "the search field 'price' as TEXT"),
        (&create("price KEYWORD", ""), "the search field 'price' as KEYWORD"),
        (&create("title DATE", ""), "the search field 'title' as DATE"),
        (&create("title TEXT", "WITH (freshness = '1 ms')"), "10 ms is the least"),
        (
            "CREATE MATERIALIZED VIEW v STORED AS search (title TEXT) AS SELECT max(title) AS title FROM products GROUP BY item",
            "do not show their key",
        ),
    ] {
        let answer = scratch.run(statement, &[]).await;
        assert!(answer.contains(says), "{statement}: {answer}\nexpected to hold\n{says}");
    }
    // What depends on a search is known.
    let cases: &[(&str, &str)] = &[
        (
            "CREATE VIEW red AS SELECT item FROM search('found', 'red')",
            "CREATE VIEW",
        ),
        ("SELECT count(*) FROM red", "2"),
        ("DROP MATERIALIZED VIEW found", "~red"),
        (
            &create("title TEXT", "WITH (freshness = '10 ms')"),
            "CREATE MATERIALIZED VIEW",
        ),
    ];
    check(&mut scratch, cases).await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_index_is_built_beside_the_one_that_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path());
    filled(&mut scratch).await;
    assert_eq!(found(&mut scratch, "silk").await, "p2");
    let replace = "CREATE OR REPLACE MATERIALIZED VIEW found STORED AS search (note TEXT, item KEYWORD) AS
        SELECT item, max(note) AS note FROM products GROUP BY item";
    assert_eq!(scratch.run(replace, &[]).await, "CREATE MATERIALIZED VIEW");
    assert_eq!(found(&mut scratch, "silk").await, "");
    assert_eq!(found(&mut scratch, "elegant item:p2").await, "p2");
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    assert_eq!(found(&mut scratch, "elegant item:p2").await, "p2");
    scratch.close();
}
