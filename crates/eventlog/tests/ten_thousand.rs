//! Ten thousand partitions in one log: written in turn, read over all, found again; and never more files open than are allowed.

mod making;

use headwater_eventlog::{AppendOutcome, EventLog, LogOptions, StreamSettings};
use headwater_host::Host;
use making::{append, part, small, values};

const PARTITIONS: u32 = 10_000;

/// Files for reading, for writing and for writing past the page cache are 2,000 each at most; the rest of the process has few.
const OPEN_FILES_MAX: usize = 6_100;

#[test]
#[ignore = "makes thirty thousand files, which takes a minute or two: cargo test -p headwater-eventlog --test ten_thousand -- --ignored"]
fn ten_thousand_partitions_are_written_in_turn_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions {
        journal_bytes: 4 * 1024 * 1024,
        pending_bytes_max: 4 * 1024 * 1024,
        tend_every: std::time::Duration::from_secs(3600),
        compaction_keys_max: 1_000,
        ..small()
    };
    let open = || EventLog::open(Host::real(), folder.path(), options.clone()).unwrap();
    let (log, _) = open();
    log.create_stream("s", PARTITIONS, StreamSettings::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut waiting: Vec<AppendOutcome> = Vec::new();
        for partition in 0..PARTITIONS {
            waiting.push(log.submit(append(vec![part("s", partition, &["x"])])).await);
        }
        for outcome in waiting {
            assert_eq!(outcome.await.unwrap().unwrap().base_offsets, [0]);
        }
    });
    let check = |log: &EventLog| {
        for partition in 0..PARTITIONS {
            assert_eq!(values(log, "s", partition), ["x"], "partition {partition}");
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            let open = open.count();
            assert!(open < OPEN_FILES_MAX, "{open} files are open");
        }
    };
    check(&log);
    log.close();
    drop(log);
    let (log, recovery) = open();
    assert_eq!(recovery.damage, Vec::<String>::new());
    check(&log);
}
