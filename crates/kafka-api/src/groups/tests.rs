//! Tests of what the groups write down: before it is told, and again where it could not be written.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use headwater_eventlog::{LogOptions, StreamSettings};
use headwater_host::Host;
use headwater_host::simulated::Simulation;

use super::consumer::{Heartbeat, JOIN};
use super::*;
use crate::full_disk;
use crate::own_streams::{OFFSETS_STREAM, SHARES_STREAM};

fn open(folder: &Path) -> (EventLog, Groups) {
    let (log, _) = EventLog::open(Host::real(), folder, LogOptions::default()).unwrap();
    with_groups(log)
}

fn open_small(machine: &Simulation) -> (EventLog, Groups) {
    with_groups(full_disk::open(machine))
}

fn with_groups(log: EventLog) -> (EventLog, Groups) {
    for stream in [OFFSETS_STREAM, GROUPS_STREAM, SHARES_STREAM] {
        // It is there after a restart.
        let _ = log.create_stream(stream, 1, StreamSettings::default());
    }
    let groups = Groups::open(log.clone(), &KafkaOptions::default()).unwrap();
    (log, groups)
}

fn heartbeat(member_id: &str) -> Heartbeat {
    Heartbeat {
        member_id: member_id.to_owned(),
        epoch: JOIN,
        topics: Some(BTreeSet::from(["t".to_owned()])),
        ..Heartbeat::default()
    }
}

