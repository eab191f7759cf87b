//! No bytes on the disk abort the process when they are decoded: journal frames, checkpoints, index entries, settings. Checksums are made right first.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| headwater_eventlog::decode_arbitrary(bytes));
