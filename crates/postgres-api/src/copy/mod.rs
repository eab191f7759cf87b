//! The rows of COPY as they are written: PostgreSQL's text format, and CSV.
//!
//! Source: PostgreSQL documentation, "COPY", "File Formats".

mod read;
mod write;

pub(crate) use read::{NotRead, read};
pub(crate) use write::{put_header, put_row};
