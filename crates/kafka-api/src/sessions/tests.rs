//! A session's life as data: what each request says, and what its answer says.

use std::time::Duration;

use super::*;

const MINUTES_3: Duration = Duration::from_secs(180);

/// A request: session, epoch, partitions of the topic `t`, partitions to forget.
fn request(id: i32, epoch: i32, partitions: &[i32], forgotten: &[i32]) -> FetchRequest {
    let name = || kafka_protocol::messages::TopicName(kafka_protocol::protocol::StrBytes::from_static_str("t"));
    let asked = |partition: &i32| FetchPartition::default().with_partition(*partition);
    let topic = FetchTopic::default()
        .with_topic(name())
        .with_partitions(partitions.iter().map(asked).collect());
    let forgotten = ForgottenTopic::default()
        .with_topic(name())
        .with_partitions(forgotten.to_vec());
    FetchRequest::default()
        .with_session_id(id)
        .with_session_epoch(epoch)
        .with_topics(vec![topic])
        .with_forgotten_topics_data(vec![forgotten])
}

fn told(high_watermark: i64, records: bool) -> Option<Told> {
    Some(Told {
        high_watermark,
        log_start: 0,
        failed: false,
        records,
    })
}

/// The partitions that are read, in order, and those that are answered.
fn run(
    sessions: &FetchSessions,
    request: &FetchRequest,
    now: Instant,
    what: impl Fn(i32) -> Option<Told>,
) -> Result<(i32, Vec<i32>, Vec<i32>), ResponseError> {
    let plan = sessions.open(request, false, now)?;
    let read: Vec<i32> = plan.wanted.iter().map(|wanted| wanted.partition).collect();
    let mut answers: Vec<Option<Told>> = read.iter().map(|partition| what(*partition)).collect();
    let id = sessions.close(&plan, &mut answers, now)?;
    let said = read.iter().zip(&answers).filter(|(_, told)| told.is_some());
    Ok((id, read.clone(), said.map(|(partition, _)| *partition).collect()))
}

#[test]
fn what_changed_is_said_and_what_was_sent_goes_to_the_end() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let quiet = |_| told(5, false);
    let (id, read, said) = run(&sessions, &request(0, 0, &[0, 1, 2], &[]), now, quiet).unwrap();
    assert_eq!((read, said), (vec![0, 1, 2], vec![0, 1, 2]));
    let check =
        |epoch: i32, change: (&[i32], &[i32]), what: &dyn Fn(i32) -> Option<Told>, expected: (&[i32], &[i32])| {
            let (same, read, said) = run(&sessions, &request(id, epoch, change.0, change.1), now, what).unwrap();
            assert_eq!(
                (same, read.as_slice(), said.as_slice()),
                (id, expected.0, expected.1),
                "{epoch}"
            );
        };
    check(1, (&[], &[]), &quiet, (&[0, 1, 2], &[]));
    // The first gets events, the second a new high watermark.
    let news = |partition: i32| told(if partition == 2 { 5 } else { 6 }, partition == 0);
    check(2, (&[], &[]), &news, (&[0, 1, 2], &[0, 1]));
    check(3, (&[], &[]), &news, (&[1, 2, 0], &[0]));
    // An error is said each time, and its end too.
    let failed = |partition: i32| {
        let told = told(if partition == 2 { 5 } else { 6 }, false)?;
        Some(Told {
            failed: partition == 1,
            ..told
        })
    };
    check(4, (&[], &[]), &failed, (&[1, 2, 0], &[1]));
    check(5, (&[], &[]), &failed, (&[1, 2, 0], &[1]));
    let well = |partition: i32| told(if partition == 2 { 5 } else { 6 }, false);
    check(6, (&[], &[]), &well, (&[1, 2, 0], &[1]));
    check(7, (&[3], &[1]), &well, (&[2, 0, 3], &[3]));
    check(8, (&[1], &[]), &well, (&[2, 0, 3, 1], &[1]));
    // With its last partition a session ends.
    let (none, ..) = run(&sessions, &request(id, 9, &[], &[0, 1, 2, 3]), now, well).unwrap();
    assert_eq!(none, NO_SESSION);
    let gone = run(&sessions, &request(id, 10, &[], &[]), now, well).unwrap_err();
    assert_eq!(gone, ResponseError::FetchSessionIdNotFound);
    assert_eq!(sessions.cache.lock().partitions, 0);
}

