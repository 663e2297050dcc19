//! The same API without TLS, for a browser on this machine: who may come in is for a front gate to say, which somebody
//! else keeps (it knows sessions and pages; this knows neither). The listener must be one on loopback.

use crate::peer::Peer;
use crate::responses;
use crate::server::{ApiServer, has_path, name_host};
use bytes::Bytes;
use cluster::Actor;
use http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, request};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use listener::{Seats, accept_all, serve_http};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::reply::{Reply, Response};

/// Makes the gate of a connection from the address that it comes from: what is found out about that is good as long as it lasts.
pub type SessionGate = Arc<dyn Fn(SocketAddr) -> ConnectionGate + Send + Sync>;

/// Looks at a request's head: breaks with an answer of its own, or lets it go on to the API as somebody.
pub type ConnectionGate =
    Arc<dyn Fn(&request::Parts) -> ControlFlow<http::Response<Bytes>, Actor> + Send + Sync>;

/// Of connections that have shown no session.
const MOST_STRANGERS: usize = 128;

impl ApiServer {
    /// Until `stop`, like [`ApiServer::serve`].
    pub async fn serve_plain(self, listener: TcpListener, gate: SessionGate, stop: CancellationToken) {
        let filtered = TowerToHyperService::new(warp::service(self.filter()));
        let seats = Seats::new(MOST_STRANGERS);
        let handle = |socket, peer: SocketAddr| {
            let (gate, filtered, stop) = (gate(peer), filtered.clone(), stop.clone());
            let seat = Arc::new(seats.take(peer.ip()));
            let own = seat.clone();
            let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
                let (gate, filtered, seat) = (gate.clone(), filtered.clone(), own.clone());
                async move {
                    let (mut head, body) = request.into_parts();
                    let actor = match gate(&head) {
                        ControlFlow::Break(answer) => return Ok(answer.into_response()),
                        ControlFlow::Continue(actor) => actor,
                    };
                    let address = Some(peer.ip());
                    let (certified, seat) = (Some(actor), Some(seat));
                    let peer = Peer { certified, address, seat, ..Peer::default() };
                    peer.recognise();
                    head.extensions.insert(Arc::new(peer));
                    let mut request = hyper::Request::from_parts(head, body);
                    name_host(&mut request);
                    if !has_path(&request) {
                        return Ok(no_page(responses::refusal(&responses::method_not_allowed())));
                    }
                    let answer = Service::call(&filtered, request).await;
                    answer.map(no_page)
                }
            });
            async move { seat.hold(serve_http(socket, service, None, &stop)).await }
        };
        accept_all("the dashboard", &listener, &stop, handle).await;
    }
}

/// What the API answers is data, also where somebody wrote HTML into it: a browser must not run it beside the session's cookie.
fn no_page(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    answer
}
