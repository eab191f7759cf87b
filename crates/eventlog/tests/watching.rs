//! Who waits for news of some partitions is woken by those and by no others, and misses nothing.

mod making;

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use headwater_eventlog::{EventLog, StreamSettings, Watch};
use headwater_host::simulated::Simulation;
use making::{append, part, small, values};

/// Whether there is news now; what there is, is taken.
fn has_news(watch: &Watch) -> bool {
    let news = pin!(watch.news());
    news.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

#[test]
fn news_of_the_watched_partitions_alone() {
    let machine = Simulation::new(1);
    let (log, _) = EventLog::open(machine.host(), Path::new("/data"), small()).unwrap();
    let stream = log.create_stream("s", 3, StreamSettings::default()).unwrap();
    // Whoever waits for an append may hear of it a moment before those do who wait for news, but not before they have heard of all that came before.
    let write = |partition: u32| {
        for partition in [partition, 2] {
            log.append_blocking(append(vec![part("s", partition, &["x"])])).unwrap();
        }
    };
    let (first, both) = (
        log.watch(vec![(stream.id, 0)]),
        log.watch(vec![(stream.id, 0), (stream.id, 1)]),
    );
    let check = |expected: (bool, bool)| assert_eq!((has_news(&first), has_news(&both)), expected);
    check((false, false));
    write(2);
    check((false, false));
    write(1);
    check((false, true));
    write(0);
    check((true, true));
    check((false, false));
    // Told once, however often it moved before anybody looked.
    write(0);
    write(0);
    check((true, true));
    check((false, false));
    // Whoever looks has seen what came before.
    write(0);
    first.look();
    check((false, true));
    first.look();
    write(0);
    check((true, true));
    log.create_stream("other", 1, StreamSettings::default()).unwrap();
    check((true, true));
    drop(both);
    write(1);
    assert!(!has_news(&first));
    assert_eq!(values(&log, "s", 1).len(), 2);
}
