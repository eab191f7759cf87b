//! An application's file that is applied again, changed: what is there already stays, and what changed is brought along.

mod scratch;

use scratch::{Scratch, check};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

/// Applies an application's file, as a start does: what was done with each definition.
async fn apply(scratch: &Scratch, file: &str) -> String {
    let script = headwater_sql::parse::parse(file, "app.sql").expect("a file that can be read");
    match scratch.engine.apply(&scratch.session(), &script).await {
        Ok(applied) => {
            let done = applied
                .iter()
                .map(|applied| format!("{} {:?}", applied.name, applied.defined));
            done.collect::<Vec<String>>().join(", ")
        }
        Err(error) => format!("{}: {error}", error.state.0),
    }
}

/// Pipelines and plain views, as materialized ones: written anew below the ALTER that takes from them what they read; also where the program was killed behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reads_a_column_that_goes_is_written_anew_below() {
    const CREATED: &str =
        "CREATE STREAM o (id TEXT NOT NULL, cents INTEGER NOT NULL) KEY (id) WITH (partitions = 1);\n";
    const UPCAST: &str = "ALTER STREAM o UPCAST FROM VERSION 1 TO (id TEXT NOT NULL, amount DECIMAL(10,2) NOT NULL) AS SELECT id, cents / 100.0 AS amount;\n";
    const RENAMED: &str = "ALTER STREAM o RENAME COLUMN cents TO euro;\n";
    const SUMS: &str = "CREATE MATERIALIZED VIEW v AS SELECT id, sum(cents) AS s FROM o GROUP BY id;\n";
    const CHANGES: &str = "CREATE STREAM ch AS SELECT id, CAST(s AS BIGINT) AS s FROM CHANGES OF v;\n";
    const PIPE: &str = "CREATE STREAM p KEY (id) AS SELECT id, CAST(cents AS BIGINT) AS c FROM o;\n";
    const JOINED: &str = "CREATE MATERIALIZED VIEW known KEY (id) AS SELECT id, 1 AS x FROM o;\n\
        CREATE STREAM j KEY (id) AS SELECT o.id, CAST(o.cents AS BIGINT) AS c FROM o LEFT JOIN known ON known.id = o.id;\n";
    const PLAIN: &str = "CREATE VIEW pv AS SELECT id, cents FROM o;\n";
    let chain = [SUMS, CHANGES, PIPE, PLAIN].concat();
    let asked = [
        ("SELECT count(*) FROM o", "2"),
        ("SELECT count(*) FROM v", "2"),
        ("SELECT count(*) FROM p", "2"),
        ("SELECT count(*) FROM j", "2"),
        ("SELECT count(*) FROM ch WHERE id = 'b'", "1"),
        ("SELECT count(*) FROM pv", "2"),
    ];
    for readers in [SUMS, PIPE, JOINED, PLAIN, chain.as_str()] {
        for (altered, column) in [(UPCAST, "amount"), (RENAMED, "euro")] {
            for is_killed in [false, true] {
                let what = format!("{readers}{altered}killed: {is_killed}");
                let folder = folder();
                let mut scratch = Scratch::open(folder.path());
                let applied = apply(&scratch, &[CREATED, readers].concat()).await;
                assert!(!applied.contains("app.sql"), "{what}: {applied}");
                check(&mut scratch, &[("INSERT INTO o VALUES ('a', 100)", "INSERT 0 1")]).await;
                let file = [CREATED, altered, &readers.replace("cents", column)].concat();
                if is_killed {
                    let script = headwater_sql::parse::parse(&file, "app.sql").expect("a file that can be read");
                    let session = scratch.session();
                    let done = scratch.engine.apply_one(&session, &script, 1).await;
                    assert!(done.is_ok(), "{what}: {done:?}");
                    scratch.close();
                    scratch = Scratch::open_with_failures(folder.path());
                    scratch.engine.start_pipelines();
                }
                let applied = apply(&scratch, &file).await;
                assert!(!applied.contains("app.sql"), "{what}: {applied}");
                check(&mut scratch, &[("INSERT INTO o VALUES ('b', 200)", "INSERT 0 1")]).await;
                for (question, expected) in asked {
                    let read = question.split_whitespace().nth(3).unwrap_or_default();
                    if read == "o" || readers.contains(&format!(" {read} ")) {
                        assert_eq!(scratch.run(question, &[]).await, expected, "{what}: {question}");
                    }
                }
                let again = apply(&scratch, &file).await;
                assert!(!again.contains("Replaced"), "{what}: {again}");
                scratch.close();
            }
        }
    }
}

