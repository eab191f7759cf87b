//! The lightest client that speaks Kafka's Produce: one request encoded once, sent again and again.
//!
//! A client library would cost more than the program measured. Produce version 7, acks=all (KIP-98's batch format,
//! `ProduceRequest` in Kafka's protocol guide).

use std::net::SocketAddr;

use anyhow::ensure;
use bytes::{BufMut, BytesMut};
use headwater_records::{Batch, Compression, Event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PRODUCE: i16 = 0;
const PRODUCE_VERSION: i16 = 7;
const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;

/// One connection that produces.
pub struct Producer {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Producer {
    /// Connects to the Kafka door.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Producer> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Producer {
            stream,
            answer: Vec::new(),
        })
    }

    /// Sends one request and waits for its acknowledgement.
    pub async fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        let length = self.stream.read_i32().await?;
        self.answer.resize(usize::try_from(length)?, 0);
        self.stream.read_exact(&mut self.answer).await?;
        // correlation id, one topic, its name, one partition, its index: then the error code
        let topic_bytes = i16::from_be_bytes([self.answer[8], self.answer[9]]) as usize;
        let at = 4 + 4 + 2 + topic_bytes + 4 + 4;
        let error = i16::from_be_bytes([self.answer[at], self.answer[at + 1]]);
        ensure!(error == 0, "produce was answered with Kafka's error {error}");
        Ok(())
    }
}

/// The frame of a Produce request of one batch for one partition.
pub fn request(stream: &str, partition: i32, events: &[Event]) -> Vec<u8> {
    let batch = Batch::encode(events, Compression::None, None);
    let mut body = BytesMut::new();
    body.put_i16(PRODUCE);
    body.put_i16(PRODUCE_VERSION);
    body.put_i32(1);
    body.put_i16(-1);
    body.put_i16(-1);
    body.put_i16(ACKS_ALL);
    body.put_i32(TIMEOUT_MS);
    body.put_i32(1);
    body.put_i16(stream.len() as i16);
    body.put_slice(stream.as_bytes());
    body.put_i32(1);
    body.put_i32(partition);
    body.put_i32(batch.bytes().len() as i32);
    body.put_slice(batch.bytes());
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&(body.len() as i32).to_be_bytes());
    frame.extend_from_slice(&body);
    frame
}

/// An event of the bank: one deposit.
pub fn deposit(account: u64, cents: u64) -> Event {
    let value = format!(
        r#"{{"account":"account-{account}","kind":"deposit","amount":{}.{:02},"teller":"ann"}}"#,
        cents / 100,
        cents % 100
    );
    Event {
        key: Some(format!("account-{account}").into()),
        value: Some(value.into()),
        ..Event::default()
    }
}

/// The bank's stream and view.
pub const BANK_SQL: &str = "\
CREATE STREAM IF NOT EXISTS transactions (
  account TEXT NOT NULL, kind TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, teller TEXT
) KEY (account) WITH (partitions = 4);
CREATE MATERIALIZED VIEW IF NOT EXISTS balances STORED AS document AS
SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries,
       max(_timestamp) AS updated_at
FROM transactions GROUP BY account;
";
