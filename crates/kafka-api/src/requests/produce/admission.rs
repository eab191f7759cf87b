//! What a batch must be to be taken, by its stream's settings, and what becomes of it on the way in. Decides only.
//!
//! A batch whose CRC and counts are right is taken without expanding it, unless its stream has a rule about single events: a key that
//! must be there, a time that must not be too long ago. What no rule looked at, every reader can cope with.

use headwater_eventlog::{Packing, StreamSettings, Timestamps};
use headwater_records::{Batch, BatchError, Compression, EventSlice};
use kafka_protocol::ResponseError;

/// How many refused events are described one by one.
const DESCRIBED_MAX: usize = 100;

/// Why a partition's part was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ResponseError,
    pub(super) message: String,
    /// The events that are at fault, by their place in the batch, each with what is wrong.
    pub(super) events: Vec<(i32, String)>,
}

impl Refusal {
    pub(super) fn new(code: ResponseError, message: String) -> Refusal {
        Refusal {
            code,
            message,
            events: Vec::new(),
        }
    }
}

impl Refusal {
    /// The batch is not taken because of one of its records.
    pub(super) fn of_record(index: i32, why: String) -> Refusal {
        Refusal {
            code: ResponseError::InvalidRecord,
            message: format!("the batch was not taken, because of its record {index}: {why}"),
            events: vec![(index, why)],
        }
    }
}

impl From<BatchError> for Refusal {
    fn from(error: BatchError) -> Refusal {
        let code = match error {
            BatchError::Short { .. } | BatchError::Crc { .. } => ResponseError::CorruptMessage,
            BatchError::Magic { .. } => ResponseError::UnsupportedForMessageFormat,
            BatchError::Malformed(_) => ResponseError::InvalidRecord,
        };
        Refusal::new(code, error.to_string())
    }
}

/// The rules of a stream about what is written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// Every event needs a key: the stream is compacted by it.
    keyed: bool,
    timestamps: Timestamps,
    before_ms_max: Option<u64>,
    after_ms_max: Option<u64>,
    packing: Packing,
}

impl Rules {
    pub(super) fn of(settings: &StreamSettings) -> Rules {
        Rules {
            keyed: settings.cleanup().compact,
            timestamps: settings.timestamps(),
            before_ms_max: settings.timestamp_before_ms_max(),
            after_ms_max: settings.timestamp_after_ms_max(),
            packing: settings.compression(),
        }
    }

    /// Whether a batch has to be expanded before it can be taken: worth a thread of its own where it is large.
    pub(super) fn expands(&self, batch: &Batch, now_ms: i64) -> bool {
        batch.compression() != Compression::None
            && (self.looks_at_events(batch, now_ms) || self.repacks(batch).is_some())
    }

    /// Checks a batch and makes of it what is kept.
    pub(super) fn admit(&self, batch: Batch, now_ms: i64) -> Result<Batch, Refusal> {
        if self.looks_at_events(&batch, now_ms) {
            self.check_events(&batch, now_ms)?;
        }
        let batch = match self.repacks(&batch) {
            Some(compression) => batch.recompressed(compression)?,
            None => batch,
        };
        match self.timestamps {
            Timestamps::Create => Ok(batch),
            Timestamps::Append => Ok(batch.appended_at(now_ms)),
        }
    }

    fn repacks(&self, batch: &Batch) -> Option<Compression> {
        match self.packing {
            Packing::Always(compression) if compression != batch.compression() => Some(compression),
            _ => None,
        }
    }

    fn looks_at_events(&self, batch: &Batch, now_ms: i64) -> bool {
        let timed = self.timestamps == Timestamps::Create;
        self.keyed || timed && (self.before_ms_max.is_some() || self.is_ahead(batch.timestamp_ms_max(), now_ms))
    }

    fn is_ahead(&self, timestamp_ms: i64, now_ms: i64) -> bool {
        let ahead = i128::from(timestamp_ms) - i128::from(now_ms);
        self.after_ms_max.is_some_and(|max| ahead > i128::from(max))
    }

    fn is_behind(&self, timestamp_ms: i64, now_ms: i64) -> bool {
        let behind = i128::from(now_ms) - i128::from(timestamp_ms);
        // -1 says that the writer has no clock.
        timestamp_ms != -1 && self.before_ms_max.is_some_and(|max| behind > i128::from(max))
    }

    fn check_events(&self, batch: &Batch, now_ms: i64) -> Result<(), Refusal> {
        let mut refused: Vec<(i32, ResponseError, String)> = Vec::new();
        let mut count = 0_u32;
        for (index, event) in batch.open()?.iter().enumerate() {
            let event = event?;
            event.check_headers()?;
            if let Some((code, why)) = self.fault(&event, now_ms) {
                count += 1;
                if refused.len() < DESCRIBED_MAX {
                    refused.push((index as i32, code, why));
                }
            }
        }
        // Kafka answers with the first event's error.
        let Some((_, code, first)) = refused.first().cloned() else {
            return Ok(());
        };
        let message = format!(
            "{count} of the batch's {} events are refused; the first: {first}",
            batch.event_count()
        );
        let events = refused.into_iter().map(|(index, _, why)| (index, why)).collect();
        Err(Refusal { code, message, events })
    }

