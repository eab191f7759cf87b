//! Views that are Delta tables, on a real log in a temporary folder: read while they are written, over restarts, and when their storage fails.

mod archive;
mod crashes;
mod flaky;
mod ground;
mod keeping;
mod merging;
mod opening;
mod past;
mod restored;
