//! What a request expects of an entity: `If-Match` and `If-None-Match` (RFC 9110, section 13). An entity's tag is its version in quotes, `"2@17"`,
//! and `"none"` where it has no events.

use axum::http::{HeaderMap, HeaderValue};
use headwater_catalog::condition::{Malformed, read_version, version_text};
use headwater_records::Version;

use crate::heeded::{IF_MATCH, IF_NONE_MATCH};
use crate::problem::Problem;
use crate::request;

/// The version that a writer expects; `None` where it expects nothing, `Some(None)` where it expects that there are no events.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Option<Option<Version>>, Problem> {
    let is_match = request::text_header(headers, IF_MATCH)?.map(str::trim);
    let is_none_match = request::text_header(headers, IF_NONE_MATCH)?.map(str::trim);
    match (is_match, is_none_match) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(malformed(
            "If-Match and If-None-Match contradict each other: send one of them",
        )),
        (None, Some("*")) => Ok(Some(None)),
        (None, Some(_)) => Err(malformed(
            "If-None-Match of an append is *, there are no events yet: a version is expected with If-Match",
        )),
        (Some(tag), None) => {
            let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let version = version.ok_or_else(|| {
                malformed("If-Match is one version in quotes, \"2@17\", as the ETag of the entity says it")
            })?;
            Ok(Some(read_version(version)?))
        }
    }
}

/// Whether a reader has this version already.
pub(crate) fn is_known(headers: &HeaderMap, version: Option<Version>) -> Result<bool, Problem> {
    let Some(tags) = request::text_header(headers, IF_NONE_MATCH)?.map(str::trim) else {
        return Ok(false);
    };
    let tag = format!("\"{}\"", version_text(version));
    // Compared weakly, as RFC 9110 says of reading: `W/"2@17"` is the same.
    Ok(tags == "*"
        || tags
            .split(',')
            .any(|other| other.trim().trim_start_matches("W/") == tag))
}

/// The ETag of an entity.
pub(crate) fn tag(version: Option<Version>) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{}\"", version_text(version))).ok()
}

fn malformed(why: &str) -> Problem {
    Problem::bad_request(why).code("malformed_version")
}

impl From<Malformed> for Problem {
    fn from(error: Malformed) -> Problem {
        Problem::bad_request(error.message).code(error.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).expect("a header's value"));
        }
        headers
    }

    fn check(lines: &[(&'static str, &str)], wanted: Result<Option<&str>, &str>) {
        let found = expected(&headers(lines));
        match (found, wanted) {
            (Ok(version), Ok(wanted)) => {
                let shown = version.map(version_text);
                assert_eq!(shown.as_deref(), wanted, "{lines:?}");
            }
            (Err(problem), Err(why)) => {
                assert_eq!(problem.status.as_u16(), 400);
                let of_header = ["malformed_version", "repeated_header"].contains(&problem.code.as_str());
                assert!(of_header, "{lines:?}: {}", problem.code);
                assert!(problem.detail.contains(why), "{lines:?}: {}", problem.detail);
            }
            (found, wanted) => panic!("{lines:?}: {found:?}, expected {wanted:?}"),
        }
    }

    #[test]
    fn a_writer_expects_one_version() {
        check(&[], Ok(None));
        check(&[("if-match", "\"2@17\"")], Ok(Some("2@17")));
        check(&[("if-match", " \"0@0\" ")], Ok(Some("0@0")));
        check(&[("if-match", "\"none\"")], Ok(Some("none")));
        check(&[("if-none-match", "*")], Ok(Some("none")));
        check(&[("if-match", "2@17")], Err("in quotes"));
        check(&[("if-match", "*")], Err("in quotes"));
        check(&[("if-match", "W/\"2@17\"")], Err("in quotes"));
        check(&[("if-match", "\"2@17\", \"2@18\"")], Err("is no version"));
        check(&[("if-match", "\"\"")], Err("is no version"));
        check(&[("if-match", "\"-1@17\"")], Err("is no version"));
        check(&[("if-match", "\"99999999999@17\"")], Err("is no version"));
        check(
            &[("if-match", "\"2@17\""), ("if-match", "\"2@17\"")],
            Err("several times"),
        );
        check(&[("if-none-match", "\"2@17\"")], Err("expected with If-Match"));
        check(&[("if-none-match", "*"), ("if-match", "\"2@17\"")], Err("contradict"));
    }

    #[test]
    fn a_reader_knows_a_version() {
        let version: Option<Version> = "2@17".parse().ok();
        for (value, known) in [
            ("\"2@17\"", true),
            ("W/\"2@17\"", true),
            ("\"1@1\", \"2@17\"", true),
            ("*", true),
            ("\"2@18\"", false),
            ("2@17", false),
        ] {
            assert_eq!(
                is_known(&headers(&[("if-none-match", value)]), version).ok(),
                Some(known),
                "{value}"
            );
        }
        assert_eq!(is_known(&headers(&[]), version).ok(), Some(false));
        assert_eq!(
            is_known(&headers(&[("if-none-match", "\"none\"")]), None).ok(),
            Some(true)
        );
    }
}
