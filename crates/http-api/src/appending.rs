//! Appending what a request made: all its events in one step, under its condition, or none.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headwater_catalog::StreamDefinition;
use headwater_catalog::condition::version_text;
use headwater_eventlog::{Append, AppendError, Condition, Part};
use headwater_records::{Address, Event, Position, Version};
use headwater_sql::encode::{Packed, pack};
use serde_json::{Map, Value, json};

use crate::condition_failed;
use crate::precondition;
use crate::problem::Problem;
use crate::request::{self, PRINCIPAL};
use crate::router::Door;
use crate::streams::moment;

/// The events of one stream.
pub(crate) struct Made {
    pub definition: Arc<StreamDefinition>,
    /// Where all of them go; `None`: where their keys say.
    pub partition: Option<u32>,
    pub events: Vec<Event>,
}

/// What became of them.
pub(crate) struct Landed {
    /// For each stream's events, in their order, where they stand.
    pub addresses: Vec<Vec<Address>>,
    pub appended_at_us: i64,
}

impl Made {
    fn packed(self, spread: u32) -> Packed {
        let name = &self.definition.name;
        match self.partition {
            None => pack(name, self.definition.partitions, self.events, spread),
            Some(partition) => {
                let mut packed = pack(name, 1, self.events, 0);
                for part in &mut packed.parts {
                    part.partition = partition;
                }
                packed
            }
        }
    }
}

/// Appends, and answers once everything is durable.
pub(crate) async fn append(door: &Door, made: Vec<Made>, condition: Option<Condition>) -> Result<Landed, Problem> {
    let engine = &door.state.engine;
    let spread = engine.next_spread();
    let packed: Vec<Packed> = made.into_iter().map(|made| made.packed(spread)).collect();
    let parts: Vec<Part> = packed.iter().flat_map(|packed| packed.parts.clone()).collect();
    let append = Append {
        parts,
        principal: PRINCIPAL.to_owned(),
        condition,
    };
    let appended = match engine.log().append(append).await {
        Ok(appended) => appended,
        Err(AppendError::ConditionFailed(failed)) => {
            return Err(condition_failed::problem(engine.log(), *failed).await);
        }
        Err(error) => return Err(error.into()),
    };
    let mut addresses: Vec<Vec<Address>> = Vec::with_capacity(packed.len());
    let mut first_part = 0;
    for packed in &packed {
        addresses.push(packed.addresses(&appended, first_part));
        first_part += packed.parts.len();
    }
    Ok(Landed {
        addresses,
        appended_at_us: appended.appended_at_us,
    })
}

/// The one key that all events have; `None` where one has none, or they have several.
pub(crate) fn only_key(events: &[Event]) -> Option<Bytes> {
    let keys: BTreeSet<Option<&Bytes>> = events.iter().map(|event| event.key.as_ref()).collect();
    match keys.len() {
        1 => keys.first().copied().flatten().cloned(),
        _ => None,
    }
}

/// What the client is told: where each event stands, in the order of the request, and the version of the entity where it is one's.
pub(crate) fn answer(addresses: &[Address], appended_at_us: i64, version: Option<Version>) -> Response {
    let mut position = Position::new();
    for address in addresses {
        position.advance(&address.stream, address.partition, address.offset + 1);
    }
    let position = position.to_string();
    let event =
        |address: &Address| json!({"stream": address.stream, "partition": address.partition, "offset": address.offset});
    let mut answer = Map::new();
    answer.insert("events".into(), addresses.iter().map(event).collect());
    answer.insert("position".into(), position.as_str().into());
    answer.insert("appended_at".into(), moment(appended_at_us).into());
    if version.is_some() {
        answer.insert("version".into(), version_text(version).into());
    }
    let mut response = Json(Value::Object(answer)).into_response();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&position) {
        headers.insert(request::POSITION_HEADER, value);
    }
    if let Some(tag) = version.and_then(|version| precondition::tag(Some(version))) {
        headers.insert(header::ETAG, tag);
    }
    response
}
