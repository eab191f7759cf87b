//! Versions that are newer than the decoder. A body is read and written as in the last version that it knows. A field that is new rides as a tagged
//! field of its struct, under a tag of ours, and is moved between there and its place here:
//!
//! ```text
//! on the wire, version 3    group id │ error code │ error message │ tagged fields
//! as version 2              group id │ error code │ tagged fields, among them LATER + 2: the error message
//! ```
//!
//! Invariants
//! - A tag of ours is never taken from a client, and never sent to one.
//! - A field that an answer's version has is there, or nothing is sent.
//!
//! Where topics came to be named by their ids, `topic_ids` does the same for the name.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;

use super::copy::Copy;
use crate::api;
use crate::shape::answers;
use crate::shape::{Field, Shape};

/// The first tag of ours; those of Kafka are counted from 0.
const LATER: i32 = 1 << 20;

/// The tagged fields of a struct that the decoder does not know.
type Tagged = BTreeMap<i32, Bytes>;

/// The last version that the decoder knows, of each kind of request that is answered in newer ones.
const KNOWN: &[(ApiKey, i16)] = &[
    (ApiKey::ListOffsets, 10),
    (ApiKey::OffsetCommit, 9),
    (ApiKey::OffsetFetch, 9),
    (ApiKey::ApiVersions, 4),
    (ApiKey::WriteTxnMarkers, 1),
    (ApiKey::TxnOffsetCommit, 5),
    (ApiKey::DescribeLogDirs, 4),
    (ApiKey::DeleteGroups, 2),
    (ApiKey::ShareFetch, 1),
    (ApiKey::ShareAcknowledge, 1),
    (ApiKey::DescribeShareGroupOffsets, 0),
];

/// The version in which the decoder reads a request of a version, and writes its answer.
pub(crate) fn known(api: ApiKey, version: i16) -> i16 {
    let known = KNOWN.iter().find(|(of, _)| *of == api);
    known.map_or(version, |(_, known)| version.min(*known))
}

/// Whether the decoder does not know a version.
pub(super) fn is_ahead(api: ApiKey, version: i16) -> bool {
    known(api, version) < version
}

/// The value of a field of a struct of a request, by its number among the struct's fields in the version's definition, counted from 0; `None` in
/// versions without it.
pub(super) fn later(tagged: &Tagged, field: i32) -> Option<&Bytes> {
    tagged.get(&(LATER + field))
}

/// Gives a struct of an answer a field. Only in versions that have it: in others it would be sent.
pub(super) fn put(tagged: &mut Tagged, field: i32, value: impl Into<Bytes>) {
    tagged.insert(LATER + field, value.into());
}

/// A text as a field of a flexible version.
pub(super) fn text(text: Option<&str>) -> Bytes {
    let mut copy = Copy::of(&[]);
    copy.put_varint(text.map_or(0, |text| text.len() as u32 + 1));
    copy.out.put_slice(text.unwrap_or_default().as_bytes());
    copy.out.freeze()
}

/// A request's body as in the version that the decoder knows; `None` where it is none.
pub(super) fn request(api: ApiKey, body: &[u8], version: i16) -> Option<Bytes> {
    let shape = api::find(api as i16)?.shape;
    moved(Way::Down, shape, api, body, version).map(BytesMut::freeze)
}

/// An answer's body as in its version; `None` where a field of it is missing.
pub(super) fn answer(api: ApiKey, body: BytesMut, version: i16) -> Option<BytesMut> {
    let shape = match api {
        ApiKey::DeleteGroups => &answers::DELETE_GROUPS,
        ApiKey::DescribeLogDirs => &answers::DESCRIBE_LOG_DIRS,
        ApiKey::DescribeShareGroupOffsets => &answers::DESCRIBE_SHARE_GROUP_OFFSETS,
        ApiKey::ShareAcknowledge => &answers::SHARE_ACKNOWLEDGE,
        // Nothing is new in these.
        _ => return Some(body),
    };
    moved(Way::Up, shape, api, &body, version)
}

fn moved(way: Way, shape: &Shape, api: ApiKey, body: &[u8], version: i16) -> Option<BytesMut> {
    let mut moving = Moving {
        copy: Copy::of(body),
        way,
        version,
        known: known(api, version),
    };
    moving.take(shape)?;
    moving.copy.is_over()?;
    Some(moving.copy.out)
}

/// Which way fields are moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From their places to the tagged ones.
    Down,
    /// From the tagged ones to their places.
    Up,
}

/// A body whose later fields are moved.
struct Moving<'a> {
    copy: Copy<'a>,
    way: Way,
    version: i16,
    known: i16,
}

/// A later field of a struct.
struct Later {
    tag: i32,
    /// Its place among the bytes that were copied.
    at: usize,
    value: Vec<u8>,
}

