//! What asks and what appends, and rewinds.

use super::*;

#[test]
fn what_subscribes_says_to_what_and_from_where() {
    check("SUBSCRIBE TO balances", "subscribe to balances");
    check(
        "subscribe to public.balances where balance < 0 and (account = 'from position') from position 'transactions/0@42'",
        "subscribe to balances where balance < 0 and (account = 'from position') from 'transactions/0@42'",
    );
    check(
        "SUBSCRIBE TO balances FROM POSITION $1",
        "subscribe to balances from $1",
    );
}

#[test]
fn questions() {
    check(
        "SELECT 1; select A, \"B\" from T",
        "<SELECT 1>\n<SELECT a, \"B\" FROM t>",
    );
    check(
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "<WITH a AS (SELECT 1) SELECT * FROM a>",
    );
    check("VALUES (1), (2)", "<VALUES (1), (2)>");
    check("TABLE t", "<SELECT * FROM t>");
    check("(SELECT 1) UNION (SELECT 2)", "<(SELECT 1) UNION (SELECT 2)>");
    check(
        "SELECT value->>'a' FROM s WHERE x = $1",
        "<SELECT value ->> 'a' FROM s WHERE x = $1>",
    );
    check(
        "SELECT interval '1 day', date '2025-01-01', max(interval)",
        "<SELECT INTERVAL '1 day', DATE '2025-01-01', max(interval)>",
    );
    check(
        "EXPLAIN SELECT 1; EXPLAIN ANALYZE SELECT 1",
        "explain analyze=false <SELECT 1>\nexplain analyze=true <SELECT 1>",
    );
    check(
        "EXPLAIN (ANALYZE) SELECT 1; EXPLAIN (ANALYZE false) SELECT 1",
        "explain analyze=true <SELECT 1>\nexplain analyze=false <SELECT 1>",
    );
    check("EXPLAIN (SELECT 1)", "explain analyze=false <(SELECT 1)>");
}

#[test]
fn appends() {
    check(
        "INSERT INTO t VALUES ('BradA', 'deposit', 100.00, 'ann')",
        "insert t [] <VALUES ('BradA', 'deposit', 100.00, 'ann')>",
    );
    check(
        "insert into public.T (a, \"B\") values (1, 2)",
        "insert t [a, B] <VALUES (1, 2)>",
    );
    check("INSERT INTO t SELECT * FROM u", "insert t [] <SELECT * FROM u>");
    check(
        "INSERT INTO t VALUES (1) IF VERSION = '2@17'",
        "insert t [] <VALUES (1)> if version '2@17'",
    );
    check(
        "insert into t select 1 if version is null and not exists (select 1 from u) after position $2",
        "insert t [] <SELECT 1> if version none if none of u none after $2",
    );
    check(
        "INSERT INTO t (a) VALUES ($1) IF NOT EXISTS (SELECT FROM t WHERE a = $1 AND (k IN ('x', 'y') OR b = 2)) AND NOT EXISTS (SELECT * FROM u WHERE c = 3)",
        "insert t [a] <VALUES ($1)> if none of t a = $1 AND (k IN ('x', 'y') OR b = 2) if none of u c = 3",
    );
    check("INSERT INTO t (SELECT 1)", "insert t [] <(SELECT 1)>");
    check(
        "INSERT INTO t (a) AT TIMESTAMP '2026-01-01' NAMED 'n' VALUES (1)",
        "insert t [a] at TIMESTAMP '2026-01-01' named 'n' <VALUES (1)>",
    );
    check(
        "insert into t after interval '3 days' select 1",
        "insert t [] after INTERVAL '3 days' <SELECT 1>",
    );
    check(
        "INSERT INTO t AT now() + INTERVAL '1 hour' NAMED 'late-' || $1 SELECT after, at FROM u",
        "insert t [] at now() + INTERVAL '1 hour' named 'late-' || $1 <SELECT after, at FROM u>",
    );
    check("CANCEL 'late-42';", "cancel 'late-42'");
    check("cancel 'a' || $1", "cancel 'a' || $1");
    check("SHOW SCHEDULES", "show Schedules");
    check(
        "INSERT INTO t (a) WITH x AS (SELECT 1) SELECT * FROM x",
        "insert t [a] <WITH x AS (SELECT 1) SELECT * FROM x>",
    );
    check(
        "CALL withdraw('BradA', 20.00, NULL)",
        "call withdraw('BradA', 20.00, NULL)",
    );
    check("CALL tick()", "call tick()");
    check("CALL tick() WITH (idempotency_key = 'a-1')", "call tick() key='a-1'");
    check(
        "CALL tick($1) WITH (idempotency_key = 'a' || $2)",
        "call tick($1) key='a' || $2",
    );
    check(
        "CALL c(1, b => f(2, 3), \"C\" := $1)",
        "call c(1, b => f(2, 3), C => $1)",
    );
    check("EXPLAIN CALL c(1)", "explain call json=false c(1)");
    check("EXPLAIN (FORMAT JSON) CALL c()", "explain call json=true c()");
    check("CALL c($1, f(2, 3), (4))", "call c($1, f(2, 3), (4))");
}

