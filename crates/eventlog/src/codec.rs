//! Little-endian numbers, texts and settings, bounded by what is there.

use bytes::Bytes;

use crate::streams::settings::StreamSettings;

/// Takes values off the front of bytes; `None` where they end before.
pub(crate) struct Decoder {
    rest: Bytes,
}

impl Decoder {
    pub(crate) fn new(bytes: Bytes) -> Decoder {
        Decoder { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.rest.len()).then(|| self.rest.split_to(length))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.as_ref().try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    /// A text of at most 65,535 bytes with its length before it.
    pub(crate) fn text(&mut self) -> Option<String> {
        let length = self.u16()?;
        let bytes = self.take(usize::from(length))?;
        std::str::from_utf8(&bytes).ok().map(str::to_owned)
    }
}

/// Writes a text as [`Decoder::text`] reads it. A longer one is cut at a character: names are bounded where they come in.
pub(crate) fn put_text(into: &mut impl for<'a> Extend<&'a u8>, text: &str) {
    let mut length = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    into.extend(&(length as u16).to_le_bytes());
    into.extend(&text.as_bytes()[..length]);
}

/// Writes a stream's settings: their count, and of each the name and the value.
pub(crate) fn put_settings(into: &mut impl for<'a> Extend<&'a u8>, settings: &StreamSettings) {
    let pairs = settings.pairs();
    into.extend(&(pairs.len() as u16).to_le_bytes());
    for (name, value) in pairs {
        put_text(into, &name);
        put_text(into, &value);
    }
}

/// Reads settings as [`put_settings`] writes them.
pub(crate) fn take_settings(rest: &mut Decoder) -> Result<StreamSettings, String> {
    let short = "a stream's settings are cut short";
    let mut settings = StreamSettings::default();
    for _ in 0..rest.u16().ok_or(short)? {
        let name = rest.text().ok_or(short)?;
        let value = rest.text().ok_or(short)?;
        settings
            .set(&name, Some(&value))
            .map_err(|error| format!("a stream's settings cannot be read: {error}"))?;
    }
    Ok(settings)
}
