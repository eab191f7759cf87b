//! `GET /streams/{stream}/entities/{key}`: the events of one entity in order, a page at a time.
//!
//! Invariant: the ETag of an answer is the version of the entity as far as that page goes, and no newer one: whoever decides on less than all of the events
//! finds the rest in the way.
//!
//! A page that memory has is answered before the router looks at the request (`crate::direct`); any other is read from the disk, where nobody waits behind it.
//!
//! Every key is an entity: one that has no events has the version `none`, and an empty page.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headwater_catalog::condition::{read_key, read_version, version_text};
use headwater_catalog::{Codec, StreamDefinition};
use headwater_eventlog::{Direction, QueryError, SeenEvent, SeenPage};
use headwater_records::{Header, Position, Version};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::stream;
use crate::door::Door;
use crate::json::event::Shown;
use crate::precondition;
use crate::problem::Problem;
use crate::request::{Query, stated};
use crate::views::keys;

/// How many bytes the events of a page take mostly, as JSON.
const EVENTS_BYTES_USUAL: usize = 4 * 1024;

/// How many events a page has unless the request says otherwise, and at most.
const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 10_000;

/// Up to so many events are looked up while a connection waits; more are read aside, so that other requests go on meanwhile.
const LIMIT_AT_ONCE: usize = 100;

/// Reads a page, from the disk if need be.
pub(crate) async fn read(State(door): State<Arc<Door>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let (asked, query) = Asked::of(&door, &uri)?;
    let page = asked.page(&door).await?;
    asked.answer(&uri, &query, &headers, &page)
}

/// The answer to a request for a page, where memory alone gives it. What is wrong with a request is said by [`read`].
pub(crate) fn at_once(door: &Door, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    let (asked, query) = Asked::of(door, uri).ok()?;
    let page = asked.in_memory(door).ok()??;
    asked.answer(uri, &query, headers, &page).ok()
}

/// Whether a path is that of an entity, as the router sees it.
pub(crate) fn is_of_entity(path: &str) -> bool {
    let mut segments = path.split('/');
    let first = [(); 5].map(|()| segments.next());
    let [Some(""), Some("streams"), Some(stream), Some("entities"), Some(key)] = first else {
        return false;
    };
    !stream.is_empty() && !key.is_empty() && segments.next().is_none()
}

/// A page as it is shown.
struct Page {
    /// As JSON, with commas between them.
    events: Vec<u8>,
    version: Option<Version>,
    next: Option<Version>,
    /// The last event on it; `None` where it is empty, and where `next` or `version` says it.
    last: Option<Version>,
    /// The events that are gone, of whatever key.
    gone_before: Position,
}

impl Page {
    /// The version of the entity as far as the page goes.
    fn reaches(&self, asked: &Asked) -> Option<Version> {
        match (self.next, asked.direction, asked.from) {
            (Some(last), _, _) => Some(last),
            // What came since the first of its pages was read is on none of them.
            (None, Direction::Backward, Some(from)) => Some(self.last.unwrap_or(from)),
            (None, _, _) => self.version,
        }
    }
}

/// A page that is asked for.
#[derive(Clone)]
struct Asked {
    stream: String,
    key: Bytes,
    from: Option<Version>,
    limit: usize,
    direction: Direction,
}

impl Asked {
    fn of(door: &Door, uri: &Uri) -> Result<(Asked, Query), Problem> {
        let (stream, key) = addressed(door, uri)?;
        let query = Query::new(uri, &["from", "order", "limit"])?;
        let limit = query.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
        let asked = Asked {
            stream: stream.name.clone(),
            key,
            from: query.get("from").map(read_version).transpose()?.flatten(),
            limit,
            direction: direction(&query)?,
        };
        Ok((asked, query))
    }

