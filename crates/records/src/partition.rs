//! Which partition a key belongs to.
//!
//! Every door must agree, or the events of one key would lie in two partitions and lose their order. The rule is the one of Kafka's Java client
//! (and of every client set to `murmur2`): murmur2 of the key's bytes, sign bit cleared, modulo the number of partitions.

/// The partition of a key among `partitions`; 0 where there are none.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    let hash = murmur2(key) & 0x7fff_ffff;
    hash.checked_rem(partitions).unwrap_or(0)
}

/// MurmurHash2, 32 bits, with the seed of Kafka's clients (Austin Appleby; `org.apache.kafka.common.utils.Utils.murmur2`).
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const MIX: u32 = 0x5bd1_e995;
    // The length is mixed in modulo 2^32, as the original does.
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        word ^= word >> 24;
        hash = hash.wrapping_mul(MIX) ^ word.wrapping_mul(MIX);
    }
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected hashes stand in Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_are_those_of_kafkas_clients() {
        for (key, expected) in [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
    }

    #[test]
    fn every_key_has_a_partition() {
        assert_eq!(partition_of(b"abc", 0), 0);
        assert_eq!(partition_of(b"abc", 1), 0);
        assert_eq!(partition_of(b"foobar", 4), (-790332482_i32 as u32 & 0x7fff_ffff) % 4);
    }
}
