//! DescribeTransactions: where transactional ids stand, and which partitions their open transactions have.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;

pub(super) type Request = DescribeTransactionsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DescribeTransactionsResponse {
    let describe = |id: TransactionalId| describe(caller, id);
    DescribeTransactionsResponse::default()
        .with_transaction_states(request.transactional_ids.into_iter().map(describe).collect())
}

fn describe(caller: &Caller, id: TransactionalId) -> TransactionState {
    let known = caller.broker.transactions.look(&id);
    let described = TransactionState::default().with_transactional_id(id);
    let Some(known) = known else {
        return described.with_error_code(ResponseError::TransactionalIdNotFound.code());
    };
    let mut topics: Vec<TopicData> = Vec::new();
    for (stream, (_, numbers)) in known.open().into_iter().flat_map(|open| &open.streams) {
        topics.push(
            TopicData::default()
                .with_topic(TopicName(StrBytes::from_string(stream.clone())))
                .with_partitions(numbers.iter().map(|number| number.cast_signed()).collect()),
        );
    }
    described
        .with_transaction_state(StrBytes::from_static_str(known.state_name()))
        .with_transaction_timeout_ms(known.timeout_ms)
        .with_transaction_start_time_ms(known.open().map_or(-1, |open| open.began_ms))
        .with_producer_id(ProducerId(known.producer_id))
        .with_producer_epoch(known.epoch)
        .with_topics(topics)
}
