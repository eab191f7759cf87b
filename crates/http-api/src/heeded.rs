//! Which headers mean something where. One that means something elsewhere is refused and not passed over: whoever sends it counts on what it says.
//!
//! ```text
//!                             heeded by                                  elsewhere
//! If-Match, If-None-Match     appends to one stream, reads of entities   refused by whatever writes
//! Idempotency-Key             appends, commands                          refused by whatever writes
//! Headwater-After, -Wait-Ms   views, SQL                                 taken: what is written, or read of a stream, is there at once
//! Headwater-…                 appends                                    refused by whatever writes or heeds Headwater-After
//! ```

use axum::http::{HeaderMap, HeaderName};

use crate::problem::Problem;
use crate::request::{AFTER_HEADER, WAIT_HEADER};

/// What headers of this door begin with.
const OUR_PREFIX: &str = "headwater-";

/// The prefix of request headers that become headers of the events.
pub(crate) const EVENT_HEADER_PREFIX: &str = "headwater-header-";

pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
pub(crate) const IF_MATCH: &str = "if-match";
pub(crate) const IF_NONE_MATCH: &str = "if-none-match";

/// The headers that say how something is written, beside those of this door.
const OF_WRITERS: [&str; 3] = [IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH];

/// What says what is to be seen.
const OF_READERS: [&str; 2] = [AFTER_HEADER, WAIT_HEADER];

/// Refuses what a request that writes counts on and will not get; `taken` is what it may say.
pub(crate) fn by_writer(headers: &HeaderMap, taken: &[&str]) -> Result<(), Problem> {
    check(headers, taken, |name| is_ours(name) || OF_WRITERS.contains(&name))
}

/// Refuses a misspelt header of a request that reads.
pub(crate) fn by_reader(headers: &HeaderMap) -> Result<(), Problem> {
    check(headers, &[], is_ours)
}

/// Whether a request has a header of this door.
pub(crate) fn has_ours(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| is_ours(name.as_str()))
}

fn is_ours(name: &str) -> bool {
    name.starts_with(OUR_PREFIX)
}

fn check(headers: &HeaderMap, taken: &[&str], is_of_us: impl Fn(&str) -> bool) -> Result<(), Problem> {
    let is_taken = |name: &str| match name.strip_prefix(EVENT_HEADER_PREFIX) {
        Some(short) => !short.is_empty() && taken.contains(&EVENT_HEADER_PREFIX),
        None => taken.contains(&name) || OF_READERS.contains(&name),
    };
    let mut names = headers.keys().map(HeaderName::as_str);
    let Some(name) = names.find(|name| is_of_us(name) && !is_taken(name)) else {
        return Ok(());
    };
    let known: Vec<String> = taken.iter().chain(&OF_READERS).map(|name| shown(name)).collect();
    let detail = format!(
        "the header '{name}' means nothing here, and nothing was done; what may be said here is: {}",
        known.join(", ")
    );
    Err(Problem::bad_request(detail).code("unknown_header"))
}

/// A header as an advice writes it.
fn shown(name: &str) -> String {
    match name {
        EVENT_HEADER_PREFIX => format!("{EVENT_HEADER_PREFIX}NAME for a header of the events"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(names: &[&'static str]) -> HeaderMap {
        let value = HeaderValue::from_static("1");
        names
            .iter()
            .map(|name| (HeaderName::from_static(name), value.clone()))
            .collect()
    }

    #[test]
    fn a_header_is_heeded_or_refused() {
        let append: Vec<&str> = vec![IDEMPOTENCY_KEY, "headwater-key", EVENT_HEADER_PREFIX];
        for (name, by_append, by_other) in [
            ("accept", true, true),
            ("x-headwater-key", true, true),
            ("if-modified-since", true, true),
            ("headwater-after", true, true),
            ("headwater-wait-ms", true, true),
            ("idempotency-key", true, false),
            ("headwater-key", true, false),
            ("headwater-header-trace", true, false),
            ("headwater-header-", false, false),
            ("headwater-keys", false, false),
            ("if-match", false, false),
            ("if-none-match", false, false),
        ] {
            let headers = headers(&[name]);
            assert_eq!(by_writer(&headers, &append).is_ok(), by_append, "{name}");
            assert_eq!(by_writer(&headers, &[]).is_ok(), by_other, "{name}");
        }
        for (name, refused) in [
            ("if-none-match", false),
            ("headwater-after", false),
            ("headwater-aftr", true),
        ] {
            assert_eq!(by_reader(&headers(&[name])).is_err(), refused, "{name}");
        }
    }
}