    /// The page, where memory alone gives it and it is no long one.
    fn in_memory(&self, door: &Door) -> Result<Option<Page>, QueryError> {
        if self.from.is_some() || self.limit > LIMIT_AT_ONCE {
            return Ok(None);
        }
        let engine = &door.state.engine;
        let codec = engine.catalog().codec(&self.stream);
        let mut events: Vec<u8> = Vec::with_capacity(EVENTS_BYTES_USUAL);
        let show = |seen: &SeenEvent<'_>| {
            let mut headers: Vec<Header> = Vec::new();
            // What cannot be read is not seen.
            let _ = seen.event.for_each_header(|name, value| {
                headers.push(Header {
                    name: name.to_owned(),
                    value: value.map(Bytes::copy_from_slice),
                });
            });
            put_event(&Shown::seen(seen, &headers), codec.as_ref(), &mut events);
        };
        let seen = engine
            .log()
            .entity_in_memory(&self.stream, &self.key, self.limit, self.direction, show)?;
        Ok(seen.map(|SeenPage { version, next }| Page {
            events,
            version,
            next,
            last: None,
            gone_before: engine.log().gone_before(&self.stream),
        }))
    }

    /// The page, whatever that takes.
    async fn page(&self, door: &Door) -> Result<Page, Problem> {
        let log = door.state.engine.log();
        let (asked, reader) = (self.clone(), log.clone());
        let reading = move || reader.entity(&asked.stream, &asked.key, asked.from, asked.limit, asked.direction);
        let page = door.state.questions.spawn_blocking(reading).await;
        let page = page.map_err(|error| Problem::internal(format!("the read broke off: {error}")))??;
        let codec = door.state.engine.catalog().codec(&self.stream);
        let mut events: Vec<u8> = Vec::with_capacity(EVENTS_BYTES_USUAL);
        for found in &page.events {
            let shown = Shown {
                stream: None,
                ..Shown::found(found)
            };
            put_event(&shown, codec.as_ref(), &mut events);
        }
        Ok(Page {
            events,
            version: page.version,
            next: page.next,
            last: page.events.last().map(|found| found.address.version()),
            gone_before: log.gone_before(&self.stream),
        })
    }

    fn answer(&self, uri: &Uri, query: &Query, headers: &HeaderMap, page: &Page) -> Result<Response, Problem> {
        let mut response = match precondition::is_known(headers, page.version)? {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => {
                let next = page.next.map(|next| next_address(uri, query, next));
                let body = self.body(page, next.as_deref());
                let mut response = body.into_response();
                let link = next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok());
                response.headers_mut().extend(link.map(|link| (header::LINK, link)));
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.extend(precondition::tag(page.reaches(self)).map(|tag| (header::ETAG, tag)));
        Ok(response)
    }

    fn body(&self, page: &Page, next: Option<&str>) -> Vec<u8> {
        let text = |text: &str| Value::from(text).to_string();
        let head = format!(
            "{{\"stream\":{},\"key\":{},\"version\":\"{}\",\"events\":[",
            text(&self.stream),
            text(&String::from_utf8_lossy(&self.key)),
            version_text(page.version)
        );
        let or_null = |value: Option<&str>| value.map_or_else(|| "null".to_owned(), text);
        let gone_before = stated(&page.gone_before);
        let end = format!(
            "],\"next\":{},\"gone_before\":{}}}",
            or_null(next),
            or_null(gone_before.as_deref())
        );
        [head.as_bytes(), &page.events, end.as_bytes()].concat()
    }
}

/// Puts an event behind the others of its page.
fn put_event(shown: &Shown<'_>, codec: Option<&Codec>, events: &mut Vec<u8>) {
    if !events.is_empty() {
        events.push(b',');
    }
    shown.write(codec, events);
}

/// The stream and the key of the entity that an address names: a text means the values of the stream's columns, however they are written.
pub(super) fn addressed(door: &Door, uri: &Uri) -> Result<(Arc<StreamDefinition>, Bytes), Problem> {
    let (name, key) = address(uri)?;
    let stream = stream(door, &name)?;
    let key = match std::str::from_utf8(&key) {
        Ok(text) => read_key(&stream, text)?,
        Err(_) => key,
    };
    Ok((stream, key))
}

/// The stream's name and the key in `/streams/{stream}/entities/{key}`. A key may be no text, and `;empty` is the empty one.
fn address(uri: &Uri) -> Result<(String, Bytes), Problem> {
    let mut segments = uri.path().split('/').skip(2);
    let (name, key) = (segments.next().unwrap_or_default(), segments.nth(1).unwrap_or_default());
    let name = percent_decode_str(name).decode_utf8();
    let name = name.map_err(|_| Problem::bad_request("the stream's name is no UTF-8 once decoded"))?;
    Ok((name.into_owned(), percent_decode_str(keys::plain(key)?).collect()))
}

fn direction(query: &Query) -> Result<Direction, Problem> {
    match query.get("order") {
        None | Some("asc") => Ok(Direction::Forward),
        Some("desc") => Ok(Direction::Backward),
        Some(other) => {
            let detail = format!("order is '{other}', neither asc nor desc");
            Err(Problem::bad_request(detail).code("parameter_out_of_range"))
        }
    }
}

/// The address of the next page.
fn next_address(uri: &Uri, query: &Query, next: Version) -> String {
    let mut address = format!("{}?from={next}", uri.path());
    for name in ["order", "limit"] {
        if let Some(value) = query.get(name) {
            address.push_str(&format!("&{name}={value}"));
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_bytes_of_its_segment() {
        let check = |path: &str, name: &str, key: &[u8]| {
            let found = address(&path.parse().expect("an address")).expect("it is read");
            assert_eq!((found.0.as_str(), found.1.as_ref()), (name, key), "{path}");
        };
        check("/streams/s/entities/BradA", "s", b"BradA");
        check("/streams/s.eu/entities/a%2Fb%20c?limit=1", "s.eu", b"a/b c");
        check("/streams/s/entities/%5B%22a%22,1%5D", "s", b"[\"a\",1]");
        check("/streams/s/entities/%ff", "s", b"\xff");
        check("/streams/s/entities/a+b", "s", b"a+b");
        check("/streams/s/entities/;empty", "s", b"");
        check("/streams/s/entities/%3Bempty", "s", b";empty");
        check("/streams/s/entities/;null", "s", b";null");
        let missing = address(&Uri::from_static("/streams/s/entities/")).expect_err("there is no key");
        assert_eq!(missing.code, "malformed_key");
    }

    #[test]
    fn an_entity_has_five_segments() {
        for (path, expected) in [
            ("/streams/s/entities/k", true),
            ("/streams/s/entities/a%2Fb", true),
            ("/streams/s/entities/", false),
            ("/streams/s/entities", false),
            ("/streams//entities/k", false),
            ("/streams/s/entities/k/", false),
            ("/streams/s/entities/k/l", false),
            ("/streams/s/events/k", false),
            ("//streams/s/entities/k", false),
            ("/views/s/entities/k", false),
            ("/", false),
        ] {
            assert_eq!(is_of_entity(path), expected, "{path}");
        }
    }
}