#[test]
fn rewinds_are_kept_by_the_name_of_their_table() {
    check(
        "SELECT * FROM balances FOR SYSTEM_TIME AS OF TIMESTAMP '2025-11-23 00:00:00' WHERE account = 'a'",
        "<SELECT * FROM balances WHERE account = 'a'> system@1:15-23 TIMESTAMP '2025-11-23 00:00:00'",
    );
    check(
        "SELECT * FROM balances FOR BUSINESS_TIME AS OF DATE '2025-12-31'",
        "<SELECT * FROM balances> business@1:15-23 DATE '2025-12-31'",
    );
    check(
        "SELECT * FROM balances\nFOR SYSTEM_TIME AS OF POSITION 't/0@42,1@17' AS b",
        "<SELECT * FROM balances AS b> position@1:15-23 't/0@42,1@17'",
    );
    check(
        "SELECT * FROM a FOR SYSTEM_TIME AS OF '2025-01-01' b",
        "<SELECT * FROM a b> system@1:15-16 '2025-01-01'",
    );
    check(
        "SELECT * FROM a AS b FOR SYSTEM_TIME AS OF $1",
        "<SELECT * FROM a AS b> system@1:15-16 $1",
    );
    check(
        "SELECT * FROM a b FOR SYSTEM_TIME AS OF POSITION $1",
        "<SELECT * FROM a b> position@1:15-16 $1",
    );
    check(
        "SELECT * FROM public.a FOR SYSTEM_TIME AS OF $1",
        "<SELECT * FROM public.a> system@1:22-23 $1",
    );
    check("TABLE a FOR SYSTEM_TIME AS OF $1", "<SELECT * FROM a> system@1:7-8 $1");
    check(
        "SELECT * FROM a FOR SYSTEM_TIME AS OF now() - interval '1 day' JOIN b FOR SYSTEM_TIME AS OF '2025-01-01' ON a.x = b.x",
        "<SELECT * FROM a JOIN b ON a.x = b.x> system@1:15-16 now() - INTERVAL '1 day' system@1:69-70 '2025-01-01'",
    );
    check(
        "SELECT (SELECT count(*) FROM a FOR SYSTEM_TIME AS OF '2025-01-01'), 2 FROM b, c FOR BUSINESS_TIME AS OF '2025-01-02'",
        "<SELECT (SELECT count(*) FROM a), 2 FROM b, c> system@1:30-31 '2025-01-01' business@1:79-80 '2025-01-02'",
    );
    check(
        "EXPLAIN SELECT * FROM a FOR SYSTEM_TIME AS OF $1; INSERT INTO s SELECT * FROM a FOR SYSTEM_TIME AS OF $2",
        "explain analyze=false <SELECT * FROM a> system@1:23-24 $1\ninsert s [] <SELECT * FROM a> system@1:79-80 $2",
    );
}

#[test]
fn texts_and_places_are_the_statements_own() {
    let text = "\n-- first\nSELECT 'é',\r\n 2 ; \n  SHOW STREAMS -- last\n";
    let statements = parse(text, "app.sql").expect("it is read");
    let found: Vec<(&str, u64, u64)> = statements
        .iter()
        .map(|parsed| (parsed.text.as_str(), parsed.place.line, parsed.place.column))
        .collect();
    assert_eq!(found, [("SELECT 'é',\r\n 2", 3, 1), ("SHOW STREAMS", 5, 3)]);
    assert_eq!(statements[0].place.file, "app.sql");
    let Statement::CreateStream { definition, .. } =
        &parse("; CREATE STREAM s /* x */ ;", "").expect("it is read")[0].statement
    else {
        panic!("a stream");
    };
    assert_eq!(definition.statement, "CREATE STREAM s");
}