fn commit(offset: i64) -> Commit {
    Commit {
        stream: "t".to_owned(),
        stream_id: 7,
        partition: 0,
        offset,
        leader_epoch: -1,
        metadata: String::new(),
        expires_ms: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_may_commit_for_a_group_that_it_names_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (_log, groups) = open(folder.path());
    groups.beat("g", heartbeat("a")).await.unwrap();
    let nobody = Committer {
        member_id: "",
        instance: None,
        generation: -1,
        in_transaction: true,
        knows_epochs: true,
    };
    assert_eq!(groups.may_commit("g", nobody).await, Ok(()));
    let unknown = Err(ResponseError::UnknownMemberId);
    for other in [
        Committer {
            in_transaction: false,
            ..nobody
        },
        Committer {
            member_id: "b",
            ..nobody
        },
        Committer {
            generation: 1,
            ..nobody
        },
    ] {
        assert_eq!(groups.may_commit("g", other).await, unknown, "{other:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_refused_with_what_its_client_knows() {
    let folder = tempfile::tempdir().unwrap();
    let (_log, groups) = open(folder.path());
    groups.beat("g", heartbeat("a")).await.unwrap();
    let (stale, unknown) = (ResponseError::StaleMemberEpoch, ResponseError::GroupIdNotFound);
    let (illegal, unsupported) = (ResponseError::IllegalGeneration, ResponseError::UnsupportedVersion);
    for (group_id, generation, in_transaction, knows_epochs, expected) in [
        ("g", 2, true, true, Ok(())),
        ("g", 2, true, false, Ok(())),
        ("g", 2, false, false, Err(unsupported)),
        ("g", 3, true, true, Err(stale)),
        ("g", 3, true, false, Err(illegal)),
        ("g", 3, false, true, Err(stale)),
        ("g", 3, false, false, Err(unsupported)),
        ("none", 1, true, true, Err(unknown)),
        ("none", 1, true, false, Err(illegal)),
        ("none", 1, false, true, Err(unknown)),
        ("none", 1, false, false, Err(illegal)),
        ("none", -1, true, true, Ok(())),
    ] {
        let committer = Committer {
            member_id: "a",
            instance: None,
            generation,
            in_transaction,
            knows_epochs,
        };
        assert_eq!(
            groups.may_commit(group_id, committer).await,
            expected,
            "{group_id} {committer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let (log, groups) = open(folder.path());
    assert_eq!(groups.beat("g", heartbeat("a")).await.unwrap().epoch, 2);
    tokio::task::spawn_blocking(move || log.close()).await.unwrap();
    let refused = groups.beat("g", heartbeat("b")).await.unwrap_err();
    assert_eq!(refused.code, ResponseError::KafkaStorageError);
    // It is tried again with the next step, which is not told either.
    let refused = groups.beat("g", heartbeat("a")).await.unwrap_err();
    assert_eq!(refused.code, ResponseError::KafkaStorageError);
    assert_eq!(
        groups.configure("g", Vec::new()).await,
        Err(ResponseError::KafkaStorageError)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_members_come_and_go_and_nothing_is_committed() {
    let machine = Simulation::new(1);
    let (log, groups) = open_small(&machine);
    assert_eq!(groups.beat("g", heartbeat("a")).await.unwrap().epoch, 2);
    full_disk::fill(&machine, &log);
    let by = |generation| Committer {
        member_id: "b",
        instance: None,
        generation,
        in_transaction: false,
        knows_epochs: true,
    };
    let epoch = groups.beat("g", heartbeat("b")).await.unwrap().epoch;
    assert_eq!(epoch, 3);
    assert_eq!(groups.beat("new", heartbeat("b")).await.unwrap().epoch, 2);
    let refused = Err(ResponseError::CoordinatorNotAvailable);
    assert_eq!(groups.may_commit("g", by(epoch)).await, refused);
    assert_eq!(groups.configure("g", Vec::new()).await, refused);
    assert_eq!(groups.found_share("s").await, refused);

    // What was told from memory alone is no more after a power cut.
    machine.disk.cut_power();
    drop((log, groups));
    machine.disk.restart();
    let (log, groups) = open_small(&machine);
    assert!(groups.look("new", |_| ()).is_none());
    let unknown = Err(ResponseError::UnknownMemberId);
    assert_eq!(groups.may_commit("g", by(epoch)).await, unknown);

    let epoch = groups.beat("g", heartbeat("b")).await.unwrap().epoch;
    assert_eq!(groups.may_commit("g", by(epoch)).await, refused);
    full_disk::make_room(&machine, &log).await;
    // Whoever may commit is written down first.
    assert_eq!(groups.may_commit("g", by(epoch)).await, Ok(()));
    machine.disk.cut_power();
    drop((log, groups));
    machine.disk.restart();
    let (_log, groups) = open_small(&machine);
    assert_eq!(groups.may_commit("g", by(epoch)).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_on_a_full_disk_is_written_when_there_is_room() {
    let machine = Simulation::new(2);
    let (log, groups) = open_small(&machine);
    full_disk::fill(&machine, &log);
    groups.beat("g", heartbeat("a")).await.unwrap();
    machine.disk.limit_space(None);
    let shares =
        crate::shares::Shares::open(log.clone(), &KafkaOptions::default(), Arc::clone(&groups.configs)).unwrap();
    let time = async {
        while groups.slots.lock().by_id["g"].owes() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = groups.run_timers(&shares) => {}
        passed = tokio::time::timeout(Duration::from_secs(120), time) => passed.unwrap(),
    }
    machine.disk.cut_power();
    drop((log, groups, shares));
    machine.disk.restart();
    let (_log, groups) = open_small(&machine);
    assert!(groups.look("g", |_| ()).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finds_groups_commits_and_configurations() {
    let folder = tempfile::tempdir().unwrap();
    let (log, groups) = open(folder.path());
    groups.beat("g", heartbeat("a")).await.unwrap();
    let events = groups.offsets.events("h", &[commit(5)]).unwrap();
    groups.offsets.append(events, "anonymous").await.unwrap();
    let begins = vec![(configs::SHARE_BEGINS.to_owned(), Some("earliest".to_owned()))];
    groups.configure("s", begins).await.unwrap();
    drop(groups);
    tokio::task::spawn_blocking(move || log.close()).await.unwrap();

    let (_log, groups) = open(folder.path());
    let listed: Vec<(String, &str, &str)> = groups
        .list()
        .into_iter()
        .map(|group| (group.id, group.kind, group.state))
        .collect();
    let expected = [("g", "consumer", "Stable"), ("h", "classic", "Empty")];
    assert_eq!(listed, expected.map(|(id, kind, state)| (id.to_owned(), kind, state)));
    assert_eq!(
        groups.configs.of("s").get(configs::SHARE_BEGINS).map(String::as_str),
        Some("earliest")
    );
    let committed = groups.offsets.committed("h", "t", 7, 0);
    assert_eq!(committed.map(|committed| committed.offset), Some(5));
    // A later stream of the same name has another id.
    assert_eq!(groups.offsets.committed("h", "t", 8, 0), None);
    assert_eq!(groups.delete("g", "anonymous").await, Err(ResponseError::NonEmptyGroup));
    assert_eq!(groups.delete("h", "anonymous").await, Ok(()));
    assert_eq!(
        groups.delete("h", "anonymous").await,
        Err(ResponseError::GroupIdNotFound)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_bounded_as_was_set_for_it_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (log, groups) = open(folder.path());
    let share_heartbeat = || share::Heartbeat {
        member_id: "a".to_owned(),
        epoch: JOIN,
        topics: Some(BTreeSet::from(["t".to_owned()])),
        ..share::Heartbeat::default()
    };
    let check = |groups: &Groups, beats: [u64; 2], session_ms: u64, heartbeat_ms: u64| {
        assert_eq!(beats, [heartbeat_ms; 2]);
        for group_id in ["consumers", "sharers"] {
            let due_ms = groups.slots.lock().by_id[group_id].due_ms().unwrap();
            let least_ms = session_ms / 2;
            let left_ms = due_ms - groups.now_ms();
            assert!((least_ms..=session_ms).contains(&left_ms), "{group_id}: {left_ms}");
        }
    };
    let beat = async |groups: &Groups| {
        let consumer = groups.beat("consumers", heartbeat("a")).await.unwrap();
        let share = groups.share_beat("sharers", share_heartbeat()).await.unwrap();
        [consumer.heartbeat_ms, share.heartbeat_ms]
    };
    let beats = beat(&groups).await;
    check(&groups, beats, 45_000, 5_000);
    for (group_id, session, heartbeat) in [
        ("consumers", configs::CONSUMER_SESSION, configs::CONSUMER_HEARTBEAT),
        ("sharers", configs::SHARE_SESSION, configs::SHARE_HEARTBEAT),
    ] {
        let changes = [(session, "600000"), (heartbeat, "7000")];
        let changes = changes.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
        groups.configure(group_id, changes.to_vec()).await.unwrap();
    }
    let beats = beat(&groups).await;
    check(&groups, beats, 600_000, 7_000);
    drop(groups);
    tokio::task::spawn_blocking(move || log.close()).await.unwrap();
    let (_log, groups) = open(folder.path());
    check(&groups, [7_000; 2], 600_000, 7_000);
    let beats = beat(&groups).await;
    check(&groups, beats, 600_000, 7_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_waits_while_somebody_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let (_log, groups) = open(folder.path());
    let offsets = &groups.offsets;
    let alone = offsets.alone().await;
    let events = offsets.events("g", &[commit(5)]).unwrap();
    let mut committing = std::pin::pin!(offsets.append(events, "anonymous"));
    let moment = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(moment, committing.as_mut()).await.is_err());
    assert_eq!(offsets.committed("g", "t", 7, 0), None);
    drop(alone);
    assert_eq!(committing.await, Ok(()));
    assert_eq!(
        offsets.committed("g", "t", 7, 0).map(|committed| committed.offset),
        Some(5)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_s_commits_are_seen_when_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (log, groups) = open(folder.path());
    let offsets = &groups.offsets;
    let place = ("t".to_owned(), 0);
    offsets.hold(1, "g", [place]);
    assert!(offsets.is_pending("g", "t", 0) && offsets.has_pending("g"));
    let events = offsets.events("g", &[commit(5)]).unwrap();
    let append = headwater_eventlog::Append {
        parts: events.parts(),
        principal: "anonymous".to_owned(),
        condition: None,
    };
    assert_eq!(offsets.committed("g", "t", 7, 0), None);
    let appended = log.append(append).await.unwrap();
    offsets.landed(&events, &appended.base_offsets);
    offsets.release(1);
    assert!(!offsets.is_pending("g", "t", 0));
    assert_eq!(
        offsets.committed("g", "t", 7, 0).map(|committed| committed.offset),
        Some(5)
    );
}
