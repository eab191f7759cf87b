//! Conditions and queries over events as clients write them: one JSON, whichever door it comes through.
//!
//! ```text
//! {"stream": "accounts", "key": "BradA", "version": "2@17"}     the entity's last event stands there; "none": it has no events
//! {"after": "seats/0@42", "none_of": [ITEM, …]}                 no event from there on matches an item; without "after": none at all
//! [CONDITION, …]                                                all of them
//!
//! ITEM   {"stream": "seats", "kinds": ["taken"], "key": "c1", "tags": ["student:s1"]}   all of its parts; an absent one means any
//! ```
//!
//! A key means the values of its stream's columns, however they are written; `key_base64` means these bytes, whatever they are. What is not known is refused: a misspelt member would make a condition that always holds.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use headwater_eventlog::{Boundary, Condition, EntityVersion, QUERY_ITEMS_MAX, QueryItem};
use headwater_records::{Position, Version};
use serde::Deserialize;

use crate::StreamDefinition;
use crate::facets::key_as_made;

/// What is written where an entity has no events.
const NO_VERSION: &str = "none";

/// A text that is no condition, query or version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// Which part of it: a word for programs.
    pub code: &'static str,
    /// What is wrong, and how to write it.
    pub message: String,
}

/// One condition, with the members of both kinds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a condition")]
struct WrittenCondition {
    stream: Option<String>,
    key: Option<String>,
    key_base64: Option<String>,
    version: Option<String>,
    after: Option<String>,
    none_of: Option<Vec<WrittenItem>>,
}

