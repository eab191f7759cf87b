//! What is asked most is answered past the router, by the same functions.
//!
//! ```text
//! GET /views/{view}/{key}              the row, at once where memory has it
//! GET /streams/{stream}/entities/{key} the page, likewise
//! POST /commands/{command}
//! POST /streams/{stream}/events
//! anything else                        the router: matched, extracted, layered, a future in a box for each
//! ```
//!
//! The router's way takes as long as deciding a call. What its layers see to holds here too: [`same_site`], [`bounded`].

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::{BoxFuture, Either, Map, Ready, ready};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use tokio::time::timeout;

use crate::door::Door;
use crate::hosts::Hosts;
use crate::limits::HEAD_BYTES_MAX;
use crate::request::same_site;
use crate::router::{bounded, router};
use crate::streams::entity;
use crate::{commands, streams, views};

/// A request that is answered past the router.
#[derive(Debug, PartialEq)]
pub(crate) enum Known {
    Row,
    Entity,
    Command(String),
    Append(String),
}

impl Known {
    /// `None`: it is another one, or its path has to be decoded first.
    pub(crate) fn of(method: &str, path: &str) -> Option<Known> {
        let is_plain = |name: &&str| !name.is_empty() && !name.contains(['/', '%']);
        match method {
            "GET" if views::is_of_row(path) => Some(Known::Row),
            "GET" if entity::is_of_entity(path) => Some(Known::Entity),
            "POST" => {
                if let Some(name) = path.strip_prefix("/commands/").filter(is_plain) {
                    return Some(Known::Command(name.to_owned()));
                }
                let name = path.strip_prefix("/streams/")?.strip_suffix("/events");
                name.filter(is_plain).map(|name| Known::Append(name.to_owned()))
            }
            _ => None,
        }
    }
}

/// An answer that is there, or is being made.
pub(crate) enum Answer {
    There(Response),
    Coming(BoxFuture<'static, Response>),
}

/// Answers a request.
pub(crate) fn answer(door: &Arc<Door>, known: Known, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let at_once = match known {
        Known::Row => views::row_at_once(door, &parts.uri, &parts.headers),
        Known::Entity => entity::at_once(door, &parts.uri, &parts.headers),
        Known::Command(_) | Known::Append(_) => same_site(&parts.method, &parts.headers)
            .err()
            .map(IntoResponse::into_response),
    };
    match at_once {
        Some(response) => Answer::There(response),
        None => Answer::Coming(Box::pin(later(Arc::clone(door), known, parts, body))),
    }
}

async fn later(door: Arc<Door>, known: Known, parts: Parts, body: Body) -> Response {
    let Parts { uri, headers, .. } = parts;
    let state = State(Arc::clone(&door));
    let answered = timeout(door.options.request_max, async {
        match known {
            Known::Row => views::row(state, uri, headers).await.into_response(),
            Known::Entity => entity::read(state, uri, headers).await.into_response(),
            Known::Command(name) => commands::call(state, Path(name), uri, headers, body)
                .await
                .into_response(),
            Known::Append(name) => {
                let appended = streams::append::append(state, Path(name), uri, headers, body).await;
                appended.into_response()
            }
        }
    });
    bounded(&door, answered.await)
}

/// What answers the requests of a connection, and the service of those that hyper reads.
#[derive(Clone)]
pub(crate) struct Requests {
    pub(crate) door: Arc<Door>,
    /// By which names it may be asked.
    pub(crate) hosts: Hosts,
    router: TowerToHyperService<Router>,
}

impl Requests {
    pub(crate) fn new(door: Arc<Door>) -> Requests {
        Requests {
            router: TowerToHyperService::new(router(Arc::clone(&door))),
            hosts: Hosts::Any,
            door,
        }
    }

    /// Those of a connection to this address.
    pub(crate) fn at(mut self, local: SocketAddr) -> Requests {
        self.hosts = Hosts::of(local, &self.door.options.hosts);
        self
    }
}

type Answered = Result<Response, Infallible>;

impl Service<Request<Incoming>> for Requests {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<
        Ready<Answered>,
        Either<
            Map<BoxFuture<'static, Response>, fn(Response) -> Answered>,
            TowerToHyperServiceFuture<Router, Request<Incoming>>,
        >,
    >;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if head_bytes(&request) > HEAD_BYTES_MAX {
            let refusal = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Either::Left(ready(Ok(refusal.into_response())));
        }
        if let Err(problem) = self.hosts.check(request.uri(), request.headers()) {
            return Either::Left(ready(Ok(problem.into_response())));
        }
        let Some(known) = Known::of(request.method().as_str(), request.uri().path()) else {
            return Either::Right(Either::Right(self.router.call(request)));
        };
        match answer(&self.door, known, request.map(Body::new)) {
            Answer::There(response) => Either::Left(ready(Ok(response))),
            Answer::Coming(coming) => Either::Right(Either::Left(coming.map(Ok))),
        }
    }
}

/// The bytes of a request's head, written without spaces that nobody needs. What came at once hyper takes beyond its bound.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n".len();
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>() + "\r\n".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_plain_goes_past_the_router() {
        let command = |name: &str| Some(Known::Command(name.to_owned()));
        let stream = |name: &str| Some(Known::Append(name.to_owned()));
        for (method, path, expected) in [
            ("POST", "/commands/withdraw", command("withdraw")),
            ("POST", "/streams/transactions/events", stream("transactions")),
            ("POST", "/streams/a.b-c/events", stream("a.b-c")),
            ("POST", "/commands/with%64raw", None),
            ("POST", "/commands/", None),
            ("POST", "/commands/withdraw/", None),
            ("POST", "/commands", None),
            ("POST", "/streams//events", None),
            ("POST", "/streams/a/b/events", None),
            ("POST", "/streams/a/entities/b", None),
            ("POST", "/streams/events", None),
            ("POST", "/views/balances/a", None),
            ("PUT", "/commands/withdraw", None),
            ("GET", "/commands/withdraw", None),
            ("GET", "/streams/transactions/events", None),
            ("GET", "/views/balances/a", Some(Known::Row)),
            ("GET", "/views/balances/a/b", Some(Known::Row)),
            ("GET", "/views/balances/%73earch", Some(Known::Row)),
            ("GET", "/views/balances/search", None),
            ("GET", "/views/balances/changes", None),
            ("GET", "/views/balances/lineage/a", None),
            ("GET", "/views/balances/origins", None),
            ("GET", "/views/balances/", None),
            ("GET", "/views/balances", None),
            ("GET", "/views//a", None),
            ("GET", "/streams/s/entities/k", Some(Known::Entity)),
            ("GET", "/streams/s/entities/a%2Fb", Some(Known::Entity)),
            ("GET", "/streams/s/entities/k/l", None),
            ("HEAD", "/views/balances/a", None),
        ] {
            assert_eq!(Known::of(method, path), expected, "{method} {path}");
        }
    }
}
