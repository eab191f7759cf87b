//! The bodies of requests: whole, inside of their limit, unpacked where they came packed with gzip.

use std::io::Read as _;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use futures::StreamExt;

use crate::problem::Problem;
use crate::request::text_header;

/// How a body is packed (RFC 9110, 8.4).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Coding {
    Identity,
    Gzip,
}

/// The whole body, where it fits: as it comes, and unpacked.
pub(crate) async fn whole(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let coding = coding(headers)?;
    let stated = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large(bytes_max));
    }
    let came = gathered(body, bytes_max).await?;
    match coding {
        Coding::Identity => Ok(came),
        Coding::Gzip => tokio::task::spawn_blocking(move || unpacked(&came, bytes_max))
            .await
            .map_err(|error| Problem::internal(format!("unpacking the body broke off: {error}")))?,
    }
}

async fn gathered(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut parts = body.into_data_stream();
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| Problem::bad_request(format!("the body broke off: {error}")))?;
        if first.len() + whole.len() + part.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        // Most bodies are one part, and stay where it is.
        if first.is_empty() && whole.is_empty() {
            first = part;
            continue;
        }
        whole.extend_from_slice(&std::mem::take(&mut first));
        whole.extend_from_slice(&part);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

fn coding(headers: &HeaderMap) -> Result<Coding, Problem> {
    let Some(said) = text_header(headers, header::CONTENT_ENCODING.as_str())? else {
        return Ok(Coding::Identity);
    };
    match said.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Coding::Identity),
        "gzip" | "x-gzip" => Ok(Coding::Gzip),
        other => {
            let detail = format!("a body that is packed as '{other}' is not taken: send it as it is, or with gzip");
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail);
            let taken = HeaderValue::from_static("gzip, identity");
            Err(problem
                .code("unsupported_coding")
                .header(header::ACCEPT_ENCODING, Some(taken)))
        }
    }
}

/// No more than the limit is ever unpacked.
fn unpacked(packed: &[u8], bytes_max: usize) -> Result<Bytes, Problem> {
    let mut plain = Vec::new();
    let mut reader = MultiGzDecoder::new(packed).take(bytes_max as u64 + 1);
    reader.read_to_end(&mut plain).map_err(|error| {
        Problem::bad_request(format!("the body is no gzip, though Content-Encoding says so: {error}"))
    })?;
    match plain.len() > bytes_max {
        true => Err(too_large(bytes_max)),
        false => Ok(Bytes::from(plain)),
    }
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = format!("the body has more than the {bytes_max} bytes that are taken: send it in parts");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail).with("bytes_max", bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_taken_up_to_its_limit() {
        for (bytes, limit, fits) in [(0, 0, true), (10, 10, true), (11, 10, false)] {
            let taken = whole(&HeaderMap::new(), Body::from(vec![b'x'; bytes]), limit).await;
            assert_eq!(taken.is_ok(), fits, "{bytes} of {limit}");
        }
        for (parts, expected) in [
            (vec!["ab"], Some("ab")),
            (vec!["", "ab", "", "c", "de"], Some("abcde")),
            (vec!["ab", "c", "def"], None),
        ] {
            let body_of = futures::stream::iter(parts.clone().into_iter().map(Ok::<&str, std::io::Error>));
            let taken = whole(&HeaderMap::new(), Body::from_stream(body_of), 5).await;
            assert_eq!(taken.ok().as_deref(), expected.map(str::as_bytes), "{parts:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("99999999999"));
        assert!(whole(&headers, Body::empty(), 10).await.is_err());
    }
}
