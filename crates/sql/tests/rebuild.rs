//! CREATE OR REPLACE MATERIALIZED VIEW and ALTER MATERIALIZED VIEW … REBUILD: what is built anew, what is not, what is said of it, and who is asked meanwhile.

#[expect(dead_code, reason = "other tests use all of it")]
mod scratch;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use futures::TryStreamExt;
use headwater_lake::DeltaLakes;
use headwater_sql::parse::parse;
use headwater_sql::{Outcome, SqlError};
use scratch::{Scratch, check};
use waiting::until;

const SHOP: &str = "
CREATE STREAM s (k TEXT NOT NULL, n BIGINT NOT NULL, words TEXT) KEY (k) WITH (partitions = 2);
CREATE MATERIALIZED VIEW sums STORED AS document AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k;
CREATE MATERIALIZED VIEW found STORED AS search (words TEXT) WITH (freshness = '50 ms') AS SELECT k, max(words) AS words FROM s GROUP BY k;
CREATE MATERIALIZED VIEW table_of STORED AS columnar WITH (every = '20 ms') AS SELECT k, n FROM s;
CREATE MATERIALIZED VIEW image STORED AS memory WITH (memory = '1 MiB') AS SELECT n, count(*) AS events FROM s GROUP BY n;
CREATE VIEW plain AS SELECT k, total FROM sums;
INSERT INTO s VALUES ('a', 1, 'red scarf'), ('b', 2, 'blue hat'), ('a', 3, 'red hat');
";

fn open(folder: &tempfile::TempDir) -> Scratch {
    let lakes = DeltaLakes::start().expect("threads");
    let scratch = Scratch::open_over(folder.path(), |views| views.with_lakes(Arc::new(lakes)));
    assert!(scratch.engine.start_pipelines().is_empty());
    scratch
}

async fn shop(folder: &tempfile::TempDir) -> Scratch {
    let mut scratch = open(folder);
    assert_eq!(scratch.run(SHOP, &[]).await, "INSERT 0 3");
    scratch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_needs_no_build_says_so_and_is_in_force() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = shop(&folder).await;
    // What is said, what it answers then, and its version.
    let cases: [(&str, &str, &str, &str); 9] = [
        (
            "CREATE OR REPLACE MATERIALIZED VIEW sums STORED AS document AS SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k",
            "the view 'sums' is not built again: nothing of it changed",
            "SELECT k, total FROM sums ORDER BY k",
            "a|4\nb|2",
        ),
        (
            "CREATE OR REPLACE MATERIALIZED VIEW sums AS SELECT k, -- one row a key\n  sum(n) AS total, count(*) AS events FROM s GROUP BY k",
            "the view 'sums' is not built again: its query makes its rows of what is kept already",
            "SELECT k, total FROM sums ORDER BY k",
            "a|4\nb|2",
        ),
        (
            "CREATE OR REPLACE MATERIALIZED VIEW sums AS SELECT count(*) AS events, sum(n) AS total, k FROM s GROUP BY k HAVING count(*) > 1",
            "the view 'sums' is not built again: its query makes its rows of what is kept already",
            "SELECT * FROM sums ORDER BY k",
            "2|4|a",
        ),
        (
            "CREATE OR REPLACE MATERIALIZED VIEW found STORED AS search (words TEXT) WITH (freshness = '20 ms') AS SELECT k, max(words) AS words FROM s GROUP BY k",
            "the view 'found' is not built again: freshness changed, which is in force now",
            "SELECT k FROM search('found', 'red') ORDER BY k",
            "a",
        ),
        (
            "CREATE OR REPLACE MATERIALIZED VIEW table_of STORED AS columnar WITH (every = '10 ms', keep_versions = '1 day') AS SELECT k, n FROM s",
            "the view 'table_of' is not built again: every and keep_versions changed, which is in force now",
            "SELECT sum(n) FROM table_of",
            "6",
        ),
        (
            "CREATE OR REPLACE MATERIALIZED VIEW image STORED AS memory WITH (memory = '2 MiB') AS SELECT n, count(*) AS events FROM s GROUP BY n",
            "the view 'image' is not built again: memory changed, which is in force now",
            "SELECT count(*) FROM image",
            "3",
        ),
        (
            "CREATE OR REPLACE MATERIALIZED VIEW sums AS SELECT k, max(n) AS total, count(*) AS events FROM s GROUP BY k",
            "version 2 of the view 'sums' is built, and asked from now on",
            "SELECT k, total FROM sums ORDER BY k",
            "a|3\nb|2",
        ),
        (
            "ALTER MATERIALIZED VIEW sums REBUILD",
            "version 3 of the view 'sums' is built, and asked from now on",
            "SELECT k, total FROM sums ORDER BY k",
            "a|3\nb|2",
        ),
        (
            "ALTER MATERIALIZED VIEW IF EXISTS found REBUILD",
            "version 2 of the view 'found' is built, and asked from now on",
            "SELECT k FROM search('found', 'hat') ORDER BY k",
            "b",
        ),
    ];
    for (statement, said, question, answer) in cases {
        scratch.run(statement, &[]).await;
        let is_said = scratch.notices.iter().any(|notice| notice == said);
        // A machine that is busy takes longer than a statement waits.
        let is_late = scratch
            .notices
            .iter()
            .any(|notice| notice.contains("is being built beside"));
        assert!(
            is_said || (is_late && said.starts_with("version")),
            "{statement}: {:?}",
            scratch.notices
        );
        if is_late {
            settled(&mut scratch).await;
        }
        assert_eq!(scratch.run(question, &[]).await, answer, "{statement}");
    }
    check(
        &mut scratch,
        &[
            ("SHOW VIEWS", "~found|search|running|"),
            ("SELECT * FROM plain ORDER BY k", "a|3\nb|2"),
        ],
    )
    .await;
    scratch.close();
    let mut scratch = open(&folder);
    check(
        &mut scratch,
        &[
            ("SELECT k, total FROM sums ORDER BY k", "a|3\nb|2"),
            ("SELECT k FROM search('found', 'hat') ORDER BY k", "b"),
            ("SELECT sum(n) FROM table_of", "6"),
        ],
    )
    .await;
    scratch.close();
}

