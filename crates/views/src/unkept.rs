//! What a view would be without if it were built anew now: events that went into its rows once, and that its streams no longer keep.

use std::sync::atomic::Ordering;

use headwater_eventlog::EventLog;

use crate::View;
use crate::query::Query;

/// The beginning of a partition that is no longer kept as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unkept {
    /// The stream.
    pub stream: String,
    /// The partition.
    pub partition: u32,
    /// From here on every event is there.
    pub upto: u64,
    /// Whether some of them are left: compaction took out what newer ones superseded.
    pub is_thinned: bool,
}

impl Unkept {
    /// Those of a query's streams. What compaction takes out is nothing to a query that shows the newest of each key.
    pub(crate) fn of(query: &Query, log: &EventLog) -> Vec<Unkept> {
        let mut unkept = Vec::new();
        for stream in query.streams() {
            let partitions = log.stream(stream).map_or(0, |info| info.partitions);
            for partition in 0..partitions {
                let Some(offsets) = log.offsets(stream, partition) else {
                    continue;
                };
                let is_thinned = offsets.compacted > offsets.start && !query.needs_newest_alone(stream);
                let upto = if is_thinned { offsets.compacted } else { offsets.start };
                if upto > 0 {
                    unkept.push(Unkept {
                        stream: stream.to_owned(),
                        partition,
                        upto,
                        is_thinned,
                    });
                }
            }
        }
        unkept
    }
}

impl View {
    /// How many events went into the rows, at most, that the streams no longer keep.
    pub(crate) fn unkept_events(&self, log: &EventLog) -> u64 {
        let position = self.position();
        let unkept = Unkept::of(&self.query, log).into_iter();
        let folded = unkept.map(|unkept| unkept.upto.min(position.get(&unkept.stream, unkept.partition)));
        folded.sum::<u64>().saturating_sub(self.lacking.load(Ordering::Relaxed))
    }
}
