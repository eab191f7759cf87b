//! DeleteTopics 1.

use anyhow::{Context, ensure};
use bytes::{Buf, BufMut};

use super::connection::{Connection, frame};
use super::create::put_text;

const DELETE_TOPICS: i16 = 20;

impl Connection {
    /// Deletes a topic.
    pub fn delete_topic(&mut self, name: &str) -> anyhow::Result<()> {
        let mut body: Vec<u8> = Vec::new();
        body.put_i32(1);
        put_text(&mut body, name);
        body.put_i32(30_000);
        self.send(&frame(DELETE_TOPICS, 1, &body, 0), &[])?;
        let mut answer = self.answer()?;
        // correlation id, throttle time, one topic, its name, then the error
        answer.try_get_i32()?;
        answer.try_get_i32()?;
        answer.try_get_i32()?;
        let name_bytes = answer.try_get_i16()? as usize;
        answer = answer.get(name_bytes..).context("the answer names the topic")?;
        let error = answer.try_get_i16()?;
        ensure!(
            error == 0,
            "deleting the topic {name} was answered with Kafka's error {error}"
        );
        Ok(())
    }
}
