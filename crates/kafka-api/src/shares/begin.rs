//! Where a share group begins to read a stream: in all partitions at once that the stream has then. One that it gets later is read from its start, so that
//! nothing is passed by that is written to it before the group's first look.

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use parking_lot::Mutex;

use super::deliveries::Deliveries;
use super::record::Key;
use super::{Saved, Shares};
use crate::share_begins::ShareBegins;

type ByKey = HashMap<Key, Arc<Mutex<Deliveries>>>;

impl Shares {
    /// The partition's deliveries; the first reader decides where those of the whole stream begin.
    pub(super) async fn deliveries(
        &self,
        key: &Key,
        stream: &str,
        begins: ShareBegins,
    ) -> Result<Arc<Mutex<Deliveries>>, ResponseError> {
        loop {
            if let Some(known) = self.known(key) {
                return Ok(known);
            }
            let is_read = reads(&self.by_key.lock(), key);
            let starts = match is_read {
                true => vec![(
                    key.partition,
                    self.first(stream, key.partition, ShareBegins::Earliest).await?,
                )],
                false => self.starts(key, stream, begins).await?,
            };
            let saved = {
                let mut by_key = self.by_key.lock();
                if reads(&by_key, key) != is_read {
                    // Somebody else was faster, or the group's positions were deleted meanwhile.
                    continue;
                }
                self.begin(&mut by_key, key, &starts)
            };
            saved.await.unwrap_or(Err(ResponseError::UnknownServerError))?;
        }
    }

    /// Where each partition of a stream begins that the group has not read.
    async fn starts(&self, key: &Key, stream: &str, begins: ShareBegins) -> Result<Vec<(u32, u64)>, ResponseError> {
        let info = self.log.stream(stream).filter(|info| key.partition < info.partitions);
        let info = info.ok_or(ResponseError::UnknownTopicOrPartition)?;
        let mut starts: Vec<(u32, u64)> = Vec::with_capacity(info.partitions as usize);
        for partition in 0..info.partitions {
            starts.push((partition, self.first(stream, partition, begins).await?));
        }
        Ok(starts)
    }

    /// Begins these partitions in one step; durable when the receiver says so.
    fn begin(&self, by_key: &mut ByKey, key: &Key, starts: &[(u32, u64)]) -> Saved {
        let mut new: Vec<(Key, Deliveries)> = Vec::with_capacity(starts.len());
        for (partition, start) in starts {
            let key = Key {
                partition: *partition,
                ..key.clone()
            };
            if !by_key.contains_key(&key) {
                new.push((key, Deliveries::new(*start)));
            }
        }
        let saved = self.write_all(new.iter().map(|(key, deliveries)| (key, Some(deliveries))));
        by_key.extend(
            new.into_iter()
                .map(|(key, deliveries)| (key, Arc::new(Mutex::new(deliveries)))),
        );
        saved
    }

    /// The first offset of a partition for a group that begins there.
    async fn first(&self, stream: &str, partition: u32, begins: ShareBegins) -> Result<u64, ResponseError> {
        let offsets = self.log.offsets(stream, partition);
        let offsets = offsets.ok_or(ResponseError::UnknownTopicOrPartition)?;
        let within_ms = match begins {
            ShareBegins::Earliest => return Ok(offsets.start),
            ShareBegins::Latest => return Ok(offsets.high_watermark),
            ShareBegins::Within(ms) => ms,
        };
        let since_ms = self.clock.now_ms().saturating_sub(within_ms).cast_signed();
        let name = stream.to_owned();
        let found = self
            .ask(move |log| log.offset_for_timestamp(&name, partition, since_ms))
            .await?;
        Ok(found.flatten().map_or(offsets.high_watermark, |(offset, _)| offset))
    }
}

/// Whether the group reads the stream.
fn reads(by_key: &ByKey, of: &Key) -> bool {
    by_key
        .keys()
        .any(|key| key.stream_id == of.stream_id && key.group == of.group)
}
