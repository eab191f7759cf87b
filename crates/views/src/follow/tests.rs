//! A lane without views, a view far behind, and one in whose rows a turn broke off.

use datafusion::catalog::MemTable;
use datafusion::prelude::SessionContext;
use headwater_catalog::{CreateMode, Definition, Shape, StreamDefinition, ViewDefinition, ViewSettings};
use headwater_eventlog::{Append, LogOptions, Part};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event};
use tempfile::TempDir;

use super::*;
use crate::decode::StreamDecoder;
use crate::fold::{Counts, compile_view};
use crate::opening::Opening;
use crate::rows::checkpoints::Maker;
use crate::rows::folder::Documents;
use crate::{Selection, ViewError, ViewSpec};

struct Ground {
    _dir: TempDir,
    log: EventLog,
    catalog: Catalog,
    runtime: tokio::runtime::Runtime,
}

impl Ground {
    /// A log with a stream `s`.
    fn new() -> Ground {
        let dir = tempfile::tempdir().expect("a folder");
        let opened = EventLog::open(Host::real(), &dir.path().join("log"), LogOptions::default());
        let (log, _) = opened.expect("a new log");
        let catalog = Catalog::open(log.clone()).expect("a new catalog");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let stream = StreamDefinition {
            name: "s".to_owned(),
            partitions: 1,
            ..StreamDefinition::default()
        };
        let defining = catalog.define(Definition::Stream(stream), CreateMode::Create, "ann");
        runtime.block_on(defining).expect("a new stream");
        Ground {
            _dir: dir,
            log,
            catalog,
            runtime,
        }
    }

    /// A view that nobody folds, with its rows in memory.
    fn view(&self) -> Arc<View> {
        const QUERY: &str = "SELECT count(*) AS events FROM s";
        let decoder = StreamDecoder::new(&self.catalog.stream("s").expect("the stream"));
        let context = SessionContext::new();
        let table = MemTable::try_new(decoder.schema(), vec![Vec::new()]).expect("a table");
        context.register_table("s", Arc::new(table)).expect("a free name");
        let session = context.state();
        let planning = session.create_logical_plan(QUERY);
        let plan = self.runtime.block_on(planning).expect("a plan");
        let analyzed = session
            .analyzer()
            .execute_and_check(plan, session.config_options(), |_, _| {});
        let spec = ViewSpec {
            definition: ViewDefinition {
                name: "v".to_owned(),
                shape: Some(Shape::Document),
                query: QUERY.to_owned(),
                key: Vec::new(),
                settings: ViewSettings::default(),
                sources: vec!["s".to_owned()],
                spelled_out: None,
                statement: String::new(),
                version: 1,
                before: None,
            },
            decoders: vec![decoder],
            plan: analyzed.expect("an analyzed plan"),
            session,
        };
        let opening = Opening {
            log: self.log.clone(),
            dir: None,
            stores: Arc::new(Documents),
            lakes: None,
            maker: Maker::default(),
            options: ViewOptions::default(),
        };
        let compiled = compile_view(&spec, &self.log).expect("a query that compiles");
        opening.open(&spec, compiled).expect("it opens")
    }

    fn follower(&self, stream: &str) -> Follower {
        self.follower_with(stream, ViewOptions::default())
    }

    fn follower_with(&self, stream: &str, options: ViewOptions) -> Follower {
        Follower::new(
            self.log.clone(),
            self.catalog.clone(),
            stream,
            options,
            Arc::new(|_| {}),
            Arc::default(),
        )
    }

    fn append(&self, events: u64) {
        let event = Event {
            value: Some("{}".into()),
            ..Event::default()
        };
        let events = vec![event; usize::try_from(events).expect("a few")];
        let append = Append {
            parts: vec![Part {
                stream: "s".to_owned(),
                partition: 0,
                batch: Batch::encode(&events, Compression::None, None),
            }],
            principal: "ann".to_owned(),
            condition: None,
        };
        self.log.append_blocking(append).expect("a durable append");
    }
}

#[test]
fn a_lane_without_views_waits() {
    let ground = Ground::new();
    ground.append(1);
    for stream in ["s", "a stream that was dropped"] {
        let follower = ground.follower(stream);
        for kind in [Kind::Fold, Kind::Build] {
            let mut thread = Thread::new(Arc::clone(&follower.following), kind);
            assert!(!thread.round_unless_paused(), "{stream}");
        }
    }
}

