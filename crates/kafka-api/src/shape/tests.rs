//! Tests of the walker: against hostile counts, and against the decoder in both directions.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::api::{APIS, Api};
use crate::requests::{as_known, known};

/// Writes a body from a table, with the choices that `dice` makes.
struct Writer<'a> {
    out: Vec<u8>,
    dice: &'a mut dyn FnMut(u32) -> u32,
    version: i16,
    flexible: bool,
}

impl Writer<'_> {
    fn write(&mut self, shape: &Shape) {
        match shape {
            Shape::Fixed(bytes) => self.out.extend(std::iter::repeat_n(1, *bytes)),
            Shape::Text => {
                let length = (self.dice)(5);
                self.length(length, 2);
                self.out.extend(std::iter::repeat_n(b'a', length as usize));
            }
            Shape::Blob => {
                let length = (self.dice)(5);
                self.length(length, 4);
                self.out.extend(std::iter::repeat_n(0xff, length as usize));
            }
            Shape::Array(element) => {
                let count = (self.dice)(4);
                self.length(count, 4);
                for _ in 0..count {
                    self.write(element);
                }
            }
            Shape::Optional(shape) => match (self.dice)(2) {
                0 => self.out.push(0xff),
                _ => {
                    self.out.push(1);
                    self.write(shape);
                }
            },
            Shape::Struct(fields, _) => {
                for field in *fields {
                    if (field.since..=field.until).contains(&self.version) {
                        self.write(&field.shape);
                    }
                }
                if self.flexible {
                    let tags = (self.dice)(3);
                    self.out.push(tags as u8);
                    for tag in 0..tags {
                        // Known tags are rare; these are from the future.
                        self.out.extend([100 + tag as u8, 3, 1, 2, 3]);
                    }
                }
            }
        }
    }

    fn length(&mut self, length: u32, bytes: usize) {
        match (self.flexible, bytes) {
            (true, _) => self.out.push(length as u8 + 1),
            (false, 2) => self.out.extend((length as u16).to_be_bytes()),
            (false, _) => self.out.extend(length.to_be_bytes()),
        }
    }
}

/// A body of a request as its table says.
pub(crate) fn body(api: &Api, version: i16, dice: &mut dyn FnMut(u32) -> u32) -> Vec<u8> {
    let mut writer = Writer {
        out: Vec::new(),
        dice,
        version,
        flexible: api.is_flexible(version),
    };
    writer.write(api.shape);
    writer.out
}

/// A whole request.
pub(crate) fn frame(api: &Api, version: i16, body: &[u8]) -> Bytes {
    let mut frame = [(api.key as i16).to_be_bytes(), version.to_be_bytes()].concat();
    frame.extend([0, 0, 0, 1, 0, 1, b'c']);
    if api.is_flexible(version) {
        frame.push(0);
    }
    frame.extend(body);
    Bytes::from(frame)
}

/// How many bytes of a body the decoder leaves, or why it takes none.
fn bytes_left(api: &Api, version: i16, body: &[u8]) -> Result<usize, String> {
    let body = Bytes::copy_from_slice(body);
    let mut left = as_known(api.key, body, version).ok_or("it ends in the middle")?;
    let decoded = kafka_protocol::messages::RequestKind::decode(api.key, &mut left, known(api.key, version));
    decoded.map(|_| left.len()).map_err(|error| error.to_string())
}

/// What the table writes, the walker passes to the last byte, and the decoder takes.
#[test]
fn every_table_agrees_with_the_decoder() {
    let mut runner = TestRunner::new(Config::with_cases(64));
    runner
        .run(&proptest::collection::vec(any::<u32>(), 64), |choices| {
            for api in APIS {
                for version in api.version_min..=api.version_max {
                    let mut next = choices.iter().cycle();
                    let mut dice = |sides: u32| next.next().unwrap() % sides;
                    let body = body(api, version, &mut dice);
                    let walked = walk(api.shape, &body, version, api.is_flexible(version));
                    prop_assert_eq!(walked, Ok(body.len()), "{:?} {}", api.key, version);
                    let left = bytes_left(api, version, &body);
                    prop_assert_eq!(left, Ok(0), "{:?} {}: bytes that the decoder leaves", api.key, version);
                }
            }
            Ok(())
        })
        .unwrap();
}