/// Waits until nothing is being built.
async fn settled(scratch: &mut Scratch) {
    until("nothing is being built", async || {
        !scratch.run("SHOW VIEWS", &[]).await.contains("buil")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_rebuilt_is_said() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = shop(&folder).await;
    let lake = folder.path().join("lake");
    let kept = format!(
        "CREATE OR REPLACE MATERIALIZED VIEW kept STORED AS columnar LOCATION '{}' AS SELECT",
        lake.display()
    );
    let (first, wider) = (format!("{kept} k, n FROM s"), format!("{kept} k, n, words FROM s"));
    check(
        &mut scratch,
        &[
            (
                "ALTER MATERIALIZED VIEW plain REBUILD",
                "~'plain' is a plain view, computed when it is asked",
            ),
            ("ALTER MATERIALIZED VIEW s REBUILD", "~'s' is a stream"),
            ("ALTER MATERIALIZED VIEW nothing REBUILD", "~42P01"),
            (
                "ALTER MATERIALIZED VIEW IF EXISTS nothing REBUILD",
                "ALTER MATERIALIZED VIEW",
            ),
            ("ALTER VIEW plain REBUILD", "~nothing of a plain view can be altered"),
            (
                "ALTER MATERIALIZED VIEW sums SET (freshness = '1 s')",
                "~expected REBUILD, found 'SET'",
            ),
            (&first, "CREATE MATERIALIZED VIEW"),
            (
                "ALTER MATERIALIZED VIEW kept REBUILD",
                "~belongs to the rows that the view 'kept' has now",
            ),
            (&wider, "~belongs to the rows that the view 'kept' has now"),
            ("SELECT sum(n) FROM kept", "6"),
        ],
    )
    .await;
    scratch.close();
}

/// The one value of an answer, or the error.
async fn only(outcome: Result<Outcome, SqlError>) -> Result<String, String> {
    let Outcome::Rows { rows, .. } = outcome.map_err(|error| error.to_string())? else {
        return Err("no rows came".to_owned());
    };
    let batches: Vec<RecordBatch> = rows.try_collect().await.map_err(|error| error.to_string())?;
    let rows: Vec<RecordBatch> = batches.into_iter().filter(|rows| rows.num_rows() > 0).collect();
    match rows.as_slice() {
        [rows] if rows.num_rows() == 1 => array_value_to_string(rows.column(0), 0).map_err(|error| error.to_string()),
        _ => Err("one row is wanted".to_owned()),
    }
}

/// Whoever asks while versions come and go finds the rows of one of them, whole, and no error.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn readers_meet_no_gap_while_versions_change() {
    const REBUILDS: usize = 12;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = shop(&folder).await;
    let stop = Arc::new(AtomicBool::new(false));
    let questions = [
        ("SELECT total FROM sums WHERE k = 'a'", "4"),
        (
            "SELECT a.total + b.total FROM sums a JOIN plain b ON a.k = b.k WHERE a.k = 'b'",
            "4",
        ),
        ("SELECT count(*) FROM search('found', 'hat')", "1"),
    ];
    let readers = questions.map(|(question, answer)| {
        let (engine, session, stop) = (scratch.engine.clone(), scratch.session(), Arc::clone(&stop));
        tokio::spawn(async move {
            let parsed = parse(question, "").expect("a question").remove(0);
            let mut asked = 0;
            while !stop.load(Ordering::Acquire) {
                let outcome = engine.execute(&session, &parsed, &[]).await;
                assert_eq!(only(outcome).await.as_deref(), Ok(answer), "{question}");
                asked += 1;
            }
            asked
        })
    });
    let explained = {
        let (engine, session, stop) = (scratch.engine.clone(), scratch.session(), Arc::clone(&stop));
        tokio::spawn(async move {
            let question = "EXPLAIN ANALYZE SELECT total FROM sums WHERE k = 'a'";
            let parsed = parse(question, "").expect("a question").remove(0);
            while !stop.load(Ordering::Acquire) {
                let outcome = engine.execute(&session, &parsed, &[]).await;
                assert!(outcome.is_ok(), "{question}: {:?}", outcome.err());
            }
        })
    };
    for _ in 0..REBUILDS {
        for view in ["sums", "found"] {
            let rebuild = format!("ALTER MATERIALIZED VIEW {view} REBUILD");
            assert_eq!(scratch.run(&rebuild, &[]).await, "ALTER MATERIALIZED VIEW");
        }
    }
    settled(&mut scratch).await;
    stop.store(true, Ordering::Release);
    for reader in readers {
        let asked: usize = reader.await.expect("each answer is right");
        assert!(asked > 0);
    }
    explained.await.expect("each plan is run to its end");
    let shown = scratch.run("SHOW VIEWS", &[]).await;
    let sums = shown.lines().find(|line| line.starts_with("sums|")).expect("a view");
    assert!(sums.contains(&format!("|{}|", REBUILDS + 1)), "{sums}");
    scratch.close();
}