impl Moving<'_> {
    fn take(&mut self, shape: &Shape) -> Option<()> {
        match shape {
            Shape::Fixed(bytes) => self.copy.fixed(*bytes),
            Shape::Text | Shape::Blob => self.copy.text(),
            Shape::Array(element) => {
                for _ in 1..self.copy.varint()? {
                    self.take(element)?;
                }
                Some(())
            }
            Shape::Optional(shape) => {
                let is_there = self.copy.rest.first() == Some(&1);
                self.copy.fixed(1)?;
                match is_there {
                    true => self.take(shape),
                    false => Some(()),
                }
            }
            Shape::Struct(fields, _) => self.take_struct(fields),
        }
    }

    fn take_struct(&mut self, fields: &[Field]) -> Option<()> {
        let mut later: Vec<Later> = Vec::new();
        for (tag, field) in (LATER..).zip(fields) {
            if !(field.since..=field.until).contains(&self.version) {
                continue;
            }
            let at = self.copy.out.len();
            let is_later = field.since > self.known;
            if !is_later || self.way == Way::Down {
                self.take(&field.shape)?;
            }
            if is_later {
                let value = self.copy.out[at..].to_vec();
                self.copy.out.truncate(at);
                later.push(Later { tag, at, value });
            }
        }
        self.take_tagged(later)
    }

    /// The tagged fields, with those that were moved there or without those that are moved from there.
    fn take_tagged(&mut self, mut later: Vec<Later>) -> Option<()> {
        let mut tagged: BTreeMap<i32, &[u8]> = BTreeMap::new();
        for _ in 0..self.copy.take_varint()? {
            let tag = i32::try_from(self.copy.take_varint()?).ok()?;
            let length = self.copy.take_varint()? as usize;
            let (value, rest) = self.copy.rest.split_at_checked(length)?;
            self.copy.rest = rest;
            tagged.insert(tag, value);
        }
        let ours = tagged.split_off(&LATER);
        if self.way == Way::Up {
            // The last one first: it does not move the places of those before it.
            for Later { tag, at, .. } in later.drain(..).rev() {
                // Only what stands behind it in its struct is moved, however much stands before.
                let behind = self.copy.out[at..].to_vec();
                self.copy.out.truncate(at);
                self.copy.out.put_slice(ours.get(&tag)?);
                self.copy.out.put_slice(&behind);
            }
        }
        tagged.extend(later.iter().map(|later| (later.tag, &later.value[..])));
        self.copy.put_varint(tagged.len() as u32);
        for (tag, value) in tagged {
            self.copy.put_varint(tag as u32);
            self.copy.put_varint(value.len() as u32);
            self.copy.out.put_slice(value);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
    use kafka_protocol::messages::{DeleteGroupsResponse, GroupId, ShareFetchRequest};
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

    use super::*;

    /// ShareFetch, version 2: group, member, epoch 1, five numbers, by records, a renewal, no topics, and a tagged field of the client's.
    fn share_fetch(tag: &[u8]) -> Vec<u8> {
        let mut body = vec![2, b'g', 2, b'm', 0, 0, 0, 1];
        body.extend([0; 20]);
        body.extend([1, 1, 1, 1, 1]);
        body.extend(tag);
        body.extend([2, 7, 7]);
        body
    }

    #[test]
    fn later_fields_of_a_request_ride_as_tagged_ones() {
        let mut body = request(ApiKey::ShareFetch, &share_fetch(&[100]), 2).expect("a body");
        let decoded = ShareFetchRequest::decode(&mut body, 1).expect("it is read");
        assert!(body.is_empty());
        let tagged = &decoded.unknown_tagged_fields;
        assert_eq!(later(tagged, 8).map(|bytes| &bytes[..]), Some(&[1][..]));
        assert_eq!(later(tagged, 9).map(|bytes| &bytes[..]), Some(&[1][..]));
        assert_eq!(tagged.get(&100).map(|bytes| &bytes[..]), Some(&[7, 7][..]));
        assert_eq!(tagged.len(), 3);
        assert_eq!(request(ApiKey::ShareFetch, &share_fetch(&[100])[..36], 2), None);
        // A client that sends a tag of ours does not give us a field by it: LATER + 10, in a varint.
        let mut body = request(ApiKey::ShareFetch, &share_fetch(&[0x8a, 0x80, 0x40]), 2).expect("a body");
        let decoded = ShareFetchRequest::decode(&mut body, 1).expect("it is read");
        assert_eq!(decoded.unknown_tagged_fields.len(), 2);
    }

    #[test]
    fn later_fields_of_an_answer_stand_in_their_places() {
        let check = |messages: &[Option<Option<&str>>], expected: Option<&[u8]>| {
            let results = messages.iter().map(|message| {
                let mut result = DeletableGroupResult::default()
                    .with_group_id(GroupId(StrBytes::from_static_str("g")))
                    .with_error_code(5);
                if let Some(message) = message {
                    put(&mut result.unknown_tagged_fields, 2, text(*message));
                }
                result
            });
            let mut body = BytesMut::new();
            let response = DeleteGroupsResponse::default().with_results(results.collect());
            response.encode(&mut body, 2).expect("it is written");
            let answered = answer(ApiKey::DeleteGroups, body, 3);
            assert_eq!(answered.as_deref(), expected, "{messages:?}");
        };
        check(&[], Some(&[0, 0, 0, 0, 1, 0]));
        check(&[Some(None)], Some(&[0, 0, 0, 0, 2, 2, b'g', 0, 5, 0, 0, 0]));
        check(
            &[Some(Some("no")), Some(None)],
            Some(&[0, 0, 0, 0, 3, 2, b'g', 0, 5, 3, b'n', b'o', 0, 2, b'g', 0, 5, 0, 0, 0]),
        );
        check(&[None], None);
    }

    #[test]
    fn a_text_has_its_length_before_it() {
        for (given, expected) in [(None, &[0][..]), (Some(""), &[1]), (Some("ab"), &[3, b'a', b'b'])] {
            assert_eq!(text(given), expected, "{given:?}");
        }
        let long = "x".repeat(200);
        assert_eq!(text(Some(&long))[..3], [0xc9, 0x01, b'x']);
    }
}
