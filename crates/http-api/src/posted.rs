//! Calls of commands and appends to streams, on their way past the router: what writes most.
//!
//! ```text
//! POST /commands/{command}, POST /streams/{stream}/events ── the function that the router would have called
//! ```
//!
//! The router's way takes as long as deciding a call: it is matched, its headers are copied, and there are some boxes for the layers. What the layers
//! see to holds here too ([`crate::router::bounded`]).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;

use crate::router::{Door, bounded};
use crate::{commands, streams};

/// What is posted to.
#[derive(Debug, PartialEq)]
enum To {
    Command(String),
    Stream(String),
}

/// Whether a request is one that is answered here.
pub(crate) fn is_posted<B>(request: &Request<B>) -> bool {
    *request.method() == Method::POST && to(request.uri().path()).is_some()
}

/// Answers it.
pub(crate) async fn answer(door: Arc<Door>, request: Request<Incoming>) -> Response {
    let (
        Parts {
            method, uri, headers, ..
        },
        body,
    ) = request.into_parts();
    let body = Body::new(body);
    let to = to(uri.path());
    // The headers are asked before the request is begun, and given away with it.
    let checked = crate::request::same_site(&method, &headers);
    let answered = async {
        if let Err(problem) = checked {
            return problem.into_response();
        }
        let state = State(Arc::clone(&door));
        match to {
            Some(To::Command(name)) => commands::call(state, Path(name), uri, headers, body)
                .await
                .into_response(),
            Some(To::Stream(name)) => {
                let appended = streams::append::append(state, Path(name), uri, headers, body).await;
                appended.into_response()
            }
            None => crate::problem::Problem::not_found("there is nothing here").into_response(),
        }
    };
    bounded(&door, answered).await
}

/// What a path leads to; `None` where that is something else, or has to be decoded first.
fn to(path: &str) -> Option<To> {
    let is_plain = |name: &&str| !name.is_empty() && !name.contains(['/', '%']);
    if let Some(name) = path.strip_prefix("/commands/").filter(is_plain) {
        return Some(To::Command(name.to_owned()));
    }
    let name = path.strip_prefix("/streams/")?.strip_suffix("/events");
    name.filter(is_plain).map(|name| To::Stream(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_plain_goes_past_the_router() {
        let command = |name: &str| Some(To::Command(name.to_owned()));
        let stream = |name: &str| Some(To::Stream(name.to_owned()));
        for (path, expected) in [
            ("/commands/withdraw", command("withdraw")),
            ("/streams/transactions/events", stream("transactions")),
            ("/streams/a.b-c/events", stream("a.b-c")),
            ("/commands/with%64raw", None),
            ("/commands/", None),
            ("/commands/withdraw/", None),
            ("/commands", None),
            ("/streams//events", None),
            ("/streams/a/b/events", None),
            ("/streams/a/entities/b", None),
            ("/streams/events", None),
        ] {
            assert_eq!(to(path), expected, "{path}");
        }
    }
}
