//! Names for operations and schemas that generated clients can make functions and classes of, whatever a stream or a view is called.
//!
//! Invariant: no two names give the same, however a generator spells it; and the same name gives the same at every start.

/// The id of an operation on what has this name.
pub(super) fn operation_id(verb: &str, name: &str) -> String {
    format!("{verb}_{}", identifier(name))
}

/// Words in lower case with `_` between them. A name that says more than that (capitals, `.`, `-`) has a number behind its words: generators take
/// capitals and signs away, and what is left may be another's name.
pub(super) fn identifier(name: &str) -> String {
    let words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let plain = words.map(str::to_ascii_lowercase).collect::<Vec<String>>().join("_");
    match plain == name {
        true => plain,
        false => format!("{plain}_{:08x}", fnv(name.as_bytes())),
    }
}

/// FNV-1a, 32 bits (Fowler, Noll, Vo).
fn fnv(bytes: &[u8]) -> u32 {
    let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, mix)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_that_differ_in_signs_alone_have_identifiers_of_their_own() {
        for plain in ["orders", "order_events", "v2", "a_1_b"] {
            assert_eq!(identifier(plain), plain);
        }
        let names = ["a_b", "a.b", "a-b", "A_b", "a__b", "_a_b", "a_b_", "a.b.", "ab", "aB"];
        let found: BTreeSet<String> = names.iter().map(|name| identifier(name)).collect();
        assert_eq!(found.len(), names.len(), "{found:?}");
        let is_plain = |text: &String| {
            text.bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        assert!(found.iter().all(is_plain), "{found:?}");
        assert_eq!(operation_id("read", "a.b"), format!("read_{}", identifier("a.b")));
    }
}
