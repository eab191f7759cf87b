//! What answers the requests of a connection: a row by its key, or a page of an entity, that is there at once is answered right here, everything
//! else by the router.
//!
//! ```text
//! request ─┬─ GET /views/{view}/{key}, nothing to wait for ── the row
//!          ├─ GET /streams/{stream}/entities/{key}, all of it in memory ── the page
//!          ├─ POST /commands/{command}, POST /streams/{stream}/events ── the same function as behind the router
//!          └─ anything else ── the router: matched, extracted, layered, a future in a box for each
//! ```
//!
//! Either takes a few microseconds, and the router's way as many again. Both ways read by the same function, so that the answers are the same.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, Ready, ready};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};

use crate::router::{Door, router};
use crate::streams::entity;
use crate::{posted, views};

/// An answer that is there, or is made past the router, or by it.
type Answer = Either<
    Ready<Result<Response, Infallible>>,
    Either<BoxFuture<'static, Result<Response, Infallible>>, TowerToHyperServiceFuture<Router, Request<Incoming>>>,
>;

/// The service of all connections.
#[derive(Clone)]
pub(crate) struct Front {
    door: Arc<Door>,
    router: TowerToHyperService<Router>,
}

impl Front {
    pub(crate) fn new(door: Arc<Door>) -> Front {
        Front {
            router: TowerToHyperService::new(router(Arc::clone(&door))),
            door,
        }
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let at_once = views::row_at_once(&self.door, &request).or_else(|| entity::at_once(&self.door, &request));
        match at_once {
            Some(response) => Either::Left(ready(Ok(response))),
            None if posted::is_posted(&request) => {
                let answer = posted::answer(Arc::clone(&self.door), request);
                Either::Right(Either::Left(answer.map(Ok).boxed()))
            }
            None => Either::Right(Either::Right(self.router.call(request))),
        }
    }
}
