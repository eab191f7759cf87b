//! What a consumer says of itself in the classic protocol: the topics it wants.
//!
//! ```text
//! version int16 | count int32, then so many: length int16, topic | …
//! ```
//!
//! Source: Kafka's `ConsumerProtocolSubscription`. The bytes come from clients and are not trusted: what is no subscription has no topics.

use std::collections::BTreeSet;

use bytes::Buf;

/// The topics that a consumer's metadata names; `None` where it is no consumer's.
pub(crate) fn topics(mut metadata: &[u8]) -> Option<BTreeSet<String>> {
    let _version = metadata.try_get_i16().ok()?;
    let count = metadata.try_get_i32().ok()?;
    let mut topics: BTreeSet<String> = BTreeSet::new();
    for _ in 0..count.max(0) {
        let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
        let (name, rest) = metadata.split_at_checked(length)?;
        topics.insert(String::from_utf8(name.to_vec()).ok()?);
        metadata = rest;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_nothing_else_is_taken_for_them() {
        let check = |metadata: &[u8], expected: Option<&[&str]>| {
            let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(topics(metadata), expected, "{metadata:?}");
        };
        check(
            b"\x00\x01\x00\x00\x00\x02\x00\x01a\x00\x02bc\xff\xff\xff\xff",
            Some(&["a", "bc"]),
        );
        check(b"\x00\x00\x00\x00\x00\x00", Some(&[]));
        check(b"\x00\x00\x7f\xff\xff\xff\x00\x01a", None);
        check(b"\x00\x00\x00\x00\x00\x01\xff\xff", None);
        check(b"\x00\x00\x00\x00\x00\x01\x00\x01\xff", None);
        check(b"", None);
    }
}
