//! Recurring schedules: each tick once, with its nominal time; what was missed as the schedule says.

use jiff::{Timestamp, ToSpan};

use crate::scratch::Scratch;

const DEFINITIONS: &str = "
CREATE STREAM ticks (schedule TEXT NOT NULL, at TIMESTAMPTZ NOT NULL, entries BIGINT) KEY (schedule) WITH (partitions = 1);
CREATE STREAM entries (what TEXT NOT NULL) WITH (partitions = 1);
";

/// So many whole hours from now.
fn hours(count: i64) -> Timestamp {
    Timestamp::now() + count.hours() + 30.minutes()
}

async fn open(folder: &tempfile::TempDir) -> Scratch {
    let scratch = Scratch::open(folder.path());
    scratch.define(DEFINITIONS).await;
    scratch
}

/// Makes every tick that is due; how many, and the schedules that failed.
async fn make_all(scratch: &Scratch, since: Timestamp) -> (usize, Vec<String>) {
    let (mut all, mut failed) = (0, Vec::new());
    loop {
        let (made, failures) = scratch.commands.make_ticks(since.as_microsecond()).await;
        failed.extend(failures.into_iter().map(|(name, error)| format!("{name}: {error}")));
        all += made;
        if made == 0 {
            return (all, failed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missed_ticks_are_made_up_for_as_the_schedule_says() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = open(&folder).await;
    let starting = hours(-4);
    for rule in ["ALL", "LAST", "NONE"] {
        let name = rule.to_lowercase();
        let schedule = format!(
            "CREATE SCHEDULE every_{name} EVERY '1 hour' STARTING '{starting}' CATCH UP {rule}
             INTO ticks AS SELECT '{name}' AS schedule, tick AS at, (SELECT count(*) FROM entries) AS entries"
        );
        scratch.define(&schedule).await;
    }
    let now = Timestamp::now();
    // Somebody looks since before the schedules were made: what was then is missed all the same.
    assert_eq!(make_all(&scratch, starting).await, (5, Vec::new()));
    let counts = "SELECT schedule, count(*), count(DISTINCT at) FROM ticks GROUP BY schedule ORDER BY schedule";
    assert_eq!(scratch.rows(counts).await, "all|4|4\nlast|1|1");
    let last = "SELECT count(DISTINCT at) FROM (SELECT schedule, max(at) AS at FROM ticks GROUP BY schedule)";
    assert_eq!(scratch.rows(last).await, "1");
    let shown = scratch.rows("SHOW SCHEDULES").await;
    assert!(
        shown.contains("every_all|") && shown.contains("|every 1 hour|ticks|"),
        "{shown}"
    );
    scratch.close();
    // After a restart nothing of it is made again.
    let scratch = open(&folder).await;
    assert_eq!(make_all(&scratch, now).await, (0, Vec::new()));
    assert_eq!(scratch.rows(counts).await, "all|4|4\nlast|1|1");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_is_replaced_goes_on_and_one_made_anew_begins_anew() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = open(&folder).await;
    let starting = hours(-3);
    let schedule = |what: &str| {
        format!(
            "CREATE OR REPLACE SCHEDULE hourly EVERY '1 hour' STARTING '{starting}'
             INTO ticks AS SELECT '{what}' AS schedule, tick AS at"
        )
    };
    scratch.define(&schedule("first")).await;
    assert_eq!(make_all(&scratch, starting).await.0, 3);
    scratch.define(&schedule("second")).await;
    assert_eq!(make_all(&scratch, starting).await.0, 0);
    scratch.rows("DROP SCHEDULE hourly").await;
    assert_eq!(make_all(&scratch, starting).await.0, 0);
    scratch.define(&schedule("third")).await;
    assert_eq!(make_all(&scratch, starting).await.0, 3);
    let counts = "SELECT schedule, count(*) FROM ticks GROUP BY schedule ORDER BY schedule";
    assert_eq!(scratch.rows(counts).await, "first|3\nthird|3");
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_gets_another_rule_makes_no_ticks_of_the_past() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = open(&folder).await;
    let early = hours(-100);
    let make = async |rule: &str| {
        let schedule = format!(
            "CREATE OR REPLACE SCHEDULE s {rule} INTO ticks AS SELECT '{}' AS schedule, tick AS at",
            rule.replace('\'', "")
        );
        scratch.define(&schedule).await;
        make_all(&scratch, early).await.0
    };
    let (starting, other) = (hours(-3), hours(-30));
    // One made anew makes what it has in the past; one that replaces it does not, whatever makes its ticks others.
    assert_eq!(make(&format!("EVERY '1 hour' STARTING '{starting}'")).await, 3);
    assert_eq!(make(&format!("EVERY '1 minute' STARTING '{starting}'")).await, 0);
    assert_eq!(make(&format!("EVERY '1 hour' STARTING '{other}'")).await, 0);
    assert_eq!(make("CRON '0 * * * *'").await, 0);
    // It begins with this moment, as a new one does.
    assert_eq!(make("EVERY '2 hours'").await, 1);
    assert_eq!(
        make(&format!("EVERY '1 hour' STARTING '{starting}' CATCH UP NONE")).await,
        0
    );
    assert_eq!(
        make(&format!("EVERY '1 hour' STARTING '{starting}' CATCH UP ALL")).await,
        0
    );
    let next = scratch.rows("SHOW SCHEDULES").await;
    assert!(
        next.contains(&(starting + 3.hours()).strftime("%Y-%m-%dT%H:%M").to_string()),
        "{next}"
    );
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tick_that_fails_is_tried_again_and_one_that_is_not_wanted_is_passed_over() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = open(&folder).await;
    let starting = hours(-2);
    let definitions = format!(
        "CREATE SCHEDULE broken EVERY '1 hour' STARTING '{starting}'
           INTO ticks AS SELECT 'broken' AS schedule, tick AS at, 1 / (SELECT count(*) FROM entries) AS entries;
         CREATE SCHEDULE picky EVERY '1 hour' STARTING '{starting}'
           REQUIRE (SELECT count(*) FROM entries) > 0 ELSE 'nothing there'
           INTO ticks AS SELECT 'picky' AS schedule, tick AS at"
    );
    scratch.define(&definitions).await;
    let (made, failed) = make_all(&scratch, starting).await;
    assert_eq!(made, 2, "picky passes two over: {failed:?}");
    assert!(
        failed.iter().all(|failure| failure.starts_with("broken: ")),
        "{failed:?}"
    );
    assert_eq!(scratch.rows("SELECT count(*) FROM ticks").await, "0");
    scratch.rows("INSERT INTO entries VALUES ('one')").await;
    assert_eq!(make_all(&scratch, starting).await, (2, Vec::new()));
    assert_eq!(
        scratch
            .rows("SELECT schedule, count(*) FROM ticks GROUP BY schedule")
            .await,
        "broken|2"
    );
    scratch.close();
}
