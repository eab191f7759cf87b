//! An append that is alone writes and flushes its group itself; whatever comes beside it is the writer thread's, and nothing else is different.

#[expect(dead_code, reason = "other tests use all of it")]
mod making;
mod waiting;
mod watched;

use std::path::Path;

use headwater_eventlog::{AppendError, Awaited, EventLog, LogOptions, StreamSettings};
use headwater_host::simulated::{Fault, Simulation};
use making::{append, part, values};
use tokio::runtime::{Builder, Runtime};
use waiting::until;
use watched::WatchedDisk;

const DIR: &str = "/data";
const WRITER: &str = "log-writer";

struct Ground {
    machine: Simulation,
    disk: WatchedDisk,
    log: EventLog,
    runtime: Runtime,
}

fn ground(runtime: &mut Builder) -> Ground {
    let machine = Simulation::new(11);
    let disk = WatchedDisk::of(&machine);
    let (log, _) = EventLog::open(disk.host(&machine), Path::new(DIR), LogOptions::default()).unwrap();
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    // Those of the start.
    disk.flushed_by();
    Ground {
        machine,
        disk,
        log,
        runtime: runtime.build().unwrap(),
    }
}

fn of_workers() -> Ground {
    ground(Builder::new_multi_thread().worker_threads(2).thread_name("worker"))
}

impl Ground {
    /// Appends one after the other on a worker of the runtime; who flushed the last of them.
    fn append_in_a_row(&self, values: usize) -> String {
        let log = self.log.clone();
        let appending = async move {
            for value in 0..values {
                let value = value.to_string();
                log.append(append(vec![part("s", 0, &[&value])])).await.unwrap();
            }
        };
        self.runtime.block_on(async { tokio::spawn(appending).await.unwrap() });
        self.disk.flushed_by().pop().unwrap()
    }

    /// Appends one after the other until one is flushed by whoever waits for it; how many that took.
    fn append_until_one_leads(&self) -> u64 {
        let mut appended = 0;
        until("an append leads", || {
            appended += 1;
            self.append_in_a_row(1) != WRITER
        });
        appended
    }

    /// Hands over an append that nobody waits for yet.
    fn submitted(&self, value: &str) -> Awaited {
        let appending = self.log.submit_awaited(append(vec![part("s", 0, &[value])]));
        self.runtime.block_on(appending)
    }
}

#[test]
fn an_append_that_is_alone_is_flushed_by_whoever_waits_for_it() {
    let ground = of_workers();
    assert_eq!(ground.append_in_a_row(1), WRITER, "nobody knows yet that it is alone");
    let appended = ground.append_until_one_leads();
    assert_eq!(ground.append_in_a_row(3), "worker");
    // Outside of a runtime too.
    ground.log.append_blocking(append(vec![part("s", 0, &["x"])])).unwrap();
    assert_eq!(
        ground.disk.flushed_by(),
        [std::thread::current().name().unwrap_or_default()]
    );
    let (reopened, _) = {
        let Ground { machine, log, .. } = ground;
        drop(log);
        EventLog::open(machine.host(), Path::new(DIR), LogOptions::default()).unwrap()
    };
    assert_eq!(values(&reopened, "s", 0).len() as u64, 1 + appended + 3 + 1);
}

#[test]
fn a_runtime_of_one_thread_waits_for_no_disk() {
    let ground = ground(&mut Builder::new_current_thread());
    let log = ground.log.clone();
    ground.runtime.block_on(async {
        for _ in 0..20 {
            log.append(append(vec![part("s", 0, &["x"])])).await.unwrap();
        }
    });
    assert!(ground.disk.flushed_by().iter().all(|thread| thread == WRITER));
}

#[test]
fn who_comes_behind_one_that_is_alone_is_not_forgotten() {
    let ground = of_workers();
    let before = ground.append_until_one_leads();
    // Left to the first, which neither waits nor goes away for now.
    let first = ground.submitted("first");
    let second = ground.submitted("second");
    assert!(ground.disk.flushed_by().is_empty());
    let (first, second) = ground.runtime.block_on(async { (first.await, second.await) });
    assert_eq!(first.unwrap().base_offsets, [before]);
    assert_eq!(second.unwrap().base_offsets, [before + 1]);
    assert_eq!(ground.disk.flushed_by().len(), 1, "one flush for both");
    // Where others come, the writer thread writes.
    assert_eq!(ground.append_in_a_row(1), WRITER);
}

#[test]
fn what_is_left_to_one_who_goes_away_is_written_all_the_same() {
    let ground = of_workers();
    let after = ground.append_until_one_leads() + 1;
    drop(ground.submitted("left"));
    let log = &ground.log;
    let mut commits = log.commits();
    ground.runtime.block_on(async {
        while log.offsets("s", 0).unwrap().high_watermark < after {
            commits.changed().await.unwrap();
        }
    });
    assert_eq!(ground.disk.flushed_by(), [WRITER]);
}

#[test]
fn after_a_flush_that_failed_nobody_writes() {
    for closing in [false, true] {
        let ground = of_workers();
        let before = ground.append_until_one_leads();
        let (failing, waiting) = (ground.submitted("failing"), ground.submitted("waiting"));
        ground.machine.disk.fail_syncs(Some(Fault::Device));
        let closed = closing.then(|| {
            let log = ground.log.clone();
            let closed = std::thread::spawn(move || log.close());
            until("it is being closed", || ground.log.stopped().is_some());
            closed
        });
        let (failing, waiting) = ground.runtime.block_on(async { (failing.await, waiting.await) });
        for refused in [
            failing,
            waiting,
            ground.log.append_blocking(append(vec![part("s", 0, &["x"])])),
        ] {
            assert!(matches!(refused, Err(AppendError::Stopped { .. })), "{refused:?}");
        }
        assert_eq!(ground.disk.flushed_by().len(), 1);
        assert_eq!(ground.log.offsets("s", 0).unwrap().high_watermark, before);
        closed.into_iter().for_each(|closed| closed.join().unwrap());
    }
}
