//! DeleteTopics 1.

use anyhow::ensure;
use bytes::BufMut;

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
        let error = self.error_of_topic()?;
        ensure!(
            error == 0,
            "deleting the topic {name} was answered with Kafka's error {error}"
        );
        Ok(())
    }
}
