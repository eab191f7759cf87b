//! What requests have in common: query parameters, positions, media types.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use headwater_records::{Position, PositionError};
use percent_encoding::percent_decode_str;

use crate::door::Door;
use crate::heeded;
use crate::limits::POSITION_HEADER_BYTES_MAX;
use crate::problem::Problem;

/// Who a request is from, until there is something to know them by.
pub(crate) const PRINCIPAL: &str = "anonymous";

/// Where a reader stands: of a response, up to where it saw; of a request (`Headwater-After`), what it must see.
pub(crate) const POSITION_HEADER: &str = "headwater-position";
pub(crate) const AFTER_HEADER: &str = "headwater-after";
pub(crate) const WAIT_HEADER: &str = "headwater-wait-ms";

/// The longest wait that a request may ask for.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Says in an answer's head up to where it saw, where that is of a length that clients take; those that need a longer one find it in the body.
pub(crate) fn put_position(headers: &mut HeaderMap, position: &str) {
    if position.len() > POSITION_HEADER_BYTES_MAX {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(position) {
        headers.insert(POSITION_HEADER, value);
    }
}

/// A position; `None` where it names nothing.
pub(crate) fn stated(position: &Position) -> Option<String> {
    (!position.is_empty()).then(|| position.to_string())
}

/// A header's value; an error where it is no text, or there several times: nobody knows which of them is meant.
pub(crate) fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        let detail = format!("the header {name} is there several times: send it once");
        return Err(Problem::bad_request(detail).code("repeated_header"));
    }
    let text = std::str::from_utf8(value.as_bytes());
    text.map(Some)
        .map_err(|_| Problem::bad_request(format!("the header {name} is no UTF-8")))
}

/// What `curl -d` says of a body when it is told nothing: taken as if nothing had been said.
const CURL_DEFAULT: &str = "application/x-www-form-urlencoded";

/// The media type of the body, without its parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let value = text_header(headers, header::CONTENT_TYPE.as_str())?;
    let kind = value.map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    Ok(kind.filter(|kind| kind != CURL_DEFAULT))
}

/// Refuses what a page of another site makes a browser send: there is no login yet that would protect against it.
pub(crate) fn same_site(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let Some(origin) = text_header(headers, header::ORIGIN.as_str())? else {
        return Ok(());
    };
    let host = text_header(headers, header::HOST.as_str())?.unwrap_or_default();
    match origin
        .split_once("://")
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
    {
        true => Ok(()),
        false => {
            let detail =
                format!("a page of '{origin}' may not write here: call from a program, or from a page of '{host}'");
            Err(Problem::new(StatusCode::FORBIDDEN, "cross-site", detail))
        }
    }
}

/// Refuses a media type that is not taken.
pub(crate) fn unsupported(given: &str, taken: &str) -> Problem {
    let detail = format!("a body of type '{given}' is not taken here: send {taken}");
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
}

/// Refuses a body that says it is something else than JSON.
pub(crate) fn json_alone(headers: &HeaderMap) -> Result<(), Problem> {
    match media_type(headers)?.as_deref() {
        None | Some("application/json") => Ok(()),
        Some(other) => Err(unsupported(other, "application/json")),
    }
}

/// Whether the client would rather have `wanted` than JSON: it names it in Accept.
pub(crate) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let values = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| {
        let kind = part.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case(wanted)
    })
}

/// What the views read must have folded first, and how long that may take.
pub(crate) struct After {
    pub position: Option<Position>,
    pub wait: Duration,
}

/// Reads `Headwater-After` and `Headwater-Wait-Ms`.
pub(crate) fn after(door: &Door, headers: &HeaderMap) -> Result<After, Problem> {
    heeded::by_reader(headers)?;
    let wait_default = door.options.wait_default;
    let position = match text_header(headers, AFTER_HEADER)? {
        None => None,
        Some(text) => Some(known(door, text).map_err(|why| Problem::bad_request(why).code("malformed_position"))?),
    };
    let wait = match text_header(headers, WAIT_HEADER)? {
        None => wait_default,
        Some(text) => {
            let milliseconds: u64 = text.trim().parse().map_err(|_| {
                Problem::bad_request(format!(
                    "Headwater-Wait-Ms is '{text}', which is no number of milliseconds"
                ))
            })?;
            Duration::from_millis(milliseconds).min(WAIT_MAX)
        }
    };
    Ok(After { position, wait })
}

/// A position that something can get to: nothing is ever appended where there is no stream, or no such partition.
fn known(door: &Door, text: &str) -> Result<Position, String> {
    let position: Position = text.parse().map_err(|error: PositionError| error.to_string())?;
    for (stream, partition, _) in position.iter() {
        match door.state.engine.log().stream(stream) {
            Some(info) if partition < info.partitions => {}
            Some(info) => {
                return Err(format!(
                    "{AFTER_HEADER} speaks of {stream}/{partition}, and '{stream}' has {} partition(s)",
                    info.partitions
                ));
            }
            None => {
                return Err(format!(
                    "{AFTER_HEADER} speaks of the stream '{stream}', which is not there: nothing could be waited for"
                ));
            }
        }
    }
    Ok(position)
}

