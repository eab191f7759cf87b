//! As many idle connections as the machine lets this process have. Alone in its process, because it measures that process's memory.

mod door;
mod raw;

use door::Door;
use headwater_kafka_api::KafkaOptions;
use raw::{ask, connect, frame};
use tokio::net::TcpStream;

const API_VERSIONS: i16 = 18;

/// What an idle connection may cost in the test's build, both ends in one process and without the kernel's part.
const IDLE_BYTES_MAX: usize = 12 * 1024;

/// A number of `/proc/self/status` (in KiB there), in bytes.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}

/// How many files this process may have open.
fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(1 << 20)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_cost_little_and_all_are_answered() {
    // Both ends of a connection are files of this process.
    let count = ((files_max() - 200) / 2).min(10_000);
    let folder = tempfile::tempdir().unwrap();
    let options = KafkaOptions {
        connections_max: count,
        ..KafkaOptions::default()
    };
    let door = Door::open(folder.path(), options).await;
    let versions = frame(API_VERSIONS, 0, &[]);
    let mut first = connect(&door).await;
    let expected = ask(&mut first, &versions).await;
    let before = resident_bytes();
    let mut sockets: Vec<TcpStream> = vec![first];
    while sockets.len() < count {
        let mut socket = connect(&door).await;
        // Each has been used, and is idle again.
        assert_eq!(ask(&mut socket, &versions).await, expected);
        sockets.push(socket);
    }
    let each = resident_bytes().saturating_sub(before) / count;
    println!("{count} idle connections, {each} bytes each");
    assert!(each <= IDLE_BYTES_MAX, "{each} bytes for each of {count} connections");
    assert_eq!(door.broker.metrics().connections, count as u64);
    for socket in &mut sockets {
        assert_eq!(ask(socket, &versions).await, expected);
    }
    drop(sockets);
    door.close().await;
}
