//! `GET /`: a page for people, one file, without anything from elsewhere. It shows what flows, through the same addresses as everybody uses.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

/// The page.
pub(crate) async fn page() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Html(include_str!("console.html"))).into_response()
}
