//! WriteTxnMarkers: how an administrator's tool aborts a transaction that hangs. It is taken back whole, in all its partitions, and
//! its producer fenced: there is no other way for it to be all or none. Markers of commits are the coordinator's own, and refused.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use crate::caller::Caller;

pub(super) type Request = WriteTxnMarkersRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> WriteTxnMarkersResponse {
    let mut results: Vec<WritableTxnMarkerResult> = Vec::with_capacity(request.markers.len());
    for marker in request.markers {
        let done = abort(caller, &marker).await;
        let topics = marker
            .topics
            .into_iter()
            .map(|topic| told(caller, topic, done))
            .collect();
        let result = WritableTxnMarkerResult::default().with_producer_id(marker.producer_id);
        results.push(result.with_topics(topics));
    }
    WriteTxnMarkersResponse::default().with_markers(results)
}

async fn abort(caller: &Caller, marker: &WritableTxnMarker) -> Result<(), ResponseError> {
    if marker.transaction_result {
        return Err(ResponseError::InvalidRequest);
    }
    let broker = &caller.broker;
    let who = (marker.producer_id.0, marker.producer_epoch);
    let offsets = &broker.groups.offsets;
    broker.transactions.take_back(offsets, who, &caller.principal).await
}

fn told(
    caller: &Caller,
    topic: WritableTxnMarkerTopic,
    done: Result<(), ResponseError>,
) -> WritableTxnMarkerTopicResult {
    let partitions = caller.broker.log.stream(&topic.name).map_or(0, |info| info.partitions);
    let result = |index: i32| {
        let known = u32::try_from(index).is_ok_and(|partition| partition < partitions);
        let code = match (known, done) {
            (false, _) => ResponseError::UnknownTopicOrPartition.code(),
            (true, Err(code)) => code.code(),
            (true, Ok(())) => 0,
        };
        WritableTxnMarkerPartitionResult::default()
            .with_partition_index(index)
            .with_error_code(code)
    };
    let results = topic.partition_indexes.into_iter().map(result).collect();
    WritableTxnMarkerTopicResult::default()
        .with_name(topic.name)
        .with_partitions(results)
}
