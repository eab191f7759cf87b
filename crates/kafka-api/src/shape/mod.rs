//! The shape of every request, walked before it is decoded.
//!
//! The decoder reserves memory for as many elements as an array says it has. So every body is first walked by its table: each
//! count and each length is held against the bytes that are really there, and the elements of one request are counted.
//!
//! Invariants
//! - A body that passes has no length beyond its end, and at most [`ELEMENTS_MAX`] elements in all its arrays together.
//! - Walker and decoder read the same bytes: a tagged field must be exactly as long as it says, or the body is refused.
//! - The walk itself allocates nothing and ends: every element takes at least one byte.

pub(crate) mod answers;
mod field;
mod tables;

use crate::limits::ELEMENTS_MAX;

pub(crate) use field::{Field, Shape};
pub(crate) use tables::*;

/// Why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    #[error("it ends in the middle of a field")]
    Short,
    #[error("a string says it has {length} bytes where {left} are left")]
    Text { length: u64, left: usize },
    #[error("an array says it has {count} elements where {left} bytes are left")]
    Count { count: u64, left: usize },
    #[error("its arrays have more than {ELEMENTS_MAX} elements together: ask in several requests")]
    Elements,
    #[error("a length or count is negative")]
    Negative,
    #[error("a number is longer than its type")]
    Varint,
    #[error("tagged field {tag} is not as long as it says")]
    Tagged { tag: u32 },
}

/// Walks `bytes` as one request's body and says how many bytes it takes.
pub(crate) fn walk(shape: &Shape, bytes: &[u8], version: i16, flexible: bool) -> Result<usize, ShapeError> {
    let mut walker = Walker {
        rest: bytes,
        version,
        flexible,
        elements_left: ELEMENTS_MAX,
    };
    walker.walk(shape)?;
    Ok(bytes.len() - walker.rest.len())
}

struct Walker<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements_left: usize,
}

impl Walker<'_> {
    fn walk(&mut self, shape: &Shape) -> Result<(), ShapeError> {
        match shape {
            Shape::Fixed(bytes) => self.skip(*bytes),
            Shape::Text => {
                let length = if self.flexible { self.compact()? } else { self.i16()? };
                self.skip_stated(length)
            }
            Shape::Blob => {
                let length = if self.flexible { self.compact()? } else { self.i32()? };
                self.skip_stated(length)
            }
            Shape::Array(element) => {
                let count = if self.flexible { self.compact()? } else { self.i32()? };
                let count = self.admit(count.unwrap_or(0))?;
                for _ in 0..count {
                    self.walk(element)?;
                }
                Ok(())
            }
            Shape::Optional(shape) => match self.take::<1>()? {
                [1] => self.walk(shape),
                _ => Ok(()),
            },
            Shape::Struct(fields, tagged) => {
                for field in *fields {
                    if (field.since..=field.until).contains(&self.version) {
                        self.walk(&field.shape)?;
                    }
                }
                if self.flexible { self.tags(tagged) } else { Ok(()) }
            }
        }
    }

    fn tags(&mut self, known: &[(u32, Shape)]) -> Result<(), ShapeError> {
        let count = self.varint()?;
        // Each takes two bytes at least, and a place in the decoder's map.
        let count = self.admit(u64::from(count))?;
        for _ in 0..count {
            let tag = self.varint()?;
            let length = self.varint()? as usize;
            let before = self.rest.len();
            match known.iter().find(|(known, _)| *known == tag) {
                Some((_, shape)) => {
                    self.walk(shape)?;
                    if before - self.rest.len() != length {
                        return Err(ShapeError::Tagged { tag });
                    }
                }
                None => self.skip_stated(Some(length as u64))?,
            }
        }
        Ok(())
    }

    /// Whether so many elements can be there and are still allowed.
    fn admit(&mut self, count: u64) -> Result<u64, ShapeError> {
        let left = self.rest.len();
        if count > left as u64 {
            return Err(ShapeError::Count { count, left });
        }
        self.elements_left = self
            .elements_left
            .checked_sub(count as usize)
            .ok_or(ShapeError::Elements)?;
        Ok(count)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), ShapeError> {
        self.rest = self.rest.get(bytes..).ok_or(ShapeError::Short)?;
        Ok(())
    }

    fn skip_stated(&mut self, length: Option<u64>) -> Result<(), ShapeError> {
        let length = length.unwrap_or(0);
        let left = self.rest.len();
        if length > left as u64 {
            return Err(ShapeError::Text { length, left });
        }
        self.skip(length as usize)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ShapeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(ShapeError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A length in two bytes; -1 says that nothing follows.
    fn i16(&mut self) -> Result<Option<u64>, ShapeError> {
        stated(i64::from(i16::from_be_bytes(self.take()?)))
    }

    /// A length or count in four bytes; -1 says that nothing follows.
    fn i32(&mut self) -> Result<Option<u64>, ShapeError> {
        stated(i64::from(i32::from_be_bytes(self.take()?)))
    }

    /// A length or count plus one, in a varint; 0 says that nothing follows.
    fn compact(&mut self) -> Result<Option<u64>, ShapeError> {
        Ok(u64::from(self.varint()?).checked_sub(1))
    }

    fn varint(&mut self) -> Result<u32, ShapeError> {
        let mut value: u32 = 0;
        for index in 0..5 {
            let [byte] = self.take()?;
            if index == 4 && byte > 0x0f {
                return Err(ShapeError::Varint);
            }
            value |= u32::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ShapeError::Varint)
    }
}

fn stated(length: i64) -> Result<Option<u64>, ShapeError> {
    match length {
        -1 => Ok(None),
        length => u64::try_from(length).map(Some).map_err(|_| ShapeError::Negative),
    }
}

#[cfg(test)]
pub(crate) mod tests;
