//! An event as JSON, as every answer shows it.
//!
//! ```json
//! {"stream": "s", "partition": 2, "offset": 17, "key": "k", "headers": [], "timestamp": "…", "appended_at": "…", "principal": "ann", "value": …}
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_catalog::Codec;
use headwater_eventlog::{FoundEvent, SeenEvent};
use headwater_records::{Event, Header};
use serde::de::IgnoredAny;

use super::digits::{put_digits, write_moment};
use super::text::put_text;

/// What an event says whose writer gave it no time.
const NO_TIMESTAMP: i64 = -1;

/// An event and where it stands. A tombstone is told from the value `null` by a member of its own.
pub(crate) struct Shown<'a> {
    /// The stream's name, where it is shown: as where events of several stand together.
    pub stream: Option<&'a str>,
    pub partition: u32,
    pub offset: u64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [Header],
    pub timestamp_ms: i64,
    pub appended_at_us: i64,
    pub principal: &'a str,
}

impl<'a> Shown<'a> {
    /// An event that the log found, with the name of its stream.
    pub(crate) fn found(found: &'a FoundEvent) -> Shown<'a> {
        Shown {
            stream: Some(&found.address.stream),
            partition: found.address.partition,
            offset: found.address.offset,
            appended_at_us: found.appended_at_us,
            principal: &found.principal,
            ..Shown::of(&found.event)
        }
    }

    /// An event that stands nowhere yet.
    pub(crate) fn of(event: &'a Event) -> Shown<'a> {
        Shown {
            stream: None,
            partition: 0,
            offset: 0,
            key: event.key.as_deref(),
            value: event.value.as_deref(),
            headers: &event.headers,
            timestamp_ms: event.timestamp_ms,
            appended_at_us: 0,
            principal: "",
        }
    }

    /// An event where it stands in memory; its headers are given apart.
    pub(crate) fn seen(seen: &SeenEvent<'a>, headers: &'a [Header]) -> Shown<'a> {
        Shown {
            stream: None,
            partition: seen.partition,
            offset: seen.event.offset,
            key: seen.event.key,
            value: seen.event.value,
            headers,
            timestamp_ms: seen.event.timestamp_ms,
            appended_at_us: seen.appended_at_us,
            principal: seen.principal,
        }
    }

    /// The event as JSON on one line, with the version of the schema that it was written with where its stream had several. Its value stands as it was written where it is JSON, and as the stream's format makes JSON of it;
    /// `value_text` and `value_base64` hold what is none. `codec`: that of its stream, where there is one.
    pub(crate) fn write(&self, codec: Option<&Codec>, out: &mut Vec<u8>) {
        let document = codec
            .zip(self.value)
            .and_then(|(codec, value)| codec.document_at(self.partition, self.offset, self.appended_at_us, value));
        let version = codec.and_then(|codec| codec.version_told(self.partition, self.offset));
        self.put(document.as_deref(), version, out);
    }

    fn put(&self, document: Option<&str>, version: Option<u32>, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some(stream) = self.stream {
            put_member(out, "stream", stream);
            out.push(b',');
        }
        out.extend_from_slice(b"\"partition\":");
        put_digits(self.partition.into(), 1, out);
        out.extend_from_slice(b",\"offset\":");
        put_digits(self.offset.into(), 1, out);
        out.push(b',');
        match self.key {
            None => out.extend_from_slice(b"\"key\":null"),
            Some(key) => put_bytes(out, ["key", "key_base64"], key),
        }
        out.extend_from_slice(b",\"headers\":[");
        for (index, header) in self.headers.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            put_header(out, header);
        }
        out.extend_from_slice(b"],");
        match self.timestamp_ms {
            NO_TIMESTAMP => out.extend_from_slice(b"\"timestamp\":null"),
            timestamp_ms => put_moment(out, "timestamp", timestamp_ms.saturating_mul(1000)),
        }
        out.push(b',');
        put_moment(out, "appended_at", self.appended_at_us);
        out.push(b',');
        put_member(out, "principal", self.principal);
        if let Some(version) = version {
            out.extend_from_slice(b",\"schema_version\":");
            put_digits(version.into(), 1, out);
        }
        put_value(out, document.map(str::as_bytes).or(self.value));
        out.push(b'}');
    }
}

