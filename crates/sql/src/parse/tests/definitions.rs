//! What defines: streams, views, commands; what drops and shows them.

use super::check;

#[test]
fn streams() {
    check(
        "CREATE STREAM transactions (
           account TEXT NOT NULL, kind TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, teller TEXT
         ) KEY (account) WITH (partitions = 4, format = 'json', retention = 'forever');",
        "Create stream transactions [account TEXT NOT NULL, kind TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, teller TEXT] key account /4 retention_ms=forever",
    );
    check(
        "CREATE STREAM s (a TEXT, b TEXT, c DATE) TAGS (a, c) KEY (a) KIND (b)",
        "Create stream s [a TEXT, b TEXT, c DATE] key a kind b tags a+c /0",
    );
    check("CREATE STREAM s", "Create stream s [any JSON] /0");
    check("create or replace stream S", "OrReplace stream s [any JSON] /0");
    check(
        "CREATE STREAM IF NOT EXISTS \"Orders.eu\"",
        "IfNotExists stream Orders.eu [any JSON] /0",
    );
    check("CREATE STREAM public.s", "Create stream s [any JSON] /0");
    check("CREATE STREAM Sales.orders", "Create stream sales.orders [any JSON] /0");
    check(
        "CREATE STREAM public.\"Sales\".eu",
        "Create stream Sales.eu [any JSON] /0",
    );
    check(
        "CREATE STREAM s (a DATE, \"B\" INT NULL) WITH (retention = 0) TIME (a) KEY (\"B\", a)",
        "Create stream s [a DATE, B INTEGER] key B+a time a /0 retention_ms=forever",
    );
    check(
        "CREATE STREAM s WITH (retention = '7 days', retention_bytes = '1 GiB', cleanup = 'compact', durability = 'relaxed', flush_ms = 20)",
        "Create stream s [any JSON] /0 cleanup=compact retention_ms=604800000 retention_bytes=1073741824 durability=relaxed flush_ms=20",
    );
    check(
        "CREATE STREAM s WITH (partitions = 10000)",
        "Create stream s [any JSON] /10000",
    );
    check(
        "CREATE STREAM s (key TEXT, time TIMESTAMP, value JSON, check TEXT) KEY (key) TIME (time)",
        "Create stream s [key TEXT, time TIMESTAMP, value JSON, check TEXT] key key time time /0",
    );
}

#[test]
fn alterations() {
    check(
        "ALTER STREAM s SET (retention = '1 hour', cleanup = 'compact,delete')",
        "alter s set [cleanup=compact,delete retention_ms=3600000] reset []",
    );
    check(
        "alter stream public.S reset (retention, flush_ms);",
        "alter s set [] reset [retention_ms flush_ms]",
    );
}

