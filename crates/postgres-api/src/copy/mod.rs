//! The rows of COPY as they are written: PostgreSQL's text format, CSV, and its binary format.
//!
//! Source: PostgreSQL documentation, "COPY", "File Formats".

mod binary;
mod read;
mod write;

pub(crate) use binary::{put_begin, put_binary_row, put_end, read_binary};
pub(crate) use read::{NotRead, read};
pub(crate) use write::{put_header, put_row};