/// The name of a member.
fn put_name(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A member that is a moment, microseconds since 1970.
fn put_moment(out: &mut Vec<u8>, name: &str, microseconds: i64) {
    put_name(out, name);
    out.push(b'"');
    write_moment(microseconds, out);
    out.push(b'"');
}

/// A member that is a text.
fn put_member(out: &mut Vec<u8>, name: &str, text: &str) {
    put_name(out, name);
    put_text(text, out);
}

/// A member that is bytes: as text where they are, under another name where they are none.
fn put_bytes(out: &mut Vec<u8>, [name, name_base64]: [&str; 2], bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => put_member(out, name, text),
        Err(_) => put_member(out, name_base64, &STANDARD.encode(bytes)),
    }
}

fn put_header(out: &mut Vec<u8>, header: &Header) {
    out.push(b'{');
    put_member(out, "name", &header.name);
    out.push(b',');
    match header.value.as_deref() {
        None => out.extend_from_slice(b"\"value\":null"),
        Some(value) => put_bytes(out, ["value", "value_base64"], value),
    }
    out.push(b'}');
}

fn put_value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else {
        out.extend_from_slice(b",\"value\":null,\"tombstone\":true");
        return;
    };
    if serde_json::from_slice::<IgnoredAny>(value).is_ok() {
        out.extend_from_slice(b",\"value\":");
        let at = out.len();
        out.extend_from_slice(value);
        // A line break in JSON can only stand between its parts: inside of a text it is escaped.
        for byte in out[at..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        return;
    }
    out.push(b',');
    put_bytes(out, ["value_text", "value_base64"], value);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn check(event: Event, expected: Value) {
        let shown = Shown {
            stream: Some("s"),
            partition: 1,
            offset: 2,
            appended_at_us: 1_500_000,
            principal: "ann",
            ..Shown::of(&event)
        };
        let mut line = Vec::new();
        shown.put(None, None, &mut line);
        assert!(!line.contains(&b'\n'));
        let mut written: Value = serde_json::from_slice(&line).unwrap();
        for (name, value) in [
            ("stream", json!("s")),
            ("partition", json!(1)),
            ("offset", json!(2)),
            ("timestamp", json!("1970-01-01T00:00:00Z")),
            ("appended_at", json!("1970-01-01T00:00:01.5Z")),
            ("principal", json!("ann")),
        ] {
            assert_eq!(written.as_object_mut().unwrap().remove(name), Some(value), "{name}");
        }
        assert_eq!(written, expected);
    }

    #[test]
    fn events_are_shown_whatever_they_hold() {
        let bytes = |text: &'static [u8]| Some(Bytes::from_static(text));
        check(
            Event {
                key: bytes(b"k"),
                value: bytes(b"{\"a\":\n1.50}"),
                ..Event::default()
            },
            json!({"key": "k", "headers": [], "value": {"a": 1.5}}),
        );
        check(
            Event::default(),
            json!({"key": null, "headers": [], "value": null, "tombstone": true}),
        );
        check(
            Event {
                value: bytes(b"null"),
                ..Event::default()
            },
            json!({"key": null, "headers": [], "value": null}),
        );
        check(
            Event {
                value: bytes(b"no json"),
                ..Event::default()
            },
            json!({"key": null, "headers": [], "value_text": "no json"}),
        );
        check(
            Event {
                key: bytes(b"\xff"),
                value: bytes(b"\xfe"),
                headers: vec![
                    Header {
                        name: "h".into(),
                        value: None,
                    },
                    Header {
                        name: "h".into(),
                        value: bytes(b"x"),
                    },
                ],
                ..Event::default()
            },
            json!({
                "key_base64": "/w==", "value_base64": "/g==",
                "headers": [{"name": "h", "value": null}, {"name": "h", "value": "x"}],
            }),
        );
    }
}
