//! An event as JSON, as every answer shows it.
//!
//! ```json
//! {"stream": "s", "partition": 2, "offset": 17, "key": "k", "headers": [], "timestamp": "…", "appended_at": "…", "principal": "ann", "value": …}
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_catalog::Catalog;
use headwater_eventlog::FoundEvent;
use headwater_records::{Address, Event};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::streams::moment;

/// An event and where it stands.
pub(crate) struct Shown<'a> {
    pub stream: &'a str,
    /// Whether the stream is named, as where events of several stand together.
    pub is_named: bool,
    pub partition: u32,
    pub offset: u64,
    pub event: &'a Event,
    pub appended_at_us: i64,
    pub principal: &'a str,
}

impl<'a> Shown<'a> {
    /// An event that the log found, with the name of its stream.
    pub(crate) fn found(found: &'a FoundEvent) -> Shown<'a> {
        Shown {
            stream: &found.address.stream,
            is_named: true,
            partition: found.address.partition,
            offset: found.address.offset,
            event: &found.event,
            appended_at_us: found.appended_at_us,
            principal: &found.principal,
        }
    }

    /// The event as JSON on one line. Its value stands as it was written where it is JSON, and as the stream's format makes JSON of it;
    /// `value_text` and `value_base64` hold what is none.
    pub(crate) fn write(&self, catalog: &Catalog, out: &mut Vec<u8>) {
        let document = self
            .event
            .value
            .as_deref()
            .and_then(|value| self.document(catalog, value));
        self.put(document.as_deref(), out);
    }

    fn put(&self, document: Option<&str>, out: &mut Vec<u8>) {
        let mut head = json!({"partition": self.partition, "offset": self.offset});
        if let Value::Object(members) = &mut head {
            if self.is_named {
                members.insert("stream".into(), self.stream.into());
            }
            match self.event.key.as_deref().map(std::str::from_utf8) {
                None => members.insert("key".into(), Value::Null),
                Some(Ok(key)) => members.insert("key".into(), key.into()),
                Some(Err(_)) => {
                    let key = self.event.key.as_deref().unwrap_or_default();
                    members.insert("key_base64".into(), STANDARD.encode(key).into())
                }
            };
            members.insert("headers".into(), self.event.headers.iter().map(header).collect());
            members.insert(
                "timestamp".into(),
                moment(self.event.timestamp_ms.saturating_mul(1000)).into(),
            );
            members.insert("appended_at".into(), moment(self.appended_at_us).into());
            members.insert("principal".into(), self.principal.into());
        }
        let head = head.to_string();
        out.extend_from_slice(head.strip_suffix('}').unwrap_or(&head).as_bytes());
        put_value(out, document.map(str::as_bytes).or(self.event.value.as_deref()));
        out.push(b'}');
    }

    fn document(&self, catalog: &Catalog, value: &[u8]) -> Option<String> {
        let address = Address {
            stream: self.stream.to_owned(),
            partition: self.partition,
            offset: self.offset,
        };
        catalog.document(&address, self.appended_at_us, value)
    }
}

fn header(header: &headwater_records::Header) -> Value {
    match header.value.as_deref().map(std::str::from_utf8) {
        None => json!({"name": header.name, "value": null}),
        Some(Ok(value)) => json!({"name": header.name, "value": value}),
        Some(Err(_)) => {
            json!({"name": header.name, "value_base64": STANDARD.encode(header.value.as_deref().unwrap_or_default())})
        }
    }
}

fn put_value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else {
        out.extend_from_slice(b",\"value\":null");
        return;
    };
    if serde_json::from_slice::<IgnoredAny>(value).is_ok() {
        out.extend_from_slice(b",\"value\":");
        // A line break in JSON can only stand between its parts: inside of a text it is escaped.
        out.extend(
            value
                .iter()
                .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
        );
        return;
    }
    let (name, text) = match std::str::from_utf8(value) {
        Ok(text) => ("value_text", text.to_owned()),
        Err(_) => ("value_base64", STANDARD.encode(value)),
    };
    out.extend_from_slice(format!(",\"{name}\":{}", Value::from(text)).as_bytes());
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_records::Header;

    use super::*;

    fn check(event: Event, expected: Value) {
        let shown = Shown {
            stream: "s",
            is_named: true,
            partition: 1,
            offset: 2,
            event: &event,
            appended_at_us: 1_500_000,
            principal: "ann",
        };
        let mut line = Vec::new();
        shown.put(None, &mut line);
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
        check(Event::default(), json!({"key": null, "headers": [], "value": null}));
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
