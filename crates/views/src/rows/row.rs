//! What is kept of a row under its key: `age u32` (little endian), then the state of its aggregates.
//!
//! The age is how many events the row took since its last snapshot (see [`crate::rows::snapshots`]).

const AGE_BYTES: usize = size_of::<u32>();

/// The value of a row, written over what is in `value`.
pub(crate) fn write(age: u32, state: &[u8], value: &mut Vec<u8>) {
    value.clear();
    value.extend_from_slice(&age.to_le_bytes());
    value.extend_from_slice(state);
}

/// The age in a row's value.
pub(crate) fn age(value: &[u8]) -> u32 {
    value
        .first_chunk::<AGE_BYTES>()
        .map_or(0, |age| u32::from_le_bytes(*age))
}

/// The state in a row's value.
pub(crate) fn state(value: &[u8]) -> &[u8] {
    value.get(AGE_BYTES..).unwrap_or_default()
}
