//! Streams made, altered and dropped, and their oldest events deleted: each is an entry of the journal, durable when the function returns.

use std::sync::Arc;

use headwater_records::limits::{NAME_BYTES_MAX, PARTITIONS_MAX};

use crate::append::journal::format::{Entry, payload_bytes_max};
use crate::append::producers::Producers;
use crate::error::StreamError;
use crate::keep::image::Edge;
use crate::keep::image::{PartitionImage, StreamImage};
use crate::log::EventLog;
use crate::read::PartitionReader;
use crate::shared::Shared;
use crate::streams::Stream;
use crate::streams::settings::{SettingError, StreamSettings};
use crate::told::StreamInfo;

impl EventLog {
    /// Creates a stream; durable when this returns.
    pub fn create_stream(
        &self,
        name: &str,
        partitions: u32,
        settings: StreamSettings,
    ) -> Result<StreamInfo, StreamError> {
        self.restore_stream(self.new_stream_id(), name, partitions, settings)
    }

    /// Creates a stream of another log again, with the number that it has there: what is kept by that number finds it. Durable when this returns.
    pub fn restore_stream(
        &self,
        id: u128,
        name: &str,
        partitions: u32,
        settings: StreamSettings,
    ) -> Result<StreamInfo, StreamError> {
        check_name(name)?;
        if partitions == 0 || partitions > PARTITIONS_MAX {
            return Err(StreamError::Invalid(format!(
                "a stream has 1 to {PARTITIONS_MAX} partitions, {partitions} were asked for: choose a number between"
            )));
        }
        self.check_settings(&settings)
            .map_err(|error| refuse_setting(name, error))?;
        let _one_at_a_time = self.shared.definitions.lock();
        if self.shared.stream(name).is_some() {
            return Err(StreamError::Exists(name.to_owned()));
        }
        self.room_for(partitions)?;
        let image = StreamImage {
            name: Arc::from(name),
            settings: Arc::new(settings),
            partitions: vec![PartitionImage::default(); partitions as usize],
        };
        let entry = Entry::StreamCreated {
            id,
            name: image.name.clone(),
            partitions,
            settings: image.settings.clone(),
        };
        self.write_entries(vec![entry], || true)?;
        let stream = Arc::new(Stream::new(id, &image, &Producers::default()));
        self.shared.index_new(&stream);
        let info = stream.info();
        self.shared.streams.write().add(stream);
        self.shared.streams_changed();
        Ok(info)
    }

    /// Changes a stream's settings; durable and in force when this returns. `change` sees what is set now, and nobody changes it meanwhile.
    pub fn alter_stream(
        &self,
        name: &str,
        change: impl FnOnce(&mut StreamSettings) -> Result<(), SettingError>,
    ) -> Result<StreamInfo, StreamError> {
        let _one_at_a_time = self.shared.definitions.lock();
        let stream = self.known(name)?;
        let mut settings = StreamSettings::clone(&stream.settings.read());
        change(&mut settings).map_err(|error| refuse_setting(name, error))?;
        self.check_settings(&settings)
            .map_err(|error| refuse_setting(name, error))?;
        let settings = Arc::new(settings);
        if **stream.settings.read() != *settings {
            let entry = Entry::StreamAltered {
                id: stream.id,
                settings: settings.clone(),
            };
            self.write_entries(vec![entry], || true)?;
            let was_indexed = std::mem::replace(&mut *stream.settings.write(), settings.clone()).is_indexed();
            if was_indexed != settings.is_indexed() {
                self.shared.index_anew(&stream, false);
            }
            self.shared.streams_changed();
        }
        Ok(stream.info())
    }

    /// Drops a stream and its events; durable when this returns.
    pub fn drop_stream(&self, name: &str) -> Result<(), StreamError> {
        let _one_at_a_time = self.shared.definitions.lock();
        let stream = self.known(name)?;
        // From the same step on nobody can append to it, so that no batch of it follows in the journal.
        self.write_entries(vec![Entry::StreamDropped { id: stream.id }], || {
            self.shared.streams.write().remove(&stream);
            true
        })?;
        self.shared.reader.forget(stream.id);
        stream.index.set(None);
        self.shared.desk.leave(stream.id);
        self.shared.streams_changed();
        Ok(())
    }