#[test]
fn types() {
    let types = [
        ("TEXT", "TEXT"),
        ("VARCHAR", "TEXT"),
        ("varchar(20)", "TEXT"),
        ("CHARACTER VARYING(3)", "TEXT"),
        ("INTEGER", "INTEGER"),
        ("int", "INTEGER"),
        ("BIGINT", "BIGINT"),
        ("int8", "BIGINT"),
        ("REAL", "REAL"),
        ("DOUBLE PRECISION", "DOUBLE PRECISION"),
        ("FLOAT", "DOUBLE PRECISION"),
        ("DECIMAL(38,38)", "DECIMAL(38,38)"),
        ("NUMERIC(1)", "DECIMAL(1,0)"),
        ("BOOLEAN", "BOOLEAN"),
        ("DATE", "DATE"),
        ("TIMESTAMP", "TIMESTAMP"),
        ("TIMESTAMP(6) WITHOUT TIME ZONE", "TIMESTAMP"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"),
        ("TIMESTAMPTZ(6)", "TIMESTAMPTZ"),
        ("BYTEA", "BYTEA"),
        ("JSONB", "JSON"),
    ];
    for (written, expected) in types {
        check(
            &format!("CREATE STREAM s (a {written} NOT NULL)"),
            &format!("Create stream s [a {expected} NOT NULL] /0"),
        );
    }
}

#[test]
fn views() {
    check(
        "CREATE MATERIALIZED VIEW balances STORED AS document AS\n  SELECT account, sum(amount) -- all of it\n  FROM t GROUP BY account  -- the end\n;",
        "Create view balances Document key [] <SELECT account, sum(amount) -- all of it\n  FROM t GROUP BY account>",
    );
    check(
        "CREATE OR REPLACE MATERIALIZED VIEW v STORED AS DOCUMENT KEY (a, b) AS SELECT * FROM t",
        "OrReplace view v Document key [a, b] <SELECT * FROM t>",
    );
    check(
        "CREATE MATERIALIZED VIEW v AS SELECT 1",
        "Create view v Document key [] <SELECT 1>",
    );
    check(
        "CREATE VIEW IF NOT EXISTS v AS (SELECT 'größer; als') UNION ALL VALUES (2)",
        "IfNotExists view v plain key [] <(SELECT 'größer; als') UNION ALL VALUES (2)>",
    );
}

#[test]
fn every_shape_of_a_view() {
    for (written, expected) in [
        ("memory WITH (memory = '2 MiB')", "Memory key [] memory_bytes 2097152"),
        ("memory WITH (memory = '64 KiB')", "Memory key [] memory_bytes 65536"),
        (
            "search (title TEXT 'german', category keyword, price NUMBER, day DATE) KEY (item) WITH (freshness = '200 ms')",
            "Search title Text(Some(\"german\")) category Keyword price Number day Date key [item] freshness_ms 200",
        ),
        ("graph (SOURCE a, DESTINATION b)", "Graph a -> b key []"),
        (
            "document WITH (checkpoints = '1_000_000')",
            "Document key [] checkpoint_events 1000000",
        ),
        (
            "document WITH (checkpoints = 'none')",
            "Document key [] checkpoint_events 0",
        ),
        ("columnar", "Columnar [] - key []"),
        (
            "columnar PARTITIONED BY (day) LOCATION 's3://lake/history' WITH (every = '1 minute', keep_versions = '7 days')",
            "Columnar [day] s3://lake/history key [] every_ms 60000 keep_versions_ms 604800000",
        ),
    ] {
        let text = format!("CREATE MATERIALIZED VIEW v STORED AS {written} AS SELECT 1");
        check(&text, &format!("Create view v {expected} <SELECT 1>"));
    }
}

#[test]
fn views_are_rebuilt() {
    check("ALTER MATERIALIZED VIEW v REBUILD", "rebuild v if_exists=false");
    check(
        "alter materialized view if exists \"V w\" rebuild;",
        "rebuild V w if_exists=true",
    );
}

#[test]
fn schemas_are_altered() {
    check(
        "ALTER STREAM s ADD COLUMN a INTEGER",
        "alter s: add [a INTEGER] if_not_exists=false",
    );
    check(
        "alter stream if exists \"S\" add if not exists a TEXT DEFAULT 'x' || 'y' NOT NULL",
        "alter if exists S: add [a TEXT NOT NULL DEFAULT 'xy'] if_not_exists=true",
    );
    check(
        "ALTER STREAM s ADD a DECIMAL(9,2) NOT NULL DEFAULT 1, DROP COLUMN IF EXISTS b, ALTER c TYPE BIGINT, RENAME d TO e",
        "alter s: add [a DECIMAL(9,2) NOT NULL DEFAULT 1.00] if_not_exists=false, drop b if_exists=true, widen c BIGINT, rename d to e",
    );
    check(
        "ALTER STREAM s ALTER COLUMN c SET DATA TYPE DOUBLE PRECISION, ALTER COLUMN c DROP NOT NULL, DROP d RESTRICT",
        "alter s: widen c DOUBLE PRECISION, optional c, drop d if_exists=false",
    );
    check(
        "ALTER STREAM s UPCAST FROM VERSION 1 AS SELECT a, value->>'b' AS b WHERE a > 0",
        "alter s: upcast 1 <SELECT a, value->>'b' AS b WHERE a > 0>",
    );
    check(
        "ALTER STREAM s UPCAST FROM VERSION 2 TO (a TEXT NOT NULL, b BOOLEAN DEFAULT false) AS SELECT a",
        "alter s: upcast 2 to [a TEXT NOT NULL, b BOOLEAN DEFAULT false] <SELECT a>",
    );
    check(
        "CREATE STREAM s (a INTEGER NOT NULL DEFAULT -1, b DATE DEFAULT DATE '2025-12-31', c JSON DEFAULT '{}', d TEXT DEFAULT NULL)",
        "Create stream s [a INTEGER NOT NULL DEFAULT -1, b DATE DEFAULT '2025-12-31', c JSON DEFAULT {}, d TEXT] /0",
    );
}

#[test]
fn schedules() {
    check(
        "CREATE SCHEDULE interest EVERY '1 day' STARTING '1970-01-02' CATCH UP LAST INTO t AS SELECT tick, account FROM balances",
        "Create schedule interest every 1 day from Some(86400000000) Last into t <SELECT tick, account FROM balances>",
    );
    check(
        "create or replace schedule s cron '0 3 * * mon' into a as values (tick), into b as select 1; DROP SCHEDULE IF EXISTS s",
        "OrReplace schedule s cron 0 3 * * mon from None All into a <VALUES (tick)> into b <SELECT 1>\ndrop schedule s if_exists=true",
    );
    check(
        "CREATE SCHEDULE IF NOT EXISTS s EVERY '1 month' STARTING TIMESTAMP '1970-01-01T01:00:00+01:00' CATCH UP NONE INTO a AS SELECT 1",
        "IfNotExists schedule s every 1 month from Some(0) None into a <SELECT 1>",
    );
}

#[test]
fn commands() {
    check(
        "CREATE COMMAND withdraw (account TEXT, amount DECIMAL(18,2), teller TEXT)
         INTO transactions
         REQUIRE amount > 0 ELSE 'the amount must be positive'
         REQUIRE (SELECT balance FROM balances b WHERE b.account = withdraw.account) >= amount ELSE 'insufficient funds'
         AS SELECT account, 'withdrawal' AS kind, amount, teller",
        "Create command withdraw(account TEXT, amount DECIMAL(18,2), teller TEXT) require amount > 0 else <the amount must be positive> \
         require (SELECT balance FROM balances b WHERE b.account = withdraw.account) >= amount else <insufficient funds> \
         into transactions <SELECT account, 'withdrawal' AS kind, amount, teller>",
    );
    check(
        "CREATE OR REPLACE COMMAND move (a TEXT, b TEXT) REQUIRE CASE WHEN a = b THEN false ELSE true END ELSE 'it''s one'
         INTO out AS SELECT a, f(a, (b)), INTO in_ AS VALUES (a, 1), (b, 2)",
        "OrReplace command move(a TEXT, b TEXT) require CASE WHEN a = b THEN false ELSE true END else <it's one> \
         into out <SELECT a, f(a, (b))> into in_ <VALUES (a, 1), (b, 2)>",
    );
    check(
        "CREATE COMMAND pay (who TEXT NOT NULL CHECK (length(who) > 0), amount DECIMAL(18,2) DEFAULT coalesce(1, 2) CHECK (amount > 0) CHECK (amount < 5) NOT NULL)
         LET balance = (SELECT balance FROM balances b WHERE b.account = who) LET rest = CASE WHEN true THEN balance END - amount
         REQUIRE rest >= 0 ELSE 'only {balance} of {{x}} {Amount}' CODE 'insufficient_funds'
         INTO a LET let = 1 REQUIRE let = 1 ELSE '' AS SELECT who let, INTO b AS SELECT rest AS let",
        "Create command pay(who TEXT NOT NULL CHECK (length(who) > 0), amount DECIMAL(18,2) NOT NULL DEFAULT coalesce(1, 2) CHECK (amount > 0) CHECK (amount < 5)) \
         let balance = (SELECT balance FROM balances b WHERE b.account = who) let rest = CASE WHEN true THEN balance END - amount \
         require rest >= 0 else <only [balance] of {x} [amount]> code insufficient_funds let let = 1 require let = 1 else <> \
         into a <SELECT who AS let> into b <SELECT rest AS let>",
    );
    check(
        "CREATE COMMAND later (id TEXT, wait TEXT) LET at = now() CANCEL 'a ' || id, CANCEL id,
         INTO t AFTER wait NAMED 'b ' || id AS SELECT id, cancel FROM u, INTO t AT at AS SELECT id, CANCEL 'c'",
        "Create command later(id TEXT, wait TEXT) let at = now() into t after wait named 'b ' || id <SELECT id, cancel FROM u> \
         into t at at <SELECT id> cancel 'a ' || id cancel id cancel 'c'",
    );
    check(
        "CREATE COMMAND tick () INTO t AS SELECT now() AS at",
        "Create command tick() into t <SELECT now() AS at>",
    );
}

#[test]
fn drops_and_shows() {
    check("DROP STREAM s", "drop stream s if_exists=false");
    check("DROP VIEW IF EXISTS \"V\" RESTRICT", "drop view V if_exists=true");
    check(
        "DROP MATERIALIZED VIEW v; drop command c",
        "drop materialized view v if_exists=false\ndrop command c if_exists=false",
    );
    check(
        "SHOW STREAMS; show views; SHOW MATERIALIZED VIEWS; SHOW COMMANDS; SHOW TABLES",
        "show Streams\nshow Views\nshow Views\nshow Commands\nshow Tables",
    );
    check("SHOW server_version", "show setting server_version");
    check("SHOW Transaction_Isolation", "show setting transaction_isolation");
    check(
        "SHOW TRANSACTION ISOLATION LEVEL; SHOW TIME ZONE",
        "show setting transaction_isolation\nshow setting timezone",
    );
    check("SHOW a.b", "show setting a.b");
    check("DESCRIBE s; DESC \"S\"", "describe s\ndescribe S");
}

#[test]
fn what_clients_say_on_their_own() {
    check("", "");
    check(" ; -- nothing\n ;; /* at /* all */ */ ", "");
    check("SET client_encoding TO 'UTF8'", "session SET");
    check("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "session SET");
    check(
        "BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT",
        "session BEGIN\nsession COMMIT",
    );
    check(
        "START TRANSACTION; END; ABORT; ROLLBACK TO x",
        "session START TRANSACTION\nsession COMMIT\nsession ROLLBACK\nsession ROLLBACK",
    );
    check(
        "DISCARD ALL; DEALLOCATE ALL; DEALLOCATE \"p 1\"; RESET ALL",
        "session DISCARD ALL\nsession DEALLOCATE ALL\nsession DEALLOCATE\nsession RESET",
    );
    check(
        "CLOSE ALL; UNLISTEN *; SAVEPOINT a; RELEASE a",
        "session CLOSE CURSOR ALL\nsession UNLISTEN\nsession SAVEPOINT\nsession RELEASE",
    );
}
