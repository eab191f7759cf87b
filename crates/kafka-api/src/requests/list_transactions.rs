//! ListTransactions: every transactional id, filtered by state, producer, how long its transaction is open, and a pattern.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse, ProducerId, TransactionalId};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;
use crate::patterns;
use crate::transactions::Transaction;

pub(super) type Request = ListTransactionsRequest;

/// Kafka's names for the states there are, of which some never last here.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "PrepareEpochFence",
    "Dead",
];

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> ListTransactionsResponse {
    let (known, unknown): (Vec<StrBytes>, Vec<StrBytes>) = request
        .state_filters
        .iter()
        .cloned()
        .partition(|name| STATES.contains(&name.as_str()));
    let pattern = match request
        .transactional_id_pattern
        .as_deref()
        .filter(|text| !text.is_empty())
    {
        // Of the whole id, as in Java.
        Some(text) => match patterns::of_texts(text) {
            Ok(pattern) => Some(pattern),
            Err(_) => {
                return ListTransactionsResponse::default()
                    .with_error_code(ResponseError::InvalidRegularExpression.code());
            }
        },
        None => None,
    };
    let now_ms = caller.broker.groups.now_ms().cast_signed();
    let is_wanted = |(id, transaction): &(String, Transaction)| {
        let state = transaction.state_name();
        let began_ms = transaction.open().map(|open| open.began_ms);
        (request.state_filters.is_empty() || known.iter().any(|name| name.as_str() == state))
            && (request.producer_id_filters.is_empty()
                || request
                    .producer_id_filters
                    .contains(&ProducerId(transaction.producer_id)))
            && (request.duration_filter < 0
                || began_ms.is_some_and(|began_ms| now_ms - began_ms > request.duration_filter))
            && pattern.as_ref().is_none_or(|pattern| pattern.is_match(id.as_bytes()))
    };
    let listed = caller.broker.transactions.list().into_iter().filter(is_wanted);
    let state = |(id, transaction): (String, Transaction)| {
        TransactionState::default()
            .with_transactional_id(TransactionalId(StrBytes::from_string(id)))
            .with_producer_id(ProducerId(transaction.producer_id))
            .with_transaction_state(StrBytes::from_static_str(transaction.state_name()))
    };
    ListTransactionsResponse::default()
        .with_unknown_state_filters(unknown)
        .with_transaction_states(listed.map(state).collect())
}
