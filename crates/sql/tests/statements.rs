//! Statements and their answers, on a real log in a scratch folder.

mod inserts;
mod messages;
mod numbers;
mod scratch;
mod standard;

use datafusion::common::ScalarValue;
use scratch::{Scratch, check};

const BANK: &str = "
CREATE STREAM transactions (
  account TEXT NOT NULL,
  kind    TEXT NOT NULL,
  amount  DECIMAL(18,2) NOT NULL,
  teller  TEXT,
  booked  DATE
) KEY (account) TIME (booked) WITH (partitions = 4);
CREATE MATERIALIZED VIEW balances STORED AS document AS
SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries
FROM transactions GROUP BY account;
CREATE VIEW rich AS SELECT account, balance FROM balances WHERE balance >= 100;
CREATE STREAM loose;
INSERT INTO transactions VALUES
  ('ann', 'deposit', 100.00, 't1', DATE '2025-01-01'),
  ('bob', 'deposit', 50.5, NULL, DATE '2025-01-02'),
  ('ann', 'withdrawal', 30, 't2', DATE '2025-01-03');
";

async fn bank(folder: &tempfile::TempDir) -> Scratch {
    let mut scratch = Scratch::open(folder.path());
    let answer = scratch.run(BANK, &[]).await;
    assert_eq!(answer, "INSERT 0 3");
    scratch
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_over_streams_and_views() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("SELECT account, balance, entries FROM balances ORDER BY account", "ann|70.00|2\nbob|50.50|1"),
            ("SELECT * FROM balances WHERE account = 'ann'", "ann|70.00|2"),
            ("SELECT * FROM balances WHERE account IN ('bob', 'eve', 'bob')", "bob|50.50|1"),
            ("SELECT * FROM balances WHERE account = 'eve'", ""),
            ("SELECT * FROM balances WHERE account = NULL", ""),
            ("SELECT a.balance, b.balance FROM balances a, balances b WHERE a.account = 'ann' AND b.account = 'bob'", "70.00|50.50"),
            ("SELECT count(*) FROM balances a JOIN balances b ON a.account = b.account WHERE a.account = 'ann'", "1"),
            ("SELECT * FROM transactions WHERE account = 'bob'", "bob|deposit|50.50|NULL|2025-01-02"),
            ("SELECT t.* FROM transactions t ORDER BY booked LIMIT 1", "ann|deposit|100.00|t1|2025-01-01"),
            (
                "SELECT _key, amount, _partition = min(_partition) OVER () FROM transactions WHERE account = 'ann' ORDER BY _offset",
                "ann|100.00|true\nann|30.00|true",
            ),
            ("SELECT count(*) FROM (SELECT _offset, _partition FROM transactions) AS t WHERE _offset >= 0", "3"),
            (
                "SELECT * FROM transactions t JOIN balances b ON b.account = t.account WHERE t.account = 'bob'",
                "bob|deposit|50.50|NULL|2025-01-02|bob|50.50|1",
            ),
            (
                "SELECT * FROM transactions JOIN balances USING (account) WHERE balances.account = 'bob'",
                "bob|deposit|50.50|NULL|2025-01-02|50.50|1",
            ),
            ("SELECT EXISTS (SELECT 1 FROM balances WHERE account = 'ann'), NOT EXISTS (SELECT 1 FROM rich)", "true|true"),
            (
                "SELECT account, EXISTS (SELECT 1 FROM transactions t WHERE t.account = b.account AND t.teller IS NULL) FROM balances b ORDER BY 1",
                "ann|false\nbob|true",
            ),
            ("SELECT account FROM balances b WHERE NOT EXISTS (SELECT 1 FROM transactions t WHERE t.account = b.account AND amount < 50)", "bob"),
            ("SELECT CASE WHEN EXISTS (SELECT DISTINCT account FROM balances LIMIT 1) THEN 'some' ELSE 'none' END", "some"),
            ("WITH transactions AS (SELECT 1 AS x) SELECT * FROM transactions", "1"),
            ("SELECT sum(amount) FROM transactions", "180.50"),
            ("SELECT account, sum(amount) AS total FROM transactions GROUP BY account HAVING sum(amount) > 100", "ann|130.00"),
            ("SELECT * FROM rich", ""),
            ("SELECT count(*) FROM public.transactions", "3"),
            ("SELECT 1.10 + 2.2", "3.30"),
            ("SELECT CAST(NULL AS TEXT), 'a' || 'b', true", "NULL|ab|true"),
            ("SELECT TIMESTAMP '2025-01-01 00:00:00' = TIMESTAMPTZ '2025-01-01 00:00:00+00'", "true"),
            ("VALUES (1, 'x'), (2, 'y')", "1|x\n2|y"),
            ("SELECT _principal FROM transactions LIMIT 1", "test"),
            ("SELECT count(*) FROM transactions WHERE _timestamp <= now() AND _appended_at <= now() + INTERVAL '1 minute'", "3"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schema_free_streams_hold_any_json() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                r#"INSERT INTO loose VALUES ('{"a": {"b": 1}, "t": "x"}'), ('[1, 2]'), ('7')"#,
                "INSERT 0 3",
            ),
            ("SELECT value->>'t' FROM loose WHERE value->>'t' IS NOT NULL", "x"),
            ("SELECT value->'a'->>'b' FROM loose WHERE value->>'t' = 'x'", "1"),
            ("SELECT count(*) FROM loose", "3"),
            (
                "INSERT INTO loose VALUES ('{no json')",
                "~22P02: line 1, column 27: '{no json' is no JSON",
            ),
            ("INSERT INTO loose (other) VALUES ('1')", "~42703"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_say_what_where_and_what_to_do() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("SELECT * FROM balance", "42P01: line 1, column 15: there is no stream or view 'balance'; did you mean 'balances'?"),
            ("SELECT\n\n  *\nFROM\n  nothing", "~42P01: line 5, column 3"),
            ("SELECT acount FROM balances", "~42703: line 1, column 8: column \"acount\""),
            ("SELECT account FROM balances a JOIN balances b ON a.account = b.account", "~42702"),
            ("SELECT nofunction(1)", "~42883"),
            ("SELECT account, balance FROM transactions GROUP BY account", "~42703"),
            ("SELECT account, amount FROM transactions GROUP BY account", "~42803"),
            ("SELECT 1 / 0", "~22012"),
            ("SELECT CAST('x' AS INTEGER)", "~22P02"),
            ("SELECT\n1,\n2,\n3,\n4,\n5,\n6 6 6", "~42601: line 7"),
            ("UPDATE transactions SET amount = 1", "~append-only"),
            ("DELETE FROM transactions", "~append-only"),
            ("SELECT * FROM balances WHERE account = $1", "~08P01"),
            ("CALL nothing()", "~0A000"),
            ("CREATE MATERIALIZED VIEW v STORED AS document AS SELECT account, row_number() OVER () FROM transactions", "~42P17"),
            ("CREATE VIEW v AS SELECT * FROM nothing", "~42P01"),
            ("CREATE STREAM transactions (a TEXT)", "~42P07"),
            ("CREATE VIEW balances AS SELECT 1 AS x", "~42P07"),
            ("DROP STREAM transactions", "~2BP01"),
            ("DROP STREAM balances", "~42809"),
            ("DROP VIEW nothing", "~42P01"),
            ("SHOW nonsense", "~42704"),
            ("DESCRIBE nothing", "~42P01"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_are_shown_and_dropped() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SHOW TABLES",
                "balances|materialized view\nloose|stream\nrich|view\ntransactions|stream",
            ),
            ("SHOW STREAMS", "~transactions|4|3|account|NULL|NULL|booked|5 columns|1|sql"),
            (
                "CREATE STREAM seats (course TEXT, student TEXT, kind TEXT) KEY (course) KIND (kind) TAGS (course, student)",
                "CREATE STREAM",
            ),
            ("SHOW STREAMS", "~seats|2|0|course|kind|course, student|NULL|3 columns|1|sql"),
            ("DESCRIBE seats", "~course|TEXT|yes|key, tag\nstudent|TEXT|yes|tag\nkind|TEXT|yes|kind"),
            ("DROP STREAM seats", "DROP STREAM"),
            (
                "CREATE STREAM marked (at TIMESTAMP) TAGS (at)",
                "~TAGS names 'at', which is TIMESTAMP: take a TEXT,",
            ),
            ("SHOW VIEWS", "~balances|document|"),
            ("SHOW VIEWS", "~rich|plain|computed when asked"),
            ("SHOW server_version", "17.0"),
            ("DESCRIBE transactions", "~amount|DECIMAL(18,2)|no|"),
            ("DESCRIBE transactions", "~account|TEXT|no|key"),
            ("DESCRIBE balances", "~account|TEXT|"),
            ("DESCRIBE rich", "~balance|DECIMAL("),
            (
                "EXPLAIN SELECT balance FROM balances WHERE account = 'ann'",
                "~ViewScan: view=balances, stored as=document, keys=1 of (account)",
            ),
            ("EXPLAIN SELECT balance FROM balances WHERE balance > 1", "~rows=all"),
            (
                "EXPLAIN SELECT account FROM transactions",
                "~StreamScan: stream=transactions",
            ),
            ("EXPLAIN ANALYZE SELECT account FROM transactions", "~metrics"),
            ("CREATE VIEW IF NOT EXISTS rich AS SELECT 1 AS x", "CREATE VIEW"),
            ("CREATE STREAM IF NOT EXISTS loose", "CREATE STREAM"),
            (
                "CREATE OR REPLACE VIEW rich AS SELECT account FROM balances WHERE balance > 60",
                "CREATE VIEW",
            ),
            ("SELECT * FROM rich", "ann"),
            ("DROP MATERIALIZED VIEW rich", "~42809: line 1, column 1: 'rich' is a view, and no materialized view; write DROP VIEW rich"),
            ("DROP VIEW balances", "~42809: line 1, column 1: 'balances' is a materialized view, and no view; write DROP MATERIALIZED VIEW balances"),
            ("DROP VIEW IF EXISTS balances", "~42809"),
            ("DROP VIEW rich", "DROP VIEW"),
            ("DROP VIEW IF EXISTS rich", "DROP VIEW"),
            ("DROP MATERIALIZED VIEW balances", "DROP MATERIALIZED VIEW"),
            ("SELECT * FROM balances", "~42P01"),
            ("DROP STREAM transactions", "DROP STREAM"),
            ("SHOW TABLES", "loose|stream"),
            ("SELECT count(*) > 3 FROM _headwater.catalog", "true"),
            ("SELECT count(*) FROM _headwater.parked", "0"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_rewound() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    let position = scratch
        .run("SELECT position FROM (VALUES (1)) AS t(position)", &[])
        .await;
    assert_eq!(position, "1");
    let before = scratch.run("SELECT max(_appended_at) FROM transactions", &[]).await;
    let ann = headwater_records::partition_of(b"ann", 4);
    let answer = scratch
        .run(
            "INSERT INTO transactions VALUES ('ann', 'deposit', 1000, NULL, DATE '2025-02-01')",
            &[],
        )
        .await;
    assert_eq!(answer, "INSERT 0 1");
    let at = |rest: &str| format!("SELECT account, balance FROM balances {rest}");
    let by_system = at(&format!(
        "FOR SYSTEM_TIME AS OF TIMESTAMP '{}' ORDER BY account",
        before.trim_end_matches('Z')
    ));
    let one_event = at(&format!(
        "FOR SYSTEM_TIME AS OF POSITION 'transactions/{ann}@1' ORDER BY account"
    ));
    let beyond = at(&format!("FOR SYSTEM_TIME AS OF POSITION 'transactions/{ann}@99'"));
    check(
        &mut scratch,
        &[
            ("SELECT balance FROM balances WHERE account = 'ann'", "1070.00"),
            (&by_system, "ann|70.00\nbob|50.50"),
            (&one_event, "ann|100.00"),
            (&beyond, "~lies beyond the end"),
            (&at("FOR SYSTEM_TIME AS OF POSITION 'loose/0@0'"), "~does not read the stream 'loose'"),
            (&at("FOR SYSTEM_TIME AS OF POSITION 'nonsense'"), "~22P02"),
            (&at("FOR SYSTEM_TIME AS OF TIMESTAMP '2000-01-01 00:00:00'"), ""),
            (&at("FOR SYSTEM_TIME AS OF NULL"), "~NULL"),
            (&at("FOR BUSINESS_TIME AS OF DATE '2025-01-02' ORDER BY account"), "ann|100.00\nbob|50.50"),
            (&at("FOR BUSINESS_TIME AS OF DATE '2025-01-03' WHERE account = 'ann'"), "ann|70.00"),
            (&at("FOR BUSINESS_TIME AS OF DATE '2024-12-31'"), ""),
            (&at("FOR BUSINESS_TIME AS OF TIMESTAMP '2025-01-03 00:00:00' WHERE account = 'ann'"), "ann|70.00"),
            ("SELECT count(*) FROM transactions FOR BUSINESS_TIME AS OF DATE '2025-01-01'", "1"),
            ("SELECT * FROM transactions FOR BUSINESS_TIME AS OF DATE '2025-01-01'", "ann|deposit|100.00|t1|2025-01-01"),
            ("SELECT count(*) FROM loose FOR BUSINESS_TIME AS OF DATE '2025-01-01'", "~has no business time"),
            ("SELECT account FROM rich FOR BUSINESS_TIME AS OF DATE '2025-01-01'", "ann"),
            (
                "SELECT now.balance - then.balance FROM balances AS now JOIN balances FOR BUSINESS_TIME AS OF DATE '2025-01-01' AS then \
                 ON now.account = then.account WHERE now.account = 'ann'",
                "970.00",
            ),
        ],
    )
    .await;
    let by_parameter = scratch
        .run(
            &at("FOR BUSINESS_TIME AS OF $1 WHERE account = $2"),
            &[ScalarValue::from("2025-01-01"), ScalarValue::from("ann")],
        )
        .await;
    assert_eq!(by_parameter, "ann|100.00");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_after_a_restart() {
    let folder = folder();
    let scratch = bank(&folder).await;
    scratch.close();
    let mut scratch = Scratch::open(folder.path());
    check(
        &mut scratch,
        &[
            ("INSERT INTO transactions VALUES ('bob', 'deposit', 1)", "INSERT 0 1"),
            (
                "SELECT account, balance FROM balances ORDER BY account",
                "ann|70.00\nbob|51.50",
            ),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_without_quotes_are_in_lower_case() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("SELECT Account FROM BALANCES WHERE Balances.ACCOUNT = 'ann'", "ann"),
            ("SELECT B.Balance FROM Public.Balances AS b WHERE B.account = 'ann'", "70.00"),
            ("SELECT * FROM Transactions WHERE Account = 'bob'", "bob|deposit|50.50|NULL|2025-01-02"),
            ("WITH Some AS (SELECT 1 AS X) SELECT SOME.X FROM some", "1"),
            ("SELECT account FROM Rich FOR BUSINESS_TIME AS OF DATE '2025-01-01'", "ann"),
            ("SELECT \"Account\" FROM balances", "~42703"),
            ("SELECT account FROM \"Balances\"", "~42P01"),
            ("SELECT \"X\".y FROM (SELECT 1 AS Y) AS \"X\"", "1"),
            ("SELECT Upper('x'), COALESCE(NULL, 'Y'), Date '2025-01-01', 1::BigInt", "X|Y|2025-01-01|1"),
            ("CREATE STREAM \"Mixed\" (\"K\" BIGINT, k BIGINT)", "CREATE STREAM"),
            ("INSERT INTO \"Mixed\" (\"K\", K) VALUES (1, 2)", "INSERT 0 1"),
            ("SELECT K, \"K\" FROM \"Mixed\"", "2|1"),
            ("SELECT * FROM \"Mixed\"", "1|2"),
            ("SELECT * FROM Mixed", "~42P01"),
            (
                "CREATE MATERIALIZED VIEW Totals AS SELECT Account, sum(AMOUNT) AS Total FROM Transactions GROUP BY ACCOUNT",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT total FROM totals WHERE account = 'bob'", "50.50"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_keeps_the_columns_that_others_read() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            // 'rich' reads account and balance, nobody reads entries.
            (
                "CREATE OR REPLACE MATERIALIZED VIEW balances STORED AS document AS SELECT account, count(*) AS entries FROM transactions GROUP BY account",
                "~2BP01: line 1, column 1: the view 'balances' would lose its column 'balance', which view 'rich' reads",
            ),
            (
                "CREATE OR REPLACE MATERIALIZED VIEW balances STORED AS document AS SELECT account, max(kind) AS balance FROM transactions GROUP BY account",
                "~2BP01: line 1, column 1: the column 'balance' of the view 'balances' would become TEXT, and view 'rich' reads it as DECIMAL(28,2)",
            ),
            (
                "CREATE OR REPLACE MATERIALIZED VIEW balances STORED AS document AS SELECT account, sum(amount) AS balance, max(amount) AS largest FROM transactions GROUP BY account",
                "CREATE MATERIALIZED VIEW",
            ),
            ("CREATE VIEW all_of_it AS SELECT * FROM rich", "CREATE VIEW"),
            ("CREATE OR REPLACE VIEW rich AS SELECT account FROM balances", "~'balance', which view 'all_of_it' reads"),
            ("CREATE OR REPLACE VIEW rich AS SELECT account, balance, 1 AS one FROM balances", "CREATE VIEW"),
            ("DROP VIEW all_of_it", "DROP VIEW"),
            ("CREATE OR REPLACE VIEW rich AS SELECT account FROM balances", "CREATE VIEW"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_without_a_name_are_called_as_postgres_calls_them() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            ("SELECT 1, 1, 'x', NULL, NULL", "1|1|x|NULL|NULL"),
            ("SELECT account, account, balance::text, balance::float8 FROM balances WHERE account = 'ann'", "ann|ann|70.00|70.0"),
            ("SELECT count FROM (SELECT count(*), count(*) FROM balances) AS c", "2"),
            ("SELECT count(*) FROM transactions GROUP BY account HAVING count(*) > 1 ORDER BY count(*)", "2"),
            ("SELECT DISTINCT upper(account) FROM transactions ORDER BY upper(account)", "ANN\nBOB"),
            ("SELECT upper(account), sum(amount) FROM transactions GROUP BY upper(account) ORDER BY sum(amount) DESC", "ANN|130.00\nBOB|50.50"),
            ("SELECT date_trunc('month', booked), count(*) FROM transactions GROUP BY date_trunc('month', booked)", "2025-01-01T00:00:00|3"),
            ("SELECT count(*), count(*) FROM balances UNION ALL SELECT 7, 8 ORDER BY 1", "2|2\n7|8"),
            ("SELECT rank() OVER (ORDER BY balance), rank() OVER (ORDER BY account) FROM balances ORDER BY account", "2|1\n1|2"),
            ("CREATE VIEW counted AS SELECT count(*), max(balance) FROM balances", "CREATE VIEW"),
            ("SELECT count, max FROM counted", "2|70.00"),
            ("CREATE VIEW twice AS SELECT count(*), count(*) FROM balances", "~42701: line 1, column 1: the view 'twice' would have two columns 'count'"),
            (
                "CREATE MATERIALIZED VIEW kinds AS SELECT kind, count(*), max(amount) FROM transactions GROUP BY kind",
                "CREATE MATERIALIZED VIEW",
            ),
            ("SELECT count, max FROM kinds WHERE kind = 'deposit'", "2|100.00"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subquery_that_finds_no_row_is_null_also_where_its_column_never_is() {
    let folder = folder();
    let mut scratch = bank(&folder).await;
    check(
        &mut scratch,
        &[
            (
                "SELECT (SELECT entries FROM balances WHERE account = 'ann') IS NULL",
                "false",
            ),
            (
                "SELECT (SELECT entries FROM balances WHERE account = 'eve') IS NULL",
                "true",
            ),
            (
                "SELECT (SELECT account FROM balances WHERE account = 'eve') IS NOT NULL",
                "false",
            ),
            (
                "SELECT coalesce((SELECT entries FROM balances WHERE account = 'eve'), 0) < 3",
                "true",
            ),
            (
                "SELECT count(*) FROM transactions t WHERE (SELECT max(b.entries) FROM balances b WHERE b.account = t.kind) IS NULL",
                "3",
            ),
            ("SELECT (SELECT count(*) FROM balances WHERE account = 'eve')", "0"),
            // What is worked out with a constant is never NULL only once that is folded.
            (
                "SELECT (SELECT entries + abs(1) FROM balances WHERE account = 'eve') IS NULL",
                "true",
            ),
            (
                "SELECT coalesce((SELECT upper('a') FROM balances WHERE account = 'eve'), 'none')",
                "none",
            ),
            ("SELECT (SELECT entries + abs(1) FROM balances WHERE account = 'ann')", "3"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_parts_of_a_name_are_the_name() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    let definitions = "CREATE STREAM customers (n INTEGER);
        CREATE STREAM dbserver1.public.customers (n INTEGER);
        CREATE STREAM server.db.public.customers (n INTEGER);
        CREATE MATERIALIZED VIEW seen AS SELECT n, count(*) AS rows FROM dbserver1.public.customers GROUP BY n;
        INSERT INTO customers VALUES (1);
        INSERT INTO dbserver1.public.customers VALUES (2);
        INSERT INTO server.db.public.customers VALUES (3)";
    assert_eq!(scratch.run(definitions, &[]).await, "INSERT 0 1");
    check(
        &mut scratch,
        &[
            ("SELECT n FROM customers", "1"),
            ("SELECT n FROM public.customers", "1"),
            ("SELECT n FROM headwater.public.customers", "1"),
            ("SELECT n FROM dbserver1.public.customers", "2"),
            ("SELECT * FROM dbserver1.public.customers", "2"),
            ("SELECT customers.n FROM dbserver1.public.customers", "2"),
            ("SELECT n FROM public.dbserver1.public.customers", "2"),
            ("SELECT n FROM \"dbserver1.public.customers\"", "2"),
            (
                "SELECT n FROM dbserver1.public.customers FOR SYSTEM_TIME AS OF now()",
                "2",
            ),
            ("SELECT n FROM server.db.public.customers", "3"),
            (
                "SELECT a.n, customers.n FROM server.db.public.customers AS a, dbserver1.public.customers",
                "3|2",
            ),
            ("SELECT n, rows FROM seen", "2|1"),
            ("SELECT n FROM dbserver1.inventory.orders", "~42P01"),
            (
                "SELECT n FROM dbserver1.inventory.orders",
                "~'dbserver1.inventory.orders'",
            ),
            ("SELECT count(*) > 0 FROM headwater.pg_catalog.pg_class", "true"),
        ],
    )
    .await;
    scratch.close();
}
