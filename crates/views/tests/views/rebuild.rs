//! New versions of views: which definitions need one, which of them is asked meanwhile, and what several threads make of many events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::prelude::SessionContext;
use headwater_catalog::{ColumnType, Shape};
use headwater_records::Event;
use headwater_views::{Paused, Selection, Tombstones, View, ViewError, ViewOptions, ViewSpec, Views, as_folded};

use crate::gone;
use crate::ground::{EAGER, Ground, LAZY, assert_same, printed, until};
use crate::oracle::shelf::Shelf;

const COLUMNS: [(&str, ColumnType, bool); 3] = [
    ("k", ColumnType::Text, false),
    ("n", ColumnType::BigInt, true),
    ("x", ColumnType::Double, true),
];
const SUMS: &str = "SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k";
const LARGEST: &str = "SELECT k, max(n) AS largest FROM s GROUP BY k";

fn ground() -> Ground {
    let ground = Ground::new(Some(&COLUMNS), 3);
    ground.define("v");
    ground
}

fn version(ground: &Ground, query: &str, version: u32) -> ViewSpec {
    let mut spec = ground.spec("v", query);
    spec.definition.version = version;
    spec
}

/// Appends events with many keys to all partitions.
fn append_many(ground: &Ground, batches: u32) {
    for batch in 0..batches {
        let value = |at: u32| {
            let n = batch * 500 + at;
            match n % 997 {
                7 => "no event".to_owned(),
                _ => format!(r#"{{"k":"key {}","n":{n},"x":{}.{}}}"#, n % 1_700, n % 13, n % 7),
            }
        };
        let values: Vec<String> = (0..500).map(value).collect();
        ground.append(batch % 3, &values.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// Lets nothing be folded from the stream, which has a view besides.
fn paused(ground: &Ground, views: &Views) -> Paused {
    ground.define("other");
    let other = views
        .start(ground.spec("other", "SELECT count(*) FROM s"))
        .expect("it starts");
    ground.catch_up(&other);
    views.pause("s").expect("it is followed")
}

fn rows(view: &View) -> Vec<String> {
    printed(&view.read(&Selection::All).expect("readable rows").batches)
}

/// How many versions of the view have a folder.
fn folders(ground: &Ground) -> usize {
    std::fs::read_dir(ground.views_dir().join("v")).map_or(0, Iterator::count)
}

#[test]
fn what_is_kept_already_is_not_built_again() {
    let ground = ground();
    append_many(&ground, 3);
    let check = |query: &str, is_kept: bool| {
        let views = ground.views(&EAGER);
        let old = views.start(ground.spec("v", SUMS)).expect("it starts");
        ground.catch_up(&old);
        let new = ground.spec("v", query);
        let holding = views.version_holding(&new).expect("it compiles");
        assert_eq!(holding.is_some(), is_kept, "{query}");
        let new = views.start(new).expect("it starts");
        assert_same(&ground.rows(&new), &ground.in_batch(query), query);
        assert_eq!(new.events_folded() == 0 || Arc::ptr_eq(&old, &new), is_kept, "{query}");
        assert_eq!(new.said().query, query);
        until(query, || Arc::ptr_eq(&views.get("v").expect("it runs"), &new));
        // It goes on from there, and over a restart.
        ground.append(1, &[r#"{"k":"late","n":5}"#]);
        assert_same(&ground.rows(&new), &ground.in_batch(query), query);
        views.close();
        drop((old, new, views));
        let views = ground.views(&EAGER);
        let view = views.start(ground.spec("v", query)).expect("it starts");
        assert_same(&ground.rows(&view), &ground.in_batch(query), query);
        assert_eq!(view.events_folded(), 0, "{query}: the same store");
        views.close();
        std::fs::remove_dir_all(ground.views_dir()).expect("the stores are deleted");
    };
    check(SUMS, true);
    check(
        "select k,\n  sum(n) AS total, /* how many */ count(*) as events from s group by k",
        true,
    );
    check("SELECT count(*) AS events, k, sum(n) AS total FROM s GROUP BY k", true);
    check("SELECT k, sum(n) AS sum, 2 * count(*) AS twice FROM s GROUP BY k", true);
    check(
        "SELECT k, sum(n) AS total, count(*) AS events FROM s GROUP BY k HAVING count(*) > 1",
        true,
    );
    check("SELECT k, sum(n) AS total FROM s GROUP BY k", false);
    check(
        "SELECT k, sum(n) AS total, count(*) AS events FROM s WHERE n > 5 GROUP BY k",
        false,
    );
    check(
        "SELECT upper(k) AS k, sum(n) AS total, count(*) AS events FROM s GROUP BY upper(k)",
        false,
    );
}

#[test]
fn a_number_more_builds_the_same_rows_again() {
    let ground = ground();
    append_many(&ground, 3);
    let views = ground.views(&EAGER);
    let old = views.start(version(&ground, SUMS, 1)).expect("it starts");
    let expected = ground.rows(&old);
    let held = paused(&ground, &views);
    let new = views.begin(version(&ground, SUMS, 2), None).expect("it begins");
    assert!(!Arc::ptr_eq(&new, &old));
    assert_eq!(views.rebuilding("v").map(|rebuild| rebuild.version), Some(2));
    assert_eq!(rows(&views.get("v").expect("a view")), expected);
    drop(held);
    until("the new one is asked", || {
        Arc::ptr_eq(&views.get("v").expect("a view"), &new)
    });
    assert_eq!(ground.rows(&new), expected);
    assert_eq!(new.events_folded(), 1_500);
}

#[test]
fn the_last_definition_is_the_one_that_is_built() {
    let ground = ground();
    append_many(&ground, 6);
    let views = ground.views(&EAGER);
    let first = views.start(version(&ground, SUMS, 1)).expect("it starts");
    let expected = ground.rows(&first);
    let held = paused(&ground, &views);
    let second = views.begin(version(&ground, LARGEST, 2), None).expect("it begins");
    let third_query = "SELECT k, min(n) AS smallest FROM s GROUP BY k";
    let third = views.begin(version(&ground, third_query, 3), None).expect("it begins");
    assert!(second.status().stopped.is_some(), "it is given up");
    let rebuild = views.rebuilding("v").expect("the third is being built");
    assert_eq!((rebuild.version, rebuild.build.folded, rebuild.stopped), (3, 0, None));
    assert_eq!(rebuild.build.events, 3_000);
    assert_eq!(rows(&views.get("v").expect("the first is asked")), expected);
    drop((held, second));
    until("the third takes the place of the first", || {
        Arc::ptr_eq(&views.get("v").expect("a view"), &third)
    });
    assert_eq!(ground.rows(&third), ground.in_batch(third_query));
    assert_eq!(views.rebuilding("v"), None);
    assert!(matches!(first.read(&Selection::All), Err(ViewError::Replaced { .. })));
    drop(first);
    until("stores of versions that are no more go", || folders(&ground) == 1);
}

#[test]
fn back_to_what_there_is_gives_up_what_was_being_built() {
    let ground = ground();
    append_many(&ground, 6);
    let views = ground.views(&EAGER);
    let first = views.start(version(&ground, SUMS, 1)).expect("it starts");
    ground.catch_up(&first);
    let held = paused(&ground, &views);
    let second = views.begin(version(&ground, LARGEST, 2), None).expect("it begins");
    let back = ground.spec("v", SUMS);
    assert_eq!(views.version_holding(&back).expect("it compiles"), Some(1));
    let back = views.begin(back, None).expect("it begins");
    assert!(Arc::ptr_eq(&back, &first) && views.rebuilding("v").is_none());
    drop((held, second));
    ground.append(0, &[r#"{"k":"late","n":1}"#]);
    assert_eq!(ground.rows(&first), ground.in_batch(SUMS));
    assert!(Arc::ptr_eq(&views.get("v").expect("a view"), &first));
    until("the store of the one given up goes", || folders(&ground) == 1);
}

#[test]
fn a_view_that_is_dropped_while_it_is_built_is_gone() {
    let ground = ground();
    append_many(&ground, 6);
    let views = ground.views(&EAGER);
    let first = views.start(version(&ground, SUMS, 1)).expect("it starts");
    let held = paused(&ground, &views);
    let second = views.begin(version(&ground, LARGEST, 2), None).expect("it begins");
    views.remove("v");
    assert!(views.get("v").is_none() && views.rebuilding("v").is_none() && views.builds().is_empty());
    for view in [&first, &second] {
        assert!(matches!(view.read(&Selection::All), Err(ViewError::Stopped { .. })));
    }
    drop((held, first, second));
    until("both stores go", || folders(&ground) == 0);
}

#[test]
fn after_a_crash_the_version_before_is_asked_until_the_new_one_is_built() {
    let ground = ground();
    append_many(&ground, 6);
    {
        let views = ground.views(&EAGER);
        let first = views.start(version(&ground, SUMS, 1)).expect("it starts");
        ground.catch_up(&first);
        views.close();
    }
    for is_closed in [false, true] {
        let views = ground.views(&EAGER);
        let held = paused(&ground, &views);
        let second = views
            .begin(version(&ground, LARGEST, 2), Some(version(&ground, SUMS, 1)))
            .expect("it begins");
        let asked = views.get("v").expect("the first is asked");
        assert!(!Arc::ptr_eq(&asked, &second));
        assert_eq!(rows(&asked), ground.in_batch(SUMS));
        assert!(views.rebuilding("v").is_some());
        if !is_closed {
            // Gone without a word, and once more.
            drop((asked, second, views, held));
            continue;
        }
        drop((asked, held));
        until("the second takes its place", || {
            Arc::ptr_eq(&views.get("v").expect("a view"), &second)
        });
        assert_eq!(ground.rows(&second), ground.in_batch(LARGEST));
        views.close();
    }
    // Whoever starts with both again finds the second built, and the first gone.
    let views = ground.views(&EAGER);
    let second = views
        .begin(version(&ground, LARGEST, 2), Some(version(&ground, SUMS, 1)))
        .expect("it begins");
    assert!(Arc::ptr_eq(&views.get("v").expect("a view"), &second));
    assert_eq!(ground.rows(&second), ground.in_batch(LARGEST));
    assert_eq!((second.events_folded(), folders(&ground)), (0, 1));
}

#[test]
fn a_store_before_that_is_not_whole_is_not_asked() {
    let ground = ground();
    append_many(&ground, 2);
    {
        let views = ground.views(&LAZY);
        views.start(version(&ground, SUMS, 1)).expect("it starts");
        views.close();
    }
    for version in std::fs::read_dir(ground.views_dir().join("v")).expect("the view's folder") {
        std::fs::write(version.expect("a version").path().join("version"), b"?").expect("the store is damaged");
    }
    let views = ground.views(&LAZY);
    let held = paused(&ground, &views);
    let second = views
        .begin(version(&ground, LARGEST, 2), Some(version(&ground, SUMS, 1)))
        .expect("it begins");
    assert!(Arc::ptr_eq(&views.get("v").expect("a view"), &second));
    assert!(matches!(second.read(&Selection::All), Err(ViewError::Building { .. })));
    drop(held);
    assert_eq!(ground.rows(&second), ground.in_batch(LARGEST));
    assert_eq!(folders(&ground), 1);
}

/// Waits until a version stopped, and the turn is over in which it did.
fn until_stopped(views: &Views, version: &View) {
    until("the version stops", || version.stopped().is_some());
    drop(views.pause("s"));
}

#[test]
fn a_version_over_its_memory_takes_nobodys_place() {
    let ground = ground();
    append_many(&ground, 6);
    let views = ground.views(&LAZY);
    let first = views.start(version(&ground, SUMS, 1)).expect("it starts");
    ground.catch_up(&first);
    let held = paused(&ground, &views);
    let mut over = version(&ground, LARGEST, 2);
    over.definition.shape = Some(Shape::Memory);
    over.definition.settings.memory_bytes = Some(1_000);
    let second = views.begin(over, None).expect("it begins");
    drop(held);
    until_stopped(&views, &second);
    assert!(Arc::ptr_eq(&views.get("v").expect("a view"), &first));
    let why = views.rebuilding("v").and_then(|rebuild| rebuild.stopped);
    assert!(why.is_some_and(|why| why.contains("it may take 1000")));
    ground.append(0, &[r#"{"k":"late","n":1}"#]);
    assert_same(&ground.rows(&first), &ground.in_batch(SUMS), "the first goes on");
    views.close();
    assert_eq!(folders(&ground), 1, "and keeps its store");
}

#[test]
fn a_version_that_cannot_be_committed_takes_nobodys_place() {
    for options in [LAZY, EAGER] {
        let ground = ground();
        append_many(&ground, 6);
        let shelf = Arc::new(Shelf::new(None));
        let views = ground.views(&options).with_stores(Arc::clone(&shelf) as _);
        let first = views.start(version(&ground, SUMS, 1)).expect("it starts");
        let expected = ground.rows(&first);
        let held = paused(&ground, &views);
        let second = views.begin(version(&ground, LARGEST, 2), None).expect("it begins");
        shelf.fail_after(0);
        drop(held);
        until_stopped(&views, &second);
        assert!(Arc::ptr_eq(&views.get("v").expect("a view"), &first));
        let why = views.rebuilding("v").and_then(|rebuild| rebuild.stopped);
        assert!(why.is_some_and(|why| why.contains("the disk was told to fail")));
        assert_eq!(rows(&first), expected);
        assert_eq!(folders(&ground), 2);
        views.close();
        drop((first, second, views));
        // Whoever starts next, with a disk that works, builds it.
        shelf.mend();
        let views = ground.views(&options).with_stores(Arc::clone(&shelf) as _);
        let second = views
            .begin(version(&ground, LARGEST, 2), Some(version(&ground, SUMS, 1)))
            .expect("it begins");
        until("it takes the place of the first", || {
            Arc::ptr_eq(&views.get("v").expect("a view"), &second)
        });
        assert_eq!(ground.rows(&second), ground.in_batch(LARGEST));
    }
}

#[test]
fn a_version_of_two_streams_is_asked_once_its_commit_is_there() {
    let ground = gone::ground();
    for stream in gone::STREAMS {
        gone::append(&ground, stream, 0, 0..10, Some(1));
    }
    let shelf = Arc::new(Shelf::new(None));
    let views = ground.views(&LAZY).with_stores(Arc::clone(&shelf) as _);
    let first = views.start(gone::spec(&ground, Shape::Document)).expect("it starts");
    gone::catch_up(&ground, &first, &gone::STREAMS);
    let held = gone::STREAMS.map(|stream| views.pause(stream));
    let mut second = gone::spec(&ground, Shape::Document);
    second.definition.version = 2;
    let second = views.begin(second, None).expect("it begins");
    let commits_held = shelf.hold_commits();
    drop(held);
    gone::catch_up(&ground, &second, &gone::STREAMS);
    // One stream's thread commits; the other's is woken by every append, whatever it is to.
    for _ in 0..50 {
        ground.append(0, &["{}"]);
        assert!(Arc::ptr_eq(&views.get("v").expect("a view"), &first));
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(commits_held);
    until("the second takes the place of the first", || {
        Arc::ptr_eq(&views.get("v").expect("a view"), &second)
    });
    views.close();
}

#[test]
fn nothing_is_committed_in_a_pause() {
    let ground = ground();
    let options = ViewOptions { flush_ms: 50, ..LAZY };
    let shelf = Arc::new(Shelf::new(None));
    let views = ground.views(&options).with_stores(Arc::clone(&shelf) as _);
    let view = views.start(version(&ground, SUMS, 1)).expect("it starts");
    append_many(&ground, 3);
    ground.catch_up(&view);
    let held = views.pause("s").expect("it is followed");
    // A commit would fail, and stop the view.
    shelf.fail_after(0);
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(view.stopped(), None);
    shelf.mend();
    drop(held);
    ground.append(0, &[r#"{"k":"late","n":1}"#]);
    assert_same(&ground.rows(&view), &ground.in_batch(SUMS), "it goes on");
    views.close();
}

/// Enough events for several threads: the rows, and what was parked, are those of one.
#[test]
fn many_events_by_several_threads_make_the_rows_of_the_query() {
    const BATCHES: u32 = 120;
    let ground = ground();
    append_many(&ground, BATCHES);
    let wide = "SELECT k, sum(n) AS total, avg(x) AS average, count(*) FILTER (WHERE n % 2 = 0) AS even, stddev(x) AS spread, max(x) AS most \
                FROM s GROUP BY k";
    let parts = "SELECT count(*) AS events, sum(100 / (n % 50)) AS parts FROM s";
    // One event in 50 is a division by zero.
    let guarded = "SELECT count(*) AS events, sum(100 / (n % 50)) AS parts FROM s WHERE n % 50 <> 0";
    let queries = [(wide, wide), (parts, guarded), (SUMS, SUMS)];
    let views = ground.views(&LAZY);
    let held = paused(&ground, &views);
    let mut started: Vec<Arc<View>> = Vec::new();
    for (at, (query, _)) in queries.iter().enumerate() {
        let name = format!("v{at}");
        ground.define(&name);
        started.push(views.begin(ground.spec(&name, query), None).expect("it begins"));
    }
    drop(held);
    let unfit = (0..BATCHES * 500).filter(|n| n % 997 == 7).count() as u64;
    let undivided = (0..BATCHES * 500).filter(|n| n % 50 == 0 && n % 997 != 7).count() as u64;
    for (view, (query, in_batch)) in started.iter().zip(queries) {
        assert_same(&ground.rows(view), &ground.in_batch(in_batch), query);
        let status = view.status();
        let parked = if query == parts { unfit + undivided } else { unfit };
        assert_eq!((status.position, status.parked), (ground.end(), parked), "{query}");
    }
    let parked = ground.log.position("_headwater.parked").expect("ours");
    let once = unfit + undivided;
    assert_eq!(parked.get("_headwater.parked", 0), once, "each event is parked once");
}

/// A view with the newest value of each key.
fn newest(ground: &Ground) -> ViewSpec {
    const QUERY: &str = "SELECT _key, value FROM s";
    let context = SessionContext::new();
    let decoder = ground.decoder();
    for (name, schema) in [("s", decoder.schema()), ("gone", decoder.of_tombstones().schema())] {
        let table = MemTable::try_new(schema, vec![Vec::new()]).expect("a table");
        context
            .register_table(name, Arc::new(table))
            .expect("a name that is free");
    }
    let mut spec = ground.spec("v", QUERY);
    spec.definition.key = vec!["_key".to_owned()];
    let state = context.state();
    let gone = ground
        .runtime
        .block_on(context.table_provider("gone"))
        .expect("a table");
    let tombstones = |_: &str| {
        Ok(Some(Tombstones {
            table: provider_as_source(Arc::clone(&gone)),
            are_rows: true,
        }))
    };
    let plan = ground
        .runtime
        .block_on(state.create_logical_plan(QUERY))
        .expect("a plan");
    let plan = as_folded(plan, &spec.definition, &state, &tombstones).expect("a plan that folds");
    let analyzed = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {});
    spec.plan = analyzed.expect("an analyzed plan");
    spec.session = state;
    spec
}

#[test]
fn keys_that_tombstones_delete_by_several_threads() {
    let ground = Ground::new(None, 2);
    ground.define("v");
    let mut expected: BTreeMap<String, String> = BTreeMap::new();
    for batch in 0..80_u32 {
        let mut events: Vec<Event> = Vec::new();
        for n in batch * 500..batch * 500 + 500 {
            let key = format!("key {}", n % 3_001);
            let value = (n % 5 > 0).then(|| n.to_string());
            match &value {
                Some(value) => expected.insert(key.clone(), value.clone()),
                None => expected.remove(&key),
            };
            events.push(Event {
                key: Some(Bytes::from(key)),
                value: value.map(Bytes::from),
                ..Event::default()
            });
        }
        ground.append_events(batch % 2, &events);
    }
    let views = ground.views(&LAZY);
    let view = views.start(newest(&ground)).expect("it starts");
    let mut expected: Vec<String> = expected.iter().map(|(key, value)| format!("{key} | {value}")).collect();
    expected.sort();
    assert_eq!(ground.rows(&view), expected);
    assert_eq!(view.status().rows, expected.len() as u64);
}

#[test]
fn views_that_are_begun_together_are_built_together() {
    let ground = Ground::new(Some(&COLUMNS), 3);
    append_many(&ground, 60);
    let views = ground.views(&LAZY);
    let together = views.together();
    let names = ["first", "second", "third"];
    for name in names {
        ground.define(name);
        views.begin(ground.spec(name, SUMS), None).expect("it begins");
    }
    let begun: Vec<Arc<View>> = names.iter().map(|name| views.get(name).expect("it runs")).collect();
    // What is held up is not waited for.
    views.settle(&names.map(str::to_owned));
    std::thread::sleep(Duration::from_millis(50));
    for view in &begun {
        assert_eq!(view.events_folded(), 0, "the others were still to be begun");
    }
    drop(together);
    for view in &begun {
        ground.catch_up(view);
        assert_same(&ground.rows(view), &ground.in_batch(SUMS), "all of it");
    }
    views.close();
}