#[test]
fn epochs_ids_and_kinds_that_do_not_fit_are_named() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let begin = || {
        run(&sessions, &request(0, 0, &[0], &[]), now, |_| told(0, false))
            .unwrap()
            .0
    };
    let id = begin();
    let check = |id: i32, epoch: i32, by_id: bool, expected: Option<ResponseError>| {
        let opened = sessions.open(&request(id, epoch, &[], &[]), by_id, now);
        assert_eq!(opened.err(), expected, "{id} {epoch}");
    };
    check(0, 1, false, Some(ResponseError::FetchSessionIdNotFound));
    check(id + 1, 1, false, Some(ResponseError::FetchSessionIdNotFound));
    check(id, 2, false, Some(ResponseError::InvalidFetchSessionEpoch));
    check(id, -2, false, Some(ResponseError::InvalidFetchSessionEpoch));
    check(id, 1, true, Some(ResponseError::FetchSessionTopicIdError));
    check(id, 1, false, None);
    check(id, 1, false, Some(ResponseError::InvalidFetchSessionEpoch));
    // The last request of a session, and a new one in its place.
    check(id, -1, false, None);
    check(id, 2, false, Some(ResponseError::FetchSessionIdNotFound));
    let id = begin();
    check(id, 0, false, None);
    check(id, 1, false, Some(ResponseError::FetchSessionIdNotFound));
    assert_eq!(epoch_after(i32::MAX), 1);
}

#[test]
fn an_answer_that_another_request_overtook_is_refused() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let (id, ..) = run(&sessions, &request(0, 0, &[0], &[]), now, |_| told(0, false)).unwrap();
    let first = sessions.open(&request(id, 1, &[], &[]), false, now).unwrap();
    let second = sessions.open(&request(id, 2, &[], &[]), false, now).unwrap();
    let close = |plan| sessions.close(plan, &mut [told(0, false)], now);
    assert_eq!(close(&first), Err(ResponseError::InvalidFetchSessionEpoch));
    assert_eq!(close(&second), Ok(id));
}

#[test]
fn places_are_bounded_and_given_on_when_that_is_fair() {
    let (sessions, began) = (FetchSessions::new(2), Instant::now());
    let begin = |partitions: &[i32], now: Instant| {
        run(&sessions, &request(0, 0, partitions, &[]), now, |_| told(0, false))
            .unwrap()
            .0
    };
    let (one, two) = (begin(&[0], began), begin(&[0, 1], began));
    assert!(one != NO_SESSION && two != NO_SESSION);
    // Nobody is pushed out who is new.
    assert_eq!(begin(&[0, 1, 2], began), NO_SESSION);
    // Both are used, and old: the smaller one goes for a larger one, never for an equal one.
    let later = began + MINUTES_3;
    for id in [one, two] {
        sessions.open(&request(id, 1, &[], &[]), false, later).unwrap();
    }
    assert_eq!(begin(&[0], later), NO_SESSION);
    let three = begin(&[0, 1], later);
    assert_ne!(three, NO_SESSION);
    let gone = sessions.open(&request(one, 2, &[], &[]), false, later).unwrap_err();
    assert_eq!(gone, ResponseError::FetchSessionIdNotFound);
    // One that was silent goes for anybody.
    let four = begin(&[0], later + MINUTES_3);
    assert_ne!(four, NO_SESSION);
    assert_eq!(sessions.cache.lock().sessions.len(), 2);
    assert_eq!(
        FetchSessions::new(0)
            .open(&request(0, 0, &[0], &[]), false, began)
            .map(|plan| plan.wanted.len()),
        Ok(1)
    );
}

#[test]
fn partitions_on_both_sides_of_the_limit() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let many: Vec<i32> = (0..FETCH_SESSION_PARTITIONS_MAX as i32).collect();
    let (id, ..) = run(&sessions, &request(0, 0, &many, &[]), now, |_| told(0, false)).unwrap();
    assert_ne!(id, NO_SESSION);
    let (none, ..) = run(&sessions, &request(0, 0, &[0], &[]), now, |_| told(0, false)).unwrap();
    assert_eq!(none, NO_SESSION);
    // One that grows beyond it ends.
    let grown = sessions
        .open(&request(id, 1, &[many.len() as i32], &[]), false, now)
        .unwrap_err();
    assert_eq!(grown, ResponseError::FetchSessionIdNotFound);
    assert_eq!(sessions.cache.lock().partitions, 0);
}
