//! A small client on Kafka's protocol, for one broker: it costs so little that the broker is what is measured.
//!
//! Blocking, one connection, requests encoded once and sent again and again; versions that need no tagged fields and that both
//! brokers speak (Produce 7, Fetch 4, CreateTopics 2, DeleteTopics 1). Source: `clients/src/main/resources/common/message` of Apache Kafka.

mod connection;
mod create;
mod delete;
mod fetch;
mod produce;

pub use connection::Connection;
pub use fetch::FetchRequest;
pub use produce::{Load, ProduceRequest, Producer, batch};