/// One item of a query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with stream, kinds, key or tags")]
struct WrittenItem {
    stream: Option<String>,
    #[serde(default)]
    kinds: Vec<String>,
    key: Option<String>,
    key_base64: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

/// The streams that a name speaks of; without a name, all.
pub type Streams<'a> = &'a dyn Fn(Option<&str>) -> Vec<Arc<StreamDefinition>>;

/// Reads a condition, or several that must all hold.
pub fn read_condition(json: &[u8], streams: Streams<'_>) -> Result<Condition, Malformed> {
    let is_list = json.trim_ascii_start().first() == Some(&b'[');
    let malformed = |error: serde_json::Error| malformed_condition(format!("it is no condition: {error}"));
    if !is_list {
        return one_condition(serde_json::from_slice(json).map_err(malformed)?, streams);
    }
    let written: Vec<WrittenCondition> = serde_json::from_slice(json).map_err(malformed)?;
    let conditions: Vec<Condition> = written
        .into_iter()
        .map(|one| one_condition(one, streams))
        .collect::<Result<_, Malformed>>()?;
    match conditions.is_empty() {
        true => Err(malformed_condition("it is an empty list of conditions".to_owned())),
        false => Ok(Condition::All(conditions)),
    }
}

/// Reads a list of items, or one.
pub fn read_query(json: &[u8], streams: Streams<'_>) -> Result<Vec<QueryItem>, Malformed> {
    let is_list = json.trim_ascii_start().first() == Some(&b'[');
    let malformed = |error: serde_json::Error| Malformed {
        code: "malformed_query",
        message: format!(
            "it is no query: {error}; write [{{\"stream\": …, \"kinds\": […], \"key\": …, \"tags\": […]}}]"
        ),
    };
    let written: Vec<WrittenItem> = match is_list {
        true => serde_json::from_slice(json).map_err(malformed)?,
        false => vec![serde_json::from_slice(json).map_err(malformed)?],
    };
    items(written, streams)
}

/// Reads the key of an entity.
pub fn read_key(stream: &StreamDefinition, written: &str) -> Result<Bytes, Malformed> {
    let unfit = || Malformed {
        code: "malformed_key",
        message: format!(
            "no event can have the key '{}': '{}' makes it of its columns, {}{}",
            written.chars().take(64).collect::<String>(),
            stream.name,
            columns_of(stream),
            if stream.key.len() > 1 {
                ", as a JSON array of their values"
            } else {
                ""
            },
        ),
    };
    key_as_made(stream, written).map(Bytes::from).ok_or_else(unfit)
}

/// What a stream's key is made of, in words.
fn columns_of(stream: &StreamDefinition) -> String {
    let columns = stream.key.iter().filter_map(|name| stream.column(name));
    let columns: Vec<String> = columns
        .map(|column| format!("{} {}", column.name, column.column_type))
        .collect();
    columns.join(", ")
}

/// Items of one key that is written in some form. Without a stream it is asked as it is written, and of each stream that makes another of it, as that makes it.
pub fn keyed(item: QueryItem, written: &str, streams: Streams<'_>) -> Result<Vec<QueryItem>, Malformed> {
    if let Some(name) = &item.stream {
        let stream = streams(Some(name)).into_iter().next();
        let key = stream.map_or_else(
            || Ok(Bytes::from(written.to_owned())),
            |stream| read_key(&stream, written),
        )?;
        return Ok(vec![QueryItem { key: Some(key), ..item }]);
    }
    let mut items = vec![QueryItem {
        key: Some(Bytes::from(written.to_owned())),
        ..item.clone()
    }];
    for stream in streams(None) {
        let other = key_as_made(&stream, written).filter(|made| made != written);
        items.extend(other.map(|made| QueryItem {
            stream: Some(stream.name.clone()),
            key: Some(Bytes::from(made)),
            ..item.clone()
        }));
    }
    Ok(items)
}

/// Reads a version: `2@17`, or `none` where there are no events.
pub fn read_version(text: &str) -> Result<Option<Version>, Malformed> {
    match text {
        NO_VERSION => Ok(None),
        text => text.parse().map(Some).map_err(|_| Malformed {
            code: "malformed_version",
            message: format!(
                "'{}' is no version: write partition@offset of the entity's last event, such as 2@17, or none",
                text.chars().take(64).collect::<String>()
            ),
        }),
    }
}

/// A version as [`read_version`] takes it.
pub fn version_text(version: Option<Version>) -> String {
    version.map_or_else(|| NO_VERSION.to_owned(), |version| version.to_string())
}

/// Reads a position.
pub fn read_position(text: &str) -> Result<Position, Malformed> {
    text.parse()
        .map_err(|error: headwater_records::PositionError| Malformed {
            code: "malformed_position",
            message: error.to_string(),
        })
}

fn one_condition(written: WrittenCondition, streams: Streams<'_>) -> Result<Condition, Malformed> {
    let WrittenCondition {
        stream,
        key,
        key_base64,
        version,
        after,
        none_of,
    } = written;
    let key = WrittenKey::of(key, key_base64)?;
    match (stream, key, version, after, none_of) {
        (Some(stream), Some(key), Some(version), None, None) => {
            let definition = streams(Some(&stream)).into_iter().next();
            let key = match (key, definition) {
                (WrittenKey::Text(text), Some(definition)) => read_key(&definition, &text)?,
                (WrittenKey::Text(text), None) => Bytes::from(text),
                (WrittenKey::Bytes(bytes), _) => bytes,
            };
            Ok(Condition::Entity(EntityVersion {
                stream,
                key,
                version: read_version(&version)?,
            }))
        }
        (None, None, None, _, Some(none_of)) if none_of.is_empty() => Err(malformed_condition(
            "none_of names nothing, so that it always holds".to_owned(),
        )),
        (None, None, None, after, Some(none_of)) => Ok(Condition::Boundary(Boundary {
            after: after.as_deref().map(read_position).transpose()?,
            none_of: items(none_of, streams)?,
        })),
        _ => Err(malformed_condition(
            "it has neither stream, key and version alone, nor none_of (and after) alone".to_owned(),
        )),
    }
}

fn items(written: Vec<WrittenItem>, streams: Streams<'_>) -> Result<Vec<QueryItem>, Malformed> {
    let mut items: Vec<QueryItem> = Vec::with_capacity(written.len());
    // More are asked of nobody.
    let is_too_long = written.len() > QUERY_ITEMS_MAX;
    for written in written {
        let key = WrittenKey::of(written.key, written.key_base64)?;
        let item = QueryItem {
            stream: written.stream,
            kinds: written.kinds,
            tags: written.tags,
            ..QueryItem::default()
        };
        match key {
            Some(WrittenKey::Text(text)) if !is_too_long => items.extend(keyed(item, &text, streams)?),
            Some(WrittenKey::Text(text)) => items.push(QueryItem {
                key: Some(Bytes::from(text)),
                ..item
            }),
            Some(WrittenKey::Bytes(bytes)) => items.push(QueryItem {
                key: Some(bytes),
                ..item
            }),
            None => items.push(item),
        }
    }
    Ok(items)
}

/// A key as it is written.
enum WrittenKey {
    /// The values of columns, in some form.
    Text(String),
    /// What an event has.
    Bytes(Bytes),
}

impl WrittenKey {
    fn of(text: Option<String>, base64: Option<String>) -> Result<Option<WrittenKey>, Malformed> {
        match (text, base64) {
            (None, None) => Ok(None),
            (Some(text), None) => Ok(Some(WrittenKey::Text(text))),
            (None, Some(base64)) => match STANDARD.decode(&base64) {
                Ok(bytes) => Ok(Some(WrittenKey::Bytes(Bytes::from(bytes)))),
                Err(_) => Err(malformed_condition("key_base64 is no base64".to_owned())),
            },
            (Some(_), Some(_)) => Err(malformed_condition("it has both key and key_base64".to_owned())),
        }
    }
}

fn malformed_condition(why: String) -> Malformed {
    Malformed {
        code: "malformed_condition",
        message: format!(
            "{why}; write {{\"stream\": …, \"key\": …, \"version\": \"2@17\"}} for an entity, {{\"after\": position, \"none_of\": [{{\"stream\": …, \
             \"kinds\": […], \"key\": …, \"tags\": […]}}]}} for a boundary, or a list of such"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, ColumnType};

    /// A stream whose key is made of a decimal, one whose key is a text.
    fn streams(name: Option<&str>) -> Vec<Arc<StreamDefinition>> {
        let stream = |name: &str, column_type| StreamDefinition {
            name: name.to_owned(),
            columns: Some(vec![Column::new("id", column_type, false)]),
            key: vec!["id".to_owned()],
            ..StreamDefinition::default()
        };
        let all = [
            stream("a", ColumnType::Text),
            stream("prices", ColumnType::Decimal(9, 2)),
        ];
        let named = all
            .into_iter()
            .filter(|stream| name.is_none_or(|name| name == stream.name));
        named.map(Arc::new).collect()
    }

    fn shown(condition: &Condition) -> String {
        let key = |key: &Bytes| String::from_utf8_lossy(key).into_owned();
        let item = |item: &QueryItem| {
            format!(
                "{} {:?} {} {:?}",
                item.stream.as_deref().unwrap_or("*"),
                item.kinds,
                item.key.as_ref().map_or("*".to_owned(), key),
                item.tags
            )
        };
        match condition {
            Condition::Guard(_) => "guard".to_owned(),
            Condition::Entity(entity) => format!(
                "{}/{}={}",
                entity.stream,
                key(&entity.key),
                version_text(entity.version)
            ),
            Condition::Boundary(boundary) => {
                let items: Vec<String> = boundary.none_of.iter().map(item).collect();
                let after = boundary.after.as_ref().map_or("*".to_owned(), Position::to_string);
                format!("after {after} none of {}", items.join(" or "))
            }
            Condition::All(all) => all.iter().map(shown).collect::<Vec<String>>().join(" and "),
        }
    }

    fn check(json: &str, expected: Result<&str, (&str, &str)>) {
        match (read_condition(json.as_bytes(), &streams), expected) {
            (Ok(condition), Ok(expected)) => assert_eq!(shown(&condition), expected, "{json}"),
            (Err(found), Err((code, part))) => {
                assert_eq!(found.code, code, "{json}: {found}");
                assert!(found.message.contains(part), "{json}: {found}");
            }
            (found, expected) => panic!("{json}: {:?}, expected {expected:?}", found.map(|found| shown(&found))),
        }
    }

    #[test]
    fn conditions_are_read_or_refused_with_a_code() {
        check(r#"{"stream":"a","key":"k","version":"2@17"}"#, Ok("a/k=2@17"));
        check(r#"{"stream":"a","key":"k","version":"none"}"#, Ok("a/k=none"));
        check(r#"{"stream":"a","key_base64":"aw==","version":"none"}"#, Ok("a/k=none"));
        check(r#" {"none_of":[{}]}"#, Ok("after * none of * [] * []"));
        check(
            r#"{"after":"s/0@4,1@2","none_of":[{"stream":"s","kinds":["x","y"],"tags":["a:1","b:2"]},{"key":"k"}]}"#,
            Ok(r#"after s/0@4,1@2 none of s ["x", "y"] * ["a:1", "b:2"] or * [] k []"#),
        );
        check(
            r#"[{"stream":"a","key":"k","version":"0@0"},{"none_of":[{"stream":"s"}]}]"#,
            Ok("a/k=0@0 and after * none of s [] * []"),
        );
        check(
            r#"{"stream":"prices","key":"1.5","version":"none"}"#,
            Ok("prices/1.50=none"),
        );
        check(
            r#"{"stream":"prices","key_base64":"MS41","version":"none"}"#,
            Ok("prices/1.5=none"),
        );
        check(
            r#"{"none_of":[{"stream":"prices","key":"1.5"}]}"#,
            Ok("after * none of prices [] 1.50 []"),
        );
        check(
            r#"{"none_of":[{"key":"1.5","tags":["t:1"]}]}"#,
            Ok(r#"after * none of * [] 1.5 ["t:1"] or prices [] 1.50 ["t:1"]"#),
        );
        for json in [
            r#"{"stream":"prices","key":"x","version":"none"}"#,
            r#"{"none_of":[{"stream":"prices","key":"x"}]}"#,
        ] {
            check(json, Err(("malformed_key", "id DECIMAL(9,2)")));
        }
        let condition = "malformed_condition";
        check("", Err((condition, "no condition")));
        check("[]", Err((condition, "empty list")));
        check("7", Err((condition, "no condition")));
        check("{}", Err((condition, "neither")));
        check(r#"{"none_of":[]}"#, Err((condition, "always holds")));
        check(r#"{"after":"s/0@4"}"#, Err((condition, "neither")));
        check(r#"{"stream":"a","version":"0@0"}"#, Err((condition, "neither")));
        check(
            r#"{"stream":"a","key":"k","version":"0@0","none_of":[{}]}"#,
            Err((condition, "neither")),
        );
        check(
            r#"{"stream":"a","key":"k","key_base64":"aw==","version":"0@0"}"#,
            Err((condition, "both")),
        );
        check(
            r#"{"stream":"a","key_base64":"!","version":"0@0"}"#,
            Err((condition, "no base64")),
        );
        check(
            r#"{"none_of":[{"tag":"a:1"}]}"#,
            Err((condition, "unknown field `tag`")),
        );
        check(r#"{"none_of":[{"tags":"a:1"}]}"#, Err((condition, "invalid type")));
        check(
            r#"{"none_of":[{}],"none_of":[{}]}"#,
            Err((condition, "duplicate field")),
        );
        check(
            r#"{"after":"s@4","none_of":[{}]}"#,
            Err(("malformed_position", "no '/'")),
        );
        for version in [
            "",
            "2",
            "2@",
            "@2",
            "2@x",
            "-1@2",
            "2@-1",
            "+1@2",
            "2@17 ",
            "4294967296@0",
            "0@18446744073709551616",
            "None",
        ] {
            let json = format!(r#"{{"stream":"a","key":"k","version":"{version}"}}"#);
            check(&json, Err(("malformed_version", "is no version")));
        }
    }

    #[test]
    fn a_query_is_one_item_or_several() {
        let items = |json: &str| read_query(json.as_bytes(), &streams).map(|items| items.len());
        assert_eq!(items(r#"{"stream":"s"}"#), Ok(1));
        assert_eq!(items(r#"[{"stream":"s"},{"tags":["a:1"]}]"#), Ok(2));
        assert_eq!(items("[]"), Ok(0));
        for wrong in ["", "7", r#"[7]"#, r#"{"streams":"s"}"#] {
            assert_eq!(
                items(wrong).map_err(|error| error.code),
                Err("malformed_query"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_version_reads_as_it_is_written() {
        for text in ["none", "0@0", "4294967295@18446744073709551615"] {
            assert_eq!(read_version(text).map(version_text).as_deref(), Ok(text));
        }
    }
}