/// The ```sql blocks of a page; those that show a grammar are ```text.
fn examples(page: &str) -> Vec<&str> {
    let blocks = page.split("```sql\n").skip(1);
    blocks.filter_map(|block| block.split("```").next()).collect()
}

#[test]
fn what_the_documents_show_is_read() {
    let page = include_str!("../../../../../docs/sql.md");
    let mut texts = examples(page);
    assert!(texts.len() >= 2, "the page has examples");
    texts.push(include_str!("../../../../../examples/bank/app.sql"));
    for text in texts {
        if let Err(error) = parse(text, "") {
            panic!("{text}\n{error}");
        }
    }
}

#[test]
fn inserts_that_return_what_landed() {
    check(
        "INSERT INTO t VALUES (1) RETURNING _offset, a AS first, B \"Last\", *",
        "insert t [] <VALUES (1)> returning _offset as _offset returning a as first returning b as Last returning *",
    );
    check(
        "INSERT INTO t VALUES (1) IF VERSION IS NULL RETURNING a",
        "insert t [] <VALUES (1)> if version none returning a as a",
    );
    for (text, said) in [
        ("INSERT INTO t VALUES (1) RETURNING a + 1", "RETURNING gives columns"),
        (
            "INSERT INTO t VALUES (1) RETURNING",
            "expected the name of a column, or *",
        ),
        (
            "INSERT INTO t AFTER '1 day' VALUES (1) RETURNING a",
            "RETURNING is not there for what is appended later",
        ),
    ] {
        let error = parse(text, "").unwrap_err();
        assert!(error.message.contains(said), "{text}: {error}");
    }
}

#[test]
fn copies() {
    let tab = "['\\t', '\"', '\"'] null \"\\\\N\"";
    let csv = "[',', '\"', '\"'] null \"\"";
    check("COPY t FROM STDIN", &format!("copy in t [] text {tab}"));
    check("COPY t FROM STDIN WITH (FORMAT binary)", "copy in t [] binary");
    check("COPY t FROM STDIN BINARY", "copy in t [] binary");
    check(
        "COPY public.t (a, \"B\") FROM STDIN WITH (FORMAT text)",
        &format!("copy in t [a, B] text {tab}"),
    );
    check(
        "copy t from stdin csv header",
        &format!("copy in t [] csv header {csv}"),
    );
    check(
        "COPY t FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ';', NULL 'none', QUOTE '|', ESCAPE '\\', ENCODING 'utf8')",
        "copy in t [] csv header [';', '|', '\\\\'] null \"none\"",
    );
    check(
        "COPY t FROM STDIN DELIMITER AS E'\\t' NULL AS ''",
        "copy in t [] text ['\\t', '\"', '\"'] null \"\"",
    );
    check(
        "COPY t (a) TO STDOUT",
        &format!("copy out <SELECT \"a\" FROM \"t\"> text {tab}"),
    );
    check(
        "COPY (SELECT (1), ')' FROM t) TO STDOUT WITH CSV",
        &format!("copy out <SELECT (1), ')' FROM t> csv {csv}"),
    );
    for (text, said) in [
        ("COPY t FROM '/etc/passwd'", "COPY opens no files"),
        ("COPY t TO PROGRAM 'rm'", "COPY opens no files"),
        (
            "COPY t FROM STDIN (FORMAT binary, HEADER)",
            "are not of the binary format",
        ),
        ("COPY t FROM STDIN WHERE a > 1", "COPY … WHERE is not there"),
        ("COPY t FROM STDIN (DELIMITER 'ab')", "one character"),
        ("COPY t FROM STDIN (DELIMITER 'n')", "hide each other"),
        ("COPY t FROM STDIN (QUOTE 'a')", "QUOTE and ESCAPE are of CSV"),
        ("COPY t FROM STDIN CSV DELIMITER '\"'", "hide each other"),
        ("COPY t FROM STDIN (NOSUCH)", "expected an option of COPY"),
        (
            "COPY (INSERT INTO t VALUES (1)) TO STDOUT",
            "COPY copies what a query gives",
        ),
        ("COPY (SELECT 1) FROM STDIN", "expected TO"),
    ] {
        let error = parse(text, "").unwrap_err();
        assert!(error.message.contains(said), "{text}: {error}");
    }
}
