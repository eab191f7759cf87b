//! Reads a plain request from the beginning of some bytes.
//!
//! Invariants
//! - Whatever could be read in two ways is none: lines that do not end in CR LF, empty lines before a request, two lengths, a length beside
//!   Transfer-Encoding. Heads are parsed by what hyper parses them with, and are told the same limits or tighter ones.
//! - Nothing is allocated for what is not whole.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use bytes::Bytes;
use httparse::{EMPTY_HEADER, Header, Status};

use crate::direct::Known;
use crate::limits::{PLAIN_HEAD_BYTES_MAX, PLAIN_HEADERS_MAX};

/// What begins the bytes.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is made, and a box would cost each request an allocation"
)]
pub(super) enum Read {
    Whole(Plain),
    /// A request that may become a plain one.
    Partial(Wanted),
    /// None that is read here.
    Other,
}

/// What is still to come of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wanted {
    /// Of its head, nobody knows how much.
    Head,
    /// Of its body: it ends after so many bytes, counted from the request's first.
    Body(usize),
}

/// A plain request.
#[derive(Debug)]
pub(super) struct Plain {
    pub known: Known,
    pub request: Request,
    /// How many bytes it took.
    pub length: usize,
}

/// Reads the request that begins here; a body may have so many bytes.
pub(super) fn read(input: &[u8], body_max: usize) -> Read {
    match input.first() {
        None => return Read::Partial(Wanted::Head),
        Some(first) if !first.is_ascii_uppercase() => return Read::Other,
        Some(_) => {}
    }
    let mut headers = [EMPTY_HEADER; PLAIN_HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(input) {
        Ok(Status::Complete(head)) if head <= PLAIN_HEAD_BYTES_MAX => head,
        Ok(Status::Partial) if input.len() < PLAIN_HEAD_BYTES_MAX => return Read::Partial(Wanted::Head),
        _ => return Read::Other,
    };
    let (Some(method @ ("GET" | "POST")), Some(target), Some(1)) = (parsed.method, parsed.path, parsed.version) else {
        return Read::Other;
    };
    let Some(body) = body_length(parsed.headers) else {
        return Read::Other;
    };
    let is_plain = is_in_lines(&input[..head], parsed.headers.len() + 2)
        && body <= body_max
        && (method == "POST" || body == 0)
        && target.starts_with('/');
    if !is_plain {
        return Read::Other;
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let Some(known) = Known::of(method, path) else {
        return Read::Other;
    };
    let length = head + body;
    if input.len() < length {
        return Read::Partial(Wanted::Body(length));
    }
    // Its one copy: headers, address and body are parts of it.
    let whole = Bytes::copy_from_slice(&input[..length]);
    match request(&whole, &input[..length], head, &parsed) {
        Some(request) => Read::Whole(Plain { known, request, length }),
        None => Read::Other,
    }
}

/// The request whose bytes these are; `None` where its parts are more than its head's parser asks of them.
fn request(whole: &Bytes, bytes: &[u8], head: usize, parsed: &httparse::Request<'_, '_>) -> Option<Request> {
    let part = |part: &[u8]| {
        let from = part.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
        (from + part.len() <= head).then(|| whole.slice(from..from + part.len()))
    };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let value = match header.value {
            [] => HeaderValue::from_static(""),
            value => HeaderValue::from_maybe_shared(part(value)?).ok()?,
        };
        headers.append(name, value);
    }
    let mut request = Request::new(Body::from(whole.slice(head..)));
    *request.method_mut() = match parsed.method {
        Some("POST") => Method::POST,
        _ => Method::GET,
    };
    *request.uri_mut() = Uri::from_maybe_shared(part(parsed.path?.as_bytes())?).ok()?;
    *request.headers_mut() = headers;
    Some(request)
}

/// How long the body is; `None` where the headers ask for something that is not done here.
fn body_length(headers: &[Header<'_>]) -> Option<usize> {
    let mut length: Option<usize> = None;
    for header in headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        // By their lengths, as most headers are others.
        match header.name.len() {
            14 if is("content-length") => {
                let given = digits(header.value)?;
                if length.replace(given).is_some() {
                    return None;
                }
            }
            10 if is("connection") && !header.value.eq_ignore_ascii_case(b"keep-alive") => return None,
            6 if is("expect") => return None,
            7 if is("upgrade") || is("trailer") => return None,
            17 if is("transfer-encoding") => return None,
            _ => {}
        }
    }
    Some(length.unwrap_or_default())
}

/// A number of digits alone: `+5` and the empty text are none.
fn digits(text: &[u8]) -> Option<usize> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok()?;
    is_number.then(|| text.parse().ok()).flatten()
}

