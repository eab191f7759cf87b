//! Copies the body of a flexible version field by field, for whoever changes some of them on the way.
//!
//! Invariant: no more is copied than is there, whatever lengths and counts say.

use bytes::{BufMut, BytesMut};

/// A body that is being copied.
pub(super) struct Copy<'a> {
    /// What was not copied yet.
    pub(super) rest: &'a [u8],
    pub(super) out: BytesMut,
}

impl<'a> Copy<'a> {
    pub(super) fn of(body: &'a [u8]) -> Copy<'a> {
        Copy {
            rest: body,
            out: BytesMut::with_capacity(body.len() * 2),
        }
    }

    pub(super) fn fixed(&mut self, bytes: usize) -> Option<()> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.out.put_slice(taken);
        self.rest = rest;
        Some(())
    }

    /// A length plus one in a varint, and so many bytes.
    pub(super) fn text(&mut self) -> Option<()> {
        let length = self.varint()?.saturating_sub(1);
        self.fixed(length as usize)
    }

    /// A count plus one, and so many numbers of four bytes.
    pub(super) fn numbers(&mut self) -> Option<()> {
        let count = self.varint()?.saturating_sub(1);
        self.fixed((count as usize).checked_mul(4)?)
    }

    /// A count plus one, and so many structs.
    pub(super) fn each(&mut self, mut copy: impl FnMut(&mut Copy<'a>) -> Option<()>) -> Option<()> {
        for _ in 1..self.varint()? {
            copy(self)?;
            self.tags()?;
        }
        Some(())
    }

    /// The body's own tagged fields, and nothing after them.
    pub(super) fn end(&mut self) -> Option<()> {
        self.tags()?;
        self.is_over()
    }

    /// Nothing is left.
    pub(super) fn is_over(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    pub(super) fn varint(&mut self) -> Option<u32> {
        let mut value: u32 = 0;
        for index in 0..5 {
            let byte = *self.rest.first()?;
            self.fixed(1)?;
            value |= u32::from(byte & 0x7f).checked_shl(7 * index)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a varint that is not copied.
    pub(super) fn take_varint(&mut self) -> Option<u32> {
        let at = self.out.len();
        let value = self.varint()?;
        self.out.truncate(at);
        Some(value)
    }

    /// Writes a varint that was not there.
    pub(super) fn put_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.put_u8(value as u8);
    }

    fn tags(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.fixed(length as usize)?;
        }
        Some(())
    }
}
