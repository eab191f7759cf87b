//! `POST /events`: events of one or several streams, all or none, under a condition.
//!
//! ```json
//! {"events": [{"stream": "seats", "value": {…}}, …], "condition": {"after": "seats/0@42", "none_of": [{"tags": ["course:c1"]}]}}
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use headwater_catalog::condition::read_condition;
use headwater_commands::{ClientAppend, StreamEvents};
use headwater_records::Address;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::appending::{self, answer};
use crate::body;
use crate::door::Door;
use crate::heeded::{self, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH};
use crate::problem::Problem;
use crate::request;
use crate::streams::envelope::{Envelope, Given, Place, as_written, events, said};
use crate::streams::stream;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with events")]
struct Written {
    events: Vec<Envelope>,
    /// `null` is a condition that cannot be read, and not none.
    #[serde(default, deserialize_with = "as_written")]
    condition: Option<Box<RawValue>>,
}

/// Appends.
pub(crate) async fn append(State(door): State<Arc<Door>>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    request::json_alone(&headers)?;
    if headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH) {
        let detail = "If-Match speaks of one entity: write its version into the condition, {\"stream\": …, \"key\": …, \"version\": …}";
        return Err(Problem::bad_request(detail).code("malformed_condition"));
    }
    heeded::by_writer(&headers, &[IDEMPOTENCY_KEY])?;
    let body = body::whole(&headers, body, door.options.body_bytes_max).await?;
    let written: Written = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!(
            "the body is no append: {error}; send {{\"events\": [{{\"stream\": …, \"value\": …}}], \"condition\": …}}"
        );
        Problem::bad_request(detail).code("malformed_append")
    })?;
    if written.events.is_empty() {
        return Err(Problem::bad_request("the list of events is empty").code("no_event"));
    }
    let condition = match &written.condition {
        None => None,
        Some(condition) => {
            let catalog = door.state.engine.catalog();
            let streams = |name: Option<&str>| catalog.streams_named(name);
            Some(read_condition(condition.get().as_bytes(), &streams)?)
        }
    };
    let ByStream { given, places, said } = by_stream(written.events)?;
    let starts: Vec<usize> = starts(&given);
    let once = appending::once(&headers, || said)?;
    let landed = match streams(&door, given) {
        Ok(streams) => {
            let append = ClientAppend {
                streams,
                condition,
                once,
            };
            appending::append(&door, append).await?
        }
        Err(unfit) => appending::landed_before(&door, once.as_ref(), unfit).await?,
    };
    let mut addresses: Vec<Address> = Vec::with_capacity(places.len());
    for (lane, index) in places {
        let at = starts.get(lane).map_or(index, |start| start + index);
        addresses.extend(landed.addresses.get(at).cloned());
    }
    Ok(answer(&addresses, &landed, None))
}

/// Where the events of each stream begin among all of them.
fn starts(given: &[(String, Vec<Given>)]) -> Vec<usize> {
    let mut next = 0;
    let mut starts: Vec<usize> = Vec::with_capacity(given.len());
    for (_, given) in given {
        starts.push(next);
        next += given.len();
    }
    starts
}

/// What a request gives, stream by stream.
struct ByStream {
    given: Vec<(String, Vec<Given>)>,
    /// For each event of the request, to which of the streams it went, and as the how manieth.
    places: Vec<(usize, usize)>,
    /// What the request says of them.
    said: Vec<u8>,
}

fn by_stream(written: Vec<Envelope>) -> Result<ByStream, Problem> {
    let mut lanes: BTreeMap<String, usize> = BTreeMap::new();
    let mut given: Vec<(String, Vec<Given>)> = Vec::new();
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(written.len());
    for (index, mut event) in written.into_iter().enumerate() {
        let place = Place::Event(index + 1);
        let Some(stream) = event.stream.take() else {
            let detail = format!("{place} names no stream: send {{\"stream\": …, \"value\": …}}");
            return Err(place.mark(Problem::bad_request(detail).code("malformed_append")));
        };
        let lane = *lanes.entry(stream.clone()).or_insert(given.len());
        if lane == given.len() {
            given.push((stream, Vec::new()));
        }
        places.push((lane, given[lane].1.len()));
        given[lane].1.push(Given::of(place, event)?);
    }
    let said = given.iter().flat_map(|(name, given)| said(name, None, given)).collect();
    Ok(ByStream { given, places, said })
}

/// The events of each stream.
fn streams(door: &Door, all: Vec<(String, Vec<Given>)>) -> Result<Vec<StreamEvents>, Problem> {
    let mut streams: Vec<StreamEvents> = Vec::with_capacity(all.len());
    for (name, given) in all {
        let definition = stream(door, &name)?;
        let encoder = door.state.engine.encoder(&definition)?;
        streams.push(StreamEvents {
            events: events(&encoder, &definition, given)?,
            stream: name,
            partitions: definition.partitions,
            partition: None,
        });
    }
    Ok(streams)
}