/// Whether a head has so many lines, and each ends in CR LF. Its parser lets a CR stand nowhere else, and forgives one that is missing.
fn is_in_lines(head: &[u8], lines: usize) -> bool {
    let count = |wanted: u8| head.iter().filter(|byte| **byte == wanted).count();
    count(b'\r') == lines && count(b'\n') == lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET /views/balances/a?x=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
    const POST: &str =
        "POST /commands/withdraw HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nabcde";

    fn shown(read: Read) -> String {
        match read {
            Read::Whole(plain) => format!("{:?}, {} bytes", plain.known, plain.length),
            Read::Partial(wanted) => format!("{wanted:?}"),
            Read::Other => "other".to_owned(),
        }
    }

    #[test]
    fn a_request_is_plain_or_somebody_elses() {
        let check = |input: &str, expected: &str| assert_eq!(shown(read(input.as_bytes(), 5)), expected, "{input:?}");
        let row = format!("Row, {} bytes", GET.len());
        let command = format!("Command(\"withdraw\"), {} bytes", POST.len());
        check(GET, &row);
        check(&format!("{GET}{POST}"), &row);
        check(POST, &command);
        check(&format!("{POST}{GET}"), &command);
        check("", "Head");
        check("G", "Head");
        let long = |bytes: usize| format!("GET /views/balances/a HTTP/1.1\r\nX: {}", "x".repeat(bytes));
        check(&long(PLAIN_HEAD_BYTES_MAX - 36), "Head");
        check(&long(PLAIN_HEAD_BYTES_MAX - 35), "other");
        let named = |headers: usize| format!("GET /views/b/a HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(headers));
        check(
            &named(PLAIN_HEADERS_MAX),
            &format!("Row, {} bytes", named(PLAIN_HEADERS_MAX).len()),
        );
        check(&named(PLAIN_HEADERS_MAX + 1), "other");
        for (from, to) in [
            ("GET ", "HEAD "),
            ("GET ", "get "),
            ("GET ", "\r\nGET "),
            ("HTTP/1.1", "HTTP/1.0"),
            ("HTTP/1.1", "HTTP/2.0"),
            ("/views/balances/a", "/health"),
            ("/views/balances/a", "http://a/views/balances/a"),
            ("/views/balances/a", "views/balances/a"),
            ("Host: a\r\n", "Host: a\n"),
            ("Host: a\r\n", "Host : a\r\n"),
            ("Host: a\r\n", "Host: a\r\n b\r\n"),
            ("Host: a\r\n", "Host: a\rb\r\n"),
            ("Host: a\r\n", "Ho st: a\r\n"),
            ("Host: a\r\n", "Host\r\n"),
            ("Host: a\r\n", "Host: \0\r\n"),
            ("\r\n\r\n", "\n\n"),
            ("\r\n\r\n", "\r\n\n"),
            ("Accept: */*", "Content-Length: 5"),
            ("Accept: */*", "Upgrade: h2c"),
            ("Accept: */*", "Connection: close"),
            ("Accept: */*", "Connection: keep-alive, close"),
            ("Accept: */*", "transfer-encoding: chunked"),
        ] {
            assert!(GET.contains(from), "{from:?}");
            check(&GET.replacen(from, to, 1), "other");
        }
        for length in [
            "6",
            "+5",
            "-5",
            "5, 5",
            "0x5",
            "",
            "5 5",
            "99999999999999999999999",
            "5\r\nContent-Length: 5",
        ] {
            check(&POST.replace(": 5", &format!(": {length}")), "other");
        }
        check(&POST.replace("Host: a", "Expect: 100-continue"), "other");
        check(&POST.replace("Host: a", "Transfer-Encoding: identity"), "other");
    }

    #[test]
    fn a_request_may_end_anywhere() {
        for (whole, head) in [(GET, GET.len()), (POST, POST.len() - 5)] {
            for end in 0..whole.len() {
                let expected = match end < head {
                    true => "Head".to_owned(),
                    false => format!("Body({})", whole.len()),
                };
                assert_eq!(shown(read(&whole.as_bytes()[..end], 5)), expected, "{end} of {whole:?}");
            }
        }
    }

    #[test]
    fn what_is_read_is_what_was_sent() {
        let input = POST.replace("Host: a", "X-One:  é \r\nx-one:\r\nHost: a");
        let Read::Whole(Plain { request, .. }) = read(input.as_bytes(), 5) else {
            panic!("{input:?} is plain");
        };
        let headers: Vec<(&str, &[u8])> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let expected: Vec<(&str, &[u8])> = vec![
            ("x-one", "é".as_bytes()),
            ("x-one", b""),
            ("host", b"a"),
            ("connection", b"Keep-Alive"),
            ("content-length", b"5"),
        ];
        assert_eq!(headers, expected);
        assert_eq!(request.uri(), "/commands/withdraw");
        assert_eq!(request.method(), Method::POST);
    }
}
