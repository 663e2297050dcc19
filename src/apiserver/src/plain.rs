//! The same API without TLS, for a browser on this machine: who may come in is for a front door to say, which somebody
//! else keeps (it knows sessions and pages; this knows neither). The listener must be one on loopback.

use crate::authentication::Peer;
use crate::server::{ApiServer, accept_all, converse};
use bytes::Bytes;
use cluster::Actor;
use http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, request};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::reply::{Reply, Response};

/// Looks at a request's head: breaks with an answer of its own, or lets it go on to the API as somebody.
pub type FrontDoor = Arc<dyn Fn(&request::Parts) -> ControlFlow<http::Response<Bytes>, Actor> + Send + Sync>;

impl ApiServer {
    /// Until `stop`, like [`ApiServer::serve`].
    pub async fn serve_plain(self, listener: TcpListener, door: FrontDoor, stop: CancellationToken) {
        let filtered = TowerToHyperService::new(warp::service(self.filter()));
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let (door, filtered) = (door.clone(), filtered.clone());
            async move {
                let (mut head, body) = request.into_parts();
                let actor = match door(&head) {
                    ControlFlow::Break(answer) => return Ok(answer.into_response()),
                    ControlFlow::Continue(actor) => actor,
                };
                head.extensions.insert(Arc::new(Peer { certified: Some(actor) }));
                let request = hyper::Request::from_parts(head, body);
                let answer = Service::call(&filtered, request).await;
                answer.map(no_page)
            }
        });
        accept_all(listener, stop, move |socket, stop| {
            let service = service.clone();
            async move { converse(socket, service, stop).await }
        })
        .await;
    }
}

/// What the API answers is data, also where somebody wrote HTML into it: a browser must not run it beside the session's cookie.
fn no_page(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    answer
}
