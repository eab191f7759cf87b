//! Streams whose schema changes: what old events read as, what is refused, and what becomes of views.

mod scratch;

use scratch::{Scratch, check};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

const ORDERS: &str = "
CREATE STREAM orders (id TEXT NOT NULL, cents INTEGER NOT NULL, customer TEXT) KEY (id) WITH (partitions = 2);
CREATE MATERIALIZED VIEW by_customer AS SELECT customer, count(*) AS orders, sum(cents) AS cents FROM orders GROUP BY customer;
INSERT INTO orders VALUES ('o1', 100, 'ann'), ('o2', 250, 'bob'), ('o3', 50, NULL);
";

async fn orders(folder: &tempfile::TempDir) -> Scratch {
    let mut scratch = Scratch::open(folder.path());
    assert_eq!(scratch.run(ORDERS, &[]).await, "INSERT 0 3");
    scratch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_column_reads_its_default_from_old_events() {
    let folder = folder();
    let mut scratch = orders(&folder).await;
    check(
        &mut scratch,
        &[
            ("ALTER STREAM orders ADD COLUMN note TEXT", "ALTER STREAM"),
            ("ALTER STREAM orders ADD COLUMN country TEXT NOT NULL DEFAULT 'de', ADD paid BOOLEAN DEFAULT false", "ALTER STREAM"),
            ("INSERT INTO orders (id, cents, country) VALUES ('o4', 1, 'fr')", "INSERT 0 1"),
            ("INSERT INTO orders (id, cents, paid) VALUES ('o5', 1, NULL)", "INSERT 0 1"),
            (
                "SELECT * FROM orders ORDER BY id",
                "o1|100|ann|NULL|de|false\no2|250|bob|NULL|de|false\no3|50|NULL|NULL|de|false\no4|1|NULL|NULL|fr|false\no5|1|NULL|NULL|de|NULL",
            ),
            ("ALTER STREAM orders ADD COLUMN note TEXT", "~stream 'orders' has a column 'note' already"),
            ("ALTER STREAM orders ADD COLUMN IF NOT EXISTS note TEXT", "ALTER STREAM"),
            ("ALTER STREAM orders ADD COLUMN must TEXT NOT NULL", "~stream 'orders' cannot be altered so: the new column 'must' is NOT NULL"),
            ("ALTER STREAM nothing ADD COLUMN a TEXT", "~42P01"),
            ("ALTER STREAM IF EXISTS nothing ADD COLUMN a TEXT", "ALTER STREAM"),
            ("ALTER STREAM by_customer ADD COLUMN a TEXT", "~42P01"),
            ("ALTER STREAM orders ADD COLUMN at TIMESTAMPTZ DEFAULT now()", "~a DEFAULT is a constant"),
            ("SELECT * FROM by_customer WHERE customer = 'ann'", "ann|1|100"),
        ],
    )
    .await;
    let described = scratch.run("DESCRIBE orders", &[]).await;
    for part in [
        "country|TEXT|no|default 'de'",
        "version 1|",
        "version 2|",
        "schema version|3|",
    ] {
        assert!(described.contains(part), "{part} in {described}");
    }
    let shown = scratch.run("SHOW STREAMS", &[]).await;
    assert!(
        shown
            .lines()
            .any(|line| line.starts_with("orders|") && line.contains("|3|")),
        "{shown}"
    );
    scratch.close();
}

/// Every kind of change, a thousand in all; events come in between, and each is read through all the versions after its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_altered_a_thousand_times() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    scratch
        .run(
            "CREATE STREAM s (k INTEGER NOT NULL, v INTEGER) KEY (k) WITH (partitions = 2)",
            &[],
        )
        .await;
    let mut value = "v".to_owned();
    let (mut expected, mut kept) = (String::new(), Vec::new());
    for number in 0..1_000 {
        let change = match number % 4 {
            0 => format!("ADD COLUMN a{number} INTEGER DEFAULT {number}"),
            1 => {
                let change = format!("RENAME COLUMN {value} TO v{number}");
                value = format!("v{number}");
                change
            }
            2 => format!("ALTER COLUMN a{} TYPE BIGINT", number - 2),
            _ if number % 200 == 199 => {
                kept.push(format!("b{number}"));
                format!("ADD COLUMN b{number} INTEGER NOT NULL DEFAULT {number}")
            }
            _ => format!("DROP COLUMN a{}", number - 3),
        };
        let altered = scratch.run(&format!("ALTER STREAM s {change}"), &[]).await;
        assert_eq!(altered, "ALTER STREAM", "{number}");
        if number % 50 == 20 {
            let insert = format!("INSERT INTO s (k, {value}) VALUES ({number}, {})", number * 2);
            assert_eq!(scratch.run(&insert, &[]).await, "INSERT 0 1");
            expected.push_str(&format!("{number}|{}|199|399|599|799|999\n", number * 2));
        }
    }
    let rows = format!("SELECT k, {value}, {} FROM s ORDER BY k", kept.join(", "));
    assert_eq!(scratch.run(&rows, &[]).await, expected.trim_end());
    let view = format!("CREATE MATERIALIZED VIEW w AS SELECT count(*) AS n, sum({value}) AS v, sum(b199) AS b FROM s");
    scratch.run(&view, &[]).await;
    let summed = "20|19800|3980";
    assert_eq!(scratch.run("SELECT * FROM w", &[]).await, summed);
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    assert_eq!(scratch.run(&rows, &[]).await, expected.trim_end());
    assert_eq!(scratch.run("SELECT * FROM w", &[]).await, summed);
    let described = scratch.run("DESCRIBE s", &[]).await;
    assert!(described.contains("schema version|1001|"), "{described}");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_column_is_read_by_both_names() {
    let folder = folder();
    let mut scratch = orders(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "ALTER STREAM orders RENAME COLUMN customer TO buyer",
                "~the stream 'orders' would lose its column 'customer', which view 'by_customer' reads",
            ),
            ("DROP MATERIALIZED VIEW by_customer", "DROP MATERIALIZED VIEW"),
            (
                "ALTER STREAM orders RENAME COLUMN id TO order_id, RENAME customer TO buyer",
                "ALTER STREAM",
            ),
            ("INSERT INTO orders VALUES ('o4', 7, 'cid')", "INSERT 0 1"),
            (
                "SELECT order_id, buyer, _key FROM orders ORDER BY order_id",
                "o1|ann|o1\no2|bob|o2\no3|NULL|o3\no4|cid|o4",
            ),
            ("SELECT customer FROM orders", "~42703"),
            (
                "CREATE MATERIALIZED VIEW by_buyer AS SELECT buyer, sum(cents) AS cents FROM orders GROUP BY buyer",
                "CREATE MATERIALIZED VIEW",
            ),
            (
                "SELECT * FROM by_buyer ORDER BY buyer",
                "ann|100\nbob|250\ncid|7\nNULL|50",
            ),
            ("ALTER STREAM orders RENAME TO purchases", "~0A000"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_go_on_or_are_rebuilt_and_it_is_said_which() {
    let folder = folder();
    let mut scratch = orders(&folder).await;
    let other = "CREATE MATERIALIZED VIEW by_id AS SELECT id, count(*) AS n FROM orders GROUP BY id";
    assert_eq!(scratch.run(other, &[]).await, "CREATE MATERIALIZED VIEW");
    let mut check = async |statement: &str, expected: &[&str]| {
        assert_eq!(scratch.run(statement, &[]).await, "ALTER STREAM", "{statement}");
        let found: Vec<&str> = scratch
            .notices
            .iter()
            .filter_map(|notice| notice.split([':', ';']).next())
            .collect();
        assert_eq!(found, expected, "{statement}");
    };
    let goes_on = ["the view 'by_customer' goes on", "the view 'by_id' goes on"];
    let rebuilt = ["the view 'by_customer' is built anew", "the view 'by_id' goes on"];
    check("ALTER STREAM orders ADD COLUMN note TEXT", &goes_on).await;
    check("ALTER STREAM orders ADD COLUMN IF NOT EXISTS note TEXT", &[]).await;
    check("ALTER STREAM orders RENAME note TO remark", &goes_on).await;
    check("ALTER STREAM orders ALTER cents TYPE BIGINT", &rebuilt).await;
    check("ALTER STREAM orders ALTER cents DROP NOT NULL", &rebuilt).await;
    check("ALTER STREAM orders DROP COLUMN remark", &goes_on).await;
    let upcast = "ALTER STREAM orders UPCAST FROM VERSION 6 AS SELECT id, cents + 1 AS cents, customer";
    check(
        upcast,
        &["the view 'by_customer' is built anew", "the view 'by_id' is built anew"],
    )
    .await;
    assert_eq!(
        scratch
            .run("SELECT * FROM by_customer WHERE customer = 'bob'", &[])
            .await,
        "bob|1|251"
    );
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wider_type_takes_more_and_rebuilds_what_reads_it() {
    let folder = folder();
    let mut scratch = orders(&folder).await;
    check(
        &mut scratch,
        &[
            ("INSERT INTO orders VALUES ('o4', 3000000000, 'ann')", "~22003"),
            ("ALTER STREAM orders ALTER COLUMN cents TYPE BIGINT", "ALTER STREAM"),
            ("INSERT INTO orders VALUES ('o4', 3000000000, 'ann')", "INSERT 0 1"),
            ("SELECT * FROM by_customer WHERE customer = 'ann'", "ann|2|3000000100"),
            ("ALTER STREAM orders ALTER cents TYPE INTEGER", "~stream 'orders' cannot be altered so: column 'cents' is BIGINT, and not every BIGINT is the same as a INTEGER"),
            ("ALTER STREAM orders ALTER customer TYPE JSON", "~UPCAST FROM VERSION 2"),
            ("ALTER STREAM orders ALTER cents DROP NOT NULL", "ALTER STREAM"),
            ("INSERT INTO orders (id) VALUES ('o5')", "INSERT 0 1"),
            ("SELECT * FROM by_customer ORDER BY customer", "ann|2|3000000100\nbob|1|250\nNULL|2|50"),
            ("ALTER STREAM orders DROP COLUMN cents", "~2BP01"),
            ("ALTER STREAM orders DROP COLUMN id", "~named by its KEY"),
            ("ALTER STREAM orders DROP COLUMN IF EXISTS nothing", "ALTER STREAM"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upcaster_is_applied_wherever_an_old_event_is_read() {
    let folder = folder();
    let mut scratch = orders(&folder).await;
    let position = scratch.log.position("orders").expect("the stream");
    check(
        &mut scratch,
        &[
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT id, CAST(cents / 100.0 AS DECIMAL(12,2)) AS amount, customer WHERE cents > 50",
                "~the stream 'orders' would lose its column 'cents'",
            ),
            ("DROP MATERIALIZED VIEW by_customer", "DROP MATERIALIZED VIEW"),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT id, CAST(cents / 100.0 AS DECIMAL(12,2)) AS amount, customer, value->>'cents' AS was WHERE cents > 50",
                "ALTER STREAM",
            ),
            ("SELECT * FROM orders ORDER BY id", "o1|1.00|ann|100\no2|2.50|bob|250"),
            ("INSERT INTO orders VALUES ('o4', 7.25, 'ann', NULL)", "INSERT 0 1"),
            ("CREATE MATERIALIZED VIEW spent AS SELECT customer, sum(amount) AS amount FROM orders GROUP BY customer", "CREATE MATERIALIZED VIEW"),
            ("SELECT * FROM spent ORDER BY customer", "ann|8.25\nbob|2.50"),
            (&format!("SELECT * FROM spent FOR SYSTEM_TIME AS OF POSITION '{position}' WHERE customer = 'ann'"), "ann|1.00"),
            (&format!("SELECT id, amount FROM orders FOR SYSTEM_TIME AS OF POSITION '{position}' ORDER BY id"), "o1|1.00\no2|2.50"),
            ("SELECT count(*), min(_offset) FROM orders WHERE was IS NOT NULL", "2|0"),
            // A chain: 1 → 2 → 3.
            ("ALTER STREAM orders UPCAST FROM VERSION 2 TO (id TEXT NOT NULL, amount DECIMAL(12,2) NOT NULL, customer TEXT NOT NULL, currency TEXT NOT NULL DEFAULT 'eur') AS SELECT id, amount, upper(customer) AS customer", "ALTER STREAM"),
            ("SELECT * FROM orders ORDER BY id", "o1|1.00|ANN|eur\no2|2.50|BOB|eur\no4|7.25|ANN|eur"),
            ("SELECT * FROM spent ORDER BY customer", "ANN|8.25\nBOB|2.50"),
        ],
    )
    .await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            (
                "SELECT * FROM orders ORDER BY id",
                "o1|1.00|ANN|eur\no2|2.50|BOB|eur\no4|7.25|ANN|eur",
            ),
            ("SELECT * FROM spent ORDER BY customer", "ANN|8.25\nBOB|2.50"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_an_upcaster_cannot_take_is_parked() {
    let folder = folder();
    let mut scratch = orders(&folder).await;
    check(
        &mut scratch,
        &[
            ("DROP MATERIALIZED VIEW by_customer", "DROP MATERIALIZED VIEW"),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 TO (id TEXT NOT NULL, share INTEGER, customer TEXT NOT NULL) AS SELECT id, 1000 / (cents - 100) AS share, customer",
                "ALTER STREAM",
            ),
            ("CREATE MATERIALIZED VIEW shares AS SELECT id, max(share) AS share FROM orders GROUP BY id", "CREATE MATERIALIZED VIEW"),
            ("SELECT * FROM shares", "o2|6"),
            ("SELECT id, share FROM orders", "o2|6"),
            (
                "SELECT stream, reason LIKE '%upcaster from version 1 cannot take it%division by zero%', reason LIKE '%no value for column ''customer''%' \
                 FROM \"_headwater.parked\" ORDER BY value",
                "orders|true|false\norders|false|true",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_upcaster_is_refused() {
    let folder = folder();
    let mut scratch = orders(&folder).await;
    check(
        &mut scratch,
        &[
            ("DROP MATERIALIZED VIEW by_customer", "DROP MATERIALIZED VIEW"),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 2 AS SELECT *",
                "~has no version 2",
            ),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT *, now() AS at",
                "~now(), which does not follow from the events",
            ),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT cents",
                "~'id' is named by its KEY",
            ),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT upper(id) AS id, cents",
                "~let it pass the column on as it is",
            ),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT o.id FROM orders o JOIN orders p ON o.id = p.id",
                "~every event becomes one row or none",
            ),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT id, (SELECT count(*) FROM orders) AS n",
                "~a subquery",
            ),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT id FROM nothing",
                "~an upcaster cannot read 'nothing'",
            ),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT id, sum(cents) AS cents GROUP BY id",
                "~every event becomes one row or none",
            ),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT id, nothing",
                "~42703",
            ),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 TO (id TEXT NOT NULL, n INTEGER NOT NULL) AS SELECT id",
                "~gives no value for column 'n INTEGER NOT NULL'",
            ),
            ("SELECT * FROM orders ORDER BY id", "o1|100|ann\no2|250|bob\no3|50|NULL"),
            ("ALTER STREAM orders ADD COLUMN day DATE", "ALTER STREAM"),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT id, cents, customer, DATE '2025-11-01' AS dya",
                "~42703: line 1, column 1: version 2 of stream 'orders' has no column 'dya', which the upcaster gives; its columns are id, cents, customer, day",
            ),
            (
                "ALTER STREAM orders UPCAST FROM VERSION 1 AS SELECT *, DATE '2025-11-01' AS day",
                "ALTER STREAM",
            ),
            ("SELECT count(day) FROM orders", "3"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_row_was_made_of_is_not_told_while_its_view_stands_still() {
    let folder = folder();
    let mut scratch = orders(&folder).await;
    let questions = [
        "SELECT count(*) FROM lineage('by_customer', 'ann')",
        "SELECT count(*) FROM origins('by_customer', 'ann')",
    ];
    for question in questions {
        assert_eq!(scratch.run(question, &[]).await, "1", "{question}");
    }
    // As when its stream changed under it, until it is written anew.
    scratch.engine.views().freeze("by_customer");
    for question in questions {
        let answer = scratch.run(question, &[]).await;
        assert!(
            answer.starts_with(
                "57P03: the view 'by_customer' stands still: the events of 'orders' are read otherwise by now"
            ),
            "{question}: {answer}"
        );
    }
    let rows = scratch
        .run("SELECT orders FROM by_customer WHERE customer = 'ann'", &[])
        .await;
    assert_eq!(rows, "1", "its rows as they are can be asked all the same");
    scratch.close();
}

/// Nor where rows are found by the order of events, for which every column is passed on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_nobody_reads_have_no_view_built_anew() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    let defined = "CREATE STREAM s (k TEXT NOT NULL, n BIGINT, x TEXT) KEY (k) WITH (partitions = 1);
         CREATE MATERIALIZED VIEW newest KEY (k) AS SELECT k, n FROM s WHERE n > 0;
         CREATE MATERIALIZED VIEW ends AS SELECT k, first_value(n) AS f, last_value(n) AS l, array_agg(n) AS a FROM s GROUP BY k";
    assert_eq!(scratch.run(defined, &[]).await, "CREATE MATERIALIZED VIEW");
    check(
        &mut scratch,
        &[("INSERT INTO s VALUES ('a', 1, 'x'), ('b', 2, 'x')", "INSERT 0 2")],
    )
    .await;
    for statement in [
        "ALTER STREAM s ADD COLUMN y TEXT",
        "ALTER STREAM s RENAME y TO z",
        "ALTER STREAM s DROP COLUMN x",
    ] {
        assert_eq!(scratch.run(statement, &[]).await, "ALTER STREAM", "{statement}");
        let go_on = |notice: &&String| notice.contains("goes on");
        assert_eq!(
            scratch.notices.iter().filter(go_on).count(),
            2,
            "{statement}: {:?}",
            scratch.notices
        );
    }
    check(
        &mut scratch,
        &[
            ("INSERT INTO s VALUES ('a', 3, 'z')", "INSERT 0 1"),
            ("SELECT k, n FROM newest ORDER BY k", "a|3\nb|2"),
            ("SELECT k, f, l, a FROM ends ORDER BY k", "a|1|3|[1, 3]\nb|2|2|[2]"),
        ],
    )
    .await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("SELECT k, n FROM newest ORDER BY k", "a|3\nb|2"),
            ("SELECT k, f, l, a FROM ends ORDER BY k", "a|1|3|[1, 3]\nb|2|2|[2]"),
        ],
    )
    .await;
    scratch.close();
}
