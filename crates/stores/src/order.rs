//! The order of many keys, by their bytes.
//!
//! A tree takes and finds keys faster in its own order: one after another lies in the same block, or beside it. Sorting costs little beside that, as
//! long as it does not go to the keys themselves, which lie all over memory, for each comparison.

/// The places of keys in the order in which the keys ascend.
pub fn ascending(keys: &[&[u8]]) -> Vec<u32> {
    // Keys of one view mostly begin alike; what tells them apart comes behind.
    let shared = shared_beginning(keys);
    let mut order: Vec<(u64, u32)> = keys
        .iter()
        .zip(0..)
        .map(|(key, at)| (first_bytes(&key[shared..]), at))
        .collect();
    order.sort_unstable_by(|(bytes, at), (other_bytes, other)| {
        let whole = || keys[*at as usize].cmp(keys[*other as usize]);
        bytes.cmp(other_bytes).then_with(whole).then(at.cmp(other))
    });
    order.into_iter().map(|(_, at)| at).collect()
}

/// How many bytes all keys begin with.
fn shared_beginning(keys: &[&[u8]]) -> usize {
    let Some((first, others)) = keys.split_first() else {
        return 0;
    };
    others.iter().fold(first.len(), |shared, key| {
        let same = first[..shared].iter().zip(*key).take_while(|(one, other)| one == other);
        same.count()
    })
}

/// The first eight bytes as a number that compares as they do; a key that is shorter has zeros behind.
fn first_bytes(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = key.len().min(bytes.len());
    bytes[..length].copy_from_slice(&key[..length]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ascend_by_their_bytes() {
        let check = |keys: &[&[u8]]| {
            let mut sorted = keys.to_vec();
            sorted.sort_unstable();
            let found: Vec<&[u8]> = ascending(keys).iter().map(|at| keys[*at as usize]).collect();
            assert_eq!(found, sorted);
        };
        check(&[]);
        check(&[b"only"]);
        check(&[b"b", b"a", b""]);
        check(&[b"x\x00", b"x", b"x\x00\x00", b"x\x01"]);
        check(&[b"account-0000000012", b"account-0000000011", b"account-0000000002"]);
        check(&[
            b"the same beginning, b",
            b"the same beginning, a",
            b"the same beginning",
        ]);
        check(&[b"12345678b", b"12345678a", b"\xff", b"\x7f"]);
        let many: Vec<Vec<u8>> = (0..2_000_u32)
            .map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[..(number % 5) as usize].to_vec())
            .collect();
        check(&many.iter().map(Vec::as_slice).collect::<Vec<&[u8]>>());
    }
}
