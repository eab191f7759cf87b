//! The first events of Nexmark's generator, a line each: `headwater-nexmark [EVENTS]` (1,000,000).
//!
//! A line is the name of the stream, a tab, the event's key, a tab, and its value as JSON. Times are ISO 8601; everything else is as the
//! generator (the crate `nexmark`, after Tucker et al., "NEXMark: A Benchmark for Queries over Data Streams") makes it, the same in each run.

use std::io::{BufWriter, Write};

use anyhow::Context;
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event;
use serde_json::Value;

const EVENTS: usize = 1_000_000;
/// When the first event happens, milliseconds since 1970: 2015-07-15, as in Beam's Nexmark.
const BEGUN_MS: u64 = 1_436_918_400_000;
/// The fields that are moments, in milliseconds since 1970.
const MOMENTS: [&str; 2] = ["date_time", "expires"];

fn main() -> anyhow::Result<()> {
    let events = match std::env::args().nth(1) {
        Some(text) => text.parse().context("EVENTS is no number")?,
        None => EVENTS,
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    let config = NexmarkConfig {
        base_time: BEGUN_MS,
        ..NexmarkConfig::default()
    };
    for event in EventGenerator::new(config).take(events) {
        let (stream, key, value) = match &event {
            Event::Person(person) => ("person", person.id, serde_json::to_value(person)?),
            Event::Auction(auction) => ("auction", auction.id, serde_json::to_value(auction)?),
            Event::Bid(bid) => ("bid", bid.auction, serde_json::to_value(bid)?),
        };
        writeln!(out, "{stream}\t{key}\t{}", with_moments(value)?)?;
    }
    Ok(out.flush()?)
}

fn with_moments(mut value: Value) -> anyhow::Result<Value> {
    for name in MOMENTS {
        if let Some(moment) = value.get_mut(name) {
            let milliseconds = moment.as_i64().context("a moment is no number")?;
            *moment = Value::from(jiff::Timestamp::from_millisecond(milliseconds)?.to_string());
        }
    }
    Ok(value)
}