/// The query parameters of a request, decoded. One that is not known is refused, so that a misspelt one does not go unnoticed, and so is one that is there
/// several times where it is no list.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new(uri: &Uri, known: &[&str]) -> Result<Query, Problem> {
        Query::with_lists(uri, known, &[])
    }

    /// `lists` are those of the known that may repeat.
    pub(crate) fn with_lists(uri: &Uri, known: &[&str], lists: &[&str]) -> Result<Query, Problem> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, true)?;
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                return Err(Problem::bad_request(format!(
                    "there is no query parameter '{name}' here; there is: {known}"
                ))
                .code("unknown_parameter"));
            }
            if !lists.contains(&name.as_str()) && parameters.iter().any(|(before, _)| *before == name) {
                let detail = format!("the query parameter '{name}' is there several times: send it once");
                return Err(Problem::bad_request(detail).code("repeated_parameter"));
            }
            parameters.push((name, decode(value, true)?));
        }
        Ok(Query(parameters))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// `true` or `false`; false where it is not there.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(text) => Err(Problem::bad_request(format!(
                "{name} is '{text}', which is neither true nor false"
            ))),
        }
    }

    /// Every value of a parameter that may repeat.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.clone()).collect()
    }

    /// How much a page has: one at least.
    pub(crate) fn limit(&self, default: u64, max: u64) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else {
            return Ok(default as usize);
        };
        match text.parse::<u64>() {
            Ok(number) if (1..=max).contains(&number) => Ok(number as usize),
            _ => {
                let detail = format!("limit is '{text}', which is no number from 1 to {max}");
                Err(Problem::bad_request(detail).code("parameter_out_of_range"))
            }
        }
    }

    /// A number, at most `max`.
    pub(crate) fn number(&self, name: &str, max: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(number) if number <= max => Ok(Some(number)),
            _ => Err(
                Problem::bad_request(format!("{name} is '{text}', which is no number from 0 to {max}"))
                    .code("parameter_out_of_range"),
            ),
        }
    }
}

/// A segment of a path as the text that it stands for.
pub(crate) fn decoded(segment: &str) -> Result<String, Problem> {
    decode(segment, false)
}

/// Percent-decoding (RFC 3986); `plus` also reads `+` as a space, as HTML forms write it.
fn decode(text: &str, plus: bool) -> Result<String, Problem> {
    let spaced = match plus {
        true => Cow::Owned(text.replace('+', " ")),
        false => Cow::Borrowed(text),
    };
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(Cow::into_owned)
        .map_err(|_| Problem::bad_request(format!("'{text}' is no UTF-8 once decoded")))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn query_parameters_are_known_and_in_range() {
        let query = |text: &str| Query::new(&format!("/x?{text}").parse().unwrap(), &["limit", "from"]);
        assert_eq!(query("limit=5&from=t%2F0@1").unwrap().get("from"), Some("t/0@1"));
        assert_eq!(query("limit=5").unwrap().number("limit", 5).unwrap(), Some(5));
        assert!(query("limit=6").unwrap().number("limit", 5).is_err());
        assert!(query("limit=-1").unwrap().number("limit", 5).is_err());
        assert!(query("limits=5").is_err());
        for text in ["limit=5&limit=5", "from=a&limit=5&fro%6D=b"] {
            assert_eq!(
                query(text).err().map(|problem| problem.code).as_deref(),
                Some("repeated_parameter")
            );
        }
        let listed = Query::with_lists(&Uri::from_static("/x?tag=a&tag=b"), &["tag"], &["tag"]).unwrap();
        assert_eq!(listed.all("tag"), ["a", "b"]);
        assert_eq!(query("limit=5").unwrap().limit(1, 5).unwrap(), 5);
        assert_eq!(query("").unwrap().limit(1, 5).unwrap(), 1);
        for text in ["limit=0", "limit=6", "limit=x", "limit="] {
            let refused = query(text).unwrap().limit(1, 5).unwrap_err();
            assert!(refused.detail.ends_with("no number from 1 to 5"), "{}", refused.detail);
        }
    }

    #[test]
    fn a_type_is_accepted_where_it_is_named() {
        let mut headers = HeaderMap::new();
        assert!(!accepts(&headers, "text/csv"));
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, TEXT/csv;q=0.5"),
        );
        assert!(accepts(&headers, "text/csv"));
        assert!(!accepts(&headers, "text/event-stream"));
    }

    #[test]
    fn pages_of_other_sites_may_not_write() {
        for (method, origin, allowed) in [
            (Method::POST, None, true),
            (Method::POST, Some("http://127.0.0.1:8090"), true),
            (Method::POST, Some("http://evil.example"), false),
            (Method::POST, Some("null"), false),
            (Method::GET, Some("http://evil.example"), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8090"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(same_site(&method, &headers).is_ok(), allowed, "{method} {origin:?}");
        }
    }
}
