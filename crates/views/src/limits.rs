//! Every bound of a view that is not an option of the program, with its reason.

/// The memory of a view stored as memory that does not say: a few million rows, and small beside what a machine has.
pub const MEMORY_BYTES_DEFAULT: u64 = 512 * 1024 * 1024;
