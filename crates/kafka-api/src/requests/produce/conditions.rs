//! What records depend on, as their headers say it; docs/kafka.md is for those who write them.
//!
//! ```text
//! headwater-if-version   2@17 | none        the last event of the record's own key
//! headwater-condition    JSON               as every door reads it
//! ```
//!
//! Invariants
//! - A batch is taken whole or not at all. Its records are looked at in their order, and each condition sees the records before it.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use headwater_catalog::ColumnFacets;
use headwater_catalog::condition::{Malformed, Streams, read_condition, read_version};
use headwater_eventlog::{AppendError, Condition, EntityVersion, EventFacets, Facets};
use headwater_records::{Event, Events};
use kafka_protocol::ResponseError;

use super::admission::Refusal;
use super::later;
use crate::limits::{COMPARISONS_OF_BATCH_MAX, CONDITIONS_OF_BATCH_MAX};

const VERSION_HEADER: &str = "headwater-if-version";
const CONDITION_HEADER: &str = "headwater-condition";

/// How many events that are in the way a record's error names.
const NAMED_MAX: usize = 5;

/// The conditions of a batch's records.
#[derive(Default)]
pub(super) struct Conditions {
    conditions: Vec<Condition>,
    /// For each, the record that it belongs to, by its place in the batch.
    records: Vec<i32>,
}

impl Conditions {
    /// Reads the conditions of a batch's records. Refuses those that cannot be read, and those that an earlier record of the batch is in the way of.
    pub(super) fn of(
        events: &Events,
        stream: &str,
        facets: impl FnOnce() -> Option<ColumnFacets>,
        streams: Streams<'_>,
    ) -> Result<Conditions, Refusal> {
        let mut found = Conditions::default();
        let facets = facets();
        let mut earlier = Earlier::default();
        for (index, slice) in events.iter().enumerate() {
            let slice = slice?;
            let event = events.event(&slice)?;
            let index = index as i32;
            for condition in of_record(&event, stream, streams).map_err(|malformed| refuse(index, &malformed))? {
                earlier
                    .check(&condition, stream)
                    .map_err(|why| Refusal::of_record(index, why))?;
                found.conditions.push(condition);
                found.records.push(index);
                if found.conditions.len() > CONDITIONS_OF_BATCH_MAX {
                    let why = format!(
                        "query_too_large: the records of one batch have more than {CONDITIONS_OF_BATCH_MAX} conditions"
                    );
                    return Err(Refusal::of_record(index, why));
                }
            }
            if later::is_later(&slice) {
                continue;
            }
            let facets = facets.as_ref().map(|facets| facets.of(&event)).unwrap_or_default();
            earlier.keys.extend(event.key.clone());
            earlier.keys.extend(facets.keys.iter().cloned().map(Bytes::from));
            earlier.events.push((event.key, facets));
        }
        Ok(found)
    }

    /// What the append depends on, and which records that came from.
    pub(super) fn split(self) -> (Option<Condition>, Arc<[i32]>) {
        let condition = (!self.conditions.is_empty()).then_some(Condition::All(self.conditions));
        (condition, self.records.into())
    }
}

/// The refusal of a batch one of whose conditions does not hold, or cannot be asked; `None` for any other error.
pub(super) fn refusal(error: &AppendError, records: &[i32]) -> Option<Refusal> {
    match error {
        AppendError::ConditionFailed(failed) => {
            let record = records.get(failed.condition).copied().unwrap_or_default();
            let named: Vec<String> = failed.came.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = if failed.came.len() > NAMED_MAX { ", …" } else { "" };
            let why = format!("condition_failed: {error}; in the way: {}{more}", named.join(", "));
            Some(Refusal::of_record(record, why))
        }
        AppendError::Condition(error) => {
            let why = format!("{}: {error}", error.code());
            // What is being built will be there: clients try such an error again by themselves.
            match error {
                headwater_eventlog::QueryError::Building { .. } | headwater_eventlog::QueryError::Unreadable(_) => {
                    Some(Refusal::new(ResponseError::KafkaStorageError, why))
                }
                // Which of several could not be asked is not said.
                _ => Some(match records {
                    [first, others @ ..] if others.iter().all(|other| other == first) => {
                        Refusal::of_record(*first, why)
                    }
                    _ => Refusal::new(ResponseError::InvalidRecord, why),
                }),
            }
        }
        _ => None,
    }
}

