//! CreateTopics 2.

use anyhow::{Context, bail};
use bytes::{Buf, BufMut};

use super::connection::{Connection, frame};

const CREATE_TOPICS: i16 = 19;
const TOPIC_ALREADY_EXISTS: i16 = 36;

impl Connection {
    /// Creates a topic; fine where it is there.
    pub fn create_topic(&mut self, name: &str, partitions: u32) -> anyhow::Result<()> {
        self.create_topic_with(name, partitions, &[])
    }

    /// Creates a topic with configuration entries; fine where it is there.
    pub fn create_topic_with(&mut self, name: &str, partitions: u32, configs: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut body: Vec<u8> = Vec::new();
        body.put_i32(1);
        put_text(&mut body, name);
        body.put_i32(partitions as i32);
        body.put_i16(1);
        body.put_i32(0);
        body.put_i32(configs.len() as i32);
        for (key, value) in configs {
            put_text(&mut body, key);
            put_text(&mut body, value);
        }
        body.put_i32(30_000);
        body.put_u8(0);
        self.send(&frame(CREATE_TOPICS, 2, &body, 0), &[])?;
        match self.error_of_topic()? {
            0 | TOPIC_ALREADY_EXISTS => Ok(()),
            error => bail!("creating the topic {name} was answered with Kafka's error {error}"),
        }
    }

    /// The error of the one topic that the next answer is about.
    pub fn error_of_topic(&mut self) -> anyhow::Result<i16> {
        let mut answer = self.answer()?;
        // correlation id, throttle time, one topic, its name, then the error
        answer.try_get_i32()?;
        answer.try_get_i32()?;
        answer.try_get_i32()?;
        let name_bytes = answer.try_get_i16()? as usize;
        answer = answer.get(name_bytes..).context("the answer names the topic")?;
        Ok(answer.try_get_i16()?)
    }
}

pub fn put_text(into: &mut Vec<u8>, text: &str) {
    into.put_i16(text.len() as i16);
    into.put_slice(text.as_bytes());
}
