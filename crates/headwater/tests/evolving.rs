//! An application whose stream changes from start to start, killed in between: every event counts once, as today's schema reads it, and a file that
//! says nothing new changes nothing.

mod program;

use program::Program;

const CREATED: &str =
    "CREATE STREAM orders (id TEXT NOT NULL, cents INTEGER NOT NULL, customer TEXT) KEY (id) WITH (partitions = 2);\n";
const ADDED: &str =
    "ALTER STREAM orders ADD COLUMN country TEXT NOT NULL DEFAULT 'at', RENAME COLUMN customer TO buyer;\n";
const UPCAST: &str = "ALTER STREAM orders UPCAST FROM VERSION 2 AS SELECT id, CAST(cents / 100.0 AS DECIMAL(18,2)) AS amount, buyer, country WHERE cents > 0;\n";

const BY_CUSTOMER: &str = "CREATE MATERIALIZED VIEW spent AS SELECT customer, sum(cents) AS spent, count(*) AS orders FROM orders GROUP BY customer;\n";
const BY_BUYER: &str = "CREATE MATERIALIZED VIEW spent AS SELECT buyer, sum(cents) AS spent, count(*) AS orders FROM orders GROUP BY buyer;\n";
const IN_EUROS: &str = "CREATE MATERIALIZED VIEW spent AS SELECT buyer, sum(amount) AS spent, count(*) AS orders FROM orders GROUP BY buyer;\n";

/// The rows of an answer, with a bar between their values.
async fn rows(program: &Program, question: &str) -> Vec<String> {
    let rows = program
        .sql(question)
        .await
        .unwrap_or_else(|error| panic!("{question}: {error:?}"));
    let row = |row: &Vec<Option<String>>| {
        row.iter()
            .map(|value| value.as_deref().unwrap_or("NULL"))
            .collect::<Vec<_>>()
            .join("|")
    };
    rows.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_evolves_from_start_to_start() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let data = folder.path().join("data");
    let start = |statements: &[&str]| {
        let application = program::application(folder.path(), &statements.concat());
        Program::start(&application, &data)
    };

    let program = start(&[CREATED, BY_CUSTOMER]);
    // Who appends and asks in one session sees what it appended.
    let appended = "INSERT INTO orders VALUES ('o1', 1250, 'ann'), ('o2', 0, 'bob'), ('o3', 99, 'bob')";
    assert_eq!(
        rows(&program, &format!("{appended}; SELECT * FROM spent ORDER BY customer")).await,
        ["ann|1250|1", "bob|99|2"]
    );
    program.kill();

    for _ in 0..2 {
        let program = start(&[CREATED, ADDED, BY_BUYER]);
        assert_eq!(
            rows(&program, "SELECT * FROM spent ORDER BY buyer").await,
            ["ann|1250|1", "bob|99|2"]
        );
        program.kill();
    }
    let program = start(&[CREATED, ADDED, BY_BUYER]);
    rows(&program, "INSERT INTO orders VALUES ('o4', 1, 'cid', 'de')").await;
    // A service that has not heard of the new name: both are read.
    let (status, answer) = program.request(
        "POST",
        "/streams/orders/events",
        &[("Content-Type", "application/json")],
        br#"{"id":"o5","cents":2,"customer":"dee"}"#,
    );
    assert_eq!(status, 200, "{answer}");
    let orders = [
        "o1|1250|ann|at",
        "o2|0|bob|at",
        "o3|99|bob|at",
        "o4|1|cid|de",
        "o5|2|dee|at",
    ];
    assert_eq!(rows(&program, "SELECT * FROM orders ORDER BY id").await, orders);
    program.kill();

    for _ in 0..2 {
        let program = start(&[CREATED, ADDED, UPCAST, IN_EUROS]);
        let spent = ["ann|12.50|1", "bob|0.99|1", "cid|0.01|1", "dee|0.02|1"];
        assert_eq!(rows(&program, "SELECT * FROM spent ORDER BY buyer").await, spent);
        program.kill();
    }
    let program = start(&[CREATED, ADDED, UPCAST, IN_EUROS]);
    let appended = "INSERT INTO orders VALUES ('o6', 5.00, 'ann', 'at')";
    assert_eq!(
        rows(
            &program,
            &format!("{appended}; SELECT * FROM spent WHERE buyer = 'ann'")
        )
        .await,
        ["ann|17.50|2"]
    );
    assert_eq!(
        rows(&program, "SELECT count(*) FROM \"_headwater.parked\"").await,
        ["0"]
    );
    // The stored bytes are what was written.
    let (_, stored) = program.request("GET", "/streams/orders/events?limit=100", &[], b"");
    assert!(
        stored.contains("\"cents\":1250") && stored.contains("\"customer\":\"dee\""),
        "{stored}"
    );
    let (status, _) = program.terminate();
    assert!(status.success());
}
