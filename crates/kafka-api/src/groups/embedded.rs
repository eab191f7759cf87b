//! What consumers of the classic protocol say of themselves, and what they are assigned, in the bytes that the protocol carries
//! without looking at them. Needed to know what they read, and where members of both protocols are in one group.
//!
//! ```text
//! subscription  version int16 | topics | user data | version 1: owned | version 2: generation int32 | version 3: rack
//!   topics      count int32, so many: length int16, name
//!   user data   length int32 (-1: none), bytes
//!   owned       count int32, so many: name, count int32, so many partitions int32
//! assignment    version int16 | as owned | user data
//! ```
//!
//! Source: Kafka's `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`. The bytes come from clients and are not
//! trusted: nothing is reserved by a count that they state.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Partitions by the topic's name.
pub(crate) type Named = BTreeMap<String, BTreeSet<u32>>;

/// What a consumer says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) version: i16,
    pub(crate) topics: BTreeSet<String>,
    pub(crate) owned: Named,
    /// What its assignor adds for itself.
    pub(crate) user_data: Bytes,
}

/// What a consumer was assigned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub(crate) partitions: Named,
    /// What the leader's assignor adds for the member's.
    pub(crate) user_data: Bytes,
}

/// What a consumer says of itself; `None` where these bytes are no consumer's.
pub(crate) fn read_subscription(mut bytes: &[u8]) -> Option<Subscription> {
    let version = bytes.try_get_i16().ok()?;
    let mut topics: BTreeSet<String> = BTreeSet::new();
    for _ in 0..bytes.try_get_i32().ok()?.max(0) {
        topics.insert(name(&mut bytes)?);
    }
    let user_data = user_data(&mut bytes);
    let mut owned = Named::new();
    if version >= 1 {
        user_data.as_ref()?;
        owned = named(&mut bytes)?;
    }
    Some(Subscription {
        version,
        topics,
        owned,
        user_data: user_data.unwrap_or_default(),
    })
}

/// What a consumer was assigned; no bytes are no partitions. `None` where these bytes are no assignment.
pub(crate) fn read_assignment(mut bytes: &[u8]) -> Option<Assigned> {
    if bytes.is_empty() {
        return Some(Assigned::default());
    }
    let _version = bytes.try_get_i16().ok()?;
    Some(Assigned {
        partitions: named(&mut bytes)?,
        user_data: user_data(&mut bytes).unwrap_or_default(),
    })
}

/// An assignment in the bytes that a consumer of a version reads.
pub(crate) fn write_assignment(version: i16, assigned: &Named) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(version);
    out.put_i32(assigned.len() as i32);
    for (topic, partitions) in assigned {
        out.put_i16(topic.len() as i16);
        out.put_slice(topic.as_bytes());
        out.put_i32(partitions.len() as i32);
        for partition in partitions {
            out.put_u32(*partition);
        }
    }
    out.put_i32(-1);
    out.freeze()
}

fn named(bytes: &mut &[u8]) -> Option<Named> {
    let mut topics = Named::new();
    for _ in 0..bytes.try_get_i32().ok()?.max(0) {
        let partitions = topics.entry(name(bytes)?).or_default();
        for _ in 0..bytes.try_get_i32().ok()?.max(0) {
            partitions.insert(bytes.try_get_u32().ok()?);
        }
    }
    Some(topics)
}

fn name(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
    let (name, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(name.to_vec()).ok()
}

fn user_data(bytes: &mut &[u8]) -> Option<Bytes> {
    let length = usize::try_from(bytes.try_get_i32().ok()?.max(0)).ok()?;
    let (data, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(Bytes::copy_from_slice(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_of(places: &[(&str, &[u32])]) -> Named {
        let of_topic = |(name, partitions): &(&str, &[u32])| ((*name).to_owned(), partitions.iter().copied().collect());
        places.iter().map(of_topic).collect()
    }

    #[test]
    fn subscriptions_are_read_and_nothing_else_is_taken_for_them() {
        let check = |bytes: &[u8], expected: Option<(&[&str], Named)>| {
            let read = read_subscription(bytes).map(|read| (read.topics, read.owned));
            let expected =
                expected.map(|(names, owned)| (names.iter().map(|name| (*name).to_owned()).collect(), owned));
            assert_eq!(read, expected, "{bytes:?}");
        };
        let none = Named::new;
        check(
            b"\x00\x00\x00\x00\x00\x02\x00\x01a\x00\x02bc\xff\xff\xff\xff",
            Some((&["a", "bc"], none())),
        );
        check(b"\x00\x00\x00\x00\x00\x00", Some((&[], none())));
        check(
            b"\x00\x01\x00\x00\x00\x01\x00\x01a\x00\x00\x00\x02uu\x00\x00\x00\x01\x00\x01a\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05",
            Some((&["a"], named_of(&[("a", &[0, 5])]))),
        );
        check(b"\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff", None);
        check(b"\x00\x00\x7f\xff\xff\xff\x00\x01a", None);
        check(b"\x00\x00\x00\x00\x00\x01\xff\xff", None);
        check(b"\x00\x00\x00\x00\x00\x01\x00\x01\xff", None);
        check(b"\x00\x01\x00\x00\x00\x00\x7f\xff\xff\xff", None);
        check(b"", None);
    }

    #[test]
    fn assignments_come_back_as_they_were_written() {
        for assigned in [named_of(&[]), named_of(&[("a", &[0]), ("bc", &[1, 7])])] {
            let bytes = write_assignment(3, &assigned);
            assert_eq!(bytes[..2], [0, 3]);
            let partitions = assigned;
            let user_data = Bytes::new();
            assert_eq!(read_assignment(&bytes), Some(Assigned { partitions, user_data }));
        }
        assert_eq!(read_assignment(b""), Some(Assigned::default()));
        let told = read_assignment(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02uu").unwrap();
        assert_eq!(told.user_data, "uu");
        assert_eq!(read_assignment(b"p0"), None);
        assert_eq!(read_assignment(b"\x00\x00\x7f\xff\xff\xff"), None);
    }
}