/// Bytes that the walker passes are read by the decoder to the same place, whatever they are: no count comes unseen.
#[test]
fn broken_requests_never_lead_the_decoder_elsewhere() {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let input = (
        proptest::collection::vec(any::<u32>(), 32),
        proptest::collection::vec(change, 1..5),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
    );
    let mut runner = TestRunner::new(Config::with_cases(20_000));
    runner
        .run(&input, |(choices, changes, api, version)| {
            let api = &APIS[api.index(APIS.len())];
            let versions: Vec<i16> = (api.version_min..=api.version_max).collect();
            let version = versions[version.index(versions.len())];
            let mut next = choices.iter().cycle();
            let mut body = body(api, version, &mut |sides: u32| next.next().unwrap() % sides);
            for (at, byte) in changes {
                if !body.is_empty() {
                    let at = at.index(body.len());
                    body[at] = byte;
                }
            }
            crate::requests::decode_only(frame(api, version, &body));
            let Ok(walked) = walk(api.shape, &body, version, api.is_flexible(version)) else {
                return Ok(());
            };
            if let Ok(left) = bytes_left(api, version, &body) {
                prop_assert_eq!(body.len() - left, walked, "{:?} {}", api.key, version);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_frames_never_panic() {
    let mut runner = TestRunner::new(Config::with_cases(20_000));
    let input = (0..70_i16, 0..20_i16, proptest::collection::vec(any::<u8>(), 0..200));
    runner
        .run(&input, |(key, version, rest)| {
            let head = [key.to_be_bytes(), version.to_be_bytes()].concat();
            crate::requests::decode_only(Bytes::from([head, rest].concat()));
            Ok(())
        })
        .unwrap();
}

fn check(shape: &Shape, flexible: bool, bytes: &[u8], expected: Result<usize, ShapeError>) {
    assert_eq!(walk(shape, bytes, 0, flexible), expected, "{bytes:?}");
}

#[test]
fn lengths_and_counts_are_held_against_what_is_there() {
    const INTS: Shape = Shape::Array(&Shape::Fixed(4));
    check(&INTS, false, &[0, 0, 0, 1, 9, 9, 9, 9], Ok(8));
    check(&INTS, false, &[0xff, 0xff, 0xff, 0xff], Ok(4));
    check(&INTS, false, &[0xff, 0xff, 0xff, 0xfe], Err(ShapeError::Negative));
    check(&INTS, false, &[0, 0, 0, 1, 9, 9, 9], Err(ShapeError::Short));
    let left = 4;
    let hostile = Err(ShapeError::Count {
        count: 0x7fff_ffff,
        left,
    });
    check(&INTS, false, &[0x7f, 0xff, 0xff, 0xff, 9, 9, 9, 9], hostile);
    let hostile = Err(ShapeError::Count {
        count: 0xffff_fffe,
        left,
    });
    check(&INTS, true, &[0xff, 0xff, 0xff, 0xff, 0x0f, 9, 9, 9, 9], hostile);
    check(
        &INTS,
        true,
        &[0xff, 0xff, 0xff, 0xff, 0x10, 9, 9, 9, 9],
        Err(ShapeError::Varint),
    );
    check(&INTS, true, &[0], Ok(1));
    check(&Shape::Text, false, &[0, 2, b'a', b'b'], Ok(4));
    check(
        &Shape::Text,
        false,
        &[0, 3, b'a', b'b'],
        Err(ShapeError::Text { length: 3, left: 2 }),
    );
    check(&Shape::Text, true, &[3, b'a', b'b'], Ok(3));
    check(
        &Shape::Text,
        true,
        &[4, b'a', b'b'],
        Err(ShapeError::Text { length: 3, left: 2 }),
    );
    check(&Shape::Blob, false, &[0, 0, 0, 2, 1, 2], Ok(6));
    check(
        &Shape::Blob,
        false,
        &[0x7f, 0, 0, 2, 1, 2],
        Err(ShapeError::Text {
            length: 0x7f00_0002,
            left: 2,
        }),
    );
}

#[test]
fn tagged_fields_are_as_long_as_they_say() {
    const TAGGED: Shape = Shape::Struct(&[], &[(0, Shape::Text)]);
    check(&TAGGED, true, &[1, 0, 3, 3, b'a', b'b'], Ok(6));
    check(
        &TAGGED,
        true,
        &[1, 0, 2, 3, b'a', b'b'],
        Err(ShapeError::Tagged { tag: 0 }),
    );
    check(&TAGGED, true, &[1, 7, 2, 3, b'a'], Ok(5));
    check(
        &TAGGED,
        true,
        &[1, 7, 3, 3, b'a'],
        Err(ShapeError::Text { length: 3, left: 2 }),
    );
    check(&TAGGED, true, &[9, 7, 0], Err(ShapeError::Count { count: 9, left: 2 }));
}

#[test]
fn elements_on_both_sides_of_the_limit() {
    const BYTES: Shape = Shape::Array(&Shape::Fixed(1));
    let body = |count: usize| [(count as u32).to_be_bytes().as_slice(), &vec![1; count]].concat();
    check(&BYTES, false, &body(ELEMENTS_MAX), Ok(ELEMENTS_MAX + 4));
    check(&BYTES, false, &body(ELEMENTS_MAX + 1), Err(ShapeError::Elements));
}