/// The reason stands where one looks, not in the program's log alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_that_does_not_run_says_why() {
    let folder = folder();
    let scratch = Scratch::open(folder.path());
    let created = "CREATE STREAM o (id TEXT NOT NULL, cents INTEGER) KEY (id) WITH (partitions = 1);\n";
    let pipeline = "CREATE STREAM p KEY (id) AS SELECT id, cents AS c FROM o;\n";
    let renamed = "ALTER STREAM o RENAME COLUMN cents TO euro;\n";
    assert_eq!(
        apply(&scratch, &[created, pipeline].concat()).await,
        "o Created, p Created"
    );
    let file = [created, renamed, &pipeline.replace("cents", "euro")].concat();
    let script = headwater_sql::parse::parse(&file, "app.sql").expect("a file that can be read");
    let session = scratch.session();
    let done = scratch.engine.apply_one(&session, &script, 1).await;
    assert!(done.is_ok(), "{done:?}");
    scratch.close();
    let mut scratch = Scratch::open_with_failures(folder.path());
    assert_eq!(scratch.engine.start_pipelines().len(), 1);
    let shown = scratch.run("SHOW PIPELINES", &[]).await;
    assert!(
        shown.contains("not running: ") && shown.contains("column \"cents\" does not exist"),
        "{shown}"
    );
    let told = scratch.engine.pipelines_not_started();
    assert!(
        told.len() == 1 && told[0].0 == "p" && told[0].1.contains("\"cents\""),
        "{told:?}"
    );
    assert_eq!(apply(&scratch, &file).await, "o Unchanged, o Unchanged, p Replaced");
    let shown = scratch.run("SHOW PIPELINES", &[]).await;
    assert!(shown.starts_with("p|o|running"), "{shown}");
    assert_eq!(scratch.engine.pipelines_not_started(), []);
    scratch.close();
}

/// At every start: a correction further down in the file does not make the statement that it corrects new again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upcaster_may_be_corrected_below_in_the_file() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    let created = "CREATE STREAM o (id TEXT NOT NULL, a INTEGER) KEY (id) WITH (partitions = 1);\n";
    let wrong = "ALTER STREAM o UPCAST FROM VERSION 1 TO (id TEXT NOT NULL, eur DECIMAL(10,2) NOT NULL) AS SELECT id, 100 / a AS eur;\n";
    let right = "ALTER STREAM o UPCAST FROM VERSION 1 AS SELECT id, a / 100.0 AS eur;\n";
    let better = "ALTER STREAM o UPCAST FROM VERSION 1 AS SELECT id, a / 10.0 AS eur;\n";
    let view = "CREATE MATERIALIZED VIEW v AS SELECT id, sum(eur) AS eur FROM o GROUP BY id;\n";
    assert_eq!(apply(&scratch, created).await, "o Created");
    check(&mut scratch, &[("INSERT INTO o VALUES ('x', 50)", "INSERT 0 1")]).await;
    for (file, expected) in [
        (vec![created, wrong, view], "2.00"),
        (vec![created, wrong, right, view], "0.50"),
        (vec![created, wrong, right, better, view], "5.00"),
    ] {
        let file = file.concat();
        let applied = apply(&scratch, &file).await;
        assert!(applied.contains("o Replaced"), "{applied}");
        let again = apply(&scratch, &file).await;
        assert!(!again.contains("Replaced") && !again.contains("app.sql"), "{again}");
        check(&mut scratch, &[("SELECT eur FROM v", expected)]).await;
    }
    // Edited where it stands it is another statement, and nobody said what became of the first.
    let edited = [created, &wrong.replace("100 / a", "1 / a"), view].concat();
    let refused = apply(&scratch, &edited).await;
    assert!(
        refused.contains("TO (…) names the columns of a new version"),
        "{refused}"
    );
    scratch.close();
}

