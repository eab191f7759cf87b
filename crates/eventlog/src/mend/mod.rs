//! What is wrong on the disk: named, looked for, and gone on without.

pub(crate) mod damage;
pub(crate) mod repair;
pub(crate) mod verify;
