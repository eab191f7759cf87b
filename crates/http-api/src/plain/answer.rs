//! Writes an answer to a plain request, byte for byte as hyper does: the line of the status, the headers, the length, the date, the body.
//!
//! Whole bodies alone: nothing that is answered to a plain request is a stream. No handler sets a header that is written here.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use axum::http::response::Parts;
use axum::response::Response;
use bytes::{Bytes, BytesMut};

use super::date;
use crate::limits::PLAIN_OUTPUT_BYTES;

/// Writes an answer behind others. Its body comes back where it is too large to stand among them: it belongs behind.
pub(super) fn put(response: Response, is_last: bool, out: &mut Vec<u8>) -> io::Result<Option<Bytes>> {
    let (parts, body) = response.into_parts();
    let body = whole(body)?;
    put_head(&parts, body.len(), is_last, out);
    if !has_body(parts.status) {
        return Ok(None);
    }
    if out.len() + body.len() > PLAIN_OUTPUT_BYTES {
        return Ok(Some(body));
    }
    out.extend_from_slice(&body);
    Ok(None)
}

/// Everything of a body.
fn whole(mut body: Body) -> io::Result<Bytes> {
    let mut context = Context::from_waker(Waker::noop());
    let mut before = BytesMut::new();
    loop {
        let data = match Pin::new(&mut body).poll_frame(&mut context) {
            Poll::Ready(None) => return Ok(before.freeze()),
            Poll::Ready(Some(frame)) => frame.map_err(io::Error::other)?.into_data(),
            Poll::Pending => return Err(io::Error::other("the body of an answer is not there")),
        };
        let Ok(data) = data else { continue };
        // Nearly every body is one piece.
        if before.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        before.extend_from_slice(&data);
    }
}

/// Whether an answer has a body at all.
fn has_body(status: StatusCode) -> bool {
    !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Writes the head of an answer; `is_last`: the connection is closed behind it.
fn put_head(parts: &Parts, body_length: usize, is_last: bool, out: &mut Vec<u8>) {
    match parts.status {
        StatusCode::OK => out.extend_from_slice(b"HTTP/1.1 200 OK\r\n"),
        status => {
            let reason = status.canonical_reason().unwrap_or("<none>");
            for part in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
    }
    for (name, value) in &parts.headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if has_body(parts.status) {
        // Writing into memory does not fail.
        let _ = write!(out, "content-length: {body_length}\r\n");
    }
    if is_last {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"date: ");
    date::put(out);
    out.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn check(response: Response, is_last: bool, expected: &str) {
        let (parts, body) = response.into_parts();
        let body = whole(body).unwrap();
        let mut out: Vec<u8> = Vec::new();
        put_head(&parts, body.len(), is_last, &mut out);
        let head = String::from_utf8(out).unwrap();
        let (before, date) = head.split_once("date: ").unwrap();
        assert_eq!(before, expected);
        assert_eq!(date.len(), "Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n".len(), "{date:?}");
    }

    #[test]
    fn heads_are_written_as_hyper_writes_them() {
        let kind = "content-type: text/plain; charset=utf-8\r\n";
        check(
            "abc".into_response(),
            false,
            &format!("HTTP/1.1 200 OK\r\n{kind}content-length: 3\r\n"),
        );
        let gone = (StatusCode::NOT_FOUND, "").into_response();
        let expected = format!("HTTP/1.1 404 Not Found\r\n{kind}content-length: 0\r\nconnection: close\r\n");
        check(gone, true, &expected);
        check(
            StatusCode::NOT_MODIFIED.into_response(),
            false,
            "HTTP/1.1 304 Not Modified\r\n",
        );
    }

    #[test]
    fn a_body_in_pieces_is_whole() {
        let pieces = futures::stream::iter(["a", "", "bc"].map(Ok::<&str, io::Error>));
        assert_eq!(whole(Body::from_stream(pieces)).unwrap(), "abc");
        assert_eq!(whole(Body::empty()).unwrap(), "");
        let broken = futures::stream::iter([Ok("a"), Err(io::Error::other("it broke"))]);
        assert!(whole(Body::from_stream(broken)).is_err());
        let never = futures::stream::pending::<io::Result<&str>>();
        assert!(whole(Body::from_stream(never)).is_err());
    }
}
