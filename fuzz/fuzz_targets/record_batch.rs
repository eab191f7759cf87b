//! No record batch aborts the process, whatever its bytes. The length and the CRC are made right first, so that what lies below them is reached.

#![no_main]

use bytes::Bytes;
use headwater_records::Batch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if bytes.len() > 61 {
        let length = (bytes.len() - 12) as u32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    let mut bytes = Bytes::from(bytes);
    if let Ok(batch) = Batch::take(&mut bytes) {
        let checked = batch.check_events();
        let events = batch.events();
        assert_eq!(checked.is_ok(), events.is_ok());
    }
});
