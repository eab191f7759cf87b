//! Every request in every version, as its table writes it, is answered.

mod administration;
mod commits;
mod group_configs;
mod groups;
mod joining;
mod producers;
mod quotas;
mod sharing;

use std::sync::Arc;

use headwater_catalog::Catalog;
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_schedules::{Schedules, SchedulesOptions};

use super::*;
use crate::answer::Answer;
use crate::api::APIS;
use crate::{Broker, KafkaOptions};

fn caller(folder: &std::path::Path) -> Caller {
    caller_with(folder, KafkaOptions::default())
}

fn caller_with(folder: &std::path::Path, options: KafkaOptions) -> Caller {
    let (log, _) = EventLog::open(Host::real(), folder, LogOptions::default()).unwrap();
    let catalog = Catalog::open(log.clone()).unwrap();
    let schedules = Schedules::open(log.clone(), SchedulesOptions::default()).unwrap();
    let broker = Broker::new(log, catalog, schedules, options).unwrap();
    let address = "127.0.0.1:9092".parse().unwrap();
    Caller {
        broker: Arc::clone(broker.inner()),
        connection: 1,
        peer: address,
        local: address,
        principal: Arc::from("anonymous"),
        client_id: String::new(),
        muted_ms: Arc::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_that_is_advertised_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut caller = caller(folder.path());
    for api in APIS {
        for version in api.version_min..=api.version_max {
            for choice in [1, 2, 3] {
                let body = shape::tests::body(api, version, &mut |sides| choice % sides);
                let frame = shape::tests::frame(api, version, &body);
                let pending = handle(&mut caller, frame).await;
                let answer = match pending.unwrap_or_else(|error| panic!("{error}")) {
                    Pending::Ready(answer) => answer,
                    Pending::Later(answer) => answer.await,
                };
                let Answer::Frame(frame) = answer else {
                    panic!("{:?} {version} has no answer", api.key);
                };
                let frame = frame.whole();
                assert_eq!(
                    frame.len(),
                    4 + u32::from_be_bytes(*frame.first_chunk().unwrap()) as usize
                );
                assert_eq!(frame[4..8], [0, 0, 0, 1], "{:?} {version}", api.key);
            }
        }
    }
}