/// Whether a header of this name says what its record depends on.
pub(super) fn is_condition(name: &str) -> bool {
    matches!(name, VERSION_HEADER | CONDITION_HEADER)
}

/// The conditions of one record, taken apart.
fn of_record(event: &Event, stream: &str, streams: Streams<'_>) -> Result<Vec<Condition>, Malformed> {
    let malformed = |why: &str| Malformed {
        code: "malformed_condition",
        message: why.to_owned(),
    };
    let mut found: Vec<Condition> = Vec::new();
    for header in &event.headers {
        let value = header.value.as_deref().unwrap_or_default();
        match header.name.as_str() {
            VERSION_HEADER => {
                let text = std::str::from_utf8(value).map_err(|_| malformed("headwater-if-version is no UTF-8"))?;
                let key = event.key.clone();
                let key = key.ok_or_else(|| malformed("headwater-if-version stands on a record without a key"))?;
                found.push(Condition::Entity(EntityVersion {
                    stream: stream.to_owned(),
                    key,
                    version: read_version(text)?,
                }));
            }
            CONDITION_HEADER => match read_condition(value, streams)? {
                Condition::All(all) => found.extend(all),
                one => found.push(one),
            },
            _ => {}
        }
    }
    Ok(found)
}

/// The records that stand before another in its batch.
#[derive(Default)]
struct Earlier {
    /// Those of the entities that they are of.
    keys: HashSet<Bytes>,
    events: Vec<(Option<Bytes>, EventFacets)>,
    /// How often a record was held against an item of a query.
    compared: usize,
}

impl Earlier {
    /// Says what is wrong where one of them is in the way.
    fn check(&mut self, condition: &Condition, stream: &str) -> Result<(), String> {
        let is_in_the_way = match condition {
            Condition::Entity(entity) => entity.stream == stream && self.keys.contains(&entity.key),
            Condition::Boundary(boundary) => {
                self.compared = self.compared.saturating_add(self.events.len() * boundary.none_of.len());
                if self.compared > COMPARISONS_OF_BATCH_MAX {
                    return Err(
                        "query_too_large: the batch has too many records for their conditions: send fewer at once"
                            .to_owned(),
                    );
                }
                let matches = |(key, facets): &(Option<Bytes>, EventFacets)| {
                    let mut items = boundary.none_of.iter();
                    items.any(|item| item.matches(stream, key.as_deref(), facets))
                };
                self.events.iter().any(matches)
            }
            Condition::Guard(_) | Condition::All(_) => false,
        };
        match is_in_the_way {
            false => Ok(()),
            true => Err("condition_failed: an earlier record of the same batch is in the way: put the condition on the first of them".to_owned()),
        }
    }
}

fn refuse(index: i32, malformed: &Malformed) -> Refusal {
    Refusal::of_record(index, format!("{}: {malformed}", malformed.code))
}

#[cfg(test)]
mod tests {
    use headwater_catalog::{Column, ColumnType, Format, StreamDefinition};
    use headwater_records::{Batch, Compression, Header};
    use headwater_schemas::Schemas;

    use super::*;

    fn definition() -> StreamDefinition {
        let column = |name: &str| Column::new(name, ColumnType::Text, true);
        StreamDefinition {
            name: "seats".to_owned(),
            columns: Some(vec![column("course"), column("kind")]),
            key: vec!["course".to_owned()],
            kind: Some("kind".to_owned()),
            tags: vec!["course".to_owned()],
            time: None,
            partitions: 1,
            format: Format::Json,
            statement: String::new(),
            ..StreamDefinition::default()
        }
    }

