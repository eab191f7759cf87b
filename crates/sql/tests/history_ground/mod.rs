//! Streams whose events are known beside the log, so that what views were can be worked out from them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_eventlog::{Append, Part};
use headwater_lake::DeltaLakes;
use headwater_records::{Batch, Compression, Event, Position};

use crate::scratch::Scratch;

/// An event that was appended, for the views that the streams' tables do not tell: tombstones are not in them.
#[derive(Debug, Clone)]
pub struct Appended {
    pub stream: &'static str,
    pub partition: u32,
    pub offset: u64,
    pub key: String,
    /// `None`: a tombstone.
    pub row: Option<(i64, u32)>,
    /// The day that its writer's timestamp lies in.
    pub written_on: u32,
}

/// An engine, and what was appended to it.
pub struct Ground {
    pub scratch: Scratch,
    /// In the order of appending.
    pub events: Vec<Appended>,
}

/// Where a table is rewound to.
pub struct Moment {
    /// Behind the name of a table of one stream, or of both.
    pub of_s: String,
    pub of_t: String,
    pub of_both: String,
    pub position: Position,
    /// Whether everything below the position was appended before everything else.
    pub is_cut: bool,
}

impl Ground {
    pub fn open(folder: &Path, events: Vec<Appended>) -> Ground {
        let scratch = Scratch::open_over(folder, |views| {
            views.with_lakes(Arc::new(DeltaLakes::start().expect("threads")))
        });
        Ground { scratch, events }
    }

    /// Appends an event to a partition that is not always the one of its key.
    pub fn append(&mut self, number: u64) {
        let stream = if number % 4 == 3 { "t" } else { "s" };
        let partition = u32::try_from((number / 3) % if stream == "s" { 3 } else { 2 }).expect("a partition");
        let key = format!("k{}", (number * number + number / 5) % 4);
        let is_tombstone = number % 9 == 8;
        let day = u32::try_from(1 + (number * 7) % 20).expect("a day");
        let written_on = u32::try_from(1 + (number * 3) % 20).expect("a day");
        let n = i64::try_from(number % 11).expect("a number");
        let name = if stream == "s" { "k" } else { "who" };
        let value = format!(r#"{{"{name}":"{key}","n":{n},"day":"2025-01-{day:02}"}}"#);
        let event = Event {
            key: Some(Bytes::from(key.clone())),
            value: (!is_tombstone).then(|| Bytes::from(value)),
            // 2025-01-01 at noon, and so many days.
            timestamp_ms: 1_735_732_800_000 + i64::from(written_on - 1) * 86_400_000,
            ..Event::default()
        };
        let offset = self
            .scratch
            .log
            .offsets(stream, partition)
            .map_or(0, |offsets| offsets.high_watermark);
        let append = Append {
            parts: vec![Part {
                stream: stream.to_owned(),
                partition,
                batch: Batch::encode(&[event], Compression::None, None),
            }],
            principal: "ann".to_owned(),
            condition: None,
        };
        self.scratch.log.append_blocking(append).expect("a durable append");
        self.events.push(Appended {
            stream,
            partition,
            offset,
            key,
            row: (!is_tombstone).then_some((n, day)),
            written_on,
        });
    }

    pub fn end(&self) -> Position {
        let mut end = Position::new();
        for stream in ["s", "t"] {
            end.advance_all(&self.scratch.log.position(stream).expect("a stream"));
        }
        end
    }

    pub async fn caught_up(&self) {
        let end = self.end();
        for view in self.scratch.engine.views().all() {
            view.wait_for(&end, Duration::from_secs(120))
                .await
                .expect("it gets there");
        }
    }

    /// By position, for the streams that the views read.
    pub fn moment(&self, position: &Position, is_cut: bool) -> Moment {
        let of = |streams: &[&str]| {
            let mut own = Position::new();
            for stream in streams {
                for partition in 0..if *stream == "s" { 3 } else { 2 } {
                    own.set(stream, partition, position.get(stream, partition));
                }
            }
            format!("FOR SYSTEM_TIME AS OF POSITION '{own}'")
        };
        Moment {
            of_s: of(&["s"]),
            of_t: of(&["t"]),
            of_both: of(&["s", "t"]),
            position: position.clone(),
            is_cut,
        }
    }

    /// By the time of the newest event.
    pub async fn now(&mut self) -> Moment {
        let newest = "SELECT max(at) FROM (SELECT max(_appended_at) AS at FROM s UNION ALL SELECT max(_appended_at) FROM t) AS u";
        let newest = self.scratch.run(newest, &[]).await;
        let at = format!("FOR SYSTEM_TIME AS OF TIMESTAMP '{newest}'");
        Moment {
            of_s: at.clone(),
            of_t: at.clone(),
            of_both: at,
            // A tombstone behind that event is not in the streams' tables; it was appended later.
            position: Position::new(),
            is_cut: false,
        }
    }

    pub async fn sorted(&mut self, question: &str) -> Vec<String> {
        let answer = self.scratch.run(question, &[]).await;
        let mut lines: Vec<String> = answer.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The newest rows of these streams below a position, as a KEY view has them: key and what `show` makes of the event.
    pub fn newest(
        &self,
        streams: &[&str],
        holds: impl Fn(&Appended) -> bool,
        show: impl Fn(&Appended, i64, u32) -> String,
    ) -> Vec<String> {
        let mut rows: BTreeMap<&str, String> = BTreeMap::new();
        for event in self
            .events
            .iter()
            .filter(|event| streams.contains(&event.stream) && holds(event))
        {
            match event.row {
                Some((n, day)) => rows.insert(event.key.as_str(), show(event, n, day)),
                None => rows.remove(event.key.as_str()),
            };
        }
        rows.into_values().collect()
    }
}

pub fn below(position: &Position) -> impl Fn(&Appended) -> bool {
    move |event| event.offset < position.get(event.stream, event.partition)
}
