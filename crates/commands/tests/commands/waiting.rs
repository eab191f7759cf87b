//! Calls that wait for others: no longer than their time, no more than there is room for, and for nobody who has no part in it.
//!
//! Whoever holds a stream keeps the decider at its door, as a slow disk would: what comes meanwhile waits.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use headwater_commands::limits::TOGETHER_BYTES_MAX;
use headwater_commands::{Arguments, CommandError, CommandOutcome, CommandsOptions};
use headwater_eventlog::{Append, Hold, Part};
use headwater_records::{Batch, Compression, Event};
use headwater_sql::Session;
use tokio::task::JoinHandle;

use crate::scratch::{Scratch, begun, line, options, session, until};

const DEFINITIONS: &str = "
CREATE STREAM moves (account TEXT NOT NULL, amount BIGINT NOT NULL, note TEXT) KEY (account) WITH (partitions = 1);
CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total FROM moves GROUP BY account;
CREATE COMMAND give (account TEXT, amount BIGINT) INTO moves AS SELECT account, amount;
CREATE COMMAND take (account TEXT, amount BIGINT)
REQUIRE (SELECT total FROM totals t WHERE t.account = take.account) >= amount ELSE 'not enough' CODE 'not_enough'
INTO moves AS SELECT account, -amount AS amount;
CREATE COMMAND write (account TEXT, pieces BIGINT) INTO moves AS SELECT account, 1 AS amount, repeat('x', pieces) AS note;
";

type Answer = Result<CommandOutcome, CommandError>;