    fn facets() -> Option<ColumnFacets> {
        ColumnFacets::of(&definition(), &Schemas::default())
    }

    fn streams(name: Option<&str>) -> Vec<Arc<StreamDefinition>> {
        let all = [Arc::new(definition())];
        all.into_iter()
            .filter(|stream| name.is_none_or(|name| name == stream.name))
            .collect()
    }

    fn of(batch: &Batch) -> Result<Conditions, Refusal> {
        Conditions::of(&batch.open().unwrap(), "seats", facets, &streams)
    }

    /// A record: its key, its course, its headers.
    type Record<'a> = (Option<&'a str>, &'a str, &'a [(&'a str, &'a str)]);

    fn batch(records: &[Record<'_>], compression: Compression) -> Batch {
        let header = |(name, value): &(&str, &str)| Header {
            name: (*name).to_owned(),
            value: Some(Bytes::from((*value).to_owned())),
        };
        let event = |(key, course, headers): &Record<'_>| Event {
            key: key.map(|key| Bytes::from(key.to_owned())),
            value: Some(Bytes::from(format!("{{\"course\":\"{course}\",\"kind\":\"taken\"}}"))),
            headers: headers.iter().map(header).collect(),
            timestamp_ms: 0,
        };
        let events: Vec<Event> = records.iter().map(event).collect();
        Batch::encode(&events, compression, None)
    }

    /// How many conditions each record has, or the one that is at fault and why.
    fn check(records: &[Record<'_>], expected: Result<&[i32], (i32, &str)>) {
        for compression in [Compression::None, Compression::Zstd] {
            match (of(&batch(records, compression)), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.records, expected, "{records:?}"),
                (Err(refusal), Err((record, why))) => {
                    assert_eq!(refusal.code, ResponseError::InvalidRecord);
                    assert_eq!(refusal.events.len(), 1);
                    assert_eq!(refusal.events[0].0, record, "{records:?}");
                    assert!(
                        refusal.events[0].1.starts_with(why),
                        "{records:?}: {}",
                        refusal.events[0].1
                    );
                }
                (found, expected) => panic!(
                    "{records:?}: {:?}, expected {expected:?}",
                    found.map(|found| found.records)
                ),
            }
        }
    }

    #[test]
    fn headers_are_conditions_or_say_what_is_wrong() {
        let version: &[(&str, &str)] = &[("headwater-if-version", "0@7")];
        let none: &[(&str, &str)] = &[("headwater-if-version", "none")];
        check(&[(Some("a"), "a", &[]), (None, "b", &[("trace", "1")])], Ok(&[]));
        check(&[(Some("a"), "a", version), (Some("b"), "b", none)], Ok(&[0, 1]));
        let both: &[(&str, &str)] = &[
            ("headwater-if-version", "0@7"),
            (
                "headwater-condition",
                r#"[{"none_of":[{"tags":["course:x"]}]},{"none_of":[{"key":"y"}]}]"#,
            ),
        ];
        check(&[(None, "b", &[]), (Some("a"), "a", both)], Ok(&[1, 1, 1]));
        check(
            &[(None, "a", version)],
            Err((
                0,
                "malformed_condition: headwater-if-version stands on a record without a key",
            )),
        );
        check(
            &[
                (Some("b"), "b", &[]),
                (Some("a"), "a", &[("headwater-if-version", "7")]),
            ],
            Err((1, "malformed_version: '7'")),
        );
        check(
            &[(Some("a"), "a", &[("headwater-if-version", "")])],
            Err((0, "malformed_version: ''")),
        );
        check(
            &[(Some("a"), "a", &[("headwater-condition", "{}")])],
            Err((0, "malformed_condition: it has neither")),
        );
        check(
            &[(Some("a"), "a", &[("headwater-condition", "")])],
            Err((0, "malformed_condition: it is no condition")),
        );
        check(
            &[(
                Some("a"),
                "a",
                &[("headwater-condition", r#"{"after":"x","none_of":[{}]}"#)],
            )],
            Err((0, "malformed_position: 'x'")),
        );
    }

    #[test]
    fn a_condition_sees_the_earlier_records_of_its_batch() {
        let version: &[(&str, &str)] = &[("headwater-if-version", "0@7")];
        check(&[(Some("a"), "a", version), (Some("a"), "a", &[])], Ok(&[0]));
        check(
            &[(Some("a"), "a", &[]), (Some("a"), "a", version)],
            Err((1, "condition_failed: an earlier record")),
        );
        let conditional = |json: &'static str| -> [(&'static str, &'static str); 1] { [("headwater-condition", json)] };
        for (json, holds) in [
            (r#"{"none_of":[{"tags":["course:a"]}]}"#, false),
            (r#"{"none_of":[{"stream":"seats","kinds":["left","taken"]}]}"#, false),
            (r#"{"none_of":[{"key":"a"}]}"#, false),
            (r#"{"none_of":[{"key":"k"}]}"#, false),
            (r#"{"stream":"seats","key":"k","version":"none"}"#, false),
            (r#"{"none_of":[{}]}"#, false),
            (
                r#"{"after":"seats/0@9","none_of":[{"tags":["course:x"]},{"tags":["course:a"]}]}"#,
                false,
            ),
            (r#"{"stream":"seats","key":"a","version":"none"}"#, false),
            (r#"{"stream":"other","key":"a","version":"none"}"#, true),
            (r#"{"none_of":[{"stream":"other","key":"a"}]}"#, true),
            (r#"{"none_of":[{"tags":["course:b"]}]}"#, true),
            (r#"{"none_of":[{"kinds":["left"],"tags":["course:a"]}]}"#, true),
        ] {
            let headers = conditional(json);
            // Its own key is one thing, what its column says another: it is of both entities.
            let records: [Record<'_>; 2] = [(Some("k"), "a", &[]), (Some("b"), "b", &headers)];
            match holds {
                true => check(&records, Ok(&[1])),
                false => check(&records, Err((1, "condition_failed"))),
            }
        }
    }

    #[test]
    fn a_batch_has_so_many_conditions() {
        let headers: &[(&str, &str)] = &[("headwater-if-version", "none")];
        let keys: Vec<String> = (0..=CONDITIONS_OF_BATCH_MAX).map(|number| number.to_string()).collect();
        let records: Vec<Record<'_>> = keys.iter().map(|key| (Some(key.as_str()), "c", headers)).collect();
        let of = |count: usize| of(&batch(&records[..count], Compression::None));
        assert!(of(CONDITIONS_OF_BATCH_MAX).is_ok());
        let refusal = of(CONDITIONS_OF_BATCH_MAX + 1).err().expect("one too many");
        assert!(refusal.message.contains("query_too_large"), "{}", refusal.message);
    }

    #[test]
    fn records_are_held_against_so_many_items() {
        let items = vec![r#"{"key":"x"}"#; 1_000].join(",");
        let json = format!(r#"{{"none_of":[{items}]}}"#);
        let headers: &[(&str, &str)] = &[("headwater-condition", &json)];
        let of = |earlier: usize| {
            let mut records: Vec<Record<'_>> = vec![(None, "c", &[]); earlier];
            records.push((None, "c", headers));
            of(&batch(&records, Compression::None))
        };
        assert!(of(COMPARISONS_OF_BATCH_MAX / 1_000).is_ok());
        let refusal = of(COMPARISONS_OF_BATCH_MAX / 1_000 + 1).err().expect("one too many");
        assert!(refusal.message.contains("query_too_large"), "{}", refusal.message);
    }
}