    fn fault(&self, event: &EventSlice<'_>, now_ms: i64) -> Option<(ResponseError, String)> {
        if self.keyed && event.key.is_none() {
            let why = "it has no key, by which its stream is compacted".to_owned();
            return Some((ResponseError::InvalidRecord, why));
        }
        if self.timestamps == Timestamps::Append {
            return None;
        }
        let timestamp_ms = event.timestamp_ms;
        let (what, max) = if self.is_ahead(timestamp_ms, now_ms) {
            ("ahead of", self.after_ms_max)
        } else if self.is_behind(timestamp_ms, now_ms) {
            ("behind", self.before_ms_max)
        } else {
            return None;
        };
        let why = format!(
            "its timestamp {timestamp_ms} is more than {} ms {what} the broker's clock, which says {now_ms}",
            max.unwrap_or_default()
        );
        Some((ResponseError::InvalidTimestamp, why))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_eventlog::{Cleanup, Keep};
    use headwater_records::Event;

    use super::*;

    const NOW_MS: i64 = 10_000_000;

    /// A batch of events, each a key and a timestamp.
    fn batch(events: &[(Option<&'static str>, i64)], compression: Compression) -> Batch {
        let event = |(key, timestamp_ms): &(Option<&'static str>, i64)| Event {
            key: key.map(|key| Bytes::from_static(key.as_bytes())),
            value: Some(Bytes::from_static(b"v")),
            timestamp_ms: *timestamp_ms,
            ..Event::default()
        };
        let events: Vec<Event> = events.iter().map(event).collect();
        Batch::encode(&events, compression, None)
    }

    fn check(
        settings: &StreamSettings,
        events: &[(Option<&'static str>, i64)],
        expected: Result<(), (ResponseError, &[i32])>,
    ) {
        for compression in [Compression::None, Compression::Zstd] {
            let admitted = Rules::of(settings).admit(batch(events, compression), NOW_MS);
            let found = match &admitted {
                Ok(_) => Ok(()),
                Err(refusal) => Err((refusal.code, refusal.events.iter().map(|(index, _)| *index).collect())),
            };
            let expected: Result<(), (ResponseError, Vec<i32>)> = expected.map_err(|(code, at)| (code, at.to_vec()));
            assert_eq!(found, expected, "{events:?} {compression:?}");
        }
    }

    #[test]
    fn keys_and_times_are_what_the_stream_asks_for() {
        let compacted = StreamSettings {
            cleanup: Some(Cleanup {
                delete: false,
                compact: true,
            }),
            ..StreamSettings::default()
        };
        check(&StreamSettings::default(), &[(None, NOW_MS)], Ok(()));
        check(&compacted, &[(Some("k"), NOW_MS)], Ok(()));
        let keyless = [(Some("k"), NOW_MS), (None, NOW_MS), (None, NOW_MS)];
        check(&compacted, &keyless, Err((ResponseError::InvalidRecord, &[1, 2])));
        // An hour ahead is taken by default, and any time ago.
        let hour_ms = 3_600_000;
        let late = [(None, NOW_MS + hour_ms), (None, -1), (None, 0)];
        check(&StreamSettings::default(), &late, Ok(()));
        let too_late = [(None, NOW_MS + hour_ms + 1), (None, i64::MAX)];
        check(
            &StreamSettings::default(),
            &too_late,
            Err((ResponseError::InvalidTimestamp, &[0, 1])),
        );
        let bounded = StreamSettings {
            timestamp_before_ms_max: Some(Keep::AtMost(10)),
            timestamp_after_ms_max: Some(Keep::Forever),
            ..StreamSettings::default()
        };
        let times = [
            (None, NOW_MS - 10),
            (None, NOW_MS - 11),
            (None, i64::MAX),
            (None, i64::MIN),
            (None, -1),
        ];
        check(&bounded, &times, Err((ResponseError::InvalidTimestamp, &[1, 3])));
        // Where the append's moment counts, a writer's clock may say anything.
        let stamped = StreamSettings {
            timestamps: Some(Timestamps::Append),
            ..bounded
        };
        check(&stamped, &times, Ok(()));
    }

    #[test]
    fn what_is_kept_is_stamped_and_compressed_as_the_stream_says() {
        let settings = StreamSettings {
            timestamps: Some(Timestamps::Append),
            compression: Some(Packing::Always(Compression::Lz4)),
            ..StreamSettings::default()
        };
        let rules = Rules::of(&settings);
        for compression in [Compression::None, Compression::Lz4, Compression::Gzip] {
            let sent = batch(&[(None, 1), (None, 2)], compression);
            assert_eq!(rules.expands(&sent, NOW_MS), compression == Compression::Gzip);
            let kept = rules.admit(sent, NOW_MS).unwrap();
            assert_eq!((kept.compression(), kept.is_append_time()), (Compression::Lz4, true));
            assert_eq!(kept.events().unwrap()[1].1.timestamp_ms, NOW_MS);
        }
        let sent = batch(&[(None, NOW_MS)], Compression::Gzip);
        let rules = Rules::of(&StreamSettings::default());
        assert!(!rules.expands(&sent, NOW_MS));
        assert_eq!(rules.admit(sent.clone(), NOW_MS), Ok(sent));
    }

    #[test]
    fn a_compressed_batch_is_taken_unopened_unless_a_rule_looks_inside() {
        // A batch that says it is compressed and is not.
        let mut forged = batch(&[(Some("k"), NOW_MS)], Compression::None).bytes().to_vec();
        forged[22] = 4;
        let crc = crc32c::crc32c(&forged[21..]);
        forged[17..21].copy_from_slice(&crc.to_be_bytes());
        let forged = Batch::take(&mut Bytes::from(forged)).unwrap();
        assert!(
            Rules::of(&StreamSettings::default())
                .admit(forged.clone(), NOW_MS)
                .is_ok()
        );
        let bounded = StreamSettings {
            timestamp_before_ms_max: Some(Keep::AtMost(10)),
            ..StreamSettings::default()
        };
        let refused = Rules::of(&bounded).admit(forged, NOW_MS).unwrap_err();
        assert_eq!(refused.code, ResponseError::InvalidRecord);
    }
}