async fn application(folder: &tempfile::TempDir, options: CommandsOptions) -> Arc<Scratch> {
    let scratch = Scratch::bounded(folder.path(), options);
    scratch.define(DEFINITIONS).await;
    // Each is compiled by its first call.
    for (command, arguments) in [
        ("give", r#"{"account":"ann","amount":100}"#),
        ("take", r#"{"account":"ann","amount":0}"#),
        ("write", r#"{"account":"zoe","pieces":1}"#),
    ] {
        let called = scratch.call(command, arguments, None).await;
        assert!(called.is_ok(), "{}", line(&called));
    }
    Arc::new(scratch)
}

/// A call of a command.
fn call(
    scratch: &Arc<Scratch>,
    command: &'static str,
    arguments: &str,
    time: Duration,
) -> impl Future<Output = Answer> + use<> {
    let (scratch, arguments) = (Arc::clone(scratch), Arguments::Json(arguments.to_owned().into()));
    async move {
        let session = Session {
            timeout: Some(time),
            ..session()
        };
        scratch.commands.call(&session, command, arguments, None).await
    }
}

/// Calls a command; how it is answered comes later.
fn calling(scratch: &Arc<Scratch>, command: &'static str, arguments: &str, time: Duration) -> JoinHandle<Answer> {
    tokio::spawn(call(scratch, command, arguments, time))
}

const LONG: Duration = Duration::from_secs(100);

async fn hold(scratch: &Scratch) -> Hold {
    scratch.log.hold(&["moves".to_owned()]).await
}

/// Waits until so many appends of calls stand at the stream's door, or are through.
async fn appends(scratch: &Scratch, count: u64) {
    until("the appends are there", async || {
        scratch.commands.metrics().appends >= count
    })
    .await;
}

/// Holds the stream, with one call at its door, so that all others wait.
async fn held_up(scratch: &Arc<Scratch>) -> (Hold, JoinHandle<Answer>) {
    let hold = hold(scratch).await;
    let before = scratch.commands.metrics().appends;
    let first = calling(scratch, "give", r#"{"account":"ann","amount":1}"#, LONG);
    appends(scratch, before + 1).await;
    (hold, first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_waits_no_longer_than_its_time() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder, options()).await;
    let (hold, first) = held_up(&scratch).await;
    let give = r#"{"account":"ann","amount":1000}"#;
    let short = calling(&scratch, "give", give, Duration::from_millis(30));
    let answer = short.await.expect("it ends");
    assert!(matches!(answer, Err(CommandError::Late(30))), "{}", line(&answer));
    assert!(!first.is_finished(), "its events are on their way");
    drop(hold);
    let answer = first.await.expect("it ends");
    assert!(answer.is_ok(), "{}", line(&answer));
    assert_eq!(
        scratch.rows("SELECT total FROM totals WHERE account = 'ann'").await,
        "101"
    );
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_wait_and_no_more() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let bounds = CommandsOptions {
        waiting_calls_max: 4,
        ..options()
    };
    let scratch = application(&folder, bounds).await;
    let (hold, first) = held_up(&scratch).await;
    let give = r#"{"account":"ann","amount":1}"#;
    // Of five that come, one finds no room.
    let mut calls: Vec<JoinHandle<Answer>> = (0..5).map(|_| calling(&scratch, "give", give, LONG)).collect();
    until("one is answered", async || calls.iter().any(JoinHandle::is_finished)).await;
    let place = calls.iter().position(JoinHandle::is_finished).expect("one is finished");
    let answer = calls.remove(place).await.expect("it ends");
    assert!(matches!(answer, Err(CommandError::Busy(4))), "{}", line(&answer));
    drop(hold);
    for call in calls.into_iter().chain([first]) {
        let answer = call.await.expect("it ends");
        assert!(answer.is_ok(), "{}", line(&answer));
    }
    assert_eq!(
        scratch.rows("SELECT total FROM totals WHERE account = 'ann'").await,
        "105"
    );
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_stands_still_holds_up_no_call_of_others() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder, options()).await;
    let hold = hold(&scratch).await;
    let before = scratch.commands.metrics().appends;
    let (go_on, busy) = mpsc::channel::<()>();
    let elsewhere = std::thread::spawn({
        let scratch = Arc::clone(&scratch);
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let first = calling(&scratch, "give", r#"{"account":"ann","amount":1}"#, LONG);
                appends(&scratch, before + 1).await;
                // A long question, as it were.
                let _ = busy.recv();
                first.await.expect("it ends")
            })
        }
    });
    appends(&scratch, before + 1).await;
    drop(hold);
    let answer = calling(&scratch, "give", r#"{"account":"ann","amount":1}"#, LONG).await;
    let answer = answer.expect("it ends");
    assert!(answer.is_ok(), "{}", line(&answer));
    go_on.send(()).expect("somebody is busy there");
    let answer = elsewhere.join().expect("it ends");
    assert!(answer.is_ok(), "{}", line(&answer));
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_together_is_bounded_in_bytes() {
    const PIECES: usize = 900_000;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder, options()).await;
    let check = async |calls: usize, appends: usize| {
        let (hold, first) = held_up(&scratch).await;
        let arguments = format!(r#"{{"account":"ann","pieces":{PIECES}}}"#);
        let calls = begun((0..calls).map(|_| call(&scratch, "write", &arguments, LONG))).await;
        drop(hold);
        let mut moments: Vec<i64> = Vec::new();
        for call in calls {
            let answer = call.await.expect("it ends");
            moments.extend(answer.expect("it is done").appended_at_us);
        }
        assert!(first.await.expect("it ends").is_ok());
        moments.sort_unstable();
        let most = moments.chunk_by(|one, other| one == other).map(<[i64]>::len).max();
        assert!(most.is_some_and(|most| most * PIECES <= TOGETHER_BYTES_MAX), "{most:?}");
        moments.dedup();
        assert_eq!(moments.len(), appends);
    };
    const FIT: usize = TOGETHER_BYTES_MAX / PIECES;
    check(2 * FIT + 1, 3).await;
    check(FIT + 1, 2).await;
    check(FIT, 1).await;
    let count = scratch.rows("SELECT count(*) FROM moves WHERE length(note) > 1").await;
    assert_eq!(count, (4 * FIT + 2).to_string());
    Arc::into_inner(scratch).expect("nobody else has it").close();
}

/// Somebody else takes from ann, past the commands, and gives the stream back.
async fn take_from_ann(hold: Hold) {
    let event = Event {
        key: Some(Bytes::from_static(b"ann")),
        value: Some(Bytes::from_static(br#"{"account":"ann","amount":-1}"#)),
        ..Event::default()
    };
    let part = Part {
        stream: "moves".to_owned(),
        partition: 0,
        batch: Batch::encode(&[event], Compression::None, None),
    };
    let append = Append {
        parts: vec![part],
        principal: "kafka".to_owned(),
        condition: None,
    };
    hold.append(append).await.expect("the log takes it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_others_come_before_is_decided_anew() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let scratch = application(&folder, options()).await;
    let check = async |amount: i64, expected: &str, left: &str| {
        let before = scratch.commands.metrics();
        let held = hold(&scratch).await;
        let arguments = format!(r#"{{"account":"ann","amount":{amount}}}"#);
        let call = calling(&scratch, "take", &arguments, LONG);
        appends(&scratch, before.appends + 1).await;
        // It stands at the door, decided.
        take_from_ann(held).await;
        let answer = call.await.expect("it ends");
        assert_eq!(answer.as_ref().map_or_else(CommandError::code, |_| "ok"), expected);
        let after = scratch.commands.metrics();
        assert_eq!(after.outrun - before.outrun, 1);
        assert_eq!(
            scratch.rows("SELECT total FROM totals WHERE account = 'ann'").await,
            left
        );
    };
    check(10, "ok", "89").await;
    check(89, "not_enough", "88").await;
    check(87, "ok", "0").await;
    Arc::into_inner(scratch).expect("nobody else has it").close();
}