/// A rename by the file alone: what is left behind under the old name is named, and goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_drops_what_it_does_not_define_any_more() {
    let folder = folder();
    let scratch = Scratch::open(folder.path());
    let beside = |file: &str| {
        let script = headwater_sql::parse::parse(file, "app.sql").expect("a file that can be read");
        let beside = scratch.engine.beside(&script);
        let beside: Vec<String> = beside.iter().map(|there| there.name().to_owned()).collect();
        beside.join(", ")
    };
    let stream = "CREATE STREAM o (id TEXT NOT NULL, n INTEGER) KEY (id) WITH (partitions = 1);\n";
    let view = "CREATE MATERIALIZED VIEW v AS SELECT id, sum(n) AS s FROM o GROUP BY id;\n";
    let reader = "CREATE VIEW c AS SELECT id, s FROM v;\n";
    let first = [stream, view, reader].concat();
    assert_eq!(apply(&scratch, &first).await, "o Created, v Created, c Created");
    assert_eq!(beside(&first), "");
    let renamed = [
        stream,
        &view.replace(" v ", " w "),
        &reader.replace(" c ", " d ").replace("FROM v", "FROM w"),
    ]
    .concat();
    assert_eq!(apply(&scratch, &renamed).await, "o Unchanged, w Created, d Created");
    assert_eq!(beside(&renamed), "c, v");
    // What is read by what stays is not dropped.
    let refused = apply(&scratch, &[&renamed, "DROP MATERIALIZED VIEW IF EXISTS v;"].concat()).await;
    assert!(
        refused.starts_with("2BP01") && refused.contains("view 'c'"),
        "{refused}"
    );
    let file = [
        &renamed,
        "DROP VIEW IF EXISTS c;\nDROP MATERIALIZED VIEW IF EXISTS v;\n",
    ]
    .concat();
    assert_eq!(
        apply(&scratch, &file).await,
        "o Unchanged, w Unchanged, d Unchanged, c Dropped, v Dropped"
    );
    assert_eq!(
        apply(&scratch, &file).await,
        "o Unchanged, w Unchanged, d Unchanged, c Unchanged, v Unchanged"
    );
    assert_eq!(beside(&file), "");
    for (more, expected) in [
        ("DROP MATERIALIZED VIEW w;", "say DROP MATERIALIZED VIEW IF EXISTS w"),
        ("DROP STREAM IF EXISTS o;", "the events of 'o' would go with it"),
        (
            "DROP VIEW IF EXISTS d;",
            "'d' is dropped here, and line 3 of this file defines it",
        ),
        (
            "DROP VIEW IF EXISTS later; CREATE VIEW later AS SELECT id FROM o;",
            "line 4 of this file defines it",
        ),
    ] {
        let refused = apply(&scratch, &[&renamed, more].concat()).await;
        assert!(refused.starts_with("0A000") && refused.contains(expected), "{refused}");
    }
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_defines_a_name_once() {
    let folder = folder();
    let scratch = Scratch::open(folder.path());
    let created = "CREATE STREAM orders (id TEXT NOT NULL) KEY (id);\n";
    let all = "CREATE MATERIALIZED VIEW spent AS SELECT id, count(*) AS n FROM orders GROUP BY id;\n";
    let other = "CREATE OR REPLACE MATERIALIZED VIEW spent AS SELECT id, count(*) AS m FROM orders GROUP BY id;\n";
    let refused = apply(&scratch, &format!("{created}{all}{other}")).await;
    let said = "42P07: app.sql:3:1: 'spent' is defined twice in this file: line 2 defines it, too";
    assert!(refused.starts_with(said), "{refused}");
    // What is said again is no fault.
    assert_eq!(
        apply(&scratch, &format!("{created}{all}{all}")).await,
        "orders Unchanged, spent Unchanged, spent Unchanged"
    );
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_says_what_changed_below_what_was() {
    let folder = folder();
    let mut scratch = Scratch::open(folder.path());
    let created = "CREATE STREAM orders (id TEXT NOT NULL, cents INTEGER, customer TEXT) KEY (id);";
    let view = "CREATE MATERIALIZED VIEW spent AS SELECT customer, sum(cents) AS cents FROM orders GROUP BY customer;";
    assert_eq!(
        apply(&scratch, &format!("{created}{view}")).await,
        "orders Created, spent Created"
    );
    check(
        &mut scratch,
        &[("INSERT INTO orders VALUES ('o1', 150, 'ann')", "INSERT 0 1")],
    )
    .await;

    let first = "ALTER STREAM orders ADD COLUMN note TEXT DEFAULT 'none';";
    let file = format!("{created}{first}{view}");
    assert_eq!(
        apply(&scratch, &file).await,
        "orders Unchanged, orders Replaced, spent Unchanged"
    );
    for _ in 0..2 {
        assert_eq!(
            apply(&scratch, &file).await,
            "orders Unchanged, orders Unchanged, spent Unchanged"
        );
    }
    // What is read of a column that goes is written anew below.
    let second = "ALTER STREAM orders UPCAST FROM VERSION 2 AS SELECT id, cents / 100.0 AS amount, customer, note;";
    let new_view =
        "CREATE MATERIALIZED VIEW spent AS SELECT customer, sum(amount) AS amount FROM orders GROUP BY customer;";
    assert!(
        apply(&scratch, &format!("{created}{first}{second}{view}"))
            .await
            .contains("cents")
    );
    let scratch_before = scratch.run("SELECT count(*) FROM spent", &[]).await;
    assert_eq!(scratch_before, "1");
    scratch.close();

    let mut scratch = Scratch::open_with_failures(folder.path());
    let file = format!("{created}{first}{second}{new_view}");
    assert_eq!(
        apply(&scratch, &file).await,
        "orders Unchanged, orders Unchanged, orders Replaced, spent Replaced"
    );
    check(&mut scratch, &[("SELECT * FROM spent", "ann|1.5000000000000000")]).await;
    assert_eq!(
        apply(&scratch, &file).await,
        "orders Unchanged, orders Unchanged, orders Unchanged, spent Unchanged"
    );
    // The same laid out otherwise is the same, and a declaration may be that of any version.
    let laid_out = file
        .replace("ALTER STREAM", "alter\n  stream")
        .replace("CREATE STREAM orders (", "CREATE STREAM orders  ( -- as it was\n");
    assert!(
        apply(&scratch, &laid_out)
            .await
            .starts_with("orders Replaced, orders Unchanged, orders Unchanged")
    );
    check(
        &mut scratch,
        &[("SELECT * FROM orders", "o1|1.5000000000000000|ann|none")],
    )
    .await;
    scratch.close();
}
