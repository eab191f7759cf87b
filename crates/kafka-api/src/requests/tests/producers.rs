//! Producers as an administrator sees them.

use headwater_catalog::CreateMode;
use headwater_eventlog::{Append, Part, StreamSettings};
use headwater_records::{Batch, Compression, Event, Producer};
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::{DescribeProducersRequest, InitProducerIdRequest, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;

use super::*;

/// A new producer's id.
async fn init(caller: &Caller, transactional_id: Option<&'static str>) -> i64 {
    let id = transactional_id.map(|id| TransactionalId(StrBytes::from_static_str(id)));
    let request = InitProducerIdRequest::default()
        .with_transactional_id(id)
        .with_transaction_timeout_ms(60_000);
    let answer = init_producer_id::answer(caller, request, 4).await;
    assert_eq!(answer.error_code, 0, "{answer:?}");
    answer.producer_id.0
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_transactional_producer_has_a_coordinator() {
    let folder = tempfile::tempdir().unwrap();
    let caller = caller(folder.path());
    let broker = &caller.broker;
    let created = broker.create_topic("t", 1, StreamSettings::default(), CreateMode::Create, "ann");
    created.await.unwrap();
    let plain = init(&caller, None).await;
    let transactional = init(&caller, Some("x")).await;
    for id in [plain, transactional] {
        let producer = Producer {
            id,
            epoch: 0,
            base_sequence: 0,
        };
        let append = Append {
            parts: vec![Part {
                stream: "t".to_owned(),
                partition: 0,
                batch: Batch::encode(&[Event::default()], Compression::None, Some(producer)),
            }],
            principal: "ann".to_owned(),
            condition: None,
        };
        broker.log.append(append).await.unwrap();
    }
    let topic = TopicRequest::default()
        .with_name(TopicName(StrBytes::from_static_str("t")))
        .with_partition_indexes(vec![0]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic]);
    let answer = describe_producers::answer(&caller, request, 0).await;
    let producers = answer.topics[0].partitions[0].active_producers.iter();
    let mut told: Vec<(i64, i32)> = producers
        .map(|producer| (producer.producer_id.0, producer.coordinator_epoch))
        .collect();
    told.sort_unstable();
    let mut expected = vec![(plain, -1), (transactional, 0)];
    expected.sort_unstable();
    assert_eq!(told, expected);
}
