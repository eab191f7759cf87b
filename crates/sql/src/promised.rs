//! Events that were to be appended later, as they are written once they are due: through the upcasters that came in between.

use std::sync::{Arc, Weak};

use headwater_eventlog::StoredBatch;
use headwater_records::{Batch, Compression, Event};
use headwater_schedules::Streams;

use crate::SqlError;
use crate::encode::EventEncoder;
use crate::inner::Inner;
use crate::question::upcast;

/// The schemas of streams, for those who append later. It keeps nobody.
pub(crate) struct Schemas(Weak<Inner>);

impl Schemas {
    pub(crate) fn of(inner: &Arc<Inner>) -> Schemas {
        Schemas(Arc::downgrade(inner))
    }
}

impl Streams for Schemas {
    fn version(&self, stream: &str) -> Option<u32> {
        let Schemas(inner) = self;
        let definition = inner.upgrade()?.catalog.stream(stream)?;
        Some(definition.version())
    }

    fn as_written_now(&self, stream: &str, version: u32, events: &[Event]) -> Result<Vec<Event>, String> {
        let Schemas(inner) = self;
        let inner = inner.upgrade().ok_or("the program is stopping")?;
        let why = |error: SqlError| error.message;
        let definition = inner
            .catalog
            .stream(stream)
            .ok_or_else(|| format!("there is no stream '{stream}'"))?;
        let decoder = upcast::decoder(&inner, &definition).map_err(why)?;
        let decoder = decoder.written_with(version);
        let encoder = inner.encoders.of(&definition, inner.catalog.schemas()).map_err(why)?;
        // Without an upcaster in between the bytes are read as they are.
        let is_upcast = definition.read_with(version) != definition.version();
        let mut written: Vec<Event> = Vec::with_capacity(events.len());
        for event in events {
            if event.value.is_none() {
                written.push(event.clone());
                continue;
            }
            let stored = StoredBatch {
                batch: Batch::encode(std::slice::from_ref(event), Compression::None, None),
                // Not before any schema that it may name.
                appended_at_us: i64::MAX,
                principal: "".into(),
            };
            let decoded = decoder.decode(0, &[stored], 0, u64::MAX, None);
            if let Some(parked) = decoded.parked.into_iter().next() {
                return Err(format!(
                    "it does not fit the stream's columns any more: {}",
                    parked.reason
                ));
            }
            if !is_upcast {
                written.push(event.clone());
                continue;
            }
            let rows = decoded.rows;
            if rows.num_rows() != 1 {
                return Err("the stream's upcasters make no row of it".to_owned());
            }
            written.push(as_row(&encoder, &rows, event)?);
        }
        Ok(written)
    }
}

/// An event whose value is a row, and otherwise another event.
fn as_row(
    encoder: &EventEncoder,
    rows: &datafusion::arrow::record_batch::RecordBatch,
    event: &Event,
) -> Result<Event, String> {
    let own: Vec<usize> = (0..encoder.schema().fields().len()).collect();
    let rows = rows.project(&own).map_err(|error| error.to_string())?;
    let made = encoder
        .encode(&rows, event.timestamp_ms)
        .map_err(|error| error.message)?;
    let made = made.into_iter().next().ok_or("no event came of its row")?;
    Ok(Event {
        key: made.key.or_else(|| event.key.clone()),
        value: made.value,
        ..event.clone()
    })
}
