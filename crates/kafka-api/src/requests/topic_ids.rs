//! OffsetCommit and OffsetFetch in version 10, and TxnOffsetCommit in version 6, name topics by id. They are read and written as in the version
//! before, with the id's 32 hexadecimal digits where the name stands.
//!
//! The decoder knows these messages up to the version before, and they differ in nothing else.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::copy::Copy;

/// Whether topics are named by id in this version of a request and its answer.
pub(super) fn names_by_id(api: ApiKey, version: i16) -> bool {
    match api {
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => version == 10,
        ApiKey::TxnOffsetCommit => version == 6,
        _ => false,
    }
}

/// The topic id that stands in a name's place.
pub(super) fn id(name: &str) -> Option<Uuid> {
    Uuid::try_parse(name).ok()
}

/// What stands in a name's place for a topic id.
pub(super) fn name(id: u128) -> StrBytes {
    StrBytes::from_string(Uuid::from_u128(id).simple().to_string())
}

/// A request's body with ids as names; `None` where it is none.
pub(super) fn request(api: ApiKey, body: &[u8]) -> Option<Bytes> {
    let mut copy = Copy::of(body);
    match api {
        ApiKey::OffsetCommit => copy.commit_request()?,
        ApiKey::TxnOffsetCommit => copy.transactional_commit_request()?,
        _ => copy.fetch_request()?,
    }
    Some(copy.out.freeze())
}

/// An answer's body with ids in place of names.
pub(super) fn answer(api: ApiKey, body: &[u8]) -> Option<BytesMut> {
    let mut copy = Copy::of(body);
    match api {
        ApiKey::OffsetCommit | ApiKey::TxnOffsetCommit => copy.commit_answer()?,
        _ => copy.fetch_answer()?,
    }
    Some(copy.out)
}

impl Copy<'_> {
    fn commit_request(&mut self) -> Option<()> {
        self.text()?;
        self.fixed(4)?;
        self.text()?;
        self.text()?;
        self.commits()?;
        self.end()
    }

    fn transactional_commit_request(&mut self) -> Option<()> {
        self.text()?;
        self.text()?;
        self.fixed(8 + 2 + 4)?;
        self.text()?;
        self.text()?;
        self.commits()?;
        self.end()
    }

    /// Topics, and what is committed for their partitions.
    fn commits(&mut self) -> Option<()> {
        self.each(|copy| {
            copy.id_to_name()?;
            copy.each(|copy| {
                copy.fixed(4 + 8 + 4)?;
                copy.text()
            })
        })
    }

    fn fetch_request(&mut self) -> Option<()> {
        self.each(|copy| {
            copy.text()?;
            copy.text()?;
            copy.fixed(4)?;
            copy.each(|copy| {
                copy.id_to_name()?;
                copy.numbers()
            })
        })?;
        self.fixed(1)?;
        self.end()
    }

    fn commit_answer(&mut self) -> Option<()> {
        self.fixed(4)?;
        self.each(|copy| {
            copy.name_to_id()?;
            copy.each(|copy| copy.fixed(4 + 2))
        })?;
        self.end()
    }

    fn fetch_answer(&mut self) -> Option<()> {
        self.fixed(4)?;
        self.each(|copy| {
            copy.text()?;
            copy.each(|copy| {
                copy.name_to_id()?;
                copy.each(|copy| {
                    copy.fixed(4 + 8 + 4)?;
                    copy.text()?;
                    copy.fixed(2)
                })
            })?;
            copy.fixed(2)
        })?;
        self.end()
    }

    fn id_to_name(&mut self) -> Option<()> {
        let (id, rest) = self.rest.split_first_chunk::<16>()?;
        self.rest = rest;
        let name = name(u128::from_be_bytes(*id));
        self.out.put_u8(name.len() as u8 + 1);
        self.out.put_slice(name.as_bytes());
        Some(())
    }

    fn name_to_id(&mut self) -> Option<()> {
        let (length, rest) = self.rest.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length).checked_sub(1)?)?;
        self.rest = rest;
        let id = id(std::str::from_utf8(name).ok()?)?;
        self.out.put_slice(id.as_bytes());
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::offset_fetch_response::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
    };
    use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchResponse, TopicName};
    use kafka_protocol::protocol::{Decodable, Encodable};

    use super::*;

    const ID: u128 = 0x0123_4567_89ab_4def_8123_4567_89ab_cdef;

    /// A commit of offset 7 to partition 0 of one topic.
    fn commit(topic: &[u8]) -> Vec<u8> {
        let mut body = vec![2, b'g', 0, 0, 0, 1, 2, b'm', 0, 2];
        body.extend(topic);
        body.extend([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        body
    }

    #[test]
    fn a_request_is_read_with_ids_as_names() {
        let by_id = commit(&ID.to_be_bytes());
        let mut by_name = request(ApiKey::OffsetCommit, &by_id).unwrap();
        let named = [[33].as_slice(), name(ID).as_bytes()].concat();
        assert_eq!(by_name, commit(&named));
        let decoded = OffsetCommitRequest::decode(&mut by_name, 9).unwrap();
        assert_eq!(decoded.topics[0].name.as_str(), "0123456789ab4def8123456789abcdef");
        assert_eq!(decoded.topics[0].partitions[0].committed_offset, 7);
        assert_eq!(id(&decoded.topics[0].name), Some(Uuid::from_u128(ID)));
        assert_eq!(request(ApiKey::OffsetCommit, &by_id[..by_id.len() - 1]), None);
    }

    #[test]
    fn an_answer_has_ids() {
        let topic = OffsetFetchResponseTopics::default()
            .with_name(TopicName(name(ID)))
            .with_partitions(vec![
                OffsetFetchResponsePartitions::default()
                    .with_committed_offset(7)
                    .with_metadata(Some(StrBytes::from_static_str("note"))),
            ]);
        let group = OffsetFetchResponseGroup::default()
            .with_group_id(GroupId(StrBytes::from_static_str("g")))
            .with_topics(vec![topic]);
        let mut by_name = BytesMut::new();
        let response = OffsetFetchResponse::default().with_groups(vec![group]);
        response.encode(&mut by_name, 9).unwrap();
        let by_id = answer(ApiKey::OffsetFetch, &by_name).unwrap();
        assert_eq!(by_id.len() + 33 - 16, by_name.len());
        assert!(by_id.windows(16).any(|window| window == ID.to_be_bytes()));
    }
}
