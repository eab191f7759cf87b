//! What stands before a value that was written with a registered schema.
//!
//! ```text
//! 0 │ schema id, 4 bytes, big-endian │ body
//! ```
//!
//! Behind the id of a Protobuf schema stands which of its messages it is: a count and so many indexes, zigzag varints; one 0 stands for the first.

/// A framed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The schema's id.
    pub id: u32,
    /// What is behind it.
    pub body: &'a [u8],
}

const MAGIC: u8 = 0;
const HEAD_BYTES: usize = 5;

impl<'a> Frame<'a> {
    /// Takes a value apart; `None` where it is not framed.
    pub fn of(value: &'a [u8]) -> Option<Frame<'a>> {
        let (head, body) = value.split_at_checked(HEAD_BYTES)?;
        let [MAGIC, id @ ..] = head else { return None };
        let id = u32::from_be_bytes(id.try_into().ok()?);
        Some(Frame { id, body })
    }
}

/// The head of a value that is written with a schema.
pub fn frame(id: u32) -> Vec<u8> {
    let mut head = vec![MAGIC];
    head.extend_from_slice(&id.to_be_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &[u8], expected: Option<(u32, &[u8])>) {
        let found = Frame::of(value).map(|frame| (frame.id, frame.body));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_value_says_its_schema() {
        check(&[0, 0, 0, 1, 2, 9, 8], Some((258, &[9, 8])));
        check(&[0, 0, 0, 0, 7], Some((7, &[])));
        check(&[0, 0, 0, 7], None);
        check(b"{\"a\":1}", None);
        check(&[], None);
        assert_eq!(Frame::of(&frame(258)), Some(Frame { id: 258, body: &[] }));
    }
}