    /// Deletes the events of a partition below an offset (at most the high watermark), which becomes its start: durable when this returns.
    /// Says where the partition starts now. The disk's space comes back later.
    pub fn delete_records(&self, stream: &str, partition: u32, before: u64) -> Result<u64, StreamError> {
        let unknown = || StreamError::Unknown(stream.to_owned());
        let reader = PartitionReader::new(&self.shared, stream, partition).map_err(|_| unknown())?;
        let high_watermark = reader.partition.high_watermark();
        if before > high_watermark {
            return Err(StreamError::Beyond {
                stream: stream.to_owned(),
                partition,
                before,
                high_watermark,
            });
        }
        self.shared.move_start(&reader, before)?;
        Ok(reader.partition.start().offset)
    }

    fn known(&self, name: &str) -> Result<Arc<Stream>, StreamError> {
        let stream = self.shared.stream(name);
        stream.ok_or_else(|| StreamError::Unknown(name.to_owned()))
    }

    /// Whether the log can keep a stream with these settings.
    pub fn check_settings(&self, settings: &StreamSettings) -> Result<(), SettingError> {
        settings.check()?;
        let options = &self.shared.options;
        let max = payload_bytes_max(options.stands_for_journal_bytes.unwrap_or(options.journal_bytes));
        match settings.batch_bytes_max {
            Some(bytes) if bytes as usize > max => Err(SettingError::Value {
                name: "batch_bytes_max".to_owned(),
                value: bytes.to_string(),
                wanted: format!("at most {max}, what fits into one file of the journal"),
            }),
            _ => Ok(()),
        }
    }

    /// A random id in the layout of a version 4 UUID, as Kafka's topic ids have.
    fn new_stream_id(&self) -> u128 {
        let dice = &self.shared.host.dice;
        let random = (u128::from(dice.roll()) << 64) | u128::from(dice.roll());
        let (version, variant) = (0x4_u128 << 76, 0x2_u128 << 62);
        random & !(0xf_u128 << 76) & !(0x3_u128 << 62) | version | variant
    }
}

impl Shared {
    /// Makes an offset, which is at most the high watermark, the start of a partition, unless that is beyond it already.
    pub(crate) fn move_start(&self, reader: &PartitionReader<'_>, before: u64) -> Result<(), StreamError> {
        if before <= reader.partition.start().offset {
            return Ok(());
        }
        let written = self.folded.write(reader.stream, reader.partition.number, before);
        written.map_err(StreamError::Needed)?;
        let appended_at_us = match reader.appended_before(before) {
            Ok(appended_at_us) => appended_at_us.unwrap_or(i64::MIN),
            // Somebody deleted more meanwhile, or the index is damaged: then every moment up to now counts as expired.
            Err(_) => self.host.clock.now_us(),
        };
        let (stream, partition) = (reader.partition.stream, reader.partition.number);
        let entry = Entry::StartMoved {
            stream,
            partition,
            start: before,
            appended_at_us,
        };
        let still = || self.streams.read().by_id.contains_key(&stream);
        if !self.write_entries(vec![entry], still)? {
            return Err(StreamError::Unknown(reader.stream.to_owned()));
        }
        reader.partition.move_start(Edge {
            offset: before,
            appended_at_us,
        });
        self.streams_changed();
        Ok(())
    }
}

fn refuse_setting(name: &str, error: SettingError) -> StreamError {
    StreamError::Setting {
        name: name.to_owned(),
        error,
    }
}

fn check_name(name: &str) -> Result<(), StreamError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let what = if name.is_empty() {
        "is empty"
    } else if name.len() > NAME_BYTES_MAX {
        "is longer than 249 bytes"
    } else if name == "." || name == ".." {
        "is a folder's"
    } else if !name.bytes().all(allowed) {
        "has other characters than letters, digits, '.', '_' and '-'"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(64).collect();
    Err(StreamError::Invalid(format!(
        "the stream name '{shown}' {what}: choose another"
    )))
}
