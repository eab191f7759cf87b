//! No frame aborts the process, whatever its bytes: header, walk, decode, and the batches of a Produce request.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    headwater_kafka_api::fuzzing::decode(bytes::Bytes::copy_from_slice(bytes));
});