#[test]
fn a_lane_goes_on_while_it_gets_on_and_waits_in_a_pause() {
    let ground = Ground::new();
    let follower = ground.follower("s");
    let view = ground.view();
    follower.following.fold.members.lock().push(Arc::clone(&view));
    let mut thread = Thread::new(Arc::clone(&follower.following), Kind::Fold);
    ground.append(3);
    let paused = follower.pause();
    assert!(!thread.round_unless_paused());
    assert_eq!(view.position().get("s", 0), 0);
    drop(paused);
    assert!(thread.round_unless_paused() && !thread.round_unless_paused());
    assert_eq!(view.position().get("s", 0), 3);
}

#[test]
fn events_that_nobody_waits_for_gather_and_others_are_folded_at_once() {
    let ground = Ground::new();
    let gathering = ViewOptions {
        gather_ms: 600_000,
        ..ViewOptions::default()
    };
    let follower = ground.follower_with("s", gathering);
    let view = ground.view();
    follower.add(Arc::clone(&view)).expect("it is followed");
    let folded = |events: u64| {
        let upto = format!("s/0@{events}").parse().expect("a position");
        let waiting = view.wait_for(&upto, Duration::from_secs(60));
        ground.runtime.block_on(waiting).expect("it gets there in time");
        // So that the turn is over, too: the next one is begun behind it.
        drop(follower.pause());
    };
    let mut appended = 1;
    ground.append(1);
    folded(1);
    // Some may be folded as they come, where the thread sleeps; whatever comes behind them gathers.
    while view.position().get("s", 0) == appended {
        assert!(appended < 100, "nobody waits for it");
        ground.append(1);
        appended += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    folded(appended);
    // For who follows a view every event is folded as it comes.
    let following = view.awaited();
    ground.append(1);
    let came = Instant::now() + Duration::from_secs(60);
    while following.borrow().get("s", 0) <= appended && Instant::now() < came {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(view.position().get("s", 0), appended + 1);
}

#[test]
fn a_view_is_up_to_date_that_lacks_so_many_events_and_no_more() {
    let ground = Ground::new();
    let view = ground.view();
    let follower = ground.follower("s");
    ground.append(UP_TO_DATE_EVENTS);
    assert!(follower.following.is_up_to_date(&view));
    ground.append(1);
    assert!(!follower.following.is_up_to_date(&view));
}

#[test]
fn rows_in_which_a_turn_broke_off_are_neither_read_nor_committed() {
    let ground = Ground::new();
    let view = ground.view();
    let position = "s/0@1".parse().expect("a position");
    let turn = view.turn().expect("a turn");
    view.end_turn(vec![turn], &position, Counts::default())
        .expect("it ends");
    view.flush().expect("it is committed");
    assert!(view.is_known_built().expect("a note"));
    view.resident.write().is_whole = false;
    let is_refused = |outcome: Result<(), ViewError>| matches!(outcome, Err(ViewError::Stopped { .. }));
    assert!(is_refused(view.flush()));
    assert!(is_refused(view.read(&Selection::All).map(|_| ())));
    assert!(is_refused(view.find(&[]).map(|_| ())));
    assert!(is_refused(view.reader().map(|_| ())));
    view.resident.write().is_whole = true;
    assert!(view.flush().is_ok());
    assert!(view.stop("for this test") && !view.stop("for another reason"));
    assert!(is_refused(view.flush()));
    assert_eq!(view.stopped().as_deref(), Some("for this test"));
}

#[test]
fn a_version_that_was_replaced_in_a_turn_has_not_stopped() {
    let ground = Ground::new();
    let view = ground.view();
    view.is_replaced.store(true, Ordering::Release);
    assert!(view.flush().is_err(), "it is not asked any more");
    flush(&view);
    assert_eq!(view.stopped(), None, "it is retired by whoever replaced it");
    view.is_replaced.store(false, Ordering::Release);
    stop(&view, "its store is gone");
    assert_eq!(view.stopped().as_deref(), Some("its store is gone"));
}

#[test]
fn a_turn_ends_where_it_has_read_or_holds_much() {
    let check = |goes_far: bool, bytes: usize, held: &[usize], expected: bool| {
        assert_eq!(
            takes_more(goes_far, bytes, held.iter().copied()),
            expected,
            "{goes_far} {bytes} {held:?}"
        );
    };
    for goes_far in [false, true] {
        check(goes_far, 0, &[], true);
        check(goes_far, TURN_BYTES - 1, &[0, TURN_MEMORY - 1], true);
        check(goes_far, 0, &[0, TURN_MEMORY], false);
        check(goes_far, 0, &[TURN_MEMORY - 1; 4], true);
        check(goes_far, 0, &[TURN_MEMORY - 1; 5], false);
        check(goes_far, TURN_BYTES, &[], goes_far);
    }
    check(true, BUILD_TURN_BYTES - 1, &[], true);
    check(true, BUILD_TURN_BYTES, &[], false);
}
